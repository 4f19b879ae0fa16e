//! What stays open: WebSockets, server-sent events, gRPC.

use crate::support::raw::Talk;
use crate::support::websocket::WebSocket;
use crate::support::{Browser, DEADLINE, Device, Estate, Tls, find};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A host of each tier and the least device that reaches it.
const TIERS: [(&str, Device); 3] = [
    ("wiki.localhost", Device::None),
    ("tickets.localhost", Device::Enrolled),
    ("payroll.localhost", Device::Issued),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_echoes_through_every_tier() {
    let estate = Estate::start();
    for (host, device) in TIERS {
        let browser = Browser::signed_in(&estate, device, "admin", &[host]).await;
        let mark = estate.mark();
        let mut request = format!("wss://{host}:{}/ws", estate.port).into_client_request().unwrap();
        request.headers_mut().insert("cookie", browser.cookie(host).unwrap().parse().unwrap());
        request.headers_mut().insert("origin", format!("https://{host}:{}", estate.port).parse().unwrap());
        let stream = estate.connect(host, device, Tls::H1).await;
        let (mut socket, answer) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        assert_eq!(answer.status(), 101, "{host}");
        for message in
            [Message::text("hello"), Message::binary(vec![7; 100_000]), Message::text("ä".repeat(30_000))]
        {
            socket.send(message.clone()).await.unwrap();
            let back = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
            assert_eq!(back, message, "{host}");
        }
        assert!(estate.metric("tiergate_upgraded_connections_active", &[]) >= 1.0, "{host}");
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap() {}
        let event =
            estate.decision_since(&mark, "the end of the WebSocket", |event| event["path"] == "/ws").await;
        assert_eq!((&event["status"], &event["decision"]), (&json!(101), &json!("allow")), "{host} {event}");
        assert!(
            event["bytes_in"].as_u64() > Some(100_000) && event["bytes_out"].as_u64() > Some(100_000),
            "{host} {event}"
        );
    }
}

/// The answer to a handshake may be there before the proxy has looked once: the tunnel stays open all the same.
#[tokio::test(flavor = "multi_thread")]
async fn no_websocket_ends_as_it_opens() {
    let estate = Estate::start();
    let browser = Browser::signed_in(&estate, Device::None, "admin", &["wiki.localhost"]).await;
    let cookie = browser.cookie("wiki.localhost").unwrap();
    let openings = futures::stream::iter(0..600).map(|_| async {
        let mut socket = WebSocket::open(&estate, Device::None, "wiki.localhost", &cookie).await.unwrap();
        socket.echoes().await
    });
    let echoed = openings.buffer_unordered(8).filter(|echoed| std::future::ready(*echoed)).count().await;
    assert_eq!(echoed, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_arrive_one_by_one_through_every_tier() {
    let estate = Estate::start();
    for (host, device) in TIERS {
        let browser = Browser::signed_in(&estate, device, "admin", &[host]).await;
        let mut talk = Talk::new(estate.connect(host, device, Tls::H1).await);
        let cookie = browser.cookie(host).unwrap();
        let text = format!(
            "GET /events HTTP/1.1\r\nHost: {host}:{}\r\nCookie: {cookie}\r\nAccept: text/event-stream\r\n\r\n",
            estate.port
        );
        talk.write(text.as_bytes()).await.unwrap();
        let head = talk.head().await.unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")), "{host}");
        let mut seen = Vec::new();
        let mut arrivals = 0;
        while find(&seen, b"tick 2").is_none() {
            let more = talk.some_bytes().await;
            assert!(!more.is_empty(), "{host}: the stream ended: {}", seen.escape_ascii());
            seen.extend(more);
            arrivals += 1;
        }
        // A second lies between two: whoever buffers brings them together.
        assert!(arrivals >= 3, "{host}: in {arrivals} pieces");
        let mut response = browser.get(&estate.url(host, "/events")).await;
        let first = response.chunk().await.unwrap().unwrap();
        assert!(find(&first, b"tick 0").is_some(), "{host} over HTTP/2: {first:?}");
    }
}

/// A service that speaks gRPC: cleartext HTTP/2, trailers behind the body.
async fn grpc_service() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await?;
                while let Some(accepted) = connection.accept().await {
                    let (request, mut respond) = accepted?;
                    tokio::spawn(async move {
                        let te = request.headers().get("te").cloned();
                        let mut body = request.into_body();
                        let mut length = 0;
                        while let Some(Ok(chunk)) = body.data().await {
                            length += chunk.len();
                            let _ = body.flow_control().release_capacity(chunk.len());
                        }
                        let head =
                            Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                        let mut send = respond.send_response(head, false)?;
                        send.send_data(Bytes::from(format!("{length} {te:?}")), false)?;
                        let mut trailers = HeaderMap::new();
                        trailers.insert("grpc-status", "0".parse().unwrap());
                        trailers.insert("grpc-message", "fine".parse().unwrap());
                        send.send_trailers(trailers)
                    });
                }
                Ok::<_, h2::Error>(())
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_passes_with_its_trailers_and_is_refused_in_its_own_words() {
    let estate = Estate::start();
    let service = grpc_service().await;
    estate.edit("tiergate.yaml", |config| {
        config["upstreams"]["grpc"] = json!({ "addresses": [service.to_string()], "http2": true });
    });
    // `localhost` is in the server's certificate, and no policy has it.
    estate.write("policies/grpc.yaml", &json!({ "version": 1, "resources": [
        { "name": "grpc", "tier": "open", "hosts": ["localhost"], "upstream": "grpc", "paths": [{ "prefix": "/high.Service", "tier": "high" }] },
    ] }).to_string());
    estate.reload();
    let cookie = sign_in_on(&estate, "localhost").await;
    for (path, cookie, want, message) in [
        ("/open.Service/Call", Some(&cookie), "0", "fine"),
        ("/open.Service/Call", None, "16", "not_signed_in"),
        ("/high.Service/Call", Some(&cookie), "7", "device_required"),
    ] {
        let stream = estate.connect("localhost", Device::None, Tls::H2).await;
        let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut request = Request::post(format!("https://localhost:{}{path}", estate.port))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let (answer, mut body) = send.send_request(request.body(()).unwrap(), false).unwrap();
        body.send_data(Bytes::from_static(b"\0\0\0\0\x05hello"), true).unwrap();
        let answer = tokio::time::timeout(DEADLINE, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/grpc", "{path}");
        let (head, mut body) = answer.into_parts();
        let mut data = Vec::new();
        while let Some(chunk) = body.data().await {
            data.extend_from_slice(&chunk.unwrap());
        }
        let trailers = body.trailers().await.unwrap();
        // Refused, the answer is headers alone.
        let told = trailers.unwrap_or(head.headers);
        assert_eq!(
            (told["grpc-status"].to_str().unwrap(), told["grpc-message"].to_str().unwrap()),
            (want, message),
            "{path}"
        );
        if want == "0" {
            assert_eq!(String::from_utf8(data).unwrap(), "10 Some(\"trailers\")", "{path}");
        } else {
            assert!(data.is_empty(), "{path}");
        }
        driver.abort();
    }
}

/// Such a request is judged before it is known that the framework must take it over: it is judged once, and
/// the connection goes on behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_body_reaches_an_upstream_over_http2_and_is_decided_once() {
    let estate = Estate::start();
    let service = grpc_service().await;
    estate.edit("tiergate.yaml", |config| {
        config["upstreams"]["grpc"] = json!({ "addresses": [service.to_string()], "http2": true });
    });
    estate.write(
        "policies/grpc.yaml",
        &json!({ "version": 1, "resources": [
        { "name": "grpc", "tier": "open", "hosts": ["localhost"], "upstream": "grpc" },
    ] })
        .to_string(),
    );
    estate.reload();
    let cookie = sign_in_on(&estate, "localhost").await;
    let mark = estate.mark();
    let mut talk = Talk::new(estate.connect("localhost", Device::None, Tls::H1).await);
    for _ in 0..2 {
        let text =
            format!("GET /plain HTTP/1.1\r\nHost: localhost:{}\r\nCookie: {cookie}\r\n\r\n", estate.port);
        talk.write(text.as_bytes()).await.unwrap();
        let answer = talk.answer("GET").await.unwrap();
        assert_eq!((answer.status, &*answer.body), (200, &b"0 None"[..]));
    }
    let stream = estate.connect("localhost", Device::None, Tls::H2).await;
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::get(format!("https://localhost:{}/plain", estate.port)).header("cookie", &cookie);
    let (answer, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
    let answer = tokio::time::timeout(DEADLINE, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    driver.abort();
    let decided = estate.decisions_since(&mark, 3).await;
    assert_eq!(decided.len(), 3, "{decided:#?}");
    assert!(
        decided.iter().all(|event| event["decision"] == "allow" && event["path"] == "/plain"),
        "{decided:#?}"
    );
}

/// A session on a host that is a name of this machine anyway.
async fn sign_in_on(estate: &Estate, host: &str) -> String {
    let mut browser = Browser::new(estate, Device::None, Tls::H2);
    browser.sign_in(estate, "employee", &estate.url(host, "/open")).await;
    browser.cookie(host).unwrap()
}
