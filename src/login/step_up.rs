//! A second factor for a local user whose session began without one, and the memory of used codes.
//!
//! Invariant: a code of an authenticator works once, also in two requests at the same time.

use super::browser::Binding;
use super::password::identified;
use super::reply::Reply;
use super::sign_in::waiting;
use super::target::Target;
use super::view::{StepUp, View};
use super::{Call, LoginEventKind};
use crate::access::Timestamp;
use crate::identity::{Kind, LocalUser};
use crate::session::LiveSession;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Users whose last code is remembered before old ones are looked for.
const MANY: usize = 10_000;
/// Time steps after which a code cannot be good any more.
const OLD_STEPS: u64 = 20;
/// Bytes of a code, with the spaces that people type.
const LONGEST_CODE: usize = 32;

const WRONG_CODE: &str = "That code is not right. Wait for the next one and try again.";
const OLD_FORM: &str = "This page was open for too long. Please try again.";

/// The last time step of each user whose code was used.
#[derive(Debug, Default)]
pub(super) struct SpentCodes(Mutex<HashMap<(String, String), u64>>);

impl SpentCodes {
    /// Whether the code is the user's, and neither it nor a later one was used before.
    pub(super) fn accept(&self, provider: &str, user: &LocalUser, code: &str, now: Timestamp) -> bool {
        if code.len() > LONGEST_CODE {
            return false;
        }
        let code: String = code.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let Some(step) = user.verify_totp(&code, now) else { return false };
        self.spend(provider, &user.name, step)
    }

    fn spend(&self, provider: &str, user: &str, step: u64) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MANY {
            last.retain(|_, used| used.saturating_add(OLD_STEPS) > step);
        }
        let key = (provider.to_owned(), user.to_owned());
        let is_new = last.get(&key).is_none_or(|used| *used < step);
        if is_new {
            last.insert(key, step);
        }
        is_new
    }
}

#[derive(Default, Deserialize)]
pub(super) struct StepUpQuery {
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
pub(super) struct StepUpForm {
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    csrf: String,
}

/// `GET /step-up`
pub(super) async fn page(call: Call, query: Result<Query<StepUpQuery>, QueryRejection>) -> Reply {
    let StepUpQuery { state } = query.map(|Query(query)| query).unwrap_or_default();
    let target = call.target(&state);
    let Some(session) = call.signed_in_here() else {
        return call.to(format!("/sign-in?state={}", call.state_text(&target)));
    };
    if session.facts().mfa && call.missing(&session, &target).is_none() {
        return call.onward(&session, &target);
    }
    let providers = &call.visitor.snapshot.providers;
    let local = match providers.get(&session.provider).map(|provider| &provider.kind) {
        Some(Kind::Oidc(_)) => {
            return call.to(super::oidc::link(&session.provider, &call.state_text(&target)));
        }
        Some(Kind::Local(_)) => call.local_user(&session.provider, &session.subject),
        None => None,
    };
    match local.filter(|local| local.has_totp()) {
        Some(_) => call.step_up_form(StatusCode::OK, &session, &target, None),
        None => no_authenticator(&session, &target),
    }
}

/// `POST /step-up`
pub(super) async fn submit(call: Call, form: Result<Form<StepUpForm>, FormRejection>) -> Reply {
    let Ok(Form(StepUpForm { code, state, csrf })) = form else { return Reply::bad_form() };
    let target = call.target(&state);
    let Some(session) = call.signed_in_here() else {
        return call.to(format!("/sign-in?state={}", call.state_text(&target)));
    };
    if !call.is_same_origin() || !call.token_is_good(Binding::Session(session.id), &csrf) {
        call.event(LoginEventKind::ForgedForm, None, None);
        return call.step_up_form(StatusCode::FORBIDDEN, &session, &target, Some(OLD_FORM));
    }
    let Some(local) = call.local_user(&session.provider, &session.subject) else {
        return no_authenticator(&session, &target);
    };
    let (throttle, client, now) = (&call.login.throttle, call.visitor.client, call.visitor.now);
    if let Err(wait) = throttle.check(&local.name, client, now) {
        let (kind, status, why, seconds) = waiting(wait);
        call.event(kind, Some(&session.provider), None);
        return call.step_up_form(status, &session, &target, Some(why)).retry_after(seconds);
    }
    if !call.login.codes.accept(&session.provider, local, &code, now) {
        throttle.failed(&local.name, client, now);
        call.event_of(LoginEventKind::Failed, &session);
        let status = StatusCode::UNAUTHORIZED;
        return call.step_up_form(status, &session, &target, Some(WRONG_CODE));
    }
    throttle.succeeded(&local.name, client, now);
    // The code alone is not a new sign-in: when the user last proved who they are stays as it was.
    let auth_time = session.facts().auth_time;
    let who = identified(&session.provider, local, &["pwd", "otp", "mfa"], auth_time);
    if let Err(error) = call.login.sessions.reauthenticated(&session, &who).await {
        tracing::error!(%error, "a second factor could not be noted");
        return Reply::unavailable();
    }
    call.event_of(LoginEventKind::SteppedUp, &session);
    match call.missing(&session, &target) {
        None => call.onward(&session, &target),
        Some(_) => call.to(format!("/sign-in?state={}", call.state_text(&target))),
    }
}

impl Call {
    /// The session of this browser, where the policy still takes it.
    fn signed_in_here(&self) -> Option<Arc<LiveSession>> {
        self.held().on_any_device().filter(|session| self.is_within_limits(session))
    }

    fn step_up_form(
        &self,
        status: StatusCode,
        session: &LiveSession,
        target: &Target,
        error: Option<&str>,
    ) -> Reply {
        let page = StepUp {
            csrf: self.token(Binding::Session(session.id)),
            state: self.state_text(target),
            has_authenticator: true,
            user: session.person().user.to_string(),
            error: error.map(str::to_owned),
            target: target.readable().map(|target| target.authority.clone()),
        };
        Reply::page(status, View::StepUp(page))
    }
}

fn no_authenticator(session: &LiveSession, target: &Target) -> Reply {
    let page = StepUp {
        csrf: String::new(),
        state: String::new(),
        has_authenticator: false,
        user: session.person().user.to_string(),
        error: None,
        target: target.readable().map(|target| target.authority.clone()),
    };
    Reply::page(StatusCode::FORBIDDEN, View::StepUp(page))
}

#[cfg(test)]
mod tests {
    use super::SpentCodes;

    #[test]
    fn a_code_works_once_and_an_older_one_not_after_it() {
        let spent = SpentCodes::default();
        for (provider, user, step, fresh) in [
            ("local", "a", 100, true),
            ("local", "a", 100, false),
            ("local", "a", 99, false),
            ("local", "b", 100, true),
            ("other", "a", 100, true),
            ("local", "a", 101, true),
        ] {
            assert_eq!(spent.spend(provider, user, step), fresh, "{provider} {user} {step}");
        }
    }
}
