//! DOS: heads that are too slow or too large.

use super::scene::{Failures, Scene, Want};
use crate::support::raw::Talk;
use crate::support::{DEADLINE, Device, Seen, Tls};
use serde_json::json;
use std::time::Duration;

const TOO_LARGE: Want = Want::RefusedAndClosed(&[431], &["request_too_large"]);

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_is_cut_off() {
    let scene = Scene::with(|config| config["limits"] = json!({ "header_timeout": "2s" })).await;
    let begun = scene.fill(b"GET /open/x HTTP/1.1\r\n{H}");
    for (id, start, piece) in [
        ("DOS-03", &b"GET /ope"[..], None),
        ("DOS-03 after the request line", b"GET /open/x HTTP/1.1\r\n", None),
        ("DOS-04", &begun, Some(&b"X-A: b\r\n"[..])),
        ("DOS-04 by bytes", &begun, Some(b"a")),
    ] {
        let mark = scene.clear();
        let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
        talk.write(start).await.unwrap();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let mut answer = None;
        // Each piece comes well before anybody would call the client silent.
        while answer.is_none() && tokio::time::Instant::now() < deadline {
            if let Some(piece) = piece
                && talk.write(piece).await.is_err()
            {
                break;
            }
            answer = talk.answer_within("GET", Duration::from_millis(300)).await;
            if talk.is_closed() {
                break;
            }
        }
        assert!(answer.as_ref().is_none_or(|answer| answer.status == 408), "{id}: {answer:?}");
        assert!(talk.closes().await, "{id}: still open");
        let events = scene.decisions(&mark, 1).await;
        assert!(
            events.len() == 1 && events[0]["reason"] == "request_timeout" && events[0]["status"] == 408,
            "{id}: {events:?}"
        );
        assert!(scene.upstream.bytes().is_empty(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_taken_up_to_the_limits_and_refused_beyond() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: a\r\n")).collect::<String>();
    for (id, lines, want) in [
        (
            "DOS-07 16 KiB in one",
            format!("X-A: {}\r\n", "a".repeat(16 << 10)),
            Want::Passes(|seen| seen.header("x-a").is_some_and(|value| value.len() == 16 << 10)),
        ),
        ("DOS-07 64 KiB in one", format!("X-A: {}\r\n", "a".repeat(64 << 10)), TOO_LARGE),
        ("DOS-07 64 KiB in all", format!("X-A: {0}\r\nX-B: {0}\r\n", "a".repeat(33 << 10)), TOO_LARGE),
        // Host and cookie are two more.
        ("DOS-07 100 fields", many(98), Want::Passes(|seen| seen.header("x-97") == Some("a"))),
        ("DOS-07 101 fields", many(99), TOO_LARGE),
        ("DOS-07 2000 fields", many(2000), TOO_LARGE),
        ("DOS-07 a cookie of 8 KiB", String::new(), Want::Passes(|_: &Seen| true)),
    ] {
        let text = if lines.is_empty() {
            let cookie = scene.employee.cookie("app.localhost").unwrap();
            format!(
                "GET /open/x HTTP/1.1\r\nHost: {{h}}\r\nCookie: a={}; {cookie}\r\n\r\n",
                "b".repeat(8 << 10)
            )
        } else {
            format!("GET /open/x HTTP/1.1\r\n{{H}}{lines}\r\n")
        };
        failures.note(id, scene.attack(text.as_bytes(), want).await);
    }
    let target = format!("GET /open/x?{} HTTP/1.1\r\n{{H}}\r\n", "a".repeat(4 << 10));
    failures.note("DOS-07 a target of 4 KiB", scene.attack(target.as_bytes(), Want::Passes(|_| true)).await);
    failures.none();
}
