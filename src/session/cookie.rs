//! The cookies that tiergate sets, and how those that arrive are read.
//!
//! Invariants: every name starts with `__Host-`, so a browser takes it only over TLS, for one host
//! and the whole of it; a name that arrives twice counts as not there at all, because nobody can
//! say which of the two is ours.

use super::{Purpose, Sealer, SessionId};
use crate::access::Timestamp;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use http::header::COOKIE;
use std::sync::{Arc, Mutex, PoisonError};

/// Names the session, on each host its own.
pub const SESSION_COOKIE: &str = "__Host-tiergate";
/// A random name of the browser, so that what was asked for in one is not answered in another.
pub const BROWSER_COOKIE: &str = "__Host-tiergate-browser";
/// What is remembered while the browser is at an OpenID provider; one for each tab.
pub const OIDC_COOKIE_PREFIX: &str = "__Host-tiergate-oidc-";
/// Cookies that are looked at in one request.
const MOST: usize = 400;

/// The cookies of one request: looked through anew by each question, so that nothing is kept of them.
#[derive(Clone, Copy, Debug)]
pub struct Cookies<'a> {
    headers: &'a HeaderMap,
}

impl<'a> Cookies<'a> {
    /// Reads every `Cookie` header: HTTP/2 may split them, and so may somebody who hopes that only
    /// one is looked at.
    #[must_use]
    pub fn read(headers: &'a HeaderMap) -> Self {
        Self { headers }
    }

    fn pairs(self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.headers
            .get_all(COOKIE)
            .iter()
            // As bytes: another cookie that is no text must not hide ours beside it.
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .filter_map(pair)
            .filter(|(name, _)| name.starts_with(SESSION_COOKIE))
            .take(MOST)
    }

    /// The value of the cookie with this name, unless it is missing or there twice.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        let mut values = self.pairs().filter(|(is, _)| *is == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) => std::str::from_utf8(value).ok(),
            (None | Some(_), _) => None,
        }
    }

    /// Whether a cookie with this name arrived at all.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.pairs().any(|(is, _)| is == name)
    }

    /// The names that start with this.
    pub fn starting_with(self, prefix: &'static str) -> impl Iterator<Item = &'a str> {
        self.pairs().map(|(name, _)| name).filter(move |name| name.starts_with(prefix))
    }
}

/// Whether a cookie with this name is one of ours: it is kept from upstreams, and they cannot set it.
#[must_use]
pub fn is_own_cookie(name: &str) -> bool {
    name.get(..SESSION_COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(SESSION_COOKIE))
}

fn pair(text: &[u8]) -> Option<(&str, &[u8])> {
    let mut parts = text.trim_ascii().splitn(2, |byte| *byte == b'=');
    let name = std::str::from_utf8(parts.next()?).ok()?;
    Some((name, parts.next()?))
}

/// A `Set-Cookie` value. Without `max_age`, the cookie goes when the browser is closed.
#[must_use]
pub fn set_cookie(name: &str, value: &str, max_age: Option<u64>) -> String {
    let age = max_age.map(|age| format!("; Max-Age={age}")).unwrap_or_default();
    format!("{name}={value}; Path=/{age}; Secure; HttpOnly; SameSite=Lax")
}

/// A `Set-Cookie` value that removes the cookie.
#[must_use]
pub fn clear_cookie(name: &str) -> String {
    set_cookie(name, "", Some(0))
}

/// What the session cookie of a host says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionCookie {
    /// Which session.
    pub session: SessionId,
    /// SHA-256 of the public key that the device proved when the cookie was issued; `None` where
    /// it had none.
    pub device: Option<[u8; 32]>,
    /// When the cookie was issued.
    pub issued: Timestamp,
}

impl SessionCookie {
    /// The cookie's value on this host.
    #[must_use]
    pub fn seal(&self, sealer: &Sealer, host: &str) -> String {
        let mut plain = Vec::with_capacity(57);
        plain.extend_from_slice(&self.session.0);
        plain.extend_from_slice(&self.issued.to_be_bytes());
        // Two lengths, and nothing else: a device, or none.
        plain.extend(self.device.iter().flatten());
        sealer.seal(Purpose::Session, host, &plain)
    }

    /// Opens a cookie's value that arrived on this host.
    #[must_use]
    pub fn open(sealer: &Sealer, host: &str, value: &str) -> Option<Self> {
        let plain = sealer.open(Purpose::Session, host, value)?;
        let (session, rest) = plain.split_first_chunk::<16>()?;
        let (issued, device) = rest.split_first_chunk::<8>()?;
        let device = match device.len() {
            0 => None,
            _ => Some(device.try_into().ok()?),
        };
        Some(Self { session: SessionId(*session), device, issued: Timestamp::from_be_bytes(*issued) })
    }

    /// Whether the connection shows the same device key as when the cookie was issued, or none
    /// as then.
    #[must_use]
    pub fn is_of_device(&self, device: Option<&[u8; 32]>) -> bool {
        self.device.as_ref() == device
    }
}

/// What the session cookie of a connection said last: the next request with the same one need not open it.
#[derive(Default)]
pub struct CookieMemory(Mutex<Option<Opened>>);

struct Opened {
    /// With what it was opened: other keys open it anew.
    sealer: Arc<Sealer>,
    host: Box<str>,
    value: Box<str>,
    says: SessionCookie,
}

impl CookieMemory {
    /// Opens a cookie's value that arrived on this host, or remembers what it said.
    #[must_use]
    pub fn open(&self, sealer: &Arc<Sealer>, host: &str, value: &str) -> Option<SessionCookie> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*memory
            && Arc::ptr_eq(&known.sealer, sealer)
            && *known.host == *host
            && verify_slices_are_equal(known.value.as_bytes(), value.as_bytes()).is_ok()
        {
            return Some(known.says);
        }
        let says = SessionCookie::open(sealer, host, value)?;
        *memory = Some(Opened { sealer: Arc::clone(sealer), host: host.into(), value: value.into(), says });
        Some(says)
    }
}
