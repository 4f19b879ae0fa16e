//! Policy files in their form, kept from one load to the next: reading YAML is most of the work of a load,
//! and most files of a large policy are as they were.

use super::raw;
use crate::diagnostic::Source;
use crate::text::yaml::{Partly, load_partly};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The files of one load, without those that have a mistake in their form.
#[derive(Clone, Debug, Default)]
pub struct Parsed(HashMap<PathBuf, Arc<File>>);

/// One file: what was written, and what it says.
#[derive(Debug)]
struct File {
    text: String,
    says: raw::File,
}

impl Parsed {
    /// Reads these files in order, but for those that this knows by their text. Knows them afterwards, and
    /// no others.
    pub(super) fn read(&mut self, files: &[Source]) -> Vec<Partly<raw::File>> {
        let mut before = std::mem::take(&mut self.0);
        let known = &mut self.0;
        let read = files.iter().map(|source| {
            if let Some(same) = before.remove(&source.path).filter(|file| file.text == source.text) {
                let says = same.says.clone();
                known.insert(source.path.clone(), same);
                return Partly { value: Some(says), mistakes: Vec::new(), left_out: Vec::new() };
            }
            let partly = load_partly::<raw::File>(source);
            if let Some(says) = partly.value.as_ref().filter(|_| partly.mistakes.is_empty()) {
                let file = File { text: source.text.clone(), says: says.clone() };
                known.insert(source.path.clone(), Arc::new(file));
            }
            partly
        });
        read.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::open;

    fn source(name: &str, text: &str) -> Source {
        Source { path: name.into(), text: text.to_owned() }
    }

    fn resource(name: &str, tier: &str) -> Source {
        let of = format!("name: {name}, tier: {tier}, hosts: [{name}.corp.example], upstream: {name}");
        source(name, &format!("version: 1\nresources:\n  - {{ {of} }}\n"))
    }

    #[test]
    fn what_did_not_change_is_kept_and_everything_else_is_read() {
        let broken = source("c", "version: 1\nresources:\n  - { name: c, tire: open }\n");
        let before = [resource("a", "open"), resource("b", "open"), broken, resource("d", "open")];
        let mut parsed = Parsed::default();
        let read = parsed.read(&before);
        let first = parsed.clone();
        assert_eq!(read.iter().map(|file| file.mistakes.len()).collect::<Vec<_>>(), [0, 0, 1, 0]);
        assert_eq!(first.0.len(), 3, "a file with a mistake is read again");

        let after = [resource("a", "open"), resource("b", "high"), resource("c", "low")];
        let read = parsed.read(&after);
        let says = |file: &Partly<raw::File>| format!("{:?}", file.value);
        let afresh = Parsed::default().read(&after);
        assert_eq!(read.iter().map(says).collect::<Vec<_>>(), afresh.iter().map(says).collect::<Vec<_>>());
        let same = |name: &str| {
            let kept = |parsed: &Parsed| parsed.0.get(std::path::Path::new(name)).cloned();
            kept(&first).zip(kept(&parsed)).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b))
        };
        assert!(same("a") && !same("b"));
        assert_eq!(parsed.0.len(), 3, "a file that is gone is forgotten");
    }

    #[test]
    fn a_policy_made_of_kept_files_is_the_same_and_finds_the_same() {
        let (a, b) = (resource("a", "open"), resource("b", "open"));
        let lint = "version: 1\nlints:\n  - { code: P0412, level: \"off\", reason: known, resource: gone }\n";
        let files = [a.clone(), b, source("lints", lint)];
        let first = open(&files, None, Parsed::default());
        let second = open(&files, None, first.parsed.clone());
        let found = |open: crate::policy::Open| open.close(&files);
        let (first, second) = (found(first), found(second));
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        assert!(first.1.findings.iter().any(|finding| finding.code == "P0100"), "{first:?}");

        // A name that another file takes away is missed in the file that did not change.
        let twice = [a.clone(), Source { path: "b".into(), text: a.text.clone() }];
        let kept = open(&[a], None, Parsed::default()).parsed;
        let (_, sorted) = open(&twice, None, kept).close(&twice);
        assert!(sorted.findings.iter().any(|finding| finding.code == "Y0116"), "{sorted:?}");
    }
}
