//! The short way: a request without a body to an upstream over HTTP/1, on the framework's own sessions.
//!
//! Most requests are of this kind. What the framework's proxy does around them (channels between two halves,
//! a cache, modules, a task that watches each idle connection) costs more than the request itself, so they
//! go without it. Whatever is not plainly of this kind takes the framework's way, judged by the same code.

use super::exchange::Exchange;
use super::scope::Scope;
use super::upstream::Way;
use super::{Gateway, MAX_TRIES};
use crate::access::Reason;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version, header};
use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v1::client::HttpSession as Upstream;
use pingora::server::ShutdownWatch;
use pingora::{BError, Error, ErrorType, Result};
use std::sync::Arc;

/// Interim answers (RFC 9110 §15.2) of one request that are passed on; an upstream that sends more has lost its way.
const MOST_HINTS: usize = 16;

/// Fields that say something about one connection, or about how a message is framed. Where one of them is
/// there, the framework takes the request.
const NOT_PLAIN: [&str; 9] = [
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a request with this head and no body may go the short way.
pub(super) fn is_plain(head: &RequestHeader) -> bool {
    let headers = &head.headers;
    let connection = |value: &http::HeaderValue| {
        value.as_bytes().eq_ignore_ascii_case(b"keep-alive")
            || value.as_bytes().eq_ignore_ascii_case(b"close")
    };
    is_plain_method(head.method.as_str())
        && head.version != Version::HTTP_10
        && headers.keys().all(|name| is_plain_field(name.as_str().as_bytes()))
        && headers.get_all(CONNECTION).iter().all(connection)
        && headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
}

/// Methods whose requests have no body as a rule.
pub(super) fn is_plain_method(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// Whether a field with this name keeps a request from the short way, whatever its value.
pub(super) fn is_plain_field(name: &[u8]) -> bool {
    !NOT_PLAIN.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Takes a plain request from its head to the end of its answer. The connection, where it lives on.
pub(super) async fn serve(
    mut session: ServerSession,
    scope: &Arc<Scope>,
    shutdown: &ShutdownWatch,
) -> Option<Stream> {
    let gateway = scope.gateway();
    match session.read_request().await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => {
            tracing::debug!(%error, "a request that was found in order could not be read");
            gateway.malformed_stream(&scope.connection);
            // The client may be gone already.
            let _ = session.respond_error(400).await;
            session.shutdown().await;
            return None;
        }
    }
    let mut exchange = Exchange::new(Some(Arc::clone(scope)));
    let done = match exchange.settle(&mut session).await {
        Ok(true) => Ok(()),
        Ok(false) if exchange.goes_to_http2() => {
            return Box::pin(hand_over(session, exchange, scope, shutdown)).await;
        }
        Ok(false) => forward(&mut session, &mut exchange, gateway).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => {
            exchange.over(None);
            Some(session.finish().await.ok()??.into_parts().0)
        }
        Err(error) => {
            exchange.refuse(&mut session, &error).await;
            exchange.over(Some(&error));
            None
        }
    }
}

/// Gives a request that is judged already to the framework, which reads its head once more.
async fn hand_over(
    mut session: ServerSession,
    exchange: Exchange,
    scope: &Arc<Scope>,
    shutdown: &ShutdownWatch,
) -> Option<Stream> {
    if let Some(http1) = session.as_http1() {
        let head = BytesMut::from(&*http1.get_headers_raw_bytes());
        session.set_pipelined_prefix(head);
    }
    scope.begin(exchange);
    let reused = scope.gateway().proxy().process_new_http(session, shutdown).await;
    reused.map(ReusedHttpStream::consume).map(|(stream, _settings)| stream)
}

async fn forward(session: &mut ServerSession, exchange: &mut Exchange, gateway: &Gateway) -> Result<()> {
    for attempt in 1..=MAX_TRIES {
        let way = exchange.way()?;
        let kept = if attempt == 1 { gateway.idle.take(&way) } else { None };
        let reused = kept.is_some();
        let connected = match kept {
            Some(stream) => Ok(stream),
            None => Box::pin(gateway.idle.connect(&way)).await,
        };
        let error = match connected {
            Ok(stream) => match exchange_with(session, exchange, &way, stream).await {
                Ok(stream) => {
                    if let Some(stream) = stream {
                        gateway.idle.put(&way, stream);
                    }
                    return Ok(());
                }
                Err(error) => exchange.broke_off(session, error, reused),
            },
            Err(error) => exchange.connect_failed(error.into_up()),
        };
        if attempt == MAX_TRIES || !error.retry() || session.response_written().is_some() {
            return Err(error);
        }
    }
    Err(exchange.fail(Reason::InternalError))
}

/// Sends the request and passes the answer on. The connection, where it can be used again.
async fn exchange_with(
    session: &mut ServerSession,
    exchange: &mut Exchange,
    way: &Way,
    stream: Stream,
) -> Result<Option<Stream>> {
    let mut upstream = Upstream::new_with_options(stream, &way.peer);
    upstream.read_timeout = way.peer.options.read_timeout;
    upstream.write_timeout = way.peer.options.write_timeout;
    // Without the spelling of the client's names, which nothing but a look at the bytes tells apart: keeping it
    // costs as much as everything else about these fields.
    let mut head = session.req_header().as_owned_parts();
    head.version = Version::HTTP_11;
    head.headers.remove(CONNECTION);
    head.headers.remove(TE);
    let head = exchange.dressed(head)?;
    let bodyless = head.method == Method::HEAD;
    upstream.write_request_header(Box::new(head)).await.map_err(Error::into_up)?;
    let mut answer = next_head(&mut upstream, session).await?;
    let mut hints = 0;
    while answer.status.is_informational() && answer.status != StatusCode::SWITCHING_PROTOCOLS {
        hints += 1;
        if hints > MOST_HINTS {
            return Err(exchange.fail(Reason::UpstreamUnavailable));
        }
        session.write_response_header(answer).await.map_err(Error::into_down)?;
        answer = next_head(&mut upstream, session).await?;
    }
    let bodyless = bodyless || matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut end = upstream.is_body_done();
    if !bodyless && !end && is_endless(&answer.headers) && !session.is_http2() {
        // It ends with the upstream's connection, which is not the client's.
        answer.set_version(Version::HTTP_11);
        answer.insert_header(TRANSFER_ENCODING, "chunked")?;
    }
    exchange.answer_began(&mut answer)?;
    write_head(session, answer, end).await.map_err(Error::into_down)?;
    while !end {
        let part = tokio::select! {
            biased;
            part = upstream.read_body_ref() => part.map_err(Error::into_up)?,
            gone = session.read_body_or_idle(true) => return Err(left(gone)),
        };
        let Some(part) = part else { break };
        exchange.answered(part.len());
        if let ServerSession::H1(http1) = session {
            http1.write_body(part).await.map_err(Error::into_down)?;
            continue;
        }
        let part = Bytes::copy_from_slice(part);
        end = upstream.is_body_done();
        session.write_response_body(part, end).await.map_err(Error::into_down)?;
    }
    upstream.respect_keepalive();
    Ok(upstream.reuse().await)
}

/// The next head that the upstream sends, while the client stays.
async fn next_head(upstream: &mut Upstream, session: &mut ServerSession) -> Result<Box<ResponseHeader>> {
    tokio::select! {
        biased;
        head = upstream.read_resp_header_parts() => head.map_err(Error::into_up),
        gone = session.read_body_or_idle(true) => Err(left(gone)),
    }
}

async fn write_head(session: &mut ServerSession, head: Box<ResponseHeader>, end: bool) -> Result<()> {
    if let ServerSession::H2(stream) = session {
        return stream.write_response_header(head, end);
    }
    session.write_response_header(head).await
}

/// Whether nothing says where a body ends.
fn is_endless(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::TRANSFER_ENCODING) && !headers.contains_key(CONTENT_LENGTH)
}

/// The client left, or sent what no request of this kind has.
#[expect(clippy::unnecessary_box_returns, reason = "the framework's errors are boxed")]
fn left(gone: Result<Option<Bytes>>) -> BError {
    let error = gone.err();
    error.unwrap_or_else(|| Error::explain(ErrorType::ConnectionClosed, "the client left")).into_down()
}
