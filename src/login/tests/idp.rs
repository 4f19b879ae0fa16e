//! A truthful OpenID provider on loopback, whose codes say whom they stand for.

use crate::access::Timestamp;
use crate::identity::tampering::{Fields, Idp, start_as};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where browsers are sent; nothing is there.
pub(super) const AUTHORIZE: &str = "https://idp.test/authorize";

/// Starts it by the name `idp`. A code is `USER.NONCE.CHALLENGE`, `USER:mfa.…` after a second factor,
/// or `USER::AUTH_TIME.…`; the user `bad` is refused.
pub(super) async fn start(clock: Arc<AtomicI64>) -> Idp {
    let idp = start_as("idp").await;
    let mut script = idp.script.lock().unwrap();
    let issuer = script.issuer.clone();
    script.discovery["authorization_endpoint"] = json!(AUTHORIZE);
    let document = script.discovery.as_object_mut().unwrap();
    document.remove("authorization_response_iss_parameter_supported");
    document.remove("userinfo_endpoint");
    script.claims_for = Some(Box::new(move |form| claims(&issuer, form, clock.load(Ordering::SeqCst))));
    drop(script);
    idp
}

fn claims(issuer: &str, form: &Fields, now: Timestamp) -> Option<Value> {
    let mut parts = form["code"].split('.');
    let mut who = parts.next()?.split(':');
    let (nonce, challenge) = (parts.next()?, parts.next()?);
    let hash = digest::digest(&digest::SHA256, form["code_verifier"].as_bytes());
    assert_eq!(URL_SAFE_NO_PAD.encode(hash), challenge);
    let user = who.next().filter(|user| *user != "bad")?;
    let amr = who.next().filter(|factor| !factor.is_empty());
    let auth_time = who.next().map_or(now, |time| time.parse().unwrap());
    Some(json!({
        "iss": issuer, "aud": "tiergate", "nonce": nonce, "iat": now, "exp": now + 300,
        "sub": format!("sub-{user}"), "preferred_username": user, "groups": ["eng"],
        "amr": amr.into_iter().collect::<Vec<_>>(), "auth_time": auth_time,
    }))
}
