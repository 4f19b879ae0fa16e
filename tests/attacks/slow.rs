//! DOS: clients that take their time after the connection stands. They end; nobody else notices.

use super::http2::plain;
use super::scene::Scene;
use crate::support::frames::{END_STREAM, Frames, SETTINGS};
use crate::support::raw::Talk;
use crate::support::wait::until;
use crate::support::{DEADLINE, Device, Seen, Tls};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a body of an answer to a client that does not read has.
const LARGE: usize = 50 << 20;
/// What many such clients may cost, in bytes of resident memory.
const MOST_MEMORY: u64 = 96 << 20;

fn large(_: &Seen) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + LARGE, b'a');
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_nothing_is_said_is_closed() {
    let limits = json!({ "handshake_timeout": "1s", "idle_timeout": "1s", "header_timeout": "1s" });
    let scene = Scene::with(|config| config["limits"] = limits).await;
    for (id, bytes) in [
        ("DOS-01 silent", &b""[..]),
        ("DOS-01 half a ClientHello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ] {
        let mut stream = TcpStream::connect(scene.estate.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{id}: still open");
    }
    assert!(scene.estate.metric("tiergate_tls_handshakes_total", &["result=\"timeout\""]) >= 2.0);
    for (id, tls) in [("DOS-02", Tls::H1), ("DOS-02 over HTTP/2", Tls::H2)] {
        let mut stream = scene.estate.connect("app.localhost", Device::None, tls).await;
        if tls == Tls::H2 {
            let frames = Frames::start(stream).await;
            stream = frames.stream;
        }
        let mut rest = Vec::new();
        let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{id}: still open");
    }
    let mut used = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
    used.write(&scene.fill(b"GET /open/x HTTP/1.1\r\n{H}\r\n")).await.unwrap();
    assert_eq!(used.answer("GET").await.map(|answer| answer.status), Some(200));
    assert!(used.closes().await, "DOS-02 after a request: still open");
    until("none of them is counted any longer", async || {
        scene.estate.metric("tiergate_connections_active", &[]) == 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_hardly_moves_is_given_up() {
    let scene = Scene::with(|config| config["limits"] = json!({ "stall_timeout": "2s" })).await;
    // Forty bytes a second never pause, and would hold the connection for as long as they like.
    for (id, piece) in [("DOS-05 silent", None), ("DOS-05 by bytes", Some(&b"1\r\na\r\n"[..]))] {
        let mark = scene.clear();
        let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
        let head =
            scene.fill(b"POST /open/x HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        talk.write(&head).await.unwrap();
        let deadline = tokio::time::Instant::now() + 2 * DEADLINE;
        let mut answer = None;
        while answer.is_none() && !talk.is_closed() && tokio::time::Instant::now() < deadline {
            if let Some(piece) = piece
                && talk.write(piece).await.is_err()
            {
                break;
            }
            answer = talk.answer_within("POST", Duration::from_millis(100)).await;
        }
        assert!(answer.as_ref().is_none_or(|answer| answer.status == 408), "{id}: {answer:?}");
        assert!(talk.closes().await, "{id}: still open");
        let events = scene.decisions(&mark, 1).await;
        assert!(events.len() == 1 && events[0]["reason"] == "request_timeout", "{id}: {events:?}");
        assert!(scene.upstream.requests().is_empty(), "{id}: a body that did not end reached the upstream");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_let_go_and_costs_little() {
    let scene = Scene::with(|config| config["limits"] = json!({ "stall_timeout": "2s" })).await;
    let head = scene.fill(b"GET /open/x HTTP/1.1\r\n{H}\r\n");
    let mut warm = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
    let first = scene.clear();
    warm.write(&head).await.unwrap();
    warm.answer("GET").await.unwrap();
    // Its line is written behind its answer, and must not be counted with what follows.
    assert_eq!(scene.decisions(&first, 1).await.len(), 1);
    scene.upstream.answer_with(large);
    let (mark, before) = (scene.clear(), scene.estate.resident());
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
        talk.write(&head).await.unwrap();
        silent.push(talk.stream);
    }
    // A window of nothing: the server may send heads and no bodies.
    let (authority, cookie) =
        (scene.authority("app.localhost"), scene.employee.cookie("app.localhost").unwrap());
    let mut stalled = Frames::start(scene.estate.connect("app.localhost", Device::None, Tls::H2).await).await;
    stalled.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    for stream in 0..20 {
        stalled.headers(2 * stream + 1, END_STREAM, &plain(&authority, &cookie)).await;
    }
    let mut most = 0;
    until("everybody was let go", async || {
        most = most.max(scene.estate.resident());
        scene.estate.decisions_after(&mark).len() == 40
    })
    .await;
    let events = scene.estate.decisions_after(&mark);
    println!("{} MiB more at most", most.saturating_sub(before) >> 20);
    assert!(events.iter().all(|event| event["reason"] == "client_aborted"), "{events:?}");
    assert!(most.saturating_sub(before) < MOST_MEMORY, "{} MiB more", (most - before) >> 20);
    scene.upstream.answer_ok();
    warm.write(&head).await.unwrap();
    assert_eq!(warm.answer("GET").await.map(|answer| answer.status), Some(200), "others are served");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_descriptors_run_out_those_who_are_connected_are_served_and_it_recovers() {
    let scene = Scene::start().await;
    let head = scene.fill(b"GET /open/x HTTP/1.1\r\n{H}\r\n");
    let mut early = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
    early.write(&head).await.unwrap();
    assert_eq!(early.answer("GET").await.map(|answer| answer.status), Some(200));
    let pid = scene.estate.pid();
    let open = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limit = open() + 20;
    let narrow = |limit: &str| {
        let command = std::process::Command::new("prlimit").args(["--pid", &pid.to_string(), limit]).status();
        assert!(command.unwrap().success(), "prlimit {limit}");
    };
    narrow(&format!("--nofile={limit}:{limit}"));
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(scene.estate.address()).await.unwrap());
    }
    until("there is no descriptor left", async || open() >= limit).await;
    let busy = ticks(pid);
    let began = std::time::Instant::now();
    // The connection to the upstream is there already, and this one too.
    for _ in 0..20 {
        early.write(&head).await.unwrap();
        assert_eq!(early.answer("GET").await.map(|answer| answer.status), Some(200), "R-11");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let spent = ticks(pid) - busy;
    println!("{spent} ticks of the processor in {:?} without descriptors", began.elapsed());
    assert!(spent < 60, "R-11: it spins: {spent} ticks");
    drop(crowd);
    until("new clients are served again", async || {
        let connecting = tokio::time::timeout(
            Duration::from_secs(1),
            scene.estate.connect("app.localhost", Device::None, Tls::H1),
        );
        let Ok(stream) = connecting.await else { return false };
        let mut late = Talk::new(stream);
        late.write(&head).await.is_ok() && late.answer("GET").await.is_some_and(|answer| answer.status == 200)
    })
    .await;
}

/// Hundredths of a second that a process has used.
fn ticks(pid: u32) -> u64 {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = line.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
