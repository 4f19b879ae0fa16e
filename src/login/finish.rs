//! The end of every way to sign in: a session, its cookie on the login host, and on to the target.
//!
//! Invariants: a session name is never taken over from a browser that was not signed in with it as
//! the same user; nobody is sent on to a target whose step is still missing, which would only send
//! them back.

use super::reply::Reply;
use super::target::{Return, Target, Want};
use super::view::Problem;
use super::{Call, Held, LoginEventKind};
use crate::access::Timestamp;
use crate::identity::{Identified, Kind};
use crate::session::{LiveSession, SESSION_COOKIE, SessionCookie, SessionError, Ticket, set_cookie};
use axum::http::StatusCode;
use std::sync::Arc;

impl Call {
    /// The user has just proved who they are.
    pub(super) async fn signed_in(&self, who: &Identified, target: Target) -> Reply {
        let session = match self.session_for(who, &target).await {
            Ok(session) => session,
            Err(error) => {
                tracing::error!(%error, "a session could not begin");
                return Reply::unavailable();
            }
        };
        let Some(missing) = self.missing(&session, &target) else {
            return self.onward(&session, &target);
        };
        let cookie = self.session_cookie(&session);
        match self.visitor.snapshot.providers.get(&session.provider).map(|found| &found.kind) {
            Some(Kind::Local(_)) if missing == Want::StepUp => {
                self.to(format!("/step-up?state={}", self.state_text(&target)))
            }
            Some(Kind::Local(_) | Kind::Oidc(_)) | None => {
                let text = match missing {
                    Want::StepUp => {
                        "You are signed in, but your identity provider did not confirm a second \
                         factor, which this page needs. Set one up there, or ask your help desk."
                    }
                    Want::SignIn | Want::Reauth { .. } => {
                        "You are signed in, but your identity provider did not ask you to prove \
                         it once more, which this page needs. Sign out there and try again."
                    }
                };
                let problem = Problem::new("Not quite there", text, "/");
                Reply::problem(StatusCode::FORBIDDEN, problem)
            }
        }
        .with_cookies([cookie])
    }

    /// Sends a user on whose session is good enough for the target.
    pub(super) fn onward(&self, session: &LiveSession, target: &Target) -> Reply {
        session.touch(self.visitor.now);
        if let Held::OtherDevice(before) = self.held()
            && before.id == session.id
        {
            self.event_of(LoginEventKind::DeviceChanged, session);
        }
        let reply = match target {
            Target::Nowhere => self.to("/".to_owned()),
            Target::Lost => self.to("/?lost".to_owned()),
            // It asks for a ticket of its own, and gets it without another question.
            Target::Stale(target) => self.to(target.url()),
            Target::Fresh(target) if target.host() == self.visitor.host => self.to(target.url()),
            Target::Fresh(target) => match self.ticket(session, target) {
                Some(ticket) => {
                    let host = &target.authority;
                    self.to(format!("https://{host}/.tiergate/callback?ticket={ticket}"))
                }
                None => return Reply::unavailable(),
            },
        };
        reply.with_cookies([self.session_cookie(session)])
    }

    /// What is still missing for the target, if anything.
    pub(super) fn missing(&self, session: &LiveSession, target: &Target) -> Option<Want> {
        let facts = session.facts();
        let want = target.want();
        let met = match want {
            Want::SignIn => true,
            Want::StepUp => facts.mfa,
            Want::Reauth { max_age } => {
                let age = self.visitor.now.saturating_sub(facts.auth_time);
                age <= Timestamp::try_from(max_age).unwrap_or(Timestamp::MAX)
            }
        };
        (!met).then_some(want)
    }

    /// The session cookie of this host, for the device key on this very connection.
    pub(super) fn session_cookie(&self, session: &LiveSession) -> String {
        let cookie =
            SessionCookie { session: session.id, device: self.visitor.device_key, issued: self.visitor.now };
        set_cookie(SESSION_COOKIE, &cookie.seal(&self.login.sealer(), &self.visitor.host), None)
    }

    /// A target as the next URL or form carries it. What cannot be read stays so, but is not
    /// repeated.
    pub(super) fn state_text(&self, target: &Target) -> String {
        match target {
            Target::Nowhere => String::new(),
            Target::Lost => "-".to_owned(),
            Target::Stale(target) | Target::Fresh(target) => {
                target.seal(&self.login.sealer(), self.login_host())
            }
        }
    }

    pub(super) fn target(&self, text: &str) -> Target {
        Target::read(&self.login.sealer(), self.login_host(), text, self.visitor.now)
    }

    pub(super) fn login_host(&self) -> &str {
        &self.visitor.snapshot.config.identity.login_host
    }

    fn ticket(&self, session: &LiveSession, target: &Return) -> Option<String> {
        let process = self.login.process;
        Ticket::issue(session.id, target.browser, process, &target.to, self.visitor.now)
            .map(|ticket| Ticket { again: target.again, ..ticket })
            .map(|ticket| ticket.seal(&self.login.sealer(), target.host()))
    }

    /// The session of this browser, where it is the same user's, or a new one.
    async fn session_for(&self, who: &Identified, target: &Target) -> Result<Arc<LiveSession>, SessionError> {
        let held = self.held();
        if let Held::Live(session) = &held
            && *session.provider == *who.provider
            && *session.subject == *who.subject
            && self.is_within_limits(session)
            && !target.refuses(session.id)
        {
            match self.login.sessions.reauthenticated(session, who).await {
                Ok(()) => {
                    self.event_of(LoginEventKind::Reauthenticated, session);
                    return Ok(Arc::clone(session));
                }
                Err(SessionError::Ended) => {}
                Err(error) => return Err(error),
            }
        }
        let session = self.login.sessions.begin(who, self.visitor.now).await?;
        self.event_of(LoginEventKind::SignedIn, &session);
        // One browser, one session: what it held before must not live on unseen.
        if let Some(old) = held.on_any_device() {
            self.event_of(LoginEventKind::Replaced, &old);
            if let Err(error) = self.login.sessions.end(old.id).await {
                tracing::warn!(%error, "the end of a replaced session was not written yet");
            }
        }
        Ok(session)
    }
}
