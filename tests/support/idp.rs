//! An OpenID provider that says and does what a test wants. Signing in there takes no form: whoever comes
//! is who the test says.

use super::Estate;
use super::upstream::{Recorder, Seen, ok};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// How a part of the provider answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mood {
    Well,
    /// With a status and a page for people.
    Broken,
    /// With a page for people, as if nothing were wrong.
    Elsewhere,
    /// Never.
    Silent,
}

#[derive(Default)]
struct Script {
    /// By the path of the part.
    moods: BTreeMap<&'static str, Mood>,
    /// What is said of the person, beside what every token says.
    claims: Value,
}

/// A running provider. Dropping it ends it.
pub struct Idp {
    server: Recorder,
    script: Arc<Mutex<Script>>,
    forgotten: AtomicUsize,
}

pub const DISCOVERY: &str = "/.well-known/openid-configuration";
pub const TOKEN: &str = "/token";
pub const KEYS: &str = "/keys";

impl Idp {
    pub async fn start() -> Self {
        let (server, script) = (Recorder::start().await, Arc::new(Mutex::new(Script::default())));
        let issuer = format!("http://{}", server.address);
        let key = rcgen::KeyPair::generate().unwrap();
        let told = Arc::clone(&script);
        server.answer_with(move |seen| answer(seen, &issuer, &key, &told.lock().unwrap()));
        Self { server, script, forgotten: AtomicUsize::new(0) }
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The next person is this.
    pub fn claims(&self, claims: Value) {
        self.script.lock().unwrap().claims = claims;
    }

    /// A part answers like this from now on.
    pub fn mood(&self, part: &'static str, mood: Mood) {
        self.script.lock().unwrap().moods.insert(part, mood);
    }

    /// Makes it the first provider of an estate, by the name `workforce`.
    pub fn introduce_to(&self, estate: &Estate) {
        let (providers, issuer) = ("  providers:\n", self.issuer());
        let workforce = format!(
            "    - {{ name: workforce, title: Corp, type: oidc, issuer: \"{issuer}\", client_id: tiergate, scopes: [s0] }}\n"
        );
        estate.rewrite("tiergate.yaml", providers, &format!("{providers}{workforce}"));
        estate.reload();
    }

    /// Makes the estate forget all that it has learnt of the provider: a changed one is a new one.
    pub fn forget_at(&self, estate: &Estate) {
        let before = self.forgotten.fetch_add(1, Ordering::Relaxed);
        let scopes = |n: usize| format!("scopes: [s{n}]");
        estate.rewrite("tiergate.yaml", &scopes(before), &scopes(before + 1));
        estate.reload();
    }
}

fn answer(seen: &Seen, issuer: &str, key: &rcgen::KeyPair, script: &Script) -> Vec<u8> {
    let target = url::Url::parse(&format!("{issuer}{}", seen.target)).unwrap();
    match script.moods.get(target.path()).copied().unwrap_or(Mood::Well) {
        Mood::Well => {}
        Mood::Silent => return Vec::new(),
        Mood::Elsewhere => return ok("<h1>Maintenance</h1>"),
        Mood::Broken => {
            return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\nContent-Type: text/html\r\n\r\nDown"
                .to_vec();
        }
    }
    let asked: BTreeMap<_, _> = target.query_pairs().into_owned().collect();
    match target.path() {
        DISCOVERY => as_json(&json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}{TOKEN}"),
            "jwks_uri": format!("{issuer}{KEYS}"),
        })),
        "/authorize" => {
            let mut back = url::Url::parse(&asked["redirect_uri"]).unwrap();
            // Its code is the sign-in's nonce, so that nothing has to be remembered.
            back.query_pairs_mut().append_pair("state", &asked["state"]).append_pair("code", &asked["nonce"]);
            format!("HTTP/1.1 302 Found\r\nLocation: {back}\r\nContent-Length: 0\r\n\r\n").into_bytes()
        }
        TOKEN => {
            let form: BTreeMap<_, _> = url::form_urlencoded::parse(&seen.body).into_owned().collect();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let mut claims = json!({
                "iss": issuer, "aud": "tiergate", "nonce": form["code"], "iat": now, "exp": now + 300,
                "auth_time": now, "sub": "1",
            });
            for (name, value) in script.claims.as_object().into_iter().flatten() {
                claims[name] = value.clone();
            }
            let signer = EncodingKey::from_ec_der(&key.serialize_der());
            let header = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::ES256) };
            as_json(
                &json!({ "token_type": "Bearer", "id_token": encode(&header, &claims, &signer).unwrap() }),
            )
        }
        KEYS => {
            let point = key.public_key_raw();
            let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
            let key = json!({ "kty": "EC", "crv": "P-256", "kid": "1", "x": part(1..33), "y": part(33..65) });
            as_json(&json!({ "keys": [key] }))
        }
        other => panic!("the provider has no {other}"),
    }
}

fn as_json(value: &Value) -> Vec<u8> {
    let body = value.to_string();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
