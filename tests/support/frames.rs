//! HTTP/2 as frames: what is written is exactly what was asked for. Headers are sent as literals that
//! name no table, so any bytes can stand in them.

use super::DEADLINE;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// What the server said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// The headers of an answer; trailers have status 0.
    Headers {
        stream: u32,
        status: u16,
        end: bool,
    },
    Data {
        stream: u32,
        bytes: Vec<u8>,
        end: bool,
    },
    Reset {
        stream: u32,
        code: u32,
    },
    GoAway {
        code: u32,
    },
    Closed,
}

/// A connection on which HTTP/2 is spoken by hand.
pub struct Frames<S> {
    pub stream: S,
    buffer: Vec<u8>,
    closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Sends the preface and settings that forbid the server's compressor a table.
    pub async fn start(stream: S) -> Self {
        let mut frames = Self { stream, buffer: Vec::new(), closed: false };
        let _ = frames.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        // SETTINGS_HEADER_TABLE_SIZE = 0, SETTINGS_ENABLE_PUSH = 0
        frames.send(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]).await;
        frames
    }

    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(DEADLINE, writing).await.map_err(std::io::Error::other)?
    }

    /// Sends a frame; whether the server still takes any.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&frame(kind, flags, stream, payload)).await.is_ok()
    }

    pub async fn headers(&mut self, stream: u32, flags: u8, fields: &[(&[u8], &[u8])]) -> bool {
        self.send(HEADERS, flags | END_HEADERS, stream, &block(fields)).await
    }

    /// The next thing the server says, settings and pings aside; `None` when it is silent for so long.
    pub async fn said_within(&mut self, limit: Duration) -> Option<Said> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some((kind, flags, stream, payload)) = self.take() {
                let end = flags & END_STREAM != 0;
                match kind {
                    HEADERS => return Some(Said::Headers { stream, status: status(&payload), end }),
                    DATA => {
                        self.give_window(stream, payload.len()).await;
                        return Some(Said::Data { stream, bytes: payload, end });
                    }
                    RST_STREAM => return Some(Said::Reset { stream, code: number(&payload) }),
                    GOAWAY => {
                        return Some(Said::GoAway { code: number(payload.get(4..).unwrap_or_default()) });
                    }
                    SETTINGS if flags & ACK == 0 => {
                        self.send(SETTINGS, ACK, 0, &[]).await;
                    }
                    _ => {}
                }
            }
            if self.closed {
                return Some(Said::Closed);
            }
            match tokio::time::timeout_at(deadline, self.stream.read_buf(&mut self.buffer)).await {
                Err(_) => return None,
                Ok(Ok(0) | Err(_)) => self.closed = true,
                Ok(Ok(_)) => {}
            }
        }
    }

    async fn give_window(&mut self, stream: u32, bytes: usize) {
        if bytes > 0 {
            let bytes = u32::try_from(bytes).unwrap().to_be_bytes();
            self.send(WINDOW_UPDATE, 0, 0, &bytes).await;
            self.send(WINDOW_UPDATE, 0, stream, &bytes).await;
        }
    }

    fn take(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let head: [u8; 9] = self.buffer.get(..9)?.try_into().unwrap();
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = self.buffer.get(9..9 + length)?.to_vec();
        self.buffer.drain(..9 + length);
        Some((head[3], head[4], number(&head[5..]) & 0x7fff_ffff, payload))
    }

    /// How the server ended a stream: the status it answered, or 0 where it reset the stream or went away.
    pub async fn outcome(&mut self, stream: u32) -> u16 {
        let mut seen = 0;
        loop {
            match self.said_within(DEADLINE).await {
                Some(Said::Headers { stream: of, status, end }) if of == stream => {
                    if status >= 200 {
                        seen = status;
                    }
                    if end {
                        return seen;
                    }
                }
                Some(Said::Data { stream: of, end: true, .. }) if of == stream => return seen,
                // Answered early, and then told that the rest of the body is not wanted.
                Some(Said::Reset { stream: of, .. }) if of == stream => return seen,
                Some(Said::GoAway { .. } | Said::Closed) => return seen,
                Some(_) => {}
                None => panic!("the server said nothing about stream {stream}"),
            }
        }
    }

    /// Everything until the server goes away, or is silent for so long.
    pub async fn everything(&mut self, silence: Duration) -> Vec<Said> {
        let mut all = Vec::new();
        while let Some(said) = self.said_within(silence).await {
            let over = said == Said::Closed;
            all.push(said);
            if over {
                break;
            }
        }
        all
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Fields as literals without indexing, new names, no Huffman (RFC 7541 §6.2.2).
pub fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            integer(&mut out, 7, 0, text.len());
            out.extend_from_slice(text);
        }
    }
    out
}

/// RFC 7541 §5.1.
pub fn integer(out: &mut Vec<u8>, bits: u32, high: u8, value: usize) {
    let most = (1_usize << bits) - 1;
    if value < most {
        out.push(high | u8::try_from(value).unwrap());
        return;
    }
    out.push(high | u8::try_from(most).unwrap());
    let mut rest = value - most;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

fn number(bytes: &[u8]) -> u32 {
    bytes.get(..4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
}

/// The status that a block of headers begins with; 0 where it begins with something else.
fn status(block: &[u8]) -> u16 {
    let mut block = block;
    // Changes of the table's size come first (RFC 7541 §6.3).
    while let Some((first, rest)) = block.split_first().filter(|(first, _)| *first & 0xe0 == 0x20) {
        block = rest;
        if first & 0x1f == 0x1f {
            let more = block.iter().position(|byte| byte & 128 == 0).map_or(0, |at| at + 1);
            block = &block[more..];
        }
    }
    match block {
        [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        // `:status` by the index of any of its entries in the static table, with a literal value.
        [first, length, value @ ..] if is_status_name(*first) => {
            let size = usize::from(length & 0x7f);
            let value = value.get(..size).unwrap_or_default();
            let digits = if length & 128 == 0 {
                String::from_utf8_lossy(value).into_owned()
            } else {
                huffman_digits(value)
            };
            digits.parse().unwrap_or(0)
        }
        _ => 0,
    }
}

fn is_status_name(first: u8) -> bool {
    let index = match first {
        0x40..=0x7f => first & 0x3f,
        0x00..=0x1f => first & 0x0f,
        _ => return false,
    };
    (8..=14).contains(&index)
}

/// Three digits in HPACK's Huffman code: 0, 1 and 2 take five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let value = |bits: &[u8]| bits.iter().fold(0_u8, |value, bit| value << 1 | bit);
    let mut digits = String::new();
    let mut at = 0;
    while digits.len() < 3 && at + 5 <= bits.len() {
        let five = value(&bits[at..at + 5]);
        if five <= 2 {
            digits.push(char::from(b'0' + five));
            at += 5;
        } else {
            let Some(six) = bits.get(at..at + 6).map(value) else { break };
            digits.push(char::from(b'3' + six.wrapping_sub(0x19)));
            at += 6;
        }
    }
    digits
}
