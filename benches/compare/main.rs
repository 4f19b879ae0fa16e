//! Measurements of the whole program, on loopback: `make compare` puts tiergate beside other proxies.
//! README.md in this folder says how. `cargo test` tries it out for a moment, so that it cannot rot.
//!
//! This program starts itself for the parts that need a processor of their own: the load and the upstream.

mod checks;
mod client;
mod load;
mod machine;
mod peers;
mod pki;
mod process;
mod rounds;
mod scenarios;
mod table;
mod turn;
mod upstream;

use clap::Parser;
use peers::Peer;
use rounds::Effort;
use scenarios::Scenario;
use std::future::Future;
use std::path::PathBuf;

/// Whatever goes wrong ends the measurement, or leaves one proxy out of it, and is told in words.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures tiergate beside other proxies.
#[derive(Parser)]
struct Arguments {
    /// What is measured; everything where nothing is named.
    scenarios: Vec<String>,
    /// The proxies that take part, separated by commas.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// How often each proxy has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long a turn takes.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Connections that are held open to see what they cost.
    #[arg(long, default_value_t = 2000)]
    idle: usize,
    /// Told by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["load", order] => load::main(order),
        ["upstream"] => upstream::main(),
        [] => run(tried_out()),
        words if words.contains(&"--bench") => {
            let Arguments { scenarios, peers, rounds, seconds, idle, bench: _ } = Arguments::parse();
            let scenarios = scenarios::named(&scenarios)?;
            let peers = peers::named(&peers)?;
            run(async move { measured(&scenarios, &peers, Effort { rounds, seconds, idle }).await })
        }
        // A test that was asked for by name is none of this program's.
        _ => Ok(()),
    }
}

/// Runs to the end, or until somebody stops it: then too, whatever was started ends.
fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err("stopped".into()),
            _ = stop.recv() => Err("stopped".into()),
        }
    })
}

/// Measures, and leaves the table and what it was made from in `target/compare`.
async fn measured(scenarios: &[Scenario], peers: &[Peer], effort: Effort) -> Result<()> {
    let measured = rounds::measure(scenarios, peers, effort).await?;
    let table = table::markdown(&measured);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/compare");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("table.md"), &table)?;
    std::fs::write(folder.join("results.json"), serde_json::to_vec_pretty(&measured)?)?;
    println!("{table}");
    Ok(())
}

/// Every way of measuring once, with tiergate alone and next to no time.
async fn tried_out() -> Result<()> {
    let peers = peers::named(&["tiergate".to_owned()])?;
    let effort = Effort { rounds: 1, seconds: 0.2, idle: 128 };
    let scenarios = ["decide", "http2", "resumed-device", "idle"].map(str::to_owned);
    let measured = rounds::measure(&scenarios::named(&scenarios)?, &peers, effort).await?;
    println!("{}", table::markdown(&measured));
    if let Some(left_out) = measured.left_out.first() {
        return Err(left_out.to_string().into());
    }
    let turns = measured.rows.iter().flat_map(|row| &row.turns);
    match turns.filter_map(|turn| turn.report.first_error.clone()).next() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
