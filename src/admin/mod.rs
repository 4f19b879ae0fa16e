//! The admin listener: health, readiness, metrics, and the API that needs a token.
//!
//! Invariants:
//! - Never on the public listener.
//! - `/healthz`, `/readyz` and `/metrics` need no token and tell no secret; everything under `/api/` takes
//!   only the bearer token of a file, and only over TLS or on loopback: a token must not cross a network
//!   in the clear. Off loopback the one port speaks both, told apart by a connection's first byte.
//! - A request whose `Host` is not the listener's is refused, so that a web page that was rebound to this
//!   address reads nothing.

mod comment;
mod devices;
mod guard;
mod problem;
mod reload;
mod serve;

pub use comment::{Comment, CommentError};
pub use devices::{By, Devices, NotChanged, Wish};
pub use reload::{Guarding, Loss, Person, Refused, Reloads, ShutOut};
pub use serve::{Service, Tls, serve};

use crate::audit::{self, Audit, Event, Kind};
use crate::telemetry::{Decided, Metrics};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use problem::Problem;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest time that a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time that an import may take: the most that it may hold, sent slowly.
const IMPORT_TIMEOUT: Duration = Duration::from_mins(4);

/// The most of a body that is read; an import has a limit of its own.
const BODY_LIMIT: usize = 64 * 1024;

/// What can be sick.
pub trait Readiness: Send + Sync {
    /// Every part and how it is. Messages are shown without a token: they name no secret and no user.
    fn checks(&self) -> Vec<Check>;
}

/// How a part is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Somebody should look; requests are served as before.
    Warning,
    /// No traffic should be sent here.
    Failed,
}

/// One part and how it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// Such as `reload`, `audit`, `state`, `draining`.
    pub name: &'static str,
    /// How it is.
    pub level: Level,
    /// What is wrong; empty where nothing is.
    pub message: String,
}

impl Check {
    /// A part that is as it should be.
    #[must_use]
    pub const fn ok(name: &'static str) -> Self {
        Self { name, level: Level::Ok, message: String::new() }
    }

    /// A part that somebody should look at.
    #[must_use]
    pub fn warning(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, level: Level::Warning, message: message.into() }
    }

    /// A part because of which no traffic should be sent here.
    #[must_use]
    pub fn failed(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, level: Level::Failed, message: message.into() }
    }
}

/// What the admin listener shows and does.
pub struct Admin {
    /// The address that the listener is bound to.
    pub address: SocketAddr,
    /// The file with the bearer token; without it the API refuses everybody.
    pub token: Option<PathBuf>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` shows.
    pub readiness: Arc<dyn Readiness>,
    /// What `POST /api/v1/reload` does.
    pub reloads: Arc<dyn Reloads>,
    /// What `/api/v1/devices` shows and changes.
    pub devices: Arc<dyn Devices>,
    /// Where calls to the API are recorded.
    pub audit: Option<Arc<Audit>>,
}

impl Admin {
    /// Whether every caller is on this machine, so that nothing crosses a network.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }

    fn record(&self, request: &Seen, status: StatusCode) {
        let Some(audit) = &self.audit else { return };
        let allowed = !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        audit.record(Event {
            decision: Some(if allowed { Decided::Allow } else { Decided::Deny }),
            method: Some(request.method.clone().into()),
            path: Some(request.path.as_str().into()),
            client: request.client,
            status: Some(status.as_u16()),
            ..Event::new(Kind::Admin, audit::now())
        });
    }
}

/// What is recorded of a call to the API.
struct Seen {
    method: String,
    path: String,
    client: Option<std::net::IpAddr>,
}

impl Seen {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            client: request.extensions().get::<serve::Peer>().map(|peer| peer.0.ip()),
        }
    }
}

/// What the admin listener serves: on loopback everything in the clear; elsewhere everything over
/// TLS, and in the clear what needs no token.
pub fn service(admin: &Arc<Admin>, tls: Arc<dyn Tls>) -> Service {
    if admin.is_local() {
        return Service::plain(whole(admin));
    }
    Service { plain: open(admin), secure: Some((tls, whole(admin))) }
}

/// Every route.
fn whole(admin: &Arc<Admin>) -> Router {
    let api = Router::new()
        .route("/api/v1/reload", post(reload::reload))
        .route("/api/v1/devices", get(devices::list))
        // A device may have this id.
        .route("/api/v1/devices/import", devices::one().post(devices::import))
        .route("/api/v1/devices/{id}", devices::one())
        .route("/api/v1/openapi.json", get(openapi))
        .route_layer(middleware::from_fn_with_state(Arc::clone(admin), authorised));
    finished(admin, without_token().merge(api))
}

/// The routes that need no token; the others say why they are not here.
fn open(admin: &Arc<Admin>) -> Router {
    finished(admin, without_token().nest("/api", Router::new().fallback(any(in_the_clear))))
}

fn without_token() -> Router<Arc<Admin>> {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

fn finished(admin: &Arc<Admin>, router: Router<Arc<Admin>>) -> Router {
    router
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing here") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(admin), guarded))
        .with_state(Arc::clone(admin))
}

/// A token may have crossed the network already; its owner must hear of it.
async fn in_the_clear(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let status = StatusCode::FORBIDDEN;
    admin.record(&Seen::of(&request), status);
    Problem::new(status, "off loopback this is served over TLS only; a token that was sent has been exposed")
        .into_response()
}

/// Checks `Host`, bounds the time, and sets the headers that every answer has.
async fn guarded(State(admin): State<Arc<Admin>>, request: Request, next: middleware::Next) -> Response {
    let mut response = if guard::host_is_ours(admin.address, &request) {
        let import = request.uri().path() == devices::IMPORT && request.method() == Method::POST;
        let time = if import { IMPORT_TIMEOUT } else { CALL_TIMEOUT };
        match tokio::time::timeout(time, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the call took too long").into_response(),
        }
    } else {
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "the host is not this listener's").into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets a call through that bears the token, and records it either way.
async fn authorised(State(admin): State<Arc<Admin>>, request: Request, next: middleware::Next) -> Response {
    let seen = Seen::of(&request);
    let response = match guard::bearer(admin.token.as_deref(), request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    admin.record(&seen, response.status());
    response
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let checks = admin.readiness.checks();
    let ready = checks.iter().all(|check| check.level != Level::Failed);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks: Vec<serde_json::Value> = checks
        .into_iter()
        .map(|Check { name, level, message }| {
            serde_json::json!({ "name": name, "ok": level == Level::Ok, "level": level, "message": message })
        })
        .collect();
    (status, axum::Json(serde_json::json!({ "ready": ready, "checks": checks }))).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.render())
        .into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

#[cfg(test)]
mod tests;
