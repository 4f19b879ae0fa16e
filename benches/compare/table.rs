//! What was found, as one Markdown table.

use crate::peers::REFERENCE;
use crate::rounds::{Measured, Row};
use crate::turn::Turn;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The table, with what it was made on below it.
pub fn markdown(measured: &Measured) -> String {
    let Measured { effort, machine, rows, left_out } = measured;
    let mut text = format!(
        "| scenario | proxy | cost | × {REFERENCE} | a second | p50 ms | p99 ms | its processor |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let _ = writeln!(text, "{}", line(row, reference(rows, row)));
    }
    let _ = write!(
        text,
        "\nCost is processor time of the proxy, or memory where it waits; a ratio is the median of those of each \
         round. {} rounds of {} s. {machine}.\n",
        effort.rounds, effort.seconds
    );
    let mut scenarios = Vec::new();
    for row in rows {
        if !scenarios.contains(&row.scenario.name) {
            scenarios.push(row.scenario.name);
            let _ = write!(text, "\n- `{}`: {}", row.scenario.name, row.scenario.title);
        }
    }
    let proxies: BTreeSet<_> = rows.iter().map(|row| (row.peer.name, row.peer.about, &row.version)).collect();
    text.push('\n');
    for (name, about, version) in proxies {
        let _ = write!(text, "\n- `{name}` ({version}): {about}");
    }
    text.push('\n');
    for left_out in left_out {
        let _ = write!(text, "\n{left_out}.");
    }
    text
}

/// The row that another is compared with.
fn reference<'a>(rows: &'a [Row], row: &Row) -> Option<&'a Row> {
    rows.iter().find(|other| other.peer.name == REFERENCE && other.scenario.name == row.scenario.name)
}

fn line(row: &Row, reference: Option<&Row>) -> String {
    let (scenario, peer) = (row.scenario.name, row.peer.name);
    if let Some(idle) = row.idle {
        let ratio = ratio([idle], reference.and_then(|row| row.idle));
        return format!("| {scenario} | {peer} | {idle:.1} KiB a connection | {ratio} | | | | |");
    }
    let each = row.scenario.mebibytes();
    let median = |of: fn(&Turn) -> f64| median(row.turns.iter().map(of));
    let (cost, rate) = (median(Turn::cost), median(Turn::rate));
    let (cost, rate) = match each {
        Some(size) => (format!("{:.0} µs a MiB", cost / size), format!("{:.0} MiB", rate * size)),
        None => (format!("{cost:.1} µs a request"), format!("{rate:.0}")),
    };
    let reference = reference.map(|row| row.turns.iter().map(Turn::cost)).into_iter().flatten();
    let ratio = ratio(row.turns.iter().map(Turn::cost), reference);
    let (p50, p99) = (
        median(|turn| milliseconds(turn.report.latency.p50)),
        median(|turn| milliseconds(turn.report.latency.p99)),
    );
    let busy = median(|turn| turn.processor_time * 100.0 / turn.report.seconds);
    let note = note(row);
    format!("| {scenario} | {peer} | {cost} | {ratio} | {rate} | {p50:.2} | {p99:.2} | {busy:.0} %{note} |")
}

/// What spoils a row.
fn note(row: &Row) -> String {
    let sum = |of: fn(&Turn) -> usize| row.turns.iter().map(of).sum::<usize>();
    let (requests, errors, resumed) =
        (sum(|turn| turn.report.requests), sum(|turn| turn.report.errors), sum(|turn| turn.report.resumed));
    let mut note = String::new();
    if errors > 0 {
        let _ = write!(note, "; {errors} errors");
    }
    if row.scenario.resumes() && resumed < requests {
        let _ = write!(note, "; only {resumed} of {requests} resumed");
    }
    note
}

/// The median of the ratios of each round.
fn ratio(own: impl IntoIterator<Item = f64>, reference: impl IntoIterator<Item = f64>) -> String {
    let ratio = median(own.into_iter().zip(reference).map(|(own, reference)| own / reference));
    if ratio.is_finite() { format!("{ratio:.2}") } else { String::new() }
}

fn milliseconds(micros: u32) -> f64 {
    f64::from(micros) / 1000.0
}

/// The one in the middle, or between the two there; not a number where there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}
