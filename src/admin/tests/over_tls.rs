//! Off loopback: one port, over TLS and in the clear.

use super::*;
use crate::config;
use crate::gateway::tls::{Certificates, Served, admin_config, crypto};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

const NAME: &str = "admin.corp.example";

struct Fixed(Arc<Certificates>, Arc<ServerConfig>);

impl Tls for Fixed {
    fn settings(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.1)
    }

    fn certificate(&self, sni: Option<&str>) -> Option<Arc<Served>> {
        self.0.select(sni).cloned()
    }
}

/// A listener that takes itself for one off loopback, and what its clients trust.
struct Away {
    address: SocketAddr,
    trusted: RootCertStore,
    bench: Bench,
    shutdown: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

async fn away() -> Away {
    let bench = bench("10.0.0.7:9901", vec![Check::ok("state")], Ok(7));
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let (cert, key) = (bench.folder.path().join("a.pem"), bench.folder.path().join("a.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(made.cert.der().clone()).unwrap();
    let files = vec![config::CertificateFiles { cert, key }];
    let certificates = Arc::new(Certificates::load(&files).unwrap());
    let settings = config::Tls { only_tls13: false, certificates: files, hsts: None };
    let settings = Arc::new(admin_config(&settings, Arc::clone(&certificates)).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let service = service(&bench.admin, Arc::new(Fixed(certificates, settings)));
    let server = tokio::spawn(serve(listener, service, shutdown.clone()));
    Away { address, trusted, bench, shutdown, server }
}

impl Away {
    async fn secure(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let config = ClientConfig::builder_with_provider(crypto())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.trusted.clone())
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from(NAME).unwrap(), stream)
            .await
            .unwrap()
    }

    async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// The status of one call.
async fn call<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, line: &str, host: &str, token: &str) -> u16 {
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // Some clients end a connection without a word of TLS.
    let _ = stream.read_to_string(&mut answer).await;
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{line}: {answer}"))
}

#[tokio::test]
async fn the_api_is_served_over_tls_to_the_token_and_in_the_clear_to_nobody() {
    let away = away().await;
    let (reload, document) = ("POST /api/v1/reload", "GET /api/v1/openapi.json");
    for (line, host, token, over_tls, in_the_clear) in [
        (reload, "10.0.0.7:9901", TOKEN, 200, 403),
        (document, "10.0.0.7:9901", TOKEN, 200, 403),
        (reload, "10.0.0.7:9901", "", 401, 403),
        (reload, "10.0.0.7:9901", "another-token-of-some-length", 401, 403),
        ("GET /metrics", "10.0.0.7:9901", "", 200, 200),
        ("GET /healthz", "10.0.0.7:9901", "", 200, 200),
        ("GET /readyz", "10.0.0.7:9901", "", 200, 200),
        // A name is the listener's where the certificate says so, and otherwise anybody's.
        (reload, "admin.corp.example:9901", TOKEN, 200, 421),
        ("GET /metrics", "admin.corp.example", "", 200, 421),
        (reload, "evil.example", TOKEN, 421, 421),
        (reload, "other.corp.example", TOKEN, 421, 421),
    ] {
        assert_eq!(call(away.secure().await, line, host, token).await, over_tls, "{line} {host} over TLS");
        assert_eq!(
            call(away.plain().await, line, host, token).await,
            in_the_clear,
            "{line} {host} in the clear"
        );
    }
    // A call in the clear is recorded: whoever looks after the token must know.
    assert!(away.bench.admin.audit.as_ref().unwrap().flush().await);
    let file = std::fs::read_dir(away.bench.folder.path().join("audit")).unwrap().next().unwrap().unwrap();
    let events = std::fs::read_to_string(file.path()).unwrap();
    assert_eq!(events.lines().filter(|line| line.contains("\"status\":403")).count(), 4, "{events}");
}

#[tokio::test]
async fn what_is_neither_and_what_says_nothing_holds_nothing_up() {
    let away = away().await;
    let mut broken = away.plain().await;
    broken.write_all(&[0x16, 0x03, 0x01, 0xff, 0xff, 0x00]).await.unwrap();
    let silent = away.plain().await;
    let mut half = away.secure().await;
    half.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    assert_eq!(call(away.plain().await, "GET /healthz", "10.0.0.7", "").await, 200);
    let mut rest = Vec::new();
    let _ = broken.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1 200"), "{rest:?}");
    away.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), away.server).await.unwrap().unwrap();
    drop((silent, half));
}
