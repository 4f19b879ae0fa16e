//! Which header fields cross the proxy, in either direction.
//!
//! Invariant: no field that could be taken for one of tiergate's own, for a forwarding header or for
//! a framing header in another spelling reaches an upstream from a client.

use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use pingora::Result;
use pingora::http::RequestHeader;

/// The fields of a request that is made ready for its upstream. The framework's own head reads each name anew
/// when it is put in, so what does not need the client's spelling is made ready before it becomes one.
pub trait Fields {
    /// All of them.
    fn all(&self) -> &HeaderMap;

    /// Puts one in, in place of those of its name.
    ///
    /// # Errors
    /// The framework refuses it.
    fn put(&mut self, name: HeaderName, value: HeaderValue) -> Result<()>;

    /// Takes those of a name out.
    fn take_out(&mut self, name: &HeaderName);
}

impl Fields for RequestHeader {
    fn all(&self) -> &HeaderMap {
        &self.headers
    }

    fn put(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.insert_header(name, value)
    }

    fn take_out(&mut self, name: &HeaderName) {
        self.remove_header(name);
    }
}

impl Fields for Parts {
    fn all(&self) -> &HeaderMap {
        &self.headers
    }

    fn put(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.headers.insert(name, value);
        Ok(())
    }

    fn take_out(&mut self, name: &HeaderName) {
        self.headers.remove(name);
    }
}

/// Names as an upstream may read them: lower case, every byte that is no letter or digit a `-`.
/// A name that equals one of these after that folding never passes. Sorted.
const RESERVED: &[&str] = &[
    "client-cert",
    "client-cert-chain",
    "forwarded",
    "proxy",
    "remote-user",
    "traceparent",
    "tracestate",
    "true-client-ip",
    "via",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
    "x-ssl-client-cert",
    "x-ssl-client-verify",
];

/// Folded beginnings that never pass.
const RESERVED_PREFIXES: &[&str] =
    &["x-tiergate", "x-forwarded", "x-ssl-client", "x-amzn-oidc", "cf-access", "x-goog-iap"];

/// Framing and routing fields: they pass only in their own spelling, never as `content_length`. Sorted.
const OWN_SPELLING_ONLY: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
];

/// How much of a name is folded, on the stack: more than any name here is long.
const MAX_FOLDED: usize = 64;

/// Whether a client's field with this name must not reach an upstream.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let mut buffer = [0_u8; MAX_FOLDED];
    let folded = fold(name, &mut buffer);
    RESERVED_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
        || RESERVED.binary_search(&folded).is_ok()
        || (OWN_SPELLING_ONLY.binary_search(&folded).is_ok() && !name.eq_ignore_ascii_case(folded))
}

/// Lower case, everything else a single `-`, none at the end.
fn fold<'b>(name: &str, buffer: &'b mut [u8; MAX_FOLDED]) -> &'b str {
    let mut length = 0;
    for byte in name.bytes() {
        let folded = if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
        if folded == b'-' && (length == 0 || buffer.get(length - 1) == Some(&b'-')) {
            continue;
        }
        let Some(place) = buffer.get_mut(length) else { break };
        *place = folded;
        length += 1;
    }
    let folded = buffer.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    folded.strip_suffix('-').unwrap_or(folded)
}

/// A value that any upstream can take: printable ASCII as it is, the rest percent-encoded (RFC 3986 §2.1).
#[must_use]
pub fn plain_value(text: &str) -> std::borrow::Cow<'_, str> {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const UNPLAIN: &AsciiSet = &CONTROLS.add(b'%');
    if text.bytes().all(|b| (b.is_ascii_graphic() || b == b' ') && b != b'%') {
        std::borrow::Cow::Borrowed(text)
    } else {
        utf8_percent_encode(text, UNPLAIN).to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_as_the_search_expects() {
        assert!(RESERVED.is_sorted() && OWN_SPELLING_ONLY.is_sorted());
    }

    #[test]
    fn what_could_be_taken_for_ours_is_reserved_in_every_spelling() {
        for name in [
            "X-Tiergate-User",
            "x-tiergate-user",
            "X_Tiergate_User",
            "X.Tiergate.User",
            "X--Tiergate-User",
            "X-Tiergate-User_",
            "X-Forwarded-For",
            "X_Forwarded_For",
            "X-Forwarded-User",
            "X-Forwarded-Prefix",
            "Forwarded",
            "Via",
            "X-Real-IP",
            "True-Client-IP",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-HTTP-Method-Override",
            "X-Method-Override",
            "Client-Cert",
            "X-SSL-Client-Verify",
            "X-Forwarded-Client-Cert",
            "Proxy",
            "Content_Length",
            "Transfer_Encoding",
            "X-Request-Id",
            "X-REQUEST_ID",
            "Remote_User",
            "Host_",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in [
            "Accept",
            "Content-Length",
            "Host",
            "Cookie",
            "X-Custom",
            "X-Forward",
            "User-Agent",
            "Sec-Fetch-Site",
        ] {
            assert!(!is_reserved(name), "{name}");
        }
        assert!(!is_reserved(&"x".repeat(300)));
    }

    #[test]
    fn a_long_tail_does_not_hide_a_reserved_beginning() {
        assert!(is_reserved(&format!("X-Tiergate-{}", "a".repeat(400))));
    }

    #[test]
    fn a_value_is_plain_or_encoded() {
        assert_eq!(plain_value("a@corp.example"), "a@corp.example");
        assert_eq!(plain_value("Zoë\r\n%"), "Zo%C3%AB%0D%0A%25");
    }
}
