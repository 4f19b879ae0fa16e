//! Time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, as every
//! authenticator app expects.
//!
//! Invariant: a code is never accepted here twice by itself; the matched step is handed back so that
//! the caller can refuse a step that was used.

use crate::access::Timestamp;
use totp_rs::{Builder, Secret, Totp};

/// The name that authenticator apps show.
const ISSUER: &str = "tiergate";

/// What is wrong with a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TotpError {
    /// The text is not base32.
    #[error("a one-time password secret is base32: letters and the digits 2 to 7")]
    NotBase32,
    /// Too few or too many bytes.
    #[error("a one-time password secret has 16 to 64 bytes")]
    Length,
    /// The user's name cannot be part of an `otpauth` URL.
    #[error("the name cannot be shown in an authenticator app")]
    Name,
}

/// A user's secret. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct TotpSecret(Totp);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

impl TotpSecret {
    /// Parses a base32 secret; spaces, case and padding do not matter, as apps show it in groups.
    ///
    /// # Errors
    ///
    /// When it is not base32 or not 16 to 64 bytes.
    pub fn parse(text: &str, user: &str) -> Result<Self, TotpError> {
        let compact: String = text
            .chars()
            .filter(|letter| *letter != ' ' && *letter != '=')
            .map(|letter| letter.to_ascii_uppercase())
            .collect();
        let secret = Secret::try_from_base32(&compact).map_err(|_| TotpError::NotBase32)?;
        if !(16..=64).contains(&secret.as_ref().len()) {
            return Err(TotpError::Length);
        }
        Self::with(secret, user)
    }

    /// Makes a new secret of 160 random bits.
    ///
    /// # Errors
    ///
    /// When the name cannot be shown.
    pub fn generate(user: &str) -> Result<Self, TotpError> {
        let mut bytes = [0_u8; 20];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| TotpError::Length)?;
        Self::with(Secret::from(bytes), user)
    }

    fn with(secret: Secret, user: &str) -> Result<Self, TotpError> {
        Builder::new()
            .with_secret(secret)
            .with_skew(1)
            .with_issuer(Some(ISSUER))
            .with_account_name(user)
            .build()
            .map(Self)
            .map_err(|_| TotpError::Name)
    }

    /// The time step that `code` is right for, at most one before or after `now`'s.
    #[must_use]
    pub fn check(&self, code: &str, now: Timestamp) -> Option<u64> {
        let now = u64::try_from(now).ok()?;
        // Apps show `123 456`, and people type what they see.
        let digits: String = code.chars().filter(|letter| *letter != ' ').take(7).collect();
        self.0.check(&digits, now)
    }

    /// What an authenticator app shows.
    #[cfg(test)]
    pub(crate) fn code(&self, now: Timestamp) -> String {
        self.0.generate(u64::try_from(now).unwrap()).to_string()
    }

    /// The secret as base32, for the users file.
    #[must_use]
    pub fn base32(&self) -> String {
        self.0.secret().to_base32()
    }

    /// The `otpauth` URL that an authenticator app takes.
    ///
    /// # Errors
    ///
    /// When the name cannot be shown.
    pub fn url(&self) -> Result<String, TotpError> {
        self.0.to_url().map_err(|_| TotpError::Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 6238 appendix B: the SHA-1 secret, and its codes cut to six digits.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_right_for_one_step_around_now_and_tell_which() {
        let totp = TotpSecret::parse(SECRET, "a@corp.example").unwrap();
        for (code, now, want) in [
            ("287082", 59, Some(1)),
            ("287 082", 59, Some(1)),
            ("287082", 29, Some(1)),
            ("287082", 89, Some(1)),
            ("287082", 90, None),
            ("081804", 1_111_111_109, Some(37_037_036)),
            ("081805", 1_111_111_109, None),
            ("+81804", 1_111_111_109, None),
            ("", 59, None),
            ("2870820", 59, None),
            ("٢٨٧٠٨٢", 59, None),
            ("287082", -1, None),
        ] {
            assert_eq!(totp.check(code, now), want, "{code} at {now}");
        }
    }

    #[test]
    fn a_secret_is_base32_of_a_sane_length() {
        for (text, want) in [
            (SECRET, None),
            ("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", None),
            ("GEZDGNBV", Some(TotpError::Length)),
            ("not base32!", Some(TotpError::NotBase32)),
            ("", Some(TotpError::Length)),
        ] {
            assert_eq!(TotpSecret::parse(text, "a").err(), want, "{text}");
        }
        assert!(TotpSecret::parse(&"A".repeat(400), "a").is_err());
    }

    #[test]
    fn a_new_secret_reads_back_and_has_an_enrolment_url_and_no_debug() {
        let made = TotpSecret::generate("a@corp.example").unwrap();
        let again = TotpSecret::parse(&made.base32(), "a@corp.example").unwrap();
        assert_eq!(made.base32(), again.base32());
        let url = made.url().unwrap();
        assert!(url.starts_with("otpauth://totp/tiergate:a%40corp.example?secret="), "{url}");
        assert_eq!(format!("{made:?}"), "TotpSecret(…)");
    }
}
