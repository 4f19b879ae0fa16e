//! Requests that were refused before the framework saw them: answered in the plainest way, recorded
//! like any other.

use super::Gateway;
use super::connection::{Connection, Wire};
use super::record::Record;
use super::respond;
use crate::access::Reason;
use crate::telemetry::Decided;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use std::time::Duration;

/// The most time for the answer to leave.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Answers a head that is refused, and ends the connection.
pub async fn answer(
    wire: Box<Wire>,
    gateway: &Arc<Gateway>,
    connection: &Arc<Connection>,
    reason: Reason,
    seen: &[u8],
) {
    let (code, status) = record(gateway, connection, reason, seen);
    let mut session = ServerSession::new_http1(wire);
    let body = respond::plain_problem(reason, status, &code);
    let sent = async {
        let mut header = ResponseHeader::build(status, Some(6))?;
        header.insert_header(http::header::CONTENT_TYPE, "application/problem+json")?;
        header.insert_header(http::header::CONTENT_LENGTH, body.len())?;
        header.insert_header(http::header::CACHE_CONTROL, "no-store")?;
        header.insert_header(http::header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
        header.insert_header(http::header::CONNECTION, "close")?;
        session.write_error_response(header, Bytes::from(body)).await?;
        session.shutdown().await;
        Ok::<(), pingora::BError>(())
    };
    // A client that sends such bytes may well not read the answer.
    if !matches!(tokio::time::timeout(ANSWER_WITHIN, sent).await, Ok(Ok(()))) {
        tracing::debug!(client = %connection.client, %reason, "a refused request could not be answered");
    }
}

/// Records a head that is refused; the code and status that it is answered with.
pub fn record(gateway: &Arc<Gateway>, connection: &Connection, reason: Reason, seen: &[u8]) -> (String, u16) {
    let mut record = Record::new(Arc::clone(gateway), None);
    record.client(connection.client.ip());
    let line = seen.split(|b| matches!(b, b'\r' | b'\n')).find(|line| !line.is_empty()).unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.splitn(3, ' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    record.raw(method, connection.sni.as_deref().unwrap_or_default(), target);
    record.decided(Decided::Deny, reason, None);
    let status = respond::status(reason).as_u16();
    record.status(status);
    record.finish();
    (record.code(), status)
}
