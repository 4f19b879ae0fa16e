//! The findings of one load, bounded.

use super::{Diagnostic, Position, Severity, Source};

/// How many findings are kept: nobody reads more, and each costs time and memory.
const MOST: usize = 200;

/// All that was found in some files, bounded, in the order of the files.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Diagnostic>,
    dropped: usize,
    errors: usize,
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Diagnostic) {
        let is_error = finding.severity == Severity::Error;
        self.errors += usize::from(is_error);
        if self.list.len() < MOST {
            self.list.push(finding);
            return;
        }
        self.dropped += 1;
        // A warning makes room for an error, so that what refuses a file is always among what is said.
        if is_error && let Some(milder) = self.list.iter_mut().find(|kept| kept.severity != Severity::Error) {
            *milder = finding;
        }
    }

    /// Whether one of them is an error; what was dropped counts.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many there are, dropped ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len() + self.dropped
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether it is worth working out what was meant: nobody reads more suggestions than these.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.list.len() < MOST / 5
    }

    /// All of them, by file and place; with a last one where some were dropped.
    #[must_use]
    pub fn into_sorted(self, sources: &[Source]) -> Vec<Diagnostic> {
        let order = |finding: &Diagnostic| sources.iter().position(|source| source.path == finding.path);
        let mut list = self.list;
        list.sort_by_key(|finding| (order(finding), finding.span.start));
        if self.dropped > 0
            && let Some(path) = list.last().map(|last| last.path.clone())
        {
            let message = format!("{} more findings are not shown", self.dropped);
            let severity = if self.errors > 0 { Severity::Error } else { Severity::Warning };
            list.push(Diagnostic::new(severity, "Y0100", &path, 0..0, message));
        }
        list
    }
}

impl Position {
    /// The starts of a text's lines, so that many places are found quickly.
    #[must_use]
    pub fn line_starts(text: &str) -> Vec<usize> {
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
    }

    /// The line (from 1) of an offset, by [`Position::line_starts`].
    #[must_use]
    pub fn line_of(starts: &[usize], offset: usize) -> usize {
        starts.partition_point(|start| *start <= offset).max(1)
    }
}
