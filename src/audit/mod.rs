//! The audit log: JSON lines, one event a decision, sign-in, session, reload and administration.
//!
//! Invariants:
//! - [`Audit::record`] never waits and never fails: the queue is bounded, and what does not fit is counted
//!   and reported in the log itself by a `gap` event as soon as it can be written again.
//! - [`Audit::available`] is false from the moment an event could not be queued or written until one was
//!   written again; the decision asks it, so that a resource that demands the log is denied meanwhile.
//! - The query of a request is never written: it may hold secrets. Every string is bounded.
//!
//! Durability: events gather for 5 ms at most, which is what a crash of tiergate loses; then a batch is handed
//! to the operating system with one write, which survives it. It is synced to the disk at most a second later
//! and at [`Audit::flush`], which bounds what a crash of the machine loses.

mod event;
mod file;
mod writer;

pub use event::{Event, Kind, Rehearsed};

use crate::access::Timestamp;
use crate::telemetry::Metrics;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::time::Instant;
use writer::{Message, Settings, Writer};

/// Events that wait to be written; more are lost and counted.
const QUEUE: usize = 8192;

/// How long [`Audit::flush`] waits.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a full queue is tried again by [`Audit::flush`].
const FLUSH_PAUSE: Duration = Duration::from_millis(10);

/// The audit log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The folder cannot be made.
    #[error("the audit folder `{path}` cannot be used")]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of today cannot be opened for appending.
    #[error("the audit file `{path}` cannot be opened")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The writer's thread cannot be started.
    #[error("the audit writer cannot be started")]
    Thread(#[source] std::io::Error),
}

/// What the recorder and the writer share.
struct Shared {
    /// The last write succeeded, and no event was lost since.
    available: AtomicBool,
    /// Events lost that no `gap` event has told of yet.
    lost: AtomicU64,
    /// The recorder is gone: write what can be written and end.
    closing: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Shared {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::AcqRel);
        self.metrics.audit_failures.inc();
        self.set_available(false);
    }

    fn set_available(&self, available: bool) {
        if self.available.swap(available, Ordering::AcqRel) != available {
            self.metrics.audit_available.set(i64::from(available));
        }
    }
}

/// The audit log, open. Shared; its writer ends when the last one is dropped.
pub struct Audit {
    sender: SyncSender<Message>,
    shared: Arc<Shared>,
}

impl Audit {
    /// Opens the log in a folder, which is made with mode 0700 where it does not exist.
    ///
    /// # Errors
    /// The folder or the file of today cannot be opened for writing.
    pub fn open(folder: &Path, metrics: Arc<Metrics>) -> Result<Arc<Self>, AuditError> {
        Self::open_with(folder, metrics, Settings { queue: QUEUE, ..Settings::DEFAULT })
    }

    fn open_with(folder: &Path, metrics: Arc<Metrics>, settings: Settings) -> Result<Arc<Self>, AuditError> {
        let shared = Arc::new(Shared {
            available: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            metrics,
        });
        let (sender, receiver) = sync_channel(settings.queue);
        let writer = Writer::open(folder, receiver, Arc::clone(&shared), settings)?;
        shared.set_available(true);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run())
            .map_err(AuditError::Thread)?;
        Ok(Arc::new(Self { sender, shared }))
    }

    /// Whether the log takes events now. An atomic read.
    #[must_use]
    pub fn available(&self) -> bool {
        self.shared.available.load(Ordering::Acquire)
    }

    /// Queues an event. Encoding and writing happen on the writer's thread.
    pub fn record(&self, mut event: Event) {
        // Before the queue, so that the queue is bounded in bytes too.
        event.bound();
        self.shared.metrics.audit_queue.inc();
        match self.sender.try_send(Message::Event(event)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.metrics.audit_queue.dec();
                self.shared.lose();
            }
        }
    }

    /// Waits until everything recorded before is on the disk, at most five seconds. False where it is not.
    pub async fn flush(&self) -> bool {
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        let (reply, done) = oneshot::channel();
        let mut message = Message::Flush(reply);
        loop {
            match self.sender.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => message = back,
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(FLUSH_PAUSE).await;
        }
        matches!(tokio::time::timeout_at(deadline, done).await, Ok(Ok(true)))
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
    }
}

/// The wall clock, for the events that tell of the log itself and for the callers at the edge.
#[must_use]
pub fn now() -> OffsetDateTime {
    #[expect(clippy::disallowed_methods, reason = "the audit log stands at the edge, where clocks are read")]
    OffsetDateTime::now_utc()
}

/// The same in whole seconds since the Unix epoch, for those who decide and do not write.
#[must_use]
pub fn unix_now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the same edge; a clock before 1970 is one that is not set"
    )]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
