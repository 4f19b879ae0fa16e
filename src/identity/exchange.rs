//! What is asked of a provider once the browser came back: its token and userinfo endpoints.
//!
//! Invariant: codes, secrets and tokens go where they belong and nowhere else, no error included.

use super::claims::Claims;
use super::discovery::Metadata;
use super::oidc::{OidcError, OidcProvider, has_email, shown};
use crate::fetch::{FetchError, Reply};
use reqwest::{StatusCode, header};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

#[derive(Deserialize)]
pub(super) struct Tokens {
    pub id_token: String,
    pub access_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl OidcProvider {
    /// Exchanges a code for tokens.
    pub(super) async fn exchange(
        &self,
        metadata: &Metadata,
        redirect_uri: &str,
        code: &str,
        verifier: &str,
    ) -> Result<Tokens, OidcError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        let client_id = &self.config.client_id;
        let mut request = self.fetcher.post(metadata.token.clone());
        match &self.secret {
            None => form.push(("client_id", client_id)),
            Some(secret) if metadata.secret_in_form => {
                form.push(("client_id", client_id));
                form.push(("client_secret", secret.expose()));
            }
            Some(secret) => {
                // RFC 6749 §2.3.1: both are form-encoded before they are joined.
                let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encode(client_id), Some(encode(secret.expose())));
            }
        }
        let Reply { status, body, .. } =
            self.fetcher.send(request.form(&form)).await.map_err(OidcError::Token)?;
        if !status.is_success() {
            return Err(match serde_json::from_slice::<Refusal>(&body) {
                Ok(refusal) if status.is_client_error() => OidcError::TokenRefused(shown(&refusal.error)),
                Ok(_) | Err(_) => OidcError::Token(FetchError::Status(status.as_u16())),
            });
        }
        serde_json::from_slice(&body).map_err(|_| OidcError::Token(FetchError::NotJson))
    }

    /// What the userinfo endpoint adds, asked only where the ID token leaves something open.
    pub(super) async fn user_info(
        &self,
        metadata: &Metadata,
        claims: &Claims,
        access_token: Option<&str>,
    ) -> Result<Option<Claims>, OidcError> {
        if claims.has(&self.config.groups_claim) && has_email(claims) {
            return Ok(None);
        }
        let (Some(url), Some(token)) = (&metadata.userinfo, access_token) else {
            return Ok(None);
        };
        let mut bearer = header::HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| OidcError::UserInfo(FetchError::NotJson))?;
        bearer.set_sensitive(true);
        let request = self.fetcher.get(url.clone()).header(header::AUTHORIZATION, bearer);
        let Reply { status, body, .. } = self.fetcher.send(request).await.map_err(OidcError::UserInfo)?;
        if status != StatusCode::OK {
            return Err(OidcError::UserInfo(FetchError::Status(status.as_u16())));
        }
        let more: Claims =
            serde_json::from_slice(&body).map_err(|_| OidcError::UserInfo(FetchError::NotJson))?;
        if more.subject().is_some() && more.subject() == claims.subject() {
            Ok(Some(more))
        } else {
            Err(OidcError::OtherUser)
        }
    }
}
