//! What happened on the pages, for the audit and the metrics.

use super::Call;
use crate::access::Timestamp;
use crate::session::{LiveSession, SessionId};
use std::net::IpAddr;
use std::sync::Arc;

/// Hears of every event. It is called on the request's own task and must not block.
pub type OnEvent = Arc<dyn Fn(&LoginEvent) + Send + Sync>;

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginEventKind {
    /// A session began.
    SignedIn,
    /// The user of a session proved who they are once more.
    Reauthenticated,
    /// The user of a session used a second factor.
    SteppedUp,
    /// The password or the code was wrong.
    Failed,
    /// Nothing was looked at: too many failures before.
    Throttled,
    /// Nothing was looked at: too many sign-ins at once.
    Untried,
    /// The OpenID provider refused, or what it said was refused.
    ProviderFailed,
    /// The OpenID provider could not be reached, or not in time.
    ProviderUnavailable,
    /// A session was taken along to another device key, by way of the login host.
    DeviceChanged,
    /// The user signed out.
    SignedOut,
    /// A sign-in in the same browser took the place of this session.
    Replaced,
    /// A ticket was used twice, too late, in another browser or on another host.
    TicketRefused,
    /// A form came from another origin or without its token.
    ForgedForm,
}

/// One event. Names that nobody has are not in it: people type passwords into the wrong field.
#[derive(Clone, Debug)]
pub struct LoginEvent {
    /// What happened.
    pub kind: LoginEventKind,
    /// With which provider.
    pub provider: Option<String>,
    /// Whom it concerns, as people and upstreams see them.
    pub user: Option<String>,
    /// The user's stable name at the provider.
    pub subject: Option<String>,
    /// Which session.
    pub session: Option<SessionId>,
    /// On which host.
    pub host: String,
    /// From where.
    pub client: IpAddr,
    /// During which request.
    pub request_id: uuid::Uuid,
    /// When.
    pub at: Timestamp,
}

impl Call {
    /// An event that concerns nobody that is known.
    pub(super) fn event(&self, kind: LoginEventKind, provider: Option<&str>, user: Option<&str>) {
        self.tell(&LoginEvent {
            kind,
            provider: provider.map(str::to_owned),
            user: user.map(str::to_owned),
            subject: None,
            session: None,
            host: self.visitor.host.clone(),
            client: self.visitor.client,
            request_id: self.visitor.request_id,
            at: self.visitor.now,
        });
    }

    /// An event of a session.
    pub(super) fn event_of(&self, kind: LoginEventKind, session: &LiveSession) {
        self.tell(&LoginEvent {
            kind,
            provider: Some(session.provider.to_string()),
            user: Some(session.person().user.to_string()),
            subject: Some(session.subject.to_string()),
            session: Some(session.id),
            host: self.visitor.host.clone(),
            client: self.visitor.client,
            request_id: self.visitor.request_id,
            at: self.visitor.now,
        });
    }

    fn tell(&self, event: &LoginEvent) {
        (self.login.on_event)(event);
    }
}
