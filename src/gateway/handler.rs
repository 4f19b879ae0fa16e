//! The framework's phases, for requests with a body, upgrades and upstreams over HTTP/2.

use super::exchange::Exchange;
use super::scope::Scope;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::{BError, Error, Result};
use std::time::Duration;

/// The framework's callbacks. What they need comes with the request's [`Scope`].
pub struct Handler;

#[async_trait]
impl ProxyHttp for Handler {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        let scope = Scope::current();
        let begun = scope.as_ref().and_then(|scope| scope.take_begun());
        begun.unwrap_or_else(|| Exchange::new(scope))
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        let session = session.as_downstream_mut();
        if !exchange.is_admitted() && exchange.settle(session).await? {
            return Ok(true);
        }
        exchange.welcome_body(session).await?;
        Ok(false)
    }

    async fn upstream_peer(&self, _: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        exchange.way().map(|way| Box::new(way.peer.clone()))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        head: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.dress(head)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.body_arrived(session.as_downstream(), body.as_ref(), end)
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.answer_began(head)
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        exchange.answered(body.as_ref().map_or(0, Bytes::len));
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        error: BError,
    ) -> BError {
        exchange.connect_failed(error)
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: BError,
        exchange: &mut Exchange,
        reused: bool,
    ) -> BError {
        exchange.broke_off(session.as_downstream(), error, reused)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        let error_code = exchange.refuse(session.as_downstream_mut(), error).await;
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, _: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        exchange.over(error);
    }

    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        // The record says it, once and bounded; an outsider must not fill the log.
        true
    }
}
