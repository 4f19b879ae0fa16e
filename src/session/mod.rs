//! Who is signed in: sessions, and the sealed texts that stand for them in a browser.
//!
//! Invariants: a session lives here and nowhere else, a cookie only names it; a session that was
//! ended never comes back; everything a browser keeps for tiergate is sealed for one purpose and
//! one host, and opens for no other.

mod cookie;
mod groups;
mod live;
mod reached;
mod registry;
mod seal;
mod ticket;

pub use cookie::{
    BROWSER_COOKIE, CookieMemory, Cookies, OIDC_COOKIE_PREFIX, SESSION_COOKIE, SessionCookie, clear_cookie,
    is_own_cookie, set_cookie,
};
pub use groups::Groups;
pub use live::{LiveSession, Person};
pub use reached::{Reached, Visit};
pub use registry::{Found, SessionError, Sessions};
pub use seal::{Purpose, Sealer};
pub use ticket::{TICKET_LIFE, Ticket, UsedOnce};

use std::fmt;

/// The name of a session: random, and worth nothing unsealed.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub(crate) [u8; 16]);

impl SessionId {
    /// The raw name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// As logs, the audit and the `sid` of assertions show it: lower-case hex.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl serde::Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not the name of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a session is named by 32 hexadecimal digits")]
pub struct NotASessionId;

impl std::str::FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotASessionId);
        }
        u128::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| NotASessionId)
    }
}

#[cfg(test)]
mod tests;
