use super::world::{Browser, LOGIN, PAYROLL, WIKI, Way, World};
use crate::login::LoginEventKind as Kind;
use crate::session::{BROWSER_COOKIE, SESSION_COOKIE};
use axum::http::StatusCode;

#[tokio::test]
async fn a_ticket_is_good_once_in_its_browser_on_its_host_for_a_minute() {
    let mut world = World::new(&[Way::Local]).await;
    let mut ann = Browser::default();
    let page = world.open(&mut ann, &format!("{WIKI}/x")).await;
    let form = [
        ("user", "ann"),
        ("password", "ann-pw"),
        ("csrf", &page.field("csrf")),
        ("state", &page.field("state")),
    ];
    let url = format!("{LOGIN}/sign-in");
    let ticket = world.send(&mut ann, "POST", &url, &form).await.location().to_owned();

    // Stolen: another browser, without a cookie of its own or with one.
    let mut thief = Browser::default();
    let answer = world.send(&mut thief, "GET", &ticket, &[]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::BAD_REQUEST, ""));
    assert!(answer.shows("href=\"/x\"") && thief.cookie(WIKI, SESSION_COOKIE).is_none());
    world.open(&mut thief, &format!("{WIKI}/")).await;
    let answer = world.open(&mut thief, &ticket).await;
    assert!(answer.shows("name=\"password\""), "the thief may sign in: {}", answer.url);
    assert!(thief.cookie(WIKI, SESSION_COOKIE).is_none() && thief.cookie(LOGIN, SESSION_COOKIE).is_none());
    // Taken to another host, or changed.
    let elsewhere = ticket.replace(WIKI, PAYROLL);
    for url in [elsewhere, format!("{ticket}A"), format!("{WIKI}/.tiergate/callback")] {
        world.open(&mut ann, &format!("{PAYROLL}/")).await;
        ann.forget(PAYROLL, SESSION_COOKIE);
        let answer = world.send(&mut ann, "GET", &url, &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert!(ann.cookie(PAYROLL, SESSION_COOKIE).is_none());
    }
    assert_eq!(world.happened().last(), Some(&Kind::TicketRefused));
    // Too late, then in time, then twice.
    let mut late = ann.clone();
    world.now += 61;
    assert_eq!(world.send(&mut late, "GET", &ticket, &[]).await.status, StatusCode::BAD_REQUEST);
    world.now -= 61;
    let mut twin = ann.clone();
    let answer = world.send(&mut ann, "GET", &ticket, &[]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, "/x"));
    assert!(ann.cookie(WIKI, SESSION_COOKIE).is_some());
    let answer = world.send(&mut twin, "GET", &ticket, &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "used, and not signed in here");
    let answer = world.send(&mut ann, "GET", &ticket, &[]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::FOUND, "/x"), "the back button");
}

/// The ticket that leads a browser which is signed in on the login host to the wiki.
async fn ticket_for(world: &World, browser: &mut Browser, path: &str) -> String {
    let asked = world.send(browser, "GET", &format!("{WIKI}{path}"), &[]).await;
    let ticket = world.send(browser, "GET", asked.location(), &[]).await.location().to_owned();
    assert!(ticket.starts_with(&format!("{WIKI}/.tiergate/callback?ticket=")), "{ticket}");
    ticket
}

#[tokio::test]
async fn two_tabs_that_met_a_host_at_the_same_moment_both_find_their_page() {
    let world = World::new(&[Way::Local]).await;
    let mut ann = Browser::default();
    let mut links = Vec::new();
    for path in ["/1", "/2"] {
        // Neither tab knows yet what the other was given; the later name stays.
        let mut tab = Browser::default();
        let asked = world.send(&mut tab, "GET", &format!("{WIKI}{path}"), &[]).await;
        links.push((path, asked.location().to_owned()));
        ann.jar.extend(tab.jar);
    }
    let mut forms = Vec::new();
    for (path, link) in links {
        forms.push((path, world.open(&mut ann, &link).await));
    }
    for (path, form) in forms {
        let page = world.fill(&mut ann, &form, "ann", "ann-pw").await;
        assert_eq!((page.url, page.body.as_str()), (format!("{WIKI}{path}"), "ann@corp.example"));
    }
    assert_eq!(world.happened(), [Kind::SignedIn, Kind::TicketRefused, Kind::Reauthenticated]);
    assert_eq!(world.login.sessions().active(), 1);
}

#[tokio::test]
async fn somebody_elses_ticket_signs_a_browser_in_as_nobody_but_its_own_user() {
    let world = World::new(&[Way::Local]).await;
    let mut mallory = world.signed_in("bob").await;
    mallory.forget(WIKI, SESSION_COOKIE);
    let signed_in = world.signed_in("ann").await;
    let mut elsewhere = signed_in.clone();
    elsewhere.forget(WIKI, SESSION_COOKIE);
    let mut stranger = Browser::default();
    world.open(&mut stranger, &format!("{WIKI}/")).await;
    for (what, mut ann, shown) in [
        ("signed in here", signed_in, "ann@corp.example"),
        ("signed in on the login host", elsewhere, "ann@corp.example"),
        ("not signed in", stranger, "name=\"password\""),
    ] {
        let ticket = ticket_for(&world, &mut mallory, "/trap").await;
        let page = world.open(&mut ann, &ticket).await;
        assert!(page.shows(shown) && !page.shows("bob"), "{what}: {}", page.body);
        assert!(page.hops.iter().all(|hop| hop.starts_with(WIKI) || hop.starts_with(LOGIN)), "{what}");
        let later = world.open(&mut ann, &format!("{WIKI}/")).await;
        assert!(!later.shows("bob"), "{what}: {}", later.body);
        // It is still good where it belongs: a stranger cannot use it up.
        assert_eq!(world.open(&mut mallory, &ticket).await.body, "bob@corp.example", "{what}");
        mallory.forget(WIKI, SESSION_COOKIE);
    }
}

#[tokio::test]
async fn a_browser_whose_name_keeps_changing_is_told_so_after_one_more_try() {
    let mut world = World::new(&[Way::Local]).await;
    let mut ann = world.signed_in("ann").await;
    ann.forget(WIKI, SESSION_COOKIE);
    let names = ["A", "B", "C"].map(|letter| letter.repeat(21) + "A");
    let ticket = ticket_for(&world, &mut ann, "/x").await;
    ann.set(WIKI, BROWSER_COOKIE, &names[0]);
    let again = world.send(&mut ann, "GET", &ticket, &[]).await;
    assert!(again.location().starts_with(&format!("{LOGIN}/sign-in?state=")), "{}", again.location());
    let second = world.send(&mut ann, "GET", again.location(), &[]).await.location().to_owned();
    for name in &names[1..] {
        ann.set(WIKI, BROWSER_COOKIE, name);
        let answer = world.send(&mut ann, "GET", &second, &[]).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::BAD_REQUEST, ""), "{name}");
    }
    assert!(ann.cookie(WIKI, SESSION_COOKIE).is_none());
    // The second is as good as the first where the name stayed, and for as long.
    ann.set(WIKI, BROWSER_COOKIE, &names[0]);
    let (mut late, mut other) = (ann.clone(), ann.clone());
    assert_eq!(world.open(&mut ann, &second).await.body, "ann@corp.example");
    world.now += 61;
    other.set(WIKI, BROWSER_COOKIE, &names[1]);
    for (browser, url) in [(&mut late, &second), (&mut other, &ticket)] {
        let answer = world.send(browser, "GET", url, &[]).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::BAD_REQUEST, ""), "too late");
    }
}

#[tokio::test]
async fn a_ticket_of_an_ended_session_or_of_before_a_restart_is_refused() {
    let mut world = World::new(&[Way::Local]).await;
    for restart in [false, true] {
        let mut ann = Browser::default();
        let page = world.open(&mut ann, &format!("{WIKI}/x")).await;
        let form = [
            ("user", "ann"),
            ("password", "ann-pw"),
            ("csrf", &page.field("csrf")),
            ("state", &page.field("state")),
        ];
        let url = format!("{LOGIN}/sign-in");
        let ticket = world.send(&mut ann, "POST", &url, &form).await.location().to_owned();
        if restart {
            world.login = crate::login::Login::new(
                std::sync::Arc::clone(world.login.sessions()),
                &[[1; 32]],
                std::sync::Arc::default(),
                std::sync::Arc::new(|_| ()),
            );
        } else {
            world.login.sessions().end_of_user("local", "ann").await.unwrap();
        }
        let answer = world.send(&mut ann, "GET", &ticket, &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "restart: {restart}");
    }
}

#[tokio::test]
async fn a_cookie_works_on_its_host_and_device_only() {
    let mut world = World::new(&[Way::Local]).await;
    let mut ann = Browser { device: Some([7; 32]), ..Browser::default() };
    let page = world.open(&mut ann, &format!("{WIKI}/")).await;
    world.fill(&mut ann, &page, "ann", "ann-pw").await;
    let cookie = ann.cookie(WIKI, SESSION_COOKIE).unwrap();
    for (what, device, url, works) in [
        ("as it was", Some([7; 32]), WIKI, true),
        ("another device", Some([8; 32]), WIKI, false),
        ("no device", None, WIKI, false),
        ("another host", Some([7; 32]), PAYROLL, false),
        ("the login host", Some([7; 32]), LOGIN, false),
    ] {
        let mut thief = Browser { device, ..Browser::default() };
        thief.set(url, SESSION_COOKIE, &cookie);
        let answer = world.open(&mut thief, &format!("{url}/")).await;
        assert_eq!(answer.shows("ann@corp.example"), works, "{what}");
    }
    // Its owner on another device key goes by the login host, where the sign-in is kept.
    world.happened();
    ann.device = None;
    let page = world.open(&mut ann, &format!("{WIKI}/y")).await;
    assert_eq!((page.body.as_str(), page.hops.len()), ("ann@corp.example", 3));
    assert_eq!(world.happened(), [Kind::DeviceChanged]);
    world.open(&mut ann, &format!("{PAYROLL}/y")).await;
    assert_eq!(world.happened(), [], "told once");
    world.now += 1;
}

#[tokio::test]
async fn a_changed_doubled_or_foreign_cookie_counts_as_none() {
    let world = World::new(&[Way::Local]).await;
    let ann = world.signed_in("ann").await;
    let cookie = ann.cookie(WIKI, SESSION_COOKIE).unwrap();
    let browser = ann.cookie(WIKI, BROWSER_COOKIE).unwrap();
    let mut flipped = cookie.clone().into_bytes();
    flipped[20] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    for (what, value, double) in [
        ("changed", flipped.as_str(), false),
        ("cut", cookie.get(..cookie.len() - 1).unwrap(), false),
        ("another cookie's", &browser, false),
        ("empty", "", false),
        ("twice", &cookie, true),
    ] {
        let mut victim = Browser::default();
        victim.set(WIKI, SESSION_COOKIE, value);
        if double {
            victim.headers = vec![("cookie", format!("{SESSION_COOKIE}={cookie}"))];
        }
        let page = world.open(&mut victim, &format!("{WIKI}/")).await;
        assert!(page.url.starts_with(LOGIN), "{what}");
    }
}

#[tokio::test]
async fn a_session_planted_before_sign_in_is_not_the_one_signed_in_with() {
    let world = World::new(&[Way::Local]).await;
    let mallory = world.signed_in("bob").await;
    let mut ann = Browser::default();
    for url in [LOGIN, WIKI] {
        ann.set(url, SESSION_COOKIE, &mallory.cookie(url, SESSION_COOKIE).unwrap());
    }
    // The planted session shows as what it is; signing in as oneself ends it.
    let page = world.open(&mut ann, &format!("{LOGIN}/")).await;
    assert!(page.shows("bob@corp.example"));
    let page = world.open(&mut Browser::default(), &format!("{LOGIN}/sign-in")).await;
    let mut own = Browser::default();
    let form = world.open(&mut own, &format!("{LOGIN}/sign-in")).await;
    own.set(LOGIN, SESSION_COOKIE, &mallory.cookie(LOGIN, SESSION_COOKIE).unwrap());
    world.fill(&mut own, &form, "ann", "ann-pw").await;
    assert_eq!(world.happened(), [Kind::SignedIn, Kind::Replaced]);
    assert_ne!(own.cookie(LOGIN, SESSION_COOKIE), mallory.cookie(LOGIN, SESSION_COOKIE));
    let mut mallory = mallory;
    let page2 = world.open(&mut mallory, &format!("{WIKI}/")).await;
    assert!(page2.url.starts_with(LOGIN), "the planted session has ended");
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test]
async fn somebody_elses_sign_in_link_signs_nobody_in_elsewhere() {
    let world = World::new(&[Way::Local]).await;
    let mut mallory = Browser::default();
    let link = world.open(&mut mallory, &format!("{WIKI}/trap")).await.url;
    // Ann follows it and signs in: the ticket is for mallory's browser, and ann's is not that.
    let mut ann = Browser::default();
    let form = world.open(&mut ann, &link).await;
    let answer = world.fill(&mut ann, &form, "ann", "ann-pw").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(ann.cookie(WIKI, SESSION_COOKIE).is_none());
    // Ann starts again by the link on that page, and is in.
    assert_eq!(world.open(&mut ann, &format!("{WIKI}/trap")).await.body, "ann@corp.example");
}

#[tokio::test]
async fn rotated_keys_sign_nobody_out() {
    let world = World::new(&[Way::Local]).await;
    let mut ann = world.signed_in("ann").await;
    world.login.rekey(&[[2; 32], [1; 32]]);
    assert_eq!(world.open(&mut ann, &format!("{WIKI}/")).await.body, "ann@corp.example");
    assert_eq!(world.open(&mut ann, &format!("{PAYROLL}/")).await.body, "ann@corp.example");
    world.login.rekey(&[[2; 32]]);
    assert_eq!(world.open(&mut ann, &format!("{PAYROLL}/")).await.body, "ann@corp.example");
    assert!(world.open(&mut ann, &format!("{WIKI}/")).await.hops.len() > 2, "by the login host");
}
