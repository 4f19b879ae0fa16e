//! Measurements of the whole program, on loopback: `make compare` puts tiergate beside other proxies, `make scale`
//! beside itself when there is more of everything. README.md in this folder and docs/performance.md say how.
//! `cargo test` tries both out for a moment, so that they cannot rot.
//!
//! This program starts itself for the parts that need a processor of their own: the load and the upstream.

mod checks;
mod client;
mod docs;
mod ground;
mod load;
mod machine;
mod peers;
mod pki;
mod process;
mod rounds;
mod scale;
mod scenarios;
mod table;
mod turn;
mod upstream;

use clap::{Args, Parser};
use rounds::{Effort, Measured};
use std::future::Future;
use std::path::PathBuf;

/// Whatever goes wrong ends the measurement, or leaves one proxy out of it, and is told in words.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// Of whatever can go wrong so.
pub type Result<T> = std::result::Result<T, Error>;

/// Measures tiergate.
#[derive(Parser)]
enum Command {
    /// Beside other proxies.
    Compare(Compare),
    /// With more of everything.
    Scale(Scale),
}

#[derive(Args)]
struct Compare {
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
    /// Puts the table into docs/performance.md.
    #[arg(long, conflicts_with_all = ["scenarios", "peers"])]
    docs: bool,
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Args)]
struct Scale {
    /// What is measured; everything where nothing is named.
    parts: Vec<scale::Part>,
    /// How often each size has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long a turn takes.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// A little of everything, to try it out.
    #[arg(long)]
    tiny: bool,
    /// Puts the tables into docs/performance.md and the plots beside it.
    #[arg(long, conflicts_with_all = ["parts", "tiny"])]
    docs: bool,
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
        // Cargo says so where it runs benches: all of them, or this one with words of its own.
        ["--bench"] => Ok(()),
        words if words.contains(&"--bench") => match Command::parse() {
            Command::Compare(compare) => run(compared(compare)),
            Command::Scale(scale) => run(scaled(scale)),
        },
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

/// A folder of this repository.
fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Leaves the table, and what it was made from, in `target/compare`.
async fn compared(
    Compare { scenarios, peers, rounds, seconds, idle, docs, bench: _ }: Compare,
) -> Result<()> {
    let (scenarios, peers) = (scenarios::named(&scenarios)?, peers::named(&peers)?);
    let measured = rounds::measure(&scenarios, &peers, Effort { rounds, seconds, idle }).await?;
    let table = table::markdown(&measured);
    std::fs::create_dir_all(folder("target/compare"))?;
    std::fs::write(folder("target/compare/table.md"), &table)?;
    std::fs::write(folder("target/compare/results.json"), serde_json::to_vec_pretty(&measured)?)?;
    println!("{table}");
    if docs { docs::publish("compare", &table) } else { Ok(()) }
}

/// Leaves tables, figures and plots in `target/scale`.
async fn scaled(Scale { mut parts, rounds, seconds, tiny, docs, bench: _ }: Scale) -> Result<()> {
    let extent = if tiny { scale::Extent::tiny() } else { scale::Extent::full(rounds, seconds) };
    if parts.is_empty() {
        parts.extend(scale::Part::ALL);
    }
    let found = scale::measure(&parts, extent).await?;
    let plots = if docs { "docs/performance" } else { "target/scale" };
    scale::leave(&found, &folder("target/scale"), &folder(plots))?;
    let tables = scale::tables(&found);
    println!("{tables}");
    if docs { docs::publish("scale", &tables) } else { Ok(()) }
}

/// Every way of measuring once, with tiergate alone and next to no time.
async fn tried_out() -> Result<()> {
    let peers = peers::named(&["tiergate".to_owned()])?;
    let effort = Effort { rounds: 1, seconds: 0.2, idle: 128 };
    let scenarios = ["decide", "http2", "resumed-device", "idle"].map(str::to_owned);
    let measured = rounds::measure(&scenarios::named(&scenarios)?, &peers, effort).await?;
    println!("{}", table::markdown(&measured));
    in_order(&measured)?;
    let found = scale::measure(&scale::Part::ALL, scale::Extent::tiny()).await?;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    scale::leave(&found, folder.path(), folder.path())?;
    println!("{}", scale::tables(&found));
    Ok(())
}

/// Nothing was left out and no request failed.
fn in_order(Measured { rows, left_out, .. }: &Measured) -> Result<()> {
    if let Some(left_out) = left_out.first() {
        return Err(left_out.to_string().into());
    }
    let mut turns = rows.iter().flat_map(|row| &row.turns);
    match turns.find_map(|turn| turn.report.first_error.clone()) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
