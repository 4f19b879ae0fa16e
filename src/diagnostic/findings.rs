//! The findings of one load, bounded.

use super::lints::Verdict;
use super::{Diagnostic, Lints, Severity, Silenced, Source};
use std::path::PathBuf;

/// How many findings are kept: nobody reads more, and each costs time and memory.
const MOST: usize = 200;

/// Findings about what is not written, or about what a rule leaves: of a file that was not read whole,
/// nobody can tell.
const OF_WHOLE_FILES: &[&str] = &["P0106", "P0111", "P0115", "C0103", "C0104", "C0107"];

/// An entry that was not read because of a mistake in its form; the mistake is told.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// The file.
    pub path: PathBuf,
    /// The key at the top of the file that it stands under, or is.
    pub section: String,
    /// Its own key.
    pub key: String,
    /// What was said to be meant in its place.
    pub meant: String,
}

impl LeftOut {
    /// Whether a finding may be due to the entry's absence, and so would mislead.
    fn may_explain(&self, finding: &Diagnostic) -> bool {
        if finding.path != self.path {
            return false;
        }
        let missing = finding.message.strip_prefix("missing key ");
        finding.severity != Severity::Error
            || OF_WHOLE_FILES.contains(&finding.code)
            || missing.is_some_and(|key| key == format!("`{}`", self.key) || self.meant.contains(key))
    }
}

/// All that was found in some files, bounded, in the order of the files.
#[derive(Debug, Default)]
pub struct Findings {
    left_out: Vec<LeftOut>,
    list: Vec<Diagnostic>,
    dropped: usize,
    errors: usize,
    /// Errors that no lint made.
    mistakes: usize,
    silenced: Vec<Silenced>,
    silenced_in_all: usize,
    lints: Lints,
}

/// What is left when everything is said.
#[derive(Debug, Default)]
pub struct Sorted {
    /// What is to be said, by file and place; with a last one where some were dropped.
    pub findings: Vec<Diagnostic>,
    /// What a lint silenced, by file and place, bounded.
    pub silenced: Vec<Silenced>,
    /// How many were silenced, dropped ones included.
    pub silenced_in_all: usize,
}

impl Findings {
    /// From now on, does not take what these entries' absence may explain.
    pub fn without(&mut self, left_out: Vec<LeftOut>) {
        self.left_out.extend(left_out);
    }

    /// Adds one, at the level that a lint gives it.
    pub fn push(&mut self, mut finding: Diagnostic) {
        if self.left_out.iter().any(|out| out.may_explain(&finding)) {
            return;
        }
        self.mistakes += usize::from(finding.severity == Severity::Error);
        match self.lints.judge(&finding) {
            Verdict::AsItIs => {}
            Verdict::Level(severity, place) => {
                finding.severity = severity;
                let gap = if finding.label.is_empty() { "" } else { "; " };
                finding.label = format!("{}{gap}its level is set at {place}", finding.label);
            }
            Verdict::Silenced(reason) => {
                self.silenced_in_all += 1;
                if self.silenced.len() < MOST {
                    self.silenced.push(Silenced { finding, reason });
                }
                return;
            }
        }
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

    /// Whether one of them is an error in itself, and not one that a lint made of a warning or note.
    #[must_use]
    pub fn has_mistakes(&self) -> bool {
        self.mistakes > 0
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

    /// The levels that are set, to be filled before anything is found.
    pub fn lints(&mut self) -> &mut Lints {
        &mut self.lints
    }

    /// All of them, by file and place; with a last one where some were dropped.
    #[must_use]
    pub fn into_sorted(self, sources: &[Source]) -> Vec<Diagnostic> {
        self.into_all(sources).findings
    }

    /// The same, with what was silenced.
    #[must_use]
    pub fn into_all(self, sources: &[Source]) -> Sorted {
        let Self {
            left_out: _,
            list: mut findings,
            dropped,
            errors,
            mistakes: _,
            mut silenced,
            silenced_in_all,
            lints: _,
        } = self;
        let order = |finding: &Diagnostic| {
            (sources.iter().position(|source| source.path == finding.path), finding.span.start)
        };
        findings.sort_by_key(order);
        silenced.sort_by_key(|silenced| order(&silenced.finding));
        if dropped > 0
            && let Some(path) = findings.last().map(|last| last.path.clone())
        {
            let message = format!("{dropped} more findings are not shown");
            let severity = if errors > 0 { Severity::Error } else { Severity::Warning };
            findings.push(Diagnostic::new(severity, "Y0100", &path, 0..0, message));
        }
        Sorted { findings, silenced, silenced_in_all }
    }
}
