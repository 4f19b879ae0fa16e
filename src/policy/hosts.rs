//! The hosts of resources: canonical, each of one resource, and what a wildcard covers besides.

use super::Resource;
use super::locate::Hosts;
use super::names::shorten;
use super::resolve::{Place, Resolver};
use crate::diagnostic::{Diagnostic, Severity};
use crate::text::host;
use crate::text::yaml::At;
use std::collections::HashMap;

/// The hosts seen so far, and where.
#[derive(Default)]
pub(super) struct HostsSeen {
    hosts: Hosts,
    places: HashMap<String, (Place, String)>,
}

impl HostsSeen {
    /// With room for about so many exact hosts.
    pub fn for_about(count: usize) -> Self {
        let mut seen = Self::default();
        seen.hosts.exact.reserve(count);
        seen.places.reserve(count);
        seen
    }

    /// The resources by host.
    pub fn into_hosts(self) -> Hosts {
        self.hosts
    }
}

impl Resolver<'_> {
    /// One host of one resource: canonical, and of no other.
    pub fn host(
        &mut self,
        file: usize,
        resource: usize,
        text: &At<String>,
        name: &str,
        seen: &mut HostsSeen,
    ) {
        let written = shorten(&text.value);
        if let Err(error) = host::check_pattern(&text.value) {
            self.error(
                file,
                "Y0111",
                text.span.clone(),
                format!("`{written}` is not a host"),
                error.to_string(),
            );
            return;
        }
        if self.known.is_some_and(|known| known.login_host == text.value) {
            let label = "people sign in there; give the resource a host of its own";
            self.error(file, "P0117", text.span.clone(), format!("`{written}` is the `login_host`"), label);
        }
        let place = self.place(file, text.span.clone());
        if let Some((first, of)) = seen.places.get(&text.value) {
            let message = if of == name {
                format!("host `{written}` stands twice in resource `{}`", shorten(name))
            } else {
                format!("host `{written}` belongs to two resources")
            };
            self.findings.push(
                Diagnostic::error("P0108", &place.path, place.span, message)
                    .label("a host is one resource; use `paths` to treat parts of it differently")
                    .also(
                        &first.path,
                        first.span.clone(),
                        format!("first stated here, by `{}`", shorten(of)),
                    ),
            );
            return;
        }
        seen.places.insert(text.value.clone(), (place, name.to_owned()));
        match text.value.strip_prefix("*.") {
            Some(suffix) => seen.hosts.wildcard.insert(suffix.to_owned(), resource),
            None => seen.hosts.exact.insert(text.value.clone(), resource),
        };
    }
    /// Notes each exact host that the wildcard of another resource covers too: whoever reads only that
    /// one would think that its rules hold there.
    pub fn also_covered(&mut self, resources: &[Resource], seen: &HostsSeen) {
        for (at, resource) in resources.iter().enumerate() {
            for host in &resource.hosts {
                let Some((label, suffix)) = host.split_once('.') else { continue };
                let wildcard = format!("*.{suffix}");
                let covers =
                    label != "*" && seen.hosts.wildcard.get(suffix).is_some_and(|other| *other != at);
                if covers
                    && let Some((place, _)) = seen.places.get(host)
                    && let Some((by, of)) = seen.places.get(&wildcard)
                {
                    let (name, of) = (shorten(&resource.name), shorten(of));
                    let message =
                        format!("host `{}` is covered by `{}` too", shorten(host), shorten(&wildcard));
                    self.findings.push(
                        Diagnostic::new(Severity::Note, "P0310", &place.path, place.span.clone(), message)
                            .label(format!("the exact host wins: `{name}` decides here, `{of}` has no say"))
                            .also(&by.path, by.span.clone(), format!("the wildcard, of `{of}`"))
                            .about(Some(&resource.name)),
                    );
                }
            }
        }
    }
}
