//! The upstream behind every proxy: 1 KiB on `/`, 10 MiB on `/large`, and on `/seen` what reached it.

use crate::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

/// The body of an answer, as large as it is said to be.
pub fn body(path: &str) -> Bytes {
    let bytes = if path == "/large" { 10 << 20 } else { 1 << 10 };
    Bytes::from(vec![b'x'; bytes])
}

/// Serves until its input ends, which it does at the latest with whoever started this. The first line that it
/// prints is its port.
pub fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        tokio::select! {
            failed = serve(listener) => failed,
            () = input_ended() => Ok(()),
        }
    })
}

async fn input_ended() {
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}

async fn serve(listener: TcpListener) -> Result<()> {
    let (small, large) = (body("/"), body("/large"));
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let (small, large) = (small.clone(), large.clone());
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let body = match request.uri().path() {
                "/large" => large.clone(),
                "/seen" => seen(&request),
                _ => small.clone(),
            };
            async { Ok::<_, Infallible>(answer(body)) }
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

/// The headers that say who asks, one a line.
fn seen(request: &Request<Incoming>) -> Bytes {
    let of = |name: &str| {
        let values = request.headers().get_all(name).iter();
        let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        format!("{name}: {}\n", values.join(", "))
    };
    Bytes::from(of("x-user") + &of("x-device-dn"))
}

fn answer(body: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}
