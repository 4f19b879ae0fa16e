//! What a provider says of itself (OpenID Connect Discovery 1.0).
//!
//! Invariant: the document's `issuer` is the configured one, byte for byte.

use super::jwks::ALGORITHMS;
use crate::fetch::{FetchError, Fetcher};
use arc_swap::ArcSwapOption;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

/// A document is asked for again after this.
const FRESH: Duration = Duration::from_hours(1);
/// Nobody is sent to a provider that was not heard of for longer than this: it may be down.
const HEARD: Duration = Duration::from_secs(5);
/// A document is used no longer than this when the provider cannot be asked.
const MAX_STALE: Duration = Duration::from_hours(24);
/// Between two tries.
const RETRY: Duration = Duration::from_secs(5);

/// Why a provider is not usable.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The document was not received.
    #[error("cannot get the provider's configuration")]
    Fetch(#[from] FetchError),
    /// The document is another provider's.
    #[error("the provider calls itself `{0}`, which is not the configured issuer")]
    Issuer(String),
    /// It signs with nothing that is accepted.
    #[error("the provider signs with no algorithm that is accepted")]
    Algorithms,
    /// It failed moments ago.
    #[error("the provider's configuration could not be had a moment ago")]
    Recently,
}

/// What is used of the document.
#[derive(Debug)]
pub(super) struct Metadata {
    pub authorization: Url,
    pub token: Url,
    pub jwks: Url,
    pub userinfo: Option<Url>,
    /// Answers carry `iss` (RFC 9207).
    pub answers_carry_issuer: bool,
    /// The client's secret goes into the form because the provider takes it nowhere else.
    pub secret_in_form: bool,
    /// What ID tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
}

/// The document as sent. Providers add fields of their own, so unknown ones are let be.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
}

/// The document, kept.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    kept: ArcSwapOption<(Instant, Arc<Metadata>)>,
    failed: Mutex<Option<Instant>>,
}

impl Discovery {
    /// The document of a provider that answers now, as far as can be known without asking each time.
    pub(super) async fn of_a_living_provider(
        &self,
        fetcher: &Fetcher,
        issuer: &str,
    ) -> Result<Arc<Metadata>, DiscoveryError> {
        self.ask(fetcher, issuer, HEARD, HEARD).await
    }

    /// The document, whether or not the provider can be asked.
    pub(super) async fn metadata(
        &self,
        fetcher: &Fetcher,
        issuer: &str,
    ) -> Result<Arc<Metadata>, DiscoveryError> {
        self.ask(fetcher, issuer, FRESH, MAX_STALE).await
    }

    /// One that is younger than `fresh`, or a new one, or one that is younger than `stale`.
    async fn ask(
        &self,
        fetcher: &Fetcher,
        issuer: &str,
        fresh: Duration,
        stale: Duration,
    ) -> Result<Arc<Metadata>, DiscoveryError> {
        if let Some(fresh) = self.younger_than(fresh) {
            return Ok(fresh);
        }
        let mut failed = self.failed.lock().await;
        if let Some(fresh) = self.younger_than(fresh) {
            return Ok(fresh);
        }
        let error = if failed.is_some_and(|at| at.elapsed() < RETRY) {
            DiscoveryError::Recently
        } else {
            match fetch(fetcher, issuer).await {
                Ok(metadata) => {
                    let metadata = Arc::new(metadata);
                    self.kept.store(Some(Arc::new((Instant::now(), Arc::clone(&metadata)))));
                    *failed = None;
                    return Ok(metadata);
                }
                Err(error) => error,
            }
        };
        if !matches!(error, DiscoveryError::Recently) {
            *failed = Some(Instant::now());
        }
        self.younger_than(stale).ok_or(error)
    }

    fn younger_than(&self, age: Duration) -> Option<Arc<Metadata>> {
        let kept = self.kept.load();
        let (at, metadata) = kept.as_deref()?;
        (at.elapsed() < age).then(|| Arc::clone(metadata))
    }
}

async fn fetch(fetcher: &Fetcher, issuer: &str) -> Result<Metadata, DiscoveryError> {
    let at = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let body = fetcher.get_json(fetcher.url(&at)?).await?;
    let document: Document = serde_json::from_slice(&body).map_err(|_| FetchError::NotJson)?;
    if document.issuer != issuer {
        return Err(DiscoveryError::Issuer(
            document.issuer.chars().take(200).flat_map(char::escape_debug).collect(),
        ));
    }
    let secret_in_form = document.token_endpoint_auth_methods_supported.is_some_and(|methods| {
        let has = |name: &str| methods.iter().any(|method| method == name);
        has("client_secret_post") && !has("client_secret_basic")
    });
    let algorithms: Vec<Algorithm> = match document.id_token_signing_alg_values_supported {
        None => ALGORITHMS.to_vec(),
        Some(names) => ALGORITHMS
            .into_iter()
            .filter(|algorithm| names.iter().any(|name| Algorithm::from_str(name).ok() == Some(*algorithm)))
            .collect(),
    };
    if algorithms.is_empty() {
        return Err(DiscoveryError::Algorithms);
    }
    Ok(Metadata {
        authorization: fetcher.url(&document.authorization_endpoint)?,
        token: fetcher.url(&document.token_endpoint)?,
        jwks: fetcher.url(&document.jwks_uri)?,
        userinfo: document.userinfo_endpoint.as_deref().map(|url| fetcher.url(url)).transpose()?,
        answers_carry_issuer: document.authorization_response_iss_parameter_supported,
        secret_in_form,
        algorithms,
    })
}
