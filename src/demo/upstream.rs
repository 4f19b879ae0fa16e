//! The service behind the demo's proxy: shows what it received, and misbehaves on demand.
//!
//! It believes every header, so it must be reachable through tiergate alone: it listens on loopback.
//! Nothing is buffered: `/bytes` and `/upload` move any amount in constant memory.

use askama::Template;
use aws_lc_rs::digest;
use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

/// The most that `/bytes` sends: 16 GiB.
const MAX_BYTES: u64 = 16 << 30;
/// The longest that `/delay` waits: 10 minutes, in milliseconds.
const MAX_DELAY: u64 = 600_000;
/// `/events` ends by itself after a day.
const MAX_EVENTS: u64 = 24 * 60 * 60;
/// What `/bytes` sends at a time.
static CHUNK: [u8; 64 * 1024] = [b'.'; 64 * 1024];

/// The service, for whoever serves it.
pub fn router() -> Router {
    Router::new()
        .route("/headers", any(headers))
        .route("/events", get(events))
        .route("/ws", any(ws))
        .route("/bytes/{count}", get(bytes))
        .route("/upload", any(upload))
        .route("/status/{code}", any(status))
        .route("/delay/{milliseconds}", any(delay))
        .fallback(page)
}

/// Serves on a listener until the process ends.
///
/// # Errors
///
/// Where the listener fails.
pub async fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    axum::serve(tokio::net::TcpListener::from_std(listener)?, router()).await
}

/// All headers in their order, repeated ones too; bytes that are not text are shown as `�`.
fn list(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

async fn headers(method: Method, uri: Uri, headers: HeaderMap) -> Json<Value> {
    Json(json!({
        "method": method.as_str(),
        "path": uri.path(),
        "query": uri.query(),
        "headers": list(&headers),
    }))
}

async fn events() -> impl IntoResponse {
    Sse::new(every_second())
}

fn every_second() -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(0_u64, |count| async move {
        if count >= MAX_EVENTS {
            return None;
        }
        if count > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Some((Ok(Event::default().id(count.to_string()).data(format!("tick {count}"))), count + 1))
    })
}

async fn ws(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let sent = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await,
            // Pings are answered by the library.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn bytes(Path(count): Path<u64>) -> Response {
    if count > MAX_BYTES {
        return (StatusCode::BAD_REQUEST, format!("at most {MAX_BYTES} bytes\n")).into_response();
    }
    let chunks = stream::unfold(count, |left| async move {
        if left == 0 {
            return None;
        }
        let size = CHUNK.len().min(usize::try_from(left).unwrap_or(CHUNK.len()));
        let chunk = Bytes::from_static(CHUNK.get(..size)?);
        Some((Ok::<_, Infallible>(chunk), left.saturating_sub(u64::try_from(size).ok()?)))
    });
    let headers = [
        (header::CONTENT_LENGTH, count.to_string()),
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

async fn upload(request: Request) -> Response {
    let mut body = request.into_body().into_data_stream();
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut count = 0_u64;
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else { return StatusCode::BAD_REQUEST.into_response() };
        digest.update(&chunk);
        count = count.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    }
    let hex = digest.finish().as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Json(json!({ "bytes": count, "sha256": hex })).into_response()
}

async fn status(Path(code): Path<u16>) -> Response {
    match StatusCode::from_u16(code) {
        Ok(status) if (200..=599).contains(&code) => status.into_response(),
        Ok(_) | Err(_) => (StatusCode::BAD_REQUEST, "a status from 200 to 599\n").into_response(),
    }
}

async fn delay(Path(milliseconds): Path<u64>) -> Response {
    if milliseconds > MAX_DELAY {
        return (StatusCode::BAD_REQUEST, format!("at most {MAX_DELAY} milliseconds\n")).into_response();
    }
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    "done\n".into_response()
}

/// Who asks, as the service was told.
#[derive(Template)]
#[template(path = "demo_upstream.html")]
struct Page {
    host: String,
    tier: Option<String>,
    facts: Vec<(&'static str, Option<String>)>,
    headers: Vec<(String, String)>,
}

async fn page(headers: HeaderMap) -> Response {
    let told =
        |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let page = Page {
        host: told("host").unwrap_or_else(|| "the demo".to_owned()),
        tier: told("x-tiergate-tier"),
        facts: vec![
            ("User", told("x-tiergate-user")),
            ("E-mail", told("x-tiergate-email")),
            ("Groups", told("x-tiergate-groups")),
            ("Device", told("x-tiergate-device")),
            ("Device trust", told("x-tiergate-device-trust")),
            ("Request", told("x-request-id")),
        ],
        headers: list(&headers),
    };
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http;
    use tower::ServiceExt as _;

    async fn ask(method: &str, path: &str, body: Body) -> (StatusCode, Bytes) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "wiki.localhost")
            .header("x-tiergate-user", "<b>ann</b>")
            .header("x-twice", "1")
            .header("x-twice", "2")
            .body(body)
            .unwrap();
        let response = router().oneshot(request).await.unwrap();
        let status = response.status();
        (status, axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap())
    }

    #[tokio::test]
    async fn it_shows_what_it_received_and_escapes_it() {
        let (_, body) = ask("PUT", "/headers?a=b", Body::empty()).await;
        let seen: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (seen["method"].as_str(), seen["path"].as_str(), seen["query"].as_str()),
            (Some("PUT"), Some("/headers"), Some("a=b"))
        );
        let twice =
            seen["headers"].as_array().unwrap().iter().filter(|header| header[0] == "x-twice").count();
        assert_eq!(twice, 2);
        let (status, body) = ask("GET", "/any/where", Body::empty()).await;
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(status, 200);
        assert!(html.contains("You reached wiki.localhost") && !html.contains("<b>ann"), "{html}");
        assert!(html.contains("&#60;b&#62;ann") || html.contains("&lt;b&gt;ann"));
    }

    #[tokio::test]
    async fn it_streams_counts_and_refuses_too_much() {
        for (path, want, length) in [
            ("/bytes/0", 200, 0),
            ("/bytes/200000", 200, 200_000),
            ("/bytes/17179869185", 400, 26),
            ("/bytes/-1", 400, 0),
            ("/status/503", 503, 0),
            ("/status/100", 400, 0),
            ("/status/900", 400, 0),
            ("/delay/1", 200, 5),
            ("/delay/600001", 400, 0),
        ] {
            let (status, body) = ask("GET", path, Body::empty()).await;
            assert_eq!(status.as_u16(), want, "{path}");
            assert!(length == 0 || body.len() == length, "{path}: {}", body.len());
        }
        let (_, body) = ask("POST", "/upload", Body::from("abc")).await;
        let seen: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(seen["bytes"], 3);
        assert_eq!(seen["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[tokio::test]
    async fn events_begin_at_once() {
        let request = http::Request::builder().uri("/events").body(Body::empty()).unwrap();
        let response = router().oneshot(request).await.unwrap();
        let first = response.into_body().into_data_stream().next().await.unwrap().unwrap();
        assert!(first.starts_with(b"id: 0"), "{first:?}");
    }
}
