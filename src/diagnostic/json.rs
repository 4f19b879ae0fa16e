//! Findings as one JSON document, for programs.

use super::{Code, Diagnostic, Region, Report, Severity, Source};
use serde::Serialize;
use std::path::Path;

/// The document, one line with its end.
#[must_use]
pub fn json(report: &Report) -> String {
    let sources = &report.sources;
    let document = Document {
        ok: report.is_clean(),
        counts: Counts {
            error: report.count(Severity::Error),
            warning: report.count(Severity::Warning),
            note: report.count(Severity::Note),
            silenced: report.silenced_in_all,
        },
        findings: report.findings.iter().map(|finding| Finding::of(finding, sources, None)).collect(),
        silenced: report
            .silenced
            .iter()
            .map(|silenced| Finding::of(&silenced.finding, sources, Some(&silenced.reason)))
            .collect(),
    };
    // Texts and numbers only, so this cannot fail.
    serde_json::to_string(&document).map_or_else(|_| String::new(), |text| text + "\n")
}

#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    counts: Counts,
    findings: Vec<Finding<'a>>,
    silenced: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Counts {
    error: usize,
    warning: usize,
    note: usize,
    silenced: usize,
}

#[derive(Serialize)]
struct Finding<'a> {
    severity: &'static str,
    code: &'static str,
    message: &'a str,
    label: &'a str,
    #[serde(flatten)]
    place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Related<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Related<'a> {
    message: &'a str,
    #[serde(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct Place {
    file: String,
    #[serde(flatten)]
    region: Option<Lines>,
}

/// The end is behind the last character.
#[derive(Serialize)]
struct Lines {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl<'a> Finding<'a> {
    fn of(finding: &'a Diagnostic, sources: &[Source], reason: Option<&'a str>) -> Self {
        Self {
            severity: finding.severity.as_str(),
            code: finding.code,
            message: &finding.message,
            label: &finding.label,
            place: Place::of(&finding.path, finding.region(sources)),
            resource: finding.resource.as_deref(),
            related: finding.related.as_ref().map(|related| Related {
                message: &related.message,
                place: Place::of(&related.path, related.region(sources)),
            }),
            help: Code::find(finding.code).map(Code::help),
            reason,
        }
    }
}

impl Place {
    fn of(path: &Path, region: Option<Region>) -> Self {
        let region = region.map(|Region { start, end }| Lines {
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        });
        Self { file: path.display().to_string(), region }
    }
}
