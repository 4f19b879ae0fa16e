//! What rules refer to: groups, networks, services, and how strong a sign-in must be.

use super::names::shorten;
use super::resolve::Resolver;
use super::{Authentication, Group, Service, ServiceId, raw};
use crate::access::GroupSet;
use crate::diagnostic::{Diagnostic, Severity, did_you_mean};
use crate::text::name::spiffe_problem;
use crate::text::yaml::{At, Entries, Key};
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};

/// A group set costs a bit for every group in every rule, so groups are bounded.
const MAX_GROUPS: usize = 4096;
/// Prefixes of group sources that need no provider of that name.
const BUILT_IN_SOURCES: [&str; 2] = ["local", "scim"];

/// What the files define.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    pub groups: Vec<Group>,
    pub memberships: HashMap<String, Vec<usize>>,
    pub networks: Vec<Vec<IpNet>>,
    pub services: Vec<Service>,
    pub spiffe: HashMap<String, ServiceId>,
}

impl Resolver<'_> {
    fn entries<V>(&mut self, file: usize, key: Key<Entries<V>>, name: &str) -> Vec<(At<String>, At<V>)> {
        let Some(entries) = key.0 else { return Vec::new() };
        if entries.value.0.is_empty() {
            self.error(file, "Y0108", entries.span, format!("`{name}` is empty"), "leave the key out");
        }
        entries.value.0
    }

    pub fn define_groups(&mut self, file: usize, key: Key<Entries<raw::Group>>, into: &mut Definitions) {
        for (name, group) in self.entries(file, key, "groups") {
            let place = self.place(file, name.span.clone());
            let index = self.groups.define(&name.value, place, &mut self.findings);
            if index == MAX_GROUPS {
                self.error(
                    file,
                    "P0116",
                    name.span.clone(),
                    format!("more than {MAX_GROUPS} groups"),
                    "the first too many",
                );
            }
            let raw::Group { any_of } = group.value;
            let any_of = self.needed(file, any_of, "any_of", &group.span);
            let any_of = self.list(file, Key(any_of), "any_of").unwrap_or_default();
            for source in &any_of {
                self.group_source(file, source);
                let groups = into.memberships.entry(source.value.clone()).or_default();
                if groups.last() != Some(&index) {
                    groups.push(index);
                }
            }
            let any_of = any_of.into_iter().map(|source| source.value).collect();
            into.groups.push(Group { name: name.value, any_of });
        }
    }

    /// `provider:claim-value`, of a provider that exists.
    fn group_source(&mut self, file: usize, source: &At<String>) {
        let form = source.value.split_once(':').filter(|(provider, value)| {
            crate::text::name::is_name(provider)
                && !value.is_empty()
                && value.trim() == *value
                && source.value.len() <= 1024
        });
        let Some((provider, _)) = form else {
            let message = format!("`{}` is not the source of a group", shorten(&source.value));
            let label = "write `provider:claim-value` or `local:group`, without a space behind the colon";
            self.error(file, "P0110", source.span.clone(), message, label);
            return;
        };
        let Some(known) = self.known else { return };
        if BUILT_IN_SOURCES.contains(&provider) || known.providers.iter().any(|name| name == provider) {
            return;
        }
        let names = known.providers.iter().map(String::as_str).chain(BUILT_IN_SOURCES);
        let meant = did_you_mean(provider, names).map_or_else(String::new, |meant| format!("; {meant}"));
        let message = format!("no identity provider is called `{provider}`");
        let label = format!("nobody gets into the group this way{meant}");
        self.report(Severity::Warning, file, "P0203", source.span.clone(), message, label);
    }

    pub fn define_networks(
        &mut self,
        file: usize,
        key: Key<Entries<Vec<At<String>>>>,
        into: &mut Definitions,
    ) {
        for (name, list) in self.entries(file, key, "networks") {
            let place = self.place(file, name.span.clone());
            self.networks.define(&name.value, place, &mut self.findings);
            let list = self.list(file, Key(Some(list)), &name.value).unwrap_or_default();
            let networks: Vec<_> = list.iter().filter_map(|text| self.network(file, text)).collect();
            into.networks.push(networks);
        }
    }

    pub fn define_services(&mut self, file: usize, key: Key<Entries<raw::Service>>, into: &mut Definitions) {
        for (name, service) in self.entries(file, key, "services") {
            let place = self.place(file, name.span.clone());
            let index = self.services.define(&name.value, place, &mut self.findings);
            let raw::Service { spiffe } = service.value;
            let spiffe = self.needed(file, spiffe, "spiffe", &service.span);
            if let Some(spiffe) = &spiffe {
                if let Some(problem) = spiffe_problem(&spiffe.value) {
                    let message = format!("`{}` is not the SPIFFE ID of a workload", shorten(&spiffe.value));
                    self.error(file, "P0109", spiffe.span.clone(), message, problem);
                }
                if let Some(other) = into.spiffe.insert(spiffe.value.clone(), ServiceId(index)) {
                    let other = into.services.get(other.0).map_or("", |service| service.name.as_str());
                    let message = format!("two services have the SPIFFE ID `{}`", shorten(&spiffe.value));
                    self.error(
                        file,
                        "Y0116",
                        spiffe.span.clone(),
                        message,
                        format!("`{other}` has it already"),
                    );
                }
            }
            let spiffe = spiffe.map_or_else(String::new, |spiffe| spiffe.value);
            into.services.push(Service { name: name.value, spiffe });
        }
    }

    /// The entries of the one file that has them. Order decides, and files have none.
    pub fn authentication(
        &mut self,
        files: Vec<(usize, At<Vec<At<raw::Authentication>>>)>,
    ) -> Vec<Authentication> {
        let mut files = files.into_iter();
        let Some((file, list)) = files.next() else { return Vec::new() };
        let first = self.place(file, list.span.clone());
        for (other, again) in files {
            let place = self.place(other, again.span);
            self.findings.push(
                Diagnostic::error("Y0116", &place.path, place.span, "`authentication` stands in two files")
                    .label("the first match wins, so all entries stand in one list")
                    .also(&first.path, first.span.clone(), "first stated here"),
            );
        }
        let list = self.list(file, Key(Some(list)), "authentication").unwrap_or_default();
        let final_entry = list.len().saturating_sub(1);
        let mut taken = HashSet::new();
        let mut entries = Vec::new();
        for (at, entry) in list.into_iter().enumerate() {
            let span = entry.span.clone();
            let raw::Authentication { r#for, idle_timeout, max_age, mfa } = entry.value;
            let states_something = idle_timeout.is_stated() || max_age.is_stated() || mfa.is_stated();
            let groups = self.for_groups(file, r#for);
            match &groups {
                None if at < final_entry => {
                    let label = "without `for` it is for everybody; only the last entry can be";
                    self.error(
                        file,
                        "P0106",
                        span.clone(),
                        "the entries behind this one are never reached",
                        label,
                    );
                }
                Some(_) if at == final_entry => {
                    let label = "add an entry without `for` behind it, for everybody else";
                    self.error(
                        file,
                        "P0115",
                        span.clone(),
                        "the last entry of `authentication` is not for everybody",
                        label,
                    );
                }
                Some(groups) if !groups.is_empty() && groups.iter().all(|group| taken.contains(group)) => {
                    let label = "earlier entries are for each of its groups";
                    self.error(file, "P0106", span.clone(), "this entry is never reached", label);
                }
                Some(_) | None => {}
            }
            if !states_something {
                let label = "write `idle_timeout`, `max_age` or `mfa: required`";
                self.error(file, "P0111", span.clone(), "this entry states nothing", label);
            }
            taken.extend(groups.iter().flatten().copied());
            entries.push(Authentication {
                groups: groups.map(|groups| GroupSet::new(self.groups.len(), groups)),
                idle_timeout: self.seconds(file, idle_timeout),
                max_age: self.seconds(file, max_age),
                mfa: self.mfa(file, mfa),
                origin: self.origin(file, &span),
            });
        }
        entries
    }

    fn for_groups(&mut self, file: usize, key: Key<raw::For>) -> Option<Vec<usize>> {
        let At { value: raw::For { groups }, span } = key.0?;
        let groups = self.needed(file, groups, "groups", &span);
        let groups = self.list(file, Key(groups), "groups").unwrap_or_default();
        Some(self.group_indices(file, &groups))
    }

    /// The groups that are named.
    pub fn group_indices(&mut self, file: usize, names: &[At<String>]) -> Vec<usize> {
        let mut indices = Vec::with_capacity(names.len());
        for name in names {
            let place = self.place(file, name.span.clone());
            indices.extend(self.groups.find(name, place, self.complete, &mut self.findings));
        }
        indices
    }
}
