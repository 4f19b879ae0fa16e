//! Asking another service over HTTP, bounded and untrusting: an OpenID provider, a device management.
//!
//! Invariants: no redirect is followed; nothing is asked in the clear but of a service on this machine;
//! every answer has a time and a size; no error shows what was sent or received.

pub(crate) mod credentials;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, RequestBuilder, StatusCode, header, redirect};
use std::time::Duration;
use url::{Host, Url};

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not https, and not a service on this machine.
    #[error("`{0}` is not an https URL")]
    Insecure(String),
    /// No answer, or one that broke off.
    #[error("there was no answer, or it broke off")]
    Unreachable(#[source] reqwest::Error),
    /// An answer that says no.
    #[error("the answer has status {0}")]
    Status(u16),
    /// More than is read.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// Not the JSON it should be.
    #[error("the answer is not the JSON that was expected")]
    NotJson,
    /// The HTTP client cannot be made.
    #[error("TLS cannot be prepared")]
    Tls(#[source] reqwest::Error),
}

/// What bounds each answer of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// From the first byte sent to the last received.
    pub time: Duration,
    /// Bytes of its body.
    pub bytes: usize,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    /// JSON where the status is one of success.
    pub body: Bytes,
}

/// A client for one service.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client,
    /// The service is on this machine: a development or test one.
    loopback: bool,
    bounds: Bounds,
}

impl Fetcher {
    /// A client for the service at `base`, that believes the platform's authorities and those of `pem`.
    pub(crate) fn new(base: &str, pem: Option<&[u8]>, bounds: Bounds) -> Result<Self, FetchError> {
        let parsed = Url::parse(base).map_err(|_| FetchError::Insecure(base.chars().take(200).collect()))?;
        let loopback = parsed.scheme() == "http" && is_loopback(&parsed);
        let certificates = match pem {
            Some(pem) => reqwest::Certificate::from_pem_bundle(pem).map_err(FetchError::Tls)?,
            None => Vec::new(),
        };
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(bounds.time)
            .connect_timeout(bounds.time)
            // Questions are rare: a connection that the service closed meanwhile would cost one.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("tiergate/", env!("CARGO_PKG_VERSION")));
        client = if loopback {
            // Neither a proxy nor the platform's authorities have a part in it.
            client.no_proxy().tls_certs_only(certificates)
        } else {
            client.tls_certs_merge(certificates)
        };
        let fetcher = Self { client: client.build().map_err(FetchError::Tls)?, loopback, bounds };
        fetcher.url(base)?;
        Ok(fetcher)
    }

    /// A URL that may be asked, or that a browser may be sent to.
    pub(crate) fn url(&self, text: &str) -> Result<Url, FetchError> {
        let refuse = || FetchError::Insecure(text.chars().take(200).flat_map(char::escape_debug).collect());
        let url = Url::parse(text).map_err(|_| refuse())?;
        let secure = url.scheme() == "https"
            // A remote service must not send us to one of this machine.
            || (url.scheme() == "http" && self.loopback && is_loopback(&url));
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if secure && plain && url.has_host() { Ok(url) } else { Err(refuse()) }
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url).header(header::ACCEPT, "application/json")
    }

    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url).header(header::ACCEPT, "application/json")
    }

    /// Sends a request; the answer, whatever its status is.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Reply, FetchError> {
        let most = self.bounds.bytes;
        let mut answer =
            request.send().await.map_err(|error| FetchError::Unreachable(error.without_url()))?;
        let status = answer.status();
        if answer
            .content_length()
            .is_some_and(|length| usize::try_from(length).map_or(true, |length| length > most))
        {
            return Err(FetchError::TooLarge(most));
        }
        let headers = std::mem::take(answer.headers_mut());
        let json = headers
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
            if body.len().saturating_add(chunk.len()) > most {
                return Err(FetchError::TooLarge(most));
            }
            body.extend_from_slice(&chunk);
        }
        match (status.is_success(), json) {
            (true, false) => Err(FetchError::NotJson),
            (true, true) | (false, _) => Ok(Reply { status, headers, body: body.freeze() }),
        }
    }

    /// Gets a JSON text.
    pub(crate) async fn get_json(&self, url: Url) -> Result<Bytes, FetchError> {
        let Reply { status, body, .. } = self.send(self.get(url)).await?;
        // A redirect is not followed, so it is no answer either.
        if status == StatusCode::OK { Ok(body) } else { Err(FetchError::Status(status.as_u16())) }
    }
}

/// Whether a URL leads to this machine, whatever a resolver says.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { time: Duration::from_secs(5), bytes: 1024 };

    #[test]
    fn only_https_is_asked_unless_the_service_is_on_this_machine() {
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
            let fetcher = Fetcher::new(issuer, None, BOUNDS).unwrap();
            assert_eq!(fetcher.url(url).is_ok(), want, "{issuer} {url}");
        }
        for issuer in ["http://idp.example", "ftp://idp.example", "idp.example", ""] {
            assert!(Fetcher::new(issuer, None, BOUNDS).is_err(), "{issuer}");
        }
    }

    #[tokio::test]
    async fn a_service_that_never_answers_is_not_waited_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let short = Duration::from_millis(50);
        let fetcher = Fetcher::new(&issuer, None, Bounds { time: short, ..BOUNDS }).unwrap();
        let got = fetcher.get_json(fetcher.url(&issuer).unwrap()).await;
        assert!(matches!(got, Err(FetchError::Unreachable(_))), "{got:?}");
    }

    #[tokio::test]
    async fn a_service_is_asked_only_when_its_certificate_verifies() {
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
            let fetcher = Fetcher::new(&issuer, pem, BOUNDS).unwrap();
            let got = fetcher.get_json(fetcher.url(&issuer).unwrap()).await;
            assert_eq!(got.is_ok(), want, "{host} {got:?}");
        }
    }
}
