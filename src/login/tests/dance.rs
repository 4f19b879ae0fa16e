use super::world::{self, Browser, LOGIN, NOW, PAYROLL, WIKI, Way, World};
use crate::login::LoginEventKind as Kind;
use crate::session::{BROWSER_COOKIE, Found, SESSION_COOKIE};
use axum::http::StatusCode;
use std::sync::Arc;

#[tokio::test]
async fn a_navigation_comes_back_to_the_same_url_once_signed_in() {
    let world = World::new(&[Way::Local]).await;
    let mut ann = Browser::default();
    let url = format!("{WIKI}/page/7?q=a%20b&next=https://elsewhere.test//x");
    let form = world.open(&mut ann, &url).await;
    assert_eq!(form.status, StatusCode::OK);
    assert!(form.url.starts_with(&format!("{LOGIN}/sign-in?state=")), "{}", form.url);
    let policy = form.header("content-security-policy");
    assert!(policy.contains(&format!("form-action 'self' {WIKI}")), "{policy}");
    assert_eq!(form.header("referrer-policy"), "same-origin");

    let before = ann.cookie(LOGIN, SESSION_COOKIE);
    let page = world.fill(&mut ann, &form, "ann", "ann-pw").await;
    assert_eq!((page.url.as_str(), page.body.as_str()), (url.as_str(), "ann@corp.example"));
    assert!(page.hops[0].starts_with(&format!("{WIKI}/.tiergate/callback?ticket=")));
    assert_eq!(before, None);
    assert_ne!(ann.cookie(WIKI, SESSION_COOKIE), ann.cookie(LOGIN, SESSION_COOKIE));
    assert_eq!(world.happened(), [Kind::SignedIn]);

    // Another host needs no further question, and gets a cookie of its own.
    let page = world.open(&mut ann, &format!("{PAYROLL}/x")).await;
    assert_eq!((page.body.as_str(), page.hops.len()), ("ann@corp.example", 3));
    assert_eq!(world.happened(), []);
    assert_eq!(world.login.sessions().active(), 1);
}

#[tokio::test]
async fn whoever_is_not_signed_in_leaves_nothing_behind_and_tabs_share_one_browser_cookie() {
    let world = World::new(&[Way::Local]).await;
    let mut ann = Browser::default();
    let first = world.open(&mut ann, &format!("{WIKI}/1")).await;
    let cookie = ann.cookie(WIKI, BROWSER_COOKIE);
    let second = world.open(&mut ann, &format!("{WIKI}/2")).await;
    assert!(cookie.is_some() && cookie == ann.cookie(WIKI, BROWSER_COOKIE));
    assert_eq!(world.state.sessions().await.unwrap(), []);
    // Either tab can be finished, in any order, and both live by one session.
    assert_eq!(world.fill(&mut ann, &second, "ann", "ann-pw").await.url, format!("{WIKI}/2"));
    assert_eq!(world.fill(&mut ann, &first, "ann", "ann-pw").await.url, format!("{WIKI}/1"));
    assert_eq!(world.login.sessions().active(), 1);
    assert_eq!(world.happened(), [Kind::SignedIn, Kind::Reauthenticated]);
}

#[tokio::test]
async fn a_wrong_password_an_unknown_user_and_a_disabled_one_look_the_same() {
    let world = World::new(&[Way::Local]).await;
    let mut pages = Vec::new();
    for (user, password) in
        [("ann", "wrong"), ("nobody", "ann-pw"), ("gone", "gone-pw"), ("<b>\"", "x"), ("", "")]
    {
        let mut browser = Browser::default();
        let form = world.open(&mut browser, &format!("{WIKI}/")).await;
        let answer = world.fill(&mut browser, &form, user, password).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{user}");
        assert!(answer.shows("do not belong together") && !answer.shows("<b>"), "{user}");
        assert_eq!(browser.cookie(LOGIN, SESSION_COOKIE), None, "{user}");
        pages.push(answer.body.len() - user.len());
        // The same form can be filled in again.
        let page = world.fill(&mut browser, &answer, "ann", "ann-pw").await;
        assert_eq!(page.url, format!("{WIKI}/"), "{user}");
    }
    assert_eq!(pages[0], pages[1]);
    let events = world.events.lock().unwrap();
    assert!(events.iter().all(|event| event.user.as_deref() != Some("nobody")));
}

#[tokio::test]
async fn too_many_failures_are_answered_429_and_the_right_password_does_not_help() {
    let world = World::new(&[Way::Local]).await;
    let mut browser = Browser::default();
    let mut page = world.open(&mut browser, &format!("{WIKI}/")).await;
    for _ in 0..5 {
        page = world.fill(&mut browser, &page, "ann", "wrong").await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    }
    let page = world.fill(&mut browser, &page, "ann", "ann-pw").await;
    assert_eq!((page.status, page.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(world.happened().last(), Some(&Kind::Throttled));
    let page = world.fill(&mut browser, &page, "bob", "bob-pw").await;
    assert_eq!(page.url, format!("{WIKI}/"), "somebody else");
}

#[tokio::test]
async fn a_form_without_its_token_or_from_elsewhere_signs_nobody_in() {
    let world = World::new(&[Way::Local]).await;
    let mut ann = Browser::default();
    let page = world.open(&mut ann, &format!("{LOGIN}/sign-in")).await;
    let csrf = page.field("csrf");
    let other = world.open(&mut Browser::default(), &format!("{LOGIN}/sign-in")).await;
    let cases = [
        ("", None, 403),
        ("x", None, 403),
        (&other.field("csrf"), None, 403),
        (&csrf, Some(("origin", "https://evil.test")), 403),
        (&csrf, Some(("sec-fetch-site", "cross-site")), 403),
        (&csrf, Some(("sec-fetch-site", "same-site")), 403),
        (&csrf, Some(("origin", LOGIN)), 303),
        (&csrf, None, 303),
    ];
    for (csrf, header, status) in cases {
        let mut browser = ann.clone();
        browser.headers = header.map(|(name, value)| (name, value.to_owned())).into_iter().collect();
        let form = [("user", "ann"), ("password", "ann-pw"), ("csrf", csrf)];
        let answer = world.send(&mut browser, "POST", &format!("{LOGIN}/sign-in"), &form).await;
        assert_eq!(answer.status.as_u16(), status, "{csrf} {header:?}");
        assert_eq!(browser.cookie(LOGIN, SESSION_COOKIE).is_some(), status == 303);
    }
    // A form of yesterday is shown anew.
    let mut late = world;
    late.now += 86_401;
    let answer = late.fill(&mut ann, &page, "ann", "ann-pw").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(late.fill(&mut ann, &answer, "ann", "ann-pw").await.url, format!("{LOGIN}/"));
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_its_code_works_once() {
    let mut world = World::new(&[Way::Local]).await;
    let mut tess = Browser::default();
    let page = world.open(&mut tess, &format!("{WIKI}/mfa")).await;
    let second = world.fill(&mut tess, &page, "tess", "tess-pw").await;
    assert!(second.shows("/sign-in/totp"));
    assert_eq!(tess.cookie(LOGIN, SESSION_COOKIE), None, "the password alone is not enough");

    let (csrf, state, pending) = (second.field("csrf"), second.field("state"), second.field("pending"));
    let url = format!("{LOGIN}/sign-in/totp");
    let form = |code: &str| {
        [
            ("csrf", csrf.clone()),
            ("state", state.clone()),
            ("pending", pending.clone()),
            ("code", code.to_owned()),
        ]
    };
    let send = async |world: &World, browser: &mut Browser, code: &str| {
        let form = form(code);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.follow(browser, "POST", &url, &form).await
    };
    let wrong = send(&world, &mut tess, "999999").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.field("pending"), pending, "another try buys no time");
    let mut thief = Browser::default();
    world.open(&mut thief, &format!("{LOGIN}/sign-in")).await;
    assert_eq!(send(&world, &mut thief, &world.code()).await.status, StatusCode::FORBIDDEN);
    let own = world.open(&mut thief, &format!("{LOGIN}/sign-in")).await.field("csrf");
    let stolen = [("csrf", own.as_str()), ("pending", &pending), ("code", &world.code())];
    let answer = world.send(&mut thief, "POST", &url, &stolen).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "proved in another browser");
    let mut twin = tess.clone();
    let code = world.code();
    assert_eq!(send(&world, &mut tess, &code).await.url, format!("{WIKI}/mfa"));
    assert_eq!(send(&world, &mut twin, &code).await.status, StatusCode::UNAUTHORIZED, "used");
    world.now += 301;
    let late = send(&world, &mut twin, &world.code()).await;
    assert!(late.status == StatusCode::UNAUTHORIZED && late.shows("too long"), "five minutes");
}

#[tokio::test]
async fn an_old_or_damaged_state_ends_neither_in_an_error_nor_in_a_circle() {
    let mut world = World::new(&[Way::Local]).await;
    let mut ann = Browser::default();
    let form = world.open(&mut ann, &format!("{WIKI}/x")).await;
    world.now += 3600;
    let page = world.fill(&mut ann, &form, "ann", "ann-pw").await;
    assert_eq!((page.url.as_str(), page.status), (&*format!("{WIKI}/x"), StatusCode::OK));
    assert_eq!(page.hops[0], format!("{WIKI}/x"), "no ticket for it");

    let long = "A".repeat(10_000);
    for state in ["x", "-", "%00", &long] {
        let mut bob = Browser::default();
        let form = world.open(&mut bob, &format!("{LOGIN}/sign-in?state={state}")).await;
        assert_eq!((form.status, form.field("state").as_str()), (StatusCode::OK, "-"), "{state}");
        let page = world.fill(&mut bob, &form, "bob", "bob-pw").await;
        assert!(page.url == format!("{LOGIN}/?lost") && page.shows("not known any more"), "{state}");
        let page = world.open(&mut bob, &format!("{LOGIN}/sign-in?state={state}")).await;
        assert_eq!(page.url, format!("{LOGIN}/?lost"), "signed in already");
    }
}

#[tokio::test]
async fn a_browser_that_keeps_no_cookies_is_told_so_and_not_sent_in_circles() {
    let world = World::new(&[Way::Local]).await;
    let mut ann = world.signed_in("ann").await;
    ann.forget(WIKI, SESSION_COOKIE);
    let first = world.send(&mut ann, "GET", &format!("{WIKI}/x"), &[]).await;
    let to = world.send(&mut ann, "GET", first.location(), &[]).await.location().to_owned();
    ann.forget(WIKI, BROWSER_COOKIE);
    let answer = world.send(&mut ann, "GET", &to, &[]).await;
    assert!(answer.status == StatusCode::BAD_REQUEST && answer.shows("cookies"));
    assert_eq!(answer.location(), "");
}

#[tokio::test]
async fn a_session_that_was_not_used_is_not_taken_for_a_sign_in() {
    let mut world = World::new(&[Way::Local]).await;
    for after in [1801, 12 * 3600 + 1] {
        let mut ann = world.signed_in("ann").await;
        world.now += after;
        let page = world.open(&mut ann, &format!("{WIKI}/x")).await;
        assert!(page.shows("name=\"password\""), "{after}: {}", page.url);
        let page = world.fill(&mut ann, &page, "ann", "ann-pw").await;
        assert_eq!(page.url, format!("{WIKI}/x"));
        assert_eq!(world.happened(), [Kind::SignedIn, Kind::Replaced]);
    }
    // Nor is it woken up by signing in on the login host alone.
    let mut ann = world.signed_in("ann").await;
    world.now += 1801;
    let page = world.open(&mut ann, &format!("{LOGIN}/sign-in")).await;
    assert_eq!(world.fill(&mut ann, &page, "ann", "ann-pw").await.url, format!("{LOGIN}/"));
    assert_eq!(world.happened(), [Kind::SignedIn, Kind::Replaced]);

    let mut ann = world.signed_in("ann").await;
    world.now += 1800;
    assert_eq!(world.open(&mut ann, &format!("{WIKI}/x")).await.body, "ann@corp.example");
}

#[tokio::test]
async fn the_login_host_takes_no_session_that_the_policy_or_the_users_file_ended() {
    let limited = "groups: { staff: { any_of: ['local:staff'] } }
authentication: [{ for: { groups: [staff] }, idle_timeout: 5m }, { idle_timeout: 1h }]
resources: [{ name: wiki, tier: open, hosts: [wiki.corp.example], upstream: tickets }]";
    for (what, name, disabled, after, asks) in [
        ("in use", "local", false, 300, false),
        ("unused too long for the group", "local", false, 301, true),
        ("also where the provider has another name", "break-glass", false, 301, true),
        ("whose account was disabled", "local", true, 1, true),
    ] {
        let mut world = World::new(&[Way::Local]).await;
        world.change(|snapshot| {
            snapshot.policy = Arc::new(crate::policy::tests::policy(limited));
            snapshot.providers = world::local_users(name, None);
        });
        let mut ann = world.signed_in("ann").await;
        world.now += after;
        world.change(|snapshot| {
            snapshot.providers = world::local_users(name, disabled.then_some("ann"));
        });
        let page = world.open(&mut ann, &format!("{PAYROLL}/")).await;
        assert_eq!(page.shows("name=\"password\""), asks, "{what}: {}", page.url);
        let front = world.open(&mut ann, &format!("{LOGIN}/")).await;
        assert_eq!(front.shows("ann@corp.example"), !asks, "{what}");
    }
}

#[tokio::test]
async fn a_session_that_the_gateway_refuses_is_not_handed_back_to_it() {
    let world = World::new(&[Way::Local]).await;
    let mut ann = world.signed_in("ann").await;
    let page = world.open(&mut ann, &format!("{WIKI}/never")).await;
    assert!(page.url.starts_with(LOGIN) && page.shows("name=\"password\""));
    let form = [
        ("user", "ann"),
        ("password", "ann-pw"),
        ("csrf", &page.field("csrf")),
        ("state", &page.field("state")),
    ];
    let answer = world.send(&mut ann, "POST", &format!("{LOGIN}/sign-in"), &form).await;
    assert!(answer.location().starts_with(&format!("{WIKI}/.tiergate/callback")));
    assert_eq!(world.happened(), [Kind::SignedIn, Kind::Replaced]);
}

#[tokio::test]
async fn a_fresh_proof_is_asked_for_and_keeps_the_session() {
    let mut world = World::new(&[Way::Local]).await;
    let mut ann = world.signed_in("ann").await;
    assert_eq!(world.open(&mut ann, &format!("{WIKI}/fresh")).await.body, "ann@corp.example");
    world.now += 61;
    let page = world.open(&mut ann, &format!("{WIKI}/fresh")).await;
    assert!(page.shows("still you") && page.shows("value=\"ann\""));
    let page = world.fill(&mut ann, &page, "ann", "ann-pw").await;
    assert_eq!((page.url.as_str(), page.body.as_str()), (&*format!("{WIKI}/fresh"), "ann@corp.example"));
    assert_eq!(world.happened(), [Kind::Reauthenticated]);
    assert_eq!(world.login.sessions().active(), 1);
    // Somebody else at the same browser is somebody else.
    world.now += 61;
    let page = world.open(&mut ann, &format!("{WIKI}/fresh")).await;
    assert_eq!(world.fill(&mut ann, &page, "bob", "bob-pw").await.body, "bob@corp.example");
    assert_eq!(world.happened(), [Kind::SignedIn, Kind::Replaced]);
}

#[tokio::test]
async fn a_step_up_without_an_authenticator_explains_and_does_not_circle() {
    let world = World::new(&[Way::Local]).await;
    let mut ann = world.signed_in("ann").await;
    let page = world.open(&mut ann, &format!("{WIKI}/mfa")).await;
    assert!(page.status == StatusCode::FORBIDDEN && page.shows("has no authenticator yet"));
    // The same for whoever signs in for such a page.
    let mut bob = Browser::default();
    let form = world.open(&mut bob, &format!("{PAYROLL}/mfa")).await;
    let page = world.fill(&mut bob, &form, "bob", "bob-pw").await;
    let page = if page.url.starts_with(PAYROLL) {
        page
    } else {
        world.open(&mut bob, &format!("{PAYROLL}/mfa")).await
    };
    assert!(page.status == StatusCode::FORBIDDEN && page.shows("has no authenticator yet"));
}

#[tokio::test]
async fn a_step_up_with_a_code_lifts_the_session_on_every_host() {
    let mut world = World::new(&[Way::Local]).await;
    // Tess signed in before she had an authenticator.
    let who = |name: &str| crate::identity::Identified {
        provider: "local".into(),
        subject: name.into(),
        user: format!("{name}@corp.example"),
        email: None,
        name: None,
        groups: vec![],
        amr: vec!["pwd".into()],
        mfa: false,
        auth_time: NOW - 5,
    };
    let session = world.login.sessions().begin(&who("tess"), NOW).await.unwrap();
    let mut tess = Browser::default();
    let cookie = crate::session::SessionCookie { session: session.id, device: None, issued: NOW };
    tess.set(LOGIN, SESSION_COOKIE, &cookie.seal(&world.login.sealer(), "login.corp.example"));
    let page = world.open(&mut tess, &format!("{WIKI}/mfa")).await;
    assert!(page.url.starts_with(&format!("{LOGIN}/step-up?state=")), "{}", page.url);
    let (csrf, state) = (page.field("csrf"), page.field("state"));
    for (csrf, code, status) in [
        ("", world.code(), StatusCode::FORBIDDEN),
        (csrf.as_str(), "123".into(), StatusCode::UNAUTHORIZED),
        (&csrf, world.code(), StatusCode::OK),
    ] {
        let form = [("csrf", csrf), ("state", &state), ("code", &code)];
        let answer = world.follow(&mut tess, "POST", &format!("{LOGIN}/step-up"), &form).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.url == format!("{WIKI}/mfa"), status == StatusCode::OK);
    }
    let facts = session.facts();
    assert!(facts.mfa && facts.auth_time == NOW - 5, "a code is not a new sign-in");
    assert!(world.happened().contains(&Kind::SteppedUp));
    world.now += 1;
    let Found::Live(_) = world.login.sessions().find(session.id) else { panic!("gone") };
}
