//! One canonical host and one canonical path, or a refusal.
//!
//! Invariant: the canonical form of a canonical form is itself, and what is matched, logged and
//! forwarded is that form, byte for byte. A form that servers read in different ways is refused.

use std::borrow::Cow;

/// The longest host name, bytes (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;
/// The longest label of a host name, bytes.
const MAX_LABEL: usize = 63;

/// The request could mean two things.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the request could mean two things")]
pub struct Ambiguous;

/// A canonical authority: the host in lower case without a trailing dot, and the port as sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authority<'a> {
    /// The host.
    pub host: Cow<'a, str>,
    /// The port, where the client named one.
    pub port: Option<u16>,
}

/// Reads `host[:port]`.
///
/// # Errors
/// [`Ambiguous`] where it is no plain host name or IPv4 address with a valid port.
pub fn authority(text: &str) -> Result<Authority<'_>, Ambiguous> {
    let (host, port) = match text.split_once(':') {
        None => (text, None),
        Some((host, port)) => (host, Some(self::port(port)?)),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let lower = host.bytes().all(|b| !b.is_ascii_uppercase());
    if host.len() > MAX_HOST || !host.split('.').all(is_label) {
        return Err(Ambiguous);
    }
    let host = if lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) };
    Ok(Authority { host, port })
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn port(text: &str) -> Result<u16, Ambiguous> {
    let plain = !text.is_empty()
        && text.len() <= 5
        && text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0');
    if plain { text.parse().map_err(|_| Ambiguous) } else { Err(Ambiguous) }
}

/// What became of a request target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target<'a> {
    /// The canonical path and, behind its `?`, the query as sent.
    Canonical {
        /// The path, beginning with `/`.
        path: Cow<'a, str>,
        /// The query without its `?`.
        query: Option<&'a str>,
    },
    /// The canonical form differs by empty or `.` segments only: a client that may safely ask again
    /// is sent there.
    Elsewhere {
        /// The canonical path.
        path: String,
        /// The query without its `?`.
        query: Option<&'a str>,
    },
}

/// Reads a request target in origin-form (RFC 9112 §3.2.1).
///
/// # Errors
/// [`Ambiguous`] for anything that servers are known to read in different ways: dot segments,
/// encoded slashes, backslashes and control bytes, broken or doubled encodings, bytes that are not
/// UTF-8 behind their encoding.
pub fn target(text: &str) -> Result<Target<'_>, Ambiguous> {
    let (path, query) = match text.split_once('?') {
        None => (text, None),
        Some((path, query)) => (path, Some(query)),
    };
    if query.is_some_and(|query| !query.bytes().all(|b| b.is_ascii_graphic() && b != b'#')) {
        return Err(Ambiguous);
    }
    if !path.starts_with('/') || !path.bytes().all(is_path_byte) {
        return Err(Ambiguous);
    }
    let path = if path.contains('%') { decode_unreserved(path)? } else { Cow::Borrowed(path) };
    let mut collapsible = false;
    let last = path.split('/').count() - 1;
    for (at, segment) in path.split('/').enumerate().skip(1) {
        match segment.split(';').next().unwrap_or_default() {
            ".." => return Err(Ambiguous),
            "." if segment != "." => return Err(Ambiguous),
            "." => collapsible = true,
            // `/a/` ends in an empty segment; `/a//b` and `//a` hold one.
            "" if at != last && segment.is_empty() => collapsible = true,
            _ => {}
        }
    }
    if collapsible {
        Ok(Target::Elsewhere { path: collapse(&path), query })
    } else {
        Ok(Target::Canonical { path, query })
    }
}

/// The characters of a path (RFC 3986 §3.3), and those that clients send raw all the same.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'/' | b'-'
                | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'|'
                | b'['
                | b']'
                | b'^'
        )
}

/// Decodes what never needed encoding (RFC 3986 §6.2.2.2) and writes the rest in upper case.
fn decode_unreserved(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let mut out = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at_checked(at).ok_or(Ambiguous)?;
        let digits = escape
            .get(1..3)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .ok_or(Ambiguous)?;
        let byte = u8::from_str_radix(digits, 16).map_err(|_| Ambiguous)?;
        let after = escape.get(3..).unwrap_or_default();
        out.push_str(before);
        decoded.extend_from_slice(before.as_bytes());
        decoded.push(byte);
        match byte {
            // An encoded dot, slash, backslash or control byte is read as itself by some.
            b'.' | b'/' | b'\\' | 0..=0x1f | 0x7f => return Err(Ambiguous),
            b'%' if encodes_a_separator(after) => return Err(Ambiguous),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = after;
    }
    out.push_str(rest);
    decoded.extend_from_slice(rest.as_bytes());
    if std::str::from_utf8(&decoded).is_err() {
        return Err(Ambiguous);
    }
    Ok(if out == path { Cow::Borrowed(path) } else { Cow::Owned(out) })
}

/// Whether a second decoding would make a separator or control byte of these digits.
fn encodes_a_separator(digits: &str) -> bool {
    let value = digits.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    value.is_some_and(|byte| matches!(byte, b'.' | b'/' | b'\\' | b'%' | b';' | 0..=0x1f | 0x7f))
}

fn collapse(path: &str) -> String {
    let directory = path.ends_with('/') || path.ends_with("/.");
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
        out.push('/');
        out.push_str(segment);
    }
    if directory || out.is_empty() {
        out.push('/');
    }
    out
}

/// The loosest reading that a server could give a canonical path: letters in one case, no path
/// parameters, no dots or blanks at the end of a segment. `None` where it is the path itself.
///
/// A path that falls into another section when it is read this way could mean two things.
#[must_use]
pub fn loosest_reading(path: &str) -> Option<String> {
    let plain = |segment: &str| {
        !segment.ends_with('.')
            && !segment.bytes().any(|b| b.is_ascii_uppercase() || matches!(b, b';' | b'%'))
    };
    if path.split('/').all(plain) {
        return None;
    }
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        let lower = segment.to_ascii_lowercase();
        let name = lower.split(';').next().unwrap_or_default();
        let mut name = name.split("%3b").next().unwrap_or_default();
        while let Some(shorter) = ["%20", "%c2%a0", "."].iter().find_map(|end| name.strip_suffix(end)) {
            name = shorter;
        }
        out.push('/');
        out.push_str(name);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) -> String {
        match target(text) {
            Ok(Target::Canonical { path, query }) => {
                format!("{path}{}", query.map_or(String::new(), |q| format!("?{q}")))
            }
            Ok(Target::Elsewhere { path, .. }) => format!("→ {path}"),
            Err(Ambiguous) => "400".into(),
        }
    }

    #[test]
    fn a_path_has_one_form_or_is_refused() {
        for (text, want) in [
            ("/", "/"),
            ("/browse/42?a=b/../c", "/browse/42?a=b/../c"),
            ("/a/", "/a/"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/%68igh/x", "/high/x"),
            ("/h%69gh/x", "/high/x"),
            ("/100%25", "/100%25"),
            ("/a%20b", "/a%20b"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/open/../high/x", "400"),
            ("/open/%2e%2e/high/x", "400"),
            ("/open/%2E%2E/high/x", "400"),
            ("/open/.%2e/high/x", "400"),
            ("/open/..%2fhigh/x", "400"),
            ("/open%2f..%2fhigh", "400"),
            ("/high%2fx", "400"),
            ("/open/%252e%252e/high/x", "400"),
            ("/open/%252fhigh", "400"),
            ("/open\\..\\high", "400"),
            ("/open/%5c..%5chigh", "400"),
            ("/open/..;/high/x", "400"),
            ("/open/.;a/high/x", "400"),
            ("/open/..;a=b/high", "400"),
            ("/high%00", "400"),
            ("/high%0d%0a", "400"),
            ("/a%09", "400"),
            ("/high#/open", "400"),
            ("/a b", "400"),
            ("/%c0%ae%c0%ae/high", "400"),
            ("/%ff", "400"),
            ("/high/%", "400"),
            ("/high/%zz", "400"),
            ("/%2", "400"),
            ("high/x", "400"),
            ("*", "400"),
            ("?x", "400"),
            ("", "400"),
            ("/é", "400"),
            ("/a?b#c", "400"),
            ("//high/x", "→ /high/x"),
            ("///high", "→ /high"),
            ("/./high/x", "→ /high/x"),
            ("/high/.", "→ /high/"),
            ("/open/.//..//high", "400"),
            ("/open//../high", "400"),
        ] {
            assert_eq!(check(text), want, "{text}");
        }
    }

    #[test]
    fn a_host_has_one_form_or_is_refused() {
        for (text, want) in [
            ("app.test", Some("app.test")),
            ("APP.Test", Some("app.test")),
            ("app.test.", Some("app.test")),
            ("app.test:443", Some("app.test")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("", None),
            (".", None),
            ("app..test", None),
            ("app.test:", None),
            ("app.test:0", None),
            ("app.test:99999", None),
            ("app.test:443abc", None),
            ("app.test, other.test", None),
            ("app.test/high", None),
            ("app.test?x", None),
            ("app.test#x", None),
            ("app.test\\x", None),
            ("user@app.test", None),
            ("xn--app-.test", None),
            ("-a.test", None),
            ("é.test", None),
            ("[::1]:443", None),
        ] {
            let host = authority(text).ok().map(|authority| authority.host.into_owned());
            assert_eq!(host.as_deref(), want, "{text}");
        }
        assert!(authority(&format!("{}.test", "a".repeat(64))).is_err());
        assert!(authority(&["a"; 150].join(".")).is_err());
    }

    #[test]
    fn the_loosest_reading_folds_what_some_servers_fold() {
        for (path, want) in [
            ("/high/x", None),
            ("/HIGH/x", Some("/high/x")),
            ("/high;x=1/y", Some("/high/y")),
            ("/high%3Bx", Some("/high")),
            ("/high./x", Some("/high/x")),
            ("/high%20/x", Some("/high/x")),
            ("/caf%C3%A9", Some("/caf%c3%a9")),
        ] {
            assert_eq!(loosest_reading(path).as_deref(), want, "{path}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn the_canonical_form_of_a_canonical_form_is_itself(text in "/[a-zA-Z0-9/.;%~_ 2eEfF5cC-]{0,40}") {
            match target(&text) {
                Ok(Target::Canonical { path, .. }) => {
                    prop_assert_eq!(target(&path), Ok(Target::Canonical { path: Cow::Borrowed(&*path), query: None }));
                    prop_assert!(!path.split('/').any(|s| s == ".." || s == "."));
                    prop_assert!(!path.contains("//"));
                }
                Ok(Target::Elsewhere { path, .. }) => {
                    prop_assert_eq!(target(&path), Ok(Target::Canonical { path: Cow::Borrowed(&*path), query: None }));
                }
                Err(Ambiguous) => {}
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = target(&text);
            let _ = authority(&text);
            let _ = loosest_reading(&text);
        }
    }
}
