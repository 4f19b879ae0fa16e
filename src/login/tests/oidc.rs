use super::idp::AUTHORIZE;
use super::world::{Answer, Browser, LOGIN, PAYROLL, WIKI, Way, World};
use crate::login::LoginEventKind as Kind;
use crate::session::{OIDC_COOKIE_PREFIX, SESSION_COOKIE};
use axum::http::StatusCode;
use std::fmt::Write as _;

/// How often the provider was asked to exchange a code.
fn calls(world: &World) -> usize {
    world.idp().script.lock().unwrap().token_asked
}

/// What the provider sends the browser back to. Its codes stand for whom [`Way::Workforce`] takes
/// them for, in the very sign-in that was begun.
fn back(at_provider: &Answer, answer: &str) -> String {
    let url = url::Url::parse(at_provider.hops.last().unwrap()).unwrap();
    let value = |name| url.query_pairs().find(|(is, _)| is == name).unwrap().1.into_owned();
    let mut back = format!("{}?state={}&{answer}", value("redirect_uri"), value("state"));
    if answer.starts_with("code=") {
        write!(back, ".{}.{}", value("nonce"), value("code_challenge")).unwrap();
    }
    back
}

fn waiting(browser: &Browser) -> usize {
    browser.jar.keys().filter(|(_, name)| name.starts_with(OIDC_COOKIE_PREFIX)).count()
}

#[tokio::test]
async fn the_only_provider_is_gone_to_at_once_and_comes_back_to_the_same_url() {
    let world = World::new(&[Way::Workforce]).await;
    let mut eve = Browser::default();
    let url = format!("{WIKI}/{}", "x".repeat(2000));
    let away = world.open(&mut eve, &url).await;
    let back = back(&away, "code=eve");
    assert!(back.starts_with(&format!("{LOGIN}/oidc/idp/callback?")), "{back}");
    assert_eq!(waiting(&eve), 1);
    let before = eve.clone();
    let page = world.open(&mut eve, &back).await;
    assert_eq!((page.url.as_str(), page.body.as_str()), (url.as_str(), "eve"));
    assert_eq!((waiting(&eve), calls(&world)), (0, 1));
    // The same answer again, with and without the cookie that waited for it.
    for mut browser in [eve, before] {
        let page = world.send(&mut browser, "GET", &back, &[]).await;
        assert_eq!((page.status, calls(&world)), (StatusCode::BAD_REQUEST, 1));
    }
    assert_eq!(world.login.sessions().active(), 1);
}

#[tokio::test]
async fn an_answer_that_this_browser_does_not_wait_for_is_refused_unasked() {
    let mut world = World::new(&[Way::Workforce]).await;
    let mut mallory = Browser::default();
    let at = world.open(&mut mallory, &format!("{WIKI}/")).await;
    let theirs = back(&at, "code=mallory");
    let mut eve = Browser::default();
    let at = world.open(&mut eve, &format!("{WIKI}/")).await;
    let own = back(&at, "code=eve");
    for (url, what) in [
        (theirs.as_str(), "another browser's"),
        (&format!("{LOGIN}/oidc/idp/callback?code=eve"), "no state"),
        (&format!("{LOGIN}/oidc/idp/callback"), "nothing"),
        (&format!("{own}&state=twice"), "two states"),
        (&format!("{own}{}", "x".repeat(9000)), "too long"),
    ] {
        let page = world.send(&mut eve, "GET", url, &[]).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{what}");
        assert_eq!(page.location(), "", "{what}");
        assert!(eve.cookie(LOGIN, SESSION_COOKIE).is_none(), "{what}");
    }
    assert_eq!(calls(&world), 0);
    world.now += 601;
    assert_eq!(world.send(&mut eve, "GET", &own, &[]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(calls(&world), 0, "ten minutes are over");
    world.now -= 1;
    let page = world.open(&mut eve, &own).await;
    assert_eq!((page.body.as_str(), calls(&world)), ("eve", 1));
}

#[tokio::test]
async fn an_error_of_the_provider_is_a_page_without_its_words_and_without_a_circle() {
    let world = World::new(&[Way::Workforce]).await;
    for answer in [
        "error=access_denied&error_description=<script>alert(1)</script>",
        "error=%3Cscript%3E",
        "error=access_denied&code=eve",
        "code=bad",
        "iss=x",
    ] {
        let mut eve = Browser::default();
        let at = world.open(&mut eve, &format!("{WIKI}/x")).await;
        let before = calls(&world);
        let page = world.send(&mut eve, "GET", &back(&at, answer), &[]).await;
        assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, ""), "{answer}");
        assert!(!page.shows("<script"), "{answer}");
        assert_eq!(calls(&world) > before, answer.starts_with("code"), "{answer}");
        assert_eq!((waiting(&eve), eve.cookie(LOGIN, SESSION_COOKIE)), (0, None), "{answer}");
        // The link on it shows a page to start from, and does not go there by itself.
        let link = format!("{LOGIN}{}", page.link());
        let page = world.open(&mut eve, &link).await;
        assert!(page.hops.is_empty() && page.shows("/oidc/idp/start?state="), "{}", page.body);
    }
    assert!(world.happened().iter().all(|kind| *kind == Kind::ProviderFailed));
}

#[tokio::test]
async fn a_provider_that_says_it_is_down_is_waited_for_and_one_that_says_no_is_not() {
    let world = World::new(&[Way::Workforce]).await;
    for (answer, want) in [
        ("error=temporarily_unavailable", (503, "30", Kind::ProviderUnavailable)),
        ("error=server_error", (503, "30", Kind::ProviderUnavailable)),
        ("error=login_required", (400, "", Kind::ProviderFailed)),
        ("code=bad", (400, "", Kind::ProviderFailed)),
    ] {
        let mut eve = Browser::default();
        let at = world.open(&mut eve, &format!("{WIKI}/x")).await;
        let page = world.send(&mut eve, "GET", &back(&at, answer), &[]).await;
        let kind = world.happened().pop().unwrap();
        assert_eq!((page.status.as_u16(), page.header("retry-after"), kind), want, "{answer}");
        assert_eq!((waiting(&eve), page.location()), (0, ""), "{answer}");
    }
}

#[tokio::test]
async fn many_tabs_do_not_disturb_each_other_and_the_oldest_goes() {
    let mut world = World::new(&[Way::Workforce]).await;
    let mut eve = Browser::default();
    let mut tabs = Vec::new();
    for tab in 0..7 {
        world.now += 1;
        tabs.push(back(&world.open(&mut eve, &format!("{WIKI}/{tab}")).await, "code=eve"));
        assert!(waiting(&eve) <= 5);
    }
    for (tab, url) in tabs.iter().enumerate() {
        let page = world.open(&mut eve, url).await;
        if tab < 2 {
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{tab}");
        } else {
            assert_eq!((page.url, page.body.as_str()), (format!("{WIKI}/{tab}"), "eve"));
        }
    }
    assert_eq!(world.login.sessions().active(), 1);
}

#[tokio::test]
async fn a_step_up_that_the_provider_does_not_make_is_explained_once() {
    let world = World::new(&[Way::Local, Way::Workforce]).await;
    let mut eve = Browser::default();
    let page = world.open(&mut eve, &format!("{WIKI}/x")).await;
    assert!(page.shows("name=\"password\"") && page.shows("/oidc/idp/start?state="));
    let start = format!("{LOGIN}/oidc/idp/start?state={}", page.field("state"));
    let at = world.open(&mut eve, &start).await;
    assert!(at.hops[0].starts_with(AUTHORIZE) && !at.hops[0].contains("acr_values="));
    assert_eq!(world.open(&mut eve, &back(&at, "code=eve")).await.body, "eve");
    world.happened();

    let at = world.open(&mut eve, &format!("{WIKI}/mfa")).await;
    assert!(at.hops.last().unwrap().contains("acr_values=urn%3Amfa"));
    let page = world.open(&mut eve, &back(&at, "code=eve")).await;
    assert!(page.status == StatusCode::FORBIDDEN && page.shows("second factor"));
    let at = world.open(&mut eve, &format!("{WIKI}/mfa")).await;
    let page = world.open(&mut eve, &back(&at, "code=eve:mfa")).await;
    assert_eq!((page.url.as_str(), page.body.as_str()), (&*format!("{WIKI}/mfa"), "eve"));
    assert_eq!(world.happened(), [Kind::Reauthenticated, Kind::Reauthenticated]);
    assert_eq!(world.login.sessions().active(), 1);
}

#[tokio::test]
async fn a_stale_proof_is_refused_and_another_subject_is_another_user() {
    let mut world = World::new(&[Way::Workforce]).await;
    let mut eve = Browser::default();
    let at = world.open(&mut eve, &format!("{WIKI}/")).await;
    world.open(&mut eve, &back(&at, "code=eve")).await;
    world.now += 100;
    let at = world.open(&mut eve, &format!("{WIKI}/fresh")).await;
    let old = world.now - 90;
    let page = world.open(&mut eve, &back(&at, &format!("code=eve::{old}"))).await;
    assert!(page.status == StatusCode::FORBIDDEN && page.shows("once more"));
    world.happened();
    let at = world.open(&mut eve, &format!("{WIKI}/fresh")).await;
    let page = world.open(&mut eve, &back(&at, "code=zoe")).await;
    assert_eq!((page.url.as_str(), page.body.as_str()), (&*format!("{WIKI}/fresh"), "zoe"));
    assert_eq!(world.happened(), [Kind::SignedIn, Kind::Replaced]);
    assert_eq!(world.open(&mut eve, &format!("{PAYROLL}/")).await.body, "zoe");
}

#[tokio::test]
async fn a_signed_out_user_is_not_signed_in_again_by_a_redirect() {
    let world = World::new(&[Way::Workforce]).await;
    let mut eve = Browser::default();
    let at = world.open(&mut eve, &format!("{WIKI}/")).await;
    world.open(&mut eve, &back(&at, "code=eve")).await;
    let url = format!("{WIKI}/.tiergate/logout");
    let csrf = world.open(&mut eve, &url).await.field("csrf");
    let page = world.send(&mut eve, "POST", &url, &[("csrf", &csrf)]).await;
    let page = world.open(&mut eve, &page.link()).await;
    assert!(page.hops.is_empty() && page.shows("/oidc/idp/start"), "{}", page.body);
}
