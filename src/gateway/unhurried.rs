//! Connections to upstreams for WebSockets: the first read after a write waits for one more turn.
//!
//! The framework queues the end of a handshake's empty body and then waits for that queue and for the
//! answer at once, in random order. Where the answer is there already and is seen first, the connection
//! is a tunnel by the time the queued end is taken, which then reads as the tunnel's end. A read that is
//! pending once lets the queue go first.

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::{Error, ErrorType, Result};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Makes such connections.
#[derive(Debug)]
pub(super) struct Connector {
    /// How long one may take.
    pub timeout: Duration,
}

#[async_trait]
impl L4Connect for Connector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Error::e_explain(ErrorType::ConnectError, "not an internet address");
        };
        let connecting = tokio::time::timeout(self.timeout, TcpStream::connect(address)).await;
        let stream = connecting.map_err(|_| Error::new_up(ErrorType::ConnectTimedout))?;
        let stream = stream.map_err(|error| {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            let kind = if refused { ErrorType::ConnectRefused } else { ErrorType::ConnectError };
            Error::because(kind, "connecting for a WebSocket", error)
        })?;
        Ok(VirtualSocketStream::new(Box::new(Unhurried { stream, wrote: false })).into())
    }
}

/// A connection whose first read after a write is pending once.
#[derive(Debug)]
struct Unhurried<S> {
    stream: S,
    wrote: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Unhurried<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.wrote) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unhurried<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wrote = true;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl VirtualSocket for Unhurried<TcpStream> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.set_nodelay(true),
            // None other is asked for: upstream connections have no keep-alive probes of their own.
            VirtualSockOpt::KeepAlive(_) | _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn what_was_queued_before_goes_before_an_answer_that_is_there_already() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Unhurried { stream: near, wrote: false };
        far.write_all(b"101").await.unwrap();
        let mut answer = [0; 3];
        for _ in 0..64 {
            near.write_all(b"GET").await.unwrap();
            let (queue, mut queued) = tokio::sync::mpsc::channel(1);
            queue.send("the end").await.unwrap();
            let first = tokio::select! {
                _ = near.read_exact(&mut answer) => "the answer",
                queued = queued.recv() => queued.unwrap(),
            };
            assert_eq!(first, "the end");
            far.read_exact(&mut [0; 3]).await.unwrap();
        }
        near.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"101", "and nothing of it is lost");
    }
}
