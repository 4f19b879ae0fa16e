//! Calls to the running process: its admin listener and token file are those that `tiergate.yaml` names.
//!
//! Invariants: the token leaves this machine over TLS only, to a server that shows a certificate of the
//! configuration or one that the platform believes; it is in no message.

use crate::config::{self, CertificateFiles, Config, Secret};
use crate::diagnostic::{Diagnostic, render_all};
use crate::policy_files::{self, ReadError};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Url, header, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// From the first byte sent to the last received; the listener itself gives a call 30 s.
const TIMEOUT: Duration = Duration::from_secs(40);
/// The same for an import, which the listener gives 4 min.
const IMPORT_TIMEOUT: Duration = Duration::from_mins(5);
/// Bytes of an answer that are read.
const MOST_ANSWER: usize = 16 << 20;

/// Why the running process could not be asked, or gave no answer that counts.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configuration cannot be read.
    #[error("the configuration cannot be used")]
    Read(#[from] ReadError),
    /// The configuration has mistakes; as a person reads them.
    #[error("the configuration has mistakes:\n{0}")]
    Config(String),
    /// The configuration has no admin listener.
    #[error("`{0}` has no `listen.admin`, so there is nothing to call")]
    NoListener(PathBuf),
    /// The port of the admin listener is chosen at the start.
    #[error("`listen.admin` has port 0, which nobody can call")]
    NoPort,
    /// The configuration has no token.
    #[error("`{0}` has no `admin.token`, so nobody may call")]
    NoToken(PathBuf),
    /// The token file cannot be read.
    #[error("the admin token `{path}` cannot be read")]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The token cannot be written in a header.
    #[error("the admin token in `{0}` is not printable text")]
    TokenText(PathBuf),
    /// The client cannot be made.
    #[error("the call cannot be prepared")]
    Client(#[source] Box<dyn Error + Send + Sync>),
    /// No answer, or one that broke off.
    #[error("`{address}` did not answer; is tiergate running with this configuration?")]
    Unreachable {
        /// Where it was asked.
        address: SocketAddr,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is larger than any should be.
    #[error("the answer has more than {MOST_ANSWER} bytes")]
    TooLarge,
    /// An answer that is no JSON.
    #[error("the answer with status {0} is not JSON; does another program listen there?")]
    NotJson(u16),
}

/// Speaks to the admin API of the process that runs with a configuration.
pub struct AdminClient {
    address: SocketAddr,
    base: Url,
    token: header::HeaderValue,
    /// Tried in order, while no connection comes about.
    clients: Vec<Client>,
    runtime: tokio::runtime::Runtime,
}

/// What the process answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The document.
    pub body: serde_json::Value,
}

impl AdminClient {
    /// A client for the process that runs with this `tiergate.yaml`.
    ///
    /// # Errors
    ///
    /// Where the configuration does not say how to call it, or the token cannot be read.
    pub fn of_config(path: &Path) -> Result<Self, ClientError> {
        let source = policy_files::read_file(path.to_owned())?;
        let config = config::resolve(&source).map_err(|findings: Vec<Diagnostic>| {
            ClientError::Config(render_all(&findings, &[source], false))
        })?;
        let bound = config.listen.admin.ok_or_else(|| ClientError::NoListener(path.to_owned()))?;
        if bound.port() == 0 {
            return Err(ClientError::NoPort);
        }
        let file = config.admin_token.as_ref().ok_or_else(|| ClientError::NoToken(path.to_owned()))?;
        let token = std::fs::read_to_string(file)
            .map_err(|source| ClientError::Token { path: file.clone(), source })?;
        let secret = Secret::new(token.trim());
        let mut token = header::HeaderValue::try_from(format!("Bearer {}", secret.expose()))
            .map_err(|_| ClientError::TokenText(file.clone()))?;
        token.set_sensitive(true);
        let address = SocketAddr::new(reachable(bound.ip()), bound.port());
        let local = bound.ip().to_canonical().is_loopback();
        let (base, clients) = if local { in_the_clear(address) } else { over_tls(address, &config) }?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::Client(error.into()))?;
        Ok(Self { address, base, token, clients, runtime })
    }

    /// Calls a path of the API. The answer may be a refusal: its status says so.
    ///
    /// # Errors
    ///
    /// Where there is no answer, or none that the API gives.
    pub fn call(
        &self,
        method: &Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, ClientError> {
        self.ask(path, |client, url| {
            let request = client.request(method.clone(), url);
            match body {
                Some(body) => request.json(body),
                None => request,
            }
        })
    }

    /// Posts records to a path of the API, one a line.
    ///
    /// # Errors
    ///
    /// As of [`Self::call`].
    pub fn send_lines(&self, path: &str, lines: Vec<u8>) -> Result<Answer, ClientError> {
        let lines = bytes::Bytes::from(lines);
        self.ask(path, |client, url| {
            let request = client.post(url).timeout(IMPORT_TIMEOUT);
            request.header(header::CONTENT_TYPE, "application/x-ndjson").body(lines.clone())
        })
    }

    fn ask(
        &self,
        path: &str,
        request: impl Fn(&Client, Url) -> RequestBuilder,
    ) -> Result<Answer, ClientError> {
        let url = self.base.join(path).map_err(|error| ClientError::Client(error.into()))?;
        self.runtime.block_on(async {
            let mut last = None;
            for client in &self.clients {
                let request = request(client, url.clone()).header(header::AUTHORIZATION, self.token.clone());
                match request.send().await {
                    Ok(answer) => return read(answer, self.address).await,
                    // Nothing was sent where there was no connection, so asking again is safe.
                    Err(error) if error.is_connect() => last = Some(error),
                    Err(error) => return Err(unreachable(self.address, error)),
                }
            }
            Err(last.map_or_else(
                || ClientError::Client("there is no client".into()),
                |error| unreachable(self.address, error),
            ))
        })
    }
}

fn unreachable(address: SocketAddr, error: reqwest::Error) -> ClientError {
    ClientError::Unreachable { address, source: error.without_url() }
}

async fn read(mut answer: reqwest::Response, address: SocketAddr) -> Result<Answer, ClientError> {
    let status = answer.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(address, error))? {
        if bytes.len().saturating_add(chunk.len()) > MOST_ANSWER {
            return Err(ClientError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    let body = serde_json::from_slice(&bytes).map_err(|_| ClientError::NotJson(status))?;
    Ok(Answer { status, body })
}

/// An address that the listener can be reached at from this machine.
fn reachable(bound: IpAddr) -> IpAddr {
    match bound {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => bound,
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        // The token goes to the listener and to nobody in between.
        .no_proxy()
        .timeout(TIMEOUT)
        .user_agent(concat!("tiergate/", env!("CARGO_PKG_VERSION")))
}

fn in_the_clear(address: SocketAddr) -> Result<(Url, Vec<Client>), ClientError> {
    let url = Url::parse(&format!("http://{address}/")).map_err(|error| ClientError::Client(error.into()))?;
    let client = builder().tls_certs_only([]).build().map_err(|error| ClientError::Client(error.into()))?;
    Ok((url, vec![client]))
}

/// First a client that believes the very certificates of the configuration: they may be of an authority
/// that nobody else believes. Then, since the files may be newer than what the process serves, one that
/// believes what the platform does and what the chains hold.
fn over_tls(address: SocketAddr, config: &Config) -> Result<(Url, Vec<Client>), ClientError> {
    let chains: Vec<Vec<CertificateDer<'static>>> = config.tls.certificates.iter().map(chain).collect();
    let leaves: Vec<_> = chains.iter().filter_map(|chain| chain.first().cloned()).collect();
    let name = leaves.iter().find_map(host_of);
    let host = name.clone().unwrap_or_else(|| match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    });
    let url = Url::parse(&format!("https://{host}:{}/", address.port()))
        .map_err(|error| ClientError::Client(error.into()))?;
    let resolved = |builder: ClientBuilder| match &name {
        Some(name) => builder.resolve(name, address),
        None => builder,
    };
    let exact = resolved(builder()).tls_backend_preconfigured(pinned::only(leaves)?).build();
    let roots = chains.iter().flatten().filter_map(|der| reqwest::Certificate::from_der(der).ok());
    let usual = resolved(builder()).tls_certs_merge(roots).build();
    let clients = [exact, usual].into_iter().collect::<Result<Vec<_>, _>>();
    Ok((url, clients.map_err(|error| ClientError::Client(error.into()))?))
}

/// The certificates of a chain file; none where it cannot be read, which the connection then shows.
fn chain(files: &CertificateFiles) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_file_iter(&files.cert);
    certificates.map(|all| all.filter_map(Result::ok).collect()).unwrap_or_default()
}

/// A host name that a certificate covers, by which the listener chooses it.
fn host_of(leaf: &CertificateDer<'static>) -> Option<String> {
    use x509_parser::extensions::GeneralName;
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| {
        let GeneralName::DNSName(name) = name else { return None };
        (!name.starts_with('*')).then(|| (*name).to_owned())
    })
}

/// A server is believed that shows one of these certificates and proves to hold its key.
mod pinned {
    use super::ClientError;
    use crate::gateway::tls::crypto;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
    use std::sync::Arc;

    #[derive(Debug)]
    struct Pinned {
        leaves: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    }

    pub(super) fn only(leaves: Vec<CertificateDer<'static>>) -> Result<ClientConfig, ClientError> {
        let provider = crypto();
        let verifier = Arc::new(Pinned { leaves, provider: Arc::clone(&provider) });
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::Client(error.into()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth())
    }

    impl ServerCertVerifier for Pinned {
        fn verify_server_cert(
            &self,
            end_entity: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            if self.leaves.iter().any(|leaf| leaf == end_entity) {
                return Ok(ServerCertVerified::assertion());
            }
            Err(CertificateError::UnknownIssuer.into())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, cert, dss, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, cert, dss, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    }
}

#[cfg(test)]
#[path = "admin_client_tests.rs"]
mod tests;
