//! `lints`: the levels that a policy gives to warnings and notes, each with a reason.

use super::names::shorten;
use super::resolve::Resolver;
use super::{Origin, raw};
use crate::diagnostic::{CODES, Code, Diagnostic, Findings, Level, Lint, Severity, did_you_mean};
use crate::text::yaml::{At, Key};

/// That a lint changes nothing: has a level like any other, so that those are looked at last.
const STALE: &str = "P0311";
/// What is found only where the configuration is known.
const NEEDS_CONFIGURATION: &[&str] = &["P0203"];

/// A level for one resource, kept until the resources are known.
#[derive(Debug)]
pub(super) struct NamedByLint {
    file: usize,
    resource: At<String>,
}

impl Resolver<'_> {
    /// The levels that one file sets. Before anything else is looked at: a finding has its level when
    /// it is made.
    pub fn lints(&mut self, file: usize, key: Key<Vec<At<raw::Lint>>>) {
        for lint in self.list(file, key, "lints").unwrap_or_default() {
            self.lint(file, lint);
        }
    }

    fn lint(&mut self, file: usize, lint: At<raw::Lint>) {
        // Destructured without `..`: see `raw`.
        let At { value: raw::Lint { code, level, resource, reason }, span } = lint;
        let code = self.needed(file, code, "code", &span);
        let place = code.as_ref().map_or_else(|| span.clone(), |code| code.span.clone());
        let code = code.and_then(|code| self.code_with_level(file, &code));
        let level = self.needed(file, level, "level", &span).and_then(|level| {
            let words = [
                ("off", Level::Off),
                ("note", Level::As(Severity::Note)),
                ("warning", Level::As(Severity::Warning)),
                ("error", Level::As(Severity::Error)),
            ];
            self.word(file, &level, "level", &words)
        });
        let reason = self.needed(file, reason, "reason", &span).and_then(|reason| {
            let stated = !reason.value.trim().is_empty();
            if !stated {
                let label = "say why, for whoever reads this next";
                self.error(file, "Y0108", reason.span.clone(), "`reason` is empty", label);
            }
            stated.then_some(reason.value)
        });
        let of_resource = resource.0.as_ref().map(|resource| resource.value.clone());
        self.named_by_lints.extend(resource.0.map(|resource| NamedByLint { file, resource }));
        let (Some(code), Some(level), Some(reason)) = (code, level, reason) else { return };
        let Origin(named) = self.origin(file, &place);
        let path = self.place(file, 0..0).path;
        let lint = Lint {
            code,
            level,
            resource: of_resource,
            reason,
            path: path.to_path_buf(),
            span: place.clone(),
            place: named.to_string(),
        };
        if let Err(first) = self.findings.lints().add(lint) {
            let message = format!("`{}` has two levels for the same", code.id);
            let finding = Diagnostic::error("Y0116", &path, place, message)
                .label("a level is set once, for the whole policy or for a resource")
                .also(&first.path, first.span.clone(), "first set here");
            self.findings.push(finding);
        }
    }

    /// A code whose level can be changed.
    fn code_with_level(&mut self, file: usize, text: &At<String>) -> Option<&'static Code> {
        let written = shorten(&text.value);
        let Some(code) = Code::find(&text.value) else {
            let codes = CODES.iter().filter(|code| code.has_level()).map(|code| code.id);
            let meant =
                did_you_mean(&text.value, codes).map_or_else(String::new, |meant| format!("; {meant}"));
            let label = format!("no finding has this code{meant}");
            self.error(file, "P0120", text.span.clone(), format!("unknown code `{written}`"), label);
            return None;
        };
        if !code.has_level() {
            let message = format!("the level of `{written}` cannot be changed");
            let label = if code.severity == Severity::Error {
                format!("it is an error: {}", code.meaning)
            } else {
                "only warnings and notes about policies have a level".to_owned()
            };
            self.error(file, "P0121", text.span.clone(), message, label);
            return None;
        }
        Some(code)
    }

    /// Follows the names of resources in `lints`, now that the resources are known.
    pub fn follow_lints(&mut self) {
        for NamedByLint { file, resource } in std::mem::take(&mut self.named_by_lints) {
            let place = self.place(file, resource.span.clone());
            self.resources.find(&resource, place, self.complete, &mut self.findings);
        }
    }
}

/// Notes the lints that changed nothing. Last of all: what is found behind this has no say. `known`:
/// what is found only with the configuration was looked for.
pub(super) fn note_stale(findings: &mut Findings, known: bool) {
    for of_lints in [false, true] {
        let stale = |lint: &&Lint| {
            (lint.code.id == STALE) == of_lints && (known || !NEEDS_CONFIGURATION.contains(&lint.code.id))
        };
        let stale: Vec<_> = findings.lints().unused().filter(stale).map(said_of).collect();
        for finding in stale {
            findings.push(finding);
        }
    }
}

fn said_of(lint: &Lint) -> Diagnostic {
    let Lint { code, level: _, resource, reason: _, path, span, place: _ } = lint;
    let of = resource.as_ref().map_or_else(String::new, |of| format!(" of `{}`", shorten(of)));
    let message = format!("this lint of `{}` changes nothing", code.id);
    Diagnostic::new(Severity::Note, STALE, path, span.clone(), message)
        .label(format!("no such finding{of} is left, or it has this level anyway; remove the lint"))
        .about(resource.as_deref())
}
