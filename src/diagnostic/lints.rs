//! Levels that people give to warnings and notes, each with a reason.
//!
//! INVARIANT: an error stays one. What is silenced is kept and counted, never lost.

use super::{Code, Diagnostic, Severity, bounded};
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

/// What a lint makes of a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// It is counted and not shown.
    Off,
    /// It is shown as this.
    As(Severity),
}

/// The level of one code, for the whole policy or for one resource.
#[derive(Clone, Debug)]
pub struct Lint {
    /// The code.
    pub code: &'static Code,
    /// Its level.
    pub level: Level,
    /// The resource; the whole policy where `None`.
    pub resource: Option<String>,
    /// Why, for whoever reads it next.
    pub reason: String,
    /// The file that it stands in.
    pub path: PathBuf,
    /// The bytes of it.
    pub span: Range<usize>,
    /// Its place as messages name it: `policies/tickets.yaml:14`.
    pub place: String,
}

/// A finding that a lint silenced.
#[derive(Clone, Debug)]
pub struct Silenced {
    /// What was found.
    pub finding: Diagnostic,
    /// Why it is not to be said.
    pub reason: String,
}

/// What becomes of a finding.
pub(super) enum Verdict {
    AsItIs,
    /// Another severity, set at this place.
    Level(Severity, String),
    /// Not said, for this reason.
    Silenced(String),
}

/// All levels that are set, and which of them changed something.
#[derive(Debug, Default)]
pub struct Lints {
    list: Vec<Known>,
    by_code: HashMap<&'static str, OfCode>,
}

#[derive(Debug)]
struct Known {
    lint: Lint,
    used: bool,
}

/// Indices into the list.
#[derive(Debug, Default)]
struct OfCode {
    whole: Option<usize>,
    by_resource: HashMap<String, usize>,
}

impl Lints {
    /// Adds one.
    ///
    /// # Errors
    ///
    /// The one that is for the same already.
    pub fn add(&mut self, mut lint: Lint) -> Result<(), Lint> {
        let at = self.list.len();
        let of_code = self.by_code.entry(lint.code.id).or_default();
        let taken = match &lint.resource {
            None => of_code.whole,
            Some(resource) => of_code.by_resource.get(resource).copied(),
        };
        if let Some(first) = taken.and_then(|first| self.list.get(first)) {
            return Err(first.lint.clone());
        }
        match &lint.resource {
            None => of_code.whole = Some(at),
            Some(resource) => {
                of_code.by_resource.insert(resource.clone(), at);
            }
        }
        lint.reason = bounded(lint.reason);
        self.list.push(Known { lint, used: false });
        Ok(())
    }

    /// All of them, in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = &Lint> {
        self.list.iter().map(|known| &known.lint)
    }

    /// Those that changed nothing so far.
    pub fn unused(&self) -> impl Iterator<Item = &Lint> {
        self.list.iter().filter(|known| !known.used).map(|known| &known.lint)
    }

    /// What becomes of a finding: the lint for its resource decides, then that for the whole policy.
    pub(super) fn judge(&mut self, finding: &Diagnostic) -> Verdict {
        let Some(of_code) = self.by_code.get(finding.code).filter(|_| finding.severity < Severity::Error)
        else {
            return Verdict::AsItIs;
        };
        let OfCode { whole, by_resource } = of_code;
        let narrow = finding.resource.as_ref().and_then(|resource| by_resource.get(resource)).copied();
        let level = |at: Option<usize>| at.and_then(|at| self.list.get(at)).map(|known| known.lint.level);
        let otherwise = level(narrow.and(*whole)).unwrap_or(Level::As(finding.severity));
        let Some(known) = narrow.or(*whole).and_then(|at| self.list.get_mut(at)) else {
            return Verdict::AsItIs;
        };
        let Lint { level, reason, place, .. } = &known.lint;
        known.used |= *level != otherwise;
        match level {
            Level::Off => Verdict::Silenced(reason.clone()),
            Level::As(severity) if *severity == finding.severity => Verdict::AsItIs,
            Level::As(severity) => Verdict::Level(*severity, place.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Findings;
    use super::*;
    use std::path::Path;

    fn lint(code: &str, level: Level, resource: Option<&str>) -> Lint {
        Lint {
            code: Code::find(code).unwrap(),
            level,
            resource: resource.map(str::to_owned),
            reason: format!("because of {}", resource.unwrap_or("all")),
            path: "p.yaml".into(),
            span: 0..1,
            place: "p.yaml:1".to_owned(),
        }
    }

    /// What becomes of a warning about `tickets` and one about `wiki`, and how many lints changed nothing.
    fn outcome(lints: &[(Level, Option<&str>)]) -> String {
        let mut findings = Findings::default();
        for (level, resource) in lints {
            findings.lints().add(lint("P0201", *level, *resource)).unwrap();
        }
        for resource in ["tickets", "wiki"] {
            let finding = Diagnostic::new(Severity::Warning, "P0201", Path::new("p.yaml"), 0..1, resource);
            findings.push(finding.about(Some(resource)));
        }
        // Of another code, and an error of the same: neither changes.
        findings.push(Diagnostic::new(Severity::Note, "P0301", Path::new("p.yaml"), 0..1, "other"));
        findings.push(Diagnostic::error("P0201", Path::new("p.yaml"), 0..1, "error"));
        let unused = findings.lints().unused().count();
        let all = findings.into_all(&[]);
        let said = all.findings.iter().map(|f| format!("{} {}", f.message, f.severity.as_str()));
        let (said, others): (Vec<_>, Vec<_>) =
            said.partition(|said| said.starts_with("tickets") || said.starts_with("wiki"));
        assert_eq!(others, ["other note", "error error"]);
        let silenced = all.silenced.iter().map(|s| format!("{} {}", s.finding.message, s.reason));
        let said = said.into_iter().chain(silenced).collect::<Vec<_>>().join(", ");
        format!("{said}, {unused} unused")
    }

    #[test]
    fn a_level_is_for_the_whole_policy_or_for_one_resource_and_the_narrower_decides() {
        const NOTE: Level = Level::As(Severity::Note);
        const WARNING: Level = Level::As(Severity::Warning);
        const ERROR: Level = Level::As(Severity::Error);
        for (lints, want) in [
            (vec![], "tickets warning, wiki warning, 0 unused"),
            (vec![(NOTE, None)], "tickets note, wiki note, 0 unused"),
            (vec![(WARNING, None)], "tickets warning, wiki warning, 1 unused"),
            (vec![(ERROR, Some("wiki"))], "tickets warning, wiki error, 0 unused"),
            (vec![(Level::Off, Some("wiki"))], "tickets warning, wiki because of wiki, 0 unused"),
            (vec![(Level::Off, Some("payroll"))], "tickets warning, wiki warning, 1 unused"),
            (
                vec![(Level::Off, None), (WARNING, Some("wiki"))],
                "wiki warning, tickets because of all, 0 unused",
            ),
            (vec![(NOTE, None), (NOTE, Some("wiki"))], "tickets note, wiki note, 1 unused"),
        ] {
            assert_eq!(outcome(&lints), want, "{lints:?}");
        }
    }

    #[test]
    fn two_levels_for_the_same_are_refused() {
        let mut lints = Lints::default();
        lints.add(lint("P0201", Level::Off, None)).unwrap();
        lints.add(lint("P0201", Level::Off, Some("wiki"))).unwrap();
        lints.add(lint("P0202", Level::Off, None)).unwrap();
        assert!(lints.add(lint("P0201", Level::As(Severity::Note), Some("wiki"))).is_err());
        assert!(lints.add(lint("P0202", Level::As(Severity::Note), None)).is_err());
        assert_eq!(lints.iter().count(), 3);
    }
}
