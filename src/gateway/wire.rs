//! The door for HTTP/1 bytes: a request head is read whole, within a deadline and bounds, and must
//! be plain RFC 9112 before the framework parses it. What could be read in two ways is refused.
//!
//! The framework's parser is lenient on purpose (bare line feeds, spaces in targets, a target cut
//! at `#`, several spellings of the body's length). Leniency is how two readers come to disagree
//! about where a request ends, so it never sees such bytes.

use super::relay;
use crate::access::Reason;
use crate::config::Limits;
use crate::text::canonical;
use bytes::{Buf, BytesMut};
use pingora::prelude::timeout;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

/// Empty lines before a request that are passed over (RFC 9112 §2.2).
const LEADING_EMPTY_LINES: usize = 2;
/// How much is read at once while a head is incomplete, bytes.
const READ_BYTES: usize = 4096;
/// The longest method, bytes.
const MAX_METHOD: usize = 32;
/// The most digits of a Content-Length.
const MAX_LENGTH_DIGITS: usize = 18;

/// What came of reading a head.
#[derive(Debug)]
pub enum Head {
    /// A head in order, with whatever bytes of the body came along.
    Complete {
        /// The bytes, beginning with the request line.
        bytes: BytesMut,
        /// The length of the head in them.
        length: usize,
        /// How the body is framed.
        framing: Framing,
        /// It may go the short way: see `super::relay`.
        plain: bool,
    },
    /// The client closed, or was idle for too long, before a request began.
    Closed,
    /// The head is refused; the connection must be closed after the answer.
    Refused {
        /// Why.
        reason: Reason,
        /// What was read of it, for the record.
        seen: BytesMut,
    },
}

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// None, or of a stated length.
    Length(u64),
    /// Chunked.
    Chunked,
}

/// Reads one request head. `idle` bounds the wait for its first byte.
///
/// # Errors
/// Whatever the transport fails with while a head is incomplete.
pub async fn read_head<S: AsyncRead + AsyncBufRead + Unpin>(
    stream: &mut S,
    limits: &Limits,
    idle: Duration,
) -> std::io::Result<Head> {
    // An idle connection has no memory of ours to read into.
    match timeout(idle, stream.fill_buf()).await {
        Ok(Ok(first)) if !first.is_empty() => {}
        Ok(Ok(_) | Err(_)) | Err(_) => return Ok(Head::Closed),
    }
    let mut bytes = BytesMut::with_capacity(READ_BYTES);
    if stream.read_buf(&mut bytes).await? == 0 {
        return Ok(Head::Closed);
    }
    let deadline = Instant::now() + limits.header_timeout;
    let (mut scanned, mut skipped) = (0, 0);
    loop {
        while bytes.starts_with(b"\r\n") {
            skipped += 1;
            if skipped > LEADING_EMPTY_LINES {
                return Ok(Head::Refused { reason: Reason::AmbiguousRequest, seen: bytes });
            }
            bytes.advance(2);
            scanned = 0;
        }
        match scan(&bytes, &mut scanned) {
            Scan::End(length) => return Ok(judge(bytes, length, limits)),
            Scan::BareLineFeed => return Ok(Head::Refused { reason: Reason::AmbiguousRequest, seen: bytes }),
            Scan::Incomplete => {}
        }
        if bytes.len() > limits.max_header_bytes + limits.max_target_bytes {
            return Ok(Head::Refused { reason: Reason::RequestTooLarge, seen: bytes });
        }
        bytes.reserve(READ_BYTES);
        match timeout_at(deadline, stream.read_buf(&mut bytes)).await {
            Err(_) => return Ok(Head::Refused { reason: Reason::RequestTimeout, seen: bytes }),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(0)) => return Ok(Head::Closed),
            Ok(Ok(_)) => {}
        }
    }
}

enum Scan {
    End(usize),
    BareLineFeed,
    Incomplete,
}

/// Looks for the end of the head in the bytes from `from` on, and moves `from` past what was seen.
fn scan(bytes: &[u8], from: &mut usize) -> Scan {
    while let Some(found) = bytes.get(*from..).and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
        let at = *from + found;
        if at == 0 || bytes.get(at - 1) != Some(&b'\r') {
            return Scan::BareLineFeed;
        }
        *from = at + 1;
        if bytes.get(..=at).is_some_and(|head| head.ends_with(b"\r\n\r\n")) {
            return Scan::End(at + 1);
        }
    }
    *from = bytes.len();
    Scan::Incomplete
}

fn judge(bytes: BytesMut, length: usize, limits: &Limits) -> Head {
    let verdict = match bytes.get(..length.saturating_sub(4)) {
        Some(head) => judge_head(head, limits),
        None => Err(Reason::AmbiguousRequest),
    };
    match verdict {
        Ok((framing, plain)) => {
            let plain = plain && bytes.len() == length;
            Head::Complete { bytes, length, framing, plain }
        }
        Err(reason) => Head::Refused { reason, seen: bytes },
    }
}

/// Judges a head without its final empty line: how its body is framed, and whether it is plain.
fn judge_head(head: &[u8], limits: &Limits) -> Result<(Framing, bool), Reason> {
    let mut lines = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = lines.next().unwrap_or_default();
    let version = judge_request_line(line, limits)?;
    let mut fields = Fields::default();
    let (mut count, mut total) = (0, 0);
    for line in lines {
        count += 1;
        total += line.len() + 2;
        if count > limits.max_headers || total > limits.max_header_bytes {
            return Err(Reason::RequestTooLarge);
        }
        judge_field(line, &mut fields)?;
    }
    let plain = judge_target(line, &fields)? && version == 1 && !fields.beyond_plain;
    let framing = fields.framing(version)?;
    Ok((framing, plain && framing == Framing::Length(0)))
}

/// The host is a plain one, and a target in absolute-form is of the same origin (RFC 9112 §3.2.2).
/// Whether method and target are plain ones.
fn judge_target(line: &[u8], fields: &Fields) -> Result<bool, Reason> {
    let line = std::str::from_utf8(line).map_err(|_| Reason::AmbiguousRequest)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if matches!(method, "CONNECT" | "TRACE" | "TRACK") {
        return Err(Reason::MethodRefused);
    }
    let host = fields.host.as_deref().and_then(|host| canonical::authority(host).ok());
    let host = host.ok_or(Reason::AmbiguousRequest)?;
    if target.starts_with('/') {
        return Ok(relay::is_plain_method(method));
    }
    let named = target.strip_prefix("https://").and_then(|rest| rest.split_once('/')).map(|(named, _)| named);
    let same = named.and_then(|named| canonical::authority(named).ok()).is_some_and(|named| named == host);
    if same { Ok(false) } else { Err(Reason::AmbiguousRequest) }
}

/// The minor version of HTTP/1.
fn judge_request_line(line: &[u8], limits: &Limits) -> Result<u8, Reason> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Reason::AmbiguousRequest);
    };
    if target.len() > limits.max_target_bytes {
        return Err(Reason::RequestTooLarge);
    }
    let method_fits = (1..=MAX_METHOD).contains(&method.len()) && method.iter().all(|b| is_token(*b));
    // A fragment never travels in a request; the framework would cut the target there in silence.
    let target_fits = !target.is_empty() && target.iter().all(|b| b.is_ascii_graphic() && *b != b'#');
    match version {
        b"HTTP/1.1" if method_fits && target_fits => Ok(1),
        b"HTTP/1.0" if method_fits && target_fits => Ok(0),
        _ => Err(Reason::AmbiguousRequest),
    }
}

/// The fields that say how the message is framed, each at most once.
#[derive(Default)]
struct Fields {
    hosts: usize,
    host: Option<String>,
    length: Option<u64>,
    chunked: bool,
    expects_other: bool,
    /// A field keeps the request from the short way.
    beyond_plain: bool,
}

impl Fields {
    fn framing(self, version: u8) -> Result<Framing, Reason> {
        if self.hosts != 1 {
            return Err(Reason::AmbiguousRequest);
        }
        match (self.chunked, self.length) {
            // RFC 9112 §6.1: a sender must not send both, and HTTP/1.0 knows no coding.
            (true, Some(_)) => Err(Reason::AmbiguousRequest),
            (true, None) if version == 0 => Err(Reason::AmbiguousRequest),
            _ if self.expects_other => Err(Reason::ExpectationFailed),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

fn judge_field(line: &[u8], fields: &mut Fields) -> Result<(), Reason> {
    let colon = line.iter().position(|b| *b == b':').ok_or(Reason::AmbiguousRequest)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Reason::AmbiguousRequest)?;
    // A space before the colon or at the start of the line (folding) is no token.
    if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
        return Err(Reason::AmbiguousRequest);
    }
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    if value.iter().any(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f) {
        return Err(Reason::AmbiguousRequest);
    }
    if name.eq_ignore_ascii_case(b"connection") {
        let usual = value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close");
        fields.beyond_plain |= !usual;
    }
    fields.beyond_plain |= !relay::is_plain_field(name);
    if name.eq_ignore_ascii_case(b"host") {
        fields.hosts += 1;
        fields.host = std::str::from_utf8(value).ok().map(str::to_owned);
    } else if name.eq_ignore_ascii_case(b"content-length") {
        if fields.length.is_some() {
            return Err(Reason::AmbiguousRequest);
        }
        fields.length = Some(content_length(value).ok_or(Reason::AmbiguousRequest)?);
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        if fields.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Reason::AmbiguousRequest);
        }
        fields.chunked = true;
    } else if name.eq_ignore_ascii_case(b"expect") && !value.eq_ignore_ascii_case(b"100-continue") {
        fields.expects_other = true;
    }
    Ok(())
}

/// Plain digits without leading zeros, so that nobody reads them as octal.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    let plain = (1..=MAX_LENGTH_DIGITS).contains(&value.len())
        && value.iter().all(u8::is_ascii_digit)
        && (value.len() == 1 || value.first() != Some(&b'0'));
    plain.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

/// RFC 9110 §5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests;
