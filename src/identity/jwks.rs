//! A provider's signing keys, and the verification of what they signed.
//!
//! Invariants: asymmetric algorithms only; a key is used with the algorithms of its own kind and
//! nothing else; `kid` is a lookup key and never anything more; keys in a token's header are not
//! looked at; keys that could not be refreshed for a day are not believed.

use super::claims::Claims;
use super::roca;
use crate::access::Timestamp;
use crate::fetch::{FetchError, Fetcher};
use arc_swap::ArcSwapOption;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use std::str::FromStr as _;
use std::sync::Arc;
use tokio::sync::Mutex;
use url::Url;

/// What may sign.
pub(super) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Keys of one provider.
const MAX_KEYS: usize = 64;
/// Bytes of a key's id.
const MAX_KID: usize = 256;
/// Keys are asked for again after this, in seconds.
const FRESH: i64 = 600;
/// Between two tries, in seconds.
const RETRY: i64 = 60;
/// Between two tries while there are no keys at all, in seconds.
const RETRY_EMPTY: i64 = 5;
/// Keys are believed no longer than this after they were received, in seconds.
const MAX_STALE: i64 = 24 * 3600;

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// It is not a compact JWS with a header that is accepted.
    #[error("the token is not a signed JWT of a kind that is accepted")]
    Form,
    /// It is signed with what is not accepted.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// No key fits it.
    #[error("the token names no key of the provider")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// The signature is right, but what was signed are no claims.
    #[error("the token's claims cannot be read")]
    Claims,
    /// The keys cannot be had, or not lately enough.
    #[error("the provider's keys cannot be had")]
    NoKeys(#[source] Option<FetchError>),
}

/// What can verify one family of signatures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeyKind {
    fn verifies(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa => matches!(
                algorithm,
                Algorithm::RS256
                    | Algorithm::RS384
                    | Algorithm::RS512
                    | Algorithm::PS256
                    | Algorithm::PS384
                    | Algorithm::PS512
            ),
            Self::P256 => algorithm == Algorithm::ES256,
            Self::P384 => algorithm == Algorithm::ES384,
            Self::Ed25519 => algorithm == Algorithm::EdDSA,
        }
    }
}

/// One public key.
pub(super) struct Key {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    kind: KeyKind,
    decoding: DecodingKey,
}

/// The usable keys of a set.
#[derive(Default)]
pub(super) struct KeySet(Vec<Arc<Key>>);

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (&key.kid, key.kind))).finish()
    }
}

impl KeySet {
    /// The keys of a JWK set that can be used; others, of unknown kinds for instance, are left out.
    ///
    /// A set with a secret in it (a private or symmetric key) is refused whole: whoever can read it
    /// can sign. Two usable keys of one id are both left out, as neither is meant more than the other.
    pub(super) fn parse(body: &[u8]) -> Result<Self, FetchError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let Document { keys } = serde_json::from_slice(body).map_err(|_| FetchError::NotJson)?;
        if keys.len() > MAX_KEYS || keys.iter().any(is_secret) {
            return Err(FetchError::NotJson);
        }
        let usable: Vec<Arc<Key>> = keys.into_iter().filter_map(usable).map(Arc::new).collect();
        let twice = |key: &Arc<Key>| {
            key.kid.is_some() && usable.iter().filter(|other| other.kid == key.kid).count() > 1
        };
        Ok(Self(usable.iter().filter(|key| !twice(key)).cloned().collect()))
    }

    /// The key that a header names; without an id, the only one that fits.
    pub(super) fn find(&self, header: &Header) -> Option<Arc<Key>> {
        let fits = |key: &&Arc<Key>| {
            key.kind.verifies(header.alg) && key.algorithm.is_none_or(|algorithm| algorithm == header.alg)
        };
        if let Some(kid) = &header.kid {
            self.0.iter().find(|key| key.kid.as_ref() == Some(kid)).filter(fits).cloned()
        } else {
            let mut fitting = self.0.iter().filter(fits);
            fitting.next().filter(|_| fitting.next().is_none()).cloned()
        }
    }
}

fn is_secret(key: &Value) -> bool {
    key.get("kty").and_then(Value::as_str) == Some("oct")
        || ["d", "k", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|part| key.get(part).is_some())
}

/// What a key of a kind that is accepted verifies.
fn kind(parameters: &AlgorithmParameters) -> Option<KeyKind> {
    if let AlgorithmParameters::RSA(_) = parameters {
        Some(KeyKind::Rsa)
    } else if let AlgorithmParameters::EllipticCurve(key) = parameters {
        let curves = [(EllipticCurve::P256, KeyKind::P256), (EllipticCurve::P384, KeyKind::P384)];
        curves.into_iter().find(|(curve, _)| *curve == key.curve).map(|(_, kind)| kind)
    } else if let AlgorithmParameters::OctetKeyPair(key) = parameters {
        (key.curve == EllipticCurve::Ed25519).then_some(KeyKind::Ed25519)
    } else {
        None
    }
}

fn usable(key: Value) -> Option<Key> {
    let named = key.get("alg").cloned();
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let common = &jwk.common;
    let signs = common.public_key_use.as_ref().is_none_or(|what| *what == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|what| what.contains(&KeyOperations::Verify));
    let kid_fits = common.key_id.as_ref().is_none_or(|kid| kid.len() <= MAX_KID);
    let kind = kind(&jwk.algorithm)?;
    let algorithm = match named {
        None => None,
        Some(name) => Some(Algorithm::from_str(name.as_str()?).ok().filter(|name| kind.verifies(*name))?),
    };
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    if let DecodingKeyKind::RsaModulusExponent { n, .. } = decoding.kind()
        && roca::has_fingerprint(n)
    {
        tracing::warn!(kid = ?jwk.common.key_id, "the provider has a key that anyone can factor (CVE-2017-15361); it is not used");
        return None;
    }
    (signs && kid_fits).then_some(Key { kid: jwk.common.key_id, algorithm, kind, decoding })
}

/// The header of a token, where its form is one that is accepted.
pub(super) fn header(token: &str) -> Result<Header, JwtError> {
    if token.split('.').count() != 3 {
        return Err(JwtError::Form);
    }
    let header = decode_header(token).map_err(|_| JwtError::Form)?;
    // Nothing that a header could call critical is understood here; `b64` changes what is signed.
    let plain = header.crit.is_none()
        && header.enc.is_none()
        && header.zip.is_none()
        && header.cty.is_none()
        && !header.extras.inner().contains_key("b64")
        && header.kid.as_ref().is_none_or(|kid| kid.len() <= MAX_KID);
    if !plain {
        return Err(JwtError::Form);
    }
    if ALGORITHMS.contains(&header.alg) { Ok(header) } else { Err(JwtError::Algorithm) }
}

/// The claims of a token that `key` signed. Times, issuer and audience are the caller's to check.
pub(super) fn verify(token: &str, header: &Header, key: &Key) -> Result<Claims, JwtError> {
    let mut validation = Validation::new(header.alg);
    // The library reads the machine's clock and takes what is missing as right; `id_token` and
    // `bearer` check the claims instead, with the clock as a parameter.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    decode::<Claims>(token, &key.decoding, &validation).map(|token| token.claims).map_err(|error| {
        if matches!(error.kind(), ErrorKind::Json(_) | ErrorKind::Utf8(_)) {
            JwtError::Claims
        } else if matches!(error.kind(), ErrorKind::Base64(_)) {
            JwtError::Form
        } else {
            JwtError::Signature
        }
    })
}

/// The keys, kept and refreshed.
#[derive(Debug, Default)]
pub(super) struct Jwks {
    kept: ArcSwapOption<(Timestamp, KeySet)>,
    /// When the keys were asked for last.
    asked: Mutex<Option<Timestamp>>,
}

impl Jwks {
    /// The key for a header, asking the provider where that may help: for an unknown id, or for keys
    /// that are not fresh, and at most once a minute.
    pub(super) async fn find(
        &self,
        fetcher: &Fetcher,
        uri: &Url,
        header: &Header,
        now: Timestamp,
    ) -> Result<Arc<Key>, JwtError> {
        if let Some(key) = self.lookup(header, now, FRESH) {
            return Ok(key);
        }
        let mut asked = self.asked.lock().await;
        // Whoever held the lock may have brought it.
        if let Some(key) = self.lookup(header, now, FRESH) {
            return Ok(key);
        }
        let pause = if self.kept.load().is_some() { RETRY } else { RETRY_EMPTY };
        let mut why = None;
        if asked.is_none_or(|at| now.abs_diff(at) >= pause.unsigned_abs()) {
            *asked = Some(now);
            let answer = fetcher.get_json(uri.clone()).await.and_then(|body| KeySet::parse(&body));
            match answer {
                Ok(keys) => self.kept.store(Some(Arc::new((now, keys)))),
                Err(error) => {
                    tracing::warn!(%error, "the provider's keys could not be refreshed");
                    why = Some(error);
                }
            }
        }
        match self.age(now) {
            // A key that is not known may be one that could not be fetched.
            Some(age) if age <= MAX_STALE => self
                .lookup(header, now, MAX_STALE)
                .ok_or_else(|| why.map_or(JwtError::UnknownKey, |why| JwtError::NoKeys(Some(why)))),
            Some(_) | None => Err(JwtError::NoKeys(why)),
        }
    }

    /// Seconds since the keys were received.
    pub(super) fn age(&self, now: Timestamp) -> Option<i64> {
        self.kept.load().as_deref().map(|(at, _)| now.saturating_sub(*at))
    }

    fn lookup(&self, header: &Header, now: Timestamp, max_age: i64) -> Option<Arc<Key>> {
        let kept = self.kept.load();
        let (at, keys) = kept.as_deref()?;
        // A clock that was set back is no reason to believe keys for longer.
        if now.abs_diff(*at) > max_age.unsigned_abs() {
            return None;
        }
        keys.find(header)
    }
}
