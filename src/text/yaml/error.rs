//! What the parser objects to, in the words of the people who write the files.

use super::shape::span_of;
use crate::diagnostic::{Diagnostic, Source, did_you_mean};
use serde_yaml::Error;

/// The parser's error as a finding. The input is quoted only where it cannot be a secret.
pub(super) fn to_diagnostic(error: &Error, source: &Source) -> Diagnostic {
    let error = error.without_snippet();
    let span = error.location().map_or(0..0, |location| span_in(&source.text, location));
    let (code, message, label) = describe(error, &source.text, &span);
    without_secrets(Diagnostic::error(code, &source.path, span, message).label(label), source)
}

/// The same finding, its line hidden where a secret may be written out in it: findings reach logs.
#[must_use]
pub fn without_secrets(finding: Diagnostic, source: &Source) -> Diagnostic {
    if !finding.span.is_empty() && shows_secret(&source.text, finding.span.start) {
        return finding.in_private();
    }
    finding
}

/// The bytes of a location; the scanner's own errors have a line and a column only.
fn span_in(text: &str, location: serde_yaml::Location) -> std::ops::Range<usize> {
    let span = span_of(location);
    if !span.is_empty() {
        return span;
    }
    let line = usize::try_from(location.line()).unwrap_or(usize::MAX);
    let column = usize::try_from(location.column()).unwrap_or(usize::MAX);
    let mut start = 0;
    for _ in 1..line {
        match text.get(start..).and_then(|rest| rest.find('\n')) {
            Some(end) => start += end + 1,
            None => break,
        }
    }
    let rest = text.get(start..).unwrap_or_default();
    let start = start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    start..start + 1
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's errors are many and their enumeration is open"
)]
fn describe(error: &Error, text: &str, span: &std::ops::Range<usize>) -> (&'static str, String, String) {
    let none = String::new();
    match error {
        Error::AliasError { error, .. } => describe(error, text, span),
        Error::SerdeUnknownField { field, expected, .. } => {
            let meant = did_you_mean(field, expected.iter().copied());
            let label = meant.map_or_else(
                || format!("known here: {}", list(expected)),
                |meant| format!("no such key here; {meant}"),
            );
            ("Y0102", format!("unknown key `{field}`"), label)
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("…");
            let mut label = "this key is already in the same mapping".to_owned();
            // The item above begins with it, so probably another item was meant to begin here.
            let item = key_above(text, span.start).and_then(|line| line.trim_start().strip_prefix("- "));
            if item
                .and_then(|item| item.trim_start().strip_prefix(key))
                .is_some_and(|rest| rest.starts_with(':'))
            {
                label.push_str("; another item of the list begins with `- `");
            }
            ("Y0103", format!("duplicate key `{key}`"), label)
        }
        Error::SerdeMissingField { field, .. } => {
            ("Y0105", format!("missing key `{field}`"), format!("`{field}` is needed here"))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            let meant = did_you_mean(variant, expected.iter().copied());
            let label = meant.unwrap_or_else(|| format!("one of: {}", list(expected)));
            ("Y0104", format!("unknown value `{variant}`"), label)
        }
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            let expected = plain_type(expected);
            ("Y0104", format!("{unexpected} where {expected} is expected"), format!("write {expected}"))
        }
        Error::InvalidBooleanStrict { .. } => {
            let written = text.get(span.clone()).unwrap_or_default();
            let label = "write `true` or `false`".to_owned();
            ("Y0104", format!("`{written}` is not a boolean"), label)
        }
        Error::InvalidScalar { ty, .. } => {
            let written = text.get(span.clone()).unwrap_or_default();
            ("Y0104", format!("`{written}` is not a {}", plain_type(ty)), none)
        }
        Error::NullIntoString { .. } => {
            ("Y0108", "nothing is written where text is expected".to_owned(), none)
        }
        Error::Unexpected { expected, .. } => {
            let label = match plain_type(expected) {
                "text" => "a list or a mapping stands here; text with `: ` in it goes into quotes".to_owned(),
                "a list" => "write `[a, b]`, or lines that begin with `- `".to_owned(),
                "a mapping" => "write `{ key: value }`, or lines `key: value` without `- `".to_owned(),
                other => format!("write {other}"),
            };
            ("Y0104", format!("expected {}", plain_type(expected)), label)
        }
        Error::Eof { .. } => ("Y0108", "the file is empty".to_owned(), none),
        Error::MergeKeyNotAllowed { .. } => (
            "Y0107",
            "merge keys (`<<`) are not read".to_owned(),
            "write the keys out, so that a reviewer sees them".to_owned(),
        ),
        Error::UnknownAnchor { .. } => (
            "Y0101",
            "an alias without an anchor".to_owned(),
            "text that begins with `*` goes into quotes".to_owned(),
        ),
        Error::MultipleDocuments { .. }
        | Error::Budget { breach: serde_yaml::budget::BudgetBreach::Documents { .. }, .. } => {
            ("Y0106", "more than one document in the file".to_owned(), "a file is one document".to_owned())
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => too_much(),
        Error::Message { msg, .. } if msg.starts_with("nothing is written here") => {
            let (message, label) = msg.split_once("; ").unwrap_or((msg, ""));
            ("Y0108", message.to_owned(), label.to_owned())
        }
        Error::Message { msg, .. } => ("Y0104", msg.clone(), none),
        Error::ExternalMessage { msg, .. } => syntax(msg, text, span),
        // Each says what it is.
        other => {
            let all = other.to_string();
            let first = all.lines().next().unwrap_or_default();
            ("Y0101", format!("not YAML: {}", strip_place(first)), none)
        }
    }
}

/// Beyond what is read.
fn too_much() -> (&'static str, String, String) {
    (
        "Y0106",
        "nested too deeply, too many values or too many aliases".to_owned(),
        "at most 24 levels, 600000 values and 1000 aliases".to_owned(),
    )
}

/// A mistake in the YAML itself; the usual causes in plain words.
fn syntax(msg: &str, text: &str, span: &std::ops::Range<usize>) -> (&'static str, String, String) {
    let line = line_at(text, span.start);
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    if indent.contains('\t') || msg.contains("tab") {
        let label = "indent with spaces".to_owned();
        return ("Y0101", "a tab in the indentation".to_owned(), label);
    }
    if msg.contains("block collection")
        || msg.contains("block mapping")
        || msg.contains("mapping values are not")
    {
        let message = "this line does not fit the ones above it".to_owned();
        return ("Y0101", message, "is the indentation as meant, and text with `: ` in quotes?".to_owned());
    }
    if msg.contains("recursion limit") {
        return too_much();
    }
    let opened = |what: &str| ("Y0101", format!("this {what} is not closed"), "opened here".to_owned());
    if msg.contains("unclosed quote") {
        return opened("quotation");
    }
    if msg.contains("unclosed bracket") {
        return opened("bracket");
    }
    if msg.contains("mismatched bracket") {
        let message = "this bracket is closed by one of another kind".to_owned();
        return ("Y0101", message, "opened here".to_owned());
    }
    ("Y0101", format!("not YAML: {}", strip_place(msg)), String::new())
}

/// The message without the place that the snippet shows anyway.
fn strip_place(msg: &str) -> &str {
    let end = [" at line ", " at byte ", " (line "].iter().filter_map(|mark| msg.find(mark)).min();
    end.and_then(|end| msg.get(..end)).unwrap_or(msg).trim_end_matches('.')
}

/// Serde's and the parser's names of types, as people say them.
fn plain_type(ty: &str) -> &str {
    match ty {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "whole number",
        "string scalar" | "string" | "a string" => "text",
        "sequence" | "sequence start" => "a list",
        "mapping" | "mapping start" | "map" => "a mapping",
        other => other,
    }
}

/// The keys that are known, bounded.
fn list(names: &[&str]) -> String {
    names.iter().take(24).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// How far above a line its key may stand: the longest block of text that a key with a secret has.
const LINES_ABOVE: usize = 64;

/// Whether the line around a byte, or a key above that it belongs to, is that of a key that names a
/// secret, and not `{ file: … }` or `{ env: … }`.
fn shows_secret(text: &str, offset: usize) -> bool {
    let line = line_at(text, offset);
    let Some(above) = key_above(text, offset) else { return names_secret(line) };
    names_secret(line) || names_secret(&format!("{above} {}", line.trim_start()))
}

/// The line above that this one continues or belongs to: the next one that is indented less, or the
/// one before where that leaves a quotation open.
fn key_above(text: &str, offset: usize) -> Option<&str> {
    let line = line_at(text, offset);
    let indent = |line: &str| line.len() - line.trim_start().len();
    let start = text.get(..offset.min(text.len()))?.rfind('\n')?;
    let lines = text.get(..start)?.lines().rev().take(LINES_ABOVE);
    let mut above = lines.filter(|line| !line.trim().is_empty()).peekable();
    let opens = |line: &&str| ['"', '\''].iter().any(|mark| line.matches(*mark).count() % 2 == 1);
    if let Some(before) = above.peek().filter(|line| opens(line)) {
        return Some(before);
    }
    above.find(|other| indent(other) < indent(line))
}

/// Whether a line has a key that names a secret and, as its value, something else than its place.
fn names_secret(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    ["secret", "password", "passwd", "token", "totp"].iter().any(|word| {
        lower.match_indices(word).any(|(at, _)| {
            // The rest of the key's name, then its value.
            let Some((_, value)) = lower.get(at..).and_then(|rest| rest.split_once(':')) else {
                return false;
            };
            let value = value.trim_start();
            let place = value.strip_prefix('{').unwrap_or(value).trim_start();
            !value.is_empty() && !place.starts_with("file:") && !place.starts_with("env:")
        })
    })
}

/// The line around a byte, bounded.
fn line_at(text: &str, offset: usize) -> &str {
    let offset = offset.min(text.len());
    let start = text
        .as_bytes()
        .get(..offset)
        .and_then(|b| b.iter().rposition(|b| *b == b'\n'))
        .map_or(0, |at| at + 1);
    let rest = text.get(start..).unwrap_or_default();
    rest.split('\n').next().unwrap_or_default()
}
