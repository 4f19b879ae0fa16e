//! What two policies have in common, and what differs besides what they allow.

use super::reach::Reach;
use crate::access::{GroupSet, Tier};
use crate::policy::{Place, Policy, Posture, Resource, Rule, ServiceEntry};
use std::collections::BTreeSet;

/// One of two policies that are compared, its groups in terms of the sources of both.
pub(super) struct Side<'p> {
    pub policy: &'p Policy,
    pub reach: Reach<'p>,
}

impl Side<'_> {
    /// Whether the same people must sign in with a second factor.
    pub fn authentication_like(&self, other: &Side<'_>) -> bool {
        let (ours, theirs) = (self.policy.authentication(), other.policy.authentication());
        ours.len() == theirs.len()
            && ours
                .iter()
                .zip(theirs)
                .all(|(a, b)| a.mfa == b.mfa && self.groups_like(a.groups.as_ref(), other, b.groups.as_ref()))
    }

    /// Whether two places ask the same of everybody, as they are written.
    pub fn section_like(&self, ours: Option<Place<'_>>, other: &Side<'_>, theirs: Option<Place<'_>>) -> bool {
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return ours.is_none() && theirs.is_none() };
        let (a, b) = (ours.section(), theirs.section());
        a.tier == b.tier
            && self.rules_like(&a.allow, other, &b.allow)
            && self.rules_like(&a.deny, other, &b.deny)
            && self.services_like(ours.resource(), other, theirs.resource())
    }

    fn rules_like(&self, ours: &[Rule], other: &Side<'_>, theirs: &[Rule]) -> bool {
        ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(a, b)| {
                // Destructured without `..`: a new key is compared, or said not to matter.
                let Rule { groups, methods, networks, mfa, max_auth_age, origin: _ } = a;
                (methods, networks, mfa, max_auth_age) == (&b.methods, &b.networks, &b.mfa, &b.max_auth_age)
                    && self.groups_like(groups.as_ref(), other, b.groups.as_ref())
            })
    }

    fn groups_like(&self, ours: Option<&GroupSet>, other: &Side<'_>, theirs: Option<&GroupSet>) -> bool {
        match (ours, theirs) {
            (None, None) => true,
            (Some(a), Some(b)) => self.reach.members().in_any(a).same_as(&other.reach.members().in_any(b)),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    fn services_like(&self, ours: &Resource, other: &Side<'_>, theirs: &Resource) -> bool {
        let entry = |policy: &Policy, entry: &ServiceEntry| {
            let ServiceEntry { service, methods, paths, origin: _ } = entry;
            let spiffe = policy.service(*service).map(|service| service.spiffe.clone());
            (spiffe, methods.clone(), paths.clone())
        };
        let ours = ours.services.iter().map(|it| entry(self.policy, it));
        let theirs = theirs.services.iter().map(|it| entry(other.policy, it));
        ours.eq(theirs)
    }
}

/// Whether devices that could not may reach what is `high` now, because its posture asks for less.
pub(super) fn posture_of_high_loosened(old: &Policy, new: &Policy) -> bool {
    let is_high = |policy: &Policy| {
        policy.resources().iter().flat_map(Resource::sections).any(|section| section.tier == Tier::High)
    };
    let covered = |asked: &Posture| new.posture(Tier::High).is_some_and(|now| now.covers(asked));
    is_high(old) && is_high(new) && old.posture(Tier::High).is_some_and(|asked| !covered(asked))
}

/// What differs besides who reaches what, in words.
pub(super) fn settings(old: &Policy, new: &Policy) -> Vec<String> {
    let mut all = Vec::new();
    let hosts: BTreeSet<&str> = old.hosts().chain(new.hosts()).collect();
    for host in hosts {
        // What a star stands for is the resource that has the star.
        let of = |policy: &'_ Policy| {
            policy.resources().iter().position(|resource| resource.hosts.iter().any(|it| it == host))
        };
        let (Some(was), Some(is)) = (of(old), of(new)) else { continue };
        let (Some(was), Some(is)) = (old.resources().get(was), new.resources().get(is)) else { continue };
        let upstream =
            |policy: &Policy, resource: &Resource| policy.upstream_names().get(resource.upstream).cloned();
        let mut note = |what: &str, before: String, after: String| {
            if before != after {
                all.push(format!("{host}: {what} was {before}, is {after}"));
            }
        };
        note("the resource's name", was.name.to_string(), is.name.to_string());
        let named = |name: Option<String>| name.unwrap_or_default();
        note("the upstream", named(upstream(old, was)), named(upstream(new, is)));
        let limits = |resource: &Resource| {
            let limits = resource.address_limits.iter().chain(&resource.subject_limits);
            let each: Vec<_> = limits
                .map(|limit| {
                    let window = crate::text::duration::write(limit.window);
                    let per = format!("{:?}", limit.per).to_lowercase();
                    format!("{} per {per} in {window} (burst {})", limit.requests, limit.burst)
                })
                .collect();
            if each.is_empty() { "none".to_owned() } else { each.join(", ") }
        };
        note("the rate limit", limits(was), limits(is));
        let cors = |resource: &Resource| {
            resource.cors.as_ref().map_or_else(
                || "none".to_owned(),
                |cors| {
                    let credentials = if cors.credentials { " with credentials" } else { "" };
                    format!(
                        "{} for {} ({}){credentials}",
                        cors.methods.0.join(" "),
                        cors.origins.join(" "),
                        cors.headers.join(" ")
                    )
                },
            )
        };
        note("cors", cors(was), cors(is));
    }
    for tier in [Tier::Low, Tier::High] {
        let asked =
            |policy: &Policy| policy.posture(tier).map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let (before, after) = (asked(old), asked(new));
        if before != after {
            all.push(format!("posture of {tier}: was {before}; is {after}"));
        }
    }
    let sessions = |policy: &Policy| {
        let spoken = |duration: Option<std::time::Duration>| {
            duration.map_or_else(|| "as configured".to_owned(), crate::text::duration::write)
        };
        let each: Vec<_> = policy
            .authentication()
            .iter()
            .map(|entry| {
                let names = |groups: &GroupSet| {
                    groups.iter().filter_map(|group| policy.group_name(group)).collect::<Vec<_>>().join("+")
                };
                let who = entry.groups.as_ref().map_or_else(|| "everybody".to_owned(), names);
                format!(
                    "{who}: max_age {}, idle_timeout {}",
                    spoken(entry.max_age),
                    spoken(entry.idle_timeout)
                )
            })
            .collect();
        if each.is_empty() { "as configured".to_owned() } else { each.join("; ") }
    };
    let (before, after) = (sessions(old), sessions(new));
    if before != after {
        all.push(format!("sessions: were {before}; are {after}"));
    }
    all
}
