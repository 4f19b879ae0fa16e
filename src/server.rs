//! Builds everything, owns start and shutdown.

use crate::access::Reason;
use crate::admin::{self, Admin, By, Guarding};
use crate::audit::{self, Audit, AuditError, Event, Kind};
use crate::config::Config;
use crate::device::Refresher;
use crate::device_changes::{DeviceChanges, tell_all};
use crate::gateway::assertion::{AssertionError, Assertions};
use crate::gateway::scope::Heart;
use crate::gateway::tls::{self, Resumption, TlsError};
use crate::gateway::{Gateway, Parts, listener, redirect};
use crate::identity::Throttle;
use crate::inventory::sync::{self, DeviceSync};
use crate::login::Login;
use crate::readiness::Health;
use crate::reload::{self, Reloader};
use crate::session::{LiveSession, SessionError, Sessions};
use crate::sign_in_events;
use crate::snapshot::{LoadError, Loaded, Shared, load};
use crate::state::{KeyRing, State, StateError};
use crate::telemetry::{Decided, EvidenceSource, Metrics, MetricsError, logs};
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// How often every request under way is judged again.
const BEAT: Duration = Duration::from_secs(1);
/// How often sessions are written, expired ones forgotten, and names of upstreams looked up.
const HOUSEKEEPING: Duration = Duration::from_secs(30);
/// How often keys that are old enough are replaced.
const KEY_ROUND: Duration = Duration::from_hours(1);

/// tiergate could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration or the policy is wrong; every mistake with its place.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// A socket could not be had.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The runtime or a signal handler could not be had.
    #[error("the runtime cannot start: {0}")]
    Runtime(#[from] std::io::Error),
    /// The cryptography could not start.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The state folder cannot be used.
    #[error("{0}: {source}", source = Cause(.0))]
    State(#[from] StateError),
    /// The sessions cannot be read.
    #[error(transparent)]
    Sessions(#[from] SessionError),
    /// The audit log cannot be written.
    #[error("{0}: {source}", source = Cause(.0))]
    Audit(#[from] AuditError),
    /// The keys for assertions cannot be used.
    #[error(transparent)]
    Assertions(#[from] AssertionError),
    /// The metrics cannot be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The client that asks OCSP responders cannot be made.
    #[error("cannot prepare to ask OCSP responders: {0}")]
    Ocsp(#[from] reqwest::Error),
    /// The logs cannot be set up.
    #[error(transparent)]
    Logs(#[from] logs::LogsError),
}

/// The cause of an error, in words.
struct Cause<'e, E: std::error::Error>(&'e E);

impl<E: std::error::Error> std::fmt::Display for Cause<'_, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.source() {
            Some(source) => write!(f, "{source}"),
            None => f.write_str("no cause was told"),
        }
    }
}

/// Serves until a signal ends it. `on_ready` is called when every listener accepts.
///
/// # Errors
/// It could not start; nothing is listening then.
pub fn serve(path: &Path, on_ready: Option<Box<dyn FnOnce() + Send>>) -> Result<(), ServeError> {
    // Installed before anything else can choose another: suites and groups for every connection.
    let _ = rustls::crypto::CryptoProvider::install_default((*tls::crypto()).clone());
    let resumption = Resumption::new()?;
    let Loaded { snapshot, warnings, devices } = load(path, None, &resumption, audit::unix_now())?;
    logs::init(&snapshot.config.logs)?;
    if !warnings.is_empty() {
        tracing::warn!("the configuration was loaded with warnings:\n{warnings}");
    }
    reload::tell_of_shadow(&snapshot);
    snapshot.inventory.take_file(devices);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = snapshot.config.listen.workers {
        runtime.worker_threads(workers);
    }
    let runtime = runtime.enable_all().thread_name("tiergate").build()?;
    let shared: Shared = Arc::new(ArcSwap::from_pointee(snapshot));
    let served = runtime.block_on(run(path, shared, resumption, on_ready));
    runtime.shutdown_timeout(Duration::from_secs(1));
    // What was still open ended with the runtime, and its events came after everything else.
    let last = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    if !last.block_on(served?.flush()) {
        tracing::error!("the audit log could not be written to its end");
    }
    Ok(())
}

async fn run(
    path: &Path,
    shared: Shared,
    resumption: Resumption,
    on_ready: Option<Box<dyn FnOnce() + Send>>,
) -> Result<Arc<Audit>, ServeError> {
    let config = Arc::clone(&shared.load().config);
    // Sockets first: an address that is taken must not leave a half-started process behind.
    let sockets = Sockets::bind(&config)?;
    let signals = Signals::new()?;
    let started = Started::new(path, &shared, resumption).await?;
    let stop = watch::Sender::new(false);
    let tracker = TaskTracker::new();
    for listener in sockets.https {
        let gateway = Arc::clone(&started.gateway);
        tokio::spawn(listener::accept(listener, gateway, stop.subscribe(), tracker.clone()));
    }
    let admin_stop = CancellationToken::new();
    for listener in sockets.http {
        let service = admin::Service::plain(redirect::router(Arc::clone(&shared)));
        tokio::spawn(admin::serve(listener, service, admin_stop.clone()));
    }
    let draining = Arc::new(AtomicBool::new(false));
    if let Some(listener) = sockets.admin {
        let admin = started.admin(&config, listener.local_addr()?, &draining);
        let service = admin::service(&admin, Arc::new(AdminTls(Arc::clone(&shared))));
        tokio::spawn(admin::serve(listener, service, admin_stop.clone()));
    }
    let work = started.background(&shared)?;
    started.record(Kind::Start);
    tracing::info!(https = ?config.listen.https, admin = ?config.listen.admin, version = env!("CARGO_PKG_VERSION"), "tiergate serves");
    if let Some(on_ready) = on_ready {
        on_ready();
    }
    signals.wait(&started.reloader).await;
    draining.store(true, Ordering::Relaxed);
    tracing::info!("stopping: no new connections, requests under way are finished");
    stop.send_replace(true);
    tracker.close();
    // Revocations are still enforced while requests finish, so the background goes on till then.
    let patience = shared.load().config.limits.drain_timeout;
    if tokio::time::timeout(patience, tracker.wait()).await.is_err() {
        tracing::warn!(left = tracker.len(), "connections were still open at the end of the drain");
    }
    drop(work);
    admin_stop.cancel();
    let audit = Arc::clone(&started.audit);
    started.finish().await;
    Ok(audit)
}

/// The admin listener's handshakes: as the current snapshot says.
struct AdminTls(Shared);

impl admin::Tls for AdminTls {
    fn settings(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0.load().admin_tls)
    }

    fn certificate(&self, sni: Option<&str>) -> Option<Arc<tls::Served>> {
        self.0.load().certificates.select(sni).cloned()
    }
}

/// The sockets of every listener.
struct Sockets {
    https: Vec<TcpListener>,
    http: Vec<TcpListener>,
    admin: Option<TcpListener>,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Self, ServeError> {
        let all = |addresses: &[SocketAddr]| {
            addresses.iter().map(|address| bind(*address)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            https: all(&config.listen.https)?,
            http: all(&config.listen.http)?,
            admin: config.listen.admin.map(bind).transpose()?,
        })
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| ServeError::Listen { address, source })
}

/// What runs once everything is built.
struct Started {
    state: Arc<State>,
    keys: KeyRing,
    sessions: Arc<Sessions>,
    login: Arc<Login>,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    devices: Arc<DeviceChanges>,
    sync: Arc<DeviceSync>,
}

impl Started {
    async fn new(path: &Path, shared: &Shared, resumption: Resumption) -> Result<Self, ServeError> {
        let snapshot = shared.load_full();
        let config = Arc::clone(&snapshot.config);
        let now = audit::unix_now();
        let metrics = Arc::new(Metrics::new()?);
        let audit = Audit::open(&config.audit.path, Arc::clone(&metrics))?;
        let state = Arc::new(State::open(&config.state).await?);
        let keys = state.keys(now).await?;
        let longest = reload::longest_session(&snapshot);
        let sessions = Arc::new(Sessions::open(Arc::clone(&state), longest, now).await?);
        let heart = Heart::new();
        let on_event = sign_in_events::hook(Arc::clone(&audit), Arc::clone(&metrics), heart.clone());
        let inventory = Arc::clone(&snapshot.inventory);
        let devices =
            DeviceChanges::open(inventory, Arc::clone(&state), heart.clone(), Arc::clone(&audit)).await?;
        let throttle = Arc::new(Throttle::new());
        let login = Login::new(Arc::clone(&sessions), &keys.cookies, throttle, on_event);
        let gateway = Gateway::new(Parts {
            snapshot: Arc::clone(shared),
            sessions: Arc::clone(&sessions),
            login: Arc::clone(&login),
            audit: Arc::clone(&audit),
            metrics: Arc::clone(&metrics),
            assertions: assertions(&keys)?,
            heart,
            workers: Handle::current().metrics().num_workers(),
        });
        reload::publish(&metrics, &snapshot, now);
        let reloader = Reloader::new(
            path.to_owned(),
            Arc::clone(shared),
            Arc::clone(&gateway),
            Arc::clone(&audit),
            resumption,
        );
        let gauges = (Arc::clone(shared), Arc::clone(&sessions), Arc::clone(&gateway));
        metrics.before_scrape(move |metrics| {
            let (shared, sessions, gateway) = &gauges;
            refresh(metrics, shared, sessions, gateway);
        });
        let sync = device_sync(shared, &gateway, &audit, &config).await;
        Ok(Self { state, keys, sessions, login, audit, metrics, gateway, reloader, devices, sync })
    }

    fn admin(&self, config: &Config, address: SocketAddr, draining: &Arc<AtomicBool>) -> Arc<Admin> {
        let health = Health {
            audit: Arc::clone(&self.audit),
            reloader: Arc::clone(&self.reloader),
            gateway: Arc::clone(&self.gateway),
            sync: Arc::clone(&self.sync),
            draining: Arc::clone(draining),
        };
        Arc::new(Admin {
            address,
            token: config.admin_token.clone(),
            metrics: Arc::clone(&self.metrics),
            readiness: Arc::new(health),
            reloads: Arc::new(Arc::clone(&self.reloader)),
            devices: Arc::new(Arc::clone(&self.devices)),
            audit: Some(Arc::clone(&self.audit)),
        })
    }

    /// What goes on beside the requests.
    fn background(&self, shared: &Shared) -> Result<tokio::task::JoinSet<()>, ServeError> {
        let gateway = Arc::clone(&self.gateway);
        let answers = Arc::clone(shared.load().trust.answers());
        let refresher = Refresher::new(answers, audit::unix_now, move || gateway.beat(true))?;
        let mut work = tokio::task::JoinSet::new();
        let gateway = Arc::clone(&self.gateway);
        work.spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                gateway.beat(false);
                gateway.tidy();
            }
        });
        work.spawn(Arc::clone(&self.reloader).watch());
        work.spawn(Arc::clone(&self.sync).run());
        work.spawn(refresher.run());
        let (sessions, shared, gateway) =
            (Arc::clone(&self.sessions), Arc::clone(shared), Arc::clone(&self.gateway));
        let audit = Arc::clone(&self.audit);
        work.spawn(async move {
            loop {
                tokio::time::sleep(HOUSEKEEPING).await;
                for session in sessions.expire(gateway.now()) {
                    audit.record(expired(&session));
                }
                if let Err(error) = sessions.flush(gateway.now()).await {
                    tracing::error!(%error, "the sessions' last use could not be written");
                }
                let snapshot = shared.load_full();
                snapshot.limiters.forget();
                let resolved = tokio::task::spawn_blocking(move || {
                    for upstream in &snapshot.upstreams {
                        upstream.resolve();
                    }
                });
                if let Err(error) = resolved.await {
                    tracing::error!(%error, "the upstreams' names could not be looked up");
                }
            }
        });
        let rotation = Rotation {
            state: Arc::clone(&self.state),
            keys: self.keys.clone(),
            login: Arc::clone(&self.login),
            gateway: Arc::clone(&self.gateway),
        };
        work.spawn(rotation.run());
        Ok(work)
    }

    fn record(&self, kind: Kind) {
        let mut event = Event::new(kind, audit::now());
        event.policy = Some(self.gateway.snapshot().generation);
        self.audit.record(event);
    }

    async fn finish(self) {
        if let Err(error) = self.sessions.flush(self.gateway.now()).await {
            tracing::error!(%error, "the sessions' last use could not be written");
        }
        self.record(Kind::Stop);
        if !self.audit.flush().await {
            tracing::error!("the audit log could not be written to its end");
        }
        self.state.close().await;
        tracing::info!("stopped");
    }
}

/// What asks the device management, once there is one.
async fn device_sync(
    shared: &Shared,
    gateway: &Arc<Gateway>,
    audit: &Arc<Audit>,
    config: &Config,
) -> Arc<DeviceSync> {
    let (configured, changed, audit) = (Arc::clone(shared), Arc::clone(gateway), Arc::clone(audit));
    DeviceSync::open(sync::Parts {
        inventory: Arc::clone(&shared.load().inventory),
        metrics: Arc::clone(gateway.metrics()),
        state: config.state.clone(),
        configured: Box::new(move || configured.load().config.sync.clone()),
        // Whoever is under way on a device of which something else is known is judged by that at once.
        changed: Box::new(move |changes| {
            changed.beat(true);
            tell_all(&audit, "inventory_pulled", changes, &By::default());
        }),
        now: Box::new(audit::unix_now),
    })
    .await
}

/// A session that came to its natural end.
fn expired(session: &LiveSession) -> Event {
    let mut event = Event::new(Kind::SessionEnd, audit::now());
    event.decision = Some(Decided::Allow);
    event.reason = Some(Reason::SessionExpired.code());
    event.subject = Some(session.person().user.clone());
    event.provider = Some(Arc::clone(&session.provider));
    event.session = Some(session.id);
    event
}

fn assertions(keys: &KeyRing) -> Result<Assertions, AssertionError> {
    let keys: Vec<(String, Vec<u8>)> =
        keys.assertion_pkcs8.iter().map(|key| (key.kid.clone(), key.pkcs8.clone())).collect();
    Assertions::new(&keys)
}

/// Replaces keys that are old enough, without signing anyone out.
struct Rotation {
    state: Arc<State>,
    keys: KeyRing,
    login: Arc<Login>,
    gateway: Arc<Gateway>,
}

impl Rotation {
    async fn run(mut self) {
        loop {
            tokio::time::sleep(KEY_ROUND).await;
            let now = self.gateway.now();
            if !self.keys.rotate_due(now) {
                continue;
            }
            match self.state.keys(now).await {
                Ok(keys) => self.take(keys),
                Err(error) => tracing::error!(%error, "the keys could not be rotated; the old ones go on"),
            }
        }
    }

    fn take(&mut self, keys: KeyRing) {
        match assertions(&keys) {
            Ok(assertions) => self.gateway.set_assertions(assertions),
            Err(error) => tracing::error!(%error, "the new key for assertions cannot be used"),
        }
        self.login.rekey(&keys.cookies);
        self.keys = keys;
        tracing::info!("the keys were rotated");
    }
}

/// Brings up to date what nobody counts as it happens.
fn refresh(metrics: &Metrics, shared: &Shared, sessions: &Sessions, gateway: &Gateway) {
    let (snapshot, now) = (shared.load(), gateway.now());
    metrics.sessions_active(sessions.active());
    metrics.inventory_devices(snapshot.inventory.len());
    for upstream in &snapshot.upstreams {
        for (address, healthy) in upstream.health(now) {
            metrics.upstream_healthy(&upstream.name, address, healthy);
        }
    }
    let age = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let lists = snapshot.trust.lists().map(|list| (EvidenceSource::Crl, age(now.saturating_sub(list.since))));
    let keys = snapshot.providers.keys_ages(now).map(|seconds| (EvidenceSource::Jwks, age(seconds)));
    let inventory =
        snapshot.inventory.as_of().map(|at| (EvidenceSource::Inventory, age(now.saturating_sub(at))));
    let answers = snapshot.trust.answers().age(now).map(|seconds| (EvidenceSource::Ocsp, age(seconds)));
    metrics.evidence_ages(lists.chain(answers).chain(keys).chain(inventory));
}

/// The signals that tiergate heeds.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when the process shall stop; reloads meanwhile.
    async fn wait(mut self, reloader: &Arc<Reloader>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    // The reload tells by itself what is wrong.
                    let _told = reloader.reload(Guarding::Held).await;
                }
            }
        }
    }
}
