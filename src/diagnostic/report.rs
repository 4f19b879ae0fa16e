//! What a command found, ready to be written in one of several forms.

use super::findings::Sorted;
use super::{Diagnostic, Severity, Silenced, Source};

/// What was found, with the files that it speaks of.
#[derive(Debug, Default)]
pub struct Report {
    /// The files.
    pub sources: Vec<Source>,
    /// What is to be said, in order.
    pub findings: Vec<Diagnostic>,
    /// What a lint silenced, bounded.
    pub silenced: Vec<Silenced>,
    /// How many were silenced, dropped ones included.
    pub silenced_in_all: usize,
}

impl Report {
    /// What is left of the findings in these files.
    #[must_use]
    pub fn new(sources: Vec<Source>, sorted: Sorted) -> Self {
        let Sorted { findings, silenced, silenced_in_all } = sorted;
        Self { sources, findings, silenced, silenced_in_all }
    }

    /// Whether nothing is worse than a note.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity <= Severity::Note)
    }

    /// How many are this bad.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// One line: `1 error, 2 notes in 3 files (1 silenced)`.
    #[must_use]
    pub fn summary(&self) -> String {
        let counted =
            |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let found: Vec<_> = [Severity::Error, Severity::Warning, Severity::Note]
            .map(|severity| (self.count(severity), severity.as_str()))
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| counted(count, word))
            .collect();
        let files = counted(self.sources.len(), "file");
        let silenced = match self.silenced_in_all {
            0 => String::new(),
            count => format!(" ({count} silenced)"),
        };
        if found.is_empty() {
            format!("ok: {files}{silenced}")
        } else {
            format!("{} in {files}{silenced}", found.join(", "))
        }
    }
}
