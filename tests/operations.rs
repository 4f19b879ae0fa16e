//! What whoever runs it relies on: metrics, the admin listener, balancers, and that a fault costs one request.

mod support;

use reqwest::Method;
use serde_json::Value;
use std::sync::Arc;
use support::process::{Process, admin_call, admin_get, run};
use support::raw::Talk;
use support::traffic::some_of_everything;
use support::visitor::Visitor;
use support::wait::until;
use support::websocket::WebSocket;
use support::{Device, Estate, Tls};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const EMPLOYEE: &str = "employee@corp.example";
const FINANCE: &str = "finance@corp.example";

#[tokio::test]
async fn every_metric_is_there_after_some_traffic_and_says_what_happened() {
    let estate = Estate::start();
    some_of_everything(&estate).await;
    let text = estate.metrics();
    for (name, labels) in [
        ("tiergate_requests_total", &["resource=\"wiki\"", "tier=\"open\"", "code=\"2xx\""][..]),
        ("tiergate_requests_total", &["resource=\"wiki\"", "code=\"5xx\""]),
        ("tiergate_request_duration_seconds_count", &["resource=\"payroll\""]),
        (
            "tiergate_decisions_total",
            &["resource=\"payroll\"", "tier=\"high\"", "decision=\"allow\"", "reason=\"allowed\""],
        ),
        (
            "tiergate_decisions_total",
            &["resource=\"payroll\"", "decision=\"deny\"", "reason=\"device_not_issued\""],
        ),
        (
            "tiergate_decisions_total",
            &["resource=\"wiki\"", "decision=\"challenge\"", "reason=\"not_signed_in\""],
        ),
        ("tiergate_decisions_total", &["decision=\"deny\"", "reason=\"ambiguous_request\""]),
        ("tiergate_decision_duration_seconds_count", &[]),
        ("tiergate_tls_handshakes_total", &["version=\"1.3\"", "result=", "device=\"issued\""]),
        ("tiergate_tls_handshakes_total", &["device=\"none\""]),
        ("tiergate_logins_total", &["provider=\"local\"", "result=\"success\""]),
        ("tiergate_logins_total", &["provider=\"local\"", "result=\"refused\""]),
        ("tiergate_sessions_active", &[]),
        ("tiergate_connections_active", &[]),
        ("tiergate_upstream_requests_total", &["upstream=\"demo\""]),
        ("tiergate_upstream_healthy", &["upstream=\"demo\""]),
        ("tiergate_config_last_reload_successful", &[]),
        ("tiergate_config_last_reload_success_timestamp_seconds", &[]),
        ("tiergate_policy_generation", &[]),
        ("tiergate_certificate_expiry_timestamp_seconds", &["kind=", "name="]),
        ("tiergate_evidence_age_seconds", &["source=\"crl\""]),
        ("tiergate_audit_events_total", &[]),
        ("tiergate_audit_available", &[]),
        ("tiergate_build_info", &["version=", "revision="]),
    ] {
        assert!(estate.metric(name, labels) > 0.0, "{name} {labels:?}\n{text}");
    }
    for name in [
        "tiergate_upgraded_connections_active",
        "tiergate_audit_queue_length",
        "tiergate_audit_failures_total",
        "tiergate_revocation_enforcement_seconds_count",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}\n{text}");
    }
    // Nothing that an outsider can multiply, and nobody's name.
    for secret in ["corp.example\"", "/headers", "/status", "localhost\"", "127.0.0.1\""] {
        let labels = text.lines().filter(|line| !line.starts_with("tiergate_upstream_healthy"));
        let found: Vec<_> =
            labels.filter(|line| line.contains(secret) && !line.contains("certificate_expiry")).collect();
        assert!(found.is_empty(), "{secret}: {found:?}");
    }
    until("an upgraded connection counts while it is open", async || {
        estate.metric("tiergate_upgraded_connections_active", &[]) == 0.0
    })
    .await;
}

#[tokio::test]
async fn two_thousand_names_of_strangers_make_no_new_series() {
    let estate = Estate::start();
    some_of_everything(&estate).await;
    let series = || estate.metrics().lines().filter(|line| !line.starts_with('#')).count();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let config = Arc::new(estate.tls(Device::None, Tls::H1));
    let mut after_some = 0;
    let mut talk = Talk::new(estate.try_connect("wiki.localhost", &config).await.unwrap());
    for nth in 0..2000_u32 {
        let word = format!("{:08x}", nth.wrapping_mul(2_654_435_761));
        let head = match nth % 4 {
            0 => format!("GET /{word} HTTP/1.1\r\nHost: {word}.localhost\r\n\r\n"),
            1 => format!("GET /{word} HTTP/1.1\r\nHost: wiki.localhost\r\n\r\n"),
            2 => format!("GET /{word}/%2f HTTP/1.1\r\nHost: wiki.localhost\r\n\r\n"),
            _ => format!("{} / HTTP/1.1\r\nHost: localhost\r\n\r\n", word.to_ascii_uppercase()),
        };
        let mut answer = None;
        if talk.write(head.as_bytes()).await.is_ok() {
            answer = talk.answer("GET").await;
        }
        if answer.as_ref().is_none_or(|answer| answer.header("connection") == Some("close")) {
            talk = Talk::new(estate.try_connect("wiki.localhost", &config).await.unwrap());
        }
        if let Some(answer) = answer {
            assert!((400..500).contains(&answer.status), "{head}: {answer:?}");
        }
        if nth == 200 {
            for path in ["/a", "/b"] {
                browser.fetch(Method::GET, "wiki", path).await;
            }
            after_some = series();
        }
    }
    for nth in 0..50 {
        browser.fetch(Method::GET, "wiki", &format!("/{nth}")).await;
    }
    let after_all = series();
    println!("{after_some} series after 200 requests, {after_all} after 2000");
    assert!(after_all <= after_some + 5, "{after_some} then {after_all}:\n{}", estate.metrics());
}

#[tokio::test]
#[ignore = "needs promtool: make e2e"]
async fn promtool_finds_nothing_to_say_about_the_metrics() {
    let estate = Estate::start();
    some_of_everything(&estate).await;
    let file = estate.at("metrics.txt");
    std::fs::write(&file, estate.metrics()).unwrap();
    let mut promtool = std::process::Command::new("promtool");
    let output = run(promtool.args(["check", "metrics"]).stdin(std::fs::File::open(file).unwrap()));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[tokio::test]
async fn the_admin_listener_is_not_on_the_public_one_and_answers_only_to_its_own_name() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::Issued, "admin@corp.example").await;
    let token = estate.read("admin.token").trim().to_owned();
    let before = estate.metric("tiergate_policy_generation", &[]);
    for host in ["wiki", "login"] {
        for path in [
            "/metrics",
            "/healthz",
            "/readyz",
            "/api/v1/reload",
            "/api/v1/openapi.json",
            "/debug/pprof/",
            "/.tiergate/metrics",
        ] {
            for method in [Method::GET, Method::POST] {
                let url = browser.url(host, path);
                let request = browser
                    .ask(method.clone(), url.clone())
                    .header("authorization", format!("Bearer {token}"))
                    .header("origin", url.origin().ascii_serialization());
                let answer = browser.send(request).await;
                assert!(
                    !answer.body.contains("tiergate_requests_total"),
                    "{method} {host}{path}: {answer:?}"
                );
                assert!(
                    !answer.body.contains("\"generation\"") && !answer.body.contains("\"checks\""),
                    "{method} {host}{path}"
                );
                if host == "login" || path.starts_with("/.tiergate") {
                    assert!(matches!(answer.status, 404 | 405), "{method} {host}{path}: {answer:?}");
                }
            }
        }
    }
    assert_eq!(estate.metric("tiergate_policy_generation", &[]), before);

    let port = estate.admin;
    for (what, head, status) in [
        ("its address", format!("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"), "200"),
        ("its name", format!("GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\n"), "200"),
        (
            "a name that was pointed here",
            format!("GET /healthz HTTP/1.1\r\nHost: evil.example:{port}\r\n"),
            "4",
        ),
        (
            "a name that was pointed here",
            format!("GET /metrics HTTP/1.1\r\nHost: rebind.example:{port}\r\n"),
            "4",
        ),
        (
            "one that looks like it",
            "GET /metrics HTTP/1.1\r\nHost: localhost.evil.example\r\n".to_owned(),
            "4",
        ),
        ("no name", "GET /metrics HTTP/1.1\r\n".to_owned(), "4"),
        (
            "two names",
            format!("GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\nHost: evil.example\r\n"),
            "4",
        ),
        (
            "a reload from elsewhere",
            format!(
                "POST /api/v1/reload HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer {token}\r\n"
            ),
            "4",
        ),
        ("no token", format!("GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost:{port}\r\n"), "401"),
        ("nothing there", format!("GET /console HTTP/1.1\r\nHost: localhost:{port}\r\n"), "404"),
    ] {
        let answer = admin_call(port, &format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n"));
        let answer = answer.unwrap_or_default();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
        assert!(status == "200" || !answer.contains("tiergate_requests_total"), "{what}");
    }
    let ready = admin_get(port, "/readyz").unwrap();
    let ready: Value = serde_json::from_str(ready.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(ready["ready"], true, "{ready}");
    let openapi = format!(
        "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    assert!(admin_call(port, &openapi).unwrap().contains("\"/api/v1/reload\""));
    until("calls of the API are in the audit log, refused ones too", async || {
        estate.audit().iter().filter(|event| event["kind"] == "admin").count() >= 2
    })
    .await;
}

#[tokio::test]
async fn off_loopback_the_admin_api_is_spoken_to_over_tls_only() {
    let estate = Estate::start();
    let folder = tempfile::tempdir().unwrap();
    let copied = run(std::process::Command::new("cp").arg("-r").arg(estate.at(".")).arg(folder.path()));
    assert!(copied.status.success(), "{copied:?}");
    let (port, admin) = (support::port::free_port(), support::port::free_port());
    let config = folder.path().join("tiergate.yaml");
    let text = estate.read("tiergate.yaml");
    let text = text.replace(&estate.address().to_string(), &format!("127.0.0.1:{port}"));
    // Every address of the machine, so this one too.
    let text = text.replace(&format!("127.0.0.1:{}", estate.admin), &format!("0.0.0.0:{admin}"));
    std::fs::write(&config, text).unwrap();
    let _process =
        Process::start(&["serve", "--config", config.to_str().unwrap()], &folder.path().join("serve.log"));
    until("it is ready, as probes in the clear see", async || {
        admin_get(admin, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    })
    .await;
    assert!(admin_get(admin, "/metrics").unwrap().contains("tiergate_build_info"));
    let token = estate.read("admin.token").trim().to_owned();
    let call = |token: &str| {
        format!(
            "POST /api/v1/reload HTTP/1.1\r\nHost: 127.0.0.1:{admin}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    let in_the_clear = admin_call(admin, &call(&token)).unwrap();
    assert!(
        in_the_clear.starts_with("HTTP/1.1 403") && in_the_clear.contains("over TLS only"),
        "{in_the_clear}"
    );
    for (token, status) in [(token.as_str(), 200), ("", 401), ("another-token-of-some-length", 401)] {
        let tcp = TcpStream::connect(("127.0.0.1", admin)).await.unwrap();
        let connector = TlsConnector::from(Arc::new(estate.tls(Device::None, Tls::H1)));
        let stream = connector.connect("wiki.localhost".try_into().unwrap(), tcp).await.unwrap();
        let mut talk = Talk::new(stream);
        talk.write(call(token).as_bytes()).await.unwrap();
        assert_eq!(talk.answer("POST").await.map(|answer| answer.status), Some(status), "{token}");
    }
}

#[tokio::test]
async fn a_proxy_header_counts_from_a_listed_balancer_and_from_nobody_else() {
    let estate = Estate::start();
    let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let port = estate.port;
    let v1 = format!("PROXY TCP4 203.0.113.9 127.0.0.1 50000 {port}\r\n").into_bytes();
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\xc3\x50".to_vec();
    v2.extend(port.to_be_bytes());
    let config = Arc::new(estate.tls(Device::None, Tls::H1));
    // What comes of a connection that begins with these bytes.
    let ask = async |first: &[u8]| -> Option<Value> {
        let mut tcp = TcpStream::connect(estate.address()).await.unwrap();
        tcp.write_all(first).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("wiki.localhost").unwrap();
        let shaking = TlsConnector::from(Arc::clone(&config)).connect(name, tcp);
        let tls = tokio::time::timeout(support::DEADLINE, shaking)
            .await
            .expect("neither an answer nor an end")
            .ok()?;
        let mut talk = Talk::new(tls);
        let head = format!(
            "GET /headers HTTP/1.1\r\nHost: wiki.localhost:{port}\r\nCookie: {cookies}\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
        );
        talk.write(head.as_bytes()).await.unwrap();
        let answer = talk.answer("GET").await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        Some(answer.json())
    };
    let forwarded = |seen: &Value| {
        let headers = seen["headers"].as_array().unwrap().clone();
        let header = headers.iter().find(|header| header[0] == "x-forwarded-for").unwrap();
        header[1].as_str().unwrap().to_owned()
    };

    for header in [&v1, &v2] {
        assert_eq!(ask(header).await, None, "nobody is listed: {}", header.escape_ascii());
    }
    assert_eq!(forwarded(&ask(b"").await.unwrap()), "127.0.0.1");

    estate.rewrite("tiergate.yaml", "listen:\n", "listen:\n  proxy_protocol: { from: [127.0.0.1/32] }\n");
    estate.reload();
    assert!(!estate.words().contains("takes effect at the next restart"), "it counts from now on");
    let mark = estate.mark();
    for (nth, header) in [&v1, &v2].into_iter().enumerate() {
        let seen = ask(header)
            .await
            .unwrap_or_else(|| panic!("a listed balancer is refused: {}", header.escape_ascii()));
        assert_eq!(forwarded(&seen), "203.0.113.9");
        let events = estate.decisions_since(&mark, nth + 1).await;
        assert_eq!(events[nth]["client"], "203.0.113.9");
    }
    for (what, first) in [
        ("no header", &b""[..]),
        ("half of one", b"PROXY TCP4 203.0.113.9 127.0"),
        ("another address family than it says", b"PROXY TCP4 ::1 ::1 1 2\r\n"),
        ("a number too large", b"PROXY TCP4 203.0.113.999 127.0.0.1 1 2\r\n"),
        ("without an end", &[b'P'; 300]),
    ] {
        assert_eq!(ask(first).await, None, "{what}");
    }
}

#[tokio::test]
async fn a_websocket_that_opens_stays_open() {
    let estate = Estate::start();
    let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let mut broken = 0;
    // The upstream is quick: its answer may be there before everything about the request was sent.
    for _ in 0..300 {
        let mut socket = WebSocket::open(&estate, Device::None, "wiki.localhost", &cookies).await.unwrap();
        broken += usize::from(!socket.echoes().await);
    }
    assert_eq!(broken, 0, "of 300 were ended as they opened");
}

#[tokio::test]
#[cfg(debug_assertions)]
async fn a_panic_costs_one_request() {
    let estate = Estate::start();
    let _process = Process::after_crash_with(&estate, &[("TIERGATE_FAULTS", "1")]).await;
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let mut other = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    let mark = estate.mark();
    // A stream beside it on the same connection.
    let mut beside = browser.ask(Method::GET, browser.url("wiki", "/events")).send().await.unwrap();
    let faulty =
        browser.ask(Method::GET, browser.url("wiki", "/headers")).header("x-tiergate-fault", "panic");
    if let Ok(answer) = faulty.send().await {
        assert_eq!(answer.status().as_u16(), 500);
    }
    assert!(beside.chunk().await.unwrap().is_some());
    assert!(beside.chunk().await.unwrap().is_some(), "what runs beside it goes on");
    assert_eq!(browser.fetch(Method::GET, "wiki", "/headers").await.status, 200);
    assert_eq!(other.fetch(Method::GET, "wiki", "/headers").await.status, 200);
    let events = estate.decisions_since(&mark, 3).await;
    let faults: Vec<_> = events.iter().filter(|event| event["reason"] == "internal_error").collect();
    assert_eq!(faults.len(), 1, "{events:#?}");
}

#[tokio::test]
#[cfg(debug_assertions)]
async fn nobody_can_cause_a_fault_where_that_is_not_switched_on() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let request =
        browser.ask(Method::GET, browser.url("wiki", "/headers")).header("x-tiergate-fault", "panic");
    let answer = browser.send(request).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.body.contains("x-tiergate-fault"), "it looks like a header of ours: {}", answer.body);
}

#[tokio::test]
async fn plain_http_leads_to_https_and_to_nothing_else() {
    let estate = Estate::start();
    let http = support::port::free_port();
    let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    estate.rewrite("tiergate.yaml", "listen:\n", &format!("listen:\n  http: [\"127.0.0.1:{http}\"]\n"));
    until("it says that this needs a restart", async || estate.words().contains("restart")).await;
    let _process = Process::after_crash(&estate).await;
    let wiki = format!("https://wiki.localhost:{}", estate.port);
    for (what, head, status, location) in [
        ("a page", "GET /a/b?c=d HTTP/1.1\r\nHost: wiki.localhost".to_owned(), 308, Some("/a/b?c=d")),
        ("its head", "HEAD / HTTP/1.1\r\nHost: wiki.localhost".to_owned(), 308, Some("/")),
        ("with a port", format!("GET / HTTP/1.1\r\nHost: wiki.localhost:{http}"), 308, Some("/")),
        (
            "with a cookie",
            format!("GET / HTTP/1.1\r\nHost: wiki.localhost\r\nCookie: {cookies}"),
            308,
            Some("/"),
        ),
        ("a form", "POST / HTTP/1.1\r\nHost: wiki.localhost\r\nContent-Length: 0".to_owned(), 403, None),
        ("another host", "GET / HTTP/1.1\r\nHost: evil.example".to_owned(), 404, None),
        ("one that nobody configured", "GET / HTTP/1.1\r\nHost: nothing.localhost".to_owned(), 404, None),
        ("no host", "GET / HTTP/1.0".to_owned(), 400, None),
        ("two hosts", "GET / HTTP/1.1\r\nHost: wiki.localhost\r\nHost: evil.example".to_owned(), 400, None),
        ("another place", "GET //evil.example/ HTTP/1.1\r\nHost: wiki.localhost".to_owned(), 0, None),
        ("metrics", "GET /metrics HTTP/1.1\r\nHost: localhost".to_owned(), 404, None),
    ] {
        let tcp = TcpStream::connect(("127.0.0.1", http)).await.unwrap();
        let answer =
            support::raw::exchange(tcp, format!("{head}\r\nConnection: close\r\n\r\n").as_bytes(), 1).await;
        let answer = answer.answers.first().unwrap_or_else(|| panic!("{what}: no answer"));
        let to = answer.header("location");
        if status != 0 {
            // Which kind of refusal it is, is the listener's choice.
            let same = answer.status == status || (status >= 400 && matches!(answer.status, 400 | 403 | 404));
            assert!(same, "{what}: {answer:?}");
        }
        match (location, to) {
            (Some(path), Some(to)) => {
                let plain = format!("https://wiki.localhost{path}");
                assert!(to == format!("{wiki}{path}") || to == plain, "{what}: {to}");
            }
            (Some(_), None) => panic!("{what}: {answer:?}"),
            (None, Some(to)) => assert!(to.starts_with("https://wiki.localhost"), "{what}: {to}"),
            (None, None) => {}
        }
        assert!(answer.all("set-cookie").is_empty(), "{what}");
    }
    let forwarded = estate.metric("tiergate_upstream_requests_total", &[]);
    assert_eq!(forwarded, 0.0, "nothing is forwarded from there");
}

#[tokio::test]
async fn an_address_has_only_so_many_connections_and_those_too_many_are_counted() {
    let estate = Estate::start();
    estate.edit("tiergate.yaml", |config| {
        config["limits"] = serde_json::json!({ "max_connections_per_address": 3 });
    });
    estate.reload();
    let config = Arc::new(estate.tls(Device::None, Tls::H1));
    let mut open = Vec::new();
    for nth in 0..3 {
        let stream = estate.try_connect("wiki.localhost", &config).await;
        open.push(stream.unwrap_or_else(|error| panic!("connection {nth}: {error}")));
    }
    let busy = || estate.metric("tiergate_tls_handshakes_total", &["result=\"busy\""]);
    assert_eq!(busy(), 0.0);
    assert!(estate.try_connect("wiki.localhost", &config).await.is_err(), "the fourth");
    until("the fourth is counted", async || busy() == 1.0).await;
    open.pop();
    until("there is room again", async || estate.try_connect("wiki.localhost", &config).await.is_ok()).await;
}
