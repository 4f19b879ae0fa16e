//! The oracle: a plain upstream that records every byte that reaches it, and takes requests apart strictly.

use super::find;
use super::raw::unchunk;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request that reached the upstream whole.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// Names as written.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body with its framing, as it arrived.
    pub raw_body: Vec<u8>,
}

impl Seen {
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(is, _)| is.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The only value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} twice: {all:?}");
        all.first().copied()
    }
}

/// What the upstream answers a request with.
pub type Respond = dyn Fn(&Seen) -> Vec<u8> + Send + Sync;

#[derive(Default)]
struct Log {
    connections: Vec<Vec<u8>>,
    requests: Vec<Seen>,
    complaints: Vec<String>,
}

/// A running upstream. Dropping it ends it.
pub struct Recorder {
    pub address: SocketAddr,
    log: Arc<Mutex<Log>>,
    respond: Arc<Mutex<Arc<Respond>>>,
    task: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorder {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let respond = Arc::new(Mutex::new(Arc::new(|_: &Seen| ok("ok")) as Arc<Respond>));
        let task = tokio::spawn(accept(listener, Arc::clone(&log), Arc::clone(&respond)));
        Self { address, log, respond, task }
    }

    /// From now on requests are answered like this. An empty answer is none: the connection stays silent.
    pub fn answer_with(&self, respond: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) {
        *self.respond.lock().unwrap() = Arc::new(respond);
    }

    pub fn answer_ok(&self) {
        self.answer_with(|_| ok("ok"));
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        let mut log = self.log.lock().unwrap();
        log.requests.clear();
        log.complaints.clear();
        log.connections.iter_mut().for_each(Vec::clear);
    }

    /// The whole requests.
    pub fn requests(&self) -> Vec<Seen> {
        self.log.lock().unwrap().requests.clone()
    }

    /// What no strict reader would have taken: two readings of it are possible.
    pub fn complaints(&self) -> Vec<String> {
        self.log.lock().unwrap().complaints.clone()
    }

    /// Every byte that arrived.
    pub fn bytes(&self) -> Vec<u8> {
        self.log.lock().unwrap().connections.concat()
    }
}

/// An answer with a small body.
pub fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: text/plain\r\n\r\n{body}", body.len())
        .into_bytes()
}

async fn accept(listener: TcpListener, log: Arc<Mutex<Log>>, respond: Arc<Mutex<Arc<Respond>>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let index = {
            let mut log = log.lock().unwrap();
            log.connections.push(Vec::new());
            log.connections.len() - 1
        };
        connections.spawn(serve(stream, index, Arc::clone(&log), Arc::clone(&respond)));
    }
}

async fn serve(mut stream: TcpStream, index: usize, log: Arc<Mutex<Log>>, respond: Arc<Mutex<Arc<Respond>>>) {
    let mut pending = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        loop {
            let (seen, length) = match take_request(&pending) {
                Ok(Some(taken)) => taken,
                Ok(None) => break,
                Err(complaint) => {
                    log.lock().unwrap().complaints.push(complaint);
                    return;
                }
            };
            pending.drain(..length);
            let respond = Arc::clone(&respond.lock().unwrap());
            log.lock().unwrap().requests.push(seen.clone());
            if stream.write_all(&respond(&seen)).await.is_err() {
                return;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                log.lock().unwrap().connections[index].extend_from_slice(&buffer[..read]);
                pending.extend_from_slice(&buffer[..read]);
            }
        }
    }
}

/// Takes one whole request from the bytes, or says why they are not plain.
fn take_request(bytes: &[u8]) -> Result<Option<(Seen, usize)>, String> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let start = end + 4;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let complain = |what: &str| format!("{what}: {text:?}");
    if text.replace("\r\n", "").contains(['\r', '\n']) {
        return Err(complain("a bare CR or LF"));
    }
    let mut lines = text.split("\r\n");
    let words: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words[..] else {
        return Err(complain("no request line"));
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| complain("a header without a colon"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen = Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body: Vec::new(),
        raw_body: Vec::new(),
    };
    let length = match (&seen.all("transfer-encoding")[..], &seen.all("content-length")[..]) {
        ([], []) => 0,
        ([], [length]) => length.parse().map_err(|_| complain("no plain length"))?,
        (["chunked"], []) => match unchunk(&bytes[start..]) {
            None => return Ok(None),
            Some((body, length)) => {
                seen.body = body;
                length
            }
        },
        _ => return Err(complain("framed twice")),
    };
    let Some(raw_body) = bytes.get(start..start + length) else { return Ok(None) };
    seen.raw_body = raw_body.to_vec();
    if seen.all("content-length").len() == 1 {
        seen.body = raw_body.to_vec();
    }
    Ok(Some((seen, start + length)))
}
