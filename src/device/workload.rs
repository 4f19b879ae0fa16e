//! SPIFFE IDs and the one that an X.509-SVID carries.

use std::fmt;
use std::str::FromStr;

/// A SPIFFE ID of a workload, such as `spiffe://corp.example/ns/billing/sa/sync` (SPIFFE-ID §2).
///
/// INVARIANT: at most 2048 bytes; trust domain and path are non-empty and of the characters that
/// the standard allows; only [`SpiffeId::from_str`] makes one.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpiffeId {
    text: String,
    /// Where the path begins in `text`.
    path_at: usize,
}

/// Why a text is not the SPIFFE ID of a workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SpiffeIdError {
    /// Longer than the standard allows.
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Another scheme, or `SPIFFE://`.
    #[error("does not begin with `spiffe://`")]
    Scheme,
    /// Empty, too long, or with a character that a trust domain cannot have.
    #[error("the trust domain must be 1 to 255 of a-z, 0-9, `.`, `-`, `_`")]
    TrustDomain,
    /// No path, or a segment that is empty, `.`, `..` or has other characters.
    #[error("the path must be segments of letters, digits, `.`, `-`, `_`, none empty, `.` or `..`")]
    Path,
}

const MAX_BYTES: usize = 2048;
const SCHEME: &str = "spiffe://";

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_BYTES {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = rest.split_once('/').ok_or(SpiffeIdError::Path)?;
        if !is_trust_domain(domain) {
            return Err(SpiffeIdError::TrustDomain);
        }
        if !path.split('/').all(is_segment) {
            return Err(SpiffeIdError::Path);
        }
        Ok(Self { text: text.to_owned(), path_at: SCHEME.len() + domain.len() })
    }
}

impl SpiffeId {
    /// The whole ID.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain: `corp.example`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.path_at).unwrap_or_default()
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a text can be a trust domain's name (SPIFFE-ID §2.1).
pub(super) fn is_trust_domain(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b))
}

fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
}

/// The SPIFFE ID in a certificate's URI names: exactly one URI, and that one valid (X509-SVID §2).
pub(super) fn svid_id(uris: &[&str]) -> Option<SpiffeId> {
    match uris {
        [only] => only.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiffe_id_is_what_the_standard_says() {
        for (text, want) in [
            ("spiffe://corp.example/ns/billing/sa/sync", Ok("corp.example")),
            ("spiffe://a/b", Ok("a")),
            ("spiffe://a/B.c-d_e", Ok("a")),
            ("spiffe://corp.example", Err(SpiffeIdError::Path)),
            ("spiffe://corp.example/", Err(SpiffeIdError::Path)),
            ("spiffe://corp.example/a/", Err(SpiffeIdError::Path)),
            ("spiffe://corp.example/a//b", Err(SpiffeIdError::Path)),
            ("spiffe://corp.example/../b", Err(SpiffeIdError::Path)),
            ("spiffe://corp.example/a%2fb", Err(SpiffeIdError::Path)),
            ("spiffe://corp.example/a?b", Err(SpiffeIdError::Path)),
            ("spiffe://corp.example/a b", Err(SpiffeIdError::Path)),
            ("spiffe:///a", Err(SpiffeIdError::TrustDomain)),
            ("spiffe://Corp.example/a", Err(SpiffeIdError::TrustDomain)),
            ("spiffe://user@corp.example/a", Err(SpiffeIdError::TrustDomain)),
            ("spiffe://corp.example:80/a", Err(SpiffeIdError::TrustDomain)),
            ("SPIFFE://corp.example/a", Err(SpiffeIdError::Scheme)),
            ("https://corp.example/a", Err(SpiffeIdError::Scheme)),
            ("", Err(SpiffeIdError::Scheme)),
        ] {
            let got = text.parse::<SpiffeId>();
            assert_eq!(got.as_ref().map(SpiffeId::trust_domain), want.as_ref().copied(), "{text}");
        }
        let long = format!("spiffe://a/{}", "b".repeat(MAX_BYTES));
        assert_eq!(long.parse::<SpiffeId>(), Err(SpiffeIdError::TooLong));
    }
}
