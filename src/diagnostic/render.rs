//! Findings as people read them: the place, the line, a caret, and what was meant.

use super::{Diagnostic, Position, Region, Report, Severity, Source, floor};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::ops::Range;
use std::path::Path;

/// A longer line is not shown, only its place.
const LONGEST_LINE: usize = 16 << 10;

/// One finding in full, ending with a line end. `styled` adds terminal colours.
#[must_use]
pub fn render(finding: &Diagnostic, sources: &[Source], styled: bool) -> String {
    let level = match finding.severity {
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let title = level.primary_title(finding.message.as_str()).id(finding.code);
    let label = Some(finding.label.as_str()).filter(|label| !label.is_empty());
    let first = Group::with_title(title);
    let mut groups = vec![if finding.private {
        place_only(first, finding, label, sources)
    } else {
        place(first, &finding.path, &finding.span, label, sources)
    }];
    if let Some(related) = &finding.related {
        let title = Level::NOTE.secondary_title(related.message.as_str());
        groups.push(place(Group::with_title(title), &related.path, &related.span, None, sources));
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let mut text = renderer.render(&groups);
    text.push('\n');
    text
}

/// Several findings, an empty line between them.
#[must_use]
pub fn render_all(findings: &[Diagnostic], sources: &[Source], styled: bool) -> String {
    let each: Vec<_> = findings.iter().map(|finding| render(finding, sources, styled)).collect();
    each.join("\n")
}

/// A report for people: each finding in full, then one line that counts.
#[must_use]
pub fn human(report: &Report, styled: bool) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&render(finding, &report.sources, styled));
        text.push('\n');
    }
    text.push_str(&report.summary());
    text.push('\n');
    text
}

/// Adds the place to a group: with the line where it can be shown, otherwise by name.
fn place<'a>(
    group: Group<'a>,
    path: &Path,
    span: &Range<usize>,
    label: Option<&'a str>,
    sources: &'a [Source],
) -> Group<'a> {
    let name = path.display().to_string();
    let source = sources.iter().find(|source| source.path == path).filter(|_| !span.is_empty());
    let Some(source) = source else {
        let group = group.element(Origin::path(name));
        return match label {
            Some(label) => group.element(Level::HELP.message(label)),
            None => group,
        };
    };
    let position = Position::of(&source.text, span.start);
    let (line, within) = line_around(&source.text, span);
    if line.len() > LONGEST_LINE {
        return group.element(Origin::path(name).line(position.line).char_column(position.column));
    }
    group.element(
        Snippet::source(line)
            .line_start(position.line)
            .path(name)
            .annotation(AnnotationKind::Primary.span(within).label(label)),
    )
}

/// Adds the place to a group, and never the line.
fn place_only<'a>(
    group: Group<'a>,
    finding: &Diagnostic,
    label: Option<&'a str>,
    sources: &[Source],
) -> Group<'a> {
    let mut origin = Origin::path(finding.path.display().to_string());
    if let Some(Region { start, end: _ }) = finding.region(sources) {
        origin = origin.line(start.line).char_column(start.column);
    }
    let group =
        group.element(origin).element(Level::NOTE.message("the line may hold a secret and is not shown"));
    match label {
        Some(label) => group.element(Level::HELP.message(label)),
        None => group,
    }
}

/// The line in which a span starts, and the part of the span in it, on character boundaries.
fn line_around<'t>(text: &'t str, span: &Range<usize>) -> (&'t str, Range<usize>) {
    let start = floor(text, span.start);
    let before = text.get(..start).unwrap_or_default();
    let mut line_start = before.rfind('\n').map_or(0, |at| at + 1);
    if line_start == 0 && text.starts_with('\u{feff}') {
        line_start = '\u{feff}'.len_utf8();
    }
    let start = start.max(line_start);
    let rest = text.get(start..).unwrap_or_default();
    let line_end = start + rest.find('\n').unwrap_or(rest.len());
    let line = text.get(line_start..line_end).unwrap_or_default().trim_end_matches('\r');
    let from = (start - line_start).min(line.len());
    let to = floor(line, (span.end.max(start) - line_start).min(line.len()));
    (line, from..to.max(from))
}
