//! To an OpenID provider and back.
//!
//! Invariants: what must be remembered meanwhile is sealed in a cookie of its own for each tab,
//! named after the `state` it waits for; an answer without that cookie, or a second time, is
//! refused before the provider is asked anything; nothing of an answer is shown.

use super::browser::sha256;
use super::reply::Reply;
use super::target::{Return, Target, Want};
use super::view::Problem;
use super::{Call, LoginEventKind};
use crate::access::Timestamp;
use crate::identity::{Answer, Ask, Kind, OidcError, OidcProvider, Pending};
use crate::session::{OIDC_COOKIE_PREFIX, Purpose, clear_cookie, set_cookie};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

/// How long a user may take at the provider, in seconds.
pub(super) const LIFE: Timestamp = 600;
/// Seconds after which a provider that does not answer may be asked again.
const OUTAGE: u64 = 30;
/// Sign-ins that wait in one browser at once.
const MOST_WAITING: usize = 5;
/// Bytes of name and value of a cookie that browsers take, with room for the rest of it.
const LONGEST_COOKIE: usize = 3900;
/// Bytes of one parameter of an answer.
const LONGEST_PARAMETER: usize = 8 * 1024;
/// What stands in a path segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Where a sign-in with this provider starts.
pub(super) fn link(provider: &str, state: &str) -> String {
    format!("/oidc/{}/start?state={state}", utf8_percent_encode(provider, SEGMENT))
}

#[derive(Default, Deserialize)]
pub(super) struct StartQuery {
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
pub(super) struct AnswerQuery {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// What is remembered while the browser is at the provider.
#[derive(Deserialize, Serialize)]
struct Waiting {
    provider: String,
    pending: Pending,
    target: Option<Return>,
    /// There was a target that could not be read.
    lost: bool,
    issued: Timestamp,
}

/// `GET /oidc/{provider}/start`
pub(super) async fn start(
    call: Call,
    Path(name): Path<String>,
    query: Result<Query<StartQuery>, QueryRejection>,
) -> Reply {
    let StartQuery { state } = query.map(|Query(query)| query).unwrap_or_default();
    let Some(provider) = call.oidc(&name) else { return Reply::not_found() };
    let target = call.target(&state);
    let ask = match target.want() {
        Want::SignIn => Ask { step_up: false, max_age: None },
        Want::StepUp => Ask { step_up: true, max_age: None },
        Want::Reauth { max_age } => Ask { step_up: false, max_age: Some(max_age) },
    };
    let begun = match provider.begin(&call.redirect_uri(&name), &ask).await {
        Ok(begun) => begun,
        Err(error) => {
            let error: &(dyn Error + 'static) = &error;
            tracing::warn!(provider = name, error, "a sign-in could not begin");
            return call.provider_unavailable(&name, &target);
        }
    };
    let Some(waits_for) = state_of(&begun.url) else { return Reply::unavailable() };
    let waiting = Waiting {
        provider: name,
        pending: begun.pending,
        lost: target == Target::Lost,
        target: target.readable().cloned(),
        issued: call.visitor.now,
    };
    let Some(cookie) = call.seal_waiting(&waits_for, waiting) else {
        return Reply::unavailable();
    };
    call.to(begun.url).with_cookies(call.surplus_waiting()).with_cookies([cookie])
}

/// `GET /oidc/{provider}/callback`
pub(super) async fn callback(
    call: Call,
    Path(name): Path<String>,
    query: Result<Query<AnswerQuery>, QueryRejection>,
) -> Reply {
    let Some(provider) = call.oidc(&name) else { return Reply::not_found() };
    let Ok(Query(AnswerQuery { state, code, iss, error })) = query else {
        return call.unexpected(&name);
    };
    let parameters = [&state, &code, &iss, &error];
    if parameters.into_iter().flatten().any(|value| value.len() > LONGEST_PARAMETER) {
        return call.unexpected(&name);
    }
    let waited_for = state.clone().unwrap_or_default();
    let Some(waiting) = call.open_waiting(&waited_for).filter(|waiting| waiting.provider == name) else {
        return call.unexpected(&name);
    };
    let [used, ..] = sha256_halves(&waited_for);
    if !call.login.answers.first_use(used, call.visitor.now) {
        return call.unexpected(&name);
    }
    let Waiting { pending, target, lost, .. } = waiting;
    let target = match target {
        Some(target) => Target::of(target, call.visitor.now),
        None if lost => Target::Lost,
        None => Target::Nowhere,
    };
    let done = clear_cookie(&cookie_name(&waited_for));
    if let Some(error) = error {
        let text = match error.as_str() {
            "access_denied" => "The sign-in was cancelled, or your account may not use this service.",
            _ => "Your identity provider did not sign you in.",
        };
        if OidcError::Refused(error).is_outage() {
            return call.provider_unavailable(&name, &target).with_cookies([done]);
        }
        call.event(LoginEventKind::ProviderFailed, Some(&name), None);
        return call.provider_problem(StatusCode::BAD_REQUEST, text, &target).with_cookies([done]);
    }
    let answer = Answer { state, code, iss, error: None };
    let redirect_uri = call.redirect_uri(&name);
    match provider.complete(&redirect_uri, &pending, &answer, call.visitor.now).await {
        Ok(who) => call.signed_in(&who, target).await,
        Err(error) if error.is_outage() => {
            let error: &(dyn Error + 'static) = &error;
            tracing::warn!(provider = name, error, "a sign-in could not be completed");
            call.provider_unavailable(&name, &target)
        }
        Err(error) => {
            let error: &(dyn Error + 'static) = &error;
            tracing::warn!(provider = name, error, "a sign-in was refused");
            call.event(LoginEventKind::ProviderFailed, Some(&name), None);
            let text = "The answer of your identity provider could not be accepted.";
            call.provider_problem(StatusCode::BAD_REQUEST, text, &target)
        }
    }
    .with_cookies([done])
}

impl Call {
    fn oidc(&self, name: &str) -> Option<&Arc<OidcProvider>> {
        match &self.visitor.snapshot.providers.get(name)?.kind {
            Kind::Oidc(provider) => Some(provider),
            Kind::Local(_) => None,
        }
    }

    fn redirect_uri(&self, provider: &str) -> String {
        let provider = utf8_percent_encode(provider, SEGMENT);
        format!("https://{}/oidc/{provider}/callback", self.visitor.authority)
    }

    /// A page with a link, never a redirect: the provider would answer the same again.
    fn provider_problem(&self, status: StatusCode, text: &str, target: &Target) -> Reply {
        let link = format!("/sign-in?choose&state={}", self.state_text(target));
        Reply::problem(status, Problem::new("You are not signed in", text, &link))
    }

    /// The provider is down or late. Whoever can sign in another way finds it by the link.
    fn provider_unavailable(&self, provider: &str, target: &Target) -> Reply {
        self.event(LoginEventKind::ProviderUnavailable, Some(provider), None);
        let text = if self.visitor.snapshot.providers.iter().nth(1).is_some() {
            "Your identity provider does not answer just now. Please try again in a minute, or sign in \
             another way if you have one."
        } else {
            "Your identity provider does not answer just now. Please try again in a minute."
        };
        self.provider_problem(StatusCode::SERVICE_UNAVAILABLE, text, target).retry_after(OUTAGE)
    }

    fn unexpected(&self, provider: &str) -> Reply {
        self.event(LoginEventKind::ProviderFailed, Some(provider), None);
        let text = "This sign-in was not started in this browser, took too long or was used \
                    already. Please start again.";
        self.provider_problem(StatusCode::BAD_REQUEST, text, &Target::Nowhere)
    }

    fn seal_waiting(&self, waits_for: &str, mut waiting: Waiting) -> Option<String> {
        let name = cookie_name(waits_for);
        let (sealer, host) = (self.login.sealer(), &self.visitor.host);
        let mut value = sealer.seal(Purpose::Oidc, host, &serde_json::to_vec(&waiting).ok()?);
        if name.len() + value.len() > LONGEST_COOKIE {
            "/".clone_into(&mut waiting.target.as_mut()?.to);
            value = sealer.seal(Purpose::Oidc, host, &serde_json::to_vec(&waiting).ok()?);
        }
        let fits = name.len() + value.len() <= LONGEST_COOKIE;
        fits.then(|| set_cookie(&name, &value, u64::try_from(LIFE).ok()))
    }

    /// What waits for an answer with this `state`.
    fn open_waiting(&self, waits_for: &str) -> Option<Waiting> {
        self.waiting_in(&cookie_name(waits_for))
    }

    fn waiting_in(&self, cookie: &str) -> Option<Waiting> {
        let text = self.cookies().get(cookie)?;
        let plain = self.login.sealer().open(Purpose::Oidc, &self.visitor.host, text)?;
        let waiting: Waiting = serde_json::from_slice(&plain).ok()?;
        let age = self.visitor.now.checked_sub(waiting.issued)?;
        (0..=LIFE).contains(&age).then_some(waiting)
    }

    /// Clears what nobody waits for any more, and the oldest of those that are too many.
    fn surplus_waiting(&self) -> Vec<String> {
        let cookies = self.cookies();
        let mut waiting: Vec<(Option<Timestamp>, &str)> = cookies
            .starting_with(OIDC_COOKIE_PREFIX)
            .map(|name| (self.waiting_in(name).map(|waiting| waiting.issued), name))
            .collect();
        // Newest first; those that do not open come last.
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        let is_kept = |(at, (issued, _)): &(usize, &(Option<Timestamp>, &str))| {
            *at < MOST_WAITING - 1 && issued.is_some()
        };
        let kept = waiting.iter().enumerate().take_while(is_kept).count();
        waiting
            .into_iter()
            .skip(kept)
            .filter(|(_, name)| is_ours(name))
            .map(|(_, name)| clear_cookie(name))
            .collect()
    }
}

/// `state` as the provider will send it back.
fn state_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    url.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned())
}

fn cookie_name(state: &str) -> String {
    let hash = sha256(&[b"oidc", state.as_bytes()]);
    hash.iter().take(4).fold(OIDC_COOKIE_PREFIX.to_owned(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// Whether a cookie's name is one that [`cookie_name`] makes; others are not repeated.
fn is_ours(name: &str) -> bool {
    name.strip_prefix(OIDC_COOKIE_PREFIX)
        .is_some_and(|hex| hex.len() == 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn sha256_halves(state: &str) -> [[u8; 16]; 2] {
    let hash = sha256(&[b"answer", state.as_bytes()]);
    let mut halves = [[0; 16]; 2];
    for (half, bytes) in halves.iter_mut().zip(hash.chunks_exact(16)) {
        half.copy_from_slice(bytes);
    }
    halves
}
