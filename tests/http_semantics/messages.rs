//! Single messages: what has a body and what has none, how it is framed, and what follows it.

use crate::support::raw::{Talk, exchange};
use crate::support::upstream::ok;
use crate::support::{Browser, Device, Estate, Recorder, Tls};
use reqwest::Method;
use serde_json::json;

const HOST: &str = "wiki.localhost";

async fn talk(estate: &Estate) -> (Talk<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>, String) {
    let browser = Browser::signed_in(estate, Device::None, "employee", &[HOST]).await;
    let stream = estate.connect(HOST, Device::None, Tls::H1).await;
    (
        Talk::new(stream),
        format!("Host: {HOST}:{}\r\nCookie: {}\r\n", estate.port, browser.cookie(HOST).unwrap()),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_many_requests_of_every_shape() {
    let estate = Estate::start();
    let (mut talk, head) = talk(&estate).await;
    let large = "a".repeat(30_000);
    for (line, more, body, status, length) in [
        ("GET /headers", "", "", 200, None),
        ("HEAD /headers", "", "", 200, Some(0)),
        ("HEAD /bytes/1000", "", "", 200, Some(0)),
        ("GET /bytes/1000", "", "", 200, Some(1000)),
        ("GET /status/204", "", "", 204, Some(0)),
        ("GET /status/304", "If-None-Match: \"a\"\r\n", "", 304, Some(0)),
        ("GET /status/404", "", "", 404, None),
        ("GET /status/500", "", "", 500, None),
        ("POST /upload", "Content-Length: 5\r\n", "hello", 200, None),
        ("POST /upload", "Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n", 200, None),
        ("POST /upload", "Content-Length: 0\r\n", "", 200, None),
        ("POST /upload", "Expect: 100-continue\r\nContent-Length: 5\r\n", "hello", 200, None),
        ("GET /headers", &format!("X-Large: {large}\r\n"), "", 200, None),
        ("OPTIONS /headers", "", "", 200, None),
        ("PUT /upload", "Content-Length: 2\r\n", "hi", 200, None),
        ("GET /headers", "", "", 200, None),
    ] {
        let text = format!("{line} HTTP/1.1\r\n{head}{more}\r\n{body}");
        talk.write(text.as_bytes()).await.unwrap();
        let method = line.split(' ').next().unwrap();
        let mut answer = talk.answer(method).await.unwrap_or_else(|| {
            panic!(
                "{line} {more:.20}: no answer, closed: {}, rest: {}",
                talk.is_closed(),
                talk.rest().escape_ascii()
            )
        });
        if answer.status == 100 {
            answer = talk.answer(method).await.unwrap();
        }
        assert_eq!(answer.status, status, "{line} {}", answer.text());
        assert!(
            length.is_none_or(|length| answer.body.len() == length),
            "{line}: {} bytes",
            answer.body.len()
        );
        if line == "POST /upload" {
            let bytes = if body.is_empty() { 0 } else { 5 };
            assert_eq!(answer.json()["bytes"], bytes, "{line} {more:?}");
        }
        if more.starts_with("X-Large") {
            assert!(answer.text().contains(&large), "the header arrives");
        }
        assert!(talk.rest().is_empty(), "{line}: bytes behind the answer: {}", talk.rest().escape_ascii());
        if line == "HEAD /bytes/1000" {
            assert_eq!(answer.header("content-length"), Some("1000"));
        }
        if answer.header("connection") == Some("close") {
            // Whether a body follows that was not waited for is in doubt after `Expect`, and nowhere else.
            assert!(
                more.starts_with("Expect") && talk.closes().await,
                "{line} {more:.20}: the connection ends"
            );
            talk = Talk::new(estate.connect(HOST, Device::None, Tls::H1).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_is_answered_and_closed() {
    let estate = Estate::start();
    let (_, head) = talk(&estate).await;
    let stream = estate.connect(HOST, Device::None, Tls::H1).await;
    let seen = exchange(stream, format!("GET /bytes/10 HTTP/1.0\r\n{head}\r\n").as_bytes(), 1).await;
    assert_eq!((seen.statuses(), seen.closed, seen.answers[0].body.len()), (vec![200], true, 10));
    let stream = estate.connect(HOST, Device::None, Tls::H1).await;
    let seen =
        exchange(stream, format!("GET /bytes/10 HTTP/1.1\r\n{head}Connection: close\r\n\r\n").as_bytes(), 1)
            .await;
    assert_eq!((seen.statuses(), seen.closed), (vec![200], true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_over_http_2() {
    let estate = Estate::start();
    let browser = Browser::signed_in(&estate, Device::None, "employee", &[HOST]).await;
    for (method, path, body, status, length) in [
        (Method::HEAD, "/bytes/1000", "", 200, Some(0)),
        (Method::GET, "/bytes/1000", "", 200, Some(1000)),
        (Method::GET, "/status/204", "", 204, Some(0)),
        (Method::GET, "/status/304", "", 304, Some(0)),
        (Method::POST, "/upload", "hello", 200, None),
        (Method::DELETE, "/headers", "", 200, None),
    ] {
        let request = browser.request(method.clone(), &estate.url(HOST, path)).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.version(), response.status().as_u16()),
            (http::Version::HTTP_2, status),
            "{method} {path}"
        );
        let bytes = response.bytes().await.unwrap();
        assert!(length.is_none_or(|length| bytes.len() == length), "{method} {path}: {}", bytes.len());
    }
}

/// The upstream's own framing and headers, as a client sees them.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_keeps_its_headers_and_loses_those_of_its_connection() {
    let (estate, recorder) = (Estate::start(), Recorder::start().await);
    estate.edit("tiergate.yaml", |config| {
        config["upstreams"]["demo"]["addresses"] = json!([recorder.address.to_string()])
    });
    estate.reload();
    let (mut talk, head) = talk(&estate).await;
    recorder.answer_with(|seen| match &*seen.target {
        "/chunked" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Theirs: 1\r\nX-Theirs: 2\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".to_vec(),
        "/hop" => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\nok".to_vec(),
        "/cookies" => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\n\r\nok".to_vec(),
        "/redirect" => b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: https://elsewhere.test/x\r\n\r\n".to_vec(),
        _ => ok("ok"),
    });
    let mut ask = async |path: &str| {
        talk.write(format!("GET {path} HTTP/1.1\r\n{head}\r\n").as_bytes()).await.unwrap();
        talk.answer("GET").await.unwrap()
    };
    let answer = ask("/chunked").await;
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.all("x-theirs")),
        (200, "abcde", vec!["1", "2"])
    );
    let answer = ask("/hop").await;
    assert!(
        answer.header("x-hop").is_none() && answer.header("keep-alive").is_none(),
        "{:?}",
        answer.headers
    );
    assert_eq!(ask("/cookies").await.all("set-cookie"), ["a=1", "b=2; Path=/"]);
    let answer = ask("/redirect").await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("https://elsewhere.test/x")));
    assert_eq!(ask("/plain").await.text(), "ok");
    assert!(recorder.complaints().is_empty(), "{:?}", recorder.complaints());
}
