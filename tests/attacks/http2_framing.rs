//! H2: bodies whose length is said twice, differently.

use super::http2::plain;
use super::scene::{Failures, SMUGGLED, Scene};
use crate::support::frames::{DATA, END_STREAM, Frames};
use crate::support::{Device, Tls, find};

#[tokio::test(flavor = "multi_thread")]
async fn a_content_length_that_is_not_the_bodys_smuggles_nothing() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let (authority, cookie) =
        (scene.authority("app.localhost"), scene.employee.cookie("app.localhost").unwrap());
    for (id, lengths, body) in [
        ("H2-13 0 and a body", &[&b"0"[..]][..], SMUGGLED),
        ("H2-13 too long", &[b"50"], b"abc"),
        ("H2-13 too short", &[b"3"], SMUGGLED),
        ("H2-13 a sign", &[b"+3"], b"abc"),
        ("H2-13 a list", &[b"3, 3"], b"abc"),
        ("H2-13 two that differ", &[b"3", b"4"], b"abc"),
        ("H2-13 two alike", &[b"3", b"3"], b"abc"),
        ("H2-13 a blank", &[b""], b"abc"),
    ] {
        scene.clear();
        let mut fields = plain(&authority, &cookie);
        fields[0].1 = b"POST";
        fields.extend(lengths.iter().map(|length| (&b"content-length"[..], *length)));
        let mut frames =
            Frames::start(scene.estate.connect("app.localhost", Device::None, Tls::H2).await).await;
        frames.headers(1, 0, &fields).await;
        frames.send(DATA, END_STREAM, 1, body).await;
        let status = frames.outcome(1).await;
        // Two that agree may be taken for one.
        let may_pass = id.ends_with("alike");
        failures
            .check(id, matches!(status, 0 | 400) || may_pass && status == 200, || format!("status {status}"));
        // Whoever comes next is answered from a connection on which nothing is left over.
        let mut next =
            Frames::start(scene.estate.connect("app.localhost", Device::None, Tls::H2).await).await;
        next.headers(1, END_STREAM, &plain(&authority, &cookie)).await;
        let status = next.outcome(1).await;
        let targets: Vec<_> =
            scene.upstream.requests().iter().map(|seen| (seen.method.clone(), seen.target.clone())).collect();
        let posts = targets.iter().filter(|(method, _)| method == "POST").count();
        let gets = targets.iter().filter(|(method, target)| method == "GET" && target == "/open/x").count();
        // A length of nothing is a whole request once its head is forwarded; what follows it is no part of it.
        let headed = lengths == [b"0"] && scene.upstream.requests().iter().all(|seen| seen.body.is_empty());
        failures.check(
            id,
            status == 200 && gets == 1 && (posts == 0 || posts == 1 && (may_pass || headed)),
            || format!("the next one: {status}, upstream {targets:?}"),
        );
        let smuggled = find(&scene.upstream.bytes(), b"/smug").is_some();
        failures.check(id, !smuggled && scene.upstream.complaints().is_empty(), || {
            format!("upstream {}", scene.upstream.bytes().escape_ascii())
        });
    }
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preface_of_http2_is_nothing_on_http1() {
    let scene = Scene::start().await;
    let mark = scene.clear();
    let mut frames = Frames::start(scene.estate.connect("app.localhost", Device::None, Tls::H1).await).await;
    let mut bytes = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut frames.stream, &mut bytes).await;
    assert!(bytes.starts_with(b"HTTP/1.1 400 "), "H2-18 {}", bytes.escape_ascii());
    let reasons: Vec<_> =
        scene.decisions(&mark, 1).await.iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(reasons, ["ambiguous_request"], "H2-18");
}
