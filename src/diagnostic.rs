//! What is wrong with a file a person wrote, where, and what was meant.
//!
//! INVARIANT: rendering never panics and never costs more than the lines it shows, whatever the text
//! or the span: both are clamped first.

mod findings;
mod render;

pub use findings::Findings;
pub use render::{render, render_all};

use std::ops::Range;
use std::path::{Path, PathBuf};

/// The greatest size of one file that people write: policy, configuration, users.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// A file that was read, kept so that a diagnostic can show the line it speaks of.
#[derive(Clone, Debug)]
pub struct Source {
    /// As a person would name it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not meant.
    Warning,
    /// Nothing can be decided with it.
    Error,
}

impl Severity {
    /// The word that people and machines read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding, with its place.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// A stable code such as `P0101`; each is documented.
    pub code: &'static str,
    /// What is wrong: lower case, no full stop, input in backticks.
    pub message: String,
    /// Where: the file, and the bytes of it.
    pub path: PathBuf,
    /// The bytes that are meant, in the file's text; empty where the whole file is.
    pub span: Range<usize>,
    /// Beside the caret: `no such group; did you mean `engineering`?`.
    pub label: String,
    /// The other place that matters: where the name was defined first.
    pub related: Option<Related>,
    /// The line may hold a secret: its place is told, and the line itself is not shown.
    pub private: bool,
}

/// A second place that a diagnostic speaks of.
#[derive(Clone, Debug)]
pub struct Related {
    /// The file.
    pub path: PathBuf,
    /// The bytes that are meant, in the file's text.
    pub span: Range<usize>,
    /// What is there: `first defined here`.
    pub message: String,
}

impl Diagnostic {
    /// A finding at a place.
    #[must_use]
    pub fn new(
        severity: Severity,
        code: &'static str,
        path: &Path,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let (path, message) = (path.to_path_buf(), bounded(message.into()));
        Self { severity, code, message, path, span, label: String::new(), related: None, private: false }
    }

    /// An error at a place; an empty span is the whole file.
    #[must_use]
    pub fn error(code: &'static str, path: &Path, span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, path, span, message)
    }

    /// The same with words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = bounded(label.into());
        self
    }

    /// The same without the line, which may hold a secret.
    #[must_use]
    pub const fn in_private(mut self) -> Self {
        self.private = true;
        self
    }

    /// The same with a second place.
    #[must_use]
    pub fn also(mut self, path: &Path, span: Range<usize>, message: impl Into<String>) -> Self {
        self.related = Some(Related { path: path.to_path_buf(), span, message: message.into() });
        self
    }

    /// Its line and column, where it has a place in one of these files.
    #[must_use]
    pub fn position(&self, sources: &[Source]) -> Option<Position> {
        if self.span.is_empty() {
            return None;
        }
        let source = sources.iter().find(|source| source.path == self.path)?;
        Some(Position::of(&source.text, self.span.start))
    }
}

/// A place as editors count: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Position {
    /// The place of a byte in a text; an offset beyond its end is the end.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let offset = floor(text, offset);
        let before = text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Self {
            line: 1 + before.bytes().filter(|byte| *byte == b'\n').count(),
            column: 1 + in_line.chars().filter(|c| *c != '\u{feff}').count(),
        }
    }
}

/// Messages quote what was written, which may be long.
fn bounded(mut text: String) -> String {
    const MOST: usize = 600;
    if text.len() > MOST {
        text.truncate(floor(&text, MOST));
        text.push('…');
    }
    text
}

/// The nearest character boundary at or before the offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The name that was probably meant, if one of the candidates is near.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// What is compared is bounded: the distance costs the product of both lengths.
    const LONGEST: usize = 64;
    const MOST: usize = 1000;
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(MOST)
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 2 * allowed && *candidate != word)
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean `x`?` where a name is near; otherwise nothing.
#[must_use]
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests;
