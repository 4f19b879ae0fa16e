//! Findings as commands that GitHub Actions reads from a job's output and shows beside the lines.

use super::{Diagnostic, Region, Related, Report, Severity, Source};
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// One command a line for each finding, then the summary for whoever reads the log.
#[must_use]
pub fn github(report: &Report) -> String {
    let mut text: String = report.findings.iter().map(|finding| command(finding, &report.sources)).collect();
    text.push_str(&report.summary());
    text.push('\n');
    text
}

fn command(finding: &Diagnostic, sources: &[Source]) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    // Without a file it is said of the job.
    if !finding.path.as_os_str().is_empty() {
        properties.push(format!("file={}", property(&plain(&finding.path))));
    }
    if let Some(Region { start, end }) = finding.region(sources) {
        properties.push(format!("line={}", start.line));
        if start.line == end.line {
            properties.push(format!("col={},endLine={},endColumn={}", start.column, end.line, end.column));
        } else {
            // Columns are taken on one line only.
            properties.push(format!("endLine={}", end.line));
        }
    }
    properties.push(format!("title={}", property(finding.code)));
    let mut message = finding.message.clone();
    if !finding.label.is_empty() {
        let _ = write!(message, ": {}", finding.label);
    }
    if let Some(related) = &finding.related {
        let _ = write!(message, " ({})", related_words(related, sources));
    }
    format!("::{command} {}::{}\n", properties.join(","), data(&message))
}

fn related_words(related: &Related, sources: &[Source]) -> String {
    let line = related.region(sources).map_or_else(String::new, |region| format!(":{}", region.start.line));
    format!("{}: {}{line}", related.message, plain(&related.path))
}

/// Without the `./` in front, so that it is the path that the repository knows.
fn plain(path: &Path) -> String {
    let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    path.display().to_string()
}

/// A command is one line, and a message is all behind its second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Properties are divided by commas, and end at a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
