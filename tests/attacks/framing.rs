//! SMUG: heads that two readers could take for two different requests.

use super::scene::{AMBIGUOUS, Failures, MISFRAMED, Scene, Want};
use crate::support::raw::{Talk, exchange};
use crate::support::{Device, Tls};

const REFUSED_METHOD: Want = Want::Refused(&[405], &["method_refused"]);
const UNEXPECTED: Want = Want::Refused(&[417], &["expectation_failed"]);
const PLAIN: Want = Want::Passes(|seen| seen.target == "/open/x");

#[tokio::test(flavor = "multi_thread")]
async fn the_length_of_a_body_is_said_once_and_plainly() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for (id, lines, body) in [
        ("SMUG-01", "Content-Length: 6\r\nTransfer-Encoding: chunked", &b"0\r\n\r\nG"[..]),
        ("SMUG-01", "Transfer-Encoding: chunked\r\nContent-Length: 6", b"0\r\n\r\nG"),
        ("SMUG-02", "Transfer-Encoding: chunked\r\nContent-Length: 4", b"2f\r\n{S}\r\n0\r\n\r\n"),
        ("SMUG-03", "Transfer-Encoding: xchunked", b"0\r\n\r\n{S}"),
        ("SMUG-03", "Transfer-Encoding: chunked, identity", b"0\r\n\r\n{S}"),
        ("SMUG-03", "Transfer-Encoding: identity", b"0\r\n\r\n{S}"),
        ("SMUG-03", "Transfer-Encoding: \"chunked\"", b"0\r\n\r\n{S}"),
        ("SMUG-03", "Transfer-Encoding: chunked;a=b", b"0\r\n\r\n{S}"),
        ("SMUG-03", "Transfer-Encoding: \x0bchunked", b"0\r\n\r\n{S}"),
        ("SMUG-03", "Transfer-Encoding:  chunked\0", b"0\r\n\r\n{S}"),
        ("SMUG-03", "Transfer-Encoding:", b"0\r\n\r\n{S}"),
        ("SMUG-04", "Transfer-Encoding: gzip, chunked", b"0\r\n\r\n{S}"),
        ("SMUG-04", "Transfer-Encoding: chunked, chunked", b"0\r\n\r\n{S}"),
        ("SMUG-04", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"0\r\n\r\n{S}"),
        ("SMUG-04", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"0\r\n\r\n{S}"),
        ("SMUG-04", "Transfer-Encoding: ,chunked", b"0\r\n\r\n{S}"),
        ("SMUG-07", "Content-Length: +5", b"hello"),
        ("SMUG-07", "Content-Length: -1", b"hello"),
        ("SMUG-07", "Content-Length: 0x5", b"hello"),
        ("SMUG-07", "Content-Length: 5_0", b"hello"),
        ("SMUG-07", "Content-Length:", b"hello"),
        ("SMUG-07", "Content-Length: 5 5", b"hello"),
        ("SMUG-07", "Content-Length: 99999999999999999999", b"hello"),
        ("SMUG-07", "Content-Length: 010", b"hello{S}"),
        ("SMUG-07", "Content-Length: 5, 5", b"hello"),
        ("SMUG-07", "Content-Length: 5, 6", b"hello"),
        ("SMUG-07", "Content-Length: 5\r\nContent-Length: 5", b"hello"),
        ("SMUG-07", "Content-Length: 5\r\nContent-Length: 6", b"hello"),
        ("SMUG-15", "Content-Length\u{85}: 5", b"hello"),
    ] {
        let text = [b"POST /open/x HTTP/1.1\r\n{H}", lines.as_bytes(), b"\r\n\r\n", body].concat();
        failures.note(&format!("{id} {lines:?}"), scene.attack(&text, MISFRAMED).await);
    }
    failures.note(
        "SMUG-05",
        scene
            .attack(b"POST /open/x HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{S}", MISFRAMED)
            .await,
    );
    // HTTP/1.0 without a length has no body, and what follows is never looked at.
    let once = Want::Passes(|seen| seen.body.is_empty());
    failures.note("SMUG-06", scene.attack(b"POST /open/x HTTP/1.0\r\n{H}\r\n{S}", once).await);
    for line in [
        "Content_Length: 5",
        "Transfer_Encoding: chunked",
        "Content.Length: 5",
        "Transfer-Encoding_: chunked",
    ] {
        let text = format!("GET /open/x HTTP/1.1\r\n{{H}}{line}\r\n\r\n");
        let stripped = Want::Passes(|seen| {
            let names: Vec<_> = seen.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
            names.iter().all(|name| !name.starts_with("content") && !name.starts_with("transfer"))
                && seen.body.is_empty()
        });
        failures.note(&format!("SMUG-24 {line}"), scene.attack(text.as_bytes(), stripped).await);
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_end_and_names_read_in_one_way() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    for (id, text, want) in [
        ("SMUG-12", &b"GET /open/x HTTP/1.1\nHost: {h}\n{C}\n"[..], MISFRAMED),
        ("SMUG-12", b"GET /open/x HTTP/1.1\r\nHost: {h}\n{C}\r\n", MISFRAMED),
        ("SMUG-12", b"GET /open/x HTTP/1.1\r\n{H}\n", MISFRAMED),
        ("SMUG-13", b"GET /open/x HTTP/1.1\r\n{H}X-A: b\rX-Device: e\r\n\r\n", MISFRAMED),
        ("SMUG-13", b"GET /open/x HTTP/1.1\r\n{H}X-A: b\0c\r\n\r\n", MISFRAMED),
        ("SMUG-13", b"GET /open/x HTTP/1.1\r\r\n{H}\r\n", MISFRAMED),
        ("SMUG-14", b"GET /open/x HTTP/1.1\r\n{H}X-A: b\r\n c\r\n\r\n", MISFRAMED),
        ("SMUG-14", b"GET /open/x HTTP/1.1\r\n{H}X-A: b\r\n\tc\r\n\r\n", MISFRAMED),
        ("SMUG-15", b"GET /open/x HTTP/1.1\r\n{H}X-A : b\r\n\r\n", MISFRAMED),
        ("SMUG-15", b"GET /open/x HTTP/1.1\r\n X-A: b\r\n{H}\r\n", MISFRAMED),
        ("SMUG-15", b"GET /open/x HTTP/1.1\r\n{H}: v\r\n\r\n", MISFRAMED),
        ("SMUG-15", b"GET /open/x HTTP/1.1\r\n{H}Foo\r\n\r\n", MISFRAMED),
        ("SMUG-15", b"GET /open/x HTTP/1.1\r\n{H}X-\xc3\xa4: b\r\n\r\n", MISFRAMED),
        ("SMUG-15", b"GET /open/x HTTP/1.1\r\n{H}X-A\0: b\r\n\r\n", MISFRAMED),
        ("SMUG-20", b"GET /open/x HTTP/1.2\r\n{H}\r\n", MISFRAMED),
        ("SMUG-20", b"GET /open/x HTTP/2.0\r\n{H}\r\n", MISFRAMED),
        ("SMUG-20", b"GET /open/x HTTP/1.10\r\n{H}\r\n", MISFRAMED),
        ("SMUG-20", b"GET /open/x HTTP/ 1.1\r\n{H}\r\n", MISFRAMED),
        ("SMUG-20", b"GET /open/x http/1.1\r\n{H}\r\n", MISFRAMED),
        ("SMUG-20", b"GET /open/x\r\n{H}\r\n", MISFRAMED),
        ("SMUG-20", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", MISFRAMED),
        ("SMUG-21", b"G=T /open/x HTTP/1.1\r\n{H}\r\n", MISFRAMED),
        ("SMUG-21", b"get /open/x HTTP/1.1\r\n{H}\r\n", REFUSED_METHOD),
        ("SMUG-21", b"Post /open/x HTTP/1.1\r\n{H}Content-Length: 0\r\n\r\n", REFUSED_METHOD),
        ("SMUG-21", b"TRACE /open/x HTTP/1.1\r\n{H}\r\n", REFUSED_METHOD),
        ("SMUG-21", b"TRACK /open/x HTTP/1.1\r\n{H}\r\n", REFUSED_METHOD),
        ("SMUG-21", b"DEBUG /open/x HTTP/1.1\r\n{H}\r\n", REFUSED_METHOD),
        ("SMUG-21", b"ANYTHING /open/x HTTP/1.1\r\n{H}\r\n", REFUSED_METHOD),
        ("SMUG-22", b"\r\n\r\nGET /open/x HTTP/1.1\r\n{H}\r\n", PLAIN),
        (
            "SMUG-23",
            b"POST /open/x HTTP/1.1\r\n{H}Content-Length: 5\r\nExpect: y 100-continue\r\n\r\nhello",
            UNEXPECTED,
        ),
        ("SMUG-23", b"POST /open/x HTTP/1.1\r\n{H}Content-Length: 5\r\nExpect: foo\r\n\r\nhello", UNEXPECTED),
        ("SMUG-23", b"GET /open/x HTTP/1.1\r\n{H}Expect: foo\r\n\r\n", UNEXPECTED),
    ] {
        let shown: String = text.escape_ascii().to_string().chars().take(80).collect();
        failures.note(&format!("{id} {shown}"), scene.attack(text, want).await);
    }
    let blank = ["\r\n".repeat(1000).as_bytes(), b"GET /open/x HTTP/1.1\r\n{H}\r\n"].concat();
    failures.note("SMUG-22 1000", scene.attack(&blank, MISFRAMED).await);
    let method = ["A".repeat(300).as_bytes(), b" /open/x HTTP/1.1\r\n{H}\r\n"].concat();
    let either = Want::Refused(&[400, 405], &["ambiguous_request", "method_refused"]);
    failures.note("SMUG-21 300 letters", scene.attack(&method, either).await);
    failures.note("SMUG-21 no method", scene.attack(b" /open/x HTTP/1.1\r\n{H}\r\n", AMBIGUOUS).await);
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn expect_is_answered_here_and_not_passed_on() {
    let scene = Scene::start().await;
    let mark = scene.clear();
    let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
    talk.write(&scene.fill(b"POST /open/x HTTP/1.1\r\n{H}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"))
        .await
        .unwrap();
    let first = talk.answer("POST").await.expect("100 before the body is sent");
    assert_eq!(first.status, 100, "SMUG-23");
    talk.write(b"hello").await.unwrap();
    assert_eq!(talk.answer("POST").await.unwrap().status, 200, "SMUG-23");
    let requests = scene.upstream.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].all("expect").is_empty() && requests[0].body == b"hello", "SMUG-23 {requests:?}");
    assert_eq!(scene.decisions(&mark, 1).await.len(), 1);
    // Where it is refused, nobody is asked to go on.
    let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
    talk.write(&scene.fill(b"POST /high/x HTTP/1.1\r\n{H}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"))
        .await
        .unwrap();
    assert_eq!(talk.answer("POST").await.unwrap().status, 403, "SMUG-23");
    // A body that came along anyway.
    let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
    let text =
        scene.fill(b"POST /open/x HTTP/1.1\r\n{H}Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    assert_eq!(exchange(stream, &text, 1).await.status(), 200, "SMUG-23");
}
