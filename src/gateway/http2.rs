//! HTTP/2 connections: the framework's codec, our bounds, and one task a stream.

use super::connection::Wire;
use super::http1::stopped;
use super::scope::Scope;
use super::{Gateway, relay};
use pingora::apps::HttpServerApp;
use pingora::protocols::Digest;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, HttpSession, default_h2_options, handshake};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Malformed streams after which the connection ends.
const MAX_MALFORMED: usize = 32;
/// Flow-control window of a stream, bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Flow-control window of the connection, bytes.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Serves streams until the connection ends.
pub async fn serve(wire: Wire, gateway: &Arc<Gateway>, shutdown: watch::Receiver<bool>) {
    let connection = Arc::clone(wire.connection());
    let limits = gateway.snapshot().config.limits;
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let Ok(Ok(mut h2)) =
        tokio::time::timeout(limits.header_timeout, handshake(Box::new(wire), Some(options))).await
    else {
        return;
    };
    let digest = Arc::new(Digest::default());
    let streams = TaskTracker::new();
    let (mut malformed, mut stopping) = (0, false);
    // Both are waited for once for each connection, and not anew for each stream.
    let mut stop = pin!(stopped(shutdown.clone()));
    let mut silence = pin!(tokio::time::sleep(limits.idle_timeout));
    loop {
        let accepted = tokio::select! {
            biased;
            // First, or a client that always has one more stream would not hear of it.
            () = &mut stop, if !stopping => {
                // GOAWAY: open streams finish, and the client opens new ones elsewhere.
                h2.graceful_shutdown();
                stopping = true;
                continue;
            }
            accepted = HttpSession::from_h2_conn(&mut h2, Arc::clone(&digest)) => accepted,
            () = &mut silence => {
                if streams.is_empty() {
                    return;
                }
                silence.as_mut().reset(Instant::now() + limits.idle_timeout);
                continue;
            }
        };
        silence.as_mut().reset(Instant::now() + limits.idle_timeout);
        match accepted {
            Ok(Some(H2Accept::Session(stream))) => {
                let mut session = ServerSession::new_http2(stream);
                session.set_write_timeout(Some(limits.stall_timeout));
                session.set_total_drain_timeout(Some(limits.header_timeout));
                let scope = Scope::new(Arc::clone(&connection), Arc::clone(gateway));
                let (proxy, shutdown) = (Arc::clone(gateway.proxy()), shutdown.clone());
                let plain = session.is_body_empty() && relay::is_plain(session.req_header());
                streams.spawn(async move {
                    let way = Arc::clone(&scope);
                    let handling = Box::pin(async move {
                        // A stream is used once: there is nothing to come back for.
                        if plain {
                            let _none = relay::serve(session, &way, &shutdown).await;
                        } else {
                            let _none = proxy.process_new_http(session, &shutdown).await;
                        }
                    });
                    scope.run(handling).await;
                });
            }
            Ok(Some(H2Accept::Rejected)) => {
                malformed += 1;
                gateway.malformed_stream(&connection);
                if malformed >= MAX_MALFORMED {
                    return;
                }
            }
            Ok(None) | Err(_) => return,
        }
    }
}
