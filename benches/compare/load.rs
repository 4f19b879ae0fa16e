//! The load: requests one after the other on so many connections, each a new one where a handshake is what
//! is measured. It runs in a process of its own, with an [`Order`] as its argument, and prints a [`Report`].
//!
//! It connects, prints [`READY`], and begins when a line comes in; it never goes on longer than ordered.

use crate::Result;
use crate::client::{Client, Connection, Request};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;

/// Said when every connection is there.
pub const READY: &str = "ready";
/// After an error, so that a proxy that is gone does not keep a processor busy.
const PAUSE: Duration = Duration::from_millis(10);
/// A report tells of latency in windows of this length.
const WINDOW: Duration = Duration::from_millis(100);
/// Handshakes that are made at once before it begins.
const AT_ONCE: usize = 32;

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub port: u16,
    pub pki: PathBuf,
    /// The certificate that is shown.
    pub device: Option<String>,
    pub cookie: Option<String>,
    pub path: String,
    pub http2: bool,
    pub connections: usize,
    /// Requests at once on a connection, where that is HTTP/2.
    pub streams: usize,
    pub connecting: Connecting,
    /// How long; without it, connections are held until a line comes in.
    pub seconds: Option<f64>,
    /// Requests a second on all connections together; without it, as many as there is time for.
    pub rate: Option<f64>,
}

/// When a connection is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Connecting {
    Once,
    /// For each request, with a full handshake.
    Full,
    /// For each request, and the TLS session is resumed.
    Resumed,
}

/// What came of it. Latency is in microseconds, from sending the request to the end of the answer; where a
/// connection is made for it, from there. With a rate it is from when the request was due, so that a proxy
/// that stands still does not keep the requests from being late.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub seconds: f64,
    pub requests: usize,
    pub errors: usize,
    pub first_error: Option<String>,
    pub resumed: usize,
    /// Connections that were held and had answered.
    pub held: usize,
    pub latency: Latency,
    pub windows: Vec<Window>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    pub p50: u32,
    pub p99: u32,
    pub most: u32,
}

/// The requests that were answered in one tenth of a second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Window {
    pub until: f64,
    pub requests: usize,
    pub latency: Latency,
}

impl Window {
    /// When it began.
    pub fn from(&self) -> f64 {
        self.until - WINDOW.as_secs_f64()
    }
}

/// What one connection saw.
#[derive(Default)]
struct Tally {
    /// When an answer was there, and how long it took, in microseconds.
    answers: Vec<(u32, u32)>,
    errors: usize,
    first_error: Option<String>,
    resumed: usize,
}

/// The program: an order in, a report out.
pub fn main(order: &str) -> Result<()> {
    let order: Order = serde_json::from_str(order)?;
    let processors = std::thread::available_parallelism()?.get();
    let mut runtime = match processors {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let report = runtime.enable_all().build()?.block_on(carried_out(order))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn carried_out(order: Order) -> Result<Report> {
    let client = Client::new(&order.pki, order.port, order.device.as_deref(), order.http2)?;
    let request = order.request(&client)?;
    let mut lanes = Vec::new();
    while lanes.len() < order.connections {
        let missing = order.connections - lanes.len();
        lanes.extend(connected(&order, &client, &request, missing.min(AT_ONCE)).await?);
    }
    println!("{READY}");
    std::io::stdout().flush()?;
    BufReader::new(tokio::io::stdin()).lines().next_line().await?;
    let Some(seconds) = order.seconds else {
        return Ok(Report { held: still_there(lanes).await, ..Report::default() });
    };
    let mut all = Vec::new();
    for lane in lanes {
        for _ in 1..order.streams {
            all.push(lane.beside()?);
        }
        all.push(lane);
    }
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(seconds);
    let mut tasks = JoinSet::new();
    // Each lane begins a little later than the one before, so that a rate is even.
    let pause = order.rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
    let lanes = u32::try_from(all.len())?;
    for (lane, at) in all.into_iter().zip(0..) {
        let due = pause.map(|pause| Due { next: began + pause * at, pause: pause * lanes });
        tasks.spawn(lane.driven(began, end, due));
    }
    let tallies = tasks.join_all().await;
    Ok(report(began.elapsed().as_secs_f64(), tallies))
}

impl Order {
    /// The request that is sent each time.
    fn request(&self, client: &Client) -> Result<Request> {
        let cookie = self.cookie.iter().map(|cookie| ("cookie", cookie.as_str()));
        let close = (self.connecting != Connecting::Once).then_some(("connection", "close"));
        client.request(&self.path, &cookie.chain(close).collect::<Vec<_>>())
    }
}

/// What sends one request after the other.
struct Lane {
    client: Client,
    request: Request,
    /// Kept from one request to the next, or made for each.
    keeps: bool,
    connection: Option<Connection>,
}

/// So many lanes, each of which had one answer.
async fn connected(order: &Order, client: &Client, request: &Request, count: usize) -> Result<Vec<Lane>> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        // A session ticket is used once, so each lane has its own.
        let client = if order.connecting == Connecting::Resumed { client.resuming() } else { client.clone() };
        let keeps = order.connecting == Connecting::Once;
        let mut lane = Lane { client, request: request.clone(), keeps, connection: None };
        tasks.spawn(async move { lane.ask().await.map(|_| lane) });
    }
    tasks.join_all().await.into_iter().collect()
}

/// How many connections answer after they were held.
async fn still_there(lanes: Vec<Lane>) -> usize {
    let mut held = 0;
    for mut lane in lanes {
        held += usize::from(lane.connection.is_some() && lane.ask().await.is_ok());
    }
    held
}

impl Lane {
    /// One more stream of the same connection.
    fn beside(&self) -> Result<Self> {
        let connection = self.connection.as_ref().and_then(Connection::stream);
        let connection = Some(connection.ok_or("only HTTP/2 has streams")?);
        Ok(Self { client: self.client.clone(), request: self.request.clone(), keeps: self.keeps, connection })
    }

    /// One request, and whether a TLS session was resumed for it.
    async fn ask(&mut self) -> Result<bool> {
        let (mut connection, resumed) = match self.connection.take() {
            Some(connection) => (connection, false),
            None => self.client.connect().await?,
        };
        let status = connection.ask(self.request.clone(), |_| ()).await?;
        if status != 200 {
            return Err(format!("answered {status}").into());
        }
        if self.keeps {
            self.connection = Some(connection);
        }
        Ok(resumed)
    }

    async fn driven(mut self, began: Instant, end: Instant, mut due: Option<Due>) -> Tally {
        let mut tally = Tally::default();
        loop {
            let sent = match &mut due {
                Some(due) => due.wait().await,
                None => Instant::now(),
            };
            if sent >= end {
                return tally;
            }
            match self.ask().await {
                Ok(resumed) => {
                    let now = Instant::now();
                    tally.answers.push((micros(now - began), micros(now - sent)));
                    tally.resumed += usize::from(resumed);
                }
                Err(error) => {
                    tally.errors += 1;
                    tally.first_error.get_or_insert_with(|| error.to_string());
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// When a lane sends its next request.
struct Due {
    next: Instant,
    pause: Duration,
}

impl Due {
    /// Waits for it. A timer that is late is not the proxy's fault, a proxy that was late is.
    async fn wait(&mut self) -> Instant {
        let due = self.next;
        self.next += self.pause;
        if due <= Instant::now() {
            return due;
        }
        tokio::time::sleep_until(due.into()).await;
        Instant::now()
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn report(seconds: f64, tallies: Vec<Tally>) -> Report {
    let mut report = Report { seconds, ..Report::default() };
    let mut answers = Vec::new();
    for tally in tallies {
        answers.extend(tally.answers);
        report.errors += tally.errors;
        report.resumed += tally.resumed;
        report.first_error = report.first_error.or(tally.first_error);
    }
    answers.sort_unstable();
    let same_window = |a: &(u32, u32), b: &(u32, u32)| window(a.0) == window(b.0);
    for answered in answers.chunk_by(same_window) {
        report.windows.push(Window {
            until: (f64::from(window(answered[0].0)) + 1.0) * WINDOW.as_secs_f64(),
            requests: answered.len(),
            latency: latency(answered),
        });
    }
    report.requests = answers.len();
    report.latency = latency(&answers);
    report
}

/// In which window this moment is.
fn window(at: u32) -> u32 {
    at / micros(WINDOW)
}

fn latency(answers: &[(u32, u32)]) -> Latency {
    let mut all: Vec<u32> = answers.iter().map(|(_, latency)| *latency).collect();
    all.sort_unstable();
    let at = |share: usize| all.get(all.len() * share / 100).or(all.last()).copied().unwrap_or_default();
    Latency { p50: at(50), p99: at(99), most: at(100) }
}
