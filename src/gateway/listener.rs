//! The public listener: accept, bounds, PROXY protocol, handshake, and one task a connection.

use super::admission::Admission;
use super::connection::{Connection, Wire};
use super::memory::Memory;
use super::{Gateway, http1, http2, proxy_protocol};
use crate::access::DeviceTrust;
use crate::device::Presented;
use crate::snapshot::Snapshot;
use crate::telemetry::{Handshake, HandshakeResult, TlsVersion};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// The wait after `accept` failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `shutdown` turns true. Connections run on as tasks of `tracker`.
pub async fn accept(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    mut shutdown: watch::Receiver<bool>,
    tracker: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                tracker.spawn(connection(stream, peer, Arc::clone(&gateway), shutdown.clone()));
            }
            Err(error) => {
                // Out of descriptors: those who are connected go on, and this loop must not spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
    shutdown: watch::Receiver<bool>,
) {
    let snapshot = gateway.snapshot();
    let limit = snapshot.config.limits.handshake_timeout;
    match tokio::time::timeout(limit, handshake(stream, peer, &gateway, &snapshot)).await {
        Ok(Ok((wire, admission))) => {
            let http2 = wire.connection().http2;
            drop(snapshot);
            if http2 {
                http2::serve(wire, &gateway, shutdown).await;
            } else {
                http1::serve(wire, &gateway, shutdown).await;
            }
            drop(admission);
        }
        Ok(Err(Refused::Busy)) => {
            gateway.metrics().handshake(unfinished(HandshakeResult::Busy));
            tracing::debug!(%peer, "there are too many connections");
        }
        Ok(Err(Refused::Handshake(error))) => {
            gateway.metrics().handshake(unfinished(HandshakeResult::Failed));
            tracing::debug!(%peer, %error, "the handshake failed");
        }
        Err(_) => {
            gateway.metrics().handshake(unfinished(HandshakeResult::Timeout));
            tracing::debug!(%peer, "the handshake took too long");
        }
    }
}

const fn unfinished(result: HandshakeResult) -> Handshake {
    Handshake { version: TlsVersion::None, result, device: DeviceTrust::None }
}

enum Refused {
    Busy,
    Handshake(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Handshake(error)
    }
}

async fn handshake(
    mut stream: TcpStream,
    peer: SocketAddr,
    gateway: &Gateway,
    snapshot: &Snapshot,
) -> Result<(Wire, Admission), Refused> {
    let limits = &snapshot.config.limits;
    stream.set_nodelay(true)?;
    let balancers = &snapshot.config.listen.proxy_protocol;
    let client = if crate::policy::within(peer.ip(), balancers) {
        proxy_protocol::read_client(&mut stream, peer).await?
    } else {
        peer
    };
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    let admission =
        gateway.admissions().admit(client.ip(), limits, gateway.metrics()).ok_or(Refused::Busy)?;
    let tls = gateway.turns.take(TlsAcceptor::from(Arc::clone(&snapshot.tls)).accept(stream)).await?;
    let (_, session) = tls.get_ref();
    let sni = session.server_name().map(str::to_ascii_lowercase);
    let served = snapshot.certificates.select(sni.as_deref()).cloned();
    let served = served.ok_or_else(|| io::Error::other("no certificate to serve"))?;
    let judged = match session.peer_certificates() {
        None | Some([]) => None,
        Some(chain) => {
            let judged = snapshot.chains.evidence(chain, &snapshot.trust, gateway.now());
            Some(judged.map_err(io::Error::other)?)
        }
    };
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => TlsVersion::V12,
        _ => TlsVersion::V13,
    };
    let http2 = session.alpn_protocol() == Some(b"h2");
    let (evidence, judgement) = judged.unzip();
    let device = judgement.filter(|judged| judged.kind == Presented::Device).map(|judged| judged.trust);
    let device = device.unwrap_or_default();
    gateway.metrics().handshake(Handshake { version, result: HandshakeResult::Ok, device });
    let connection = Connection {
        client,
        sni,
        served,
        evidence,
        http2,
        broken_framing: AtomicBool::new(false),
        memory: Memory::default(),
    };
    Ok((Wire::new(tls, Arc::new(connection)), admission))
}
