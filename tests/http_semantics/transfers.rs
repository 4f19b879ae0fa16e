//! Large bodies, both ways: they stream, and memory stays flat.

use crate::support::{Browser, DEADLINE, Device, Estate, Tls};
use bytes::Bytes;
use http::Request;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MIB: usize = 1 << 20;
const HOST: &str = "wiki.localhost";

struct Client<'e> {
    estate: &'e Estate,
    cookie: String,
}

impl<'e> Client<'e> {
    async fn new(estate: &'e Estate) -> Self {
        let browser = Browser::signed_in(estate, Device::None, "employee", &[HOST]).await;
        Self { estate, cookie: browser.cookie(HOST).unwrap() }
    }

    /// Uploads zeros over HTTP/1, chunked or with a length; the bytes and digest that arrived.
    async fn upload(&self, size: usize, chunked: bool) -> serde_json::Value {
        let mut stream = self.estate.connect(HOST, Device::None, Tls::H1).await;
        let framing =
            if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {size}") };
        let head = format!(
            "POST /upload HTTP/1.1\r\nHost: {HOST}:{}\r\nCookie: {}\r\n{framing}\r\nConnection: close\r\n\r\n",
            self.estate.port, self.cookie
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![0; MIB];
        for _ in 0..size / MIB {
            if chunked {
                stream.write_all(format!("{MIB:x}\r\n").as_bytes()).await.unwrap();
            }
            within(stream.write_all(&piece)).await.unwrap();
            if chunked {
                stream.write_all(b"\r\n").await.unwrap();
            }
        }
        if chunked {
            stream.write_all(b"0\r\n\r\n").await.unwrap();
        }
        stream.flush().await.unwrap();
        let mut talk = crate::support::raw::Talk::new(stream);
        let answer = talk.answer_within("POST", 6 * DEADLINE).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Uploads zeros over HTTP/2.
    async fn upload_http2(&self, size: usize) -> serde_json::Value {
        let stream = self.estate.connect(HOST, Device::None, Tls::H2).await;
        let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
        let driver = tokio::spawn(connection);
        let request =
            Request::post(self.estate.url(HOST, "/upload")).header("cookie", &self.cookie).body(()).unwrap();
        let (answer, mut body) = send.send_request(request, false).unwrap();
        let zeros = Bytes::from(vec![0; MIB]);
        let mut left = size;
        while left > 0 {
            body.reserve_capacity(left.min(MIB));
            let room = within(std::future::poll_fn(|cx| body.poll_capacity(cx))).await.unwrap().unwrap();
            let now = room.min(left).min(MIB);
            body.send_data(zeros.slice(..now), now == left).unwrap();
            left -= now;
        }
        let answer = within(answer).await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut text = Vec::new();
        let mut body = answer.into_body();
        while let Some(chunk) = body.data().await {
            text.extend_from_slice(&chunk.unwrap());
        }
        driver.abort();
        serde_json::from_slice(&text).unwrap()
    }

    /// Downloads and counts, over either version.
    async fn download(&self, size: usize, http2: bool) -> usize {
        let path = format!("/bytes/{size}");
        if http2 {
            let stream = self.estate.connect(HOST, Device::None, Tls::H2).await;
            let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
            let driver = tokio::spawn(connection);
            let request =
                Request::get(self.estate.url(HOST, &path)).header("cookie", &self.cookie).body(()).unwrap();
            let (answer, _) = send.send_request(request, true).unwrap();
            let mut body = within(answer).await.unwrap().into_body();
            let mut count = 0;
            while let Some(chunk) = within(body.data()).await {
                let chunk = chunk.unwrap();
                count += chunk.len();
                body.flow_control().release_capacity(chunk.len()).unwrap();
            }
            driver.abort();
            return count;
        }
        let mut stream = self.estate.connect(HOST, Device::None, Tls::H1).await;
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: {HOST}:{}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.estate.port, self.cookie
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut buffer = vec![0; 256 * 1024];
        let (mut head, mut count) = (Vec::new(), 0);
        let mut in_body = false;
        loop {
            let read = within(stream.read(&mut buffer)).await.unwrap_or(0);
            if read == 0 {
                return count;
            }
            if in_body {
                count += read;
            } else {
                head.extend_from_slice(&buffer[..read]);
                if let Some(at) = crate::support::find(&head, b"\r\n\r\n") {
                    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", head.escape_ascii());
                    count = head.len() - at - 4;
                    in_body = true;
                }
            }
        }
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.expect("the transfer stands still")
}

fn digest_of_zeros(size: usize) -> String {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let zeros = vec![0; MIB];
    (0..size / MIB).for_each(|_| digest.update(&zeros));
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn both_ways(estate: &Estate, size: usize) {
    let client = Client::new(estate).await;
    let digest = digest_of_zeros(size);
    for (how, seen) in [
        ("a length", client.upload(size, false).await),
        ("chunks", client.upload(size, true).await),
        ("HTTP/2", client.upload_http2(size).await),
    ] {
        assert_eq!(
            (seen["bytes"].as_u64(), seen["sha256"].as_str()),
            (Some(size as u64), Some(&*digest)),
            "{how}"
        );
    }
    for http2 in [false, true] {
        assert_eq!(client.download(size, http2).await, size, "HTTP/2: {http2}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_arrive_whole_both_ways() {
    let estate = Estate::start();
    let mark = estate.mark();
    both_ways(&estate, 64 * MIB).await;
    let size = 64 * MIB as u64;
    let uploads = |event: &&serde_json::Value| event["path"] == "/upload";
    let events = estate.decisions_since(&mark, 5).await;
    let counted: Vec<_> =
        events.iter().filter(uploads).map(|event| event["bytes_in"].as_u64().unwrap()).collect();
    assert_eq!(counted, [size; 3], "the audit counts what went by");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs minutes: make e2e"]
async fn a_gigabyte_both_ways_leaves_memory_flat() {
    let estate = Estate::start();
    both_ways(&estate, 4 * MIB).await;
    let before = estate.resident();
    let mut most = before;
    let mut transfers = std::pin::pin!(both_ways(&estate, 1024 * MIB));
    loop {
        tokio::select! {
            () = &mut transfers => break,
            () = tokio::time::sleep(Duration::from_millis(100)) => most = most.max(estate.resident()),
        }
    }
    assert!(most < before + 64 * MIB as u64, "{} MiB more than before", (most - before) >> 20);
}
