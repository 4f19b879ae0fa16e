//! `tiergate matrix`: the whole truth table.

use super::policies::{self, CommandError};
use crate::access::{DeviceTrust, Tier};
use crate::workbench::{MatrixRow, matrix};
use askama::Template;
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print who reaches what from which device.
///
/// Exits 0, or 2 when the policies cannot be read.
#[derive(Args, Debug)]
pub struct MatrixArgs {
    /// The folder with the policies
    #[arg(default_value = "policies")]
    pub dir: PathBuf,
    /// How it is written
    #[arg(long, value_enum, default_value_t = MatrixFormat::Human)]
    pub format: MatrixFormat,
}

/// How the table is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum MatrixFormat {
    /// Text.
    #[value(alias = "text")]
    Human,
    /// One JSON document.
    Json,
    /// A line for each cell.
    Csv,
    /// One page that needs nothing else, to read and print.
    Html,
}

/// Runs the command.
#[must_use]
pub fn run(args: &MatrixArgs) -> ExitCode {
    policies::finish(answer(args))
}

fn answer(args: &MatrixArgs) -> Result<(String, u8), CommandError> {
    let policy = policies::read(&args.dir)?;
    let rows = matrix(&policy);
    let text = match args.format {
        MatrixFormat::Human => human(&rows),
        MatrixFormat::Json => policies::json(&rows)?,
        MatrixFormat::Csv => csv(&rows)?,
        MatrixFormat::Html => {
            let places = places(&rows);
            let folder = args.dir.display().to_string();
            let page = Page { folder: &folder, places };
            page.render().map_err(|error| CommandError::Answer(error.to_string()))?
        }
    };
    Ok((text, 0))
}

/// The rows of one section.
struct PlaceRows<'a> {
    resource: &'a str,
    path: &'a str,
    tier: Tier,
    people: Vec<&'a MatrixRow>,
    services: Vec<&'a MatrixRow>,
}

/// The page as HTML.
#[derive(Template)]
#[template(path = "matrix.html")]
struct Page<'a> {
    folder: &'a str,
    places: Vec<PlaceRows<'a>>,
}

fn places(rows: &[MatrixRow]) -> Vec<PlaceRows<'_>> {
    let mut places: Vec<PlaceRows<'_>> = Vec::new();
    for row in rows {
        let MatrixRow { resource, path, tier, .. } = row;
        if places.last().is_none_or(|place| (place.resource, place.path) != (resource, path)) {
            places.push(PlaceRows { resource, path, tier: *tier, people: Vec::new(), services: Vec::new() });
        }
        if let Some(place) = places.last_mut() {
            let of_its_kind = if row.service { &mut place.services } else { &mut place.people };
            of_its_kind.push(row);
        }
    }
    places
}

fn human(rows: &[MatrixRow]) -> String {
    let mut text = String::new();
    for place in places(rows) {
        let PlaceRows { resource, path, tier, people, services } = place;
        let _ = writeln!(text, "{resource}{path} (tier {tier})");
        let header: Vec<String> = std::iter::once("who".to_owned())
            .chain(DeviceTrust::ALL.map(|trust| trust.to_string()))
            .collect();
        let body: Vec<Vec<String>> = people
            .iter()
            .map(|row| {
                std::iter::once(row.who.clone())
                    .chain(row.cells.iter().map(crate::workbench::Cell::words))
                    .collect()
            })
            .collect();
        let all = || std::iter::once(&header).chain(&body);
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        for row in all() {
            let cells: Vec<_> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
        }
        for row in services {
            let words = row.cells.iter().map(crate::workbench::Cell::words).collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "  service {}: {words}", row.who);
        }
        text.push('\n');
    }
    text
}

fn csv(rows: &[MatrixRow]) -> Result<String, CommandError> {
    let failed = |error: csv::Error| CommandError::Answer(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "resource",
        "path",
        "tier",
        "who",
        "kind",
        "device",
        "access",
        "reason",
        "methods",
        "not_methods",
        "from",
        "mfa",
        "max_auth_age",
    ];
    writer.write_record(header).map_err(failed)?;
    for row in rows {
        for cell in &row.cells {
            let joined =
                |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
            writer
                .write_record([
                    row.resource.as_str(),
                    &row.path,
                    row.tier.as_str(),
                    &row.who,
                    if row.service { "service" } else { "user" },
                    cell.device.map_or("", DeviceTrust::as_str),
                    cell.access.as_str(),
                    cell.reason.unwrap_or(""),
                    &joined(&cell.methods),
                    &joined(&cell.not_methods),
                    &joined(&cell.from),
                    if cell.mfa { "required" } else { "" },
                    cell.max_auth_age.as_deref().unwrap_or(""),
                ])
                .map_err(failed)?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| CommandError::Answer(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| CommandError::Answer(error.to_string()))
}
