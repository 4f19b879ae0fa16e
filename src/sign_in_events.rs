//! What happens on the pages of the login, written to the audit log, counted, and enforced at once.

use crate::audit::{self, Audit, Event, Kind};
use crate::gateway::scope::Heart;
use crate::login::{LoginEvent, LoginEventKind, OnEvent};
use crate::telemetry::{Decided, LoginResult, Metrics};
use std::sync::Arc;

/// What hears of every event.
#[must_use]
pub fn hook(audit: Arc<Audit>, metrics: Arc<Metrics>, heart: Heart) -> OnEvent {
    Arc::new(move |event| {
        let meaning = Meaning::of(event.kind);
        if let (Some(provider), Some(result)) = (&event.provider, meaning.login) {
            metrics.login(provider, result);
        }
        audit.record(record(event, &meaning));
        if meaning.ends_a_session {
            // What is open in that session ends now, not at the next beat.
            heart.beat(true);
        }
    })
}

/// What a kind of event is to the log and the metrics.
struct Meaning {
    kind: Kind,
    decided: Decided,
    reason: &'static str,
    login: Option<LoginResult>,
    ends_a_session: bool,
}

impl Meaning {
    fn of(kind: LoginEventKind) -> Self {
        let sign_in = |decided, reason, login| Self {
            kind: Kind::SignIn,
            decided,
            reason,
            login,
            ends_a_session: false,
        };
        let end =
            |kind, reason| Self { kind, decided: Decided::Allow, reason, login: None, ends_a_session: true };
        match kind {
            LoginEventKind::SignedIn => sign_in(Decided::Allow, "signed_in", Some(LoginResult::Success)),
            LoginEventKind::Reauthenticated => {
                sign_in(Decided::Allow, "reauthenticated", Some(LoginResult::Success))
            }
            LoginEventKind::SteppedUp => sign_in(Decided::Allow, "stepped_up", Some(LoginResult::Success)),
            LoginEventKind::Failed => sign_in(Decided::Deny, "wrong_credentials", Some(LoginResult::Refused)),
            LoginEventKind::Throttled => sign_in(Decided::Deny, "throttled", Some(LoginResult::Throttled)),
            LoginEventKind::Untried => {
                sign_in(Decided::Deny, "too_many_at_once", Some(LoginResult::Throttled))
            }
            LoginEventKind::ProviderUnavailable => {
                sign_in(Decided::Deny, "provider_unavailable", Some(LoginResult::Error))
            }
            LoginEventKind::ProviderFailed => {
                sign_in(Decided::Deny, "provider_failed", Some(LoginResult::Error))
            }
            LoginEventKind::DeviceChanged => sign_in(Decided::Allow, "device_changed", None),
            LoginEventKind::TicketRefused => sign_in(Decided::Deny, "ticket_refused", None),
            LoginEventKind::ForgedForm => sign_in(Decided::Deny, "forged_form", None),
            LoginEventKind::SignedOut => end(Kind::SignOut, "signed_out"),
            LoginEventKind::Replaced => end(Kind::SessionEnd, "replaced"),
        }
    }
}

fn record(event: &LoginEvent, meaning: &Meaning) -> Event {
    let mut record = Event::new(meaning.kind, audit::now());
    record.decision = Some(meaning.decided);
    record.reason = Some(meaning.reason);
    record.request_id = Some(event.request_id);
    record.subject = event.user.as_deref().map(Into::into);
    record.provider = event.provider.as_deref().map(Into::into);
    record.session = event.session;
    record.host = Some(event.host.as_str().into());
    record.client = Some(event.client);
    record
}
