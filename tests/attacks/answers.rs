//! SMUG, from behind: upstreams that answer in ways which could be read as two answers.

use super::scene::{Failures, Scene};
use crate::support::raw::{Talk, exchange};
use crate::support::upstream::ok;
use crate::support::{Device, Seen, Tls};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_be_two_reaches_nobody_else() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let next = scene.fill(b"GET /open/next HTTP/1.1\r\n{H}\r\n");
    let second = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
    let fields = "X-A: b\r\n".repeat(3000);
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(10_000);
    for (id, method, bytes, statuses) in [
        (
            "a length and chunks",
            "GET",
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}"
            ),
            &[502, 200][..],
        ),
        (
            "two lengths",
            "GET",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello{second}"),
            &[502],
        ),
        (
            "a body after HEAD",
            "HEAD",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 62\r\n\r\n{second}"),
            &[200],
        ),
        (
            "more than the length",
            "GET",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{second}"),
            &[200],
        ),
        ("a body after 204", "GET", format!("HTTP/1.1 204 No Content\r\n\r\n{second}"), &[204]),
        (
            "a body after 304",
            "GET",
            format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 62\r\n\r\n{second}"),
            &[304],
        ),
        (
            "101, which nobody asked for",
            "GET",
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n{second}"
            ),
            &[502],
        ),
        (
            "a head without end",
            "GET",
            format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"),
            &[502],
        ),
        (
            "early hints without end",
            "GET",
            format!("{early}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            &[502, 200],
        ),
        (
            "a version of its own",
            "GET",
            format!("HTTP/3.7 200 OK\r\nContent-Length: 2\r\n\r\nok{second}"),
            &[502],
        ),
        (
            "a chunk size that overflows",
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok".to_owned(),
            &[200, 502],
        ),
    ] {
        scene.clear();
        let bytes: Arc<[u8]> = bytes.into_bytes().into();
        scene.upstream.answer_with(move |seen: &Seen| {
            if seen.target == "/open/bad" { bytes.to_vec() } else { ok(&format!("own {}", seen.target)) }
        });
        let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
        let bad = scene.fill(format!("{method} /open/bad HTTP/1.1\r\n{{H}}\r\n").as_bytes());
        let seen = exchange(stream, &bad, 1).await;
        let finals: Vec<u16> = seen.statuses().into_iter().filter(|status| *status >= 200).collect();
        let broken_off = finals.is_empty() && seen.closed;
        failures.check(id, broken_off || finals.len() == 1 && statuses.contains(&finals[0]), || {
            format!("SMUG-25: answers {:?}, closed {}", seen.statuses(), seen.closed)
        });
        failures.check(id, !seen.rest.windows(6).any(|word| word == b"stolen") || broken_off, || {
            format!("SMUG-25: more than one answer: {}", seen.rest.escape_ascii())
        });
        // Whoever comes next, on whichever connection to the upstream, is told what is theirs.
        for _ in 0..3 {
            let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
            let seen = exchange(stream, &next, 1).await;
            let own = seen.answers.last().map(|answer| (answer.status, answer.text()));
            failures.check(id, own == Some((200, "own /open/next".to_owned())), || {
                format!("SMUG-25: the next client was told {own:?}")
            });
        }
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_told_what_they_asked_for_while_others_break_their_framing() {
    let scene = Arc::new(Scene::start().await);
    scene.upstream.answer_with(|seen: &Seen| ok(&seen.target));
    let attacks = [
        "POST /open/a HTTP/1.1\r\n{H}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{S}",
        "POST /open/a HTTP/1.1\r\n{H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{S}",
        "POST /open/a HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0\r\nX: y\r\n\r\n{S}",
        "GET /open/a HTTP/1.1\r\n{H}Content-Length: 60\r\n\r\n{S}",
        "POST /open/a HTTP/1.1\r\n{H}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n{S}",
    ];
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..40 {
        let scene = Arc::clone(&scene);
        tasks.spawn(async move {
            let stream = scene.estate.connect("app.localhost", Device::None, Tls::H1).await;
            if client % 2 == 0 {
                let attack = scene.fill(attacks[client / 2 % attacks.len()].as_bytes());
                exchange(stream, &attack, 1).await;
                return 0;
            }
            let mut talk = Talk::new(stream);
            for count in 0..50 {
                let path = format!("/open/{client}-{count}");
                talk.write(&scene.fill(format!("GET {path} HTTP/1.1\r\n{{H}}\r\n").as_bytes()))
                    .await
                    .unwrap();
                let answer = talk.answer("GET").await.expect("an answer");
                assert_eq!((answer.status, answer.text()), (200, path), "SMUG-26");
            }
            50
        });
    }
    let mut told = 0;
    while let Some(count) = tasks.join_next().await {
        told += count.unwrap();
    }
    assert_eq!(told, 1000);
}
