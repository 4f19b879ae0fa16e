//! ID: headers that a proxy or a balancer could have set, credentials, and what an upstream sends back.

use super::identity::is_clean;
use super::scene::{Failures, Scene, Want};
use crate::support::raw::exchange;
use crate::support::{Device, Seen, Tls};

/// One header on the open tier, and whether it arrives.
async fn crosses(scene: &Scene, line: &[u8], arrives: fn(&Seen) -> bool) -> Result<(), String> {
    let text = [b"POST /open/x HTTP/1.1\r\n{H}Content-Length: 0\r\n", line, b"\r\n\r\n"].concat();
    scene.attack(&text, Want::Passes(arrives)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_proxy_says_is_said_by_this_one() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for name in [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Server",
        "X-Forwarded-Ssl",
        "X-Forwarded-Tls-Client-Cert",
        "Forwarded",
        "X-Real-IP",
        "True-Client-IP",
        "Via",
        "X-Original-URL",
        "X-Rewrite-URL",
    ] {
        let line = format!("{name}: evil");
        failures.note(&format!("ID-10 {name}"), crosses(&scene, line.as_bytes(), is_clean).await);
    }
    let forwarded = |seen: &Seen| {
        seen.header("x-forwarded-for") == Some("127.0.0.1")
            && seen.header("x-forwarded-proto") == Some("https")
            && seen.header("x-forwarded-host").is_some_and(|host| host.starts_with("app.localhost:"))
    };
    failures.note("ID-10 rebuilt", crosses(&scene, b"X-Forwarded-For: 10.9.9.9", forwarded).await);
    for name in ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "X_HTTP_Method_Override"] {
        let line = format!("{name}: evil");
        failures.note(&format!("ID-12 {name}"), crosses(&scene, line.as_bytes(), is_clean).await);
    }
    for name in [
        "Client-Cert",
        "Client-Cert-Chain",
        "X-Client-Cert",
        "X-SSL-Client-Verify",
        "X-SSL-Client-Cert",
        "X-Forwarded-Client-Cert",
    ] {
        let line = format!("{name}: evil");
        failures.note(&format!("ID-13 {name}"), crosses(&scene, line.as_bytes(), is_clean).await);
    }
    failures.note("ID-15", crosses(&scene, b"Proxy: http://evil", is_clean).await);
    failures.note("ID-16", crosses(&scene, b"X-Tiergate-User: \x85admin\xa0 evil", is_clean).await);
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_reach_only_whom_they_are_for() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let cookie = scene.employee.cookie("app.localhost").unwrap();
    let text = format!(
        "GET /open/x HTTP/1.1\r\nHost: {{h}}\r\nCookie: theirs=1; {cookie}; more=2\r\nAuthorization: Basic YTpi\r\nProxy-Authorization: Basic ZXZpbA==\r\n\r\n"
    );
    let holds = |seen: &Seen| {
        seen.header("cookie") == Some("theirs=1; more=2")
            && seen.header("authorization") == Some("Basic YTpi")
            && seen.all("proxy-authorization").is_empty()
    };
    failures.note("ID-17", scene.attack(text.as_bytes(), Want::Passes(holds)).await);
    let text = format!(
        "GET /open/x HTTP/1.1\r\nHost: {{h}}\r\nCookie: {cookie}; __Host-tiergate-browser=abc; __Host-tiergate-oidc-1=x\r\n\r\n"
    );
    failures.note(
        "ID-17 all of ours",
        scene.attack(text.as_bytes(), Want::Passes(|seen| seen.all("cookie").is_empty())).await,
    );
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_cannot_set_our_cookies() {
    let scene = Scene::start().await;
    scene.upstream.answer_with(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: __Host-tiergate=x; Path=/; Secure\r\nset-cookie: theirs=1\r\n\
          SET-COOKIE: __Host-tiergate-browser=x; Path=/; Secure\r\nSet-Cookie:   __Host-tiergate=y\r\n\r\nok"
            .to_vec()
    });
    let mark = scene.clear();
    let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
    let seen = exchange(stream, &scene.fill(b"GET /open/x HTTP/1.1\r\n{H}\r\n"), 1).await;
    assert_eq!(seen.statuses(), [200], "ID-18");
    assert_eq!(seen.answers[0].all("set-cookie"), ["theirs=1"], "ID-18");
    assert_eq!(scene.decisions(&mark, 1).await.len(), 1, "ID-18");
}
