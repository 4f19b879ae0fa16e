//! What goes wrong behind tiergate, and what it holds back.

use crate::support::port::free_port;
use crate::support::raw::Talk;
use crate::support::{Browser, Device, Estate, Recorder, Tls};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const HOST: &str = "wiki.localhost";

async fn start(upstream: serde_json::Value) -> (Estate, Browser) {
    let estate = Estate::start();
    let employee = Browser::signed_in(&estate, Device::None, "employee", &[HOST]).await;
    estate.edit("tiergate.yaml", |config| config["upstreams"]["demo"] = upstream);
    estate.reload();
    (estate, employee)
}

async fn check(estate: &Estate, browser: &Browser, path: &str, status: u16, reason: &str) {
    let mark = estate.mark();
    let answer = browser.get(&estate.url(HOST, path)).await;
    assert_eq!(answer.status(), status, "{path}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    let document: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(
        (&document["reason"], &document["status"]),
        (&json!(reason), &json!(status)),
        "{path} {document}"
    );
    let event = &estate.decisions_since(&mark, 1).await[0];
    assert_eq!((&event["reason"], &event["status"]), (&json!(reason), &json!(status)), "{path} {event}");
    assert_eq!(event["code"], document["code"], "{path}: the code that is shown finds the event");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_down_is_a_502() {
    let (estate, employee) = start(json!({ "addresses": [format!("127.0.0.1:{}", free_port())] })).await;
    for _ in 0..4 {
        check(&estate, &employee, "/headers", 502, "upstream_unavailable").await;
    }
    // A person gets a page.
    let page = employee
        .request(reqwest::Method::GET, &estate.url(HOST, "/"))
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].as_bytes()),
        (502, &b"text/html; charset=utf-8"[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_answer_is_a_504() {
    let recorder = Recorder::start().await;
    recorder.answer_with(|_| Vec::new());
    let (estate, employee) =
        start(json!({ "addresses": [recorder.address.to_string()], "first_byte_timeout": "1s" })).await;
    check(&estate, &employee, "/headers", 504, "upstream_timeout").await;
    // What was sent once is not sent again: nobody knows whether it was done.
    recorder.clear();
    let answer =
        employee.request(reqwest::Method::POST, &estate.url(HOST, "/pay")).body("once").send().await.unwrap();
    assert_eq!(answer.status(), 504);
    assert_eq!(recorder.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_took_before_it_died_is_not_sent_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, mut took) = tokio::sync::mpsc::unbounded_channel();
    // The first request of a connection is answered; the next one is read, and the connection reset.
    let dying = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let told = told.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                for count in 0..2 {
                    let mut text = String::new();
                    // Head and body may come apart; what is reset half way is a failure of another kind.
                    while !text.contains("\r\n\r\n")
                        || count == 1 && !text.starts_with("GET ") && !text.ends_with("once")
                    {
                        let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
                        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                    }
                    told.send(text).unwrap();
                    if count == 0 {
                        stream.write_all(&crate::support::upstream::ok("ok")).await.unwrap();
                    }
                }
                stream.set_zero_linger().unwrap();
            });
        }
    });
    let (estate, employee) = start(json!({ "addresses": [address.to_string()] })).await;
    // Twice is as good as once only where HTTP says so (RFC 9110 section 9.2.2): the connection was an old one,
    // and may have been closed before the request came.
    for (method, times, status) in [
        (Method::POST, 1, 502),
        (Method::PATCH, 1, 502),
        (Method::PUT, 2, 200),
        // Without a body it goes another way inside, and must come to the same.
        (Method::GET, 2, 200),
    ] {
        // Connections are kept apart by the way that made them.
        let warm = if method == Method::GET { Method::GET } else { Method::DELETE };
        let first = employee.request(warm, &estate.url(HOST, "/warm")).send().await.unwrap();
        assert_eq!(first.status(), 200, "{method}");
        let mut asked = employee.request(method.clone(), &estate.url(HOST, "/pay?once"));
        if method != Method::GET {
            asked = asked.body("once");
        }
        let answer = asked.send().await.unwrap();
        let mut paid = 0;
        while let Ok(text) = took.try_recv() {
            paid += usize::from(text.contains("/pay?once "));
        }
        assert_eq!((paid, answer.status().as_u16()), (times, status), "{method}");
    }
    dying.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_answers_garbage_is_a_502() {
    let recorder = Recorder::start().await;
    let (estate, employee) =
        start(json!({ "addresses": [recorder.address.to_string()], "first_byte_timeout": "2s" })).await;
    for garbage in [
        &b"SSH-2.0-x\r\n\r\n"[..],
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    ] {
        recorder.answer_with(move |_| garbage.to_vec());
        let answer = employee.get(&estate.url(HOST, "/headers")).await;
        assert_eq!(answer.status(), 502, "{}", garbage.escape_ascii());
    }
    recorder.answer_ok();
    assert_eq!(employee.get(&estate.url(HOST, "/headers")).await.text().await.unwrap(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_seen_to_break_off() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (estate, employee) =
        start(json!({ "addresses": [listener.local_addr().unwrap().to_string()] })).await;
    for head in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mark = estate.mark();
        let mut talk = Talk::new(estate.connect(HOST, Device::None, Tls::H1).await);
        let text = format!(
            "GET /x HTTP/1.1\r\nHost: {HOST}:{}\r\nCookie: {}\r\n\r\n",
            estate.port,
            employee.cookie(HOST).unwrap()
        );
        talk.write(text.as_bytes()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let _ = stream.read(&mut buffer).await.unwrap();
        let begun = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n");
        stream.write_all(begun.as_bytes()).await.unwrap();
        assert_eq!(talk.head().await.unwrap().status, 200, "{head}");
        drop(stream);
        let mut body = Vec::new();
        loop {
            let more = talk.some_bytes().await;
            if more.is_empty() {
                break;
            }
            body.extend(more);
        }
        assert!(talk.is_closed(), "{head}: the connection must end");
        assert!(
            !body.ends_with(b"0\r\n\r\n") && body.len() < 100,
            "{head}: it looks whole: {}",
            body.escape_ascii()
        );
        let event = &estate.decisions_since(&mark, 1).await[0];
        assert_eq!(event["reason"], "upstream_unavailable", "{head} {event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_when_to_come_back() {
    let estate = Estate::start();
    let hosts = ["wiki.localhost", "tickets.localhost"];
    let employee = Browser::signed_in(&estate, Device::Enrolled, "employee", &hosts).await;
    let admin = Browser::signed_in(&estate, Device::Enrolled, "admin", &hosts).await;
    estate.edit("policies/resources.yaml", |policy| {
        for resource in policy["resources"].as_array_mut().unwrap() {
            match resource["name"].as_str() {
                Some("wiki") => {
                    resource["rate_limit"] =
                        json!({ "per": "user", "requests": 5, "window": "1h", "burst": 5 })
                }
                Some("tickets") => {
                    resource["rate_limit"] =
                        json!({ "per": "address", "requests": 5, "window": "1h", "burst": 5 })
                }
                _ => {}
            }
        }
    });
    estate.reload();
    for (host, shared) in [("wiki.localhost", false), ("tickets.localhost", true)] {
        let url = estate.url(host, "/headers");
        for count in 0..5 {
            assert_eq!(employee.get(&url).await.status(), 200, "{host} {count}");
        }
        let mark = estate.mark();
        let answer = employee.get(&url).await;
        assert_eq!(answer.status(), 429, "{host}");
        let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=3600).contains(&wait), "{host}: {wait}");
        // Lines of the requests before may come behind the mark.
        let line = format!("the refusal for {host}");
        let refused = |event: &Value| event["host"] == host && event["decision"] == "deny";
        let event = estate.decision_since(&mark, &line, refused).await;
        assert_eq!((&event["reason"], &event["status"]), (&json!("rate_limited"), &json!(429)), "{event}");
        assert_eq!(event["subject"], "employee@corp.example", "{event}");
        // Somebody else's budget is their own, unless it is counted by address.
        let other = admin.get(&url).await.status();
        assert_eq!(other, if shared { 429 } else { 200 }, "{host}");
    }
}

/// What a person opens in a browser is answered to a person, also where it cannot be understood.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_could_be_two_is_told_to_each_in_its_own_way() {
    let estate = Estate::start();
    let stranger = Browser::new(&estate, Device::None, Tls::H2);
    for (accept, kind, says) in [
        ("text/html", "text/html; charset=utf-8", "Type the address afresh"),
        ("*/*", "application/problem+json", "\"ambiguous_request\""),
    ] {
        let mark = estate.mark();
        let url = estate.url(HOST, "/a%2Fb");
        let asked = stranger.request(reqwest::Method::GET, &url).header("accept", accept);
        let answer = asked.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
            (400, kind)
        );
        let body = answer.text().await.unwrap();
        let event = &estate.decisions_since(&mark, 1).await[0];
        assert_eq!(event["reason"], "ambiguous_request", "{event}");
        assert!(body.contains(says) && body.contains(event["code"].as_str().unwrap()), "{accept}: {body}");
    }
}
