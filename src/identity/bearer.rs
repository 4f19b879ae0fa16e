//! Bearer tokens: JWTs that a listed issuer made for us, for terminals and scripts.
//!
//! A provider's tokens are accepted only where its configuration has `bearer_audiences`, and then
//! those whose `aud` is one of them. An ID token is never one: its audience is the client, which may
//! not be listed; and a token that is not marked `at+jwt` (RFC 9068) is refused when the client is
//! among its audiences or when it has a claim that only ID tokens have.
//!
//! Invariants: the token itself is not kept, only its digest; nothing is believed from memory longer
//! than five minutes or than the token says.

use super::Identified;
use super::id_token::{self, ClaimError};
use super::jwks::{self, JwtError};
use super::oidc::{OidcError, OidcProvider};
use crate::access::Timestamp;
use jsonwebtoken::Header;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a token.
const MAX_TOKEN: usize = 16 * 1024;
/// Tokens remembered.
const MAX_CACHED: usize = 10_000;
/// How long, in seconds.
const MAX_CACHED_FOR: i64 = 300;

/// A bearer token that was verified.
#[derive(Debug)]
pub struct Bearer {
    /// Whom it names.
    pub who: Identified,
    /// When it is good no more, Unix seconds.
    pub expires: Timestamp,
}

/// Why a bearer token is nobody's.
#[derive(Debug, thiserror::Error)]
pub enum BearerError {
    /// It is no JWT of a listed issuer: nothing that tiergate uses.
    #[error("the token is not of a listed issuer")]
    NotListed,
    /// It is of a listed issuer and not right.
    #[error("the token is not valid")]
    Invalid(#[source] OidcError),
    /// It was, and has expired.
    #[error("the token has expired")]
    Expired,
    /// The issuer's keys cannot be had.
    #[error("the token cannot be verified now")]
    Unavailable(#[source] OidcError),
}

/// By digest: what a token said, and until when that is believed.
type Known = HashMap<[u8; 32], (Arc<Bearer>, Timestamp)>;

/// Verifies bearer tokens.
pub struct BearerVerifier {
    issuers: Vec<Arc<OidcProvider>>,
    known: Mutex<Known>,
}

impl std::fmt::Debug for BearerVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BearerVerifier").field("issuers", &self.issuers).finish_non_exhaustive()
    }
}

/// What decides whose token it is, before anything about it is believed.
#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

impl BearerVerifier {
    /// For those of the providers that have `bearer_audiences`.
    pub(super) fn new<'a>(providers: impl Iterator<Item = &'a Arc<OidcProvider>>) -> Self {
        let issuers = providers.filter(|oidc| !oidc.config().bearer_audiences.is_empty()).cloned().collect();
        Self { issuers, known: Mutex::default() }
    }

    /// Whose token it is.
    ///
    /// # Errors
    ///
    /// [`BearerError::NotListed`] where it is nothing tiergate uses; everything else is a refusal.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Bearer>, BearerError> {
        if self.issuers.is_empty() || token.len() > MAX_TOKEN {
            return Err(BearerError::NotListed);
        }
        let digest = digest(token);
        if let Some(bearer) = self.remembered(&digest, now) {
            return Ok(bearer);
        }
        let Unverified { iss } =
            jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| BearerError::NotListed)?;
        let mut refused = BearerError::NotListed;
        // Two providers may share an issuer, as two of its clients.
        for oidc in self.issuers.iter().filter(|oidc| oidc.config().issuer == iss) {
            match verify_with(oidc, token, now).await {
                Ok(bearer) => {
                    let bearer = Arc::new(bearer);
                    self.remember(digest, &bearer, now);
                    return Ok(bearer);
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn remembered(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<Bearer>> {
        let known = self.lock();
        known.get(digest).filter(|(_, until)| now < *until).map(|(bearer, _)| Arc::clone(bearer))
    }

    fn remember(&self, digest: [u8; 32], bearer: &Arc<Bearer>, now: Timestamp) {
        let until = bearer.expires.min(now.saturating_add(MAX_CACHED_FOR));
        let mut known = self.lock();
        if known.len() >= MAX_CACHED {
            known.retain(|_, (_, until)| *until > now);
        }
        // When it is full of what is still good, the rest is verified every time.
        if known.len() < MAX_CACHED {
            known.insert(digest, (Arc::clone(bearer), until));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Entries are inserted whole: one that a panic left behind is right.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn verify_with(oidc: &OidcProvider, token: &str, now: Timestamp) -> Result<Bearer, BearerError> {
    let invalid = |error: JwtError| BearerError::Invalid(error.into());
    let header = jwks::header(token).map_err(invalid)?;
    let marked = marked(&header).map_err(|error| BearerError::Invalid(error.into()))?;
    let key = oidc.key(&header, now).await.map_err(|error| {
        if error.is_outage() { BearerError::Unavailable(error) } else { BearerError::Invalid(error) }
    })?;
    let claims = jwks::verify(token, &header, &key).map_err(invalid)?;
    let refuse = |error: ClaimError| BearerError::Invalid(error.into());
    if claims.text("iss") != Some(oidc.config().issuer.as_str()) {
        return Err(refuse(ClaimError::Issuer));
    }
    let audiences = id_token::audiences(&claims).ok_or(refuse(ClaimError::Audience))?;
    if !audiences.iter().any(|audience| oidc.config().bearer_audiences.iter().any(|ours| ours == audience)) {
        return Err(refuse(ClaimError::Audience));
    }
    let like_id_token = audiences.contains(&oidc.config().client_id.as_str())
        || ["nonce", "at_hash", "c_hash"].iter().any(|claim| claims.has(claim));
    if !marked && like_id_token {
        return Err(refuse(ClaimError::Type));
    }
    id_token::times(&claims, now).map_err(|error| match error {
        ClaimError::Expired => BearerError::Expired,
        ClaimError::Type
        | ClaimError::Issuer
        | ClaimError::Audience
        | ClaimError::Time
        | ClaimError::Nonce
        | ClaimError::Subject
        | ClaimError::AccessToken
        | ClaimError::AuthTime => refuse(error),
    })?;
    let auth_time = claims.time("auth_time").map_err(|()| refuse(ClaimError::AuthTime))?;
    if auth_time.is_some_and(|time| time > now.saturating_add(id_token::SKEW)) {
        return Err(refuse(ClaimError::AuthTime));
    }
    let expires = claims.time("exp").ok().flatten().ok_or(BearerError::Expired)?;
    let who = oidc.identified(&claims, None, auth_time).map_err(BearerError::Invalid)?;
    Ok(Bearer { who, expires })
}

/// Whether `typ` says that it is an access token; it may say nothing, and it must not say otherwise.
fn marked(header: &Header) -> Result<bool, ClaimError> {
    match header.typ.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("at+jwt" | "application/at+jwt") => Ok(true),
        Some("jwt") | None => Ok(false),
        Some(_) => Err(ClaimError::Type),
    }
}

fn digest(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    key
}
