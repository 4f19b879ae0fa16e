//! Stopping: what was begun is finished, what may not go on is ended, and nothing goes unrecorded.

mod support;

use reqwest::Method;
use support::process::{Process, signal};
use support::raw::Talk;
use support::visitor::Visitor;
use support::wait::until;
use support::websocket::WebSocket;
use support::{Device, Estate, Tls};
use tokio::net::TcpStream;

const EMPLOYEE: &str = "employee@corp.example";

#[tokio::test]
async fn a_terminated_process_answers_what_it_began_and_then_ends_at_once() {
    let estate = Estate::start();
    let mut process = Process::after_crash(&estate).await;
    let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let head = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: wiki.localhost:{}\r\nCookie: {cookies}\r\n\r\n", estate.port)
    };
    let mut slow = Talk::new(estate.connect("wiki.localhost", Device::None, Tls::H1).await);
    slow.write(head("/delay/3000").as_bytes()).await.unwrap();
    let over_http2 = tokio::spawn({
        let mut browser = browser.clone();
        async move { browser.fetch(Method::GET, "wiki", "/delay/3000").await.status }
    });
    // Connections on which nothing happens do not hold it up.
    let mut idle = Talk::new(estate.connect("wiki.localhost", Device::None, Tls::H1).await);
    idle.write(head("/headers").as_bytes()).await.unwrap();
    assert_eq!(idle.answer("GET").await.map(|answer| answer.status), Some(200));
    let socket = WebSocket::open(&estate, Device::None, "wiki.localhost", &cookies).await.unwrap();
    until("the slow requests are under way", async || {
        estate.metric("tiergate_upgraded_connections_active", &[]) >= 1.0
    })
    .await;
    tokio::time::sleep(support::SILENCE).await;

    signal(process.pid(), "TERM");
    let began = std::time::Instant::now();
    until("nobody new is let in", async || TcpStream::connect(estate.address()).await.is_err()).await;
    let ready = support::process::admin_get(estate.admin, "/readyz").unwrap();
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("draining"), "who balances is told: {ready}");
    let answer = slow.answer("GET").await.expect("what was begun is answered");
    assert_eq!((answer.status, answer.text().as_str()), (200, "done\n"), "{answer:?}");
    assert_eq!(over_http2.await.unwrap(), 200);
    drop(socket);
    let status = process.ended().await;
    println!("ended {:?} after the signal", began.elapsed());
    assert_eq!(status.code(), Some(0), "{}", process.words());
    assert!(estate.audit().iter().any(|event| event["kind"] == "stop"), "the audit log says that it stopped");
    let mark_of_slow = estate
        .decisions()
        .iter()
        .filter(|event| event["path"] == "/delay/3000" && event["status"] == 200)
        .count();
    assert_eq!(mark_of_slow, 2, "the last requests are in the audit log");
}

#[tokio::test]
async fn what_is_open_too_long_is_ended_and_is_in_the_audit_log_all_the_same() {
    let estate = Estate::start();
    let mut process = Process::after_crash(&estate).await;
    // What the configuration says when it stops, not what it said when it started.
    estate.rewrite("tiergate.yaml", "listen:\n", "limits: { drain_timeout: 2s }\nlisten:\n");
    estate.reload();
    let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let mut socket = WebSocket::open(&estate, Device::None, "wiki.localhost", &cookies).await.unwrap();
    assert!(socket.echoes().await);
    let mut events = browser.ask(Method::GET, browser.url("wiki", "/events")).send().await.unwrap();
    assert!(events.chunk().await.unwrap().is_some());

    signal(process.pid(), "TERM");
    let status = process.ended().await;
    assert_eq!(status.code(), Some(0), "{}", process.words());
    socket.ends().await;
    let recorded = estate.decisions();
    for path in ["/ws", "/events"] {
        let found = recorded.iter().filter(|event| event["path"] == path).count();
        assert_eq!(found, 1, "{path} is in the audit log: {recorded:#?}");
    }
}

#[tokio::test]
async fn a_process_that_drains_still_hears_of_revocations() {
    let estate = Estate::start();
    let mut process = Process::after_crash(&estate).await;
    let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let mut socket = WebSocket::open(&estate, Device::None, "wiki.localhost", &cookies).await.unwrap();
    assert!(socket.echoes().await);
    signal(process.pid(), "TERM");
    until("nobody new is let in", async || TcpStream::connect(estate.address()).await.is_err()).await;
    assert!(socket.echoes().await, "it is drained, not cut");
    assert!(process.exit().is_none());

    estate.add_to_user(EMPLOYEE, "    disabled: true\n");
    socket.ends().await;
    // It was all that was left, so the process need not wait any longer.
    assert_eq!(process.ended().await.code(), Some(0), "{}", process.words());
    let recorded = estate.decisions();
    assert!(
        recorded.iter().any(|event| event["path"] == "/ws" && event["reason"] == "account_disabled"),
        "{recorded:#?}"
    );
}
