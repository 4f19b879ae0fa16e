//! The sign-in page: password, then the code of an authenticator where the user has one.
//!
//! Invariants: a wrong password, an unknown user and a disabled one get the same answer; what was not
//! looked at is never called wrong; nothing is looked up for a form without its token; what the password proved travels sealed, for one
//! browser and five minutes.

use super::browser::{Binding, Browser};
use super::oidc::link as oidc_link;
use super::password::{LONGEST_PASSWORD, LONGEST_USER, identified};
use super::reply::Reply;
use super::target::{Target, Want};
use super::view::{Choose, Link, Provider, SignIn, Totp, View};
use super::{Call, LoginEventKind};
use crate::access::Timestamp;
use crate::identity::{Kind, Wait, verify_password};
use crate::session::{LiveSession, Purpose};
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

/// Seconds between password and code.
const PENDING_LIFE: Timestamp = 300;
/// Seconds after which a rush of sign-ins has passed.
const RUSH: u64 = 5;

const WRONG: &str = "That user name and password do not belong together.";
const WRONG_CODE: &str = "That code is not right. Wait for the next one and try again.";
const TOO_MANY: &str = "There were too many failed attempts. Please wait a little and try again.";
const BUSY: &str =
    "Many people are signing in just now, so this was not looked at. Please try again in a few seconds.";
const OLD_FORM: &str = "This page was open for too long, or cookies are switched off. Please try again.";

#[derive(Default, Deserialize)]
pub(super) struct SignInQuery {
    #[serde(default)]
    state: String,
    /// Show the page even where there is only one way to sign in.
    choose: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SignInForm {
    user: String,
    password: String,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    csrf: String,
}

#[derive(Deserialize)]
pub(super) struct CodeForm {
    code: String,
    pending: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    csrf: String,
}

/// What a right password proved.
#[derive(Deserialize, Serialize)]
struct Pending {
    provider: String,
    user: String,
    browser: Vec<u8>,
    issued: Timestamp,
}

/// `GET /sign-in`
pub(super) async fn page(call: Call, query: Result<Query<SignInQuery>, QueryRejection>) -> Reply {
    let SignInQuery { state, choose } = query.map(|Query(query)| query).unwrap_or_default();
    let target = call.target(&state);
    if let Some(session) = call.held().on_any_device()
        && call.is_within_limits(&session)
        && !target.refuses(session.id)
    {
        return match call.missing(&session, &target) {
            None => call.onward(&session, &target),
            Some(missing) => call.ask_again(&session, missing, &target),
        };
    }
    match call.only_way().filter(|_| choose.is_none()) {
        Some(provider) => call.to(oidc_link(provider, &call.state_text(&target))),
        None => call.form(StatusCode::OK, &target, None, ""),
    }
}

/// `POST /sign-in`
pub(super) async fn submit(call: Call, form: Result<Form<SignInForm>, FormRejection>) -> Reply {
    let Ok(Form(SignInForm { user, password, provider, state, csrf })) = form else {
        return Reply::bad_form();
    };
    let target = call.target(&state);
    if let Some(refusal) = call.refuse_foreign(&csrf, &target) {
        return refusal;
    }
    let Some((provider, users)) = call.local(&provider) else { return Reply::bad_form() };
    if user.len() > LONGEST_USER || password.len() > LONGEST_PASSWORD {
        return call.form(StatusCode::UNAUTHORIZED, &target, Some(WRONG), "");
    }
    let (throttle, client, now) = (&call.login.throttle, call.visitor.client, call.visitor.now);
    if let Err(wait) = throttle.check(&user, client, now) {
        return call.must_wait(provider, wait, &target, &user);
    }
    let known = match verify_password(users, &user, &password).await {
        Ok(known) => known,
        Err(error) => {
            throttle.did_not_fail(&user, now);
            tracing::warn!(%error, "a sign-in was not looked at");
            return call.must_wait(provider, Wait::Tries(RUSH), &target, &user);
        }
    };
    let Some(local) = known else {
        throttle.failed(&user, client, now);
        let known = users.get(&user).map(|local| local.name.as_str());
        call.event(LoginEventKind::Failed, Some(provider), known);
        return call.form(StatusCode::UNAUTHORIZED, &target, Some(WRONG), &user);
    };
    if local.has_totp() {
        throttle.did_not_fail(&user, now);
        return match call.seal_pending(provider, &local.name) {
            Some(pending) => call.code_form(StatusCode::OK, pending, &target, None),
            None => Reply::unavailable(),
        };
    }
    throttle.succeeded(&user, client, now);
    call.signed_in(&identified(provider, local, &["pwd"], now), target).await
}

/// `POST /sign-in/totp`
pub(super) async fn submit_code(call: Call, form: Result<Form<CodeForm>, FormRejection>) -> Reply {
    let Ok(Form(CodeForm { code, pending, state, csrf })) = form else {
        return Reply::bad_form();
    };
    let target = call.target(&state);
    if let Some(refusal) = call.refuse_foreign(&csrf, &target) {
        return refusal;
    }
    let Some(Pending { provider, user, .. }) = call.open_pending(&pending) else {
        return call.form(StatusCode::UNAUTHORIZED, &target, Some(OLD_FORM), "");
    };
    let Some(local) = call.local_user(&provider, &user) else {
        return call.form(StatusCode::UNAUTHORIZED, &target, Some(WRONG), "");
    };
    let (throttle, client, now) = (&call.login.throttle, call.visitor.client, call.visitor.now);
    if let Err(wait) = throttle.check(&user, client, now) {
        return call.must_wait(&provider, wait, &target, &user);
    }
    if !call.login.codes.accept(&provider, local, &code, now) {
        throttle.failed(&user, client, now);
        call.event(LoginEventKind::Failed, Some(&provider), Some(&user));
        // The same as before, so that another try does not buy more time.
        return call.code_form(StatusCode::UNAUTHORIZED, pending, &target, Some(WRONG_CODE));
    }
    throttle.succeeded(&user, client, now);
    call.signed_in(&identified(&provider, local, &["pwd", "otp", "mfa"], now), target).await
}

impl Call {
    /// Asks a user who is signed in for what is missing, of the provider that signed them in.
    fn ask_again(&self, session: &LiveSession, missing: Want, target: &Target) -> Reply {
        let state = self.state_text(target);
        let provider = self.visitor.snapshot.providers.get(&session.provider);
        match (provider.map(|provider| &provider.kind), missing) {
            (Some(Kind::Oidc(_)), _) => self.to(oidc_link(&session.provider, &state)),
            (Some(Kind::Local(_)), Want::StepUp) => self.to(format!("/step-up?state={state}")),
            (Some(Kind::Local(_)), Want::SignIn | Want::Reauth { .. }) => {
                let why = "Please confirm that it is still you.";
                self.form(StatusCode::OK, target, Some(why), &session.subject)
            }
            (None, _) => self.form(StatusCode::OK, target, None, ""),
        }
    }

    /// The provider, where there is only one and it has a page of its own.
    fn only_way(&self) -> Option<&str> {
        let mut providers = self.visitor.snapshot.providers.iter();
        match (providers.next(), providers.next()) {
            (Some(only), None) => match only.kind {
                Kind::Oidc(_) => Some(&only.name),
                Kind::Local(_) => None,
            },
            (None | Some(_), _) => None,
        }
    }

    fn form(&self, status: StatusCode, target: &Target, error: Option<&str>, user: &str) -> Reply {
        let state = self.state_text(target);
        let authority = target.readable().map(|target| target.authority.clone());
        let (mut local, mut others) = (Vec::new(), Vec::new());
        for provider in self.visitor.snapshot.providers.iter() {
            let (name, title) = (provider.name.clone(), provider.title.clone());
            match provider.kind {
                Kind::Local(_) => local.push(Provider { name, title }),
                Kind::Oidc(_) => others.push(Link { href: oidc_link(&name, &state), title }),
            }
        }
        if local.is_empty() {
            let page = Choose { providers: others, target: authority };
            return Reply::page(status, View::Choose(page));
        }
        let Some(browser) = Browser::known_or_new(self.cookies()) else {
            return Reply::unavailable();
        };
        let page = SignIn {
            csrf: self.token(Binding::Browser(&browser)),
            state,
            error: error.map(str::to_owned),
            user: user.to_owned(),
            local,
            others,
            target: authority,
        };
        Reply::page(status, View::SignIn(page)).with_cookies(browser.set_cookie())
    }

    fn code_form(&self, status: StatusCode, pending: String, target: &Target, error: Option<&str>) -> Reply {
        let Some(browser) = Browser::known(self.cookies()) else { return Reply::bad_form() };
        let page = Totp {
            csrf: self.token(Binding::Browser(&browser)),
            state: self.state_text(target),
            pending,
            error: error.map(str::to_owned),
            target: target.readable().map(|target| target.authority.clone()),
        };
        Reply::page(status, View::Totp(page))
    }

    fn seal_pending(&self, provider: &str, user: &str) -> Option<String> {
        let host = &self.visitor.host;
        let pending = Pending {
            provider: provider.to_owned(),
            user: user.to_owned(),
            browser: Browser::known(self.cookies())?.hash(host).to_vec(),
            issued: self.visitor.now,
        };
        let plain = serde_json::to_vec(&pending).ok()?;
        Some(self.login.sealer().seal(Purpose::TotpPending, host, &plain))
    }

    fn open_pending(&self, text: &str) -> Option<Pending> {
        let (host, now) = (&self.visitor.host, self.visitor.now);
        let plain = self.login.sealer().open(Purpose::TotpPending, host, text)?;
        let pending: Pending = serde_json::from_slice(&plain).ok()?;
        let browser = Browser::known(self.cookies())?;
        let age = now.checked_sub(pending.issued)?;
        let good = (0..=PENDING_LIFE).contains(&age) && pending.browser == browser.hash(host);
        good.then_some(pending)
    }

    /// The answer to a form that did not come from a page of ours in this browser.
    fn refuse_foreign(&self, csrf: &str, target: &Target) -> Option<Reply> {
        let browser = Browser::known(self.cookies());
        let ours = self.is_same_origin()
            && browser.is_some_and(|browser| self.token_is_good(Binding::Browser(&browser), csrf));
        if ours {
            return None;
        }
        self.event(LoginEventKind::ForgedForm, None, None);
        Some(self.form(StatusCode::FORBIDDEN, target, Some(OLD_FORM), ""))
    }

    /// The form once more, for later: nothing was looked at.
    fn must_wait(&self, provider: &str, wait: Wait, target: &Target, user: &str) -> Reply {
        let (kind, status, why, seconds) = waiting(wait);
        self.event(kind, Some(provider), None);
        self.form(status, target, Some(why), user).retry_after(seconds)
    }
}

/// What a try is told that must wait: what happened, the status, the words and the seconds.
pub(super) fn waiting(wait: Wait) -> (LoginEventKind, StatusCode, &'static str, u64) {
    match wait {
        Wait::Failures(seconds) => {
            (LoginEventKind::Throttled, StatusCode::TOO_MANY_REQUESTS, TOO_MANY, seconds)
        }
        Wait::Tries(seconds) => (LoginEventKind::Untried, StatusCode::SERVICE_UNAVAILABLE, BUSY, seconds),
    }
}
