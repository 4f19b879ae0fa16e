//! One client connection: where it comes from, what its handshake proved, and the bytes on it.

use super::chunks::Chunks;
use super::memory::Memory;
use super::tls::Served;
use crate::device::Evidence;
use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What is written at once, bytes: a whole TLS record (RFC 8446 §5.1). What is shorter waits for more
/// until the framework flushes, so that a head and its body make one record and one system call.
const RECORD: usize = 16 * 1024;

/// What is known of a connection for as long as it lives.
pub struct Connection {
    /// The client, after PROXY protocol from a listed balancer.
    pub client: SocketAddr,
    /// The name that the client asked for in the handshake, lower case.
    pub sni: Option<String>,
    /// The certificate that it was shown.
    pub served: Arc<Served>,
    /// The client certificate, where one was presented.
    pub evidence: Option<Evidence>,
    /// HTTP/2 was agreed on.
    pub http2: bool,
    /// A chunked body broke its framing: nothing more is read from this connection.
    pub broken_framing: AtomicBool,
    /// What its requests so far came to.
    pub memory: Memory,
}

/// The bytes of a connection, as the framework reads and writes them.
pub struct Wire {
    tls: TlsStream<TcpStream>,
    connection: Arc<Connection>,
    chunks: Option<Chunks>,
    /// Written by the framework and not yet by us. Empty, and without memory, on an idle connection.
    waiting: BytesMut,
    /// A flush was put off, once, for streams that have something to add.
    put_off: bool,
}

impl Wire {
    /// The stream behind a finished handshake.
    #[must_use]
    pub fn new(tls: TlsStream<TcpStream>, connection: Arc<Connection>) -> Self {
        Self { tls, connection, chunks: None, waiting: BytesMut::new(), put_off: false }
    }

    /// What is known of the connection.
    #[must_use]
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Watches the framing of the chunked body that follows, of which `already` was read.
    ///
    /// # Errors
    /// What was read already breaks the framing.
    pub fn watch_chunks(&mut self, already: &[u8]) -> io::Result<()> {
        let mut chunks = Chunks::default();
        chunks.watch(already).map_err(|broken| self.broken(broken))?;
        self.chunks = Some(chunks).filter(|chunks| !chunks.is_done());
        Ok(())
    }

    /// The body of the request is over.
    pub fn stop_watching(&mut self) {
        self.chunks = None;
    }

    /// Hands what waits to the encryption.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.tls).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
        }
        self.waiting = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn broken(&self, broken: super::chunks::BrokenFraming) -> io::Error {
        self.connection.broken_framing.store(true, Ordering::Relaxed);
        io::Error::new(io::ErrorKind::InvalidData, broken)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.waiting.is_empty() && !self.connection.http2 {
            // Nothing more is there to be sent with it, or nobody would look whether the client still is.
            if let Poll::Ready(Err(error)) = self.as_mut().poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tls).poll_read(cx, buf))?;
        if let Some(chunks) = &mut self.chunks {
            let fresh = buf.filled().get(before..).unwrap_or_default();
            match chunks.watch(fresh) {
                Ok(()) if chunks.is_done() => self.chunks = None,
                Ok(()) => {}
                Err(broken) => {
                    // What broke the rule must not be read as data by anybody.
                    buf.set_filled(before);
                    return Poll::Ready(Err(self.broken(broken)));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// For whoever waits for bytes between two requests without memory to put them in. What is looked at here
/// is read as usual afterwards.
impl AsyncBufRead for Wire {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().tls).poll_fill_buf(cx)
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        Pin::new(&mut self.tls).consume(amount);
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let room = RECORD.saturating_sub(self.waiting.len());
        if self.waiting.is_empty() && buf.len() >= RECORD {
            return Pin::new(&mut self.tls).poll_write(cx, buf);
        }
        if room == 0 {
            ready!(self.poll_drain(cx))?;
            return self.poll_write(cx, buf);
        }
        let taken = buf.get(..room).unwrap_or(buf);
        self.waiting.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.http2 && !self.put_off && !self.waiting.is_empty() {
            // One answer is there, and those of other streams may be made by tasks that are ready to run: each
            // would cost a record and a system call of its own. Where there are none, this is back at once.
            self.put_off = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.put_off = false;
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        // The peer may be gone already; there is nobody left to tell.
        let _ = AsyncWriteExt::shutdown(&mut *self).await;
    }
}

impl UniqueID for Wire {
    fn id(&self) -> UniqueIDType {
        use std::os::fd::AsRawFd;
        self.tls.get_ref().0.as_raw_fd()
    }
}

impl Ssl for Wire {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        None
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(if self.connection.http2 { ALPN::H2 } else { ALPN::H1 })
    }
}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Wire {}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("client", &self.connection.client).finish_non_exhaustive()
    }
}
