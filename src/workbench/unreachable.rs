//! Rules that can never decide anything, by all that stands around them together.

use super::classes;
use super::people::{Members, People, Sources};
use crate::diagnostic::{Diagnostic, Position, Severity, Source};
use crate::policy::{Origin, Policy, Rule, Section};
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

/// So much is looked at: each rule with all classes of its section.
const MOST_WORK: usize = 50_000_000;

/// `allow` rules that admit nobody: every request that they speak of is refused by the `deny` rules.
pub fn idle_rules(policy: &Policy, files: &[Source]) -> Vec<Diagnostic> {
    let sources = Sources::of([policy]);
    let members = Members::of(policy, &sources);
    let mut work = 0_usize;
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for resource in policy.resources() {
        for section in resource.sections().filter(|section| !section.deny.is_empty()) {
            let methods = classes::methods(classes::named_methods(resource, section));
            let clients = classes::addresses(classes::named_networks(section));
            for rule in &section.allow {
                let count = methods.len().saturating_mul(clients.len());
                work = work.saturating_add(count.saturating_mul(classes::cost(section)));
                if work > MOST_WORK {
                    return found;
                }
                let mut classes =
                    methods.iter().flat_map(|method| clients.iter().map(move |client| (*method, *client)));
                let admits = classes.any(|(method, client)| {
                    rule.speaks_of_requests(method, client) && admits(rule, section, method, client, &members)
                });
                if !admits && seen.insert(&*rule.origin.0) {
                    found.extend(
                        finding(&rule.origin, files).map(|finding| finding.about(Some(&resource.name))),
                    );
                }
            }
        }
    }
    found
}

fn admits(rule: &Rule, section: &Section, method: &str, client: std::net::IpAddr, members: &Members) -> bool {
    let mut people = match &rule.groups {
        None => People::anybody(),
        Some(groups) => People::anybody().within(members.in_any(groups)),
    };
    for deny in section.deny.iter().filter(|deny| deny.speaks_of_requests(method, client)) {
        match &deny.groups {
            None => return false,
            Some(groups) => people = people.without(&members.in_any(groups)),
        }
    }
    people.exist()
}

fn finding(origin: &Origin, files: &[Source]) -> Option<Diagnostic> {
    let (path, line) = origin.0.rsplit_once(':')?;
    let file = files.iter().find(|file| file.path == Path::new(path))?;
    let span = line_span(&file.text, line.parse().ok()?)?;
    let message = "this `allow` admits nobody";
    let label = "the `deny` rules around it refuse everybody whom it speaks of";
    Some(Diagnostic::new(Severity::Warning, "P0413", &file.path, span, message).label(label))
}

/// The bytes of a line (from 1) without the white space around it.
fn line_span(text: &str, line: usize) -> Option<Range<usize>> {
    let starts = Position::line_starts(text);
    let start = *starts.get(line.checked_sub(1)?)?;
    let whole = text.get(start..)?.lines().next()?;
    let indent = whole.len() - whole.trim_start().len();
    Some(start + indent..start + whole.trim_end().len())
}
