//! Who is allowed, and who is not, at one class of requests: exactly, for all people at once.
//!
//! This restates [`crate::access::decide`] as conditions on people. A property test holds the two
//! together; what is shown to a person as an example is decided by `decide` itself besides.

use super::people::{Members, People, SourceSet};
use crate::access::DeviceTrust;
use crate::policy::{Policy, Rule, Section};
use std::net::IpAddr;
use std::time::Duration;

/// How well a user has proved who they are, and on what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Strength {
    /// How far the device is trusted.
    pub device: DeviceTrust,
    /// More than one factor was used.
    pub mfa: bool,
    /// Since the user last proved who they are.
    pub auth_age: Duration,
}

impl Strength {
    /// Nothing is stronger.
    pub const BEST: Self = Self { device: DeviceTrust::Issued, mfa: true, auth_age: Duration::ZERO };

    /// Whether a rule asks for no more than this.
    #[must_use]
    pub fn meets(self, rule: &Rule) -> bool {
        (self.mfa || !rule.mfa)
            && rule.max_auth_age.is_none_or(|age| self.auth_age.as_secs() <= age.as_secs())
    }
}

/// One class of requests to one section.
#[derive(Clone, Copy, Debug)]
pub struct Class<'p> {
    /// The section.
    pub section: &'p Section,
    /// The method that stands for its class.
    pub method: &'p str,
    /// The address that stands for its class.
    pub client: IpAddr,
}

/// What is worked out of a policy once, to answer for many classes.
#[derive(Debug)]
pub struct Reach<'p> {
    policy: &'p Policy,
    members: Members,
}

impl<'p> Reach<'p> {
    /// For this policy, its groups in terms of some sources.
    #[must_use]
    pub const fn new(policy: &'p Policy, members: Members) -> Self {
        Self { policy, members }
    }

    /// The sources of whoever is in one of the groups.
    #[must_use]
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// Whoever is allowed is among these.
    #[must_use]
    pub fn allowed(&self, class: Class<'_>, strength: Strength) -> Vec<People> {
        let Class { section, method, client } = class;
        if strength.device < section.tier.required_trust() {
            return Vec::new();
        }
        let mut people = People::anybody();
        for rule in section.deny.iter().filter(|rule| rule.speaks_of_requests(method, client)) {
            match &rule.groups {
                None => return Vec::new(),
                Some(groups) => people = people.without(&self.members.in_any(groups)),
            }
        }
        let admitted: Vec<People> = if section.allow.is_empty() {
            vec![people]
        } else {
            let rules = section.allow.iter().filter(|rule| rule.speaks_of_requests(method, client));
            rules
                .filter(|rule| strength.meets(rule))
                .map(|rule| self.among(&people, rule.groups.as_ref()))
                .collect()
        };
        let strong = self.strong_enough(strength.mfa);
        let both = admitted.iter().flat_map(|people| strong.iter().map(|strong| people.and(strong)));
        both.filter(People::exist).collect()
    }

    /// Whoever is not allowed is among these.
    #[must_use]
    pub fn refused(&self, class: Class<'_>, strength: Strength) -> Vec<People> {
        let Class { section, method, client } = class;
        if strength.device < section.tier.required_trust() {
            return vec![People::anybody()];
        }
        let denied = section.deny.iter().filter(|rule| rule.speaks_of_requests(method, client));
        let mut all: Vec<People> =
            denied.map(|rule| self.among(&People::anybody(), rule.groups.as_ref())).collect();
        if !section.allow.is_empty() {
            let mut rules = section.allow.iter().filter(|rule| rule.speaks_of_requests(method, client));
            let outside = rules.try_fold(People::anybody(), |people, rule| match &rule.groups {
                _ if !strength.meets(rule) => Some(people),
                // Whoever it is, this rule admits them.
                None => None,
                Some(groups) => Some(people.without(&self.members.in_any(groups))),
            });
            all.extend(outside);
        }
        if !strength.mfa {
            all.extend(self.by_first_entry(true));
        }
        all.retain(People::exist);
        all
    }

    fn among(&self, people: &People, groups: Option<&crate::access::GroupSet>) -> People {
        match groups {
            None => people.clone(),
            Some(groups) => people.clone().within(self.members.in_any(groups)),
        }
    }

    /// Those whose `authentication` entry asks for no more than this.
    fn strong_enough(&self, mfa: bool) -> Vec<People> {
        if mfa || self.policy.authentication().iter().all(|entry| !entry.mfa) {
            return vec![People::anybody()];
        }
        self.by_first_entry(false)
    }

    /// Those whose first entry asks for `mfa`, or does not.
    fn by_first_entry(&self, mfa: bool) -> Vec<People> {
        let mut others = SourceSet::default();
        let mut all = Vec::new();
        for entry in self.policy.authentication() {
            let groups = entry.groups.as_ref().map(|groups| self.members.in_any(groups));
            if entry.mfa == mfa {
                // Earlier entries that ask the same may be theirs too: the answer is the same.
                let people = People::anybody().without(&others);
                all.push(match groups {
                    None => people,
                    Some(groups) => people.within(groups),
                });
            } else {
                match groups {
                    None => break,
                    Some(groups) => others.add(&groups),
                }
            }
        }
        all
    }
}
