//! tiergate beside itself, when there is more of everything: `make scale`, which docs/performance.md describes.

mod estate;
mod growing;
mod plot;
mod report;

use crate::Result;
use crate::ground::Ground;
use crate::load::{Connecting, Latency, Order, Window};
use crate::machine::Machine;
use crate::process::Processors;
use crate::table::median;
use crate::turn::{self, Load, Turn};
use clap::ValueEnum;
use estate::{Estate, Served};
use growing::Growing;
use plot::{count, grouped};
use serde::Serialize;
use std::time::{Duration, Instant};

pub use report::{leave, tables};

/// How far it goes.
pub struct Extent {
    workers: &'static [usize],
    resources: &'static [usize],
    sessions: &'static [usize],
    users: &'static [usize],
    devices: &'static [usize],
    /// Connections that wait.
    idle: &'static [usize],
    /// Resources of the policy that is reloaded.
    reload: usize,
    /// Seconds of load around something that happens in the middle third of them.
    around: f64,
    /// Clients that connect at once, again and again.
    crowd: usize,
    rounds: u32,
    /// Of a turn.
    seconds: f64,
}

impl Extent {
    /// Up to the bounds that tiergate has.
    pub fn full(rounds: u32, seconds: f64) -> Self {
        Self {
            workers: &[1, 2, 4],
            resources: &[10, 1_000, 10_000, 100_000],
            sessions: &[10, 1_000, 100_000, 1_000_000],
            users: &[10, 1_000, 30_000],
            devices: &[10, 1_000, 100_000, 500_000],
            idle: &[64, 2_000, 4_000, 8_000],
            reload: 10_000,
            around: 15.0,
            crowd: 256,
            rounds,
            seconds,
        }
    }

    /// A little of everything.
    pub fn tiny() -> Self {
        Self {
            workers: &[1, 2],
            resources: &[10, 3_000],
            sessions: &[10, 100],
            users: &[10, 100],
            devices: &[10, 100],
            idle: &[8, 64],
            reload: 100,
            around: 1.5,
            crowd: 16,
            rounds: 1,
            seconds: 0.1,
        }
    }

    fn of(&self, growing: Growing) -> &'static [usize] {
        match growing {
            Growing::Resources => self.resources,
            Growing::Sessions => self.sessions,
            Growing::Users => self.users,
            Growing::Devices => self.devices,
        }
    }
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Part {
    Workers,
    Growing,
    Idle,
    Reload,
    Crowd,
}

impl Part {
    pub const ALL: [Self; 5] = [Self::Workers, Self::Growing, Self::Idle, Self::Reload, Self::Crowd];
}

/// Everything that was found; what was not measured is empty.
#[derive(Serialize)]
pub struct Found {
    machine: Machine,
    workers: Vec<Point>,
    growing: Vec<(Growing, Vec<Point>)>,
    /// Connections that wait, and the KiB of the whole process with them.
    idle: Vec<(usize, f64)>,
    reload: Option<Around>,
    crowd: Option<Around>,
}

/// One size of one thing.
#[derive(Serialize)]
struct Point {
    size: usize,
    /// Microseconds of processor time for each request.
    cost: f64,
    /// Requests a second.
    rate: f64,
    /// Milliseconds.
    p99: f64,
    /// Seconds from the start until it was ready.
    start: f64,
    /// MiB of its own before the first request.
    memory: f64,
}

/// Something that happens while requests come in evenly.
#[derive(Serialize)]
struct Around {
    /// What, as a sentence says it.
    what: String,
    /// Requests a second.
    rate: f64,
    /// When it began and was done, in seconds from the first request.
    span: (f64, f64),
    errors: usize,
    windows: Vec<Window>,
}

impl Around {
    /// The latency before it, while it went on, and after. Of p50 and p99 the median of their windows.
    fn phases(&self) -> [(&'static str, Latency); 3] {
        let (from, until) = self.span;
        let all = |is: &dyn Fn(&Window) -> bool| {
            let windows: Vec<&Window> = self.windows.iter().filter(|window| is(window)).collect();
            let middle = |of: fn(&Window) -> u32| {
                let mut values: Vec<u32> = windows.iter().map(|window| of(window)).collect();
                values.sort_unstable();
                values.get(values.len() / 2).copied().unwrap_or_default()
            };
            Latency {
                p50: middle(|window| window.latency.p50),
                p99: middle(|window| window.latency.p99),
                most: windows.iter().map(|window| window.latency.most).max().unwrap_or_default(),
            }
        };
        [
            ("before", all(&|window| window.until <= from)),
            ("meanwhile", all(&|window| window.until > from && window.from() < until)),
            ("after", all(&|window| window.from() >= until)),
        ]
    }
}

/// Where the proxy and the load run.
struct Stage {
    signed_in: Estate,
    proxy_on: Processors,
    load_on: Processors,
    extent: Extent,
}

/// Measures these parts.
pub async fn measure(parts: &[Part], extent: Extent) -> Result<Found> {
    let (proxy_on, load_on) = Processors::shared(1)?;
    let ground = Ground::prepare(&load_on).await?;
    let signed_in = Estate::signed_in(&ground.place(), &proxy_on).await?;
    let stage = Stage { signed_in, proxy_on, load_on, extent };
    let mut found = Found {
        machine: Machine::look()?,
        workers: Vec::new(),
        growing: Vec::new(),
        idle: Vec::new(),
        reload: None,
        crowd: None,
    };
    for part in parts {
        match part {
            Part::Workers => found.workers = stage.workers().await?,
            Part::Growing => {
                for what in Growing::ALL {
                    found.growing.push((what, stage.grown(what).await?));
                }
            }
            Part::Idle => found.idle = stage.idle().await?,
            Part::Reload => found.reload = Some(stage.reloaded().await?),
            Part::Crowd => found.crowd = Some(stage.crowded().await?),
        }
    }
    Ok(found)
}

impl Stage {
    /// Throughput with so many workers, on as many processors as there are for them.
    async fn workers(&self) -> Result<Vec<Point>> {
        let mut points = Vec::new();
        for &workers in self.extent.workers {
            eprintln!("{workers} workers");
            let (proxy_on, load_on) = Processors::shared(workers)?;
            let estate = self.signed_in.copy(&format!("workers-{workers}"))?;
            let served = estate.serve(&proxy_on, workers).await?;
            let memory = served.process.own_memory();
            let order = estate.order(Some(self.extent.seconds));
            for turns in turn::interleaved(&[(&served.process, order)], &load_on, self.extent.rounds).await {
                points.push(point(workers, &served, memory, &turns?)?);
            }
        }
        Ok(points)
    }

    /// The cost of a request with little and with much of something. All sizes are up at once.
    async fn grown(&self, what: Growing) -> Result<Vec<Point>> {
        let mut all = Vec::new();
        for &size in self.extent.of(what) {
            eprintln!("{size} {}", what.name());
            let estate = self.signed_in.copy(&format!("{}-{size}", what.name()))?;
            what.grow(&estate, size).await?;
            let served = estate.serve(&self.proxy_on, 1).await?;
            let memory = served.process.own_memory();
            all.push((size, estate.order(Some(self.extent.seconds)), served, memory));
        }
        let proxies: Vec<(_, Order)> =
            all.iter().map(|(_, order, served, _)| (&served.process, order.clone())).collect();
        let turns = turn::interleaved(&proxies, &self.load_on, self.extent.rounds).await;
        let pairs = all.iter().zip(turns);
        pairs.map(|((size, _, served, memory), turns)| point(*size, served, *memory, &turns?)).collect()
    }

    async fn idle(&self) -> Result<Vec<(usize, f64)>> {
        let estate = self.signed_in.copy("idle")?;
        let served = estate.serve(&self.proxy_on, 1).await?;
        let mut points = Vec::new();
        for &connections in self.extent.idle {
            eprintln!("{connections} idle connections");
            let order = Order { connections, ..estate.order(None) };
            points.push((connections, turn::memory_with(&served.process, &self.load_on, &order).await?));
        }
        Ok(points)
    }

    /// A policy that is changed and reloaded in the middle of steady load.
    async fn reloaded(&self) -> Result<Around> {
        let Extent { reload: resources, around, .. } = self.extent;
        eprintln!("a reload of {resources} resources");
        let estate = self.signed_in.copy("reload")?;
        Growing::Resources.grow(&estate, resources).await?;
        let served = estate.serve(&self.proxy_on, 1).await?;
        let (load, rate) = self.steady(&estate, &served, 0.5).await?;
        let began = Instant::now();
        tokio::time::sleep(Duration::from_secs_f64(around / 3.0)).await;
        estate.change("policies/more-0.yaml", |text| text.replace("DELETE", "PUT"))?;
        let from = began.elapsed().as_secs_f64();
        estate.reload().await?;
        let span = (from, began.elapsed().as_secs_f64());
        let report = load.done().await?;
        let took = (span.1 - span.0) * 1000.0;
        let what = format!("A reload of {} resources took {took:.0} ms", grouped(count(resources)));
        Ok(Around { what, rate, span, errors: report.errors, windows: report.windows })
    }

    /// Clients that make one handshake after the other, in the middle of steady load.
    async fn crowded(&self) -> Result<Around> {
        let Extent { crowd, around, .. } = self.extent;
        eprintln!("{crowd} clients that connect");
        let estate = self.signed_in.copy("crowd")?;
        let served = estate.serve(&self.proxy_on, 1).await?;
        let (load, rate) = self.steady(&estate, &served, 0.25).await?;
        let began = Instant::now();
        let all = estate.order(Some(around / 3.0));
        let all = Order { connecting: Connecting::Full, connections: crowd, ..all };
        let mut all = Load::connected(&self.load_on, &all).await?;
        let left = Duration::from_secs_f64(around / 3.0).saturating_sub(began.elapsed());
        tokio::time::sleep(left).await;
        let from = began.elapsed().as_secs_f64();
        all.begin().await?;
        let made = all.done().await?;
        let span = (from, began.elapsed().as_secs_f64());
        let report = load.done().await?;
        let (each, clients) = (count(made.requests) / made.seconds, grouped(count(crowd)));
        let what = format!("{clients} clients made {} handshakes a second", grouped(each));
        Ok(Around { what, rate, span, errors: report.errors + made.errors, windows: report.windows })
    }

    /// Requests that come in evenly, at this share of what is possible.
    async fn steady(&self, estate: &Estate, served: &Served, share: f64) -> Result<(Load, f64)> {
        let around = self.extent.around;
        let short = estate.order(Some(around / 5.0));
        let rate = turn::taken(&served.process, &self.load_on, &short).await?.rate() * share;
        let order = Order { rate: Some(rate), ..estate.order(Some(around)) };
        let mut load = Load::connected(&self.load_on, &order).await?;
        load.begin().await?;
        Ok((load, rate))
    }
}

fn point(size: usize, served: &Served, memory: f64, turns: &[Turn]) -> Result<Point> {
    if let Some(error) = turns.iter().find_map(|turn| turn.report.first_error.as_ref()) {
        return Err(format!("with {size}: {error}").into());
    }
    Ok(Point {
        size,
        cost: median(turns.iter().map(Turn::cost)),
        rate: median(turns.iter().map(Turn::rate)),
        p99: median(turns.iter().map(|turn| f64::from(turn.report.latency.p99) / 1000.0)),
        start: served.start,
        memory: memory / 1024.0,
    })
}
