//! What an ID token must say before it is believed (OpenID Connect Core §3.1.3.7, RFC 8725).
//!
//! Invariant: pure; the signature was verified before, and the clock is a parameter.

use super::claims::Claims;
use crate::access::Timestamp;
use aws_lc_rs::{constant_time, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header};
use serde_json::Value;

/// The difference between two clocks that is let be, in seconds.
pub(super) const SKEW: i64 = 60;
/// An ID token comes straight from the provider, so it was made just now; in seconds.
const MAX_AGE: i64 = 600;
/// Audiences of one token.
const MAX_AUDIENCES: usize = 32;

/// Why an ID token is not believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimError {
    /// `typ` is another kind of token's.
    #[error("the token is of another type")]
    Type,
    /// `iss` is not the configured issuer.
    #[error("the token is another issuer's")]
    Issuer,
    /// `aud` or `azp` is not us.
    #[error("the token is for somebody else")]
    Audience,
    /// `exp` is past or missing.
    #[error("the token has expired, or does not say when it does")]
    Expired,
    /// `iat` or `nbf` is missing, in the future or too far in the past.
    #[error("the token is not of now")]
    Time,
    /// `nonce` is not this sign-in's.
    #[error("the token is not of this sign-in")]
    Nonce,
    /// `sub` is missing or malformed.
    #[error("the token does not say who it is about")]
    Subject,
    /// `at_hash` is not the access token's.
    #[error("the access token is not this token's")]
    AccessToken,
    /// `auth_time` is missing though it was asked for, or too old.
    #[error("the provider did not sign the user in again")]
    AuthTime,
}

/// What a token is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    /// The `max_age` that was asked for.
    pub max_age: Option<u64>,
    pub access_token: Option<&'a str>,
    pub now: Timestamp,
}

/// When the user signed in at the provider, where the token is right in everything.
pub(super) fn check(
    header: &Header,
    claims: &Claims,
    expected: &Expected<'_>,
) -> Result<Option<Timestamp>, ClaimError> {
    let Expected { issuer, client_id, nonce, max_age, access_token, now } = *expected;
    if header.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return Err(ClaimError::Type);
    }
    if claims.text("iss") != Some(issuer) {
        return Err(ClaimError::Issuer);
    }
    audience(claims, client_id)?;
    let issued = times(claims, now)?.ok_or(ClaimError::Time)?;
    if issued < now.saturating_sub(MAX_AGE) {
        return Err(ClaimError::Time);
    }
    let sent = claims.text("nonce").ok_or(ClaimError::Nonce)?;
    constant_time::verify_slices_are_equal(sent.as_bytes(), nonce.as_bytes())
        .map_err(|_| ClaimError::Nonce)?;
    claims.subject().ok_or(ClaimError::Subject)?;
    if claims.has("at_hash") {
        let want = access_token.map(|token| half_hash(header.alg, token));
        if want.as_deref() != claims.text("at_hash") {
            return Err(ClaimError::AccessToken);
        }
    }
    let auth_time = claims.time("auth_time").map_err(|()| ClaimError::AuthTime)?;
    if auth_time.is_some_and(|time| time > now.saturating_add(SKEW)) {
        return Err(ClaimError::AuthTime);
    }
    if let Some(max_age) = max_age {
        let max_age = i64::try_from(max_age).unwrap_or(i64::MAX).saturating_add(SKEW);
        if auth_time.is_none_or(|time| now.saturating_sub(time) > max_age) {
            return Err(ClaimError::AuthTime);
        }
    }
    Ok(auth_time)
}

/// `exp`, `nbf` and `iat`, all as of `now`; returns `iat`.
pub(super) fn times(claims: &Claims, now: Timestamp) -> Result<Option<Timestamp>, ClaimError> {
    let expires = claims.time("exp").ok().flatten().ok_or(ClaimError::Expired)?;
    if now >= expires.saturating_add(SKEW) {
        return Err(ClaimError::Expired);
    }
    let issued = claims.time("iat").map_err(|()| ClaimError::Time)?;
    let begins = claims.time("nbf").map_err(|()| ClaimError::Time)?;
    let early = |time: Option<i64>| time.is_some_and(|time| time > now.saturating_add(SKEW));
    if early(issued) || early(begins) { Err(ClaimError::Time) } else { Ok(issued) }
}

/// The audiences, where `aud` is a text or a bounded list of texts.
pub(super) fn audiences(claims: &Claims) -> Option<Vec<&str>> {
    match claims.get("aud")? {
        Value::String(one) => Some(vec![one.as_str()]),
        Value::Array(list) if (1..=MAX_AUDIENCES).contains(&list.len()) => {
            list.iter().map(Value::as_str).collect()
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Exactly us; or a list with us in it, and then `azp` says that it was made for us.
fn audience(claims: &Claims, client_id: &str) -> Result<(), ClaimError> {
    let audiences = audiences(claims).ok_or(ClaimError::Audience)?;
    let party = match claims.get("azp") {
        None => None,
        Some(party) => Some(party.as_str().ok_or(ClaimError::Audience)?),
    };
    let ours = audiences.contains(&client_id)
        && party.is_none_or(|party| party == client_id)
        && (audiences.len() == 1 || party.is_some());
    if ours { Ok(()) } else { Err(ClaimError::Audience) }
}

/// The left half of the token's hash, with the hash of the signature's algorithm.
fn half_hash(algorithm: Algorithm, token: &str) -> String {
    let hash = if matches!(algorithm, Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384) {
        &digest::SHA384
    } else if matches!(algorithm, Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA) {
        &digest::SHA512
    } else {
        // What else is accepted (`jwks::ALGORITHMS`) ends in 256.
        &digest::SHA256
    };
    let hash = digest::digest(hash, token.as_bytes());
    let hash = hash.as_ref();
    URL_SAFE_NO_PAD.encode(hash.get(..hash.len() / 2).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = 1_700_000_000;

    fn check_with(changes: &Value, max_age: Option<u64>) -> Result<Option<Timestamp>, ClaimError> {
        let mut claims = json!({
            "iss": "https://idp", "sub": "1", "aud": "us", "nonce": "n",
            "exp": NOW + 300, "iat": NOW,
        });
        for (name, value) in changes.as_object().unwrap() {
            let claims = claims.as_object_mut().unwrap();
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        let claims = serde_json::from_value(claims).unwrap();
        let expected = Expected {
            issuer: "https://idp",
            client_id: "us",
            nonce: "n",
            max_age,
            access_token: Some("at"),
            now: NOW,
        };
        check(&Header::new(Algorithm::ES256), &claims, &expected)
    }

    #[test]
    fn every_claim_is_right_or_the_token_is_not_believed() {
        use ClaimError as E;
        for (changes, want) in [
            (json!({}), Ok(None)),
            (json!({"iss": "https://idp/"}), Err(E::Issuer)),
            (json!({"iss": "https://IDP"}), Err(E::Issuer)),
            (json!({"iss": ["https://idp"]}), Err(E::Issuer)),
            (json!({"iss": null}), Err(E::Issuer)),
            (json!({"aud": "other"}), Err(E::Audience)),
            (json!({"aud": ["us"]}), Ok(None)),
            (json!({"aud": ["us", "other"]}), Err(E::Audience)),
            (json!({"aud": ["us", "other"], "azp": "us"}), Ok(None)),
            (json!({"aud": ["us", "other"], "azp": "other"}), Err(E::Audience)),
            (json!({"aud": "us", "azp": "other"}), Err(E::Audience)),
            (json!({"aud": "us", "azp": 1}), Err(E::Audience)),
            (json!({"aud": []}), Err(E::Audience)),
            (json!({"aud": ["us", 1], "azp": "us"}), Err(E::Audience)),
            (json!({"aud": 7}), Err(E::Audience)),
            (json!({"aud": null}), Err(E::Audience)),
            (json!({"exp": NOW - 59}), Ok(None)),
            (json!({"exp": NOW - 60}), Err(E::Expired)),
            (json!({"exp": null}), Err(E::Expired)),
            (json!({"exp": "1800000000"}), Err(E::Expired)),
            (json!({"exp": 1e300}), Err(E::Expired)),
            (json!({"iat": NOW + 60}), Ok(None)),
            (json!({"iat": NOW + 61}), Err(E::Time)),
            (json!({"iat": NOW - 600}), Ok(None)),
            (json!({"iat": NOW - 601}), Err(E::Time)),
            (json!({"iat": null}), Err(E::Time)),
            (json!({"iat": "now"}), Err(E::Time)),
            (json!({"nbf": NOW + 60}), Ok(None)),
            (json!({"nbf": NOW + 61}), Err(E::Time)),
            (json!({"nbf": "x"}), Err(E::Time)),
            (json!({"nonce": "m"}), Err(E::Nonce)),
            (json!({"nonce": "nn"}), Err(E::Nonce)),
            (json!({"nonce": null}), Err(E::Nonce)),
            (json!({"sub": null}), Err(E::Subject)),
            (json!({"sub": ""}), Err(E::Subject)),
            (json!({"at_hash": half_hash(Algorithm::ES256, "at")}), Ok(None)),
            (json!({"at_hash": half_hash(Algorithm::ES384, "at")}), Err(E::AccessToken)),
            (json!({"at_hash": half_hash(Algorithm::ES256, "other")}), Err(E::AccessToken)),
            (json!({"at_hash": 1}), Err(E::AccessToken)),
            (json!({"auth_time": NOW - 9000}), Ok(Some(NOW - 9000))),
            (json!({"auth_time": NOW + 61}), Err(E::AuthTime)),
            (json!({"auth_time": "x"}), Err(E::AuthTime)),
        ] {
            assert_eq!(check_with(&changes, None), want, "{changes}");
        }
    }

    #[test]
    fn a_sign_in_that_had_to_be_recent_is() {
        for (changes, max_age, want) in [
            (json!({"auth_time": NOW}), 0, true),
            (json!({"auth_time": NOW - 60}), 0, true),
            (json!({"auth_time": NOW - 61}), 0, false),
            (json!({"auth_time": NOW - 960}), 900, true),
            (json!({"auth_time": NOW - 961}), 900, false),
            (json!({}), 900, false),
            (json!({"auth_time": 0}), u64::MAX, true),
        ] {
            assert_eq!(check_with(&changes, Some(max_age)).is_ok(), want, "{changes} {max_age}");
        }
    }

    #[test]
    fn an_access_token_is_no_id_token() {
        let claims: Claims = serde_json::from_value(json!({})).unwrap();
        let expected =
            Expected { issuer: "i", client_id: "c", nonce: "n", max_age: None, access_token: None, now: NOW };
        for typ in ["at+jwt", "application/at+jwt", "logout+jwt"] {
            let header = Header { typ: Some(typ.to_owned()), ..Header::new(Algorithm::ES256) };
            assert_eq!(check(&header, &claims, &expected), Err(ClaimError::Type), "{typ}");
        }
    }
}
