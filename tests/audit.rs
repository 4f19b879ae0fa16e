//! The audit log: every request once, no secret, no line that somebody else wrote, and what is closed
//! when it cannot be written.

mod support;

use reqwest::Method;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use support::process::admin_get;
use support::raw::Talk;
use support::traffic::some_of_everything;
use support::visitor::{SESSION, Visitor};
use support::wait::until;
use support::websocket::WebSocket;
use support::{Device, Estate, Tls};

const EMPLOYEE: &str = "employee@corp.example";
const FINANCE: &str = "finance@corp.example";

/// The keys of an audit event.
const KEYS: &[&str] = &[
    "time",
    "kind",
    "request_id",
    "code",
    "decision",
    "reason",
    "resource",
    "tier",
    "rule",
    "policy",
    "subject",
    "provider",
    "groups",
    "groups_cut",
    "mfa",
    "auth_age",
    "session",
    "device",
    "device_authority",
    "device_trust",
    "device_reason",
    "method",
    "host",
    "path",
    "client",
    "status",
    "bytes_in",
    "bytes_out",
    "duration_us",
    "shadow",
    "comment",
    "lost",
];

#[tokio::test]
async fn every_request_is_in_the_audit_log_once_and_no_secret_is_in_any_log() {
    let estate = Estate::start();
    let browser = some_of_everything(&estate).await;
    let mark = estate.mark();
    let mut want: BTreeMap<String, usize> = BTreeMap::new();
    let mut expect = |reason: &str| *want.entry(reason.to_owned()).or_default() += 1;

    // HTTP/2, with things in the request that are nobody's business.
    let mut visitor = browser.clone();
    for (method, host, path, reason) in [
        (Method::GET, "wiki", "/headers?token=hush-query", "allowed"),
        (Method::POST, "wiki", "/upload", "allowed"),
        (Method::GET, "wiki", "/status/500", "allowed"),
        (Method::DELETE, "tickets", "/headers", "allowed"),
        (Method::GET, "payroll", "/headers", "allowed"),
        (Method::GET, "login", "/nothing", "own_page"),
        (Method::GET, "wiki", "/.tiergate/jwks.json", "own_page"),
    ] {
        visitor.fetch(method, host, path).await;
        expect(reason);
    }
    let url = visitor.url("wiki", "/headers");
    let hushed = visitor
        .ask(Method::GET, url)
        .header("authorization", "Bearer hush-authorization")
        .header("cookie", "other=hush-cookie")
        .header("x-api-key", "hush-header");
    assert_eq!(visitor.send(hushed).await.status, 200);
    expect("allowed");
    let mut stranger = Visitor::new(&estate, Device::None);
    for _ in 0..10 {
        stranger.fetch(Method::GET, "wiki", "/headers").await;
        expect("not_signed_in");
    }
    // Many at once on one connection.
    let many = (0..20).map(|nth| {
        let mut visitor = browser.clone();
        async move { visitor.fetch(Method::GET, "wiki", &format!("/bytes/{nth}")).await.status }
    });
    assert!(futures::future::join_all(many).await.iter().all(|status| *status == 200));
    (0..20).for_each(|_| expect("allowed"));
    // HTTP/1.1: pipelined, malformed, unknown, aborted, upgraded.
    let cookies = browser.cookie_header("wiki.localhost");
    let good =
        format!("GET /headers HTTP/1.1\r\nHost: wiki.localhost:{}\r\nCookie: {cookies}\r\n\r\n", estate.port);
    let stream = estate.connect("wiki.localhost", Device::Issued, Tls::H1).await;
    let two = support::raw::exchange(stream, good.repeat(2).as_bytes(), 2).await;
    // The connection may be closed after the first: then the client sends the second again.
    assert!(two.statuses() == [200, 200] || (two.statuses() == [200] && two.closed), "{two:?}");
    (0..two.answers.len()).for_each(|_| expect("allowed"));
    for (bytes, reason) in [
        (&b"GET /a%2fb HTTP/1.1\r\nHost: wiki.localhost\r\n\r\n"[..], "ambiguous_request"),
        (b"TRACE / HTTP/1.1\r\nHost: wiki.localhost\r\n\r\n", "method_refused"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "no_route"),
    ] {
        let stream = estate.connect("wiki.localhost", Device::Issued, Tls::H1).await;
        support::raw::exchange(stream, bytes, 1).await;
        expect(reason);
    }
    let mut socket = WebSocket::open(&estate, Device::Issued, "wiki.localhost", &cookies).await.unwrap();
    assert!(socket.echoes().await);
    drop(socket);
    expect("websocket");
    let mut aborted = Talk::new(estate.connect("wiki.localhost", Device::Issued, Tls::H1).await);
    let slow = good.replace("/headers", "/delay/60000");
    aborted.write(slow.as_bytes()).await.unwrap();
    until("the slow request is with the upstream", async || {
        estate.metric("tiergate_connections_active", &[]) > 0.0
    })
    .await;
    tokio::time::sleep(support::SILENCE).await;
    drop(aborted);
    expect("client_aborted");

    let sent = want.values().sum();
    let events = estate.decisions_since(&mark, sent).await;
    // One more would have come by now.
    tokio::time::sleep(support::SILENCE).await;
    let events_later = estate.decisions_since(&mark, sent).await;
    assert_eq!(events_later.len(), sent, "{events:#?}");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for event in &events_later {
        // How a WebSocket ended depends on who was first to say so.
        let what = if event["path"] == "/ws" { "websocket" } else { support::audit::reason(event) };
        *seen.entry(what.to_owned()).or_default() += 1;
    }
    assert_eq!(seen, want, "{events:#?}");
    let ids: BTreeSet<_> =
        events_later.iter().map(|event| event["request_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), sent, "each request has an id of its own");

    for event in estate.audit() {
        let keys = event.as_object().unwrap();
        assert!(keys.keys().all(|key| KEYS.contains(&key.as_str())), "{event}");
        assert!(keys.contains_key("time") && keys.contains_key("kind"), "{event}");
        if event["kind"] == "decision" {
            for key in ["request_id", "decision", "reason", "client", "duration_us"] {
                assert!(keys.contains_key(key), "{key}: {event}");
            }
        }
    }
    let allowed = events_later.iter().find(|event| event["host"] == "payroll.localhost").unwrap();
    for (key, value) in [
        ("decision", "allow"),
        ("resource", "payroll"),
        ("tier", "high"),
        ("subject", FINANCE),
        ("provider", "local"),
        ("device", "issued"),
        ("device_trust", "issued"),
        ("method", "GET"),
        ("path", "/headers"),
        ("client", "127.0.0.1"),
    ] {
        assert_eq!(allowed[key], value, "{allowed}");
    }
    assert_eq!(allowed["groups"], serde_json::json!(["finance"]), "{allowed}");
    assert_eq!(allowed["mfa"], false, "{allowed}");
    assert!(allowed["auth_age"].as_u64().is_some_and(|age| age < 3600), "{allowed}");
    assert!(allowed["rule"].as_str().is_some_and(|rule| rule.contains("resources.yaml:")), "{allowed}");

    let mut logs = estate.words();
    for entry in std::fs::read_dir(estate.at("audit")).unwrap() {
        logs.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    logs.push_str(&estate.metrics());
    let mut secrets = vec!["hush".to_owned(), estate.read("admin.token").trim().to_owned()];
    secrets.extend(
        estate.read("passwords.txt").lines().map(|line| line.split_once(' ').unwrap().1.trim().to_owned()),
    );
    for host in ["wiki", "tickets", "payroll", "login"] {
        secrets.push(browser.cookie(host, SESSION).unwrap().to_owned());
        secrets.extend(browser.cookie(host, "__Host-tiergate-browser").map(str::to_owned));
    }
    secrets.extend([
        "argon2".to_owned(),
        "PRIVATE KEY".to_owned(),
        "ticket=".to_owned(),
        "state=".to_owned(),
    ]);
    for secret in secrets {
        assert!(!logs.contains(&secret), "`{secret}` is in a log");
    }
}

#[tokio::test]
async fn nothing_that_is_sent_breaks_a_line_of_a_log() {
    let estate = Estate::start();
    let mark = estate.mark();
    let long = "a".repeat(8000);
    let user_agent =
        "User-Agent: \u{1b}[31mred\"}{\"kind\":\"sign_in\"}\u{7f}\u{e9}\r\nHost: wiki.localhost\r\n"
            .to_owned();
    let mut sent = 0;
    for head in [
        "GET /%0a%0dkind HTTP/1.1\r\nHost: wiki.localhost\r\n".to_owned(),
        "GET /%1b[31m HTTP/1.1\r\nHost: wiki.localhost\r\n".to_owned(),
        "GET /\"},{\"kind\":\"admin\" HTTP/1.1\r\nHost: wiki.localhost\r\n".to_owned(),
        "GET /\u{1b}]0;x\u{7} HTTP/1.1\r\nHost: wiki.localhost\r\n".to_owned(),
        "GET /\u{202e}txt HTTP/1.1\r\nHost: wiki.localhost\r\n".to_owned(),
        "G\u{1b}T / HTTP/1.1\r\nHost: wiki.localhost\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: wiki\u{1b}.localhost\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: wiki.localhost\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {long}.localhost\r\n"),
        format!("GET / HTTP/1.1\r\n{user_agent}"),
    ] {
        let stream = estate.connect("wiki.localhost", Device::None, Tls::H1).await;
        support::raw::exchange(stream, format!("{head}\r\n").as_bytes(), 1).await;
        sent += 1;
    }
    // Names that people type, or do not.
    let mut browser = Visitor::new(&estate, Device::None);
    let form = browser.open("wiki", "/").await;
    for user in
        ["a\nkind", "a\r\n\r\n{\"kind\":\"admin\"}", "\u{1b}[31m", "\u{0}", &"x".repeat(5000), EMPLOYEE]
    {
        let answer = browser.submit(&form, &[("user", user), ("password", "hush-hush")]).await;
        assert!((400..500).contains(&answer.status), "{user:?}: {answer:?}");
    }
    let events = estate.decisions_since(&mark, sent + 8).await;
    assert!(events.len() >= sent);
    for entry in std::fs::read_dir(estate.at("audit")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.lines().all(|line| line.len() < 8192), "lines are bounded");
        let control = text.chars().find(|symbol| symbol.is_control() && *symbol != '\n');
        assert_eq!(control, None);
        assert!(!text.contains("hush-hush"));
    }
    let words = estate.words();
    assert!(!words.contains('\u{1b}') && !words.contains("hush-hush"), "{words}");
}

#[tokio::test]
async fn without_an_audit_log_the_high_tier_is_closed_and_the_others_go_on() {
    for fault in ["the disk is full", "the folder is gone"] {
        let estate = Estate::start();
        let mut browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
        for host in ["tickets", "payroll"] {
            assert_eq!(browser.open(host, "/headers").await.status, 200);
        }
        until("the first lines are written", async || {
            estate
                .decisions()
                .iter()
                .any(|event| event["host"] == "payroll.localhost" && event["decision"] == "allow")
        })
        .await;
        let audit = estate.at("audit");
        let file = std::fs::read_dir(&audit).unwrap().map(|entry| entry.unwrap().path()).next().unwrap();
        let aside = if fault == "the disk is full" {
            // Every write to this device fails as one to a full disk does.
            let aside = file.with_extension("0.jsonl");
            std::fs::rename(&file, &aside).unwrap();
            symlink("/dev/full", &file).unwrap();
            aside
        } else {
            let aside = estate.at("audit-aside");
            std::fs::rename(&audit, &aside).unwrap();
            std::fs::write(&audit, "").unwrap();
            aside
        };

        let mut allowed = 1;
        until(&format!("{fault}: the high tier is closed"), async || {
            assert_eq!(browser.fetch(Method::GET, "wiki", "/headers").await.status, 200, "{fault}");
            let answer = browser.fetch(Method::GET, "payroll", "/headers").await;
            allowed += usize::from(answer.status == 200);
            (answer.status, answer.reason().as_str()) == (503, "audit_unavailable")
        })
        .await;
        let page = browser.open("payroll", "/headers").await;
        assert_eq!(
            (page.status, page.header("content-type").contains("html")),
            (503, true),
            "{fault}: {page:?}"
        );
        for host in ["wiki", "tickets"] {
            assert_eq!(browser.fetch(Method::GET, host, "/headers").await.status, 200, "{fault}: {host}");
        }
        assert!(estate.metric("tiergate_audit_failures_total", &[]) > 0.0, "{fault}");
        assert!(estate.words().contains("audit"), "{fault}: the log says so");
        let ready = admin_get(estate.admin, "/readyz").unwrap();
        assert!(
            ready.contains("audit") && !ready.contains("\"name\":\"audit\",\"ok\":true"),
            "{fault}: {ready}"
        );

        if fault == "the disk is full" {
            std::fs::remove_file(&file).unwrap();
        } else {
            std::fs::remove_file(&audit).unwrap();
            std::fs::rename(&aside, &audit).unwrap();
        }
        until(&format!("{fault}: it recovers by itself"), async || {
            let open = browser.fetch(Method::GET, "payroll", "/headers").await.status == 200;
            allowed += usize::from(open);
            open
        })
        .await;
        // Whatever was let in there is in the log, and so is what was refused meanwhile.
        let is_ours = |event: &Value| {
            event["kind"] == "decision" && event["host"] == "payroll.localhost" && event["path"] == "/headers"
        };
        until(&format!("{fault}: everything let in is in the log"), async || {
            let events = estate.audit();
            events.iter().filter(|event| is_ours(event) && event["decision"] == "allow").count() == allowed
        })
        .await;
        assert!(
            estate.audit().iter().any(|event| is_ours(event) && event["reason"] == "audit_unavailable"),
            "{fault}"
        );
    }
}
