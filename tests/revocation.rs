//! What is revoked is out: on the next request of every connection, and on what is open already.

mod support;

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use reqwest::Method;
use std::sync::Arc;
use support::ocsp::{Responder, Says};
use support::pki::client_params;
use support::raw::{Answer, Talk};
use support::visitor::{Visitor, refused};
use support::wait::until;
use support::websocket::WebSocket;
use support::{Device, Estate, Tls};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const EMPLOYEE: &str = "employee@corp.example";
const FINANCE: &str = "finance@corp.example";

/// One `GET` on a connection that stays open.
async fn get(
    talk: &mut Talk<TlsStream<TcpStream>>,
    estate: &Estate,
    host: &str,
    path: &str,
    cookies: &str,
) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}:{}\r\nCookie: {cookies}\r\n\r\n", estate.port);
    talk.write(head.as_bytes()).await.unwrap();
    talk.answer("GET").await.expect("an answer")
}

fn reason(answer: &Answer) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    problem["reason"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_tightened_policy_ends_what_is_open() {
    let estate = Estate::start();
    let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let mut strong = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let mut socket = WebSocket::open(&estate, Device::None, "wiki.localhost", &cookies).await.unwrap();
    let theirs = strong.cookie_header("wiki.localhost");
    let mut kept = WebSocket::open(&estate, Device::Issued, "wiki.localhost", &theirs).await.unwrap();
    assert!(socket.echoes().await && kept.echoes().await);
    // An event stream and a long download, on HTTP/1.1 and on HTTP/2.
    let mut streams = Vec::new();
    for path in ["/events", "/bytes/17179869184"] {
        let mut talk = Talk::new(estate.connect("wiki.localhost", Device::None, Tls::H1).await);
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: wiki.localhost:{}\r\nCookie: {cookies}\r\n\r\n",
            estate.port
        );
        talk.write(head.as_bytes()).await.unwrap();
        assert_eq!(talk.head().await.map(|answer| answer.status), Some(200), "{path}");
        assert!(!talk.some_bytes().await.is_empty(), "{path}");
        streams.push((path, talk));
    }
    let mut over_http2 = browser.ask(Method::GET, browser.url("wiki", "/events")).send().await.unwrap();
    assert_eq!((over_http2.status().as_u16(), over_http2.version()), (200, reqwest::Version::HTTP_2));
    assert!(over_http2.chunk().await.unwrap().is_some());

    estate.rewrite("policies/resources.yaml", "tier: open", "tier: high");
    let began = std::time::Instant::now();
    estate.reload();
    socket.ends().await;
    for (path, mut talk) in streams {
        let drained = async { while !talk.some_bytes().await.is_empty() {} };
        tokio::time::timeout(support::DEADLINE, drained)
            .await
            .unwrap_or_else(|_| panic!("{path} was not ended"));
    }
    let ended = async {
        loop {
            match over_http2.chunk().await {
                Ok(Some(_)) => {}
                // An end in good order would make half an answer look whole.
                Ok(None) => return "whole",
                Err(_) => return "broken off",
            }
        }
    };
    let how =
        tokio::time::timeout(support::DEADLINE, ended).await.expect("the stream of HTTP/2 was not ended");
    assert_eq!(how, "broken off");
    println!("everything was ended {:?} after the reload began", began.elapsed());

    assert!(kept.echoes().await, "who still meets the tier goes on");
    assert_eq!(strong.fetch(Method::GET, "wiki", "/headers").await.status, 200);
    assert_eq!(WebSocket::open(&estate, Device::None, "wiki.localhost", &cookies).await.err(), Some(403));
    until("each end is in the audit log with its reason", async || {
        let events = estate.audit();
        let cut = |path: &str| {
            events
                .iter()
                .filter(|event| event["path"] == path && event["reason"] == "device_required")
                .count()
        };
        // One WebSocket was ended, one was refused.
        cut("/ws") >= 2 && cut("/events") >= 2 && cut("/bytes/17179869184") >= 1
    })
    .await;
    assert!(estate.metric("tiergate_revocation_enforcement_seconds_count", &[]) >= 4.0);
}

/// The corporate authority's list, with these devices on it.
fn revoke(estate: &Estate, devices: &[&str]) {
    let now = time::OffsetDateTime::now_utc();
    let revoked_certs = devices
        .iter()
        .map(|device| {
            let der = estate.certified(device).cert[0].to_vec();
            let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
            RevokedCertParams {
                serial_number: SerialNumber::from_slice(certificate.raw_serial()),
                revocation_time: now,
                reason_code: Some(RevocationReason::KeyCompromise),
                invalidity_date: None,
            }
        })
        .collect();
    let list = CertificateRevocationListParams {
        this_update: now - time::Duration::minutes(1),
        next_update: now + time::Duration::days(7),
        crl_number: SerialNumber::from(u64::try_from(now.unix_timestamp()).unwrap() + 1),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let pem = list.signed_by(&estate.issuer("corporate-ca")).unwrap().pem().unwrap();
    estate.put("certs/corporate.crl", &pem);
}

#[tokio::test]
async fn a_revoked_device_is_out_on_every_connection_also_a_kept_or_resumed_one() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    browser.open("payroll", "/headers").await;
    let cookies = browser.cookie_header("payroll.localhost");
    let (host, path) = ("payroll.localhost", "/headers");
    let mut lines = Vec::new();
    for tls in [Tls::H1, Tls::H1_OVER_12] {
        let config = Arc::new(estate.tls(Device::Issued, tls));
        let mut kept = Talk::new(estate.try_connect(host, &config).await.unwrap());
        assert_eq!(get(&mut kept, &estate, host, path, &cookies).await.status, 200, "{tls:?}");
        lines.push((tls, config, kept));
    }
    let socket = WebSocket::open(&estate, Device::Issued, host, &cookies).await.unwrap();

    // The list is watched.
    revoke(&estate, &["revoked", "issued"]);
    until("the device is refused", async || {
        browser.told("payroll", "/headers").await == refused(403, "device_revoked")
    })
    .await;
    socket.ends().await;
    for (tls, config, mut kept) in lines {
        let answer = get(&mut kept, &estate, host, path, &cookies).await;
        assert_eq!((answer.status, reason(&answer).as_str()), (403, "device_revoked"), "{tls:?}, kept alive");
        for nth in 1..=2 {
            let stream = estate.try_connect(host, &config).await.unwrap();
            let how = stream.get_ref().1.handshake_kind();
            println!("{tls:?}, connection {nth} after the revocation: {how:?}");
            let answer = get(&mut Talk::new(stream), &estate, host, path, &cookies).await;
            assert_eq!(
                (answer.status, reason(&answer).as_str()),
                (403, "device_revoked"),
                "{tls:?}, {how:?}"
            );
        }
    }
    let page = browser.open("payroll", "/headers").await;
    assert!(
        page.status == 403 && page.body.contains("no longer trusted"),
        "the page says what is wrong: {page:?}"
    );

    // Taken off the list again, it is as before.
    revoke(&estate, &["revoked"]);
    until("the device is let in again", async || {
        browser.fetch(Method::GET, "payroll", "/headers").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_device_that_a_responder_revokes_is_out_and_what_it_opened_ends_by_itself() {
    let estate = Estate::start();
    let key = rcgen::KeyPair::from_pem(&estate.read("certs/corporate-ca.key")).unwrap();
    let responder = Responder::start(&key, Says::Good, 4).await;
    estate.edit("tiergate.yaml", |config| {
        let corporate = &mut config["devices"]["authorities"][0];
        assert_eq!(corporate["name"], "corporate");
        corporate["ocsp"] = "hard".into();
        corporate["ocsp_url"] = responder.url.clone().into();
    });
    estate.reload();
    let mut browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    browser.open("payroll", "/headers").await;
    until("the responder was asked", async || {
        browser.fetch(Method::GET, "payroll", "/headers").await.status == 200
    })
    .await;
    let host = "payroll.localhost";
    let cookies = browser.cookie_header(host);
    let mut socket = WebSocket::open(&estate, Device::Issued, host, &cookies).await.unwrap();
    assert!(socket.echoes().await);
    assert!(estate.metrics().contains("tiergate_evidence_age_seconds{source=\"ocsp\"}"));
    // Nobody asks for anything: the connection is why the answer is renewed.
    responder.say(Says::Revoked);
    socket.ends().await;
    assert_eq!(browser.told("payroll", "/headers").await, refused(403, "device_revoked"));
    responder.say(Says::Good);
    until("the device is let in again", async || {
        browser.fetch(Method::GET, "payroll", "/headers").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn an_authority_that_is_not_believed_any_more_is_out_on_the_next_request() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    browser.open("payroll", "/headers").await;
    let mut low = Visitor::signed_in(&estate, Device::Enrolled, EMPLOYEE).await;
    low.open("tickets", "/headers").await;
    let cookies = browser.cookie_header("payroll.localhost");
    let host = "payroll.localhost";
    let config = Arc::new(estate.tls(Device::Issued, Tls::H1));
    let mut kept = Talk::new(estate.try_connect(host, &config).await.unwrap());
    assert_eq!(get(&mut kept, &estate, host, "/headers", &cookies).await.status, 200);

    let line =
        "    - { name: corporate, ca: certs/corporate-ca.pem, grants: issued, crl: certs/corporate.crl }\n";
    estate.rewrite("tiergate.yaml", line, "");
    until("the authority is not believed", async || {
        browser.told("payroll", "/headers").await == refused(403, "device_untrusted")
    })
    .await;
    let answer = get(&mut kept, &estate, host, "/headers", &cookies).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (403, "device_untrusted"), "kept alive");
    let stream = estate.try_connect(host, &config).await.unwrap();
    let answer = get(&mut Talk::new(stream), &estate, host, "/headers", &cookies).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (403, "device_untrusted"), "resumed or new");
    assert_eq!(
        low.fetch(Method::GET, "tickets", "/headers").await.status,
        200,
        "the other authority is believed"
    );

    // It may also grant less than before.
    let less = line.replace("grants: issued", "grants: enrolled");
    estate.rewrite("tiergate.yaml", "  authorities:\n", &format!("  authorities:\n{less}"));
    until("the authority grants less", async || {
        browser.told("payroll", "/headers").await == refused(403, "device_not_issued")
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_expires_during_a_connection_is_out_at_that_moment() {
    let estate = Estate::start();
    let mut params = client_params("short");
    // Long enough to sign in on a busy machine, and soon over.
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::seconds(12);
    let shown = estate.issue("corporate-ca", &params);
    let mut browser = Visitor::showing(&estate, shown.clone());
    let (host, path) = ("payroll.localhost", "/headers");
    browser.sign_in(&estate, "payroll", path, FINANCE).await;
    let cookies = browser.cookie_header(host);
    let config = Arc::new(estate.tls_showing(Some(shown.clone()), Tls::H1));
    let mut kept = Talk::new(estate.try_connect(host, &config).await.unwrap());
    assert_eq!(get(&mut kept, &estate, host, path, &cookies).await.status, 200);
    let fields = [("cookie", cookies.clone()), ("origin", estate.url(host, ""))];
    let tls = estate.tls_showing(Some(shown), Tls::H1);
    let mut socket = WebSocket::open_over(&estate, tls, host, &fields).await.unwrap();
    assert!(socket.echoes().await);

    socket.ends().await;
    assert_eq!(browser.told("payroll", path).await, refused(403, "device_expired"));
    let answer = get(&mut kept, &estate, host, path, &cookies).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (403, "device_expired"), "kept alive");
    let stream = estate.try_connect(host, &config).await.unwrap();
    let how = stream.get_ref().1.handshake_kind();
    let answer = get(&mut Talk::new(stream), &estate, host, path, &cookies).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (403, "device_expired"), "{how:?}");
}

#[tokio::test]
async fn a_replaced_server_certificate_is_served_to_new_connections_and_costs_no_old_one() {
    let estate = Estate::start();
    let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let config = Arc::new(estate.tls(Device::None, Tls::H1));
    let served = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let stream = estate.try_connect("wiki.localhost", &config).await.unwrap();
    let old = served(&stream);
    let mut kept = Talk::new(stream);
    assert_eq!(get(&mut kept, &estate, "wiki.localhost", "/headers", &cookies).await.status, 200);

    // The certificate and its key are two files: in between they do not belong to each other.
    estate.issue_server(
        "server",
        &["wiki.localhost", "tickets.localhost", "payroll.localhost", "login.localhost", "localhost"],
    );
    let new = estate.certified("server").cert[0].to_vec();
    assert_ne!(old, new);
    until("the new certificate is served", async || {
        let config = Arc::new(estate.tls(Device::None, Tls::H1));
        served(&estate.try_connect("wiki.localhost", &config).await.unwrap()) == new
    })
    .await;
    assert_eq!(get(&mut kept, &estate, "wiki.localhost", "/headers", &cookies).await.status, 200);
    until("the last load is good", async || {
        estate.metric("tiergate_config_last_reload_successful", &[]) > 0.0
    })
    .await;
}
