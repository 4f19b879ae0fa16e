//! Signing in through an OpenID provider: the authorization code flow with PKCE.
//!
//! Invariants: `state`, `nonce` and an S256 challenge in every request, compared in constant time; an
//! answer that names another issuer ends the sign-in before its code is used; tokens are verified,
//! read and dropped; whoever leaves here is known by the provider's name and its `sub`.

use super::Identified;
use super::claims::{Claims, GroupsError};
use super::discovery::{Discovery, DiscoveryError, Metadata};
use super::id_token::{self, ClaimError, Expected};
use super::jwks::{self, Jwks, JwtError, Key};
use crate::access::Timestamp;
use crate::config::{OidcConfig, Secret};
use crate::fetch::{FetchError, Fetcher};
use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Header;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of a code, or of another value in an answer.
const MAX_VALUE: usize = 4096;
/// Everything that is asked of a provider for one step of a sign-in takes no longer.
const PATIENCE: Duration = Duration::from_secs(12);

/// What a sign-in asks for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ask {
    /// More than one factor: `acr_values` from the configuration.
    pub step_up: bool,
    /// The user must have proved who they are at most so many seconds ago; asks for it anew.
    pub max_age: Option<u64>,
}

/// A sign-in that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub url: String,
    /// What the answer is compared with. It travels in a sealed cookie.
    pub pending: Pending,
}

/// What the answer is compared with. Its `Debug` shows nothing.
#[derive(Clone, Deserialize, Serialize)]
pub struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    max_age: Option<u64>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending(…)")
    }
}

/// What the browser brought back. Its `Debug` shows nothing.
#[derive(Clone, Default, Deserialize)]
pub struct Answer {
    /// `state`.
    pub state: Option<String>,
    /// `code`.
    pub code: Option<String>,
    /// `iss` (RFC 9207).
    pub iss: Option<String>,
    /// `error`.
    pub error: Option<String>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer(…)")
    }
}

/// Why a sign-in did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider's configuration cannot be had.
    #[error("the provider cannot be used now")]
    Discovery(#[from] DiscoveryError),
    /// The answer is not this sign-in's.
    #[error("the answer is not of this sign-in")]
    State,
    /// The answer is another provider's, or does not say whose.
    #[error("the answer is not the provider's")]
    Issuer,
    /// The provider said no.
    #[error("the provider refused the sign-in with `{0}`")]
    Refused(String),
    /// The answer has no code, or one that no provider sends.
    #[error("the answer has no code")]
    Code,
    /// The token endpoint gave no usable answer.
    #[error("the provider did not exchange the code")]
    Token(#[source] FetchError),
    /// The token endpoint said no.
    #[error("the provider refused the code with `{0}`")]
    TokenRefused(String),
    /// The ID token is not the provider's.
    #[error("the provider's answer cannot be verified")]
    Signature(#[from] JwtError),
    /// The ID token says what it must not.
    #[error("the provider's answer is not acceptable")]
    Claim(#[from] ClaimError),
    /// The userinfo endpoint gave no usable answer.
    #[error("the provider did not say more about the user")]
    UserInfo(#[source] FetchError),
    /// The userinfo endpoint spoke of somebody else.
    #[error("the provider spoke of somebody else")]
    OtherUser,
    /// The groups are not known in full.
    #[error("the user's groups cannot be known")]
    Groups(#[from] GroupsError),
    /// Each answer came in time, but not all together.
    #[error("the provider took more than {} s", PATIENCE.as_secs())]
    Late,
    /// No randomness.
    #[error("no random numbers can be had")]
    Random,
}

impl OidcError {
    /// Whether the provider gave no usable answer, so that another try may succeed later. Otherwise it
    /// said no, or what it said does not hold.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Discovery(_) | Self::Token(_) | Self::UserInfo(_) | Self::Late | Self::Random => true,
            Self::Signature(error) => matches!(error, JwtError::NoKeys(_)),
            // RFC 6749 §4.1.2.1: the provider's own words for being down or overloaded.
            Self::Refused(error) => matches!(error.as_str(), "server_error" | "temporarily_unavailable"),
            Self::State
            | Self::Issuer
            | Self::Code
            | Self::TokenRefused(_)
            | Self::Claim(_)
            | Self::OtherUser
            | Self::Groups(_) => false,
        }
    }
}

/// A configured OpenID provider.
pub struct OidcProvider {
    pub(super) name: String,
    pub(super) config: OidcConfig,
    pub(super) secret: Option<Secret>,
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) fetcher: Fetcher,
    pub(super) discovery: Discovery,
    pub(super) jwks: Jwks,
}

impl std::fmt::Debug for OidcProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcProvider").field("name", &self.name).finish_non_exhaustive()
    }
}

impl OidcProvider {
    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds since the provider's keys were received; `None` before the first time.
    #[must_use]
    pub fn keys_age(&self, now: Timestamp) -> Option<i64> {
        self.jwks.age(now)
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    ///
    /// When the provider does not answer, or its configuration cannot be used.
    pub async fn begin(&self, redirect_uri: &str, ask: &Ask) -> Result<Begun, OidcError> {
        let Ask { step_up, max_age } = *ask;
        let asked = self.discovery.of_a_living_provider(&self.fetcher, &self.config.issuer);
        let metadata = timeout(PATIENCE, asked).await.map_err(|_| OidcError::Late)??;
        let pending = Pending { state: random()?, nonce: random()?, verifier: random()?, max_age };
        let challenge = digest::digest(&digest::SHA256, pending.verifier.as_bytes());
        let mut url = metadata.authorization.clone();
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.config.client_id)
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("scope", &self.scope())
                .append_pair("state", &pending.state)
                .append_pair("nonce", &pending.nonce)
                .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge.as_ref()))
                .append_pair("code_challenge_method", "S256");
            if step_up && !self.config.step_up_acr.is_empty() {
                query.append_pair("acr_values", &self.config.step_up_acr.join(" "));
            }
            if let Some(max_age) = max_age {
                // `max_age` is what the answer is held to; `prompt` is for providers that ignore it.
                query.append_pair("max_age", &max_age.to_string()).append_pair("prompt", "login");
            }
        }
        Ok(Begun { url: url.into(), pending })
    }

    /// Completes a sign-in with what the browser brought back.
    ///
    /// # Errors
    ///
    /// When anything about the answer, or what the provider says for it, is not as it must be.
    pub async fn complete(
        &self,
        redirect_uri: &str,
        pending: &Pending,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Identified, OidcError> {
        let asked = self.ask(redirect_uri, pending, answer, now);
        timeout(PATIENCE, asked).await.map_err(|_| OidcError::Late)?
    }

    async fn ask(
        &self,
        redirect_uri: &str,
        pending: &Pending,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Identified, OidcError> {
        let Answer { state, code, iss, error } = answer;
        let state = state.as_deref().unwrap_or_default();
        constant_time::verify_slices_are_equal(state.as_bytes(), pending.state.as_bytes())
            .map_err(|_| OidcError::State)?;
        let metadata = self.metadata().await?;
        match iss {
            Some(iss) if *iss != self.config.issuer => return Err(OidcError::Issuer),
            None if metadata.answers_carry_issuer => return Err(OidcError::Issuer),
            Some(_) | None => {}
        }
        if let Some(error) = error {
            return Err(OidcError::Refused(shown(error)));
        }
        let code =
            code.as_deref().filter(|code| (1..=MAX_VALUE).contains(&code.len())).ok_or(OidcError::Code)?;
        let tokens = self.exchange(&metadata, redirect_uri, code, &pending.verifier).await?;

        let header = jwks::header(&tokens.id_token)?;
        if !metadata.algorithms.contains(&header.alg) {
            return Err(JwtError::Algorithm.into());
        }
        let key = self.jwks.find(&self.fetcher, &metadata.jwks, &header, now).await?;
        let claims = jwks::verify(&tokens.id_token, &header, &key)?;
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce: &pending.nonce,
            max_age: pending.max_age,
            access_token: tokens.access_token.as_deref(),
            now,
        };
        let auth_time = id_token::check(&header, &claims, &expected)?;
        let more = self.user_info(&metadata, &claims, tokens.access_token.as_deref()).await?;
        self.identified(&claims, more.as_ref(), auth_time)
    }

    pub(super) fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// The key that a token's header names.
    pub(super) async fn key(&self, header: &Header, now: Timestamp) -> Result<Arc<Key>, OidcError> {
        let metadata = self.metadata().await?;
        Ok(self.jwks.find(&self.fetcher, &metadata.jwks, header, now).await?)
    }

    /// Who the claims speak of; `more` is what the userinfo endpoint added.
    pub(super) fn identified(
        &self,
        claims: &Claims,
        more: Option<&Claims>,
        auth_time: Option<Timestamp>,
    ) -> Result<Identified, OidcError> {
        let subject = claims.subject().ok_or(ClaimError::Subject)?.to_owned();
        let groups_claim = &self.config.groups_claim;
        // What the userinfo endpoint said counts only where the token said nothing.
        let groups = match more.filter(|_| !claims.has(groups_claim)) {
            Some(more) if more.has(groups_claim) => more.groups(groups_claim)?,
            Some(_) | None => claims.groups(groups_claim)?,
        };
        // Address and `email_verified` come from one place, or one would vouch for the other's.
        let email = match more.filter(|_| !has_email(claims)) {
            Some(more) => more.verified_email(),
            None => claims.verified_email(),
        };
        let speaks = more.filter(|_| !claims.has("preferred_username")).unwrap_or(claims);
        let name = claims.name().or_else(|| more.and_then(Claims::name));
        Ok(Identified {
            provider: self.name.clone(),
            user: speaks.user(email, &subject),
            email: email.map(ToOwned::to_owned),
            name,
            groups: groups.unwrap_or_default(),
            amr: claims.amr(),
            mfa: claims.mfa(&self.config.mfa_values),
            auth_time: auth_time.unwrap_or(0),
            subject,
        })
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, DiscoveryError> {
        self.discovery.metadata(&self.fetcher, &self.config.issuer).await
    }

    fn scope(&self) -> String {
        let mut scope = String::from("openid");
        for more in self.config.scopes.iter().filter(|more| *more != "openid") {
            scope.push(' ');
            scope.push_str(more);
        }
        scope
    }
}

pub(super) fn has_email(claims: &Claims) -> bool {
    claims.has("email") && claims.has("email_verified")
}

/// 256 random bits.
fn random() -> Result<String, OidcError> {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes).map_err(|_| OidcError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A provider's error code in a message: bounded, and nothing a reader would act on.
pub(super) fn shown(text: &str) -> String {
    let fits = |letter: &char| letter.is_ascii_alphanumeric() || "._-".contains(*letter);
    text.chars().filter(fits).take(64).collect()
}
