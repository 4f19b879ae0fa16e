//! One request from head to end: what is known of it, and what becomes of it in each phase.
//!
//! Two ways lead through it: `super::relay`, for what has no body to send on, and the framework's own
//! phases in `super::handler`, for everything else. Both ask here, so that neither can allow, record or
//! answer otherwise than the other.

use super::failure;
use super::forward::Forward;
use super::judge::{self, Admitted, Verdict};
use super::record::Record;
use super::request::{Kind, Request, Who};
use super::respond::{self, Refused};
use super::scope::Scope;
use super::upstream::Way;
use crate::access::{Reason, Timestamp};
use crate::pages::DeviceView;
use bytes::Bytes;
use futures::FutureExt;
use http::request::Parts;
use http::{StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::{BError, Error, ErrorSource, ErrorType, Result};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

/// A body must reach the least rate after this long, seconds.
const RATE_GRACE: u64 = 10;

/// Fields that a request gets on its way, as a rule.
const MOST_ADDED: usize = 14;

/// One request under way.
pub struct Exchange {
    scope: Option<Arc<Scope>>,
    record: Option<Record>,
    request: Option<Arc<Request>>,
    forward: Option<Forward>,
    failure: Option<Reason>,
    /// By its own account, its body is larger than any may be.
    too_large: bool,
    /// The answer has a length: it is a download, and no stream that goes on by itself.
    download: bool,
    body_began: Option<Instant>,
    body_bytes: u64,
}

impl Exchange {
    /// A request in these surroundings, of which nothing is known yet.
    pub(super) fn new(scope: Option<Arc<Scope>>) -> Self {
        let record =
            scope.as_ref().map(|scope| Record::new(Arc::clone(scope.gateway()), Some(Arc::clone(scope))));
        Self {
            scope,
            record,
            request: None,
            forward: None,
            failure: None,
            too_large: false,
            download: false,
            body_began: None,
            body_bytes: 0,
        }
    }

    #[expect(clippy::unnecessary_box_returns, reason = "the framework's errors are boxed")]
    pub(super) fn fail(&mut self, reason: Reason) -> BError {
        self.failure = Some(reason);
        Error::explain(ErrorType::InternalError, reason.code())
    }

    fn now(&self) -> Timestamp {
        self.scope.as_ref().map_or(0, |scope| scope.gateway().now())
    }

    /// Notes that the session that the request came with is in use.
    fn touch(&self, now: Timestamp) {
        if let Some(Who::Session(live)) = self.request.as_ref().map(|request| &request.who) {
            live.touch(now);
        }
    }

    /// Judges the request and, where it is not to be forwarded, answers it. Whether it was answered.
    ///
    /// # Errors
    /// The client went away, or something of ours failed.
    pub(super) async fn settle(&mut self, session: &mut ServerSession) -> Result<bool> {
        // A panic in a decision is a denial like any other fault: the client is told, and nothing is forwarded.
        let judged = AssertUnwindSafe(self.judge(session)).catch_unwind().await;
        match judged.unwrap_or_else(|_panic| Err(self.fail(Reason::InternalError)))? {
            Verdict::Forward(admitted) => {
                let Admitted { request, forward, too_large } = admitted;
                self.request = Some(request);
                self.forward = Some(forward);
                self.too_large = too_large;
                Ok(false)
            }
            Verdict::Answer(answer) => {
                let hsts =
                    self.scope.as_ref().and_then(|scope| scope.gateway().snapshot.load().config.tls.hsts);
                let Some(record) = &mut self.record else { return Ok(true) };
                record.status(answer.status.as_u16());
                let id = record.request_id();
                let sent = respond::send(session, answer, hsts, id).await.map_err(Error::into_down)?;
                record.bytes_out(sent);
                record.finish();
                Ok(true)
            }
        }
    }

    async fn judge(&mut self, session: &mut ServerSession) -> Result<Verdict> {
        let Some(scope) = self.scope.clone() else { return Err(self.fail(Reason::InternalError)) };
        let Some(mut record) = self.record.take() else { return Err(self.fail(Reason::InternalError)) };
        let verdict = judge::judge(session, &scope, &mut record).await;
        self.record = Some(record);
        verdict
    }

    /// Whether the request was judged and goes on.
    pub(super) fn is_admitted(&self) -> bool {
        self.forward.is_some()
    }

    /// Whether the request's upstream is spoken to over HTTP/2.
    pub(super) fn goes_to_http2(&self) -> bool {
        self.forward.as_ref().is_some_and(Forward::goes_to_http2)
    }

    /// The body that follows may be sent.
    ///
    /// # Errors
    /// It is too large by its own account, which is said before any of it is read, or the client is gone.
    pub(super) async fn welcome_body(&mut self, session: &mut ServerSession) -> Result<()> {
        if self.too_large {
            return Err(self.fail(Reason::RequestTooLarge));
        }
        let head = session.req_header();
        if head.headers.contains_key(http::header::EXPECT) && head.version == Version::HTTP_11 {
            session.write_continue_response().await?;
        }
        Ok(())
    }

    /// Where to connect. No permit, no upstream.
    ///
    /// # Errors
    /// There is no address.
    pub(super) fn way(&mut self) -> Result<Arc<Way>> {
        let now = self.now();
        let way = match &mut self.forward {
            Some(forward) => forward.way(now),
            None => Err(Reason::InternalError),
        };
        way.map_err(|reason| self.fail(reason))
    }

    /// Makes the request as the upstream gets it.
    ///
    /// # Errors
    /// There was no permit, or a value cannot be written in a header.
    pub(super) fn dress(&mut self, head: &mut RequestHeader) -> Result<()> {
        let Some(forward) = &self.forward else { return Err(self.fail(Reason::InternalError)) };
        forward.dress(head)?;
        forward.aim(head)
    }

    /// The same, of a head that is nobody's yet.
    ///
    /// # Errors
    /// There was no permit, or a value cannot be written in a header.
    pub(super) fn dressed(&mut self, mut head: Parts) -> Result<RequestHeader> {
        let Some(forward) = &self.forward else { return Err(self.fail(Reason::InternalError)) };
        head.headers.reserve(MOST_ADDED);
        forward.dress(&mut head)?;
        let mut head = RequestHeader::from(head);
        forward.aim(&mut head)?;
        Ok(head)
    }

    /// A part of the request's body has arrived.
    ///
    /// # Errors
    /// It is too much, or comes too slowly.
    pub(super) fn body_arrived(
        &mut self,
        session: &ServerSession,
        body: Option<&Bytes>,
        end: bool,
    ) -> Result<()> {
        let arrived = body.map_or(0, Bytes::len);
        let Some(scope) = self.scope.clone() else { return Err(self.fail(Reason::InternalError)) };
        let now = scope.gateway().now();
        scope.body_arrived(now, end);
        if let Some(record) = &mut self.record {
            record.bytes_in(arrived);
        }
        if arrived > 0 {
            // An upload and a conversation in a WebSocket are use of the session.
            self.touch(now);
        }
        if session.was_upgraded() {
            return Ok(());
        }
        self.body_bytes = self.body_bytes.saturating_add(u64::try_from(arrived).unwrap_or(u64::MAX));
        let limits = scope.gateway().snapshot.load().config.limits;
        if limits.max_body_bytes.is_some_and(|most| self.body_bytes > most) {
            return Err(self.fail(Reason::RequestTooLarge));
        }
        let took = self.body_began.get_or_insert_with(Instant::now).elapsed().as_secs();
        let least = took.saturating_mul(u64::from(limits.min_rate));
        let may_pause = self.request.as_ref().is_some_and(|request| request.may_pause());
        if took >= RATE_GRACE && !end && !may_pause && self.body_bytes < least {
            return Err(self.fail(Reason::RequestTimeout));
        }
        Ok(())
    }

    /// The upstream's answer has begun.
    ///
    /// # Errors
    /// It is none that may be passed on.
    pub(super) fn answer_began(&mut self, head: &mut ResponseHeader) -> Result<()> {
        let (Some(scope), Some(record), Some(forward)) = (&self.scope, &mut self.record, &mut self.forward)
        else {
            return Ok(());
        };
        if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        let asked = self.request.as_ref().is_some_and(|request| request.kind == Kind::WebSocket);
        if head.status == StatusCode::SWITCHING_PROTOCOLS && !asked {
            // A tunnel that nobody asked for would pass by every decision.
            return Err(self.fail(Reason::UpstreamUnavailable));
        }
        record.status(head.status.as_u16());
        self.download = head.headers.contains_key(http::header::CONTENT_LENGTH);
        let id = record.request_id();
        forward.answered(head, scope.gateway(), id)
    }

    /// A part of the answer's body went by.
    pub(super) fn answered(&mut self, bytes: usize) {
        if let Some(record) = &mut self.record {
            record.bytes_out(bytes);
        }
        if self.download {
            self.touch(self.now());
        }
    }

    /// The upstream's address could not be reached.
    #[expect(clippy::unnecessary_box_returns, reason = "the framework's errors are boxed")]
    pub(super) fn connect_failed(&mut self, mut error: BError) -> BError {
        // Nothing was sent, so trying elsewhere is safe whatever the method.
        let again = self.forward.as_ref().is_some_and(|forward| forward.failed(self.now(), true));
        error.set_retry(again);
        error
    }

    /// The exchange with the upstream broke off.
    #[expect(clippy::unnecessary_box_returns, reason = "the framework's errors are boxed")]
    pub(super) fn broke_off(&mut self, session: &ServerSession, mut error: BError, reused: bool) -> BError {
        let safe = session.req_header().method.is_idempotent() && !session.retry_buffer_truncated();
        if safe {
            error.retry.decide_reuse(reused);
        } else {
            error.set_retry(false);
        }
        if error.esource() == &ErrorSource::Upstream && !error.retry() {
            // Something was sent already, so the answer whether to try elsewhere is no.
            let _elsewhere = self.forward.as_ref().is_some_and(|forward| forward.failed(self.now(), false));
        }
        error
    }

    /// Tells the client what went wrong, where it can still be told. The status; 0 where nothing was said.
    pub(super) async fn refuse(&mut self, session: &mut ServerSession, error: &Error) -> u16 {
        let reason = self.failure.unwrap_or_else(|| failure::reason(error, self.scope.as_deref()));
        let Some(record) = &mut self.record else { return 0 };
        record.failed(reason);
        record.finish();
        session.set_keepalive(None);
        if session.response_written().is_some() || reason == Reason::ClientAborted {
            return 0;
        }
        let code = record.code();
        let answer = respond::refuse(&Refused {
            reason,
            step: None,
            kind: self.request.as_ref().map_or(Kind::Other, |request| request.kind),
            request: self.request.as_deref(),
            resource: None,
            shared_by: None,
            code: &code,
            user: None,
            device: DeviceView::default(),
            lacking: Vec::new(),
            redirect: None,
            retry_after: None,
            body: true,
        });
        let status = answer.status.as_u16();
        record.status(status);
        let id = record.request_id();
        if let Err(error) = respond::send(session, answer, None, id).await {
            tracing::debug!(%error, "the client did not take the answer");
        }
        status
    }

    /// The request is over.
    pub(super) fn over(&mut self, error: Option<&Error>) {
        let Some(record) = &mut self.record else { return };
        if let Some(error) = error {
            tracing::debug!(%error, request_id = %record.request_id(), "the request failed");
        }
        record.finish();
    }
}
