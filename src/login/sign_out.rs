//! Signing out, on every host at once.
//!
//! Invariant: nothing but a form of our own, with the session's token and from no other origin, ends
//! a session or clears what the browser keeps of it.

use super::browser::{Binding, Sender};
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
                user: session.person().user.to_string(),
                csrf: call.token(Binding::Session(session.id)),
            };
            Reply::page(StatusCode::OK, View::ConfirmSignOut(page))
        }
        None => call.signed_out(false),
    }
}

/// `POST /.tiergate/logout` and, on the login host, `POST /sign-out`
pub(super) async fn submit(call: Call, form: Result<Form<SignOutForm>, FormRejection>) -> Reply {
    let sender = call.sender();
    let cookie = call.cookies().has(SESSION_COOKIE).then(|| clear_cookie(SESSION_COOKIE));
    let session = match (sender, call.held().on_any_device()) {
        (Sender::Foreign, _) | (Sender::Unsaid, None) => return call.refuse_sign_out(),
        (Sender::Ours, None) => return call.signed_out(true).with_cookies(cookie),
        // Browsers without `Sec-Fetch-Site` may hide the origin of our own form too; its token
        // proves as much, and nobody else can have it.
        (Sender::Ours | Sender::Unsaid, Some(session)) => session,
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
    call.signed_out(true).with_cookies(cookie).clear_site_data()
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
