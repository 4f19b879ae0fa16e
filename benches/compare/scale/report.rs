//! What was found, as plots for docs/performance.md, as tables, and as JSON.

use super::plot::{Plot, grouped};
use super::{Found, Growing, Point, Reloaded, Window};
use crate::Result;
use std::fmt::Write as _;
use std::path::Path;

/// Leaves the figures and tables in one folder and the plots in another.
pub fn leave(found: &Found, figures: &Path, plots: &Path) -> Result<()> {
    std::fs::create_dir_all(figures)?;
    std::fs::create_dir_all(plots)?;
    std::fs::write(figures.join("results.json"), serde_json::to_vec_pretty(found)?)?;
    std::fs::write(figures.join("tables.md"), tables(found))?;
    for (name, plot) in pictures(found) {
        std::fs::write(plots.join(format!("{name}.svg")), plot.svg()?)?;
    }
    Ok(())
}

/// The plots of what was measured, by the names of their files.
fn pictures(Found { machine: _, workers, growing, idle, reload }: &Found) -> Vec<(&'static str, Plot<'_>)> {
    let costs = |points: &[Point]| points.iter().map(|point| (count(point.size), point.cost)).collect();
    let throughput = workers.iter().map(|point| (count(point.size), point.rate)).collect();
    let memory = idle.iter().map(|(connections, kib)| (count(*connections), kib / 1024.0)).collect();
    let mut all = vec![
        (
            "workers",
            Plot {
                title: "Requests a second by workers",
                x: "workers",
                y: "requests a second",
                tenfold: false,
                series: vec![("HTTP/1.1, 1 KiB, a decision each", throughput)],
                band: None,
            },
        ),
        (
            "growing",
            Plot {
                title: "Cost of a request as tiergate knows more",
                x: "how many",
                y: "µs of processor time",
                tenfold: true,
                series: growing.iter().map(|(what, points)| (what.name(), costs(points))).collect(),
                band: None,
            },
        ),
        (
            "idle",
            Plot {
                title: "Memory while connections wait",
                x: "connections",
                y: "MiB of the process",
                tenfold: false,
                series: vec![("TLS 1.3 with a device certificate", memory)],
                band: None,
            },
        ),
    ];
    all.extend(reload.as_ref().map(|reload| {
        let plot = Plot {
            title: "Latency around a reload",
            x: "seconds",
            y: "ms",
            tenfold: false,
            series: latencies(reload),
            band: Some(reload.span),
        };
        ("reload", plot)
    }));
    all.retain(|(_, plot)| plot.series.iter().any(|(_, points)| !points.is_empty()));
    all
}

/// The highest first, so that what is below it stays in sight.
fn latencies(reload: &Reloaded) -> Vec<(&'static str, Vec<(f64, f64)>)> {
    let line = |of: fn(&Window) -> u32| {
        reload.windows.iter().map(|window| (window.until, milliseconds(of(window)))).collect()
    };
    vec![
        ("longest", line(|window| window.latency.most)),
        ("p99", line(|window| window.latency.p99)),
        ("p50", line(|window| window.latency.p50)),
    ]
}

/// The tables of docs/performance.md, of what was measured.
pub fn tables(Found { machine, workers, growing, idle, reload }: &Found) -> String {
    let tables = [by_workers(workers), by_size(growing), by_connections(idle)];
    let reload = reload.as_ref().map(around_reload);
    let measured = tables.into_iter().filter(|table| table.lines().count() > 2).chain(reload);
    std::iter::once(format!("{machine}.\n")).chain(measured).collect::<Vec<_>>().join("\n")
}

fn by_workers(points: &[Point]) -> String {
    let mut text = "| workers | requests a second | µs a request | p99 ms |\n|---|---|---|---|\n".to_owned();
    for Point { size, cost, rate, p99, .. } in points {
        let _ = writeln!(text, "| {size} | {} | {cost:.1} | {p99:.2} |", grouped(*rate));
    }
    text
}

fn by_size(growing: &[(Growing, Vec<Point>)]) -> String {
    let mut text = "| what | how many | µs a request | p99 ms | start, s | memory, MiB |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for (what, points) in growing {
        for Point { size, cost, p99, start, memory, .. } in points {
            let (what, size) = (what.name(), grouped(count(*size)));
            let _ = writeln!(text, "| {what} | {size} | {cost:.1} | {p99:.2} | {start:.2} | {memory:.0} |");
        }
    }
    text
}

fn by_connections(idle: &[(usize, f64)]) -> String {
    let mut text =
        "| connections that wait | MiB of the process | KiB for each more than in the first row |\n|---|---|---|\n"
            .to_owned();
    for (connections, kib) in idle {
        let first = idle.first().filter(|(few, _)| few < connections);
        let each = first.map(|(few, less)| format!("{:.1}", (kib - less) / count(connections - few)));
        let (connections, each) = (grouped(count(*connections)), each.unwrap_or_default());
        let _ = writeln!(text, "| {connections} | {:.1} | {each} |", kib / 1024.0);
    }
    text
}

fn around_reload(reload: &Reloaded) -> String {
    let (from, until) = reload.span;
    let mut text = format!(
        "A reload of {} resources took {:.0} ms at {} requests a second; {} requests failed.\n\n\
         | reload | p50 ms | p99 ms | longest ms |\n|---|---|---|---|\n",
        grouped(count(reload.resources)),
        (until - from) * 1000.0,
        grouped(reload.rate),
        reload.errors
    );
    for (phase, latency) in reload.phases() {
        let [p50, p99, most] = [latency.p50, latency.p99, latency.most].map(milliseconds);
        let _ = writeln!(text, "| {phase} | {p50:.2} | {p99:.2} | {most:.2} |");
    }
    text
}

fn milliseconds(micros: u32) -> f64 {
    f64::from(micros) / 1000.0
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
