//! One turn of a proxy: the load in a process of its own, and what that costs the proxy.

use crate::Result;
use crate::load::{Order, READY, Report};
use crate::process::{Part, Process, Processors};
use serde::Serialize;
use std::time::Duration;

/// How long each is warmed up.
const WARM_UP: f64 = 1.0;
/// Until memory that was used for a handshake is given back.
const SETTLE: Duration = Duration::from_secs(2);
/// Beside the time that was ordered: connecting, and what is slow on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a turn showed.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    /// Processor time of the proxy, in seconds.
    pub processor_time: f64,
    pub report: Report,
}

impl Turn {
    /// Processor time for each request, in microseconds.
    pub fn cost(&self) -> f64 {
        self.processor_time * 1e6 / self.requests()
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests() / self.report.seconds
    }

    fn requests(&self) -> f64 {
        f64::from(u32::try_from(self.report.requests).unwrap_or(u32::MAX))
    }
}

/// Load that has connected and waits.
pub struct Load {
    part: Part,
    patience: Duration,
}

impl Load {
    /// Starts it and waits until every connection is there.
    pub async fn connected(on: &Processors, order: &Order) -> Result<Self> {
        let mut part = Part::start(on, &["load", &serde_json::to_string(order)?])?;
        let said = part.line(PATIENCE).await?;
        if said != READY {
            return Err(format!("the load said `{said}`").into());
        }
        let ordered = Duration::from_secs_f64(order.seconds.unwrap_or_default());
        Ok(Self { part, patience: PATIENCE + ordered })
    }

    /// Lets it begin.
    pub async fn begin(&mut self) -> Result<()> {
        self.part.go().await
    }

    /// Waits until it is done.
    pub async fn done(mut self) -> Result<Report> {
        Ok(serde_json::from_str(&self.part.line(self.patience).await?)?)
    }
}

/// One turn from beginning to end.
pub async fn taken(proxy: &Process, on: &Processors, order: &Order) -> Result<Turn> {
    let mut load = Load::connected(on, order).await?;
    let before = proxy.processor_time();
    load.begin().await?;
    let report = load.done().await?;
    Ok(Turn { processor_time: proxy.processor_time() - before, report })
}

/// Turns of all of these, each once a round in an order by chance, so that a slow patch of the machine meets
/// all alike. Before that each is warmed up: pools and caches are filled. One that fails has no more turns.
pub async fn interleaved(
    proxies: &[(&Process, Order)],
    on: &Processors,
    rounds: u32,
) -> Vec<Result<Vec<Turn>>> {
    let mut turns = Vec::new();
    for (proxy, order) in proxies {
        let short = order.seconds.map(|seconds| seconds.min(WARM_UP));
        let warm = taken(proxy, on, &Order { seconds: short, ..order.clone() }).await;
        turns.push(warm.map(|_| Vec::new()));
    }
    for _ in 0..rounds {
        let mut sequence: Vec<usize> = (0..proxies.len()).collect();
        fastrand::shuffle(&mut sequence);
        for at in sequence {
            let (Ok(before), (proxy, order)) = (&mut turns[at], &proxies[at]) else { continue };
            match taken(proxy, on, order).await {
                Ok(turn) => before.push(turn),
                Err(error) => turns[at] = Err(error),
            }
        }
    }
    turns
}

/// KiB for each connection that waits: what so many need beyond a few, for which the proxy set up the rest.
pub async fn memory_for_each(proxy: &Process, on: &Processors, few: &Order, many: &Order) -> Result<f64> {
    let before = memory_with(proxy, on, few).await?;
    let after = memory_with(proxy, on, many).await?;
    Ok((after - before) / f64::from(u32::try_from(many.connections - few.connections)?))
}

/// KiB that a proxy needs while so many connections wait.
pub async fn memory_with(proxy: &Process, on: &Processors, order: &Order) -> Result<f64> {
    let mut load = Load::connected(on, order).await?;
    tokio::time::sleep(SETTLE).await;
    let memory = proxy.memory();
    load.begin().await?;
    let held = load.done().await?.held;
    if held != order.connections {
        return Err(format!("of {} connections only {held} were held", order.connections).into());
    }
    Ok(memory)
}
