//! Lies about keys, and tokens that are presented without a sign-in.

use super::super::bearer::{Bearer, BearerError, BearerVerifier};
use super::super::jwks;
use super::{NOW, signer, start, told};
use crate::access::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn keys_are_asked_for_once_a_minute_and_believed_for_a_day() {
    let idp = start().await;
    let token = |kid: &str| {
        let mut script = idp.script.lock().unwrap();
        script.header.kid = Some(kid.to_owned());
        script.token()
    };
    let find = async |kid: &str, now: Timestamp| {
        let header = jwks::header(&token(kid)).unwrap();
        told(idp.oidc.key(&header, now).await.map(|_| kid.to_owned()))
    };
    let asked = || idp.script.lock().unwrap().jwks_asked;
    assert_eq!(find("k1", NOW).await, "ok k1");
    for n in 0..1000 {
        assert_eq!(find(&format!("x{n}"), NOW + 1).await, "the token names no key of the provider");
    }
    assert_eq!(asked(), 1);
    // Rotation: the new key is there a minute later.
    let old = idp.script.lock().unwrap().jwks.clone();
    idp.script.lock().unwrap().jwks = json!({"keys": [signer("k2").jwk]});
    assert_eq!(find("k2", NOW + 59).await, "the token names no key of the provider");
    assert_eq!(find("k1", NOW + 60).await, "ok k1");
    assert_eq!(find("k2", NOW + 60).await, "ok k2");
    assert_eq!(find("k1", NOW + 61).await, "the token names no key of the provider", "the old key is gone");
    assert_eq!(asked(), 2);
    // An outage.
    idp.script.lock().unwrap().jwks_status = 500;
    let day = NOW + 60 + 24 * 3600;
    assert_eq!(find("k2", day).await, "ok k2");
    assert_eq!(find("k2", day + 1).await, "the provider's keys cannot be had");
    assert_eq!(find("k2", day + 61).await, "the answer has status 500");
    idp.script.lock().unwrap().jwks_status = 200;
    idp.script.lock().unwrap().jwks = old;
    assert_eq!(find("k1", day + 121).await, "ok k1");
}

#[tokio::test]
async fn a_bearer_token_is_for_us_from_a_listed_issuer_and_no_id_token() {
    let idp = start().await;
    let verifier = BearerVerifier::new([&idp.oidc].into_iter());
    let none = BearerVerifier::new(std::iter::empty());
    let issuer = idp.script.lock().unwrap().issuer.clone();
    let at = |typ: Option<&str>, changes: Value| {
        let mut script = idp.script.lock().unwrap();
        script.header.typ = typ.map(ToOwned::to_owned);
        let mut claims = json!({"iss": issuer, "sub": "1", "aud": "https://api.test", "exp": NOW + 300, "iat": NOW, "groups": ["eng"]});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        script.claims = claims;
        script.token()
    };
    let told_of = |result: Result<Arc<Bearer>, BearerError>| {
        told(result.map(|bearer| format!("{} {:?}", bearer.who.user, bearer.who.groups)))
    };
    let good = "ok 1 [\"eng\"]";
    for (token, want) in [
        (at(Some("at+jwt"), json!({})), good),
        (at(Some("application/at+jwt"), json!({})), good),
        (at(Some("JWT"), json!({})), good),
        (at(None, json!({})), good),
        (at(Some("logout+jwt"), json!({})), "the token is of another type"),
        (at(None, json!({"aud": "tiergate"})), "the token is for somebody else"),
        (at(None, json!({"aud": "tiergate", "nonce": "n"})), "the token is for somebody else"),
        (at(None, json!({"aud": ["https://api.test", "tiergate"]})), "the token is of another type"),
        (at(Some("at+jwt"), json!({"aud": ["https://api.test", "tiergate"]})), good),
        (at(None, json!({"nonce": "n"})), "the token is of another type"),
        (at(Some("at+jwt"), json!({"aud": "https://other.test"})), "the token is for somebody else"),
        (at(Some("at+jwt"), json!({"aud": null})), "the token is for somebody else"),
        (at(Some("at+jwt"), json!({"iss": "https://evil"})), "the token is not of a listed issuer"),
        (at(Some("at+jwt"), json!({"exp": NOW - 60})), "the token has expired"),
        (at(Some("at+jwt"), json!({"nbf": NOW + 61})), "the token is not of now"),
        (at(Some("at+jwt"), json!({"sub": null})), "the token does not say who it is about"),
        ("opaque".to_owned(), "the token is not of a listed issuer"),
        (
            format!("{}x", at(Some("at+jwt"), json!({"jti": "s"}))),
            "the token is not a signed JWT of a kind that is accepted",
        ),
        ("a".repeat(20_000), "the token is not of a listed issuer"),
    ] {
        assert_eq!(told_of(verifier.verify(&token, NOW).await), want, "{token}");
        assert_eq!(told_of(none.verify(&token, NOW).await), "the token is not of a listed issuer");
    }
}

#[tokio::test]
async fn a_verified_bearer_token_is_believed_for_five_minutes_and_never_beyond_its_end() {
    let idp = start().await;
    let verifier = BearerVerifier::new([&idp.oidc].into_iter());
    let token = |expires: Timestamp| {
        let mut script = idp.script.lock().unwrap();
        script.claims["aud"] = json!("https://api.test");
        script.claims["exp"] = json!(expires);
        script.token()
    };
    let (long, short) = (token(NOW + 3600), token(NOW + 10));
    for token in [&long, &short] {
        verifier.verify(token, NOW).await.unwrap();
    }
    // The key is gone, and everybody will soon know.
    idp.script.lock().unwrap().jwks = json!({"keys": [signer("k2").jwk]});
    let unknown = jwks::header(&{
        idp.script.lock().unwrap().header.kid = Some("k2".to_owned());
        token(NOW)
    })
    .unwrap();
    idp.oidc.key(&unknown, NOW + 60).await.unwrap();
    verifier.verify(&long, NOW + 299).await.unwrap();
    assert!(matches!(verifier.verify(&long, NOW + 300).await, Err(BearerError::Invalid(_))));
    verifier.verify(&short, NOW + 9).await.unwrap();
    assert!(verifier.verify(&short, NOW + 10).await.is_err());
}
