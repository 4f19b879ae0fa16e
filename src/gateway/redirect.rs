//! The plain HTTP listener: it sends readers of a known host to https and forwards nothing.

use crate::snapshot::Shared;
use crate::text::canonical;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// GET and HEAD for a configured host: 308 to https; anything else 403 or 404.
pub fn router(shared: Shared) -> Router {
    Router::new().fallback(answer).with_state(shared)
}

async fn answer(State(shared): State<Shared>, headers: HeaderMap, request: Request) -> Response {
    let snapshot = shared.load_full();
    let mut hosts = headers.get_all(header::HOST).iter();
    // Two hosts are none: nobody can say which one was meant.
    let host = hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| canonical::authority(host).ok());
    let login_host = &snapshot.config.identity.login_host;
    let Some(host) = host.map(|a| a.host).filter(|host| snapshot.policy.has_host(host) || host == login_host)
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // A body that came in the clear has been read by others already: sending it again hides that.
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let port = snapshot.config.listen.https.first().map_or(443, std::net::SocketAddr::port);
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let target = request.uri().path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
    let to = format!("https://{host}{port}{target}");
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to), (header::CACHE_CONTROL, "no-store".to_owned())])
        .into_response()
}
