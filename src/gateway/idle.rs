//! Connections to upstreams that wait for the next request, for [`super::relay`].
//!
//! Invariants: bounded for each way and in age; one that was closed or speaks unasked is not used again.
//! Nothing watches an idle connection: it is looked at when it is taken, and every few seconds.

use super::upstream::Way;
use futures::FutureExt;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::protocols::Stream;
use pingora::server::configuration::ServerConf;
use pingora::{BError, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

/// Idle connections kept for each way.
const MOST: usize = 512;
/// How long an idle connection is kept.
pub(super) const KEEP: Duration = Duration::from_secs(55);

/// The idle connections of one way, the one used last on top.
#[derive(Default)]
pub(super) struct Stack(Mutex<Vec<(Stream, Instant)>>);

/// Every idle connection, and the maker of new ones.
pub(super) struct Idle {
    connector: TransportConnector,
    stacks: papaya::HashMap<u64, Arc<Stack>>,
}

impl Idle {
    /// None yet.
    pub(super) fn new(conf: &ServerConf) -> Self {
        let connector = TransportConnector::new(Some(ConnectorOptions::from_server_conf(conf)));
        Self { connector, stacks: papaya::HashMap::new() }
    }

    /// A new connection.
    ///
    /// # Errors
    /// The upstream cannot be reached, or is not who it should be.
    pub(super) async fn connect(&self, way: &Way) -> Result<Stream, BError> {
        self.connector.new_stream(&way.peer).await
    }

    /// An idle connection that is still good.
    pub(super) fn take(&self, way: &Way) -> Option<Stream> {
        let stack = self.stack(way);
        loop {
            let (mut stream, since) = lock(&stack.0).pop()?;
            if since.elapsed() < KEEP && is_quiet(&mut stream) {
                return Some(stream);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, way: &Way, stream: Stream) {
        let mut idle = lock(&self.stack(way).0);
        if idle.len() < MOST {
            idle.push((stream, Instant::now()));
        }
    }

    /// Lets go of what is too old, closed, or of a way that nothing leads to any more.
    pub(super) fn tidy(&self) {
        let stacks = self.stacks.pin();
        for (key, stack) in &stacks {
            let mut idle = lock(&stack.0);
            idle.retain_mut(|(stream, since)| since.elapsed() < KEEP && is_quiet(stream));
            // One reference is this map's. Who takes a way now makes a new stack.
            if idle.is_empty() && Arc::strong_count(stack) == 1 {
                stacks.remove(key);
            }
        }
    }

    fn stack<'w>(&self, way: &'w Way) -> &'w Arc<Stack> {
        way.stack.get_or_init(|| Arc::clone(self.stacks.pin().get_or_insert_with(way.key, Arc::default)))
    }
}

/// Whether nothing has come on an idle connection, not even its end.
fn is_quiet(stream: &mut Stream) -> bool {
    stream.read(&mut [0]).now_or_never().is_none()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
