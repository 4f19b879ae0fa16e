//! The policy enforcement point: everything between a client's bytes and an upstream's.
//!
//! [`listener`] accepts and shakes hands, [`http1`] and [`http2`] read requests, `relay` or the framework
//! takes one through its [`exchange`], and `judge` judges it: [`crate::text::canonical`] and [`request`] understand it,
//! [`identify`] says who asks, [`crate::access::decide`] decides, and either [`forward`] sends it on,
//! which takes a permit, or [`respond`] answers. [`record`] writes down what became of it, whatever that was.

pub mod admission;
pub mod assertion;
mod case;
pub mod chunks;
pub mod connection;
pub mod cors;
pub mod exchange;
mod failure;
pub mod forward;
mod handler;
pub mod headers;
pub mod http1;
pub mod http2;
pub mod identify;
mod identity;
mod idle;
mod judge;
pub mod listener;
mod memory;
pub mod own_pages;
pub mod proxy_protocol;
pub mod rate;
pub mod record;
pub mod redirect;
pub mod refusal;
mod relay;
pub mod request;
pub mod respond;
pub mod scope;
pub mod tls;
mod turns;
mod unhurried;
pub mod upstream;
pub mod wire;

use crate::access::{Decision, Facts, Reason, Timestamp, decide};
use crate::audit::Audit;
use crate::login::Login;
use crate::session::Sessions;
use crate::snapshot::{Shared, Snapshot};
use crate::telemetry::Metrics;
use admission::Admissions;
use arc_swap::ArcSwap;
use assertion::Assertions;
use connection::Connection;
use handler::Handler;
use idle::Idle;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use request::{Request, Who};
use scope::Heart;
use std::sync::Arc;
use turns::Turns;

/// Idle connections to upstreams that are kept, each worker.
const UPSTREAM_POOL: usize = 512;
/// Attempts for one request: more than any upstream has addresses that are worth trying.
const MAX_TRIES: usize = 4;

/// What the gateway works with. One value a process.
pub struct Gateway {
    snapshot: Shared,
    sessions: Arc<Sessions>,
    login: Arc<Login>,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
    admissions: Arc<Admissions>,
    assertions: ArcSwap<Assertions>,
    heart: Heart,
    pages: own_pages::Pages,
    proxy: Arc<HttpProxy<Handler>>,
    idle: Idle,
    turns: Turns,
}

/// What a gateway is made of.
pub struct Parts {
    /// What requests are decided with.
    pub snapshot: Shared,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// How people sign in.
    pub login: Arc<Login>,
    /// Where everything is recorded.
    pub audit: Arc<Audit>,
    /// Where everything is counted.
    pub metrics: Arc<Metrics>,
    /// What upstreams are shown.
    pub assertions: Assertions,
    /// What makes requests under way be judged again.
    pub heart: Heart,
    /// Threads that work on requests.
    pub workers: usize,
}

impl Gateway {
    /// A gateway that serves nothing yet.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { snapshot, sessions, login, audit, metrics, assertions, heart, workers } = parts;
        let conf = ServerConf {
            upstream_keepalive_pool_size: UPSTREAM_POOL,
            max_retries: MAX_TRIES,
            ..ServerConf::default()
        };
        Arc::new(Self {
            pages: own_pages::Pages::new(&login),
            idle: Idle::new(&conf),
            turns: Turns::of(workers),
            proxy: Arc::new(http_proxy(&Arc::new(conf), Handler)),
            admissions: Admissions::new(),
            assertions: ArcSwap::from_pointee(assertions),
            heart,
            snapshot,
            sessions,
            login,
            audit,
            metrics,
        })
    }

    /// The snapshot that a request beginning now takes.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The wall clock: the one place where the gateway reads it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        crate::audit::unix_now()
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// How many connections there are.
    #[must_use]
    pub fn admissions(&self) -> &Arc<Admissions> {
        &self.admissions
    }

    /// Who is signed in.
    #[must_use]
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The keys that upstreams verify assertions with were rotated.
    pub fn set_assertions(&self, assertions: Assertions) {
        self.assertions.store(Arc::new(assertions));
    }

    /// Judges every request under way again: at the regular beat, or now because something changed.
    pub fn beat(&self, revoked: bool) {
        self.heart.beat(revoked);
    }

    /// Lets go of connections to upstreams that are of no use any more.
    pub fn tidy(&self) {
        self.idle.tidy();
    }

    fn proxy(&self) -> &Arc<HttpProxy<Handler>> {
        &self.proxy
    }

    /// Whether a request that was admitted would not be any more; the reason why.
    fn no_longer_allowed(&self, request: &Request, connection: &Connection) -> Option<Reason> {
        let snapshot = self.snapshot.load();
        let now = self.now();
        if let Who::Session(session) = &request.who
            && session.ended().is_cancelled()
        {
            return Some(Reason::SessionRevoked);
        }
        let judged = identify::judge(connection, &snapshot, now);
        let user = identify::user(request, &snapshot);
        let facts = Facts {
            place: snapshot.policy.locate(request.host(), request.path()),
            method: request.method.as_str(),
            path: request.path(),
            client: connection.client.ip(),
            now,
            address_limited: false,
            cross_origin: false,
            audit_available: true,
            subject: identify::subject(request, user.as_ref(), &judged, &snapshot, now),
            device: judged.device(),
        };
        match decide(&snapshot.policy, &facts) {
            // What is still allowed goes on as it was permitted before; this permit is not used.
            Decision::Allow(_) => None,
            Decision::Deny(denial) | Decision::Challenge(_, denial) => Some(denial.reason),
        }
    }

    /// A stream that the codec refused before it was a request.
    fn malformed_stream(self: &Arc<Self>, connection: &Connection) {
        refusal::record(self, connection, Reason::AmbiguousRequest, b"");
    }
}
