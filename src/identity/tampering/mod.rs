//! A provider on loopback that lies in one way at a time; beside every lie, the truth that signs in.

use super::oidc::{Answer, Ask, Begun, OidcProvider};
use crate::access::Timestamp;
use crate::config::OidcConfig;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

mod sign_in;
mod tokens;

const NOW: Timestamp = 1_700_000_000;
const REDIRECT: &str = "https://login.localhost/callback";

/// The configuration of a provider.
pub(super) fn config(issuer: &str) -> OidcConfig {
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

/// A signing key and its JWK.
pub(crate) struct Signer {
    key: EncodingKey,
    point: Vec<u8>,
    jwk: Value,
}

fn signer(kid: &str) -> Signer {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    let jwk =
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": part(1..33), "y": part(33..65)});
    Signer { key: EncodingKey::from_ec_der(der.as_ref()), point, jwk }
}

/// What the provider says; changed by a test to lie.
pub(crate) struct Script {
    pub(crate) issuer: String,
    signer: Signer,
    header: Header,
    claims: Value,
    /// Whom a request to the token endpoint is about, instead of `claims`; nobody is a refusal.
    pub(crate) claims_for: Option<ClaimsFor>,
    /// Instead of the signed claims.
    id_token: Option<String>,
    pub(crate) discovery: Value,
    jwks: Value,
    jwks_status: u16,
    jwks_asked: usize,
    token_answer: Option<fn() -> Response>,
    pub(crate) token_asked: usize,
    userinfo: Option<Value>,
}

impl Script {
    fn token(&self) -> String {
        self.id_token
            .clone()
            .unwrap_or_else(|| jsonwebtoken::encode(&self.header, &self.claims, &self.signer.key).unwrap())
    }
}

/// The claims that answer a token request with these fields.
pub(crate) type ClaimsFor = Box<dyn Fn(&Fields) -> Option<Value> + Send>;
/// The fields of a form.
pub(crate) type Fields = BTreeMap<String, String>;

pub(crate) type Shared = Arc<Mutex<Script>>;

pub(crate) struct Idp {
    pub(crate) script: Shared,
    pub(crate) oidc: Arc<OidcProvider>,
}

async fn start() -> Idp {
    start_as("workforce").await
}

/// A provider that tells the truth until its script is changed, known to tiergate by this name.
pub(crate) async fn start_as(name: &str) -> Idp {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let signer = signer("k1");
    let script = Script {
        header: Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::ES256) },
        claims: json!({
            "iss": issuer, "sub": "1", "aud": "tiergate", "exp": NOW + 300, "iat": NOW,
            "email": "ann@corp.test", "email_verified": true, "groups": ["eng"],
        }),
        claims_for: None,
        id_token: None,
        discovery: json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "authorization_response_iss_parameter_supported": true,
        }),
        jwks: json!({"keys": [signer.jwk]}),
        jwks_status: 200,
        jwks_asked: 0,
        token_answer: None,
        token_asked: 0,
        userinfo: None,
        issuer: issuer.clone(),
        signer,
    };
    let script = Arc::new(Mutex::new(script));
    let app = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(|State(s): State<Shared>| async move { Json(s.lock().unwrap().discovery.clone()) }),
        )
        .route(
            "/jwks",
            get(|State(s): State<Shared>| async move {
                let mut s = s.lock().unwrap();
                s.jwks_asked += 1;
                (StatusCode::from_u16(s.jwks_status).unwrap(), Json(s.jwks.clone()))
            }),
        )
        .route(
            "/token",
            post(|State(s): State<Shared>, Form(fields): Form<Fields>| async move {
                let mut s = s.lock().unwrap();
                s.token_asked += 1;
                if let Some(claims_for) = &s.claims_for {
                    match claims_for(&fields) {
                        Some(claims) => s.claims = claims,
                        None => {
                            return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"})))
                                .into_response();
                        }
                    }
                }
                match s.token_answer {
                    Some(answer) => answer(),
                    None => {
                        Json(json!({"token_type": "Bearer", "access_token": "at", "id_token": s.token()}))
                            .into_response()
                    }
                }
            }),
        )
        .route(
            "/userinfo",
            get(|State(s): State<Shared>, headers: HeaderMap| async move {
                assert_eq!(headers["authorization"], "Bearer at");
                match &s.lock().unwrap().userinfo {
                    Some(claims) => Json(claims.clone()).into_response(),
                    None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                }
            }),
        )
        .with_state(Arc::clone(&script));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut config = config(&issuer);
    config.bearer_audiences = vec!["https://api.test".to_owned()];
    let oidc = OidcProvider::load(name, &config, None).unwrap();
    Idp { script, oidc }
}

impl Idp {
    /// Begins a sign-in, and lets the provider know its nonce.
    async fn begin(&self) -> (Begun, Answer) {
        let begun = self.oidc.begin(REDIRECT, &Ask::default()).await.unwrap();
        let url = url::Url::parse(&begun.url).unwrap();
        let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        assert_eq!(value("code_challenge_method"), "S256");
        assert_eq!(value("code_challenge").len(), 43);
        let mut script = self.script.lock().unwrap();
        script.claims["nonce"] = json!(value("nonce"));
        let answer = Answer {
            state: Some(value("state")),
            code: Some("c".to_owned()),
            iss: Some(script.issuer.clone()),
            error: None,
        };
        drop(script);
        (begun, answer)
    }

    async fn complete(&self, begun: &Begun, answer: &Answer, now: Timestamp) -> String {
        told(self.oidc.complete(REDIRECT, &begun.pending, answer, now).await.map(|who| who.user))
    }
}

/// `ok USER`, or the innermost reason.
fn told<E: Error>(result: Result<String, E>) -> String {
    match result {
        Ok(user) => format!("ok {user}"),
        Err(error) => {
            let mut reason: &dyn Error = &error;
            while let Some(source) = reason.source() {
                reason = source;
            }
            reason.to_string()
        }
    }
}

fn unsigned(header: &str, claims: &Value, signature: &str) -> String {
    format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()))
}
