//! The signed assertion that upstreams can verify: an ES256 JWT for each session and resource.

use crate::access::{DeviceTrust, Tier, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How long an assertion is good, seconds.
const LIFETIME: i64 = 300;
/// An assertion is used again until it has less than this left, seconds.
const LEAST_LEFT: i64 = 120;
/// Assertions kept; beyond it those that ran out go, and if none did, all.
const MAX_KEPT: usize = 65_536;

/// The assertion could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// The library refused the key or the claims.
    #[error("the assertion cannot be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
    /// There is no signing key.
    #[error("there is no key to sign assertions with")]
    NoKey,
    /// The key is no P-256 key.
    #[error("the signing key `{0}` cannot be used")]
    Key(String),
}

/// What an assertion states about a request's subject and device.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct Claims {
    /// Who states it: the login host's origin.
    pub iss: String,
    /// The stable subject.
    pub sub: String,
    /// The user's e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The policy's group names.
    pub groups: Vec<String>,
    /// The device.
    pub device: DeviceClaim,
    /// The tier of what is accessed.
    pub tier: Tier,
    /// How the user signed in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// When the user last proved who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The resource.
    pub aud: String,
}

/// What an assertion states about the device.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct DeviceClaim {
    /// Its identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How far it is trusted.
    pub trust: DeviceTrust,
}

/// A signed assertion.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// As a header's value.
    pub value: HeaderValue,
    expires: Timestamp,
}

impl Assertion {
    /// Whether it may be shown once more.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.expires.saturating_sub(now) >= LEAST_LEFT
    }
}

#[derive(Serialize)]
struct Signed<'c> {
    #[serde(flatten)]
    claims: &'c Claims,
    iat: Timestamp,
    exp: Timestamp,
    jti: String,
}

/// Signs assertions and publishes the keys.
pub struct Assertions {
    header: Header,
    key: EncodingKey,
    jwks: String,
    kept: Mutex<HashMap<Claims, Assertion>>,
}

impl Assertions {
    /// Signs with the first of these PKCS#8 keys and publishes all.
    ///
    /// # Errors
    /// There is no key, or one of them is no P-256 key.
    pub fn new(keys: &[(String, Vec<u8>)]) -> Result<Self, AssertionError> {
        let (kid, pkcs8) = keys.first().ok_or(AssertionError::NoKey)?;
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.clone());
        let jwks = keys.iter().map(|(kid, pkcs8)| jwk(kid, pkcs8)).collect::<Result<Vec<_>, _>>()?;
        let jwks = serde_json::json!({ "keys": jwks }).to_string();
        Ok(Self { header, key: EncodingKey::from_ec_der(pkcs8), jwks, kept: Mutex::default() })
    }

    /// The public keys, as a JSON Web Key Set.
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// The assertion of these claims: the one made before while it is fresh enough.
    ///
    /// # Errors
    /// The library could not sign.
    pub fn sign(&self, claims: &Claims, now: Timestamp) -> Result<Assertion, AssertionError> {
        {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(assertion) = kept.get(claims).filter(|assertion| assertion.is_fresh(now)) {
                return Ok(assertion.clone());
            }
        }
        let expires = now + LIFETIME;
        let jti = uuid::Uuid::now_v7().to_string();
        let signed = Signed { claims, iat: now, exp: expires, jti };
        let token = jsonwebtoken::encode(&self.header, &signed, &self.key)?;
        let mut value = HeaderValue::try_from(token).map_err(|_| AssertionError::NoKey)?;
        value.set_sensitive(true);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, assertion| assertion.is_fresh(now));
            if kept.len() >= MAX_KEPT {
                kept.clear();
            }
        }
        let assertion = Assertion { value, expires };
        kept.insert(claims.clone(), assertion.clone());
        Ok(assertion)
    }
}

/// The public half of a P-256 key (RFC 7518 §6.2.1).
fn jwk(kid: &str, pkcs8: &[u8]) -> Result<serde_json::Value, AssertionError> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    let unusable = || AssertionError::Key(kid.to_owned());
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| unusable())?;
    // An uncompressed point (SEC 1 §2.3.3): 0x04, then x and y of 32 bytes each.
    let point = pair.public_key().as_ref();
    let (x, y) = point.get(1..).and_then(|xy| xy.split_at_checked(32)).ok_or_else(unusable)?;
    Ok(serde_json::json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    fn claims(aud: &str) -> Claims {
        Claims {
            iss: "https://login.test".into(),
            sub: "a".into(),
            email: None,
            groups: vec!["finance".into()],
            device: DeviceClaim { id: Some("issued".into()), trust: DeviceTrust::Issued },
            tier: Tier::High,
            amr: vec![],
            auth_time: Some(1),
            sid: None,
            aud: aud.into(),
        }
    }

    #[test]
    fn an_assertion_verifies_with_the_published_key_for_its_audience_only() {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let assertions = Assertions::new(&[("k1".into(), pkcs8.as_ref().to_vec())]).unwrap();
        let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap();
        let token = assertions.sign(&claims("payroll"), now).unwrap().value;
        let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_str(assertions.jwks()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(jwks.find("k1").unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(Algorithm::ES256);
        validation.set_issuer(&["https://login.test"]);
        validation.set_audience(&["payroll"]);
        let good =
            jsonwebtoken::decode::<serde_json::Value>(token.to_str().unwrap(), &key, &validation).unwrap();
        assert_eq!(good.claims["exp"].as_i64().unwrap() - now, LIFETIME);
        assert_eq!(good.claims["device"]["trust"], "issued");
        validation.set_audience(&["tickets"]);
        assert!(
            jsonwebtoken::decode::<serde_json::Value>(token.to_str().unwrap(), &key, &validation).is_err()
        );
        let later = |audience, after| assertions.sign(&claims(audience), now + after).unwrap().value;
        assert_eq!(later("payroll", 100), token, "used again while fresh");
        assert_ne!(later("payroll", 200), token);
        assert_ne!(later("tickets", 0), token);
    }
}
