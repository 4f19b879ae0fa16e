//! What was found, as plots for docs/performance.md, as tables, and as JSON.

use super::plot::{Plot, count, grouped};
use super::{Around, Found, Growing, Point, Window};
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
fn pictures(
    Found { machine: _, workers, growing, idle, reload, crowd }: &Found,
) -> Vec<(&'static str, Plot<'_>)> {
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
    let around = |name, title, around: &Around| {
        let (series, band) = (latencies(around), Some(around.span));
        (name, Plot { title, x: "seconds", y: "ms", tenfold: false, series, band })
    };
    all.extend(reload.as_ref().map(|it| around("reload", "Latency around a reload", it)));
    all.extend(crowd.as_ref().map(|it| around("crowd", "Latency while many connect", it)));
    all.retain(|(_, plot)| plot.series.iter().any(|(_, points)| !points.is_empty()));
    all
}

/// The highest first, so that what is below it stays in sight.
fn latencies(around: &Around) -> Vec<(&'static str, Vec<(f64, f64)>)> {
    let line = |of: fn(&Window) -> u32| {
        around.windows.iter().map(|window| (window.until, milliseconds(of(window)))).collect()
    };
    vec![
        ("longest", line(|window| window.latency.most)),
        ("p99", line(|window| window.latency.p99)),
        ("p50", line(|window| window.latency.p50)),
    ]
}

/// The tables of docs/performance.md, of what was measured.
pub fn tables(Found { machine, workers, growing, idle, reload, crowd }: &Found) -> String {
    let tables = [by_workers(workers), by_size(growing), by_connections(idle)];
    let around = [reload, crowd].into_iter().flatten().map(by_phase);
    let measured = tables.into_iter().filter(|table| table.lines().count() > 2).chain(around);
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

fn by_phase(around: &Around) -> String {
    let mut text = format!(
        "{}, beside {} requests a second; {} failed.\n\n| when | p50 ms | p99 ms | longest ms |\n|---|---|---|---|\n",
        around.what,
        grouped(around.rate),
        around.errors
    );
    for (phase, latency) in around.phases() {
        let [p50, p99, most] = [latency.p50, latency.p99, latency.most].map(milliseconds);
        let _ = writeln!(text, "| {phase} | {p50:.2} | {p99:.2} | {most:.2} |");
    }
    text
}

fn milliseconds(micros: u32) -> f64 {
    f64::from(micros) / 1000.0
}
