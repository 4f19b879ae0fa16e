//! What a browser's session cookie is worth on a host.

use super::{Call, Login, Visitor};
use crate::access::Timestamp;
use crate::session::{Cookies, Found, LiveSession, SESSION_COOKIE, SessionCookie};
use std::sync::Arc;
use std::time::Duration;

/// What a browser's session cookie is worth on a host.
#[derive(Debug)]
pub enum Held {
    /// There is none, or it came twice.
    Nothing,
    /// It was not sealed for this host by any key in use.
    Unreadable,
    /// It names a session that is not known any more.
    Expired,
    /// It names a session that was ended before its time.
    Ended,
    /// It names a session that is alive, and was issued to another device key.
    OtherDevice(Arc<LiveSession>),
    /// It names a session that is alive, and this is its device. Whether the policy still takes
    /// it (idle time, greatest age) is for the decision.
    Live(Arc<LiveSession>),
}

impl Held {
    /// The session, where it is alive, whatever the device.
    #[must_use]
    pub fn on_any_device(self) -> Option<Arc<LiveSession>> {
        match self {
            Self::Live(session) | Self::OtherDevice(session) => Some(session),
            Self::Nothing | Self::Unreadable | Self::Expired | Self::Ended => None,
        }
    }
}

impl Login {
    /// What the session cookie among these is worth on this host, from a device with this key.
    #[must_use]
    pub fn held(&self, host: &str, cookies: &Cookies<'_>, device: Option<&[u8; 32]>) -> Held {
        let Some(value) = cookies.get(SESSION_COOKIE) else { return Held::Nothing };
        let Some(cookie) = SessionCookie::open(&self.sealer.load(), host, value) else {
            return Held::Unreadable;
        };
        match self.sessions.find(cookie.session) {
            Found::Live(session) if cookie.is_of_device(device) => Held::Live(session),
            Found::Live(session) => Held::OtherDevice(session),
            Found::Ended => Held::Ended,
            Found::Unknown => Held::Expired,
        }
    }
}

impl Call {
    pub(super) fn held(&self) -> Held {
        let Visitor { host, device_key, .. } = &self.visitor;
        self.login.held(host, &self.cookies(), device_key.as_ref())
    }

    /// Whether the policy still takes the session for one: neither too old nor too long unused.
    pub(super) fn is_within_limits(&self, session: &LiveSession) -> bool {
        let Visitor { snapshot, now, .. } = &self.visitor;
        let groups = session.group_set(&snapshot.policy, snapshot.generation);
        let rule = snapshot.policy.authentication_for(&groups);
        let limits = snapshot.config.sessions;
        let max_age = rule.and_then(|rule| rule.max_age).unwrap_or(limits.max_age);
        let idle = rule.and_then(|rule| rule.idle_timeout).unwrap_or(limits.idle_timeout);
        within(session.started, *now, max_age) && within(session.last_seen(), *now, idle)
    }
}

fn within(since: Timestamp, now: Timestamp, limit: Duration) -> bool {
    now.saturating_sub(since) <= Timestamp::try_from(limit.as_secs()).unwrap_or(Timestamp::MAX)
}
