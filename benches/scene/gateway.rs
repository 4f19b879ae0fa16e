//! A whole gateway on loopback, with somebody signed in and a small upstream behind it.

use crate::support::raw::Talk;
use crate::support::{Device, Estate, Tls, visitor::Visitor};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use tokio::net::TcpStream as AsyncStream;
use tokio_rustls::client::TlsStream;

/// Whom every resource of the estate lets in.
const USER: &str = "finance@corp.example";
/// Bytes of the upstream's answer.
const BODY: usize = 1024;

/// An open connection on which the same request is made again and again.
pub struct Visit {
    pub name: &'static str,
    talk: Talk<TlsStream<AsyncStream>>,
    request: Vec<u8>,
}

impl Visit {
    /// One request and its answer.
    pub async fn once(&mut self) {
        self.talk.write(&self.request).await.unwrap();
        let answer = self.talk.answer("GET").await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, BODY), "{answer:?}");
    }
}

/// The estate, served by this program, and one connection without a device and one that shows a certificate: to
/// a resource of tier `open`, and to one of tier `high`.
pub async fn visits(program: &Path) -> (Estate, [Visit; 2]) {
    let estate = Estate::serve_with(program);
    let upstream = upstream().to_string();
    estate.edit("tiergate.yaml", |config| config["upstreams"]["demo"]["addresses"] = json!([upstream]));
    estate.reload();
    let visits = [
        visit(&estate, "no device", "wiki", Device::None).await,
        visit(&estate, "a device certificate", "payroll", Device::Issued).await,
    ];
    (estate, visits)
}

async fn visit(estate: &Estate, name: &'static str, host: &str, device: Device) -> Visit {
    let mut browser = Visitor::signed_in(estate, device, USER).await;
    browser.open(host, "/").await;
    let host = format!("{host}.localhost");
    let cookie = browser.cookie_header(&host);
    let request = format!(
        "GET /browse/42?tab=comments HTTP/1.1\r\nHost: {host}:{}\r\nAccept: */*\r\nUser-Agent: bench\r\nCookie: {cookie}\r\n\r\n",
        estate.port
    );
    let talk = Talk::new(estate.connect(&host, device, Tls::H1).await);
    Visit { name, talk, request: request.into_bytes() }
}

/// Answers every request with the same bytes and keeps nothing of it, unlike the one of the tests. It ends with the
/// process.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {BODY}\r\n\r\n");
    let answer = [head.as_bytes(), &[b'x'; BODY]].concat();
    let (mut buffer, mut filled) = ([0; 16 * 1024], 0);
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        // One request at a time comes on a connection, and none has a body.
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            stream.write_all(&answer)?;
            filled = 0;
        }
    }
}
