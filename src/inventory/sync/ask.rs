//! Asking the device management: the token, one page, and what its answer says.

use super::pull::PullError;
use crate::access::Timestamp;
use crate::config::{Secret, SyncConfig, SyncCredentials};
use crate::fetch::{Bounds, FetchError, Fetcher, Reply, credentials};
use reqwest::{StatusCode, header};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

/// Bytes of a page.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Nobody is kept waiting longer, whatever is asked for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// One pull's way to ask.
pub(super) struct Asking {
    config: Arc<SyncConfig>,
    fetcher: Fetcher,
    secret: Secret,
    bearer: header::HeaderValue,
    now: Timestamp,
}

/// What became of a page that was asked for.
pub(super) enum Answer {
    /// It is as it was when it had this tag.
    Unchanged,
    /// It is this, and has this tag.
    New(bytes::Bytes, Option<header::HeaderValue>),
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
}

impl Asking {
    /// Reads the secret and the authorities, and asks for a token where one is asked for.
    pub(super) async fn new(config: &Arc<SyncConfig>, now: Timestamp) -> Result<Self, PullError> {
        let read = Arc::clone(config);
        let files = tokio::task::spawn_blocking(move || {
            let secret = match &read.credentials {
                SyncCredentials::Token(source) | SyncCredentials::Client { secret: source, .. } => source,
            };
            let secret = credentials::secret(secret)?;
            let authorities = read.ca.as_deref().map(credentials::authorities).transpose()?;
            Ok::<_, PullError>((secret, authorities))
        });
        let (secret, authorities) = files.await.map_err(|_| PullError::Stopped)??;
        let bounds = Bounds { time: config.timeout, bytes: MOST_BYTES };
        let fetcher = Fetcher::new(config.first.as_str(), authorities.as_deref(), bounds)?;
        let bearer = bearer(&config.credentials, &secret, authorities.as_deref(), bounds).await?;
        let config = Arc::clone(config);
        Ok(Self { config, fetcher, secret, bearer, now })
    }

    /// Asks for a page, which had this tag the last time.
    pub(super) async fn page(
        &mut self,
        url: &Url,
        tag: Option<&header::HeaderValue>,
    ) -> Result<Answer, PullError> {
        let mut reply = self.send(url, tag).await?;
        // Tokens may end in the middle of a long list.
        if reply.status == StatusCode::UNAUTHORIZED
            && matches!(self.config.credentials, SyncCredentials::Client { .. })
        {
            self.renew().await?;
            reply = self.send(url, tag).await?;
        }
        let Reply { status, mut headers, body } = reply;
        match status {
            StatusCode::OK => Ok(Answer::New(body, headers.remove(header::ETAG))),
            StatusCode::NOT_MODIFIED if tag.is_some() => Ok(Answer::Unchanged),
            _ => Err(refused(status, &headers, self.now)),
        }
    }

    /// The address of a page that a page names.
    pub(super) fn next(&self, page: &Url, text: &str) -> Result<Url, PullError> {
        let next = page.join(text).map_err(|_| PullError::Link)?;
        let next = self.fetcher.url(next.as_str()).map_err(|_| PullError::Link)?;
        // The token is for this service and for nobody else.
        if next.origin() == self.config.first.origin() { Ok(next) } else { Err(PullError::Link) }
    }

    async fn send(&self, url: &Url, tag: Option<&header::HeaderValue>) -> Result<Reply, FetchError> {
        let mut request = self.fetcher.get(url.clone()).header(header::AUTHORIZATION, self.bearer.clone());
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag.clone());
        }
        self.fetcher.send(request).await
    }

    async fn renew(&mut self) -> Result<(), PullError> {
        let read = Arc::clone(&self.config);
        let authorities =
            tokio::task::spawn_blocking(move || read.ca.as_deref().map(credentials::authorities).transpose());
        let authorities = authorities.await.map_err(|_| PullError::Stopped)??;
        let bounds = Bounds { time: self.config.timeout, bytes: MOST_BYTES };
        self.bearer = bearer(&self.config.credentials, &self.secret, authorities.as_deref(), bounds).await?;
        Ok(())
    }
}

/// The `Authorization` of every page.
async fn bearer(
    credentials: &SyncCredentials,
    secret: &Secret,
    authorities: Option<&[u8]>,
    bounds: Bounds,
) -> Result<header::HeaderValue, PullError> {
    let token = match credentials {
        SyncCredentials::Token(_) => secret.clone(),
        SyncCredentials::Client { token_url, id, secret: _, scope } => {
            let fetcher = Fetcher::new(token_url.as_str(), authorities, bounds).map_err(PullError::Token)?;
            let mut form = vec![
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("client_secret", secret.expose()),
            ];
            form.extend(scope.as_deref().map(|scope| ("scope", scope)));
            let request = fetcher.post(token_url.clone()).form(&form);
            let Reply { status, body, .. } = fetcher.send(request).await.map_err(PullError::Token)?;
            if !status.is_success() {
                return Err(PullError::Token(FetchError::Status(status.as_u16())));
            }
            let tokens = serde_json::from_slice::<Tokens>(&body);
            Secret::new(&tokens.map_err(|_| PullError::Token(FetchError::NotJson))?.access_token)
        }
    };
    let mut bearer = header::HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| PullError::NoToken)?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// What a status that brings no page means.
fn refused(status: StatusCode, headers: &header::HeaderMap, now: Timestamp) -> PullError {
    let wait = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    PullError::Refused { status: status.as_u16(), wait: wait.and_then(|text| retry_after(text, now)) }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let seconds = text.trim().parse::<u64>().ok().or_else(|| {
        let at = OffsetDateTime::parse(text.trim(), &Rfc2822).ok()?.unix_timestamp();
        u64::try_from(at.saturating_sub(now)).ok()
    });
    seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_is_asked_for_is_seconds_or_a_date_and_bounded() {
        for (text, want) in [
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("86400", Some(3600)),
            ("Wed, 25 Nov 2026 08:01:30 GMT", Some(90)),
            ("Wed, 25 Nov 2026 07:00:00 GMT", None),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, 1_795_593_600), want.map(Duration::from_secs), "{text}");
        }
    }
}
