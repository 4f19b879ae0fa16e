//! Path prefixes as rules name them: canonical, so that they can meet a canonical request path.

use std::fmt::Write as _;

/// The path that tiergate answers itself on every host, with all that is below it.
pub const RESERVED: &str = "/.tiergate";

/// Why a text is not a canonical path prefix.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrefixError {
    /// It has a canonical form, and is not written in it.
    #[error("write it in its canonical form: `{0}`")]
    Canonical(String),
    /// It does not start at the root.
    #[error("a prefix starts with `/`")]
    Relative,
    /// A pattern.
    #[error("no patterns: a prefix covers itself and all below it; write `{0}`")]
    Pattern(String),
    /// A query or fragment.
    #[error("a path only: queries and fragments are never matched")]
    NotAPath,
    /// A character that a canonical request path never has.
    #[error("no request has such a path: it is refused as ambiguous before it is decided")]
    Impossible,
    /// Too long.
    #[error("at most 1024 bytes")]
    Long,
}

/// Checks a canonical prefix: `/` or `/segment/segment`, no slash at the end.
///
/// # Errors
///
/// Where it is none; with the canonical form where there is one.
pub fn check(text: &str) -> Result<(), PrefixError> {
    if text.len() > 1024 {
        return Err(PrefixError::Long);
    }
    if !text.starts_with('/') {
        return Err(PrefixError::Relative);
    }
    if text.contains('*') {
        let until = text.find('*').and_then(|at| text.get(..at)).unwrap_or("/");
        let parent = until.rfind('/').and_then(|at| until.get(..at)).filter(|parent| !parent.is_empty());
        return Err(PrefixError::Pattern(parent.unwrap_or("/").to_owned()));
    }
    if text.contains(['?', '#']) {
        return Err(PrefixError::NotAPath);
    }
    if text.contains(['\\', ';']) || text.chars().any(char::is_control) {
        return Err(PrefixError::Impossible);
    }
    let mut canonical = String::with_capacity(text.len());
    for segment in text.split('/').filter(|segment| !matches!(*segment, "" | ".")) {
        let segment = canonical_segment(segment)?;
        if segment == ".." {
            return Err(PrefixError::Impossible);
        }
        canonical.push('/');
        canonical.push_str(&segment);
    }
    if canonical.is_empty() {
        canonical.push('/');
    }
    if canonical == text { Ok(()) } else { Err(PrefixError::Canonical(canonical)) }
}

/// Unreserved characters plain, everything else that must be escaped in upper-case hex.
fn canonical_segment(segment: &str) -> Result<String, PrefixError> {
    let bytes = segment.as_bytes();
    let mut out = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let decoded = if byte == b'%' {
            let hex = segment.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            let hex = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).ok_or(PrefixError::Impossible)?;
            at += 2;
            // Escaped separators and controls could mean two things, so no request has them.
            if hex.is_ascii_control() || matches!(hex, b'/' | b'\\' | b';' | b'%') {
                return Err(PrefixError::Impossible);
            }
            (hex, true)
        } else {
            (byte, false)
        };
        at += 1;
        match decoded {
            (byte, _) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
            }
            (byte, false) if b"!$&'()+,=:@".contains(&byte) => out.push(char::from(byte)),
            (byte, _) => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    Ok(out)
}

/// Whether a canonical path is a canonical prefix or below it, by whole segments: `/close` covers
/// `/close/x`, not `/closed`. The empty prefix and `/` cover everything.
#[must_use]
pub fn covers(prefix: &str, path: &str) -> bool {
    let prefix = if prefix == "/" { "" } else { prefix };
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prefix_is_taken_in_its_canonical_form_only() {
        let canonical = |text: &str| Err(PrefixError::Canonical(text.to_owned()));
        for (text, want) in [
            ("/", Ok(())),
            ("/admin", Ok(())),
            ("/a/b.c/~d/%20x", Ok(())),
            ("/@me/a:b", Ok(())),
            ("/admin/", canonical("/admin")),
            ("//admin", canonical("/admin")),
            ("/./admin", canonical("/admin")),
            ("/%61dmin", canonical("/admin")),
            ("/a%c3%a9", canonical("/a%C3%A9")),
            ("/café", canonical("/caf%C3%A9")),
            ("/a b", canonical("/a%20b")),
            ("admin", Err(PrefixError::Relative)),
            ("", Err(PrefixError::Relative)),
            ("/admin/*", Err(PrefixError::Pattern("/admin".to_owned()))),
            ("/**", Err(PrefixError::Pattern("/".to_owned()))),
            ("/a?b=c", Err(PrefixError::NotAPath)),
            ("/a/../b", Err(PrefixError::Impossible)),
            ("/a/%2e%2e/b", Err(PrefixError::Impossible)),
            ("/a%2Fb", Err(PrefixError::Impossible)),
            ("/a;b", Err(PrefixError::Impossible)),
            ("/a\\b", Err(PrefixError::Impossible)),
            ("/a%", Err(PrefixError::Impossible)),
            ("/a%zé", Err(PrefixError::Impossible)),
        ] {
            assert_eq!(check(text), want, "{text}");
        }
    }

    #[test]
    fn a_prefix_covers_whole_segments() {
        for (prefix, path, want) in [
            ("/close", "/close", true),
            ("/close", "/close/x", true),
            ("/close", "/closed", false),
            ("/close", "/clos", false),
            ("", "/", true),
            ("/", "/x", true),
        ] {
            assert_eq!(covers(prefix, path), want, "{prefix} {path}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_of_a_prefix_is_canonical(text in "(/[a-zA-Z0-9 %.é~]{0,4}){0,5}") {
            if let Err(PrefixError::Canonical(form)) = check(&text) {
                prop_assert_eq!(check(&form), Ok(()));
            }
        }
    }
}
