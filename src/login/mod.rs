//! Signing in and out: the pages that tiergate itself serves, as axum routers without a transport.
//!
//! Invariants: whoever is not signed in leaves nothing behind in memory or on disk, everything
//! about them travels sealed; a `GET` changes nothing but cookies of the browser that sent it; no
//! answer leads to a host other than the one that was asked for in the same browser; no answer
//! leads in a circle.

mod browser;
mod callback;
mod challenge;
mod event;
mod finish;
mod held;
mod home;
mod known;
mod oidc;
mod password;
mod reply;
mod sign_in;
mod sign_out;
mod step_up;
mod target;
pub mod view;

pub use challenge::{Redirect, challenge_redirect};
pub use event::{LoginEvent, LoginEventKind, OnEvent};
pub use held::Held;
pub use known::{KnownUser, known, known_under};

use crate::access::Timestamp;
use crate::identity::Throttle;
use crate::session::{LiveSession, Sealer, Sessions, TICKET_LIFE, UsedOnce};
use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware;
use axum::routing::{get, post};
use reply::Reply;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Bytes of a form.
const MOST_FORM_BYTES: usize = 32 * 1024;
/// Tickets used within their life that are remembered.
const MOST_TICKETS: usize = 500_000;
/// OpenID answers used within [`oidc::LIFE`] that are remembered.
const MOST_ANSWERS: usize = 500_000;

/// What is known of a request to one of tiergate's own pages. Travels in its extensions.
#[derive(Clone)]
pub struct Visitor {
    /// The canonical host, without the port.
    pub host: String,
    /// `host[:port]` as the browser used it.
    pub authority: String,
    /// Where the request came from.
    pub client: IpAddr,
    /// SHA-256 of the public key that the device proved on this connection.
    pub device_key: Option<[u8; 32]>,
    /// When the request is answered.
    pub now: Timestamp,
    /// Its name in logs and the audit.
    pub request_id: uuid::Uuid,
    /// Everything it is decided with.
    pub snapshot: Arc<Snapshot>,
    /// The session that is valid on this host, for this device; also one that a policy finds too
    /// old or too long unused, so that it is not taken for good once more.
    pub session: Option<Arc<LiveSession>>,
}

/// What the pages share.
pub struct Login {
    sessions: Arc<Sessions>,
    sealer: ArcSwap<Sealer>,
    throttle: Arc<Throttle>,
    tickets: UsedOnce,
    answers: UsedOnce,
    codes: step_up::SpentCodes,
    on_event: OnEvent,
    /// What was used before a restart is forgotten, so what was issued before it is not taken.
    process: [u8; 16],
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Login {
    /// `keys` are the cookie keys, newest first; `on_event` hears of everything that happens.
    #[must_use]
    pub fn new(
        sessions: Arc<Sessions>,
        keys: &[[u8; 32]],
        throttle: Arc<Throttle>,
        on_event: OnEvent,
    ) -> Arc<Self> {
        let mut process = [0; 16];
        if aws_lc_rs::rand::fill(&mut process).is_err() {
            // Nothing can be sealed without randomness either, so no ticket is ever issued.
            tracing::error!("the system gives no randomness: nobody can sign in");
        }
        Arc::new(Self {
            sessions,
            sealer: ArcSwap::from_pointee(Sealer::new(keys)),
            throttle,
            tickets: UsedOnce::new(TICKET_LIFE, MOST_TICKETS),
            // The provider takes its codes only once as well.
            answers: UsedOnce::forgetting_the_oldest(oidc::LIFE, MOST_ANSWERS),
            codes: step_up::SpentCodes::default(),
            on_event,
            process,
        })
    }

    /// Seals with the first of these keys from now on, and opens with all.
    pub fn rekey(&self, keys: &[[u8; 32]]) {
        self.sealer.store(Arc::new(Sealer::new(keys)));
    }

    /// What seals cookies now.
    #[must_use]
    pub fn sealer(&self) -> Arc<Sealer> {
        self.sealer.load_full()
    }

    /// The sessions that the pages begin and end.
    #[must_use]
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The token that a sign-out form on this host needs, for this session.
    #[must_use]
    pub fn sign_out_token(&self, host: &str, session: &LiveSession, now: Timestamp) -> String {
        browser::token(&self.sealer(), host, browser::Binding::Session(session.id), now)
    }
}

/// The pages of the login host.
pub fn login_host_router(login: Arc<Login>) -> Router {
    dressed(
        Router::new()
            .route("/", get(home::page))
            .route("/sign-in", get(sign_in::page).post(sign_in::submit))
            .route("/sign-in/totp", post(sign_in::submit_code))
            .route("/step-up", get(step_up::page).post(step_up::submit))
            .route("/oidc/{provider}/start", get(oidc::start))
            .route("/oidc/{provider}/callback", get(oidc::callback))
            .route("/sign-out", post(sign_out::submit)),
        login,
    )
}

/// The pages under `/.tiergate/` that every host has, the login host included.
pub fn every_host_router(login: Arc<Login>) -> Router {
    dressed(
        Router::new()
            .route("/.tiergate/callback", get(callback::callback))
            .route("/.tiergate/logout", get(sign_out::page).post(sign_out::submit)),
        login,
    )
}

fn dressed(router: Router<Arc<Login>>, login: Arc<Login>) -> Router {
    router
        .fallback(|| async { Reply::not_found() })
        .method_not_allowed_fallback(|| async { Reply::method_refused() })
        .layer(DefaultBodyLimit::max(MOST_FORM_BYTES))
        .layer(middleware::from_fn(reply::dress))
        .with_state(login)
}

/// One request to a page, without its body.
struct Call {
    login: Arc<Login>,
    visitor: Visitor,
    method: Method,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<Login>> for Call {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, login: &Arc<Login>) -> Result<Self, Self::Rejection> {
        let visitor = parts.extensions.get::<Visitor>().cloned();
        // The gateway puts it there; a request without it did not come through the gateway.
        let visitor = visitor.ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
        Ok(Self {
            login: Arc::clone(login),
            visitor,
            method: parts.method.clone(),
            headers: parts.headers.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
