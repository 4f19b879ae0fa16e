//! Where a navigation is sent that lacks a sign-in, a second factor or a fresh proof.

use super::browser::Browser;
use super::target::{Return, port_of};
use super::{Login, Visitor};
use crate::access::Step;
use crate::session::Cookies;
use axum::http::HeaderMap;

/// The answer to a navigation: 302 to `location`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirect {
    /// An absolute URL on the login host.
    pub location: String,
    /// `Set-Cookie` values.
    pub set_cookie: Vec<String>,
}

/// Sends a navigation to the login host for the step that it lacks; nothing is kept of it here.
///
/// `headers` are the request's, for the browser's cookie. With [`Step::SignIn`] and a
/// [`Visitor::session`], that session is not taken as signed in: the user signs in anew.
#[must_use]
pub fn challenge_redirect(
    login: &Login,
    visitor: &Visitor,
    headers: &HeaderMap,
    path_and_query: &str,
    step: Step,
) -> Redirect {
    let login_host = &visitor.snapshot.config.identity.login_host;
    let not = match step {
        Step::SignIn => visitor.session.as_ref().map(|session| *session.id.as_bytes()),
        Step::StepUp | Step::Reauthenticate { .. } => None,
    };
    let browser = Browser::known_or_new(Cookies::read(headers));
    // Without randomness there is no browser to go back to: the user signs in and starts again.
    let state = browser.as_ref().map(|browser| {
        let target = Return { step: step.into(), not, ..Return::here(visitor, browser, path_and_query) };
        target.seal(&login.sealer(), login_host)
    });
    Redirect {
        location: sign_in_url(visitor, &state.unwrap_or_default()),
        set_cookie: browser.and_then(|browser| browser.set_cookie()).into_iter().collect(),
    }
}

/// The sign-in page for a sealed target.
pub(super) fn sign_in_url(visitor: &Visitor, state: &str) -> String {
    let login_host = &visitor.snapshot.config.identity.login_host;
    format!("https://{login_host}{}/sign-in?state={state}", port_of(&visitor.authority))
}
