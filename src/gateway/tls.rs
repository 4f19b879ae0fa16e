//! The listeners' TLS: one setting for every host, made anew from each snapshot.
//!
//! Invariant: a client certificate is asked for in the same way whatever the SNI, so neither SNI nor
//! coalescing nor resumption carries a weaker handshake to a stricter host.

use crate::config;
use crate::device::{DeviceVerifier, KnownChains};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, ServerConfig};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most certificates in a chain file.
const MAX_CHAIN: usize = 8;
/// Sessions kept for TLS 1.2 clients that do not take tickets.
const SESSION_CACHE: usize = 16_384;

/// A server certificate could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("`{path}` cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// The chain file holds no certificate, or too many.
    #[error("`{0}` must hold 1 to {MAX_CHAIN} certificates, that of the key first")]
    Chain(PathBuf),
    /// The certificate names no host.
    #[error("`{0}` names no host in its subject alternative names")]
    Nameless(PathBuf),
    /// The certificate cannot be parsed.
    #[error("`{0}` holds a certificate that cannot be parsed")]
    Unparsable(PathBuf),
    /// The key belongs to another certificate.
    #[error(
        "the key in `{key}` is not that of the first certificate in `{cert}`; write both files anew from one issuance"
    )]
    Mismatch {
        /// The chain file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// The key is of no kind that is known.
    #[error("the key in `{key}`, for the certificate in `{cert}`, cannot be used: {source}")]
    Key {
        /// The chain file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The key can be read by others.
    #[error("`{0}` can be read by other users; take their permission away (chmod 600)")]
    Exposed(PathBuf),
    /// The settings were refused.
    #[error("the TLS settings were refused: {0}")]
    Settings(#[from] rustls::Error),
}

/// What a certificate on this listener covers.
#[derive(Debug)]
pub struct Served {
    /// Exact host names, lower case.
    exact: Vec<String>,
    /// The suffixes behind `*.`.
    wildcard: Vec<String>,
    /// When it ends, Unix seconds.
    pub not_after: i64,
    /// The chain file's path, as configured.
    pub name: String,
    key: Arc<CertifiedKey>,
}

impl Served {
    /// Whether this certificate is valid for the canonical host.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        self.exact.iter().any(|name| name == host)
            || host.split_once('.').is_some_and(|(_, rest)| self.wildcard.iter().any(|suffix| suffix == rest))
    }
}

/// The certificates by the names that they cover.
#[derive(Debug)]
pub struct Certificates {
    all: Vec<Arc<Served>>,
    exact: HashMap<String, usize>,
    wildcard: HashMap<String, usize>,
}

impl Certificates {
    /// Reads every chain and key.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(files: &[config::CertificateFiles]) -> Result<Self, TlsError> {
        let mut certificates = Self { all: Vec::new(), exact: HashMap::new(), wildcard: HashMap::new() };
        for (at, pair) in files.iter().enumerate() {
            let served = serve(pair)?;
            for name in &served.exact {
                certificates.exact.entry(name.clone()).or_insert(at);
            }
            for suffix in &served.wildcard {
                certificates.wildcard.entry(suffix.clone()).or_insert(at);
            }
            certificates.all.push(Arc::new(served));
        }
        Ok(certificates)
    }

    /// The certificate for this SNI; the first one where none covers it or there is no SNI, so that
    /// the client is told 421 instead of a handshake that failed.
    #[must_use]
    pub fn select(&self, sni: Option<&str>) -> Option<&Arc<Served>> {
        let by_name = sni.and_then(|name| {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            let suffix = name.split_once('.').map(|(_, rest)| rest);
            self.exact.get(&name).or_else(|| self.wildcard.get(suffix?)).copied()
        });
        self.all.get(by_name.unwrap_or(0))
    }

    /// Every certificate.
    pub fn iter(&self) -> impl Iterator<Item = &Served> {
        self.all.iter().map(AsRef::as_ref)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.select(hello.server_name()).map(|served| Arc::clone(&served.key))
    }
}

fn serve(files: &config::CertificateFiles) -> Result<Served, TlsError> {
    let cert = &files.cert;
    let pair = pair(files)?;
    let leaf = pair.cert.first().ok_or_else(|| TlsError::Chain(cert.clone()))?;
    let (exact, wildcard, not_after) = names(leaf, cert)?;
    Ok(Served { exact, wildcard, not_after, name: cert.display().to_string(), key: Arc::new(pair) })
}

/// A chain and the key of its first certificate.
///
/// # Errors
/// A file that cannot be used, or two that do not belong together.
pub fn pair(files: &config::CertificateFiles) -> Result<CertifiedKey, TlsError> {
    let config::CertificateFiles { cert, key } = files;
    refuse_exposed(key)?;
    let read = |path: &Path, source| TlsError::Read { path: path.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(|certificates| certificates.take(MAX_CHAIN + 1).collect::<Result<Vec<_>, _>>())
        .map_err(|source| read(cert, source))?;
    if chain.is_empty() || chain.len() > MAX_CHAIN {
        return Err(TlsError::Chain(cert.clone()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|source| read(key, source))?;
    CertifiedKey::from_der(chain, secret, &crypto()).map_err(|source| {
        let (cert, key) = (cert.clone(), key.clone());
        if matches!(source, rustls::Error::InconsistentKeys(_)) {
            TlsError::Mismatch { cert, key }
        } else {
            TlsError::Key { cert, key, source }
        }
    })
}

/// A private key that others can read is a private key no more.
fn refuse_exposed(key: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::PermissionsExt;
    // A file that is not there is told by the reading of it.
    let exposed = std::fs::metadata(key).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0);
    if exposed { Err(TlsError::Exposed(key.to_owned())) } else { Ok(()) }
}

type Names = (Vec<String>, Vec<String>, i64);

fn names(leaf: &CertificateDer<'_>, path: &Path) -> Result<Names, TlsError> {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
    let unparsable = || TlsError::Unparsable(path.to_owned());
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| unparsable())?;
    let san = certificate.subject_alternative_name().map_err(|_| unparsable())?;
    let (mut exact, mut wildcard) = (Vec::new(), Vec::new());
    #[expect(clippy::wildcard_enum_match_arm, reason = "a name of a kind that is no host names no host")]
    for name in san.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => {
                let name = name.to_ascii_lowercase();
                match name.strip_prefix("*.") {
                    Some(suffix) => wildcard.push(suffix.to_owned()),
                    None => exact.push(name),
                }
            }
            GeneralName::IPAddress(bytes) => {
                if let Ok(octets) = <[u8; 4]>::try_from(*bytes) {
                    exact.push(std::net::Ipv4Addr::from(octets).to_string());
                }
            }
            // Other kinds of names are no hosts; the crate may learn more of them.
            _ => {}
        }
    }
    if exact.is_empty() && wildcard.is_empty() {
        return Err(TlsError::Nameless(path.to_owned()));
    }
    Ok((exact, wildcard, certificate.validity().not_after.timestamp()))
}

/// What outlives a reload: tickets and sessions stay good, because who may do what is judged for
/// each request from the certificate that the resumed session carries.
#[derive(Clone)]
pub struct Resumption {
    tickets: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn rustls::server::StoresServerSessions>,
    /// Client certificates that were seen lately.
    pub chains: Arc<KnownChains>,
}

impl Resumption {
    /// Fresh ticket keys, rotated by the library.
    ///
    /// # Errors
    /// The random source failed.
    pub fn new() -> Result<Self, TlsError> {
        Ok(Self {
            tickets: aws_lc_rs::Ticketer::new()?,
            sessions: rustls::server::ServerSessionMemoryCache::new(SESSION_CACHE),
            chains: Arc::default(),
        })
    }
}

/// The cryptography of every listener and connector: `aws-lc-rs`, X25519MLKEM768 offered first.
#[must_use]
pub fn crypto() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::OnceLock<Arc<CryptoProvider>> = std::sync::OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

/// The settings for new handshakes.
///
/// # Errors
/// The library refused the settings.
pub fn server_config(
    tls: &config::Tls,
    certificates: Arc<Certificates>,
    hints: Vec<DistinguishedName>,
    resumption: &Resumption,
) -> Result<ServerConfig, TlsError> {
    let provider = crypto();
    let verifier = DeviceVerifier::new(hints, Arc::clone(&provider), Arc::clone(&resumption.chains));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(tls))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Arc::clone(&resumption.tickets);
    config.session_storage = Arc::clone(&resumption.sessions);
    // Early data can be replayed, and a decision must not be.
    config.max_early_data_size = 0;
    Ok(config)
}

/// The settings for new handshakes of the admin listener: the same certificates and versions. Who
/// calls is known by the token, so no client certificate is asked for.
///
/// # Errors
/// The library refused the settings.
pub fn admin_config(tls: &config::Tls, certificates: Arc<Certificates>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(crypto())
        .with_protocol_versions(versions(tls))?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    Ok(config)
}

fn versions(tls: &config::Tls) -> &'static [&'static rustls::SupportedProtocolVersion] {
    const LATEST: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
    if tls.only_tls13 { LATEST } else { rustls::ALL_VERSIONS }
}
