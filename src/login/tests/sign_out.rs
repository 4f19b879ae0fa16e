use super::world::{Browser, LOGIN, PAYROLL, WIKI, Way, World};
use crate::login::LoginEventKind as Kind;
use crate::session::SESSION_COOKIE;
use axum::http::StatusCode;

#[tokio::test]
async fn signing_out_ends_the_session_on_every_host() {
    let world = World::new(&[Way::Local]).await;
    for (page, action) in [
        (format!("{WIKI}/.tiergate/logout"), format!("{WIKI}/.tiergate/logout")),
        (format!("{LOGIN}/"), format!("{LOGIN}/sign-out")),
    ] {
        let mut ann = world.signed_in("ann").await;
        world.open(&mut ann, &format!("{PAYROLL}/")).await;
        let stolen = ann.clone();
        let csrf = world.open(&mut ann, &page).await.field("csrf");
        let answer = world.send(&mut ann, "POST", &action, &[("csrf", &csrf)]).await;
        assert!(answer.status == StatusCode::OK && answer.shows("You are signed out"));
        assert_eq!(answer.header("clear-site-data"), r#""cache", "storage""#);
        assert_eq!(ann.cookie(&action, SESSION_COOKIE), None);
        assert_eq!(world.happened(), [Kind::SignedOut]);
        for mut browser in [ann, stolen] {
            for url in [WIKI, PAYROLL] {
                let page = world.open(&mut browser, &format!("{url}/")).await;
                assert!(page.shows("name=\"password\""), "{url} is still open");
            }
        }
        assert_eq!(world.login.sessions().active(), 0);
    }
}

#[tokio::test]
async fn nothing_but_our_own_form_signs_anybody_out() {
    let world = World::new(&[Way::Local]).await;
    let mut ann = world.signed_in("ann").await;
    let mut bob = world.signed_in("bob").await;
    let url = format!("{WIKI}/.tiergate/logout");
    let own = world.open(&mut ann, &url).await.field("csrf");
    let foreign = world.open(&mut bob, &url).await.field("csrf");
    let of_login = world.open(&mut ann, &format!("{LOGIN}/")).await.field("csrf");
    for (method, csrf, header) in [
        ("GET", "", None),
        ("GET", own.as_str(), None),
        ("POST", "", None),
        ("POST", &foreign, None),
        ("POST", &of_login, None),
        ("POST", &own, Some(("origin", "https://evil.test".to_owned()))),
        ("POST", &own, Some(("origin", PAYROLL.to_owned()))),
        ("POST", &own, Some(("sec-fetch-site", "same-site".to_owned()))),
        ("POST", "", Some(("origin", "null".to_owned()))),
        ("POST", &foreign, Some(("origin", "null".to_owned()))),
    ] {
        ann.headers = header.into_iter().collect();
        let url = if method == "GET" { format!("{url}?csrf={csrf}") } else { url.clone() };
        let answer = world.send(&mut ann, method, &url, &[("csrf", csrf)]).await;
        assert_eq!(answer.status == StatusCode::FORBIDDEN, method == "POST", "{method} {csrf}");
        assert_eq!(answer.header("clear-site-data"), "", "{method} {csrf}");
        ann.headers.clear();
        assert_eq!(world.open(&mut ann, &format!("{WIKI}/")).await.body, "ann@corp.example");
    }
    // A form from elsewhere comes without the cookie, and must not take anything away either.
    for origin in ["https://evil.test", "null"] {
        let headers = vec![("origin", origin.to_owned())];
        let mut without = Browser { headers, ..Browser::default() };
        let answer = world.send(&mut without, "POST", &url, &[]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
        assert_eq!((answer.header("set-cookie"), answer.header("clear-site-data")), ("", ""), "{origin}");
    }
}

#[tokio::test]
async fn whoever_has_the_token_signs_out_from_any_kind_of_client() {
    let world = World::new(&[Way::Local]).await;
    let url = format!("{WIKI}/.tiergate/logout");
    for (what, headers) in [
        ("a browser", vec![("origin", WIKI), ("sec-fetch-site", "same-origin")]),
        ("one that hides its origin", vec![("origin", "null"), ("sec-fetch-site", "same-origin")]),
        ("an old one that hides its origin", vec![("origin", "null")]),
        ("an old one", vec![("origin", WIKI)]),
        ("curl", vec![]),
    ] {
        let mut ann = world.signed_in("ann").await;
        let csrf = world.open(&mut ann, &url).await.field("csrf");
        ann.headers = headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        let answer = world.send(&mut ann, "POST", &url, &[("csrf", &csrf)]).await;
        assert!(answer.status == StatusCode::OK && answer.shows("You are signed out"), "{what}");
        assert_eq!(world.login.sessions().active(), 0, "{what}");
    }
}

#[tokio::test]
async fn whoever_is_signed_out_may_sign_out_and_may_look_at_every_page() {
    let world = World::new(&[Way::Local]).await;
    let mut nobody = Browser::default();
    for (method, url, status) in [
        ("POST", format!("{WIKI}/.tiergate/logout"), 200),
        ("GET", format!("{WIKI}/.tiergate/logout"), 200),
        ("GET", format!("{LOGIN}/"), 200),
        ("GET", format!("{LOGIN}/step-up"), 302),
        ("POST", format!("{LOGIN}/step-up"), 400),
        ("POST", format!("{LOGIN}/sign-in"), 400),
        ("GET", format!("{LOGIN}/sign-out"), 405),
        ("GET", format!("{LOGIN}/nothing"), 404),
        ("GET", format!("{LOGIN}/oidc/none/start"), 404),
        ("GET", format!("{LOGIN}/oidc/local/start"), 404),
        ("GET", format!("{WIKI}/.tiergate/nothing"), 404),
    ] {
        let answer = world.send(&mut nobody, method, &url, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {url}");
    }
}
