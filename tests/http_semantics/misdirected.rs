//! Connections that were opened for one host and are used for another.

use crate::support::frames::{END_STREAM, Frames};
use crate::support::raw::exchange;
use crate::support::{Browser, Device, Estate, Tls};

async fn get(
    estate: &Estate,
    frames: &mut Frames<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>,
    stream: u32,
    host: &str,
    cookie: &str,
) -> u16 {
    let authority = format!("{host}:{}", estate.port);
    let fields: [(&[u8], &[u8]); 5] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/headers"),
        (b"cookie", cookie.as_bytes()),
    ];
    frames.headers(stream, END_STREAM, &fields).await;
    frames.outcome(stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_opened_to_sign_in_is_not_reused_for_what_needs_a_device() {
    let estate = Estate::start();
    let admin =
        Browser::signed_in(&estate, Device::Issued, "admin", &["payroll.localhost", "wiki.localhost"]).await;
    let cookie = admin.cookie("payroll.localhost").unwrap();
    let mark = estate.mark();
    let mut frames = Frames::start(estate.connect("login.localhost", Device::None, Tls::H2).await).await;
    assert_eq!(get(&estate, &mut frames, 1, "payroll.localhost", &cookie).await, 421);
    assert_eq!(get(&estate, &mut frames, 3, "tickets.localhost", "").await, 421);
    // What needs no device may be asked there.
    assert_eq!(get(&estate, &mut frames, 5, "wiki.localhost", "").await, 401);
    let reasons: Vec<_> =
        estate.decisions_since(&mark, 3).await.iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(reasons, ["connection_without_device", "connection_without_device", "not_signed_in"]);
    // A connection of its own, with the device, is what the browser makes of a 421.
    let mut frames = Frames::start(estate.connect("payroll.localhost", Device::Issued, Tls::H2).await).await;
    assert_eq!(get(&estate, &mut frames, 1, "payroll.localhost", &cookie).await, 200);
    // And one with the device serves every host of its certificate.
    let mut frames = Frames::start(estate.connect("login.localhost", Device::Issued, Tls::H2).await).await;
    assert_eq!(get(&estate, &mut frames, 1, "payroll.localhost", &cookie).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_the_certificate_does_not_cover_is_misdirected() {
    let estate = Estate::start();
    estate.write(
        "policies/away.yaml",
        &serde_json::json!({ "version": 1, "resources": [
        { "name": "away", "tier": "open", "hosts": ["www.example.com"], "upstream": "demo" }] })
        .to_string(),
    );
    estate.reload();
    for device in [Device::None, Device::Issued, Device::Service] {
        let mark = estate.mark();
        let stream = estate.connect("wiki.localhost", device, Tls::H1).await;
        let seen =
            exchange(stream, b"GET / HTTP/1.1\r\nHost: www.example.com\r\nAccept: text/html\r\n\r\n", 1)
                .await;
        assert_eq!(seen.status(), 421, "{device:?}");
        assert_eq!(estate.decisions_since(&mark, 1).await[0]["reason"], "host_not_covered", "{device:?}");
    }
    // Covered, and no policy has it.
    let stream = estate.connect("localhost", Device::None, Tls::H1).await;
    let seen = exchange(stream, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 1).await;
    assert_eq!(seen.status(), 404);
    assert_eq!(seen.answers[0].json()["reason"], "no_route");
}
