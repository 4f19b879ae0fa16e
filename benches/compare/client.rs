//! A client that shows a device certificate, for the load and for the checks before it.
//!
//! Every client offers one suite and one group, so that all proxies do the same cryptography.

use crate::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The host of the application behind every proxy.
pub const HOST: &str = "app.test";
/// An answer that takes longer is an error.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub type Request = hyper::Request<Empty<Bytes>>;

/// One client; what it remembers of TLS sessions is its own.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    port: u16,
    http2: bool,
}

impl Client {
    /// A client with the certificate of this name in the folder, or none.
    pub fn new(pki: &Path, port: u16, device: Option<&str>, http2: bool) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pki.join("server-ca.pem"))?)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        let mut config = match device {
            None => builder.with_no_client_auth(),
            Some(name) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_file(pki.join(format!("{name}.pem")))?],
                PrivateKeyDer::from_pem_file(pki.join(format!("{name}.key")))?,
            )?,
        };
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        config.resumption = Resumption::disabled();
        Ok(Self { tls: Arc::new(config).into(), port, http2 })
    }

    /// The same, and it resumes the TLS sessions that it had.
    pub fn resuming(&self) -> Self {
        let mut config = ClientConfig::clone(self.tls.config());
        config.resumption = Resumption::in_memory_sessions(8);
        Self { tls: Arc::new(config).into(), ..self.clone() }
    }

    /// A new connection, and whether it resumed a session.
    pub async fn connect(&self) -> Result<(Connection, bool)> {
        tokio::time::timeout(PATIENCE, self.connected()).await?
    }

    async fn connected(&self) -> Result<(Connection, bool)> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        tcp.set_nodelay(true)?;
        let tls = self.tls.connect(ServerName::try_from(HOST)?, tcp).await?;
        let resumed = tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let connection = if self.http2 {
            let (sender, connection) =
                http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(tls)).await?;
            tokio::spawn(connection);
            Connection::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
            tokio::spawn(connection);
            Connection::Http1(sender)
        };
        Ok((connection, resumed))
    }

    /// A request for a path of the application.
    pub fn request(&self, path: &str, headers: &[(&str, &str)]) -> Result<Request> {
        let request = if self.http2 {
            hyper::Request::builder().uri(format!("https://{HOST}{path}"))
        } else {
            hyper::Request::builder().uri(path).header("host", HOST)
        };
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Ok(request.body(Empty::new())?)
    }
}

/// A connection to a proxy.
pub enum Connection {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    /// Another stream of an HTTP/2 connection.
    pub fn stream(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    /// The status of the answer and the bytes of its body, which are looked at one after the other.
    pub async fn ask(&mut self, request: Request, mut each: impl FnMut(&Bytes)) -> Result<u16> {
        let exchange = async {
            let mut answer = match self {
                Self::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await?
                }
                Self::Http2(sender) => sender.send_request(request).await?,
            };
            read(answer.body_mut(), &mut each).await?;
            Ok(answer.status().as_u16())
        };
        tokio::time::timeout(PATIENCE, exchange).await?
    }
}

async fn read(body: &mut Incoming, each: &mut impl FnMut(&Bytes)) -> Result<()> {
    while let Some(frame) = body.frame().await {
        if let Some(bytes) = frame?.data_ref() {
            each(bytes);
        }
    }
    Ok(())
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}
