//! TLS clients, one for each kind of device.

use super::{DEADLINE, Estate};
use rustls::client::{ClientSessionMemoryCache, ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Which certificate a client shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Device {
    None,
    Enrolled,
    Issued,
    Revoked,
    Expired,
    Service,
}

impl Device {
    /// The certificates that are a person's device, or none.
    pub const PEOPLES: [Self; 5] = [Self::None, Self::Enrolled, Self::Issued, Self::Revoked, Self::Expired];

    /// The name of its files in `certs/`.
    pub fn file(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Enrolled => Some("enrolled"),
            Self::Issued => Some("issued"),
            Self::Revoked => Some("revoked"),
            Self::Expired => Some("expired"),
            Self::Service => Some("service"),
        }
    }
}

/// How a client speaks TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tls {
    pub version: Version,
    pub http2: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    V12,
    V13,
}

impl Tls {
    pub const H1: Self = Self { version: Version::V13, http2: false };
    pub const H2: Self = Self { version: Version::V13, http2: true };
    pub const H1_OVER_12: Self = Self { version: Version::V12, http2: false };
    pub const H2_OVER_12: Self = Self { version: Version::V12, http2: true };
    pub const ALL: [Self; 4] = [Self::H1, Self::H2, Self::H1_OVER_12, Self::H2_OVER_12];

    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static V12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
        static V13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        match self.version {
            Version::V12 => V12,
            Version::V13 => V13,
        }
    }
}

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl Estate {
    /// The certificate and key of `certs/<file>`.
    pub fn certified(&self, file: &str) -> CertifiedKey {
        let pem = CertificateDer::pem_file_iter(self.at(&format!("certs/{file}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.at(&format!("certs/{file}.key"))).unwrap();
        CertifiedKey::from_der(pem.collect::<Result<_, _>>().unwrap(), key, &provider()).unwrap()
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for der in CertificateDer::pem_file_iter(self.at("certs/ca.pem")).unwrap() {
            roots.add(der.unwrap()).unwrap();
        }
        roots
    }

    /// A client with this device, and a session store of its own.
    pub fn tls(&self, device: Device, tls: Tls) -> ClientConfig {
        self.tls_showing(device.file().map(|file| self.certified(file)), tls)
    }

    /// A client that shows these bytes as its certificate, whatever they are.
    pub fn tls_showing(&self, shown: Option<CertifiedKey>, tls: Tls) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(tls.versions())
            .unwrap()
            .with_root_certificates(self.roots());
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(key) => builder.with_client_cert_resolver(Arc::new(Always(Arc::new(key)))),
        };
        config.alpn_protocols = vec![if tls.http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(64)));
        config
    }

    /// A connection with this SNI.
    pub async fn try_connect(
        &self,
        sni: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(sni.to_owned()).map_err(io::Error::other)?;
        let connecting = async {
            let tcp = TcpStream::connect(self.address()).await?;
            tcp.set_nodelay(true)?;
            TlsConnector::from(Arc::clone(config)).connect(name, tcp).await
        };
        tokio::time::timeout(DEADLINE, connecting).await.map_err(io::Error::other)?
    }

    /// A connection with this SNI, which must come about.
    pub async fn connect(&self, sni: &str, device: Device, tls: Tls) -> TlsStream<TcpStream> {
        self.try_connect(sni, &Arc::new(self.tls(device, tls))).await.unwrap()
    }
}

/// Shows one certificate, whatever the server asks for.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
