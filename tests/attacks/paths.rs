//! PATH: targets that two readers could read in two ways.

use super::scene::{AMBIGUOUS, Failures, NO_DEVICE, Scene, Want};
use crate::support::raw::exchange;
use crate::support::{Device, Tls};

/// Sent on to the one canonical path by an answer of tiergate's own, or refused.
const CANONICAL: Want = Want::AnsweredHere(&[400, 308], &["ambiguous_request", "own_page"]);
/// Read strictly or not at all.
const STRICT: Want = Want::Refused(&[400, 403], &["ambiguous_request", "device_required"]);
const ASTERISK: Want = Want::AnsweredHere(
    &[200, 204, 400, 401, 403, 404, 405],
    &["ambiguous_request", "own_page", "not_signed_in", "device_required", "no_route", "method_refused"],
);
const TOO_LONG: Want = Want::RefusedAndClosed(&[414, 431], &["request_too_large"]);

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_read_in_one_way_or_not_at_all() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for (id, target, want) in [
        ("PATH-01", &b"/open/../high/x"[..], AMBIGUOUS),
        ("PATH-01", b"/open/..", AMBIGUOUS),
        ("PATH-02", b"/open/%2e%2e/high/x", AMBIGUOUS),
        ("PATH-02", b"/open/%2E%2e/high/x", AMBIGUOUS),
        ("PATH-02", b"/open/.%2e/high/x", AMBIGUOUS),
        ("PATH-03", b"/open/..%2fhigh/x", AMBIGUOUS),
        ("PATH-03", b"/open%2f..%2fhigh", AMBIGUOUS),
        ("PATH-03", b"/high%2fx", AMBIGUOUS),
        ("PATH-03", b"/open%5cx", AMBIGUOUS),
        ("PATH-04", b"/open/%252e%252e/high/x", AMBIGUOUS),
        ("PATH-04", b"/open/%252fhigh", AMBIGUOUS),
        ("PATH-05", b"//high/x", CANONICAL),
        ("PATH-05", b"/open//../high", AMBIGUOUS),
        ("PATH-05", b"///high", CANONICAL),
        ("PATH-06", b"/./high/x", CANONICAL),
        ("PATH-06", b"/high/.", CANONICAL),
        ("PATH-06", b"/open/.//..//high", AMBIGUOUS),
        ("PATH-07", b"/open\\..\\high", AMBIGUOUS),
        ("PATH-07", b"/open/%5c..%5chigh", AMBIGUOUS),
        ("PATH-08", b"/open/..;/high/x", AMBIGUOUS),
        ("PATH-08", b"/open/..;a=b/high", AMBIGUOUS),
        ("PATH-08", b"/high;x=1/y", STRICT),
        ("PATH-08", b"/high%3bx", STRICT),
        ("PATH-09", b"/open\0/../high", AMBIGUOUS),
        ("PATH-09", b"/high%00", AMBIGUOUS),
        ("PATH-09", b"/open%00.html", AMBIGUOUS),
        ("PATH-10", b"/open%0d%0a", AMBIGUOUS),
        ("PATH-10", b"/open/%09", AMBIGUOUS),
        ("PATH-10", b"/open/%0a", AMBIGUOUS),
        ("PATH-11", b"/open/a b", AMBIGUOUS),
        ("PATH-11", b" /open/x", AMBIGUOUS),
        ("PATH-11", b"/open/x x", AMBIGUOUS),
        ("PATH-11", b"/open/x ", AMBIGUOUS),
        ("PATH-12", b"high/x", AMBIGUOUS),
        ("PATH-12", b"open/x", AMBIGUOUS),
        ("PATH-12", b"!", AMBIGUOUS),
        ("PATH-12", b"?x", AMBIGUOUS),
        ("PATH-13", b"*", AMBIGUOUS),
        ("PATH-14", b"https://{h}/open/x", Want::Passes(|seen| seen.target == "/open/x")),
        ("PATH-14", b"https://{h}/high/x", NO_DEVICE),
        ("PATH-14", b"http://{h}/open/x", AMBIGUOUS),
        ("PATH-14", b"https://other.localhost/open/x", AMBIGUOUS),
        ("PATH-15", b"https://u@{h}/open/x", AMBIGUOUS),
        ("PATH-15", b"http:///high", AMBIGUOUS),
        ("PATH-15", b"https:///open/x", AMBIGUOUS),
        ("PATH-16", b"/high#/open/x", AMBIGUOUS),
        ("PATH-16", b"/open/x#y", AMBIGUOUS),
        ("PATH-16", b"/open/x?a#y", AMBIGUOUS),
        ("PATH-16", b"/open/x%23", Want::Passes(|seen| seen.target == "/open/x%23")),
        ("PATH-17", b"/high/x?/open/", NO_DEVICE),
        ("PATH-17", b"/high?a=/open/x", NO_DEVICE),
        ("PATH-17", b"/open/x?/high", Want::Passes(|seen| seen.target == "/open/x?/high")),
        ("PATH-17", b"/open/x?a=/../high", Want::Passes(|seen| seen.target == "/open/x?a=/../high")),
        ("PATH-18", b"/high/open/x", NO_DEVICE),
        ("PATH-18", b"/openx", NO_DEVICE),
        ("PATH-18", b"/open/x*", Want::Passes(|seen| seen.target == "/open/x*")),
        ("PATH-18", b"/open/x%0ay", AMBIGUOUS),
        ("PATH-20", b"/%68igh/x", NO_DEVICE),
        ("PATH-20", b"/h%69gh/x", NO_DEVICE),
        ("PATH-20", b"/%6fpen/x", Want::Passes(|seen| seen.target == "/open/x")),
        ("PATH-21", b"/%c0%ae%c0%ae/high", AMBIGUOUS),
        ("PATH-21", b"/open/\xff", AMBIGUOUS),
        ("PATH-21", b"/open/%ff", AMBIGUOUS),
        ("PATH-22", b"/high/%", AMBIGUOUS),
        ("PATH-22", b"/open/%zz", AMBIGUOUS),
        ("PATH-22", b"/open/%2", AMBIGUOUS),
    ] {
        let text = [b"GET ", target, b" HTTP/1.1\r\n{H}\r\n"].concat();
        failures.note(&format!("{id} {}", target.escape_ascii()), scene.attack(&text, want).await);
    }
    for byte in (0x01..=0x1f_u8).chain([0x7f]) {
        let text = [b"GET /open/", &[byte][..], b"x HTTP/1.1\r\n{H}\r\n"].concat();
        failures.note(&format!("PATH-10 {byte:#04x}"), scene.attack(&text, AMBIGUOUS).await);
    }
    failures.note("PATH-13 OPTIONS", scene.attack(b"OPTIONS * HTTP/1.1\r\n{H}\r\n", ASTERISK).await);
    failures.note(
        "PATH-05 POST",
        scene.attack(b"POST //open/x HTTP/1.1\r\n{H}Content-Length: 0\r\n\r\n", AMBIGUOUS).await,
    );
    failures.none();
}

/// Here the whole host is open and one section is not, so whatever misses the section gets in.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_sensitive_section_is_taken_for_another_path() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for (id, target, want) in [
        ("PATH-01", &b"/x/../high"[..], AMBIGUOUS),
        ("PATH-05", b"//high", CANONICAL),
        ("PATH-06", b"/./high", CANONICAL),
        ("PATH-08", b"/high;x=1/y", STRICT),
        ("PATH-08", b"/high%3bx", STRICT),
        ("PATH-08", b"/high;", STRICT),
        ("PATH-19", b"/HIGH/x", STRICT),
        ("PATH-19", b"/High/x", STRICT),
        ("PATH-19", b"/hIgH/x", STRICT),
        ("PATH-20", b"/%68igh/x", STRICT),
        ("PATH-20", b"/%48igh/x", STRICT),
        ("PATH-23", b"/high/x%20", STRICT),
        ("PATH-23", b"/high%20", STRICT),
        ("PATH-23", b"/high%20/x", STRICT),
        ("PATH-23", b"/high/x%09", AMBIGUOUS),
        ("PATH-23", b"/high.", STRICT),
        ("PATH-23", b"/high./x", STRICT),
        ("PATH-23", b"/high/", STRICT),
        ("PATH-23", b"/high", STRICT),
        ("PATH-24", b"/adm%C4%B1n", Want::Passes(|seen| seen.target == "/adm%C4%B1n")),
        ("PATH-24", b"/h%C4%B1gh", Want::Passes(|seen| seen.target == "/h%C4%B1gh")),
        ("PATH-24", b"/high%EF%BC%8Fx", Want::Passes(|seen| seen.target == "/high%EF%BC%8Fx")),
        ("PATH-18", b"/highx", Want::Passes(|seen| seen.target == "/highx")),
    ] {
        let text = [b"GET ", target, b" HTTP/1.1\r\n{M}\r\n"].concat();
        let result = scene.attack_as("mixed.localhost", Device::None, &text, want).await;
        failures.note(&format!("{id} {}", target.escape_ascii()), result);
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_the_canonical_path_stays_on_the_host() {
    let scene = Scene::start().await;
    scene.clear();
    for (target, want) in [
        ("//high/x?a=b", "/high/x?a=b"),
        ("///other.localhost/x", "/other.localhost/x"),
        ("/./high/x", "/high/x"),
    ] {
        let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
        let seen =
            exchange(stream, &scene.fill(format!("GET {target} HTTP/1.1\r\n{{H}}\r\n").as_bytes()), 1).await;
        if seen.status() == 308 {
            let location = seen.answers[0].header("location").unwrap();
            let whole = format!("https://{}{want}", scene.authority("app.localhost"));
            assert!(location == want || location == whole, "PATH-05 {target}: {location}");
        } else {
            assert_eq!(seen.status(), 400, "PATH-05 {target}");
        }
    }
    assert!(scene.upstream.bytes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_target_is_taken_up_to_the_limit_and_refused_beyond() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for (size, want) in [
        (8 << 10, Want::Passes(|seen| seen.target.len() == (8 << 10) + "/open/".len())),
        (64 << 10, TOO_LONG),
    ] {
        let text = format!("GET /open/{} HTTP/1.1\r\n{{H}}\r\n", "a".repeat(size));
        failures.note(&format!("PATH-25 {size}"), scene.attack(text.as_bytes(), want).await);
    }
    // The server stops reading long before the end, so the answer may be lost to a reset.
    let mark = scene.clear();
    let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
    let text = format!("GET /open/{} HTTP/1.1\r\n{{H}}\r\n", "a".repeat(1 << 20));
    let seen = exchange(stream, &scene.fill(text.as_bytes()), 1).await;
    let events = scene.decisions(&mark, 1).await;
    failures.check("PATH-25 1 MiB", seen.closed && matches!(seen.status(), 0 | 414 | 431), || {
        format!("{seen:?}")
    });
    let reasons: Vec<_> = events.iter().map(crate::support::audit::reason).collect();
    failures.check("PATH-25 1 MiB", reasons == ["request_too_large"], || format!("audit {reasons:?}"));
    failures.check("PATH-25 1 MiB", scene.upstream.bytes().is_empty(), || {
        "something reached the upstream".into()
    });
    failures.none();
}
