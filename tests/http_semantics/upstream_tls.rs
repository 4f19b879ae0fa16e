//! TLS to upstreams: whose certificate is believed, for which name, and who tiergate is to them.

use crate::support::client::provider;
use crate::support::websocket::WebSocket;
use crate::support::{Browser, Device, Estate};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const HOST: &str = "wiki.localhost";

/// TLS in front of the demo's own service, and how many handshakes it has completed.
struct Front {
    address: SocketAddr,
    handshakes: Arc<AtomicUsize>,
}

impl Front {
    /// As `wiki.localhost`; `clients`: the authority that a client must have its certificate from.
    async fn start(estate: &Estate, demo: SocketAddr, clients: Option<&str>) -> Self {
        let file = |name: &str| estate.read(&format!("certs/{name}"));
        let chain =
            CertificateDer::pem_slice_iter(file("server.pem").as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(file("server.key").as_bytes()).unwrap();
        let builder = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let authority = file(&format!("{authority}.pem"));
                roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, handshakes) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&handshakes);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let mut near = acceptor.accept(stream).await?;
                    count.fetch_add(1, Ordering::Relaxed);
                    let mut far = TcpStream::connect(demo).await?;
                    tokio::io::copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        Self { address, handshakes }
    }

    fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }
}

struct Scene {
    estate: Estate,
    employee: Browser,
    demo: SocketAddr,
}

impl Scene {
    async fn start() -> Self {
        let estate = Estate::start();
        let employee = Browser::signed_in(&estate, Device::None, "employee", &[HOST]).await;
        let mut demo = None;
        estate.edit("tiergate.yaml", |config| {
            demo =
                config["upstreams"]["demo"]["addresses"][0].as_str().map(|address| address.parse().unwrap());
        });
        Self { estate, employee, demo: demo.unwrap() }
    }

    fn forward_to(&self, address: SocketAddr, tls: &Value) {
        self.estate.edit("tiergate.yaml", |config| {
            config["upstreams"]["demo"] = json!({ "addresses": [address.to_string()], "tls": tls });
        });
        self.estate.reload();
    }

    async fn status(&self) -> u16 {
        self.employee.get(&self.estate.url(HOST, "/headers")).await.status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_is_believed_by_its_authority_and_its_name_and_by_nothing_else() {
    let scene = Scene::start().await;
    let front = Front::start(&scene.estate, scene.demo, None).await;
    for (tls, want) in [
        (json!({ "ca": "certs/ca.pem", "server_name": HOST }), 200),
        (json!({ "ca": "certs/ca.pem", "server_name": "evil.localhost" }), 502),
        // Its address, which is in its certificate.
        (json!({ "ca": "certs/ca.pem" }), 200),
        (json!({ "ca": "certs/ca.pem", "server_name": "127.0.0.2" }), 502),
        (json!({ "ca": "certs/mdm-ca.pem", "server_name": HOST }), 502),
        // The platform's authorities do not know the demo's.
        (json!({ "server_name": HOST }), 502),
        (json!(true), 502),
        // And once more: what was believed last is not what counts.
        (json!({ "ca": "certs/ca.pem", "server_name": HOST }), 200),
    ] {
        scene.forward_to(front.address, &tls);
        assert_eq!(scene.status().await, want, "{tls}");
    }
    let cookie = scene.employee.cookie(HOST).unwrap();
    let mut socket = WebSocket::open(&scene.estate, Device::None, HOST, &cookie).await.unwrap();
    assert!(socket.echoes().await, "a WebSocket over TLS");
    // In the clear it is no upstream at all.
    scene.forward_to(scene.demo, &json!({ "ca": "certs/ca.pem", "server_name": HOST }));
    assert_eq!(scene.status().await, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn tiergate_shows_an_upstream_the_certificate_that_is_configured_for_it() {
    let scene = Scene::start().await;
    let front = Front::start(&scene.estate, scene.demo, Some("corporate-ca")).await;
    let shown = |client: Value| json!({ "ca": "certs/ca.pem", "server_name": HOST, "client": client });
    let pair =
        |name: &str| json!({ "cert": format!("certs/{name}.pem"), "key": format!("certs/{name}.key") });
    for (tls, want) in [
        (shown(pair("issued")), 200),
        (shown(pair("enrolled")), 502),
        (json!({ "ca": "certs/ca.pem", "server_name": HOST }), 502),
        (shown(pair("issued")), 200),
    ] {
        scene.forward_to(front.address, &tls);
        assert_eq!(scene.status().await, want, "{tls}");
    }
    // A pair that is none is refused when it is loaded, not with every request.
    scene.estate.edit("tiergate.yaml", |config| {
        let mixed = json!({ "cert": "certs/issued.pem", "key": "certs/enrolled.key" });
        config["upstreams"]["demo"]["tls"] = shown(mixed);
    });
    let (status, body) = scene.estate.try_reload();
    assert!(status == 422 && body.contains("enrolled.key") && body.contains("issued.pem"), "{status} {body}");
    assert_eq!(scene.status().await, 200, "the last good one goes on");
}

/// A connection that was verified by an authority is not used for whoever believes another.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_kept_is_believed_no_longer_than_its_authority() {
    let scene = Scene::start().await;
    let front = Front::start(&scene.estate, scene.demo, None).await;
    std::fs::copy(scene.estate.at("certs/ca.pem"), scene.estate.at("certs/upstream-ca.pem")).unwrap();
    scene.forward_to(front.address, &json!({ "ca": "certs/upstream-ca.pem", "server_name": HOST }));
    for _ in 0..8 {
        assert_eq!(scene.status().await, 200);
    }
    let before = front.handshakes();
    assert_eq!(scene.status().await, 200);
    assert_eq!(front.handshakes(), before, "a connection is kept");
    // The same file, another authority.
    std::fs::copy(scene.estate.at("certs/mdm-ca.pem"), scene.estate.at("certs/upstream-ca.pem")).unwrap();
    scene.estate.reload();
    for _ in 0..8 {
        assert_eq!(scene.status().await, 502);
    }
}
