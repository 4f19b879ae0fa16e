//! One request from head to end, in the framework's phases.

use super::failure;
use super::forward::Forward;
use super::judge::{self, Admitted, Verdict};
use super::record::Record;
use super::request::{Kind, Request, Who};
use super::respond::{self, Refused};
use super::scope::Scope;
use crate::access::{Reason, Timestamp};
use crate::pages::DeviceView;
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::{BError, Error, ErrorSource, ErrorType, Result};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A body must reach the least rate after this long, seconds.
const RATE_GRACE: u64 = 10;

/// The framework's callbacks. What they need comes with the request's [`Scope`].
pub struct Handler;

/// One request under way.
pub struct Exchange {
    scope: Option<Arc<Scope>>,
    record: Option<Record>,
    request: Option<Arc<Request>>,
    forward: Option<Forward>,
    failure: Option<Reason>,
    /// The answer has a length: it is a download, and no stream that goes on by itself.
    download: bool,
    body_began: Option<Instant>,
    body_bytes: u64,
}

impl Exchange {
    #[expect(clippy::unnecessary_box_returns, reason = "the framework's errors are boxed")]
    fn fail(&mut self, reason: Reason) -> BError {
        self.failure = Some(reason);
        Error::explain(ErrorType::InternalError, reason.code())
    }

    /// Notes that the session that the request came with is in use.
    fn touch(&self, now: Timestamp) {
        if let Some(Who::Session(live)) = self.request.as_ref().map(|request| &request.who) {
            live.touch(now);
        }
    }

    async fn judge(&mut self, session: &mut Session) -> Result<Verdict> {
        let Some(scope) = self.scope.clone() else { return Err(self.fail(Reason::InternalError)) };
        let Some(mut record) = self.record.take() else { return Err(self.fail(Reason::InternalError)) };
        let verdict = judge::judge(session, &scope, &mut record).await;
        self.record = Some(record);
        verdict
    }
}

#[async_trait]
impl ProxyHttp for Handler {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        let scope = Scope::current();
        let record =
            scope.as_ref().map(|scope| Record::new(Arc::clone(scope.gateway()), Some(Arc::clone(scope))));
        Exchange {
            scope,
            record,
            request: None,
            forward: None,
            failure: None,
            download: false,
            body_began: None,
            body_bytes: 0,
        }
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        // A panic in a decision is a denial like any other fault: the client is told, and nothing is forwarded.
        let judged = AssertUnwindSafe(exchange.judge(session)).catch_unwind().await;
        let verdict = judged.unwrap_or_else(|_panic| Err(exchange.fail(Reason::InternalError)))?;
        match verdict {
            Verdict::Forward(admitted) => {
                let Admitted { request, forward, too_large } = *admitted;
                exchange.request = Some(request);
                exchange.forward = Some(forward);
                // A body that is too large by its own account is refused before any of it is read.
                if too_large {
                    return Err(exchange.fail(Reason::RequestTooLarge));
                }
                let expects = session.req_header().headers.contains_key(http::header::EXPECT);
                if expects && session.req_header().version == http::Version::HTTP_11 {
                    session.as_downstream_mut().write_continue_response().await?;
                }
                Ok(false)
            }
            Verdict::Answer(answer) => {
                let hsts =
                    exchange.scope.as_ref().and_then(|scope| scope.gateway().snapshot().config.tls.hsts);
                let status = answer.status.as_u16();
                let Some(record) = &mut exchange.record else { return Ok(true) };
                record.status(status);
                let id = record.request_id().to_owned();
                let sent = respond::send(session, answer, hsts, &id).await?;
                record.bytes_out(sent);
                record.finish();
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        let now = exchange.scope.as_ref().map_or(0, |scope| scope.gateway().now());
        // No permit, no upstream.
        let peer = match &mut exchange.forward {
            Some(forward) => forward.peer(now),
            None => Err(Reason::InternalError),
        };
        peer.map(Box::new).map_err(|reason| exchange.fail(reason))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        head: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        match &exchange.forward {
            Some(forward) => forward.dress(head),
            None => Err(exchange.fail(Reason::InternalError)),
        }
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let arrived = body.as_ref().map_or(0, Bytes::len);
        let Some(scope) = exchange.scope.clone() else { return Err(exchange.fail(Reason::InternalError)) };
        let now = scope.gateway().now();
        scope.body_arrived(now, end);
        if let Some(record) = &mut exchange.record {
            record.bytes_in(arrived);
        }
        if arrived > 0 {
            // An upload and a conversation in a WebSocket are use of the session.
            exchange.touch(now);
        }
        if session.was_upgraded() {
            return Ok(());
        }
        exchange.body_bytes = exchange.body_bytes.saturating_add(u64::try_from(arrived).unwrap_or(u64::MAX));
        let limits = scope.gateway().snapshot().config.limits;
        if limits.max_body_bytes.is_some_and(|most| exchange.body_bytes > most) {
            return Err(exchange.fail(Reason::RequestTooLarge));
        }
        let took = exchange.body_began.get_or_insert_with(Instant::now).elapsed().as_secs();
        let least = took.saturating_mul(u64::from(limits.min_rate));
        let may_pause = exchange.request.as_ref().is_some_and(|request| request.may_pause());
        if took >= RATE_GRACE && !end && !may_pause && exchange.body_bytes < least {
            return Err(exchange.fail(Reason::RequestTimeout));
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let (Some(scope), Some(record), Some(forward)) =
            (&exchange.scope, &mut exchange.record, &mut exchange.forward)
        else {
            return Ok(());
        };
        if head.status.is_informational() && head.status != http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        let asked = exchange.request.as_ref().is_some_and(|request| request.kind == Kind::WebSocket);
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS && !asked {
            // A tunnel that nobody asked for would pass by every decision.
            return Err(exchange.fail(Reason::UpstreamUnavailable));
        }
        record.status(head.status.as_u16());
        exchange.download = head.headers.contains_key(http::header::CONTENT_LENGTH);
        let id = record.request_id().to_owned();
        forward.answered(head, scope.gateway(), &id)
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        if let (Some(record), Some(body)) = (&mut exchange.record, body) {
            record.bytes_out(body.len());
        }
        if let Some(scope) = exchange.scope.as_ref().filter(|_| exchange.download) {
            exchange.touch(scope.gateway().now());
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        mut error: BError,
    ) -> BError {
        let now = exchange.scope.as_ref().map_or(0, |scope| scope.gateway().now());
        // Nothing was sent, so trying elsewhere is safe whatever the method.
        let again = exchange.forward.as_ref().is_some_and(|forward| forward.failed(now, true));
        error.set_retry(again);
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: BError,
        exchange: &mut Exchange,
        reused: bool,
    ) -> BError {
        let safe = session.req_header().method.is_idempotent() && !session.as_ref().retry_buffer_truncated();
        if safe {
            error.retry.decide_reuse(reused);
        } else {
            error.set_retry(false);
        }
        if error.esource() == &ErrorSource::Upstream && !error.retry() {
            let now = exchange.scope.as_ref().map_or(0, |scope| scope.gateway().now());
            // Something was sent already, so the answer whether to try elsewhere is no.
            let _elsewhere = exchange.forward.as_ref().is_some_and(|forward| forward.failed(now, false));
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        let reason = exchange.failure.unwrap_or_else(|| failure::reason(error, exchange.scope.as_deref()));
        let mut failed = FailToProxy { error_code: 0, can_reuse_downstream: false };
        let Some(record) = &mut exchange.record else { return failed };
        record.failed(reason);
        record.finish();
        session.set_keepalive(None);
        if session.response_written().is_some() || reason == Reason::ClientAborted {
            return failed;
        }
        let code = record.code();
        let answer = respond::refuse(&Refused {
            reason,
            step: None,
            kind: exchange.request.as_ref().map_or(Kind::Other, |request| request.kind),
            request: exchange.request.as_deref(),
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
        failed.error_code = answer.status.as_u16();
        record.status(failed.error_code);
        let id = record.request_id().to_owned();
        if let Err(error) = respond::send(session, answer, None, &id).await {
            tracing::debug!(%error, "the client did not take the answer");
        }
        failed
    }

    async fn logging(&self, _: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        let Some(record) = &mut exchange.record else { return };
        if let Some(error) = error {
            tracing::debug!(%error, request_id = record.request_id(), "the request failed");
        }
        record.finish();
    }

    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        // The record says it, once and bounded; an outsider must not fill the log.
        true
    }
}
