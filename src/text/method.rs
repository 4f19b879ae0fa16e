//! Request methods as rules name them.

use crate::diagnostic::nearest;

/// Methods that need no second look: RFC 9110, PATCH, and `WebDAV`'s.
const KNOWN: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "MKCALENDAR",
    "ACL",
];

/// What a text is, as a method.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Method {
    /// One that everybody knows.
    Known,
    /// A token that may be an application's own.
    Unusual,
    /// None, and what to do.
    Wrong(String),
}

/// Judges a method. Methods are case-sensitive, so `get` is not `GET`.
#[must_use]
pub fn judge(text: &str) -> Method {
    if KNOWN.contains(&text) {
        return Method::Known;
    }
    let upper = text.to_ascii_uppercase();
    if matches!(upper.as_str(), "CONNECT" | "TRACE" | "TRACK") {
        return Method::Wrong("never forwarded, whatever a rule says".to_owned());
    }
    if let Some(near) = nearest(&upper, KNOWN.iter().copied()).or(KNOWN.iter().copied().find(|k| *k == upper))
    {
        return Method::Wrong(format!("no such method; did you mean `{near}`?"));
    }
    let token = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if !text.is_empty() && text.len() <= 32 && text.bytes().all(token) {
        Method::Unusual
    } else {
        Method::Wrong("a method is upper-case letters, digits, `-` and `_`, at most 32".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_upper_case_and_not_misspelt() {
        assert_eq!(judge("GET"), Method::Known);
        assert_eq!(judge("X-PURGE-ALL"), Method::Unusual);
        for (text, want) in [
            ("get", "`GET`"),
            ("DELTE", "`DELETE`"),
            ("CONNECT", "never forwarded"),
            ("trace", "never forwarded"),
            ("", "upper-case"),
            ("FROBNICATE ALL", "upper-case"),
        ] {
            assert!(matches!(judge(text), Method::Wrong(why) if why.contains(want)), "{text}");
        }
    }
}
