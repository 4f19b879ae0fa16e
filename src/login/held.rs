//! What a browser's session cookie is worth on a host.

use super::known::{KnownUser, known};
use super::{Call, Login, Visitor};
use crate::policy::{SessionLimits, older_than};
use crate::session::{CookieMemory, Cookies, Found, LiveSession, SESSION_COOKIE};
use std::sync::Arc;

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
    /// What the session cookie among these is worth on this host, from a device with this key. `memory`
    /// is that of the connection.
    #[must_use]
    pub fn held(
        &self,
        host: &str,
        cookies: Cookies<'_>,
        device: Option<&[u8; 32]>,
        memory: &CookieMemory,
    ) -> Held {
        let Some(value) = cookies.get(SESSION_COOKIE) else { return Held::Nothing };
        let Some(cookie) = memory.open(&self.sealer.load(), host, value) else {
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
        self.login.held(host, self.cookies(), device_key.as_ref(), &CookieMemory::default())
    }

    /// Whether the session still stands for its user: the account may be used, and the policy finds it
    /// neither too old nor too long unused.
    pub(super) fn is_within_limits(&self, session: &LiveSession) -> bool {
        let Visitor { snapshot, now, .. } = &self.visitor;
        let KnownUser { active, groups, person: _ } = known(session, snapshot);
        let SessionLimits { max_age, idle_timeout } = snapshot.policy.session_limits(&groups.set);
        let limits = snapshot.config.sessions;
        active
            && !older_than(session.started, *now, max_age.unwrap_or(limits.max_age))
            && !older_than(session.last_seen(), *now, idle_timeout.unwrap_or(limits.idle_timeout))
    }
}
