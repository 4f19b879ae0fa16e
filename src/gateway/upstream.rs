//! Named sets of addresses that requests are forwarded to: whose turn it is, and who is ill.

use super::idle::{KEEP, Stack};
use super::{tls, unhurried};
use crate::config::{UpstreamConfig, UpstreamTls};
use crate::telemetry::{Metrics, UpstreamMetrics};
use arc_swap::ArcSwap;
use pingora::protocols::ALPN;
use pingora::upstreams::peer::{HttpPeer, Peer};
use pingora::utils::tls::CertKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Failures in a row after which an address is passed over.
const FAILURES_UNTIL_ILL: u32 = 3;
/// How long an address is passed over at first, seconds; doubled with each further failure.
const FIRST_REST: i64 = 2;
/// The longest rest, seconds.
const LONGEST_REST: i64 = 60;
/// Concurrent streams on one HTTP/2 connection to an upstream.
const MAX_UPSTREAM_STREAMS: usize = 100;

/// An upstream could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// A certificate or key could not be read.
    #[error("upstream `{upstream}`: `{path}` cannot be read: {source}")]
    Read {
        /// Its name.
        upstream: String,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate that it is shown cannot be used.
    #[error("upstream `{upstream}`: {source}")]
    Client {
        /// Its name.
        upstream: String,
        /// Why.
        source: tls::TlsError,
    },
    /// A certificate file holds none, or one that does not parse.
    #[error("upstream `{upstream}`: `{path}` holds no usable certificate")]
    Certificate {
        /// Its name.
        upstream: String,
        /// Which file.
        path: PathBuf,
    },
}

/// A named set of addresses.
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// As configured.
    pub config: UpstreamConfig,
    addresses: Vec<Address>,
    next: AtomicUsize,
    ca: Option<Arc<[pingora::utils::tls::WrappedX509]>>,
    client: Option<Arc<CertKey>>,
    counters: OnceLock<Arc<UpstreamMetrics>>,
    /// Connections are shared by what has the same of these, and by nothing else.
    connections: u64,
}

/// The way to one socket address: what a connection there must be, worked out once.
pub struct Way {
    /// As the framework makes connections.
    pub peer: HttpPeer,
    /// Connections of ways with the same key serve each other's requests.
    pub(super) key: u64,
    /// Where its idle connections are, once one was looked for.
    pub(super) stack: OnceLock<Arc<Stack>>,
}

impl Way {
    fn new(peer: HttpPeer) -> Arc<Self> {
        Arc::new(Self { key: peer.reuse_hash(), peer, stack: OnceLock::new() })
    }
}

/// A socket address, and the way there of requests that are answered soon.
type Destination = (SocketAddr, Arc<Way>);

/// One address and how it fares.
struct Address {
    text: String,
    resolved: ArcSwap<Vec<Destination>>,
    failures: AtomicU32,
    ill_until: AtomicI64,
}

impl Address {
    fn is_well(&self, now: i64) -> bool {
        self.ill_until.load(Ordering::Relaxed) <= now && !self.resolved.load().is_empty()
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A request whose answer begins soon.
    Answer,
    /// An exchange that may pause for as long as the upstream's idle timeout, at its first byte too.
    Stream,
    /// A WebSocket handshake.
    WebSocket,
}

/// The address whose turn it is: an index into the upstream's addresses, and where to connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Turn {
    index: usize,
    /// Where to connect.
    pub address: SocketAddr,
}

impl Upstream {
    /// Reads what the configuration names and resolves the addresses once. A name that does not
    /// resolve yet is no error: it is tried again by [`Upstream::resolve`].
    ///
    /// # Errors
    /// A certificate or key that cannot be used.
    pub fn new(name: &str, config: &UpstreamConfig) -> Result<Self, UpstreamError> {
        let addresses = config.addresses.iter().map(|text| Address {
            text: text.clone(),
            resolved: ArcSwap::from_pointee(Vec::new()),
            failures: AtomicU32::new(0),
            ill_until: AtomicI64::new(0),
        });
        let tls = config.tls.as_ref();
        let ca = tls.and_then(|tls| tls.ca.as_ref()).map(|path| authorities(name, path)).transpose()?;
        let client = tls.and_then(|tls| tls.client.as_ref()).map(|files| client(name, files)).transpose()?;
        let believed: Vec<&[u8]> =
            ca.iter().flat_map(|ca| ca.iter()).map(|one| one.borrow_raw_cert().as_slice()).collect();
        let upstream = Self {
            // What was verified by one authority, or opened as somebody, is nothing for whoever believes
            // another or is somebody else, be it after a reload.
            connections: fingerprint((
                name,
                believed,
                client.as_ref().map(|client| client.leaf().borrow_raw_cert().clone()),
            )),
            name: name.to_owned(),
            config: config.clone(),
            addresses: addresses.collect(),
            next: AtomicUsize::new(0),
            counters: OnceLock::new(),
            ca,
            client,
        };
        upstream.resolve();
        Ok(upstream)
    }

    /// Looks the addresses' names up, blocking. A look-up that fails keeps what was known.
    pub fn resolve(&self) {
        for (index, address) in self.addresses.iter().enumerate() {
            match address.text.to_socket_addrs() {
                Ok(found) => {
                    let known = address.resolved.load_full();
                    let destination = |to: SocketAddr| {
                        let turn = Turn { index, address: to };
                        let way =
                            known.iter().find(|(address, _)| *address == to).map(|(_, way)| Arc::clone(way));
                        (to, way.unwrap_or_else(|| Way::new(self.peer(turn, "", Purpose::Answer))))
                    };
                    address.resolved.store(Arc::new(found.map(destination).collect()));
                }
                Err(error) => {
                    tracing::warn!(upstream = self.name, address = address.text, %error, "the address does not resolve");
                }
            }
        }
    }

    /// Its counters, looked up once.
    #[must_use]
    pub fn counters(&self, metrics: &Metrics) -> &Arc<UpstreamMetrics> {
        self.counters.get_or_init(|| metrics.for_upstream(&self.name))
    }

    /// How many addresses there are to try.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether there is no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// The next address in turn that is not ill; when all are, the next one all the same.
    #[must_use]
    pub fn take_turn(&self, now: i64) -> Option<Turn> {
        let from = self.next.fetch_add(1, Ordering::Relaxed);
        let turns = (0..self.addresses.len()).map(|step| from.wrapping_add(step) % self.addresses.len());
        let usable = |index: usize| {
            let resolved = self.addresses.get(index)?.resolved.load();
            let (address, _) = resolved.get(from % resolved.len().max(1))?;
            Some(Turn { index, address: *address })
        };
        let well = |index: &usize| {
            self.addresses.get(*index).is_some_and(|a| a.ill_until.load(Ordering::Relaxed) <= now)
        };
        turns.clone().filter(well).find_map(usable).or_else(|| turns.clone().find_map(usable))
    }

    /// The address answered.
    pub fn went_well(&self, turn: Turn) {
        if let Some(address) =
            self.addresses.get(turn.index).filter(|a| a.failures.load(Ordering::Relaxed) > 0)
        {
            address.failures.store(0, Ordering::Relaxed);
            address.ill_until.store(0, Ordering::Relaxed);
        }
    }

    /// The address could not be reached (`refused`), or answered too late or broke off.
    pub fn went_wrong(&self, turn: Turn, now: i64, refused: bool) {
        let Some(address) = self.addresses.get(turn.index) else { return };
        let failures = address.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let beyond = if refused { failures } else { (failures + 1).saturating_sub(FAILURES_UNTIL_ILL) };
        if beyond > 0 {
            let rest = FIRST_REST.saturating_mul(1 << (beyond - 1).min(8)).min(LONGEST_REST);
            address.ill_until.store(now.saturating_add(rest), Ordering::Relaxed);
        }
    }

    /// Each address and whether it is in use.
    pub fn health(&self, now: i64) -> impl Iterator<Item = (&str, bool)> {
        self.addresses.iter().map(move |address| (address.text.as_str(), address.is_well(now)))
    }

    /// How many addresses are not ill.
    #[must_use]
    pub fn healthy(&self, now: i64) -> usize {
        self.addresses.iter().filter(|address| address.is_well(now)).count()
    }

    /// The way of this turn.
    #[must_use]
    pub fn way(&self, turn: Turn, host: &str, purpose: Purpose) -> Arc<Way> {
        if purpose == Purpose::Answer
            && let Some(address) = self.addresses.get(turn.index)
            && let Some((_, way)) = address.resolved.load().iter().find(|(to, _)| *to == turn.address)
            // Without a name of its own it must bear the name of what was asked.
            && (self.config.tls.is_none() || !way.peer.sni.is_empty())
        {
            return Arc::clone(way);
        }
        Way::new(self.peer(turn, host, purpose))
    }

    /// The connection that the framework shall make or reuse.
    fn peer(&self, turn: Turn, host: &str, purpose: Purpose) -> HttpPeer {
        let config = &self.config;
        let name = config.tls.as_ref().map(|tls| self.server_name(tls, turn, host)).unwrap_or_default();
        let mut peer = HttpPeer::new(turn.address, config.tls.is_some(), name);
        peer.group_key = self.connections;
        let options = &mut peer.options;
        options.connection_timeout = Some(config.connect_timeout);
        options.total_connection_timeout = Some(config.connect_timeout);
        options.read_timeout = Some(match purpose {
            Purpose::Answer => config.first_byte_timeout,
            Purpose::Stream | Purpose::WebSocket => config.idle_timeout,
        });
        options.write_timeout = Some(config.idle_timeout);
        options.idle_timeout = Some(KEEP);
        options.max_h2_streams = MAX_UPSTREAM_STREAMS;
        options.alpn = if config.http2 { ALPN::H2 } else { ALPN::H1 };
        options.ca.clone_from(&self.ca);
        peer.client_cert_key.clone_from(&self.client);
        if purpose == Purpose::WebSocket {
            self.for_a_websocket(&mut peer);
        }
        peer
    }

    /// A connection of its own, which no other request takes over: see [`super::unhurried`].
    fn for_a_websocket(&self, peer: &mut HttpPeer) {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        peer.group_key ^= fingerprint(CONNECTIONS.fetch_add(1, Ordering::Relaxed)).max(1);
        peer.options.idle_timeout = Some(Duration::ZERO);
        // WebSockets over HTTP/2 (RFC 8441) are not spoken to upstreams.
        peer.options.alpn = ALPN::H1;
        peer.options.custom_l4 =
            Some(Arc::new(unhurried::Connector { timeout: self.config.connect_timeout }));
    }

    /// The name that the upstream's certificate must bear: never empty, or nothing would be verified.
    fn server_name(&self, tls: &UpstreamTls, turn: Turn, host: &str) -> String {
        let configured = tls.server_name.clone().or_else(|| {
            let text = &self.addresses.get(turn.index)?.text;
            let (name, _port) = text.rsplit_once(':')?;
            Some(name.trim_matches(['[', ']']).to_owned())
        });
        configured.filter(|name| !name.is_empty()).unwrap_or_else(|| host.to_owned())
    }
}

fn fingerprint(name: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn chain(upstream: &str, path: &PathBuf) -> Result<Vec<Vec<u8>>, UpstreamError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .and_then(|found| found.map(|one| one.map(|der| der.to_vec())).collect());
    let certificates = certificates.map_err(|source| UpstreamError::Read {
        upstream: upstream.to_owned(),
        path: path.clone(),
        source,
    })?;
    // The framework asserts what is checked here.
    let parses = |der: &Vec<u8>| x509_parser::parse_x509_certificate(der).is_ok();
    if certificates.is_empty() || !certificates.iter().all(parses) {
        return Err(UpstreamError::Certificate { upstream: upstream.to_owned(), path: path.clone() });
    }
    Ok(certificates)
}

fn authorities(
    upstream: &str,
    path: &PathBuf,
) -> Result<Arc<[pingora::utils::tls::WrappedX509]>, UpstreamError> {
    let wrapped = chain(upstream, path)?
        .into_iter()
        .map(|der| pingora::utils::tls::WrappedX509::new(der, pingora::utils::tls::parse_x509));
    Ok(wrapped.collect())
}

fn client(upstream: &str, files: &crate::config::CertificateFiles) -> Result<Arc<CertKey>, UpstreamError> {
    // The framework would find out with the first request.
    tls::pair(files).map_err(|source| UpstreamError::Client { upstream: upstream.to_owned(), source })?;
    let read =
        |source| UpstreamError::Read { upstream: upstream.to_owned(), path: files.key.clone(), source };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(read)?;
    Ok(Arc::new(CertKey::new(chain(upstream, &files.cert)?, key.secret_der().to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(addresses: &[&str]) -> Upstream {
        let config = UpstreamConfig {
            addresses: addresses.iter().map(|&a| a.to_owned()).collect(),
            tls: None,
            http2: false,
            host: None,
            headers: std::collections::BTreeMap::new(),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(5),
        };
        Upstream::new("demo", &config).unwrap()
    }

    fn ports(upstream: &Upstream, now: i64, turns: usize) -> Vec<u16> {
        (0..turns).map(|_| upstream.take_turn(now).unwrap().address.port()).collect()
    }

    #[test]
    fn addresses_take_turns_and_the_ill_are_passed_over() {
        let upstream = upstream(&["127.0.0.1:1", "127.0.0.1:2"]);
        assert_eq!(ports(&upstream, 0, 4), [1, 2, 1, 2]);
        let first = upstream.take_turn(0).unwrap();
        upstream.went_wrong(first, 0, true);
        assert_eq!((ports(&upstream, 1, 3), upstream.healthy(1)), (vec![2, 2, 2], 1));
        assert_eq!(upstream.healthy(2), 2, "rested");
        let second = Turn { index: 1, ..first };
        for _ in 0..2 {
            upstream.went_wrong(second, 0, false);
        }
        assert_eq!(upstream.healthy(2), 2, "two late answers are no illness");
        upstream.went_wrong(second, 2, false);
        assert_eq!(upstream.healthy(2), 1);
        upstream.went_wrong(first, 2, true);
        assert_eq!(upstream.healthy(2), 0);
        assert_eq!(ports(&upstream, 2, 2).len(), 2, "when all are ill, all are tried");
        upstream.went_well(first);
        assert_eq!(upstream.healthy(2), 1);
    }

    #[test]
    fn a_certificate_is_always_asked_for_by_a_name() {
        let upstream = upstream(&["10.0.0.1:8443"]);
        let tls = UpstreamTls { ca: None, server_name: None, client: None };
        let turn = upstream.take_turn(0).unwrap();
        assert_eq!(upstream.server_name(&tls, turn, "app.test"), "10.0.0.1");
        let empty = UpstreamTls { server_name: Some(String::new()), ..tls };
        assert_eq!(upstream.server_name(&empty, turn, "app.test"), "app.test");
    }
}
