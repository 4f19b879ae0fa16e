//! UPG: what asks for another protocol, and what stays on a connection that was promised one.

use super::scene::{AMBIGUOUS, Failures, SMUGGLED, Scene, Want};
use crate::support::raw::{Talk, exchange};
use crate::support::{Device, SILENCE, Tls, find};

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const NO_TUNNEL: Want = Want::Refused(&[400, 405], &["ambiguous_request", "method_refused"]);

#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_an_upgrade_wait_for_it() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for protocol in ["foo", "websocket", "h2c", "TLS/1.0"] {
        let row = format!("UPG-01 {protocol}");
        scene.clear();
        let text =
            format!("GET /open/x HTTP/1.1\r\n{{H}}Connection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n{{S}}");
        let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
        let seen = exchange(stream, &scene.fill(text.as_bytes()), 1).await;
        let (requests, bytes) = (scene.upstream.requests(), scene.upstream.bytes());
        failures.check(&row, find(&bytes, b"/smug").is_none() && requests.len() <= 1, || {
            format!("upstream {}", bytes.escape_ascii())
        });
        let judged =
            seen.statuses() == [200, 401] || matches!(seen.statuses()[..], [200 | 400]) && seen.closed;
        failures.check(&row, judged, || format!("{:?}, closed {}", seen.statuses(), seen.closed));
        let upgrade = requests.first().map(|seen| seen.all("upgrade").join(",")).unwrap_or_default();
        failures.check(&row, upgrade.is_empty() || protocol == "websocket", || {
            format!("Upgrade: {upgrade} reached the upstream")
        });
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_is_refused() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for (id, text) in [
        ("UPG-02", "CONNECT app.localhost:22 HTTP/1.1\r\n{H}\r\n{S}"),
        ("UPG-02", "CONNECT {h} HTTP/1.1\r\n{H}\r\n{S}"),
        ("UPG-03", "CONNECT /high HTTP/1.1\r\n{H}\r\n{S}"),
        ("UPG-03", "CONNECT https://{h}/open/x HTTP/1.1\r\n{H}\r\n{S}"),
    ] {
        let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
        let mark = scene.clear();
        let mut seen = exchange(stream, &scene.fill(text.as_bytes()), 1).await;
        // What follows is a request of its own, if the connection is still one.
        let followed = seen.answers.len() > 1;
        if followed {
            let extra = seen.answers.split_off(1);
            failures.check(id, extra.len() == 1 && extra[0].status == 401, || format!("{extra:?}"));
        }
        let mut events = scene.decisions(&mark, 1 + usize::from(followed)).await;
        events.truncate(1);
        failures.note(&format!("{id} {text:.40?}"), scene.judge(&seen, &events, NO_TUNNEL));
    }
    failures.note("UPG-02 no port", scene.attack(b"CONNECT * HTTP/1.1\r\n{H}\r\n", NO_TUNNEL).await);
    failures.note(
        "UPG-03 GET of an authority",
        scene.attack(b"GET app.localhost:22 HTTP/1.1\r\n{H}\r\n", AMBIGUOUS).await,
    );
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_tunnel_without_the_upstreams_consent() {
    let scene = Scene::start().await;
    scene.upstream.answer_with(|_| {
        b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nSec-WebSocket-Version: 13\r\n\r\n".to_vec()
    });
    let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
    let handshake = HANDSHAKE.replace("Version: 13", "Version: 999");
    talk.write(&scene.fill(format!("GET /open/ws HTTP/1.1\r\n{{H}}{handshake}\r\n").as_bytes()))
        .await
        .unwrap();
    assert_eq!(talk.answer("GET").await.unwrap().status, 426, "UPG-04");
    scene.upstream.clear();
    // Whatever comes now is a request or nothing.
    let _ = talk.write(SMUGGLED).await;
    let next = talk.answer_within("GET", SILENCE * 4).await;
    assert!(next.is_none_or(|answer| answer.status == 401), "UPG-04");
    assert!(scene.upstream.bytes().is_empty(), "UPG-04 {}", scene.upstream.bytes().escape_ascii());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_switches_unasked_is_broken() {
    let scene = Scene::start().await;
    scene.upstream.answer_with(|_| [SWITCHED, b"evil bytes of the upstream"].concat());
    for text in ["GET /open/x HTTP/1.1\r\n{H}\r\n", "POST /open/x HTTP/1.1\r\n{H}Content-Length: 2\r\n\r\nhi"]
    {
        let mark = scene.clear();
        let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
        let seen = exchange(stream, &scene.fill(text.as_bytes()), 1).await;
        assert_eq!(seen.statuses(), [502], "UPG-05 {seen:?}");
        let events = scene.decisions(&mark, 1).await;
        assert_eq!(events[0]["reason"], "upstream_unavailable", "UPG-05 {events:?}");
        assert_eq!(events[0]["status"], 502, "UPG-05 {events:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_opened_from_its_own_origin_only() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    scene.upstream.answer_with(|_| SWITCHED.to_vec());
    let cross = Want::Refused(&[403], &["cross_origin"]);
    for origin in [
        "https://evil.test",
        "https://mixed.localhost:{P}",
        "null",
        "http://{h}",
        "https://app.localhost:1",
        "https://{h}.evil.test",
    ] {
        let text = format!("GET /open/ws HTTP/1.1\r\n{{H}}{HANDSHAKE}Origin: {origin}\r\n\r\n");
        failures.note(&format!("UPG-06 {origin}"), scene.attack(text.as_bytes(), cross).await);
    }
    for site in ["cross-site", "same-site"] {
        let text = format!("GET /open/ws HTTP/1.1\r\n{{H}}{HANDSHAKE}Sec-Fetch-Site: {site}\r\n\r\n");
        failures.note(&format!("UPG-06 {site}"), scene.attack(text.as_bytes(), cross).await);
    }
    // Beside it, the same from its own origin.
    for origin in ["Origin: https://{h}\r\n", ""] {
        let mark = scene.clear();
        let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
        let mut talk = Talk::new(stream);
        talk.write(&scene.fill(format!("GET /open/ws HTTP/1.1\r\n{{H}}{HANDSHAKE}{origin}\r\n").as_bytes()))
            .await
            .unwrap();
        let status = talk.answer("GET").await.map(|answer| answer.status);
        failures.check(&format!("UPG-06 own {origin:?}"), status == Some(101), || format!("{status:?}"));
        drop(talk);
        let events = scene.decisions(&mark, 1).await;
        failures.check("UPG-06 own", events.len() == 1 && events[0]["decision"] == "allow", || {
            format!("{events:?}")
        });
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_without_a_session_is_told_so_and_not_redirected() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for path in ["/open/ws", "/low/ws", "/high/ws"] {
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: {{h}}\r\nAccept: text/html\r\n{HANDSHAKE}Origin: https://{{h}}\r\n\r\n"
        );
        let want = Want::Refused(&[401, 403], &["not_signed_in"]);
        failures.note(&format!("UPG-08 {path}"), scene.attack(text.as_bytes(), want).await);
    }
    failures.none();
}
