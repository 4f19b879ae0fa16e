//! Sealing: what leaves for a browser and comes back can be neither read nor changed there.
//!
//! Invariants: AES-256-GCM under a key derived for one [`Purpose`], with the context (a host)
//! authenticated, so a text opens for the purpose and the host it was sealed for and for no other;
//! the newest key seals, every key opens.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// The longest text that is looked at.
const LONGEST: usize = 16 * 1024;

/// What a sealed text is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The session cookie of one host.
    Session,
    /// Where a browser wants to go and why, while it signs in.
    State,
    /// The right to a session cookie on another host.
    Ticket,
    /// Proof that a form came from a page of ours.
    Csrf,
    /// What must be remembered while a browser is at an OpenID provider.
    Oidc,
    /// The password was right, the second factor is due.
    TotpPending,
}

impl Purpose {
    const ALL: [Self; 6] =
        [Self::Session, Self::State, Self::Ticket, Self::Csrf, Self::Oidc, Self::TotpPending];

    const fn label(self) -> &'static str {
        match self {
            Self::Session => "tiergate/1/session",
            Self::State => "tiergate/1/state",
            Self::Ticket => "tiergate/1/ticket",
            Self::Csrf => "tiergate/1/csrf",
            Self::Oidc => "tiergate/1/oidc",
            Self::TotpPending => "tiergate/1/totp-pending",
        }
    }
}

/// Seals with the newest key and opens with every one.
pub struct Sealer {
    /// Newest first.
    keys: Vec<Vec<(Purpose, RandomizedNonceKey)>>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keys", &self.keys.len()).finish()
    }
}

impl Sealer {
    /// A sealer with these keys, newest first. Without a key, nothing is sealed and nothing opens.
    #[must_use]
    pub fn new(keys: &[[u8; 32]]) -> Self {
        let derived = |key: &[u8; 32]| {
            Purpose::ALL.iter().filter_map(|purpose| Some((*purpose, derive(key, *purpose)?))).collect()
        };
        Self { keys: keys.iter().map(derived).collect() }
    }

    /// Seals `plaintext`; the answer is base64url without padding. Should the cryptography fail,
    /// the answer is empty, which opens nowhere.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, context: &str, plaintext: &[u8]) -> String {
        let Some(key) = self.keys.first().and_then(|keys| of(keys, purpose)) else {
            return String::new();
        };
        let mut sealed = plaintext.to_vec();
        match key.seal_in_place_append_tag(Aad::from(context), &mut sealed) {
            Ok(nonce) => {
                sealed.extend_from_slice(nonce.as_ref());
                URL_SAFE_NO_PAD.encode(sealed)
            }
            Err(_) => String::new(),
        }
    }

    /// What was sealed for this purpose and context, or nothing.
    #[must_use]
    pub fn open(&self, purpose: Purpose, context: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > LONGEST {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, nonce) = sealed.split_at_checked(sealed.len().checked_sub(NONCE_LEN)?)?;
        self.keys.iter().filter_map(|keys| of(keys, purpose)).find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            // Opening destroys the buffer where it fails, so each key gets its own.
            let mut buffer = body.to_vec();
            let length = key.open_in_place(nonce, Aad::from(context), &mut buffer).ok()?.len();
            buffer.truncate(length);
            Some(buffer)
        })
    }
}

fn of(keys: &[(Purpose, RandomizedNonceKey)], purpose: Purpose) -> Option<&RandomizedNonceKey> {
    keys.iter().find(|(of, _)| *of == purpose).map(|(_, key)| key)
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

fn derive(key: &[u8; 32], purpose: Purpose) -> Option<RandomizedNonceKey> {
    let mut derived = zeroize::Zeroizing::new([0_u8; 32]);
    Salt::new(HKDF_SHA256, b"tiergate")
        .extract(key)
        .expand(&[purpose.label().as_bytes()], KeyLength)
        .and_then(|okm| okm.fill(derived.as_mut_slice()))
        .ok()?;
    RandomizedNonceKey::new(&AES_256_GCM, derived.as_slice()).ok()
}
