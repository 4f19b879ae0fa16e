//! The front page of the login host: who is signed in.

use super::Call;
use super::browser::Binding;
use super::reply::Reply;
use super::view::{SignedIn, SignedOut, View};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use serde::Deserialize;

#[derive(Default, Deserialize)]
pub(super) struct HomeQuery {
    /// Where the user wanted to go could not be read.
    lost: Option<String>,
}

/// `GET /`
pub(super) async fn page(call: Call, query: Result<Query<HomeQuery>, QueryRejection>) -> Reply {
    let HomeQuery { lost } = query.map(|Query(query)| query).unwrap_or_default();
    let session = call.held().on_any_device().filter(|session| call.is_within_limits(session));
    let view = match session {
        Some(session) => View::SignedIn(SignedIn {
            user: session.person().user.to_string(),
            csrf: call.token(Binding::Session(session.id)),
            note: lost.map(|_| {
                "You are signed in, but the page you came from is not known any more. Please \
                 open it again."
                    .to_owned()
            }),
        }),
        None => View::SignedOut(SignedOut { just_now: false, sign_in: "/sign-in?choose".to_owned() }),
    };
    Reply::page(StatusCode::OK, view)
}
