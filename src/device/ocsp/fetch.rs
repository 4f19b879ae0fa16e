//! Asking responders, beside the requests.
//!
//! Answers are signed, so they may come in the clear; what comes is bounded in bytes and time, and no
//! redirect is followed.

use super::answers::{Answers, Entry};
use super::wire::{Answer, AnswerError};
use crate::access::Timestamp;
use reqwest::{Client, StatusCode, header, redirect};
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// From the first byte sent to the last received.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MAX_BODY: usize = 64 * 1024;
/// Questions under way at once.
const MAX_FETCHES: usize = 8;
/// How often it is looked what grows old.
const ROUND: Duration = Duration::from_secs(1);

/// Why a responder gave no usable answer.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the question cannot be written")]
    Question,
    #[error("the responder did not answer")]
    Unreachable(#[source] reqwest::Error),
    #[error("the responder answered with status {0}")]
    Status(u16),
    #[error("the responder's answer is not `application/ocsp-response`")]
    Type,
    #[error("the responder's answer has more than {MAX_BODY} bytes")]
    TooLarge,
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// Keeps [`Answers`] fresh.
pub struct Refresher {
    answers: Arc<Answers>,
    client: Client,
    now: fn() -> Timestamp,
    on_revoked: Box<dyn Fn() + Send + Sync>,
}

impl Refresher {
    /// What keeps these fresh by this clock; `on_revoked` is called when a certificate turns out to be
    /// revoked, so that what it opened can be ended at once.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(
        answers: Arc<Answers>,
        now: fn() -> Timestamp,
        on_revoked: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            // A responder is the organisation's own, and what a proxy would hide is signed.
            .no_proxy()
            .user_agent(concat!("tiergate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { answers, client, now, on_revoked: Box::new(on_revoked) })
    }

    /// Asks what is wanted, for as long as the task lives. Only the first caller does anything.
    pub async fn run(self) {
        let taken = self.answers.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut wanted) = taken else { return };
        let mut queue = VecDeque::new();
        let mut under_way = JoinSet::new();
        let mut round = tokio::time::interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(entry) = wanted.recv(), if queue.len() < MAX_FETCHES => queue.push_back(entry),
                _ = round.tick() => self.answers.round((self.now)()),
                Some(done) = under_way.join_next() => self.take(done),
            }
            while under_way.len() < MAX_FETCHES
                && let Some(entry) = queue.pop_front()
            {
                under_way.spawn(ask(self.client.clone(), entry, self.now));
            }
        }
    }

    fn take(&self, done: Result<(Arc<Entry>, Result<Answer, FetchError>), tokio::task::JoinError>) {
        let (entry, answer) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a question to an OCSP responder broke off");
                return;
            }
        };
        let now = (self.now)();
        match answer {
            Ok(answer) => {
                if entry.take(answer, now) {
                    tracing::info!(url = %entry.url, "an OCSP responder says that a device certificate is revoked");
                    (self.on_revoked)();
                }
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, url = %entry.url, "an OCSP responder gave no usable answer");
                entry.failed(now);
            }
        }
    }
}

async fn ask(
    client: Client,
    entry: Arc<Entry>,
    now: fn() -> Timestamp,
) -> (Arc<Entry>, Result<Answer, FetchError>) {
    let answer = answer(&client, &entry, now).await;
    (entry, answer)
}

async fn answer(client: &Client, entry: &Entry, now: fn() -> Timestamp) -> Result<Answer, FetchError> {
    let question = entry.asked.question().ok_or(FetchError::Question)?;
    let unreachable = |error: reqwest::Error| FetchError::Unreachable(error.without_url());
    let request = client
        .post(&*entry.url)
        .header(header::CONTENT_TYPE, "application/ocsp-request")
        .header(header::ACCEPT, "application/ocsp-response")
        .body(question);
    let mut answer = request.send().await.map_err(unreachable)?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status(answer.status().as_u16()));
    }
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/ocsp-response")) {
        return Err(FetchError::Type);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(entry.asked.read(&body, now())?)
}
