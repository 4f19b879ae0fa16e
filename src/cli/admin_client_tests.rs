//! Tests of the admin client: whom it believes, and what it says where there is nobody.

use super::*;
use crate::diagnostic::causes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A certificate of an authority that nobody believes, and its key.
struct Leaf {
    pem: String,
    der: CertificateDer<'static>,
    key: Vec<u8>,
}

fn leaf(name: &str) -> Leaf {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = Issuer::new(params, KeyPair::generate().unwrap());
    let key = KeyPair::generate().unwrap();
    let made = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    Leaf { pem: made.pem(), der: made.der().clone(), key: key.serialize_der() }
}

/// A listener that answers one call over TLS with what it was asked; its port.
fn answering(leaf: &Leaf) -> u16 {
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(leaf.key.clone()).into();
    let server = rustls::ServerConfig::builder_with_provider(crate::gateway::tls::crypto())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            // Until the test's process ends.
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut seen = [0; 4096];
                let length = stream.read(&mut seen).await.unwrap();
                let body =
                    serde_json::json!({ "seen": String::from_utf8_lossy(&seen[..length]) }).to_string();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        });
    });
    port
}

/// A folder with a configuration whose server certificate is this one.
fn configured(admin: &str, cert: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("server.pem", cert);
    write("admin.token", &format!("{TOKEN}\n"));
    write(
        "tiergate.yaml",
        &format!(
            "version: 1
listen: {{ https: 127.0.0.1:8443, admin: \"{admin}\" }}
tls: {{ certificates: [{{ cert: server.pem, key: server.key }}] }}
identity: {{ login_host: login.example, providers: [{{ name: local, type: local, users: users.yaml }}] }}
admin: {{ token: {{ file: admin.token }} }}
"
        ),
    );
    folder
}

fn ask(folder: &tempfile::TempDir) -> Result<Answer, ClientError> {
    AdminClient::of_config(&folder.path().join("tiergate.yaml"))?.call(&Method::POST, "/api/v1/reload", None)
}

#[test]
fn off_loopback_the_token_goes_to_a_certificate_of_the_configuration_and_to_no_other() {
    let served = leaf("admin.corp.example");
    // Bound to every address, the listener is off loopback, and this machine reaches it there.
    let admin = format!("0.0.0.0:{}", answering(&served));
    let answer = ask(&configured(&admin, &served.pem)).unwrap();
    let seen = answer.body["seen"].as_str().unwrap().to_lowercase();
    assert_eq!(answer.status, 200);
    for part in [
        "post /api/v1/reload http/1.1",
        "host: admin.corp.example:",
        &format!("authorization: bearer {TOKEN}"),
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let other = leaf("admin.corp.example");
    let error = ask(&configured(&admin, &other.pem)).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(!causes(&error).contains(TOKEN));
}

#[test]
fn what_cannot_be_called_is_told_before_anything_is_sent() {
    let pem = leaf("localhost").pem;
    for (admin, change, want) in [
        ("127.0.0.1:0", "", "port 0"),
        ("127.0.0.1:1", "", "did not answer"),
        ("127.0.0.1:1", "admin.token", "cannot be read"),
        ("127.0.0.1:1", "tiergate.yaml", "the configuration cannot be used"),
    ] {
        let folder = configured(admin, &pem);
        if !change.is_empty() {
            std::fs::remove_file(folder.path().join(change)).unwrap();
        }
        let said = causes(&ask(&folder).unwrap_err());
        assert!(said.contains(want), "{admin} {change}: {said}");
    }
    let folder = configured("127.0.0.1:1", &pem);
    std::fs::write(folder.path().join("admin.token"), "two\nlines").unwrap();
    assert!(matches!(ask(&folder), Err(ClientError::TokenText(_))));
}
