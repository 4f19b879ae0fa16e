//! A device management on loopback that answers as a test wants it to.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

type Answering = dyn Fn(&Asked) -> Response + Send;

/// Dropping it ends it.
pub struct Mdm {
    pub address: SocketAddr,
    answering: Arc<Mutex<Box<Answering>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Mdm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mdm {
    pub async fn start(answer: impl Fn(&Asked) -> Response + Send + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering: Arc<Mutex<Box<Answering>>> = Arc::new(Mutex::new(Box::new(answer)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = (Arc::clone(&answering), Arc::clone(&asked));
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let target = uri.path_and_query().unwrap().to_string();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let asked = Asked { method, target, headers, body };
            let answer = shared.0.lock().unwrap()(&asked);
            shared.1.lock().unwrap().push(asked);
            async move { answer }
        };
        let router = Router::new().fallback(handler);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, answering, asked, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn answer_with(&self, answer: impl Fn(&Asked) -> Response + Send + 'static) {
        *self.answering.lock().unwrap() = Box::new(answer);
    }

    /// The requests since the last look.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The targets of those.
    pub fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }
}

pub fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The same with a tag, or that it is unchanged where that tag was sent.
pub fn tagged(asked: &Asked, tag: &str, value: &Value) -> Response {
    if asked.header(header::IF_NONE_MATCH) == tag {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let mut answer = json(value);
    answer.headers_mut().insert(header::ETAG, tag.parse().unwrap());
    answer
}
