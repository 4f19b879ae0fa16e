//! The measurement beside others: all proxies of a scenario are up at once, and have their turns.

use crate::checks::{self, Cookies};
use crate::ground::Ground;
use crate::load::{Connecting, Order};
use crate::machine::Machine;
use crate::peers::{Peer, Place, Running};
use crate::pki::Sessions;
use crate::process::Processors;
use crate::scenarios::{Scenario, Work};
use crate::turn::{self, Turn};
use crate::{Error, Result};
use serde::Serialize;
use std::fmt;

/// Connections before those whose memory is measured.
pub const FEW: usize = 64;

/// How much is done.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Effort {
    pub rounds: u32,
    pub seconds: f64,
    pub idle: usize,
}

/// Everything that was found.
#[derive(Serialize)]
pub struct Measured {
    pub effort: Effort,
    pub machine: Machine,
    pub rows: Vec<Row>,
    pub left_out: Vec<LeftOut>,
}

/// One proxy in one scenario.
#[derive(Serialize)]
pub struct Row {
    pub scenario: Scenario,
    pub peer: Peer,
    pub version: String,
    /// One a round, in their order.
    pub turns: Vec<Turn>,
    /// KiB for each connection that waits.
    pub idle: Option<f64>,
}

/// A proxy that could not take part, and why.
#[derive(Serialize)]
pub struct LeftOut {
    scenario: &'static str,
    peer: &'static str,
    why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is left out of `{}`: {}", self.peer, self.scenario, self.why)
    }
}

/// Measures every scenario with every proxy that can do it.
pub async fn measure(scenarios: &[Scenario], peers: &[Peer], effort: Effort) -> Result<Measured> {
    let (proxy_on, load_on) = Processors::split()?;
    let ground = Ground::prepare(&load_on).await?;
    let (place, sessions) = (ground.place(), &ground.sessions);
    let machine = Machine::look()?;
    let stage = Stage { place, sessions, effort, proxy_on, load_on };
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for scenario in scenarios {
        eprintln!("{}: {}", scenario.name, scenario.title);
        rows.extend(stage.played(scenario, peers, &mut left_out).await);
    }
    Ok(Measured { effort, machine, rows, left_out })
}

/// What all scenarios share.
struct Stage<'a> {
    place: Place<'a>,
    sessions: &'a Sessions,
    effort: Effort,
    proxy_on: Processors,
    load_on: Processors,
}

/// A proxy that passed its checks.
struct Ready {
    running: Running,
    cookie: Option<String>,
    row: Row,
}

impl Stage<'_> {
    async fn played(&self, scenario: &Scenario, peers: &[Peer], left_out: &mut Vec<LeftOut>) -> Vec<Row> {
        let mut leave_out = |peer: Peer, error: Error| {
            let one = LeftOut { scenario: scenario.name, peer: peer.name, why: error.to_string() };
            eprintln!("  {one}");
            left_out.push(one);
        };
        let mut cast = Vec::new();
        for peer in peers.iter().filter(|peer| peer.asked(scenario)) {
            match self.ready(scenario, peer).await {
                Ok(ready) => cast.push(ready),
                Err(error) => leave_out(*peer, error),
            }
        }
        let mut rows = Vec::new();
        match scenario.work {
            Work::Hold => {
                for ready in cast {
                    let few = self.order(&ready, FEW, 1, Connecting::Once, None);
                    let many = Order { connections: self.effort.idle.max(FEW + 1), ..few.clone() };
                    match turn::memory_for_each(&ready.running.process, &self.load_on, &few, &many).await {
                        Ok(idle) => rows.push(Row { idle: Some(idle), ..ready.row }),
                        Err(error) => leave_out(ready.row.peer, error),
                    }
                }
            }
            Work::Requests { connections, streams, connecting } => {
                let seconds = Some(self.effort.seconds);
                let order = |ready| self.order(ready, connections, streams, connecting, seconds);
                let proxies: Vec<_> =
                    cast.iter().map(|ready| (&ready.running.process, order(ready))).collect();
                let turns = turn::interleaved(&proxies, &self.load_on, self.effort.rounds).await;
                for (ready, turns) in cast.into_iter().zip(turns) {
                    match turns {
                        Ok(turns) => rows.push(Row { turns, ..ready.row }),
                        Err(error) => leave_out(ready.row.peer, error),
                    }
                }
            }
        }
        rows
    }

    /// Starts a proxy and checks that it does the work.
    async fn ready(&self, scenario: &Scenario, peer: &Peer) -> Result<Ready> {
        let running = peer.start(scenario, &self.place, &self.proxy_on).await?;
        let version = peer.version(scenario).await?;
        let cookies = Cookies::of(&running, scenario, self.sessions);
        checks::passed(&running, scenario, self.place.pki, &cookies).await?;
        let row = Row { scenario: *scenario, peer: *peer, version, turns: Vec::new(), idle: None };
        Ok(Ready { running, cookie: cookies.good, row })
    }

    fn order(
        &self,
        Ready { running, cookie, row: Row { scenario, .. } }: &Ready,
        connections: usize,
        streams: usize,
        connecting: Connecting,
        seconds: Option<f64>,
    ) -> Order {
        Order {
            port: running.port(),
            pki: self.place.pki.to_owned(),
            device: scenario.device.then(|| "device".to_owned()),
            cookie: cookie.clone(),
            path: scenario.path.to_owned(),
            http2: scenario.http2,
            connections,
            streams,
            connecting,
            seconds,
            rate: None,
        }
    }
}
