//! H2: floods. The connection ends or is held back, memory stays, and others are served.

use super::http2::plain;
use super::scene::{Failures, Scene};
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS, Said,
    WINDOW_UPDATE, block, frame, integer,
};
use crate::support::{DEADLINE, Device, Tls};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// More than any of these may cost, in bytes of resident memory.
const MOST_MEMORY: u64 = 48 << 20;

struct Flood {
    scene: Scene,
    authority: String,
    cookie: String,
    resident: u64,
}

impl Flood {
    async fn start() -> Self {
        let scene = Scene::start().await;
        let (authority, cookie) =
            (scene.authority("app.localhost"), scene.employee.cookie("app.localhost").unwrap());
        let flood = Self { resident: 0, scene, authority, cookie };
        // The first stream costs what all others share.
        flood.serves("warming up").await;
        let resident = flood.scene.estate.resident();
        flood.scene.clear();
        Self { resident, ..flood }
    }

    async fn frames(&self) -> Frames<TlsStream<TcpStream>> {
        Frames::start(self.scene.estate.connect("app.localhost", Device::None, Tls::H2).await).await
    }

    fn head(&self) -> Vec<u8> {
        block(&plain(&self.authority, &self.cookie))
    }

    async fn serves(&self, id: &str) {
        let mut frames = self.frames().await;
        frames.headers(1, END_STREAM, &plain(&self.authority, &self.cookie)).await;
        assert_eq!(frames.outcome(1).await, 200, "{id}: others are served");
    }

    /// Writes until the server goes away; whether it did.
    async fn drown(&self, id: &str, pieces: impl Iterator<Item = Vec<u8>>) -> bool {
        let mut frames = self.frames().await;
        let mut gone = false;
        for piece in pieces {
            if frames.write(&piece).await.is_err() {
                gone = true;
                break;
            }
        }
        let mut seen = Vec::new();
        while !gone {
            match frames.said_within(Duration::from_secs(5)).await {
                Some(said @ (Said::GoAway { .. } | Said::Closed)) => {
                    seen.push(said);
                    gone = true;
                }
                Some(_) => {}
                None => break,
            }
        }
        self.serves(id).await;
        let grown = self.scene.estate.resident().saturating_sub(self.resident);
        assert!(grown < MOST_MEMORY, "{id}: {} MiB more", grown >> 20);
        gone
    }
}

fn odd(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_opened_only_to_be_reset_end_the_connection() {
    let flood = Flood::start().await;
    let head = flood.head();
    let resets = odd(2000).map(|stream| {
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, &head), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])]
            .concat()
    });
    assert!(flood.drown("H2-02", resets).await, "H2-02: the connection is still there");
    let reached = flood.scene.upstream.requests().len();
    assert!(reached < 1500, "H2-02: {reached} requests reached the upstream");
    let made = odd(2000).map(|stream| {
        [frame(HEADERS, END_HEADERS, stream, &head), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
    });
    assert!(flood.drown("H2-03", made).await, "H2-03: the connection is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_end_end_the_connection() {
    let flood = Flood::start().await;
    let head = flood.head();
    let first = std::iter::once(frame(HEADERS, END_STREAM, 1, &head));
    let more =
        (0..3000).map(|n| frame(CONTINUATION, 0, 1, &block(&[(format!("x-{n}").as_bytes(), &[b'a'; 512])])));
    assert!(flood.drown("H2-04", first.chain(more)).await, "H2-04: the connection is still there");
    assert!(
        flood.scene.upstream.requests().len() <= 1,
        "H2-04: only the one that shows that others are served"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn data_without_bytes_ends_the_connection() {
    let flood = Flood::start().await;
    let mut fields = plain(&flood.authority, &flood.cookie);
    fields[0].1 = b"POST";
    let first = std::iter::once(frame(HEADERS, END_HEADERS, 1, &block(&fields)));
    let empty = frame(DATA, 0, 1, &[]).repeat(1000);
    assert!(
        flood.drown("H2-05", first.chain((0..200).map(|_| empty.clone()))).await,
        "H2-05: the connection is still there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_and_settings_of_a_client_that_reads_no_answer_cost_little() {
    let flood = Flood::start().await;
    // Whether the connection ends or is held back: what was asked for is not kept.
    for (id, one) in [
        ("H2-08 pings", frame(PING, 0, 0, &[7; 8])),
        ("H2-08 settings", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])),
    ] {
        flood.drown(id, std::iter::repeat_n(one.repeat(100), 500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_table_entry_said_twelve_thousand_times_is_too_large() {
    let flood = Flood::start().await;
    let mut fields = flood.head();
    // A literal with indexing (RFC 7541 §6.2.1), then its index again and again: 62 is the newest entry.
    fields.push(0x40);
    for text in [&b"x-bomb"[..], &[b'a'; 3900]] {
        integer(&mut fields, 7, 0, text.len());
        fields.extend_from_slice(text);
    }
    fields.extend([0x80 | 62; 12_000]);
    let mut failures = Failures::default();
    let mut frames = flood.frames().await;
    for stream in odd(100) {
        let (first, rest) = fields.split_at(8000);
        frames.send(HEADERS, END_STREAM, stream, first).await;
        frames.send(CONTINUATION, END_HEADERS, stream, rest).await;
    }
    let said = frames.everything(Duration::from_secs(2)).await;
    let refused = |said: &Said| match said {
        Said::Headers { status, .. } => matches!(status, 400 | 431 | 0),
        Said::Data { .. } | Said::Reset { .. } | Said::GoAway { .. } | Said::Closed => true,
    };
    failures.check("H2-06", said.iter().all(refused) && !said.is_empty(), || format!("{said:?}"));
    failures.check("H2-06", flood.scene.upstream.requests().is_empty(), || "it reached the upstream".into());
    let grown = flood.scene.estate.resident().saturating_sub(flood.resident);
    failures.check("H2-06", grown < 32 << 20, || format!("{} MiB more", grown >> 20));
    flood.serves("H2-06").await;
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_streams_are_served_at_once_and_the_rest_refused() {
    let flood = Flood::start().await;
    // Held open: the upstream does not answer before the body is whole.
    let mut fields = plain(&flood.authority, &flood.cookie);
    fields[0].1 = b"POST";
    let head = block(&fields);
    let mut frames = flood.frames().await;
    for stream in odd(400) {
        frames.send(HEADERS, END_HEADERS, stream, &head).await;
    }
    let mut refused = std::collections::BTreeSet::new();
    let mut gone = false;
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while refused.len() < 300 && !gone && tokio::time::Instant::now() < deadline {
        match frames.said_within(Duration::from_secs(3)).await {
            Some(Said::Reset { stream, code: 7 }) => drop(refused.insert(stream)),
            Some(Said::GoAway { .. } | Said::Closed) => gone = true,
            Some(_) => {}
            None => break,
        }
    }
    assert!(gone || refused.len() == 300, "H2-07: {} refused", refused.len());
    if !gone {
        frames.send(DATA, END_STREAM, 1, b"x").await;
        assert_eq!(frames.outcome(1).await, 200, "H2-07: those that were taken are served");
    }
    flood.serves("H2-07").await;
}
