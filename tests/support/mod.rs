//! What the end-to-end tests share: the real binary, real sockets, real clients, all on loopback.
//!
//! Every child process ends with the value that started it, and every wait has a deadline.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part of this")]

pub mod audit;
pub mod browser;
pub mod chromium;
pub mod client;
pub mod estate;
pub mod frames;
pub mod idp;
pub mod ocsp;
pub mod pki;
pub mod port;
pub mod process;
pub mod raw;
pub mod traffic;
pub mod upstream;
pub mod visitor;
pub mod wait;
pub mod websocket;

pub use browser::Browser;
pub use client::{Device, Tls};
pub use estate::Estate;
pub use raw::Answer;
pub use upstream::{Recorder, Seen};

use std::time::Duration;

/// No wait is longer; none is asserted to be as long.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How long a connection that should stay silent is listened to.
pub const SILENCE: Duration = Duration::from_millis(250);

/// Replaces every `from` in bytes.
pub fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Where `part` begins.
pub fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
