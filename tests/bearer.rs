//! Bearer tokens: what is opened with one ends with it.

mod support;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use support::raw::Talk;
use support::wait::until;
use support::websocket::WebSocket;
use support::{DEADLINE, Device, Estate, Tls};
use time::OffsetDateTime;

const HOST: &str = "wiki.localhost";

/// Who makes tokens, on loopback.
struct Issuer {
    name: String,
    key: EncodingKey,
}

impl Issuer {
    async fn start() -> Self {
        let der =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("http://{}", listener.local_addr().unwrap());
        let document = json!({
            "issuer": name,
            "authorization_endpoint": format!("{name}/authorize"),
            "token_endpoint": format!("{name}/token"),
            "jwks_uri": format!("{name}/jwks"),
        });
        let keys =
            json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "kid": "a", "x": x, "y": y }] });
        let router = axum::Router::new()
            .route("/.well-known/openid-configuration", axum::routing::get(async || axum::Json(document)))
            .route("/jwks", axum::routing::get(async || axum::Json(keys)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { name, key: EncodingKey::from_ec_der(der.as_ref()) }
    }

    /// `Bearer` and a token that is good for so many seconds; when it expires.
    fn token(&self, seconds: i64) -> (String, i64) {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let header = Header {
            kid: Some("a".to_owned()),
            typ: Some("at+jwt".to_owned()),
            ..Header::new(Algorithm::ES256)
        };
        let claims = json!({
            "iss": self.name, "sub": "1", "aud": "api", "iat": now, "exp": now + seconds,
            "email": "ann@corp.example", "email_verified": true,
        });
        let token = jsonwebtoken::encode(&header, &claims, &self.key).unwrap();
        (format!("Bearer {token}"), now + seconds)
    }

    /// An estate that takes this issuer's tokens.
    fn estate(&self) -> Estate {
        let estate = Estate::start();
        let provider = format!(
            "    - {{ name: machines, type: oidc, issuer: \"{}\", client_id: tiergate, bearer_audiences: api }}\n",
            self.name
        );
        estate.rewrite("tiergate.yaml", "  providers:\n", &format!("  providers:\n{provider}"));
        estate.reload();
        estate
    }
}

/// A stream that was opened with a token.
async fn open(
    estate: &Estate,
    path: &str,
    token: &str,
) -> Talk<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + use<>> {
    let mut talk = Talk::new(estate.connect(HOST, Device::None, Tls::H1).await);
    let port = estate.port;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nAuthorization: {token}\r\n\r\n");
    talk.write(head.as_bytes()).await.unwrap();
    assert_eq!(talk.head().await.map(|answer| answer.status), Some(200), "{path}");
    assert!(!talk.some_bytes().await.is_empty(), "{path}");
    talk
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_with_the_token_that_opened_it() {
    const LIFE: i64 = 5;
    let issuer = Issuer::start().await;
    let estate = issuer.estate();
    let now = || OffsetDateTime::now_utc();
    // Beside them what a longer token opened, which goes on.
    let (long, _) = issuer.token(3600);
    let authorised = |token: &str| vec![("authorization", token.to_owned())];
    let mut kept = WebSocket::open_with(&estate, Device::None, HOST, &authorised(&long)).await.unwrap();
    let mut kept_events = open(&estate, "/events", &long).await;
    let mut ends = tokio::task::JoinSet::new();
    for path in ["/events", "/bytes/17179869184"] {
        let (token, expires) = issuer.token(LIFE);
        let mut talk = open(&estate, path, &token).await;
        ends.spawn(async move {
            while !talk.some_bytes().await.is_empty() {}
            (path, expires, now())
        });
    }
    let (token, expires) = issuer.token(LIFE);
    let mut socket = WebSocket::open_with(&estate, Device::None, HOST, &authorised(&token)).await.unwrap();
    assert!(socket.echoes().await && kept.echoes().await);
    ends.spawn(async move {
        socket.ends().await;
        ("/ws", expires, now())
    });
    while let Some(end) = tokio::time::timeout(DEADLINE, ends.join_next()).await.expect("one was not ended") {
        let (path, expires, at) = end.unwrap();
        assert!(at.unix_timestamp() >= expires, "{path} was ended early");
        let late = at - OffsetDateTime::from_unix_timestamp(expires).unwrap();
        println!("{path} was ended {late} after its token");
    }
    until("each end is in the audit log with its reason", async || {
        let events = estate.audit();
        ["/events", "/bytes/17179869184", "/ws"].iter().all(|path| {
            events.iter().any(|event| event["path"] == *path && event["reason"] == "session_expired")
        })
    })
    .await;
    assert!(kept.echoes().await, "a token that is still good");
    assert!(!kept_events.some_bytes().await.is_empty(), "a token that is still good");

    // It opens nothing new either.
    assert_eq!(WebSocket::open_with(&estate, Device::None, HOST, &authorised(&token)).await.err(), Some(401));
    assert!(WebSocket::open_with(&estate, Device::None, HOST, &authorised(&long)).await.is_ok());
}
