//! ID: headers that claim to be tiergate's own. Whatever a client says of itself, the upstream is told
//! what tiergate knows, once.

use super::scene::{AMBIGUOUS, Failures, NO_DEVICE, NOT_SIGNED_IN, Scene, Want};
use crate::support::{Device, Seen};

/// A value that must never arrive.
const EVIL: &str = "evil";

/// Names that tiergate sets, or that an upstream could take for such.
const NAMES: &[&str] = &[
    "X-Tiergate-User",
    "X-Tiergate-Email",
    "X-Tiergate-Groups",
    "X-Tiergate-Device",
    "X-Tiergate-Device-Trust",
    "X-Tiergate-Tier",
    "X-Tiergate-Assertion",
    "X-Tiergate-Anything",
    "X-Request-Id",
    "traceparent",
    "X-Forwarded-User",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
];

/// No value of the client's, and each of ours exactly once.
pub fn is_clean(seen: &Seen) -> bool {
    let evil = seen.headers.iter().any(|(name, value)| value.contains(EVIL) || name.contains(EVIL));
    let once = [
        "x-tiergate-user",
        "x-tiergate-tier",
        "x-tiergate-device-trust",
        "x-tiergate-assertion",
        "x-request-id",
    ];
    let folded = |name: &str| name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let count = |wanted: &str| seen.headers.iter().filter(|(name, _)| folded(name) == wanted).count();
    !evil
        && once.iter().all(|name| count(name) == 1)
        && seen.header("x-tiergate-user") == Some("employee@corp.example")
}

fn spellings(name: &str) -> Vec<(&'static str, String)> {
    let mixed = name
        .char_indices()
        .map(|(at, c)| if at % 2 == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
    vec![
        ("ID-01", name.to_owned()),
        ("ID-02", name.to_ascii_lowercase()),
        ("ID-02", name.to_ascii_uppercase()),
        ("ID-02", mixed.collect()),
        ("ID-03", name.replace('-', "_")),
        ("ID-03", name.replacen('-', "_", 1)),
        ("ID-04", name.replace('-', ".")),
        ("ID-04", format!("{name}_")),
        ("ID-04", name.replacen('-', "--", 1)),
        ("ID-04", format!("{name}-")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_header_of_ours_gets_through() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for name in NAMES {
        for (id, spelling) in spellings(name) {
            let text = format!("GET /open/x HTTP/1.1\r\n{{H}}{spelling}: {EVIL}\r\n\r\n");
            failures.note(
                &format!("{id} {spelling}"),
                scene.attack(text.as_bytes(), Want::Passes(is_clean)).await,
            );
        }
        let before = format!("GET /open/x HTTP/1.1\r\n{name}: {EVIL}-1\r\n{{H}}{name}: {EVIL}-2\r\n\r\n");
        failures.note(
            &format!("ID-05 {name} twice"),
            scene.attack(before.as_bytes(), Want::Passes(is_clean)).await,
        );
        let stranger = format!("GET /open/x HTTP/1.1\r\nHost: {{h}}\r\n{name}: admin@corp.example\r\n\r\n");
        failures.note(
            &format!("ID-01 {name} signed out"),
            scene.attack(stranger.as_bytes(), NOT_SIGNED_IN).await,
        );
        let above = format!("GET /high/x HTTP/1.1\r\n{{H}}{name}: issued\r\n\r\n");
        failures
            .note(&format!("ID-01 {name} without a device"), scene.attack(above.as_bytes(), NO_DEVICE).await);
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_tiers_are_told_the_truth_too() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for (device, path, tier) in [(Device::Enrolled, "/low/x", "low"), (Device::Issued, "/high/x", "high")] {
        let browser =
            crate::support::Browser::signed_in(&scene.estate, device, "employee", &["app.localhost"]).await;
        let cookie = browser.cookie("app.localhost").unwrap();
        for name in NAMES {
            let text =
                format!("GET {path} HTTP/1.1\r\nHost: {{h}}\r\nCookie: {cookie}\r\n{name}: {EVIL}\r\n\r\n");
            let result =
                scene.attack_as("app.localhost", device, text.as_bytes(), Want::Passes(is_clean)).await;
            failures.note(&format!("ID-01 {name} on {tier}"), result);
            let seen = scene
                .upstream
                .requests()
                .first()
                .and_then(|seen| seen.header("x-tiergate-tier").map(str::to_owned));
            failures.check(&format!("ID-01 {name} on {tier}"), seen.as_deref() == Some(tier), || {
                format!("tier {seen:?}")
            });
        }
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_have_our_headers_removed_as_hop_by_hop() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for connection in [
        "Connection: X-Tiergate-User",
        "Connection: close, x-tiergate-device-trust",
        "Connection: keep-alive,X-TIERGATE-USER",
        "Connection: x-tiergate-tier\r\nConnection: X-Tiergate-Assertion, X-Custom",
        "Connection: x-request-id, traceparent",
    ] {
        let text = format!("GET /open/x HTTP/1.1\r\n{{H}}X-Custom: mine\r\n{connection}\r\n\r\n");
        let holds = |seen: &Seen| {
            let connection = seen.all("connection").join(",").to_ascii_lowercase();
            is_clean(seen) && !connection.contains("x-") && seen.all("x-forwarded-for").len() == 1
        };
        failures
            .note(&format!("ID-06 {connection}"), scene.attack(text.as_bytes(), Want::Passes(holds)).await);
        let named = connection.contains("X-Custom");
        let arrived = scene.upstream.requests().first().is_some_and(|seen| !seen.all("x-custom").is_empty());
        failures.check(&format!("ID-06 {connection}"), arrived != named, || {
            "a nominated header crossed, or another did not".into()
        });
    }
    for connection in ["Connection: Host, Cookie", "Connection: host", "Connection: close, HOST"] {
        let text = format!("GET /open/x HTTP/1.1\r\n{{H}}{connection}\r\n\r\n");
        failures.note(&format!("ID-07 {connection}"), scene.attack(text.as_bytes(), AMBIGUOUS).await);
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_carry_nothing_across() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let text = b"POST /open/x HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nTrailer: X-Tiergate-User\r\n\r\n\
        5\r\nhello\r\n0\r\nX-Tiergate-User: evil\r\nX_Forwarded_User: evil\r\nContent-Length: 9\r\n\r\n";
    let holds = |seen: &Seen| {
        is_clean(seen) && crate::support::find(&seen.raw_body, b"evil").is_none() && seen.body == b"hello"
    };
    failures.note("ID-08", scene.attack(text, Want::Passes(holds)).await);
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_decides_is_the_request_and_not_what_a_header_says_of_it() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for header in ["X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Path"]
    {
        let text = format!("GET /high/x HTTP/1.1\r\n{{H}}{header}: /open/x\r\n\r\n");
        failures.note(&format!("ID-11 {header}"), scene.attack(text.as_bytes(), NO_DEVICE).await);
    }
    for header in [
        "User-Agent: ELB-HealthChecker/2.0",
        "User-Agent: GoogleHC/1.0",
        "User-Agent: kube-probe/1.29",
        "X-Health: 1",
    ] {
        let text = format!("GET /high/x HTTP/1.1\r\n{{H}}{header}\r\n\r\n");
        failures.note(&format!("ID-14 {header}"), scene.attack(text.as_bytes(), NO_DEVICE).await);
        let text = format!("GET /high/x HTTP/1.1\r\nHost: {{h}}\r\n{header}\r\n\r\n");
        failures
            .note(&format!("ID-14 {header} signed out"), scene.attack(text.as_bytes(), NOT_SIGNED_IN).await);
    }
    for bytes in [&b"a\rb"[..], b"a\nb", b"a\0b", b"a\r\n b", b"\x01"] {
        let text = [b"GET /open/x HTTP/1.1\r\n{H}X-Forwarded-User: ", bytes, b"\r\n\r\n"].concat();
        failures.note(&format!("ID-16 {}", bytes.escape_ascii()), scene.attack(&text, AMBIGUOUS).await);
    }
    failures.none();
}
