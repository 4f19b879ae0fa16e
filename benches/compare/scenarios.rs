//! What is measured.

use crate::Result;
use crate::load::Connecting;
use serde::Serialize;

/// One kind of work that every proxy is given.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    pub work: Work,
    pub path: &'static str,
    pub http2: bool,
    /// A device certificate is required, and the upstream is told of the device.
    pub device: bool,
    /// Every request is decided: a session in a cookie, and what the certificate says of the device.
    pub decide: bool,
}

/// What the clients do.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Work {
    /// Requests without a pause.
    Requests { connections: usize, streams: usize, connecting: Connecting },
    /// Nothing: connections are held after one request each.
    Hold,
}

impl Scenario {
    /// Requests on connections that are kept.
    const fn kept(name: &'static str, title: &'static str, path: &'static str, connections: usize) -> Self {
        let work = Work::Requests { connections, streams: 1, connecting: Connecting::Once };
        Self { name, title, work, path, http2: false, device: false, decide: false }
    }

    /// A connection for each request.
    const fn handshakes(name: &'static str, title: &'static str, connecting: Connecting) -> Self {
        let work = Work::Requests { connections: 32, streams: 1, connecting };
        Self { name, title, work, path: "/", http2: false, device: false, decide: false }
    }

    const fn with_device(self) -> Self {
        Self { device: true, ..self }
    }

    /// Mebibytes of an answer, where its cost is told by them.
    pub fn mebibytes(&self) -> Option<f64> {
        (self.path == "/large").then_some(10.0)
    }

    /// Whether every request is to resume a TLS session.
    pub fn resumes(&self) -> bool {
        matches!(self.work, Work::Requests { connecting: Connecting::Resumed, .. })
    }
}

const ALL: [Scenario; 10] = [
    Scenario::kept("plain", "1 KiB over HTTP/1.1, 64 connections that are kept", "/", 64),
    Scenario::kept("device", "as `plain`, with a device certificate and identity headers", "/", 64)
        .with_device(),
    Scenario {
        decide: true,
        ..Scenario::kept("decide", "as `device`, and a decision on every request", "/", 64).with_device()
    },
    Scenario {
        work: Work::Requests { connections: 64, streams: 8, connecting: Connecting::Once },
        http2: true,
        ..Scenario::kept("http2", "1 KiB over HTTP/2, 64 connections with 8 streams each", "/", 64)
    },
    Scenario::handshakes(
        "handshake",
        "a full handshake for each request, with a device certificate",
        Connecting::Full,
    )
    .with_device(),
    Scenario::handshakes("resumed", "a resumed TLS session for each request", Connecting::Resumed),
    Scenario::handshakes("resumed-device", "as `resumed`, with a device certificate", Connecting::Resumed)
        .with_device(),
    Scenario::kept("large", "10 MiB over HTTP/1.1, 4 connections", "/large", 4),
    Scenario { work: Work::Hold, ..Scenario::kept("idle", "memory of TLS connections that wait", "/", 0) },
    Scenario {
        work: Work::Hold,
        ..Scenario::kept("idle-device", "as `idle`, with a device certificate", "/", 0).with_device()
    },
];

/// The scenarios of these names, all of them where there are none.
pub fn named(names: &[String]) -> Result<Vec<Scenario>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let find = |name: &String| ALL.iter().find(|scenario| scenario.name == name).copied();
    let known = ALL.map(|scenario| scenario.name).join(", ");
    let unknown = |name: &String| format!("no scenario `{name}`; there are {known}").into();
    names.iter().map(|name| find(name).ok_or_else(|| unknown(name))).collect()
}
