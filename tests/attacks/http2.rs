//! H2: heads that HTTP/2 lets one write and HTTP/1 would read as something else.

use super::scene::{Failures, Scene};
use crate::support::frames::{DATA, END_STREAM, Frames, Said};
use crate::support::{Device, Seen, Tls, find};
use std::time::Duration;

pub type Fields<'f> = Vec<(&'f [u8], &'f [u8])>;

/// What must become of a stream.
#[derive(Clone, Copy)]
enum Want {
    /// Reset or refused with 400; nothing reaches the upstream.
    Refused,
    /// The same, or it passes without what was wrong with it.
    RefusedOr(fn(&Seen) -> bool),
    Passes(fn(&Seen) -> bool),
    /// Not allowed, and nothing reaches the upstream.
    Denied,
}

/// The pseudo headers of a request that is in order.
pub fn plain<'f>(authority: &'f str, cookie: &'f str) -> Fields<'f> {
    vec![
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/open/x"),
        (b"cookie", cookie.as_bytes()),
    ]
}

async fn send(scene: &Scene, fields: &Fields<'_>, trailers: Option<&Fields<'_>>) -> u16 {
    let mut frames = Frames::start(scene.estate.connect("app.localhost", Device::None, Tls::H2).await).await;
    match trailers {
        None => {
            frames.headers(1, END_STREAM, fields).await;
        }
        Some(trailers) => {
            frames.headers(1, 0, fields).await;
            frames.send(DATA, 0, 1, b"hello").await;
            frames.headers(1, END_STREAM, trailers).await;
        }
    }
    frames.outcome(1).await
}

async fn check(
    scene: &Scene,
    fields: &Fields<'_>,
    trailers: Option<&Fields<'_>>,
    want: Want,
) -> Result<(), String> {
    let mark = scene.clear();
    let status = send(scene, fields, trailers).await;
    // A codec that resets a stream tells nobody, so only what was answered must be in the audit.
    let events = scene.decisions(&mark, usize::from(status != 0)).await;
    let reasons: Vec<_> = events.iter().map(|event| event["reason"].as_str().unwrap_or_default()).collect();
    let (requests, bytes) = (scene.upstream.requests(), scene.upstream.bytes());
    let account =
        format!("status {status}, audit {reasons:?}, upstream {:?}", bytes.escape_ascii().to_string());
    if !scene.upstream.complaints().is_empty() {
        return Err(format!("not plain upstream: {account}"));
    }
    let refused = matches!(status, 0 | 400) && requests.is_empty();
    let untouched = refused && (bytes.is_empty() || trailers.is_some());
    let passed = |holds: fn(&Seen) -> bool| {
        status == 200 && requests.len() == 1 && holds(&requests[0]) && reasons == ["allowed"]
    };
    let holds = match want {
        Want::Refused => untouched && reasons.iter().all(|reason| *reason != "allowed"),
        Want::RefusedOr(holds) => untouched || passed(holds),
        Want::Passes(holds) => passed(holds),
        Want::Denied => matches!(status, 400 | 403) && bytes.is_empty() && !reasons.contains(&"allowed"),
    };
    if holds { Ok(()) } else { Err(account) }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_field_of_http2_becomes_two_lines_of_http1() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let (authority, cookie) =
        (scene.authority("app.localhost"), scene.employee.cookie("app.localhost").unwrap());
    let with = |more: Fields<'static>| {
        let mut fields = plain(&authority, &cookie);
        for (name, value) in more {
            match fields.iter_mut().find(|(is, _)| *is == name && name.starts_with(b":") && value != b"TWICE")
            {
                Some(field) => field.1 = value,
                None => fields.push((name, value)),
            }
        }
        fields
    };
    let trimmed = |seen: &Seen| seen.headers.iter().all(|(_, value)| !value.contains("evil"));
    for (id, more, want) in [
        ("H2-10 CRLF in a value", vec![(&b"x-a"[..], &b"b\r\nx-tiergate-user: evil"[..])], Want::Refused),
        ("H2-10 LF in a value", vec![(b"x-a", b"b\nx-tiergate-user: evil")], Want::Refused),
        ("H2-10 CR in a value", vec![(b"x-a", b"b\revil")], Want::Refused),
        ("H2-10 NUL in a value", vec![(b"x-a", b"b\0evil")], Want::Refused),
        ("H2-10 CRLF in a name", vec![(b"x-a: e\r\nx-b", b"evil")], Want::Refused),
        ("H2-10 colon in a name", vec![(b"x-a: b", b"evil")], Want::Refused),
        ("H2-10 space in a name", vec![(b"x a", b"evil")], Want::Refused),
        ("H2-10 an empty name", vec![(b"", b"evil")], Want::Refused),
        ("H2-10 CRLF in the path", vec![(b":path", b"/open/a\r\nX: evil")], Want::Refused),
        ("H2-10 space in the path", vec![(b":path", b"/open/a HTTP/1.1")], Want::Refused),
        ("H2-10 CRLF in the method", vec![(b":method", b"GET / HTTP/1.1\r\nX: evil")], Want::Refused),
        ("H2-10 space in the method", vec![(b":method", b"GET /")], Want::Refused),
        ("H2-10 CRLF in the authority", vec![(b":authority", b"app.localhost\r\nX: evil")], Want::Refused),
        (
            "H2-11 space before",
            vec![(b"x-a", b" b")],
            Want::RefusedOr(|seen| seen.header("x-a") == Some("b")),
        ),
        (
            "H2-11 space behind",
            vec![(b"x-a", b"b ")],
            Want::RefusedOr(|seen| seen.header("x-a") == Some("b")),
        ),
        ("H2-12 connection", vec![(b"connection", b"x-tiergate-user")], Want::Refused),
        ("H2-12 keep-alive", vec![(b"keep-alive", b"timeout=5")], Want::Refused),
        ("H2-12 proxy-connection", vec![(b"proxy-connection", b"close")], Want::Refused),
        ("H2-12 upgrade", vec![(b"upgrade", b"websocket")], Want::Refused),
        ("H2-12 transfer-encoding", vec![(b"transfer-encoding", b"chunked")], Want::Refused),
        ("H2-12 te", vec![(b"te", b"gzip")], Want::Refused),
        ("H2-14 an unknown pseudo header", vec![(b":foo", b"evil")], Want::Refused),
        ("H2-14 :status", vec![(b":status", b"200")], Want::Refused),
        ("H2-14 :protocol", vec![(b":protocol", b"websocket")], Want::Refused),
        ("H2-14 :path twice", vec![(b":path", b"TWICE")], Want::Refused),
        ("H2-14 a pseudo header behind others", vec![(b"x-a", b"b"), (b":method", b"TWICE")], Want::Refused),
        ("H2-14 an empty path", vec![(b":path", b"")], Want::Refused),
        ("H2-17 upper case", vec![(b"X-Device", b"evil")], Want::Refused),
        ("H2-17 upper case of ours", vec![(b"X-Tiergate-User", b"evil")], Want::Refused),
        ("PATH-12 no slash", vec![(b":path", b"open/x")], Want::Refused),
        ("PATH-13 an asterisk", vec![(b":path", b"*")], Want::Refused),
        ("PATH-01 dot-dot", vec![(b":path", b"/open/../high")], Want::Refused),
        // The codec cuts a fragment before anybody sees it: what is left is decided on and forwarded.
        (
            "PATH-16 a fragment",
            vec![(b":path", b"/open/x#y")],
            Want::RefusedOr(|seen| seen.target == "/open/x"),
        ),
        ("PATH-16 a fragment of what is not allowed", vec![(b":path", b"/high/x#/open/x")], Want::Denied),
        (
            "ID-01 ours",
            vec![(b"x-tiergate-user", b"evil"), (b"x_tiergate_user", b"evil")],
            Want::Passes(trimmed),
        ),
        ("SMUG-24 an alias", vec![(b"content_length", b"evil")], Want::Passes(trimmed)),
    ] {
        failures.note(id, check(&scene, &with(more), None, want).await);
    }
    // The server still serves (and each row had a connection of its own).
    failures.note(
        "afterwards",
        check(&scene, &plain(&authority, &cookie), None, Want::Passes(|seen| seen.target == "/open/x")).await,
    );
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_http2_carry_nothing_across() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let (authority, cookie) =
        (scene.authority("app.localhost"), scene.employee.cookie("app.localhost").unwrap());
    let mut fields = plain(&authority, &cookie);
    fields[0].1 = b"POST";
    let holds = |seen: &Seen| {
        seen.body == b"hello"
            && find(&seen.raw_body, b"evil").is_none()
            && seen.headers.iter().all(|(_, value)| !value.contains("evil"))
    };
    let trailers: Fields<'_> = vec![(b"x-tiergate-user", b"evil"), (b"x_forwarded_user", b"evil")];
    failures.note("ID-09", check(&scene, &fields, Some(&trailers), Want::Passes(holds)).await);
    let pseudo: Fields<'_> = vec![(b":path", b"/high/evil")];
    failures.note("H2-15", check(&scene, &fields, Some(&pseudo), Want::RefusedOr(holds)).await);
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_in_crumbs_are_one_line() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let (authority, cookie) =
        (scene.authority("app.localhost"), scene.employee.cookie("app.localhost").unwrap());
    let mut fields = plain(&authority, &cookie);
    fields.insert(4, (b"cookie", b"a=1"));
    fields.push((b"cookie", b"b=2"));
    failures.note(
        "H2-16",
        check(&scene, &fields, None, Want::Passes(|seen| seen.header("cookie") == Some("a=1; b=2"))).await,
    );
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_of_a_connection_is_judged_by_itself() {
    let scene = Scene::start().await;
    let (authority, cookie) =
        (scene.authority("app.localhost"), scene.employee.cookie("app.localhost").unwrap());
    let mark = scene.clear();
    let mut frames = Frames::start(scene.estate.connect("app.localhost", Device::None, Tls::H2).await).await;
    let fields = plain(&authority, &cookie);
    for (stream, count, want) in [(1, 5, 200), (3, 4, 401), (5, 5, 200)] {
        frames.headers(stream, END_STREAM, &fields[..count]).await;
        assert_eq!(frames.outcome(stream).await, want, "H2-19 stream {stream}");
    }
    let mut reasons: Vec<_> =
        scene.decisions(&mark, 3).await.iter().map(|event| event["reason"].to_string()).collect();
    reasons.sort();
    assert_eq!(reasons, ["\"allowed\"", "\"allowed\"", "\"not_signed_in\""], "H2-19");
    assert_eq!(scene.upstream.requests().len(), 2, "H2-19");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_not_opened() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let (authority, cookie) =
        (scene.authority("app.localhost"), scene.employee.cookie("app.localhost").unwrap());
    let authority = authority.as_bytes();
    let rows: Vec<(&str, Fields<'_>)> = vec![
        ("UPG-03 CONNECT", vec![(b":method", b"CONNECT"), (b":authority", authority)]),
        (
            "UPG-03 CONNECT with a path",
            vec![
                (b":method", b"CONNECT"),
                (b":scheme", b"https"),
                (b":authority", authority),
                (b":path", b"/high"),
            ],
        ),
        (
            "UPG-03 extended CONNECT",
            vec![
                (b":method", b"CONNECT"),
                (b":protocol", b"websocket"),
                (b":scheme", b"https"),
                (b":authority", authority),
                (b":path", b"/open/ws"),
            ],
        ),
    ];
    for (id, mut fields) in rows {
        scene.clear();
        fields.push((b"cookie", cookie.as_bytes()));
        let mut frames =
            Frames::start(scene.estate.connect("app.localhost", Device::None, Tls::H2).await).await;
        frames.headers(1, 0, &fields).await;
        let mut status = 0;
        loop {
            match frames.said_within(Duration::from_secs(10)).await {
                Some(Said::Headers { stream: 1, status: seen, .. }) => {
                    status = seen;
                    break;
                }
                Some(Said::Reset { .. } | Said::GoAway { .. } | Said::Closed) => break,
                Some(_) => {}
                None => {
                    status = 1;
                    break;
                }
            }
        }
        failures.check(id, matches!(status, 0 | 400 | 405) && scene.upstream.bytes().is_empty(), || {
            format!("status {status} (1: silence)")
        });
    }
    failures.none();
}
