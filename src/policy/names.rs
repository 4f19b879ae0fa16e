//! Names: each defined once, each reference followed, each unused one noticed.

use super::resolve::Place;
use crate::diagnostic::{Diagnostic, Findings, Severity, did_you_mean};
pub(super) use crate::text::name::shorten;
use crate::text::name::{NAME_RULE, is_name};
use crate::text::yaml::At;
use std::collections::HashMap;

/// What kind of name, with the codes of what can be wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub word: &'static str,
    pub unknown: &'static str,
}

pub(super) const GROUP: Kind = Kind { word: "group", unknown: "P0102" };
pub(super) const NETWORK: Kind = Kind { word: "network", unknown: "P0103" };
pub(super) const SERVICE: Kind = Kind { word: "service", unknown: "P0104" };
pub(super) const RESOURCE: Kind = Kind { word: "resource", unknown: "P0100" };

/// The names of one kind, by index in the order of the files.
#[derive(Debug)]
pub(super) struct Names {
    kind: Kind,
    defined: Vec<Defined>,
    index: HashMap<String, usize>,
}

#[derive(Debug)]
struct Defined {
    name: String,
    place: Place,
    used: bool,
}

impl Names {
    pub fn new(kind: Kind) -> Self {
        Self { kind, defined: Vec::new(), index: HashMap::new() }
    }

    /// Makes room for so many more.
    pub fn make_room(&mut self, count: usize) {
        self.defined.reserve(count);
        self.index.reserve(count);
    }

    pub fn len(&self) -> usize {
        self.defined.len()
    }

    /// The names, by index.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.defined.iter().map(|defined| defined.name.as_str())
    }

    /// Defines a name; a second definition shows the first, and has an index of its own all the same,
    /// so that the lists beside this one stay in step.
    pub fn define(&mut self, name: &str, place: Place, findings: &mut Findings) -> usize {
        let word = self.kind.word;
        if !is_name(name) {
            let message = format!("`{}` is not a name for a {word}", shorten(name));
            findings
                .push(Diagnostic::error("Y0113", &place.path, place.span.clone(), message).label(NAME_RULE));
        }
        let index = self.defined.len();
        if let Some(first) = self.index.get(name).and_then(|first| self.defined.get(*first)) {
            findings.push(
                Diagnostic::error(
                    "Y0116",
                    &place.path,
                    place.span.clone(),
                    format!("{word} `{name}` is defined twice"),
                )
                .label("a name is defined once, in whichever file")
                .also(&first.place.path, first.place.span.clone(), "first defined here"),
            );
        } else {
            self.index.insert(name.to_owned(), index);
        }
        self.defined.push(Defined { name: name.to_owned(), place, used: false });
        index
    }

    /// Follows a reference. `complete`: every file could be read, so that an unknown name is unknown.
    pub fn find(
        &mut self,
        name: &At<String>,
        place: Place,
        complete: bool,
        findings: &mut Findings,
    ) -> Option<usize> {
        if let Some(index) = self.index.get(&name.value) {
            if let Some(defined) = self.defined.get_mut(*index) {
                defined.used = true;
            }
            return Some(*index);
        }
        if complete {
            let word = self.kind.word;
            let meant = if findings.has_room() {
                did_you_mean(&name.value, self.defined.iter().map(|defined| defined.name.as_str()))
            } else {
                None
            };
            let label =
                meant.map_or_else(|| format!("no such {word}"), |meant| format!("no such {word}; {meant}"));
            let message = format!("unknown {word} `{}`", shorten(&name.value));
            findings
                .push(Diagnostic::error(self.kind.unknown, &place.path, place.span, message).label(label));
        }
        None
    }

    /// Warns of what nothing names.
    pub fn warn_unused(&self, findings: &mut Findings) {
        for defined in self.defined.iter().filter(|defined| !defined.used) {
            let message = format!("{} `{}` is not used", self.kind.word, shorten(&defined.name));
            let (path, span) = (&defined.place.path, defined.place.span.clone());
            findings.push(
                Diagnostic::new(Severity::Warning, "P0202", path, span, message)
                    .label("no rule or resource names it"),
            );
        }
    }
}
