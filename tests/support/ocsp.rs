//! An OCSP responder on loopback. Its answers are written by hand, from what it is asked.

use super::pki::{content, der};
use rcgen::SigningKey;
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a responder says of whichever certificate it is asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Says {
    Good,
    Revoked,
    Unknown,
    /// Good, and signed by nobody's key.
    Forged,
    /// Good until yesterday.
    Old,
    /// An error instead of an answer.
    Broken,
}

/// A running responder. Dropping it ends it.
pub struct Responder {
    pub url: String,
    says: Arc<Mutex<Says>>,
    task: JoinHandle<()>,
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Responder {
    /// One that signs with this key of an authority; its answers last for so many seconds.
    pub async fn start(key: &rcgen::KeyPair, says: Says, lasting: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ocsp", listener.local_addr().unwrap());
        let key = Arc::new(rcgen::KeyPair::from_pem(&key.serialize_pem()).unwrap());
        let says = Arc::new(Mutex::new(says));
        let shared = Arc::clone(&says);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (key, says) = (Arc::clone(&key), *shared.lock().unwrap());
                tokio::spawn(async move { answer(stream, &key, says, lasting).await });
            }
        });
        Self { url, says, task }
    }

    /// From now on it says this.
    pub fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }
}

async fn answer(mut stream: TcpStream, key: &rcgen::KeyPair, says: Says, lasting: i64) {
    let mut request = Vec::new();
    let question = loop {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        let Some(end) = super::find(&request, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
        let length = head.split_once("content-length: ").unwrap().1;
        let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
        if request.len() >= end + 4 + length {
            break request[end + 4..end + 4 + length].to_vec();
        }
    };
    let body = says_of(&question, key, says, lasting);
    let status = if says == Says::Broken { "500 Broken" } else { "200 OK" };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/ocsp-response\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
    let _ = stream.shutdown().await;
}

fn says_of(question: &[u8], key: &rcgen::KeyPair, says: Says, lasting: i64) -> Vec<u8> {
    // The request's list has one entry, and that is the certificate's identifier.
    let id = content(content(content(content(question))));
    let now = OffsetDateTime::now_utc() - time::Duration::days(if says == Says::Old { 2 } else { 0 });
    let moment = |time: OffsetDateTime| {
        let format = format_description!("[year][month][day][hour][minute][second]Z");
        der(0x18, time.format(format).unwrap().as_bytes())
    };
    let status = match says {
        Says::Good | Says::Forged | Says::Old | Says::Broken => vec![0x80, 0],
        Says::Revoked => der(0xa1, &moment(now)),
        Says::Unknown => vec![0x82, 0],
    };
    let next = der(0xa0, &moment(now + time::Duration::seconds(lasting)));
    let single = der(0x30, &[id, &status, &moment(now), &next].concat());
    let responder = der(0xa2, &der(0x04, &[7; 20]));
    let data = der(0x30, &[responder, moment(now), der(0x30, &single)].concat());
    let stranger = rcgen::KeyPair::generate().unwrap();
    let signer = if says == Says::Forged { &stranger } else { key };
    let signature = der(0x03, &[vec![0], signer.sign(&data).unwrap()].concat());
    // ecdsa-with-SHA256
    let algorithm = der(0x30, &der(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]));
    let basic = der(0x30, &[data, algorithm, signature].concat());
    let kind = der(0x06, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]);
    let bytes = der(0xa0, &der(0x30, &[kind, der(0x04, &basic)].concat()));
    der(0x30, &[vec![0x0a, 1, 0], bytes].concat())
}
