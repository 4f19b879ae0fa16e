//! What surrounds the handling of one request: its connection, and the end that may come from outside.
//!
//! An idle WebSocket or a quiet stream passes through no filter, so a request that is under way is
//! judged again at every pulse: once a second, and at once when a session, a policy or the evidence
//! changes. What is no longer allowed is dropped, and the connection with it.

use super::Gateway;
use super::connection::Connection;
use super::exchange::Exchange;
use super::request::Request;
use crate::access::Reason;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

tokio::task_local! {
    static CURRENT: Arc<Scope>;
}

/// A change that requests under way must be judged after.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    /// When something was revoked; `None` for the regular beat.
    pub revoked: Option<Instant>,
}

/// What makes every request under way be judged again.
#[derive(Clone)]
pub struct Heart(Arc<watch::Sender<Pulse>>);

impl Heart {
    /// A heart that has not beaten yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "there is one a process, made on purpose")]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Pulse { revoked: None })))
    }

    /// Beats: regularly, or now because something was revoked.
    pub fn beat(&self, revoked: bool) {
        self.0.send_replace(Pulse { revoked: revoked.then(Instant::now) });
    }

    fn feel(&self) -> watch::Receiver<Pulse> {
        self.0.subscribe()
    }
}

/// The surroundings of one request.
pub struct Scope {
    /// The connection that it came on.
    pub connection: Arc<Connection>,
    gateway: Arc<Gateway>,
    admitted: OnceLock<Arc<Request>>,
    /// A request that was judged before the framework took it over.
    begun: Mutex<Option<Exchange>>,
    cut: OnceLock<Reason>,
    /// When bytes of the request's body last arrived, Unix seconds.
    progress: AtomicI64,
    /// The request's body is still expected, and the client is not free to pause.
    awaits_body: AtomicBool,
}

impl Scope {
    /// The surroundings of the next request on this connection.
    #[must_use]
    pub fn new(connection: Arc<Connection>, gateway: Arc<Gateway>) -> Arc<Self> {
        Arc::new(Self {
            connection,
            gateway,
            admitted: OnceLock::new(),
            begun: Mutex::new(None),
            cut: OnceLock::new(),
            progress: AtomicI64::new(0),
            awaits_body: AtomicBool::new(false),
        })
    }

    /// The surroundings of the request that this task handles.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Runs the handling of a request; `None` when it was cut off or panicked.
    pub async fn run<F: Future>(self: Arc<Self>, handling: F) -> Option<F::Output> {
        let inner = Arc::clone(&self);
        let guarded = async move {
            let mut pulse = inner.gateway.heart.feel();
            tokio::select! {
                biased;
                // A panic must cost one request, not the connections beside it.
                done = AssertUnwindSafe(handling).catch_unwind() => done.ok(),
                () = inner.cut_off(&mut pulse) => None,
            }
        };
        CURRENT.scope(self, guarded).await
    }

    /// The gateway that handles the request.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// From now on the request is judged again at every pulse.
    pub fn admitted(&self, request: Arc<Request>) {
        // A request is admitted once; a retry to another upstream address is the same admission.
        let _ = self.admitted.set(request);
    }

    /// The framework goes on with a request that is judged.
    pub(super) fn begin(&self, exchange: Exchange) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchange);
    }

    /// What the framework goes on with, once.
    pub(super) fn take_begun(&self) -> Option<Exchange> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Why the request was cut off, if it was.
    #[must_use]
    pub fn cut_reason(&self) -> Option<Reason> {
        self.cut.get().copied()
    }

    /// Bytes of the request's body arrived.
    pub fn body_arrived(&self, now: i64, complete: bool) {
        self.progress.store(now, Ordering::Relaxed);
        if complete {
            self.awaits_body.store(false, Ordering::Relaxed);
        }
    }

    /// The request has a body that must keep coming.
    pub fn expect_body(&self, now: i64) {
        self.progress.store(now, Ordering::Relaxed);
        self.awaits_body.store(true, Ordering::Relaxed);
    }

    async fn cut_off(&self, pulse: &mut watch::Receiver<Pulse>) {
        while pulse.changed().await.is_ok() {
            let revoked = pulse.borrow_and_update().revoked;
            let Some(request) = self.admitted.get() else { continue };
            let reason = self.gateway.no_longer_allowed(request, &self.connection).or_else(|| self.stalled());
            if let Some(reason) = reason {
                if let Some(at) = revoked {
                    self.gateway.metrics().revocation_enforced(at.elapsed());
                }
                let _ = self.cut.set(reason);
                return;
            }
        }
        // The gateway is gone; the request ends by itself.
        std::future::pending::<()>().await;
    }

    fn stalled(&self) -> Option<Reason> {
        let limit = self.gateway.snapshot().config.limits.stall_timeout;
        let stalled = self.awaits_body.load(Ordering::Relaxed)
            && crate::policy::older_than(self.progress.load(Ordering::Relaxed), self.gateway.now(), limit);
        stalled.then_some(Reason::RequestTimeout)
    }
}
