//! What is wrong with a file a person wrote, where, and what was meant.
//!
//! INVARIANT: rendering never panics and never costs more than the lines it shows, whatever the text
//! or the span: both are clamped first.

mod causes;
mod codes;
mod findings;
mod github;
mod json;
mod lints;
mod place;
mod render;
mod report;
mod sarif;

pub use causes::causes;
pub use codes::{CODES, Code};
pub use findings::{Findings, LeftOut, Sorted};
pub use github::github;
pub use json::json;
pub use lints::{Level, Lint, Lints, Silenced};
pub use place::{Position, Region};
pub use render::{human, render, render_all};
pub use report::Report;
pub use sarif::sarif;

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
    /// The resource of a policy that it is about, so that its level can be set for that one.
    pub resource: Option<String>,
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
        let label = String::new();
        Self { severity, code, message, path, span, label, related: None, private: false, resource: None }
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

    /// The same about a resource.
    #[must_use]
    pub fn about(mut self, resource: Option<&str>) -> Self {
        self.resource = resource.map(str::to_owned);
        self
    }

    /// The same with a second place.
    #[must_use]
    pub fn also(mut self, path: &Path, span: Range<usize>, message: impl Into<String>) -> Self {
        self.related = Some(Related { path: path.to_path_buf(), span, message: message.into() });
        self
    }

    /// Where it stands in these files, if it has a place in one of them. What may be a secret is told
    /// by its beginning only.
    #[must_use]
    pub fn region(&self, sources: &[Source]) -> Option<Region> {
        let region = Region::of(sources, &self.path, &self.span)?;
        Some(if self.private { region.beginning() } else { region })
    }
}

impl Related {
    /// Where it is in these files, if it has a place in one of them.
    #[must_use]
    pub fn region(&self, sources: &[Source]) -> Option<Region> {
        Region::of(sources, &self.path, &self.span)
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
