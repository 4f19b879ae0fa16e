//! HTTP/1 connections: each head passes the door of [`super::wire`] before the framework reads it.

use super::connection::Wire;
use super::scope::Scope;
use super::wire::{Framing, Head, read_head};
use super::{Gateway, refusal, relay};
use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::watch;

/// Serves requests until the connection ends.
pub async fn serve(wire: Wire, gateway: &Arc<Gateway>, shutdown: watch::Receiver<bool>) {
    let mut stop = pin!(stopped(shutdown.clone()));
    let connection = Arc::clone(wire.connection());
    let mut wire = Box::new(wire);
    loop {
        let limits = gateway.snapshot().config.limits;
        let head = tokio::select! {
            biased;
            head = read_head(&mut wire, &limits, limits.idle_timeout) => head,
            // Nothing of a request was read while the head is pending at its first byte; one that
            // has begun is cut, and the client may safely send it again elsewhere.
            () = &mut stop => return,
        };
        let (bytes, length, framing, plain) = match head {
            Ok(Head::Complete { bytes, length, framing, plain }) => (bytes, length, framing, plain),
            Ok(Head::Refused { reason, seen }) => {
                refusal::answer(wire, gateway, &connection, reason, &seen).await;
                return;
            }
            Ok(Head::Closed) | Err(_) => return,
        };
        let already = bytes.get(length..).unwrap_or_default();
        if framing == Framing::Chunked && wire.watch_chunks(already).is_err() {
            refusal::answer(wire, gateway, &connection, crate::access::Reason::AmbiguousRequest, &bytes)
                .await;
            return;
        }
        let mut session = ServerSession::new_http1(wire);
        session.set_pipelined_prefix(bytes);
        let stopping = *shutdown.borrow();
        session.set_keepalive((!stopping).then(|| limits.idle_timeout.as_secs().max(1)));
        session.set_read_timeout(Some(limits.stall_timeout));
        session.set_write_timeout(Some(limits.stall_timeout));
        session.set_total_drain_timeout(Some(limits.header_timeout));
        let scope = Scope::new(Arc::clone(&connection), Arc::clone(gateway));
        let way = Arc::clone(&scope);
        // On the heap, so that an idle connection has no room for it, and nothing that surrounds it moves it.
        let handling = Box::pin(async {
            if plain {
                return relay::serve(session, &way, &shutdown).await;
            }
            let reused = gateway.proxy().process_new_http(session, &shutdown).await;
            reused.map(ReusedHttpStream::consume).map(|(stream, _settings)| stream)
        });
        let Some(stream) = scope.run(handling).await.flatten() else { return };
        match stream.into_any().downcast::<Wire>() {
            Ok(stream) => wire = stream,
            Err(_) => return,
        }
        wire.stop_watching();
        if connection.broken_framing.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
    }
}

/// Returns when the process is to end. Waited for once for each connection and not for each request.
pub(super) async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // Where nobody is left to say so, the process ends too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
