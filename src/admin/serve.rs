//! Serves the admin listener: HTTP/1.1, over TLS and in the clear, bounded in connections, header
//! bytes and time.

use crate::gateway::tls::Served;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Connections at once; more wait in the listen queue.
const CONNECTIONS: usize = 64;

/// From the first byte of a request to the end of its headers, and between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest life of a connection, so that nobody keeps a place by answering slowly.
const CONNECTION_LIFE: Duration = Duration::from_mins(5);

/// Header fields, and bytes of them.
const HEADERS: usize = 64;
const HEADER_BYTES: usize = 16 * 1024;

/// From accept to the end of the handshake, or to the first byte where there is none.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The first byte of a TLS handshake (RFC 8446 §5.1), which no method of HTTP begins with.
const HANDSHAKE: u8 = 0x16;

/// Wait for calls under way at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// After an accept that failed, as it does without free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The certificate that a connection was shown.
#[derive(Clone, Debug)]
pub(super) struct Shown(pub(super) Arc<Served>);

/// Where handshakes take their settings from; asked for each, so that a reload counts at once.
pub trait Tls: Send + Sync {
    /// The settings for the next handshake.
    fn settings(&self) -> Arc<ServerConfig>;

    /// The certificate that those settings show a client that asks for this name.
    fn certificate(&self, sni: Option<&str>) -> Option<Arc<Served>>;
}

/// What a listener serves.
#[derive(Clone)]
pub struct Service {
    /// In the clear.
    pub plain: Router,
    /// Over TLS, on the same port.
    pub secure: Option<(Arc<dyn Tls>, Router)>,
}

impl Service {
    /// What is served in the clear only.
    #[must_use]
    pub const fn plain(router: Router) -> Self {
        Self { plain: router, secure: None }
    }
}

/// Serves until the token is cancelled, then ends what is under way.
pub async fn serve(listener: TcpListener, service: Service, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut tasks = JoinSet::new();
    loop {
        // The ones that are over.
        while tasks.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = async {
                // The semaphore is never closed.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, listener.accept().await)
            } => accepted,
        };
        match accepted {
            (Some(place), Ok((stream, peer))) => {
                let (service, shutdown) = (service.clone(), shutdown.clone());
                tasks.spawn(async move {
                    let connection = connection(stream, Peer(peer), service, &shutdown);
                    // One that takes longer has ended by that.
                    let _ = tokio::time::timeout(CONNECTION_LIFE, connection).await;
                    drop(place);
                });
            }
            (_, Err(error)) => {
                tracing::warn!(%error, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            (None, Ok(_)) => break,
        }
    }
    drop(listener);
    // What is left after that ends with the set.
    let _ = tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await;
}

async fn connection(stream: TcpStream, peer: Peer, service: Service, shutdown: &CancellationToken) {
    let Service { plain, secure } = service;
    let Some((tls, router)) = secure else { return calls(stream, peer, None, plain, shutdown).await };
    let greeting = tokio::time::timeout(HANDSHAKE_TIMEOUT, greet(stream, &*tls));
    let greeted = tokio::select! {
        greeted = greeting => greeted,
        () = shutdown.cancelled() => return,
    };
    match greeted {
        Ok(Ok(Greeted::Plain(stream))) => calls(stream, peer, None, plain, shutdown).await,
        Ok(Ok(Greeted::Secure(stream, shown))) => calls(*stream, peer, Some(shown), router, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%error, "an admin connection was not set up"),
        Err(_) => tracing::debug!("an admin connection took too long to begin"),
    }
}

enum Greeted {
    Plain(TcpStream),
    Secure(Box<tokio_rustls::server::TlsStream<TcpStream>>, Shown),
}

/// Looks at the first byte, and shakes hands where a handshake begins with it.
async fn greet(stream: TcpStream, tls: &dyn Tls) -> io::Result<Greeted> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE] {
        return Ok(Greeted::Plain(stream));
    }
    let stream = TlsAcceptor::from(tls.settings()).accept(stream).await?;
    let shown = tls.certificate(stream.get_ref().1.server_name());
    let shown = shown.ok_or_else(|| io::Error::other("no certificate was shown"))?;
    Ok(Greeted::Secure(Box::new(stream), Shown(shown)))
}

async fn calls<S>(stream: S, peer: Peer, shown: Option<Shown>, router: Router, shutdown: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer);
        if let Some(shown) = &shown {
            request.extensions_mut().insert(shown.clone());
        }
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an admin connection broke off");
    }
}
