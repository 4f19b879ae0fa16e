//! SMUG: bodies that do not end where they seem to, and requests that follow others on a connection.

use super::scene::{Failures, MISFRAMED, SMUGGLED, Scene};
use crate::support::raw::{Talk, exchange};
use crate::support::{Device, Seen, Tls, find};

fn chunked(scene: &Scene) -> Vec<u8> {
    scene.fill(b"POST /open/x HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_framed_plainly_or_the_connection_ends() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let long = [b"5;".to_vec(), vec![b'a'; 100_000], b"\r\nhello\r\n0\r\n\r\n".to_vec()].concat();
    let many: Vec<u8> = [b"1;abcdefghij\r\nx\r\n".repeat(1000), b"0\r\n\r\n".to_vec()].concat();
    for (id, body) in [
        ("SMUG-08", &b"0x5\r\nhello\r\n0\r\n\r\n"[..]),
        ("SMUG-08", b"+5\r\nhello\r\n0\r\n\r\n"),
        ("SMUG-08", b"-1\r\nhello\r\n0\r\n\r\n"),
        ("SMUG-08", b"5_0\r\nhello\r\n0\r\n\r\n"),
        ("SMUG-08", b" 5\r\nhello\r\n0\r\n\r\n"),
        ("SMUG-08", b"5 \r\nhello\r\n0\r\n\r\n"),
        ("SMUG-08", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        ("SMUG-08", b"\r\nGET /open/smug HTTP/1.1\r\n\r\n"),
        ("SMUG-09", b"5;\nhello\r\n0\r\n\r\n"),
        ("SMUG-10", b"5;\r\nhello\r\n0\r\n\r\n"),
        ("SMUG-10", b"5;[x]\r\nhello\r\n0\r\n\r\n"),
        ("SMUG-10", b"5;\0\r\nhello\r\n0\r\n\r\n"),
        ("SMUG-10", b"5\r;a\r\nhello\r\n0\r\n\r\n"),
        ("SMUG-10", &long),
        ("SMUG-10", &many),
        ("SMUG-11", b"5\nhello\r\n0\r\n\r\n"),
        ("SMUG-11", b"5\r\nhelloXX0\r\n\r\n"),
        ("SMUG-11", b"0\r\n\n"),
    ] {
        let shown: String = body.escape_ascii().to_string().chars().take(40).collect();
        let whole = [&chunked(&scene)[..], body].concat();
        // What does not fit into one read with the head comes as in the second form below.
        if body.len() < 1000 {
            failures.note(&format!("{id} {shown}"), scene.attack(&whole, MISFRAMED).await);
        }
        failures.note(&format!("{id} {shown}, later"), later(&scene, body).await);
    }
    failures.none();
}

/// The head first; the request is under way when its body goes wrong.
async fn later(scene: &Scene, body: &[u8]) -> Result<(), String> {
    let mark = scene.clear();
    let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
    talk.write(&chunked(scene)).await.map_err(|error| error.to_string())?;
    // Until the upstream has the head, or the proxy waits for the body first.
    for _ in 0..30 {
        if !scene.upstream.bytes().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let _ = talk.write(body).await;
    let _ = talk.write(SMUGGLED).await;
    let answer = talk.answer("POST").await;
    let closed = talk.closes().await;
    let events = scene.decisions(&mark, 1).await;
    let whole = scene.upstream.requests();
    let bytes = scene.upstream.bytes();
    let account = format!(
        "answer {:?}, closed {closed}, events {events:?}, upstream {:?}",
        answer.as_ref().map(|a| a.status),
        bytes.escape_ascii().to_string()
    );
    if !whole.is_empty() || !scene.upstream.complaints().is_empty() || find(&bytes, b"/smug").is_some() {
        return Err(format!("a whole request reached the upstream: {account}"));
    }
    if !closed || answer.is_some_and(|answer| answer.status != 400) {
        return Err(format!("wanted 400 or nothing, and the end: {account}"));
    }
    if events.len() != 1 || events[0]["reason"] != "ambiguous_request" {
        return Err(format!("wanted one audit line, `ambiguous_request`: {account}"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_get_is_a_body() {
    let scene = Scene::start().await;
    for method in ["GET", "OPTIONS", "DELETE"] {
        let mark = scene.clear();
        let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
        let head =
            format!("{method} /open/x HTTP/1.1\r\n{{H}}Content-Length: {}\r\n\r\n{{S}}", SMUGGLED.len());
        talk.write(&scene.fill(head.as_bytes())).await.unwrap();
        assert_eq!(talk.answer(method).await.unwrap().status, 200, "SMUG-16 {method}");
        talk.write(&scene.fill(b"GET /open/second HTTP/1.1\r\n{H}\r\n")).await.unwrap();
        assert_eq!(talk.answer("GET").await.unwrap().status, 200, "SMUG-16 {method}");
        let targets: Vec<_> =
            scene.upstream.requests().iter().map(|seen: &Seen| seen.target.clone()).collect();
        assert_eq!(targets, ["/open/x", "/open/second"], "SMUG-16 {method}");
        assert_eq!(scene.upstream.requests()[0].body, SMUGGLED, "SMUG-16 {method}");
        assert_eq!(scene.decisions(&mark, 2).await.len(), 2, "SMUG-16 {method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_here_leaves_no_body_behind() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let body = format!("Content-Length: {}\r\n\r\n{{S}}", SMUGGLED.len());
    let chunks = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{{S}}\r\n0\r\n\r\n", SMUGGLED.len());
    for (name, head, status) in [
        ("403", "POST /high/x HTTP/1.1\r\n{H}", 403),
        ("401", "POST /open/x HTTP/1.1\r\nHost: {h}\r\n", 401),
        ("302", "GET /open/x HTTP/1.1\r\nHost: {h}\r\nAccept: text/html\r\n", 302),
        ("421", "POST /open/x HTTP/1.1\r\nHost: wiki.localhost\r\n", 421),
        ("404", "POST /open/x HTTP/1.1\r\nHost: lost.localhost\r\n", 404),
        ("405", "TRACE /open/x HTTP/1.1\r\n{H}", 405),
        ("own page", "POST /.tiergate/jwks.json HTTP/1.1\r\n{H}", 0),
        ("own page", "GET /.tiergate/jwks.json HTTP/1.1\r\n{H}", 200),
        ("400", "POST /open/../x HTTP/1.1\r\n{H}", 400),
        ("417", "POST /open/x HTTP/1.1\r\n{H}Expect: foo\r\n", 417),
    ] {
        for (how, framed) in [("length", &body), ("chunks", &chunks)] {
            let row = format!("SMUG-17 {name} {how}");
            let mark = scene.clear();
            let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
            talk.write(&scene.fill(format!("{head}{framed}").as_bytes())).await.unwrap();
            let method = head.split(' ').next().unwrap();
            let first = talk.answer(method).await.map_or(0, |answer| answer.status);
            failures.check(&row, status == 0 || first == status, || format!("{first}, wanted {status}"));
            // A second request is answered as itself, or the connection is closed.
            let second = scene.fill(b"GET /open/second HTTP/1.1\r\n{H}\r\n");
            let second = if talk.write(&second).await.is_ok() { talk.answer("GET").await } else { None };
            let targets: Vec<_> = scene.upstream.requests().iter().map(|seen| seen.target.clone()).collect();
            match second {
                Some(answer) => {
                    failures.check(&row, answer.status == 200 && targets == ["/open/second"], || {
                        format!("then {} {targets:?}", answer.status)
                    })
                }
                None => failures.check(&row, talk.closes().await && targets.is_empty(), || {
                    format!("neither answered nor closed: {targets:?}")
                }),
            }
            let expected = 1 + targets.len();
            let events = scene.decisions(&mark, expected).await;
            failures.check(&row, events.len() == expected, || {
                format!("{} audit lines, wanted {expected}: {events:?}", events.len())
            });
            failures.check(&row, find(&scene.upstream.bytes(), b"/smug").is_none(), || "smuggled".into());
        }
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_a_connection_is_judged_by_itself() {
    let scene = Scene::start().await;
    let two = scene.fill(b"GET /open/x HTTP/1.1\r\n{H}\r\nGET /high/x HTTP/1.1\r\nHost: {h}\r\n\r\n");
    let mark = scene.clear();
    let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
    let seen = exchange(stream, &two, 2).await;
    assert!(seen.statuses() == [200, 401] || seen.statuses() == [200] && seen.closed, "SMUG-18 {seen:?}");
    assert_eq!(scene.upstream.requests().len(), 1, "SMUG-18");
    assert_eq!(scene.decisions(&mark, seen.answers.len()).await.len(), seen.answers.len(), "SMUG-18");

    let mark = scene.clear();
    let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
    for (text, want) in [
        (&b"GET /open/x HTTP/1.1\r\n{H}\r\n"[..], 200),
        (b"GET /open/x HTTP/1.1\r\nHost: {h}\r\n\r\n", 401),
        (b"GET /open/x HTTP/1.1\r\nHost: {m}\r\n{C}\r\n", 401),
        (b"GET /open/x HTTP/1.1\r\n{M}\r\n", 200),
        (b"GET /high/x HTTP/1.1\r\n{H}\r\n", 403),
        (b"GET /open/x HTTP/1.1\r\n{H}\r\n", 200),
    ] {
        talk.write(&scene.fill(text)).await.unwrap();
        let status = talk.answer("GET").await.map(|answer| answer.status);
        assert_eq!(status, Some(want), "SMUG-19 {}", text.escape_ascii());
    }
    assert_eq!(scene.upstream.requests().len(), 3, "SMUG-19");
    assert_eq!(scene.decisions(&mark, 6).await.len(), 6, "SMUG-19");
}
