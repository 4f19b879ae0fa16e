//! HTTP/1 as bytes: what is written is exactly what was asked for, and what comes back is taken apart
//! strictly, so that one answer too many is seen.

use super::{DEADLINE, SILENCE, find};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The only value of a header; lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(is, _)| is == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// What came of writing bytes to a connection.
#[derive(Debug)]
pub struct Exchange {
    pub answers: Vec<Answer>,
    /// Whether the server closed.
    pub closed: bool,
    /// Bytes that are no whole answer.
    pub rest: Vec<u8>,
}

impl Exchange {
    pub fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|answer| answer.status).collect()
    }

    /// The status of the only final answer; 0 where there is none.
    pub fn status(&self) -> u16 {
        self.answers.iter().map(|answer| answer.status).find(|status| *status >= 200).unwrap_or(0)
    }
}

/// A connection on which HTTP/1 is spoken by hand.
pub struct Talk<S> {
    pub stream: S,
    buffer: Vec<u8>,
    closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), closed: false }
    }

    /// Writes; a server that closed early is no failure of the client's.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(DEADLINE, writing).await.map_err(io::Error::other)?
    }

    /// The next answer to a request with this method; `None` when the server closed or was silent for too long.
    pub async fn answer(&mut self, method: &str) -> Option<Answer> {
        self.answer_within(method, DEADLINE).await
    }

    pub async fn answer_within(&mut self, method: &str, limit: Duration) -> Option<Answer> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            if let Some((answer, length)) = take_apart(&self.buffer, method, self.closed) {
                self.buffer.drain(..length);
                return Some(answer);
            }
            if self.closed || !self.fill(deadline).await {
                return None;
            }
        }
    }

    /// Only the head of the next answer, for bodies that do not end.
    pub async fn head(&mut self) -> Option<Answer> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            if let Some((answer, length)) = head(&self.buffer) {
                self.buffer.drain(..length);
                return Some(answer);
            }
            if self.closed || !self.fill(deadline).await {
                return None;
            }
        }
    }

    /// Bytes that came behind a head: all of them so far, at least one unless closed.
    pub async fn some_bytes(&mut self) -> Vec<u8> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while self.buffer.is_empty() && !self.closed && self.fill(deadline).await {}
        std::mem::take(&mut self.buffer)
    }

    async fn fill(&mut self, deadline: tokio::time::Instant) -> bool {
        match tokio::time::timeout_at(deadline, self.stream.read_buf(&mut self.buffer)).await {
            Err(_) => false,
            Ok(Ok(0) | Err(_)) => {
                self.closed = true;
                true
            }
            Ok(Ok(_)) => true,
        }
    }

    /// Whether the server closes without another byte.
    pub async fn closes(&mut self) -> bool {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while !self.closed && self.buffer.is_empty() && self.fill(deadline).await {}
        self.closed && self.buffer.is_empty()
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The bytes that are no whole answer.
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }
}

/// Writes bytes and takes every answer, until the server closes or is silent after so many.
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    bytes: &[u8],
    answers: usize,
) -> Exchange {
    let method =
        bytes.split(|byte| *byte == b' ').next().map(|word| String::from_utf8_lossy(word).into_owned());
    let method = method.unwrap_or_default();
    let mut talk = Talk::new(stream);
    // The server may close while it is still being written to.
    let _ = talk.write(bytes).await;
    let mut taken = Vec::new();
    let mut finals = 0;
    loop {
        let limit = if finals < answers { DEADLINE } else { SILENCE };
        match talk.answer_within(&method, limit).await {
            Some(answer) => {
                finals += usize::from(answer.status >= 200 || answer.status == 101);
                taken.push(answer);
            }
            None => return Exchange { answers: taken, closed: talk.closed, rest: talk.buffer },
        }
    }
}

fn head(bytes: &[u8]) -> Option<(Answer, usize)> {
    let length = find(bytes, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..length - 4]).expect("an answer's head is text");
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap();
    let mut words = status_line.splitn(3, ' ');
    assert!(
        words.next().is_some_and(|version| version.starts_with("HTTP/1.")),
        "no status line: {status_line}"
    );
    let status = words.next().unwrap().parse().expect("a status");
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a header has a colon");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Some((Answer { status, headers: headers.collect(), body: Vec::new() }, length))
}

fn take_apart(bytes: &[u8], method: &str, closed: bool) -> Option<(Answer, usize)> {
    let (mut answer, start) = head(bytes)?;
    let bodiless = method == "HEAD" || answer.status < 200 || matches!(answer.status, 204 | 304);
    if bodiless {
        return Some((answer, start));
    }
    if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        let (body, length) = unchunk(&bytes[start..])?;
        answer.body = body;
        return Some((answer, start + length));
    }
    if let Some(length) = answer.header("content-length") {
        let length: usize = length.parse().expect("a length");
        answer.body = bytes.get(start..start + length)?.to_vec();
        return Some((answer, start + length));
    }
    closed.then(|| {
        answer.body = bytes[start..].to_vec();
        (answer, bytes.len())
    })
}

/// A chunked body and how long it was, once it is whole.
pub fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("a chunk size is text");
        let size = usize::from_str_radix(size.split(';').next().unwrap().trim(), 16).expect("a chunk size");
        at += line + 2;
        if size == 0 {
            loop {
                let line = find(&bytes[at..], b"\r\n")?;
                at += line + 2;
                if line == 0 {
                    return Some((body, at));
                }
            }
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size;
        assert_eq!(bytes.get(at..at + 2)?, b"\r\n", "a chunk ends");
        at += 2;
    }
}
