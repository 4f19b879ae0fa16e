//! From a canonical host and path to the resource and section that decide.

use super::{Policy, Resource, Section};
use crate::text::prefix::covers;
use std::cmp::Ordering;
use std::collections::HashMap;

/// Resource indices by host.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) exact: HashMap<String, usize>,
    /// By the suffix behind `*.`.
    pub(super) wildcard: HashMap<String, usize>,
}

/// Where a request leads: a resource and the section of it that its path falls into.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    resource: &'p Resource,
    section: &'p Section,
}

impl<'p> Place<'p> {
    /// The resource.
    #[must_use]
    pub fn resource(self) -> &'p Resource {
        self.resource
    }

    /// The part of it that the path falls into.
    #[must_use]
    pub fn section(self) -> &'p Section {
        self.section
    }
}

impl Policy {
    /// Whether some resource has this canonical host (lower case, no port, no trailing dot).
    #[must_use]
    pub fn has_host(&self, host: &str) -> bool {
        self.by_host(host).is_some()
    }

    /// The resource and section of a canonical host and path. The cost does not grow with the number of resources.
    #[must_use]
    pub fn locate(&self, host: &str, path: &str) -> Option<Place<'_>> {
        let resource = self.by_host(host)?;
        Some(Place { resource, section: resource.section(path) })
    }

    /// Every host as written in the policy: exact, or `*.` and a suffix.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().flat_map(|resource| &resource.hosts).map(String::as_str)
    }

    fn by_host(&self, host: &str) -> Option<&Resource> {
        let exact = self.hosts.exact.get(host);
        let index = exact.or_else(|| {
            // The star is one label, and a label is not empty. An upper-case one is not canonical: it
            // must not slip past the exact host that it is.
            let (label, suffix) = host.split_once('.')?;
            let canonical = !label.is_empty() && !label.bytes().any(|byte| byte.is_ascii_uppercase());
            if canonical { self.hosts.wildcard.get(suffix) } else { None }
        })?;
        self.resources.get(*index)
    }
}

impl Resource {
    /// The section that a canonical path falls into: the longest prefix, or the whole resource.
    ///
    /// In segment order everything between a prefix and a path below it is below that prefix too. So
    /// the longest prefix of a path is the last section not behind the path, or encloses that one.
    fn section(&self, path: &str) -> &Section {
        let behind =
            self.paths.partition_point(|section| by_segments(&section.prefix, path) != Ordering::Greater);
        let mut candidate = behind.checked_sub(1);
        while let Some(section) = candidate.and_then(|index| self.paths.get(index)) {
            if covers(&section.prefix, path) {
                return section;
            }
            candidate = section.parent;
        }
        &self.root
    }
}

/// The order in which everything below `/a` comes right behind `/a`: bytes, with `/` before all others.
pub(super) fn by_segments(a: &str, b: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { u16::from(byte) + 1 };
    a.bytes().map(rank).cmp(b.bytes().map(rank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::policy;
    use proptest::prelude::*;

    fn where_to(policy: &Policy, host: &str, path: &str) -> String {
        policy.locate(host, path).map_or_else(
            || "nowhere".to_owned(),
            |place| format!("{}{}", place.resource().name, place.section().prefix),
        )
    }

    #[test]
    fn the_exact_host_wins_and_a_star_is_one_label() {
        let policy = policy(
            "resources:
  - { name: any, tier: high, hosts: ['*.corp.example'], upstream: u }
  - { name: one, tier: open, hosts: [one.corp.example, corp.example], upstream: u }
",
        );
        for (host, want) in [
            ("one.corp.example", "one"),
            ("two.corp.example", "any"),
            ("corp.example", "one"),
            ("a.two.corp.example", "nowhere"),
            (".corp.example", "nowhere"),
            ("*.corp.example", "any"),
            ("corp.example.", "nowhere"),
            ("ONE.corp.example", "nowhere"),
            ("example", "nowhere"),
            ("", "nowhere"),
        ] {
            assert_eq!(where_to(&policy, host, "/"), want, "{host}");
            assert_eq!(policy.has_host(host), want != "nowhere", "{host}");
        }
        assert_eq!(policy.hosts().count(), 3);
    }

    #[test]
    fn the_longest_prefix_wins_by_whole_segments() {
        let policy = policy(
            "resources:
  - name: r
    tier: low
    hosts: [r.example]
    upstream: u
    paths:
      - { prefix: /close, tier: high }
      - { prefix: /close/deep/er, tier: high }
      - { prefix: /close-d, tier: high }
      - { prefix: /a, tier: high }
      - { prefix: /a/c, tier: high }
",
        );
        for (path, want) in [
            ("/", "r"),
            ("/close", "r/close"),
            ("/close/", "r/close"),
            ("/close/deep", "r/close"),
            ("/close/deep/er/x", "r/close/deep/er"),
            ("/close/deep/ers", "r/close"),
            ("/closed", "r"),
            ("/close-d", "r/close-d"),
            ("/close-dx", "r"),
            ("/close.x", "r"),
            ("/a/b", "r/a"),
            ("/a/d", "r/a"),
            ("/a-", "r"),
            ("/A", "r"),
        ] {
            assert_eq!(where_to(&policy, "r.example", path), want, "{path}");
        }
    }

    proptest! {
        #[test]
        fn search_finds_what_a_scan_finds(
            prefixes in proptest::collection::btree_set("(/[ab.-]{1,2}){1,4}", 1..12),
            path in "(/[ab.-]{0,3}){1,5}",
        ) {
            let prefixes: Vec<_> = prefixes.into_iter()
                .filter(|prefix| crate::text::prefix::check(prefix).is_ok()).collect();
            prop_assume!(!prefixes.is_empty());
            let paths: Vec<_> = prefixes.iter().map(|p| format!("      - {{ prefix: '{p}', tier: high }}\n")).collect();
            let paths = paths.concat();
            let policy = policy(&format!(
                "resources:\n  - name: r\n    tier: high\n    hosts: [r.example]\n    upstream: u\n    paths:\n{paths}"
            ));
            let longest = prefixes.iter().filter(|p| covers(p, &path)).max_by_key(|p| p.len());
            prop_assert_eq!(where_to(&policy, "r.example", &path), format!("r{}", longest.map_or("", |p| p)));
        }
    }
}
