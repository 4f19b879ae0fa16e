//! Where a browser wants to go once it is signed in, as it travels through the login host.
//!
//! Invariants: a target was made by the gateway for a request that reached it, and nobody else can
//! make or change one; its path leads to the host that it names and to no other.

use super::Visitor;
use super::browser::Browser;
use crate::access::{Step, Timestamp};
use crate::session::{Purpose, Sealer, SessionId};
use serde::{Deserialize, Serialize};

/// How long a target may be answered with a ticket, in seconds.
const FRESH: Timestamp = 600;
/// Bytes of a path and query that are kept; a longer one becomes `/`.
const LONGEST_PATH: usize = 2048;
/// Bytes of a sealed target.
const LONGEST: usize = 8 * 1024;

/// What was asked for, and what is missing to get it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Return {
    /// `host[:port]` as the browser used it.
    pub(super) authority: String,
    /// Path and query.
    pub(super) to: String,
    /// The browser that asked for it, by [`super::browser::Browser::hash`].
    #[serde(with = "base64_bytes")]
    pub(super) browser: [u8; 32],
    pub(super) issued: Timestamp,
    pub(super) step: Want,
    /// The session that was not good enough to be taken as signed in.
    pub(super) not: Option<[u8; 16]>,
    /// The ticket of a first start came back in another browser.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) again: bool,
}

/// What is missing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Want {
    SignIn,
    StepUp,
    Reauth { max_age: u64 },
}

impl From<Step> for Want {
    fn from(step: Step) -> Self {
        match step {
            Step::SignIn => Self::SignIn,
            Step::StepUp => Self::StepUp,
            Step::Reauthenticate { max_auth_age } => Self::Reauth { max_age: max_auth_age },
        }
    }
}

impl Return {
    /// A sign-in for this browser, to come back to this path where the visitor is.
    pub(super) fn here(visitor: &Visitor, browser: &Browser, path: &str) -> Self {
        Self {
            authority: visitor.authority.clone(),
            to: safe_path(path).to_owned(),
            browser: browser.hash(&visitor.host),
            issued: visitor.now,
            step: Want::SignIn,
            not: None,
            again: false,
        }
    }

    /// As it travels in the URL of the login host.
    pub(super) fn seal(&self, sealer: &Sealer, login_host: &str) -> String {
        match serde_json::to_vec(self) {
            Ok(plain) => sealer.seal(Purpose::State, login_host, &plain),
            Err(_) => String::new(),
        }
    }

    /// The canonical host, without the port.
    pub(super) fn host(&self) -> &str {
        host_of(&self.authority)
    }

    /// The address to go back to.
    pub(super) fn url(&self) -> String {
        format!("https://{}{}", self.authority, self.to)
    }
}

/// Where to go after signing in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// Nothing was said.
    Nowhere,
    /// Something was said that cannot be read: changed, cut, or sealed with a key that is gone.
    Lost,
    /// A target of long ago: go there and ask anew, a ticket would not be taken.
    Stale(Return),
    /// A target.
    Fresh(Return),
}

impl Target {
    /// Reads what came in a URL or a form.
    pub(super) fn read(sealer: &Sealer, login_host: &str, text: &str, now: Timestamp) -> Self {
        if text.is_empty() {
            return Self::Nowhere;
        }
        if text.len() > LONGEST {
            return Self::Lost;
        }
        sealer
            .open(Purpose::State, login_host, text)
            .and_then(|plain| serde_json::from_slice(&plain).ok())
            .map_or(Self::Lost, |target| Self::of(target, now))
    }

    /// A target that was kept, judged now.
    pub(super) fn of(target: Return, now: Timestamp) -> Self {
        let fresh = now.checked_sub(target.issued).is_some_and(|age| (0..=FRESH).contains(&age));
        if fresh { Self::Fresh(target) } else { Self::Stale(target) }
    }

    pub(super) fn readable(&self) -> Option<&Return> {
        match self {
            Self::Nowhere | Self::Lost => None,
            Self::Stale(target) | Self::Fresh(target) => Some(target),
        }
    }

    /// What is missing for it.
    pub(super) fn want(&self) -> Want {
        self.readable().map_or(Want::SignIn, |target| target.step)
    }

    /// Whether the gateway found this session not good enough.
    pub(super) fn refuses(&self, session: SessionId) -> bool {
        self.readable().is_some_and(|target| target.not.as_ref() == Some(session.as_bytes()))
    }
}

/// The host of `host[:port]`.
pub(super) fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    }
}

/// The `:port` of `host:port`, or nothing.
pub(super) fn port_of(authority: &str) -> &str {
    authority.strip_prefix(host_of(authority)).unwrap_or_default()
}

/// A path and query to go back to, or `/` where a browser might take it for something else: only
/// what is surely on the same host is kept.
pub(super) fn safe_path(text: &str) -> &str {
    let path = text.split('?').next().unwrap_or_default();
    let safe = text.len() <= LONGEST_PATH
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !text.contains('#');
    if safe { text } else { "/" }
}

/// Bytes as base64url, because a list of numbers would not fit into a cookie.
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)?;
        bytes.try_into().map_err(|_| D::Error::custom("not 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::{host_of, port_of, safe_path};
    use proptest::prelude::*;

    #[test]
    fn only_a_path_of_the_same_host_is_gone_back_to() {
        let long = format!("/{}", "a".repeat(10_240));
        for (text, want) in [
            ("/", "/"),
            ("/x?y=1&z=https://a.test//b", "/x?y=1&z=https://a.test//b"),
            ("/a//b", "/a//b"),
            ("/x?back\\slash", "/x?back\\slash"),
            // A browser takes these for a path of the same host.
            ("/%09/evil", "/%09/evil"),
            ("/%5cevil", "/%5cevil"),
            ("//evil", "/"),
            ("/\\evil", "/"),
            ("\\\\evil", "/"),
            ("/\t/evil", "/"),
            ("/a\\..\\..\\evil", "/"),
            ("https:evil", "/"),
            ("https://app.test.evil", "/"),
            ("https://app.test@evil", "/"),
            ("@evil", "/"),
            (".evil", "/"),
            ("javascript:alert(1)", "/"),
            ("\u{1}https://evil", "/"),
            ("/\r\nSet-Cookie: a=b", "/"),
            ("/ü", "/"),
            ("/x#y", "/"),
            ("?x", "/"),
            ("", "/"),
            (&long, "/"),
        ] {
            assert_eq!(safe_path(text), want, "{text:?}");
        }
    }

    #[test]
    fn host_and_port_of_an_authority() {
        for (authority, host, port) in [
            ("wiki.corp.example", "wiki.corp.example", ""),
            ("wiki.corp.example:8443", "wiki.corp.example", ":8443"),
            ("[::1]:8443", "[::1]", ":8443"),
        ] {
            assert_eq!((host_of(authority), port_of(authority)), (host, port));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_gone_back_to_is_on_the_same_origin(text in "[/\\\\\\t@:a-z.?#%\u{1}-\u{20}]{0,12}") {
            let base = url::Url::parse("https://wiki.corp.example:8443/").unwrap();
            prop_assert_eq!(base.join(safe_path(&text)).unwrap().origin(), base.origin());
            let whole = format!("https://wiki.corp.example:8443{}", safe_path(&text));
            prop_assert_eq!(url::Url::parse(&whole).unwrap().origin(), base.origin());
        }
    }
}
