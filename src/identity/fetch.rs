//! Asking an OpenID provider over HTTP, bounded and untrusting.
//!
//! Invariants: no redirect is followed; nothing is asked in the clear but of this machine's own
//! provider; every answer has a time and a size; no error shows what was sent or received.

use crate::config::OidcConfig;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, RequestBuilder, StatusCode, header, redirect};
use std::time::Duration;
use url::{Host, Url};

/// From the first byte sent to the last received.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MAX_BODY: usize = 1024 * 1024;

/// Why a provider gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not https, and not a provider on this machine.
    #[error("`{0}` is not an https URL")]
    Insecure(String),
    /// No answer, or one that broke off.
    #[error("the provider did not answer")]
    Unreachable(#[source] reqwest::Error),
    /// An answer that says no.
    #[error("the provider answered with status {0}")]
    Status(u16),
    /// More than is read.
    #[error("the provider's answer has more than {MAX_BODY} bytes")]
    TooLarge,
    /// Not the JSON it should be.
    #[error("the provider's answer is not the JSON that was expected")]
    NotJson,
    /// The HTTP client cannot be made.
    #[error("cannot prepare TLS for the provider")]
    Tls(#[source] reqwest::Error),
}

/// A client for one provider.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    client: Client,
    /// The provider is on this machine: a development or test one.
    loopback: bool,
}

impl Fetcher {
    /// A client that believes the platform's authorities and those of `pem`.
    pub(super) fn new(config: &OidcConfig, pem: Option<&[u8]>) -> Result<Self, FetchError> {
        Self::with_timeout(config, pem, TIMEOUT)
    }

    fn with_timeout(config: &OidcConfig, pem: Option<&[u8]>, timeout: Duration) -> Result<Self, FetchError> {
        let issuer = Url::parse(&config.issuer)
            .map_err(|_| FetchError::Insecure(config.issuer.chars().take(200).collect()))?;
        let loopback = issuer.scheme() == "http" && is_loopback(&issuer);
        let certificates = match pem {
            Some(pem) => reqwest::Certificate::from_pem_bundle(pem).map_err(FetchError::Tls)?,
            None => Vec::new(),
        };
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(timeout)
            .connect_timeout(timeout)
            // Sign-ins are rare: a connection that the provider closed meanwhile would cost one.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("tiergate/", env!("CARGO_PKG_VERSION")));
        client = if loopback {
            // Neither a proxy nor the platform's authorities have a part in it.
            client.no_proxy().tls_certs_only(certificates)
        } else {
            client.tls_certs_merge(certificates)
        };
        let fetcher = Self { client: client.build().map_err(FetchError::Tls)?, loopback };
        fetcher.url(&config.issuer)?;
        Ok(fetcher)
    }

    /// A URL that may be asked, or that a browser may be sent to.
    pub(super) fn url(&self, text: &str) -> Result<Url, FetchError> {
        let refuse = || FetchError::Insecure(text.chars().take(200).flat_map(char::escape_debug).collect());
        let url = Url::parse(text).map_err(|_| refuse())?;
        let secure = url.scheme() == "https"
            // A remote provider must not send us to a service of this machine.
            || (url.scheme() == "http" && self.loopback && is_loopback(&url));
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if secure && plain && url.has_host() { Ok(url) } else { Err(refuse()) }
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url).header(header::ACCEPT, "application/json")
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url).header(header::ACCEPT, "application/json")
    }

    /// Sends a request; the answer's status and JSON text, whatever the status is.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Bytes), FetchError> {
        let mut answer =
            request.send().await.map_err(|error| FetchError::Unreachable(error.without_url()))?;
        let status = answer.status();
        if answer
            .content_length()
            .is_some_and(|length| usize::try_from(length).map_or(true, |length| length > MAX_BODY))
        {
            return Err(FetchError::TooLarge);
        }
        let json = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| {
                let kind = kind.trim().to_ascii_lowercase();
                kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
            });
        let mut body = BytesMut::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(|error| FetchError::Unreachable(error.without_url()))?
        {
            if body.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        match (status.is_success(), json) {
            (true, false) => Err(FetchError::NotJson),
            (true, true) | (false, _) => Ok((status, body.freeze())),
        }
    }

    /// Gets a JSON text.
    pub(super) async fn get_json(&self, url: Url) -> Result<Bytes, FetchError> {
        let (status, body) = self.send(self.get(url)).await?;
        // A redirect is not followed, so it is no answer either.
        if status == StatusCode::OK { Ok(body) } else { Err(FetchError::Status(status.as_u16())) }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn config(issuer: &str) -> OidcConfig {
        OidcConfig {
            issuer: issuer.to_owned(),
            client_id: "tiergate".to_owned(),
            client_secret: None,
            scopes: vec!["email".to_owned(), "profile".to_owned()],
            groups_claim: "groups".to_owned(),
            mfa_values: vec!["mfa".to_owned(), "otp".to_owned()],
            step_up_acr: vec!["urn:mfa".to_owned()],
            ca: None,
            bearer_audiences: Vec::new(),
        }
    }

    #[test]
    fn only_https_is_asked_unless_the_provider_is_on_this_machine() {
        for (issuer, url, want) in [
            ("https://idp.example", "https://idp.example/token", true),
            ("https://idp.example", "https://tokens.example/token", true),
            ("https://idp.example", "http://idp.example/token", false),
            ("https://idp.example", "http://127.0.0.1/token", false),
            ("https://idp.example", "file:///etc/passwd", false),
            ("https://idp.example", "javascript:alert(1)", false),
            ("https://idp.example", "https://u:p@idp.example/", false),
            ("https://idp.example", "https://idp.example/#f", false),
            ("https://idp.example", "/token", false),
            ("http://127.0.0.1:1", "http://127.0.0.1:1/token", true),
            ("http://127.0.0.1:1", "http://[::1]:1/token", true),
            ("http://idp.localhost:1", "http://idp.localhost:1/token", true),
            ("http://127.0.0.1:1", "http://127.0.0.1.evil.example/token", false),
            ("http://127.0.0.1:1", "http://localhost.evil.example/token", false),
        ] {
            let fetcher = Fetcher::new(&config(issuer), None).unwrap();
            assert_eq!(fetcher.url(url).is_ok(), want, "{issuer} {url}");
        }
        for issuer in ["http://idp.example", "ftp://idp.example", "idp.example", ""] {
            assert!(Fetcher::new(&config(issuer), None).is_err(), "{issuer}");
        }
    }

    #[tokio::test]
    async fn a_provider_that_never_answers_is_not_waited_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let short = Duration::from_millis(50);
        let fetcher = Fetcher::with_timeout(&config(&issuer), None, short).unwrap();
        let got = fetcher.get_json(fetcher.url(&issuer).unwrap()).await;
        assert!(matches!(got, Err(FetchError::Unreachable(_))), "{got:?}");
    }

    #[tokio::test]
    async fn a_provider_is_asked_only_when_its_certificate_verifies() {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem();
        let authority = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &authority).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(server));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        for (host, pem, want) in [
            ("localhost", Some(ca.as_bytes()), true),
            ("127.0.0.1", Some(ca.as_bytes()), false),
            ("localhost", None, false),
        ] {
            let issuer = format!("https://{host}:{port}");
            let fetcher = Fetcher::new(&config(&issuer), pem).unwrap();
            let got = fetcher.get_json(fetcher.url(&issuer).unwrap()).await;
            assert_eq!(got.is_ok(), want, "{host} {got:?}");
        }
    }
}
