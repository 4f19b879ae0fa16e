//! Signing out, on every host at once.
//!
//! Invariant: nothing but a form of our own, from the same origin and with the session's token,
//! ends a session or clears a cookie.

use super::browser::Binding;
use super::reply::Reply;
use super::target::port_of;
use super::view::{ConfirmSignOut, Problem, SignedOut, View};
use super::{Call, LoginEventKind};
use crate::session::{SESSION_COOKIE, clear_cookie};
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct SignOutForm {
    #[serde(default)]
    csrf: String,
}

/// `GET /.tiergate/logout`: asks, and does nothing.
pub(super) async fn page(call: Call) -> Reply {
    match call.held().on_any_device() {
        Some(session) => {
            let page = ConfirmSignOut {
                user: session.person().user.clone(),
                csrf: call.token(Binding::Session(session.id)),
            };
            Reply::page(StatusCode::OK, View::ConfirmSignOut(page))
        }
        None => call.signed_out(false),
    }
}

/// `POST /.tiergate/logout` and, on the login host, `POST /sign-out`
pub(super) async fn submit(call: Call, form: Result<Form<SignOutForm>, FormRejection>) -> Reply {
    if !call.is_same_origin() {
        return call.refuse_sign_out();
    }
    let cookie = call.cookies().has(SESSION_COOKIE).then(|| clear_cookie(SESSION_COOKIE));
    let Some(session) = call.held().on_any_device() else {
        return call.signed_out(true).with_cookies(cookie);
    };
    let csrf = form.map(|Form(form)| form.csrf).unwrap_or_default();
    if !call.token_is_good(Binding::Session(session.id), &csrf) {
        return call.refuse_sign_out();
    }
    call.event_of(LoginEventKind::SignedOut, &session);
    if let Err(error) = call.login.sessions.end(session.id).await {
        // In force all the same, and written later.
        tracing::error!(%error, "the end of a session was not written yet");
    }
    call.signed_out(true).with_cookies(cookie)
}

impl Call {
    fn signed_out(&self, just_now: bool) -> Reply {
        let (host, port) = (self.login_host(), port_of(&self.visitor.authority));
        let sign_in = format!("https://{host}{port}/sign-in?choose");
        Reply::page(StatusCode::OK, View::SignedOut(SignedOut { just_now, sign_in }))
    }

    fn refuse_sign_out(&self) -> Reply {
        self.event(LoginEventKind::ForgedForm, None, None);
        let text = "You are still signed in: this request did not come from the sign-out page.";
        let problem = Problem::new("Not signed out", text, "/.tiergate/logout");
        Reply::problem(StatusCode::FORBIDDEN, problem)
    }
}
