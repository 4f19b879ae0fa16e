//! `POST /api/v1/reload`: what may be asked, what it does, and what is answered.

use super::Admin;
use super::comment::Comment;
use super::problem::Problem;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the API can reload.
pub trait Reloads: Send + Sync {
    /// Loads configuration and policy anew: the new generation, or why nothing was changed.
    fn reload(&self, how: Guarding) -> BoxFuture<'static, Result<u64, Refused>>;
}

/// Whether a reload is held to `reload_guard`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Guarding {
    /// It is.
    Held,
    /// It is not, for this reason. Mistakes refuse it all the same.
    Forced(Comment),
}

/// Why nothing was changed.
#[derive(Clone, Debug)]
pub struct Refused {
    /// As a person reads it.
    pub diagnostics: String,
    /// Whom it would have shut out, where the guard refused it.
    pub shut_out: Option<ShutOut>,
}

/// Whom a reload would shut out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ShutOut {
    /// How many active sessions would lose something.
    pub sessions_denied: usize,
    /// How many sessions are active.
    pub sessions_active: usize,
    /// The protected groups that some of them are in.
    pub protected: Vec<String>,
    /// Whose sessions they are, those that lose most first.
    pub people: Vec<Person>,
    /// How many people more there are.
    pub more_people: usize,
}

/// One person whom a reload would shut out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Person {
    /// As people and upstreams see them.
    pub user: String,
    /// Who vouches for them.
    pub provider: String,
    /// The protected groups that they are in.
    pub protected: Vec<String>,
    /// How many of their active sessions would lose something.
    pub sessions: usize,
    /// What they would lose.
    pub lost: Vec<Loss>,
}

/// Something that a person was let into, and would not be any more.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Loss {
    /// The resource, as it is called now.
    pub resource: String,
    /// The reason code that they would be refused with.
    pub reason: &'static str,
}

/// The body, which may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    force: bool,
    reason: Option<String>,
}

fn read(body: &[u8]) -> Result<Guarding, &'static str> {
    const FORM: &str = "the body is `{\"force\": true, \"reason\": \"…\"}`, or there is none";
    let asked = match body.trim_ascii_start().first() {
        None => Asked::default(),
        Some(b'{') => serde_json::from_slice(body).map_err(|_| FORM)?,
        // A list would be read as the values without their names.
        Some(_) => return Err(FORM),
    };
    match asked {
        Asked { force: false, reason: None } => Ok(Guarding::Held),
        Asked { force: false, reason: Some(_) } => {
            Err("a reason is for a reload that is forced: add `\"force\": true`")
        }
        Asked { force: true, reason } => reason
            .and_then(|reason| reason.parse().ok())
            .map(Guarding::Forced)
            .ok_or("a reload is forced with a `reason` of 1 to 500 characters"),
    }
}

pub(super) async fn reload(State(admin): State<Arc<Admin>>, body: Bytes) -> Response {
    let how = match read(&body) {
        Ok(how) => how,
        Err(detail) => return Problem::new(StatusCode::BAD_REQUEST, detail).into_response(),
    };
    // Its own task: a caller who goes away must not stop a load half way.
    match tokio::spawn(admin.reloads.reload(how)).await {
        Ok(Ok(generation)) => axum::Json(serde_json::json!({ "generation": generation })).into_response(),
        Ok(Err(Refused { diagnostics, shut_out: Some(shut_out) })) => Problem::new(
            StatusCode::CONFLICT,
            "the reload would shut out people who are at work; the last good state stays",
        )
        .with_diagnostics(diagnostics)
        .with_shut_out(shut_out)
        .into_response(),
        Ok(Err(Refused { diagnostics, shut_out: None })) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "configuration or policy was refused; the last good state stays",
        )
        .with_diagnostics(diagnostics)
        .into_response(),
        Err(_) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the load broke off; the last good state stays")
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_is_held_to_the_guard_unless_it_is_forced_with_a_reason() {
        let long = |count: usize| format!(r#"{{"force":true,"reason":"{}"}}"#, "é".repeat(count));
        let forced = |text: &str| Some(Guarding::Forced(text.parse().unwrap()));
        for (body, want) in [
            ("", Some(Guarding::Held)),
            (" \n", Some(Guarding::Held)),
            ("{}", Some(Guarding::Held)),
            (r#"{"force":false}"#, Some(Guarding::Held)),
            (r#"{"force":true,"reason":" leavers "}"#, forced("leavers")),
            (&long(500), forced(&"é".repeat(500))),
            (&long(501), None),
            (r#"{"force":true}"#, None),
            (r#"{"force":true,"reason":""}"#, None),
            (r#"{"force":true,"reason":" "}"#, None),
            (r#"{"force":true,"reason":null}"#, None),
            (r#"{"force":"true","reason":"x"}"#, None),
            (r#"{"force":false,"reason":"x"}"#, None),
            (r#"{"reason":"x"}"#, None),
            (r#"{"froce":true,"reason":"x"}"#, None),
            (r#"{"force":true,"force":true,"reason":"x"}"#, None),
            ("force", None),
            ("[]", None),
            (r#"[true,"x"]"#, None),
        ] {
            assert_eq!(read(body.as_bytes()).ok(), want, "{body}");
        }
    }
}
