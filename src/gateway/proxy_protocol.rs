//! PROXY protocol (version 1 and 2) from listed balancers, and from nobody else.

use ppp::{HeaderResult, PartialResult, v1, v2};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The longest header that is read, bytes: version 2 with its extensions; version 1 has 107.
const MAX_HEADER: usize = 1024;

/// Reads the header that a balancer sends first and returns the client that it names. The peer
/// itself is the client of a `LOCAL` connection, such as a health check of the balancer's own.
///
/// # Errors
/// There is no header, it cannot be parsed, or it names no address.
pub async fn read_client(stream: &mut TcpStream, peer: SocketAddr) -> io::Result<SocketAddr> {
    let mut buffer = [0_u8; MAX_HEADER];
    loop {
        // Peek, so that not a byte of the handshake behind the header is taken.
        let seen = stream.peek(&mut buffer).await?;
        let bytes = buffer.get(..seen).unwrap_or_default();
        let parsed = HeaderResult::parse(bytes);
        if parsed.is_incomplete() && seen > 0 && seen < MAX_HEADER {
            let got_more = wait_for_more(stream, seen).await?;
            if got_more {
                continue;
            }
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (length, client) = match parsed {
            HeaderResult::V1(Ok(header)) => (header.header.len(), v1_client(&header, peer)),
            HeaderResult::V2(Ok(header)) => (header.len(), v2_client(&header, peer)),
            HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => (0, None),
        };
        let client =
            client.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no PROXY protocol header"))?;
        stream.read_exact(buffer.get_mut(..length).unwrap_or_default()).await?;
        return Ok(client);
    }
}

/// Peeking returns at once while the same bytes lie there, so wait a moment for more to come. The
/// caller's deadline for the whole handshake bounds it.
async fn wait_for_more(stream: &TcpStream, seen: usize) -> io::Result<bool> {
    let mut buffer = [0_u8; MAX_HEADER];
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let now = stream.peek(&mut buffer).await?;
        if now > seen {
            return Ok(true);
        }
        if now == 0 {
            return Ok(false);
        }
    }
}

fn v1_client(header: &v1::Header<'_>, _peer: SocketAddr) -> Option<SocketAddr> {
    match &header.addresses {
        v1::Addresses::Tcp4(ip) => Some(SocketAddr::new(IpAddr::V4(ip.source_address), ip.source_port)),
        v1::Addresses::Tcp6(ip) => Some(SocketAddr::new(IpAddr::V6(ip.source_address), ip.source_port)),
        v1::Addresses::Unknown => None,
    }
}

fn v2_client(header: &v2::Header<'_>, peer: SocketAddr) -> Option<SocketAddr> {
    match (header.command, &header.addresses) {
        (v2::Command::Local, _) => Some(peer),
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => {
            Some(SocketAddr::new(IpAddr::V4(ip.source_address), ip.source_port))
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => {
            Some(SocketAddr::new(IpAddr::V6(ip.source_address), ip.source_port))
        }
        (v2::Command::Proxy, v2::Addresses::Unix(_) | v2::Addresses::Unspecified) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    async fn check(parts: &[&[u8]]) -> (Option<SocketAddr>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, peer) = listener.accept().await.unwrap();
        let reader = tokio::spawn(async move {
            let client = read_client(&mut server, peer).await.ok();
            let mut rest = Vec::new();
            let _ = server.read_to_end(&mut rest).await;
            (client, rest)
        });
        for part in parts {
            client.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.shutdown().await.unwrap();
        reader.await.unwrap()
    }

    #[tokio::test]
    async fn both_versions_name_the_client_and_leave_what_follows() {
        let v1 = b"PROXY TCP4 198.51.100.7 10.0.0.1 40000 443\r\n";
        let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\x0a\0\0\x01\x9c\x40\x01\xbb";
        let want: SocketAddr = "198.51.100.7:40000".parse().unwrap();
        for header in [&v1[..], &v2[..]] {
            assert_eq!(check(&[header, b"hello"]).await, (Some(want), b"hello".to_vec()));
            let (first, second) = header.split_at(9);
            assert_eq!(check(&[first, second, b"hello"]).await, (Some(want), b"hello".to_vec()));
        }
    }

    #[tokio::test]
    async fn anything_else_names_nobody() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00"[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"PROXY UNKNOWN\r\n",
            b"PROXY TCP4 x y 1 2\r\n",
            b"",
        ] {
            assert_eq!(check(&[bytes]).await.0, None, "{}", bytes.escape_ascii());
        }
    }
}
