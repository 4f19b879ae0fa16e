//! The tier rule, as clients see it: every tier with every device, on both versions of TLS and of HTTP, on a
//! fresh connection and on one that resumes an older session.

mod support;

use rcgen::SanType;
use rustls::HandshakeKind;
use serde_json::json;
use std::sync::Arc;
use support::audit::reason;
use support::frames::{END_STREAM, Frames};
use support::pki::client_params;
use support::raw::exchange;
use support::{Browser, Device, Estate, Tls};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const TIERS: [(&str, &str); 3] =
    [("wiki.localhost", "open"), ("tickets.localhost", "low"), ("payroll.localhost", "high")];

/// The rule, written out.
const fn wanted(device: Device, tier: usize) -> (u16, &'static str) {
    match (device, tier) {
        (_, 0) | (Device::Enrolled, 1) | (Device::Issued, _) => (200, "allowed"),
        (Device::Enrolled, _) => (403, "device_not_issued"),
        (Device::Revoked, _) => (403, "device_revoked"),
        (Device::Expired, _) => (403, "device_expired"),
        (Device::None | Device::Service, _) => (403, "device_required"),
    }
}

/// One request on a connection of either kind.
async fn ask(
    stream: TlsStream<TcpStream>,
    tls: Tls,
    method: &str,
    authority: &str,
    path: &str,
    cookie: Option<&str>,
) -> u16 {
    if !tls.http2 {
        let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
        let length = if method == "GET" { "" } else { "Content-Length: 0\r\n" };
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{cookie}{length}Connection: close\r\n\r\n"
        );
        return exchange(stream, text.as_bytes(), 1).await.status();
    }
    let mut frames = Frames::start(stream).await;
    let mut fields: Vec<(&[u8], &[u8])> = vec![
        (b":method", method.as_bytes()),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", path.as_bytes()),
    ];
    fields.extend(cookie.map(|cookie| (&b"cookie"[..], cookie.as_bytes())));
    frames.headers(1, END_STREAM, &fields).await;
    frames.outcome(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tier_with_every_device_is_as_the_rule_says() {
    let estate = Estate::start();
    let mut wrong = Vec::new();
    let mut cells = 0;
    for device in Device::PEOPLES {
        let browser = Browser::signed_in(&estate, device, "admin", &TIERS.map(|(host, _)| host)).await;
        for tls in Tls::ALL {
            for (tier, (host, name)) in TIERS.into_iter().enumerate() {
                // One store of sessions for both connections, and for this cell only.
                let config = Arc::new(estate.tls(device, tls));
                for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                    let cell = format!("{device:?} {tls:?} {name} {kind:?}");
                    let mark = estate.mark();
                    let stream = estate.try_connect(host, &config).await.unwrap();
                    let seen_kind = stream.get_ref().1.handshake_kind();
                    // A group that the client did not guess costs a round trip, and is a full handshake.
                    let as_meant = seen_kind == Some(kind)
                        || kind == HandshakeKind::Full
                            && seen_kind == Some(HandshakeKind::FullWithHelloRetryRequest);
                    if !as_meant {
                        wrong.push(format!("{cell}: the handshake was {seen_kind:?}"));
                    }
                    let authority = format!("{host}:{}", estate.port);
                    let status =
                        ask(stream, tls, "GET", &authority, "/headers", browser.cookie(host).as_deref())
                            .await;
                    let event = &estate.decisions_since(&mark, 1).await[0];
                    let seen = (status, reason(event));
                    if seen != wanted(device, tier) || event["tier"] != *name {
                        wrong.push(format!(
                            "{cell}: {seen:?}, wanted {:?}; audit {event}",
                            wanted(device, tier)
                        ));
                    }
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, 5 * 4 * 3 * 2);
    assert!(wrong.is_empty(), "{} of {cells} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_no_device_opens_any_tier() {
    let estate = Estate::start();
    for device in Device::PEOPLES {
        for (host, name) in TIERS {
            let mark = estate.mark();
            let stream = estate.connect(host, device, Tls::H1).await;
            let status =
                ask(stream, Tls::H1, "GET", &format!("{host}:{}", estate.port), "/headers", None).await;
            assert_eq!(status, 401, "{device:?} {name}");
            assert_eq!(
                reason(&estate.decisions_since(&mark, 1).await[0]),
                "not_signed_in",
                "{device:?} {name}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_reaches_what_lists_it_and_nothing_else() {
    let estate = Estate::start();
    let service = estate
        .policies()
        .iter()
        .find_map(|(_, policy)| policy["services"].as_object()?.keys().next().cloned())
        .expect("the demo names a service");
    // Listed on every tier, for some methods and paths of it.
    for (file, policy) in estate.policies() {
        if policy["resources"].is_array() {
            estate.edit(&file, |policy| {
                for resource in policy["resources"].as_array_mut().unwrap() {
                    resource["services"] = json!([
                        { "name": service, "methods": ["GET"], "paths": ["/headers", "/status/200"] },
                        { "name": service, "methods": ["POST"], "paths": ["/upload"] },
                    ]);
                }
            });
        }
    }
    estate.write(
        "policies/unlisted.yaml",
        &json!({ "version": 1, "resources": [
        { "name": "unlisted", "tier": "open", "hosts": ["localhost"], "upstream": "demo" }] })
        .to_string(),
    );
    estate.reload();
    let mut wrong = Vec::new();
    for (host, tier) in TIERS.into_iter().chain([("localhost", "none lists it")]) {
        for (method, path, listed) in [
            ("GET", "/headers", true),
            ("GET", "/headers/below", true),
            ("GET", "/status/200", true),
            ("POST", "/upload", true),
            ("GET", "/", false),
            ("GET", "/headersx", false),
            ("GET", "/status", false),
            ("GET", "/status/201", false),
            ("GET", "/upload", false),
            ("GET", "/Headers", false),
            ("POST", "/headers", false),
            ("HEAD", "/headers", false),
            ("PUT", "/upload", false),
            ("DELETE", "/upload", false),
        ] {
            for tls in Tls::ALL {
                let mark = estate.mark();
                let stream = estate.connect(host, Device::Service, tls).await;
                let status = ask(stream, tls, method, &format!("{host}:{}", estate.port), path, None).await;
                let event = &estate.decisions_since(&mark, 1).await[0];
                let (seen, got_in) = (reason(event), event["decision"] == "allow");
                let listed = listed && host != "localhost";
                // `/Headers` is another path, which looser servers read as the one that is listed.
                let refused =
                    seen == "service_not_listed" && status == 403 || path == "/Headers" && status == 400;
                if listed != got_in || !got_in && !refused || got_in && status != 200 {
                    wrong.push(format!("{method} {path} on {host} ({tier}) {tls:?}: {status} {seen}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_gains_nothing_from_a_services_entry_and_a_service_nothing_from_a_session() {
    let estate = Estate::start();
    let contractor = Browser::signed_in(&estate, Device::Issued, "contractor", &["payroll.localhost"]).await;
    let mark = estate.mark();
    // The demo lists a service for this very path.
    let status = contractor.get(&estate.url("payroll.localhost", "/headers")).await.status();
    assert_eq!((status.as_u16(), reason(&estate.decisions_since(&mark, 1).await[0])), (403, "not_allowed"));
    let admin = Browser::signed_in(&estate, Device::None, "admin", &["wiki.localhost"]).await;
    let mark = estate.mark();
    let stream = estate.connect("wiki.localhost", Device::Service, Tls::H1).await;
    let authority = format!("wiki.localhost:{}", estate.port);
    let status =
        ask(stream, Tls::H1, "GET", &authority, "/headers", admin.cookie("wiki.localhost").as_deref()).await;
    assert_eq!((status, reason(&estate.decisions_since(&mark, 1).await[0])), (403, "service_not_listed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_does_not_become_a_service_by_saying_so() {
    let estate = Estate::start();
    let authority = format!("payroll.localhost:{}", estate.port);
    let id = "spiffe://corp.example/ns/billing/sa/sync";
    let mut params = client_params("laptop-1");
    params.subject_alt_names.push(SanType::URI(id.try_into().unwrap()));
    for (issuer, trust, reasons) in [
        ("corporate-ca", "issued", &["not_signed_in"][..]),
        ("mdm-ca", "enrolled", &["not_signed_in"]),
        // Beside it, the authority whose word that is.
        ("workload-ca", "none", &["allowed"]),
    ] {
        for tls in Tls::ALL {
            let mark = estate.mark();
            let config = Arc::new(estate.tls_showing(Some(estate.issue(issuer, &params)), tls));
            let stream = estate.try_connect("payroll.localhost", &config).await.unwrap();
            let status = ask(stream, tls, "GET", &authority, "/headers", None).await;
            let event = &estate.decisions_since(&mark, 1).await[0];
            assert!(reasons.contains(&reason(event)), "{issuer} {tls:?}: {status} {event}");
            assert_eq!(status == 200, issuer == "workload-ca", "{issuer} {tls:?}: {event}");
            assert_eq!(event["device_trust"], trust, "{issuer} {tls:?}: {event}");
            assert_eq!(event["subject"] == id, issuer == "workload-ca", "{issuer} {tls:?}: {event}");
        }
    }
    // Nor does a workload of another trust domain, whoever signed it.
    let mut other = client_params("sync");
    other
        .subject_alt_names
        .push(SanType::URI("spiffe://evil.example/ns/billing/sa/sync".try_into().unwrap()));
    let config = Arc::new(estate.tls_showing(Some(estate.issue("workload-ca", &other)), Tls::H1));
    let stream = estate.try_connect("payroll.localhost", &config).await.unwrap();
    assert_eq!(ask(stream, Tls::H1, "GET", &authority, "/headers", None).await, 401);
}
