//! HOST: which host a request is for, by the handshake, the request and the certificate.

use super::scene::{AMBIGUOUS, Failures, MISFRAMED, NOT_SIGNED_IN, Scene, Want};
use crate::support::frames::{END_STREAM, Frames};
use crate::support::raw::{Talk, exchange};
use crate::support::{Browser, Device, Tls};

const NOT_COVERED: Want = Want::Refused(&[421], &["host_not_covered"]);
const WITHOUT_DEVICE: Want = Want::Refused(&[421], &["connection_without_device"]);
const UNKNOWN: Want = Want::Refused(&[404, 421], &["no_route", "host_not_covered"]);
const UNROUTED: Want = Want::Refused(&[404], &["no_route"]);

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_for_a_host_of_its_connection_or_misdirected() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let get = |host: &str| format!("GET /open/x HTTP/1.1\r\nHost: {}\r\n\r\n", scene.authority(host));
    for (id, sni, device, host, want) in [
        ("HOST-01", "wiki.localhost", Device::None, "app.localhost", NOT_COVERED),
        ("HOST-01", "app.localhost", Device::None, "wiki.localhost", NOT_COVERED),
        ("HOST-01", "app.localhost", Device::None, "payroll.localhost", NOT_COVERED),
        ("HOST-01", "wiki.localhost", Device::None, "payroll.localhost", WITHOUT_DEVICE),
        ("HOST-01", "wiki.localhost", Device::None, "tickets.localhost", WITHOUT_DEVICE),
        // With a certificate, the other host is judged like any other.
        ("HOST-01", "wiki.localhost", Device::Issued, "payroll.localhost", NOT_SIGNED_IN),
        ("HOST-01", "mixed.localhost", Device::None, "other.localhost", NOT_SIGNED_IN),
        // No SNI: the first certificate is served, and the address is nobody's name.
        ("HOST-03", "127.0.0.1", Device::None, "app.localhost", NOT_COVERED),
        // A client that names nobody has no connection for another name that it could open: it is judged as it is.
        ("HOST-03", "127.0.0.1", Device::None, "payroll.localhost", NOT_SIGNED_IN),
        ("HOST-03", "127.0.0.1", Device::Issued, "payroll.localhost", NOT_SIGNED_IN),
        ("HOST-05", "PaYrOlL.lOcAlHoSt", Device::None, "payroll.localhost", NOT_SIGNED_IN),
        ("HOST-15", "wiki.localhost", Device::None, "unknown.localhost", UNKNOWN),
        ("HOST-15", "lost.localhost", Device::None, "lost.localhost", UNROUTED),
    ] {
        let result = scene.attack_as(sni, device, get(host).as_bytes(), want).await;
        failures.note(&format!("{id} SNI {sni} {device:?} Host {host}"), result);
    }
    // The same with a session: it is for its own host, and a device is still missing.
    let both = format!("GET /open/x HTTP/1.1\r\nHost: {}\r\n{{C}}\r\n", scene.authority("payroll.localhost"));
    failures.note(
        "HOST-01 cookie",
        scene.attack_as("wiki.localhost", Device::None, both.as_bytes(), WITHOUT_DEVICE).await,
    );
    let metrics = scene.estate.metrics();
    failures.check(
        "HOST-15",
        !metrics.contains("unknown.localhost") && !metrics.contains("lost.localhost"),
        || "a client's host is a label".into(),
    );
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_http2_connection_does_not_carry_a_weaker_handshake_to_a_stricter_host() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let wiki = Browser::signed_in(&scene.estate, Device::None, "finance", &["wiki.localhost"]).await;
    let (hello, cookie) = (scene.authority("wiki.localhost"), wiki.cookie("wiki.localhost").unwrap());
    let mark = scene.clear();
    let mut frames = Frames::start(scene.estate.connect("wiki.localhost", Device::None, Tls::H2).await).await;
    for (stream, authority, want) in [
        (1, &hello, 200),
        (3, &scene.authority("payroll.localhost"), 421),
        (5, &scene.authority("app.localhost"), 421),
        (7, &hello, 200),
    ] {
        let fields: [(&[u8], &[u8]); 5] = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", authority.as_bytes()),
            (b":path", b"/headers"),
            (b"cookie", cookie.as_bytes()),
        ];
        frames.headers(stream, END_STREAM, &fields).await;
        let status = frames.outcome(stream).await;
        failures.check(&format!("HOST-02 stream {stream}"), status == want, || {
            format!("{status}, wanted {want}")
        });
    }
    let mut reasons: Vec<_> =
        scene.decisions(&mark, 4).await.iter().map(|event| event["reason"].to_string()).collect();
    // Streams end side by side.
    reasons.sort();
    let wanted = ["\"allowed\"", "\"allowed\"", "\"connection_without_device\"", "\"host_not_covered\""];
    failures.check("HOST-02", reasons == wanted, || format!("{reasons:?}"));
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_plain_or_refused() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let long = format!("{}.localhost", ["a"; 150].join("."));
    for (id, lines, want) in [
        ("HOST-06", "{C}", MISFRAMED),
        ("HOST-07", "Host: \r\n{C}", AMBIGUOUS),
        ("HOST-08", "Host: {h}\r\nHost: {h}\r\n{C}", MISFRAMED),
        ("HOST-08", "Host: {h}\r\nHost: other.localhost\r\n{C}", MISFRAMED),
        ("HOST-09", "Host: {h}, other.localhost\r\n{C}", AMBIGUOUS),
        ("HOST-10", "Host: app.localhost/high\r\n{C}", AMBIGUOUS),
        ("HOST-10", "Host: app.localhost?x\r\n{C}", AMBIGUOUS),
        ("HOST-10", "Host: app.localhost#x\r\n{C}", AMBIGUOUS),
        ("HOST-10", "Host: app.localhost\\x\r\n{C}", AMBIGUOUS),
        ("HOST-11", "Host: user@app.localhost\r\n{C}", AMBIGUOUS),
        ("HOST-11", "Host: app.localhost@other.localhost\r\n{C}", AMBIGUOUS),
        ("HOST-12", "Host: app.localhost:\r\n{C}", AMBIGUOUS),
        ("HOST-12", "Host: app.localhost:99999\r\n{C}", AMBIGUOUS),
        ("HOST-12", "Host: app.localhost:0\r\n{C}", AMBIGUOUS),
        ("HOST-12", "Host: app.localhost:443abc\r\n{C}", AMBIGUOUS),
        ("HOST-12", "Host: app.localhost:443\r\n{C}", Want::Passes(|seen| seen.target == "/open/x")),
        ("HOST-12", "Host: app.localhost:80\r\n{C}", Want::Passes(|seen| seen.target == "/open/x")),
        (
            "HOST-13",
            "Host: APP.LocalHost\r\n{C}",
            Want::Passes(|seen| seen.header("host") == Some("app.localhost")),
        ),
        (
            "HOST-13",
            "Host: app.localhost.\r\n{C}",
            Want::Passes(|seen| seen.header("host") == Some("app.localhost")),
        ),
        (
            "HOST-13",
            "Host: APP.LOCALHOST.:{P}\r\n{C}",
            Want::Passes(|seen| seen.header("host").is_some_and(|host| host.starts_with("app.localhost:"))),
        ),
        ("HOST-14", "Host: xn--app-.localhost\r\n{C}", AMBIGUOUS),
        ("HOST-14", "Host: äpp.localhost\r\n{C}", AMBIGUOUS),
        ("HOST-14", "Host: app..localhost\r\n{C}", AMBIGUOUS),
        ("HOST-14", &format!("Host: {long}\r\n{{C}}"), AMBIGUOUS),
        ("HOST-19", "X: y\r\n Host: {h}\r\n{C}", MISFRAMED),
        ("HOST-19", "Host: {h}\r\nX: y\r\n Host: other.localhost\r\n{C}", MISFRAMED),
        ("HOST-19", " Host: {h}\r\n{C}", MISFRAMED),
        ("HOST-19", "Host : {h}\r\n{C}", MISFRAMED),
    ] {
        let text = format!("GET /open/x HTTP/1.1\r\n{lines}\r\n");
        failures.note(&format!("{id} {lines:.60?}"), scene.attack(text.as_bytes(), want).await);
    }
    failures.note("HOST-06 HTTP/1.0", scene.attack(b"GET /open/x HTTP/1.0\r\n{C}\r\n", MISFRAMED).await);
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_said_once_in_http2() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let app = scene.authority("app.localhost");
    let (app, cookie) = (app.as_bytes(), scene.employee.cookie("app.localhost").unwrap());
    let other = scene.authority("other.localhost");
    type Fields<'f> = Vec<(&'f [u8], &'f [u8])>;
    let rows: Vec<(&str, Fields<'_>, u16)> = vec![
        ("HOST-16 mismatch", vec![(b":authority", app), (b"host", other.as_bytes())], 400),
        ("HOST-16 equal", vec![(b":authority", app), (b"host", app)], 200),
        ("HOST-16 only host", vec![(b"host", app)], 200),
        ("HOST-16 neither", vec![], 400),
        ("HOST-16 two hosts", vec![(b":authority", app), (b"host", app), (b"host", app)], 400),
        ("HOST-16 two hosts only", vec![(b"host", app), (b"host", other.as_bytes())], 400),
        ("HOST-17 userinfo", vec![(b":authority", b"a@app.localhost")], 400),
        ("HOST-17 path", vec![(b":authority", b"app.localhost/b")], 400),
        ("HOST-17 space", vec![(b":authority", b"app localhost")], 400),
        ("HOST-17 empty", vec![(b":authority", b"")], 400),
        ("HOST-18 http", vec![(b":authority", app), (b":scheme", b"http")], 400),
        ("HOST-18 ftp", vec![(b":authority", app), (b":scheme", b"ftp")], 400),
        ("HOST-18 x", vec![(b":authority", app), (b":scheme", b"x")], 400),
    ];
    for (id, said, want) in rows {
        let mark = scene.clear();
        let mut frames =
            Frames::start(scene.estate.connect("app.localhost", Device::None, Tls::H2).await).await;
        let (pseudo, plain): (Fields<'_>, Fields<'_>) =
            said.into_iter().partition(|(name, _)| name.starts_with(b":"));
        let mut fields: Fields<'_> = vec![(b":method", b"GET"), (b":path", b"/open/x")];
        if !pseudo.iter().any(|(name, _)| *name == b":scheme") {
            fields.push((b":scheme", b"https"));
        }
        fields.extend(pseudo);
        fields.extend(plain);
        fields.push((b"cookie", cookie.as_bytes()));
        frames.headers(1, END_STREAM, &fields).await;
        let status = frames.outcome(1).await;
        // The codec may reset a malformed stream before anybody can answer it.
        let refused = want == 400 && matches!(status, 0 | 400) && scene.upstream.bytes().is_empty();
        failures.check(id, refused || status == want, || {
            format!("{status}, wanted {want}; upstream {}", scene.upstream.bytes().escape_ascii())
        });
        if status != 0 {
            let reasons: Vec<_> =
                scene.decisions(&mark, 1).await.iter().map(|event| event["reason"].clone()).collect();
            let wanted = if want == 400 { "ambiguous_request" } else { "allowed" };
            failures.check(id, reasons == [wanted], || format!("audit {reasons:?}"));
        }
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_misdirected_is_not_believed_more_afterwards() {
    let scene = Scene::start().await;
    let stream = scene.estate.connect("wiki.localhost", Device::None, Tls::H1).await;
    let mut talk = Talk::new(stream);
    for (host, want) in [("payroll.localhost", 421), ("wiki.localhost", 401), ("payroll.localhost", 421)] {
        let text = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", scene.authority(host));
        talk.write(text.as_bytes()).await.unwrap();
        let answer = talk.answer("GET").await.unwrap();
        assert_eq!(answer.status, want, "HOST-01 {host}");
    }
    // A table of any size knows a host by its canonical name (HOST-13).
    let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
    let seen = exchange(stream, b"GET / HTTP/1.1\r\nHost: H199.CROWD.localhost.\r\n\r\n", 1).await;
    assert_eq!(seen.status(), 421, "HOST-13: not covered, whatever its spelling");
}
