//! Tests of the admin listener, over the router and over real sockets.

use super::*;
use axum::body::Body;
use axum::http::Method;
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

mod devices;
mod over_tls;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const LOOPBACK: &str = "127.0.0.1:9901";

struct Fixed(Mutex<Vec<Check>>);

impl Readiness for Fixed {
    fn checks(&self) -> Vec<Check> {
        self.0.lock().unwrap().clone()
    }
}

struct Loads(Result<u64, Refused>);

impl Reloads for Loads {
    fn reload(&self, _: Guarding) -> BoxFuture<'static, Result<u64, Refused>> {
        let result = self.0.clone();
        Box::pin(async move { result })
    }
}

fn mistaken() -> Refused {
    Refused { diagnostics: "error: unknown group `enginering`".to_owned(), shut_out: None }
}

struct Bench {
    folder: tempfile::TempDir,
    admin: Arc<Admin>,
}

fn bench(address: &str, checks: Vec<Check>, load: Result<u64, Refused>) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("admin.token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let audit = Audit::open(&folder.path().join("audit"), Arc::clone(&metrics)).unwrap();
    let admin = Arc::new(Admin {
        address: address.parse().unwrap(),
        token: Some(token),
        metrics,
        readiness: Arc::new(Fixed(Mutex::new(checks))),
        reloads: Arc::new(Loads(load)),
        devices: Arc::new(devices::Said::default()),
        audit: Some(audit),
    });
    Bench { folder, admin }
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask(bench: &Bench, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(bench, method, path, headers, "").await
}

async fn send(bench: &Bench, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let plain = service(&bench.admin, Arc::new(Unasked)).plain;
    let response = plain.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// On loopback nobody shakes hands.
struct Unasked;

impl Tls for Unasked {
    fn settings(&self) -> Arc<rustls::ServerConfig> {
        panic!("on loopback nobody shakes hands")
    }

    fn certificate(&self, _: Option<&str>) -> Option<Arc<crate::gateway::tls::Served>> {
        panic!("on loopback nobody shakes hands")
    }
}

const HOST: (&str, &str) = ("host", LOOPBACK);

#[tokio::test]
async fn the_open_endpoints_answer_without_a_token() {
    let bench = bench(LOOPBACK, vec![Check::ok("state")], Ok(1));
    let health = ask(&bench, "GET", "/healthz", &[HOST]).await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok"));
    let metrics = ask(&bench, "GET", "/metrics", &[HOST]).await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.body.contains("tiergate_build_info"));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(metrics.header(name), value);
    }
}

#[tokio::test]
async fn readiness_is_lost_by_a_failure_and_not_by_a_warning() {
    for (checks, status, ready) in [
        (vec![], 200, true),
        (vec![Check::ok("state"), Check::warning("reload", "the last load was refused")], 200, true),
        (vec![Check::ok("state"), Check::failed("draining", "the process ends")], 503, false),
    ] {
        let names: Vec<_> = checks.iter().map(|check| check.name).collect();
        let answer = ask(&bench(LOOPBACK, checks.clone(), Ok(1)), "GET", "/readyz", &[HOST]).await;
        assert_eq!(answer.status, status, "{names:?}");
        let body = answer.json();
        assert_eq!(body["ready"], ready);
        for (shown, check) in body["checks"].as_array().unwrap().iter().zip(&checks) {
            assert_eq!(shown["name"], check.name);
            assert_eq!(shown["ok"], check.level == Level::Ok);
            assert_eq!(shown["message"], check.message);
        }
    }
}

#[tokio::test]
async fn only_the_listeners_own_host_is_answered() {
    for (bound, host, status) in [
        (LOOPBACK, "127.0.0.1:9901", 200),
        (LOOPBACK, "localhost:9901", 200),
        (LOOPBACK, "LOCALHOST.", 200),
        (LOOPBACK, "admin.localhost", 200),
        (LOOPBACK, "[::1]:9901", 200),
        (LOOPBACK, "evil.example", 421),
        (LOOPBACK, "localhost.evil.example", 421),
        (LOOPBACK, "127.0.0.1.evil.example", 421),
        (LOOPBACK, "10.0.0.7:9901", 421),
        (LOOPBACK, "", 421),
        ("10.0.0.7:9901", "10.0.0.7:9901", 200),
        ("10.0.0.7:9901", "10.0.0.8:9901", 421),
        ("0.0.0.0:9901", "10.0.0.8:9901", 200),
        ("0.0.0.0:9901", "evil.example:9901", 421),
    ] {
        let answer = ask(&bench(bound, vec![], Ok(1)), "GET", "/healthz", &[("host", host)]).await;
        assert_eq!(answer.status, status, "{bound} {host}");
    }
    let bench = bench(LOOPBACK, vec![], Ok(1));
    assert_eq!(ask(&bench, "GET", "/healthz", &[]).await.status, 421, "no host");
    assert_eq!(
        ask(&bench, "GET", "/healthz", &[HOST, ("host", "evil.example")]).await.status,
        421,
        "two hosts"
    );
}

#[tokio::test]
async fn the_api_takes_only_the_token_of_the_file() {
    let bench = bench(LOOPBACK, vec![], Ok(7));
    let right = format!("Bearer {TOKEN}");
    for (authorization, status) in [
        (right.as_str(), 200),
        (&right.replace("Bearer", "bearer"), 200),
        ("", 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        (TOKEN, 401),
        (&format!("Basic {TOKEN}"), 401),
        (&format!("{right}0"), 401),
        (right.trim_end_matches('f'), 401),
    ] {
        for (method, path) in [("POST", "/api/v1/reload"), ("GET", "/api/v1/openapi.json")] {
            let answer = ask(&bench, method, path, &[HOST, ("authorization", authorization)]).await;
            assert_eq!(answer.status, status, "{path} {authorization:?}");
            if status == 401 {
                assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"tiergate\"");
                assert_eq!(answer.header("content-type"), "application/problem+json");
                assert!(!answer.body.contains(TOKEN));
            }
        }
    }
    let twice = [HOST, ("authorization", right.as_str()), ("authorization", right.as_str())];
    assert_eq!(ask(&bench, "POST", "/api/v1/reload", &twice).await.status, 401, "two headers");
    assert_eq!(ask(&bench, "POST", "/api/v1/reload", &[HOST]).await.status, 401, "no header");

    // A new token counts at once, and the old one no longer does.
    let other = "ffffffffffffffffffffffffffffffff";
    std::fs::write(bench.folder.path().join("admin.token"), other).unwrap();
    let with = |token: &str| format!("Bearer {token}");
    assert_eq!(ask(&bench, "POST", "/api/v1/reload", &[HOST, ("authorization", &right)]).await.status, 401);
    assert_eq!(
        ask(&bench, "POST", "/api/v1/reload", &[HOST, ("authorization", &with(other))]).await.status,
        200
    );
    // An empty or short file opens nothing.
    for short in ["", "\n", "short"] {
        std::fs::write(bench.folder.path().join("admin.token"), short).unwrap();
        assert_eq!(
            ask(&bench, "POST", "/api/v1/reload", &[HOST, ("authorization", &with(short.trim()))])
                .await
                .status,
            503
        );
    }
    std::fs::remove_file(bench.folder.path().join("admin.token")).unwrap();
    assert_eq!(ask(&bench, "POST", "/api/v1/reload", &[HOST, ("authorization", &right)]).await.status, 503);
}

#[tokio::test]
async fn off_loopback_in_the_clear_and_without_a_token_file_there_is_no_api() {
    let right = format!("Bearer {TOKEN}");
    let away = bench("10.0.0.7:9901", vec![], Ok(7));
    let headers = [("host", "10.0.0.7:9901"), ("authorization", right.as_str())];
    for (method, path, status) in [
        ("GET", "/metrics", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("POST", "/api/v1/reload", 403),
        ("GET", "/api/v1/openapi.json", 403),
        ("GET", "/api/else", 403),
        ("GET", "/else", 404),
    ] {
        let answer = ask(&away, method, path, &headers).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.body.contains("over TLS only"), status == 403, "{path}: {}", answer.body);
    }

    let mut without = bench(LOOPBACK, vec![], Ok(7));
    Arc::get_mut(&mut without.admin).unwrap().token = None;
    assert_eq!(ask(&without, "POST", "/api/v1/reload", &[HOST, ("authorization", &right)]).await.status, 403);
}

#[tokio::test]
async fn a_reload_answers_with_the_generation_or_the_diagnostics_and_both_are_recorded() {
    let right = format!("Bearer {TOKEN}");
    for (load, status) in [(Ok(7), 200), (Err(mistaken()), 422)] {
        let bench = bench(LOOPBACK, vec![], load);
        let answer = ask(&bench, "POST", "/api/v1/reload", &[HOST, ("authorization", &right)]).await;
        assert_eq!(answer.status, status);
        if status == 200 {
            assert_eq!(answer.json()["generation"], 7);
        } else {
            assert_eq!(answer.json()["diagnostics"], "error: unknown group `enginering`");
        }
        ask(&bench, "POST", "/api/v1/reload?secret=1", &[HOST]).await;
        assert!(bench.admin.audit.as_ref().unwrap().flush().await);
        let file = std::fs::read_dir(bench.folder.path().join("audit")).unwrap().next().unwrap().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 2);
        assert_eq!(
            (&events[0]["kind"], &events[0]["decision"], &events[0]["status"]),
            (&"admin".into(), &"allow".into(), &status.into())
        );
        assert_eq!(
            (&events[1]["decision"], &events[1]["status"], &events[1]["path"]),
            (&"deny".into(), &401.into(), &"/api/v1/reload".into())
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document() {
    let bench = bench(LOOPBACK, vec![], Ok(1));
    let right = format!("Bearer {TOKEN}");
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/debug/pprof", 404),
        ("POST", "/metrics", 405),
        ("GET", "/api/v1/reload", 405),
        ("GET", "/api/v2/reload", 404),
    ] {
        let answer = ask(&bench, method, path, &[HOST, ("authorization", &right)]).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.json()["status"], status, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

/// The document names every route, and every path and method that it names is one.
#[tokio::test]
async fn the_openapi_document_names_every_route_and_no_other() {
    let document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let source = include_str!("mod.rs");
    let routes = source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let routes: Vec<&str> = routes.collect();
    assert_eq!(routes.len(), paths.len(), "{routes:?}");
    for route in routes {
        assert!(paths.contains_key(route), "{route}");
    }
    let bench = bench(LOOPBACK, vec![], Ok(1));
    let right = format!("Bearer {TOKEN}");
    for (path, methods) in paths {
        // In an order in which there is something to show and to take back.
        for method in ["put", "patch", "get", "post", "delete"] {
            if methods.get(method).is_none() {
                continue;
            }
            let body = if matches!(method, "put" | "patch") { "{}" } else { "" };
            let headers = [HOST, ("authorization", right.as_str())];
            let answer = send(&bench, &method.to_uppercase(), path, &headers, body).await;
            assert_eq!(answer.status, 200, "{method} {path} {}", answer.body);
        }
        assert!(
            methods.as_object().unwrap().keys().all(|it| "put patch get post delete".contains(it.as_str()))
        );
    }
}

#[tokio::test]
async fn the_listener_serves_over_a_socket_and_ends_when_it_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bench = bench(&address.to_string(), vec![], Ok(1));
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(listener, service(&bench.admin, Arc::new(Unasked)), shutdown.clone()));

    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");

    // Too many header fields are refused, not buffered.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let many = "X-A: b\r\n".repeat(200);
    stream
        .write_all(format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n{many}\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));

    // One that is idle does not hold up the end.
    let idle = TcpStream::connect(address).await.unwrap();
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), server).await.unwrap().unwrap();
    drop(idle);
}
