//! The whole truth table: resource × who × device.

use super::classes;
use super::hypothetical::{Circumstances, Hypothetical, NOON, Verdict, elsewhere, implied};
use super::tell::network_of;
use crate::access::{DeviceTrust, GroupSet, Tier};
use crate::policy::{Policy, Resource, Section, ServiceId, Who};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// Stands for every method that no rule names.
const OTHERS: &str = "others";

/// What somebody may do at a place from a device.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Cell {
    /// The device; `None` for a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceTrust>,
    /// `allow`: everything; `partly`: what the other keys say; `deny`: nothing.
    pub access: Access,
    /// Why nothing is allowed, or the rest is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// With these methods only; empty for all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub methods: BTreeSet<String>,
    /// With all methods but these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub not_methods: BTreeSet<String>,
    /// From these networks only; empty for everywhere.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub from: BTreeSet<String>,
    /// Only with a second factor.
    pub mfa: bool,
    /// Only so soon after signing in, such as `15m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_auth_age: Option<String>,
}

/// How much is allowed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nothing.
    Deny,
    /// Some requests, or with a stronger sign-in.
    Partly,
    /// Every request.
    Allow,
}

impl Access {
    /// A sign for it, where colour alone would have to tell.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Allow => "✓",
            Self::Partly => "◐",
            Self::Deny => "–",
        }
    }

    /// The word that people and machines read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Partly => "partly",
            Self::Allow => "allow",
        }
    }
}

/// What one somebody may do at one place.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The resource.
    pub resource: String,
    /// The path prefix; empty for the resource but for its paths.
    pub path: String,
    /// The tier there.
    pub tier: Tier,
    /// Who: a group's member in no other group, anybody signed in, or a service.
    pub who: String,
    /// Whether that is a service.
    pub service: bool,
    /// One for each device, or a single one for a service.
    pub cells: Vec<Cell>,
}

/// The whole truth table, in the order of the files.
#[must_use]
pub fn matrix(policy: &Policy) -> Vec<Row> {
    let mut rows = Vec::new();
    for resource in policy.resources() {
        let Some(host) = classes::host(policy, resource) else { continue };
        for section in resource.sections() {
            let at = Place { policy, resource, section, host: &host };
            rows.push(at.people("anybody signed in".to_owned(), &GroupSet::new(policy.groups().len(), [])));
            for (index, group) in policy.groups().iter().enumerate() {
                let groups = implied(policy, &GroupSet::new(policy.groups().len(), [index]));
                rows.push(at.people(group.name.clone(), &groups));
            }
            let listed: BTreeSet<ServiceId> = resource.services.iter().map(|entry| entry.service).collect();
            rows.extend(listed.into_iter().map(|service| at.service(service)));
        }
    }
    rows
}

struct Place<'p> {
    policy: &'p Policy,
    resource: &'p Resource,
    section: &'p Section,
    host: &'p str,
}

/// One class of requests, by the words for it.
struct Class {
    path: String,
    method: String,
    method_word: String,
    client: IpAddr,
    from: String,
}

impl Place<'_> {
    fn row(&self, who: String, service: bool, cells: Vec<Cell>) -> Row {
        Row {
            resource: self.resource.name.to_string(),
            path: self.section.prefix.clone(),
            tier: self.section.tier,
            who,
            service,
            cells,
        }
    }

    fn people(&self, name: String, groups: &GroupSet) -> Row {
        let classes = self.classes(false);
        let cells = DeviceTrust::ALL.into_iter().map(|device| {
            let ask = |mfa, auth_age| {
                move |class: &Class| {
                    let who = Who::User { groups: groups.clone(), mfa, auth_age };
                    self.ask(class, who, device)
                }
            };
            let mut cell = cell(&classes, ask(true, Duration::ZERO));
            cell.device = Some(device);
            if cell.access != Access::Deny {
                self.sign_in(&mut cell, &classes, &ask);
            }
            cell
        });
        let cells = cells.collect();
        self.row(name, false, cells)
    }

    /// What the sign-in must be for what is allowed.
    fn sign_in<A: Fn(&Class) -> (bool, &'static str)>(
        &self,
        cell: &mut Cell,
        classes: &[Class],
        ask: &impl Fn(bool, Duration) -> A,
    ) {
        let best = ask(true, Duration::ZERO);
        let allowed: Vec<&Class> = classes.iter().filter(|class| best(class).0).collect();
        let all = |mfa, age| {
            let asked = ask(mfa, age);
            allowed.iter().all(|class| asked(class).0)
        };
        cell.mfa = !all(false, Duration::ZERO);
        if !all(true, classes::AGES_AGO) {
            let mut ages: Vec<Duration> =
                self.section.allow.iter().filter_map(|rule| rule.max_auth_age).collect();
            ages.sort_by(|a, b| b.cmp(a));
            let longest = ages.into_iter().find(|age| all(true, *age));
            cell.max_auth_age = longest.map(crate::text::duration::write);
        }
        if cell.access == Access::Allow && (cell.mfa || cell.max_auth_age.is_some()) {
            cell.access = Access::Partly;
        }
    }

    fn service(&self, service: ServiceId) -> Row {
        let name = self.policy.service(service).map(|service| service.name.clone()).unwrap_or_default();
        let classes = self.classes(true);
        let cell = cell(&classes, |class| self.ask(class, Who::Service(Some(service)), DeviceTrust::None));
        self.row(name, true, vec![cell])
    }

    fn ask(&self, class: &Class, who: Who, device: DeviceTrust) -> (bool, &'static str) {
        let request = Hypothetical {
            method: class.method.clone(),
            host: self.host.to_owned(),
            path: class.path.clone(),
            who,
            device,
            client: class.client,
            time: NOON,
            circumstances: Circumstances::NONE,
        };
        let outcome = request.decided(self.policy);
        (outcome.verdict == Verdict::Allow, outcome.reason.code())
    }

    /// The classes of requests to the section; those of services have paths of their own.
    fn classes(&self, of_services: bool) -> Vec<Class> {
        let named: BTreeSet<&str> = classes::named_methods(self.resource, self.section).collect();
        let here = |path: &&str| {
            let place = self.policy.locate(self.host, path);
            place.is_some_and(|place| std::ptr::eq(place.section(), self.section))
        };
        let own = if self.section.prefix.is_empty() { "/" } else { self.section.prefix.as_str() };
        let paths: Vec<&str> = if of_services {
            classes::paths(self.resource, true, []).into_iter().filter(here).collect()
        } else {
            vec![own]
        };
        let clients = classes::addresses(classes::named_networks(self.section));
        let clients = if clients.is_empty() { vec![elsewhere(self.policy)] } else { clients };
        let mut all = Vec::new();
        for path in &paths {
            for method in classes::methods(named.iter().copied()) {
                for client in &clients {
                    let method_word = if named.contains(method) { method } else { OTHERS };
                    let word = if of_services && *path != own {
                        format!("{method_word} {path}")
                    } else {
                        method_word.to_owned()
                    };
                    all.push(Class {
                        path: (*path).to_owned(),
                        method: method.to_owned(),
                        method_word: word,
                        client: *client,
                        from: network_of(self.policy, *client).unwrap_or("elsewhere").to_owned(),
                    });
                }
            }
        }
        all
    }
}

/// What is allowed of these classes.
fn cell(classes: &[Class], ask: impl Fn(&Class) -> (bool, &'static str)) -> Cell {
    let answers: Vec<(&Class, bool, &'static str)> = classes
        .iter()
        .map(|class| {
            let (allowed, reason) = ask(class);
            (class, allowed, reason)
        })
        .collect();
    let allowed = || answers.iter().filter(|(_, allowed, _)| *allowed).map(|(class, ..)| *class);
    let refused = answers.iter().find(|(_, allowed, _)| !allowed);
    let access = match (allowed().next(), refused) {
        (None, _) => Access::Deny,
        (Some(_), None) => Access::Allow,
        (Some(_), Some(_)) => Access::Partly,
    };
    // The words for what is allowed and for what is not; none where that makes no difference.
    let words = |word: fn(&Class) -> &String| -> (BTreeSet<String>, BTreeSet<String>) {
        let all: BTreeSet<String> = classes.iter().map(word).cloned().collect();
        let some: BTreeSet<String> = allowed().map(word).cloned().collect();
        let others = all.difference(&some).cloned().collect::<BTreeSet<_>>();
        if others.is_empty() || access != Access::Partly {
            (BTreeSet::new(), BTreeSet::new())
        } else {
            (some, others)
        }
    };
    let (mut methods, mut not_methods) = words(|class| &class.method_word);
    // What no rule names cannot be listed; what is missing from it can.
    if methods.contains(OTHERS) {
        methods.clear();
    } else {
        not_methods.clear();
    }
    Cell {
        device: None,
        access,
        reason: refused.map(|(_, _, reason)| *reason),
        methods,
        not_methods,
        from: words(|class| &class.from).0,
        mfa: false,
        max_auth_age: None,
    }
}

impl Cell {
    /// The cell in a few words.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        match self.access {
            Access::Deny => return format!("no: {}", self.reason.unwrap_or("not_allowed")),
            Access::Allow => return "yes".to_owned(),
            Access::Partly => {}
        }
        if !self.methods.is_empty() {
            words.push(self.methods.iter().cloned().collect::<Vec<_>>().join(" "));
        }
        if !self.not_methods.is_empty() {
            words.push(format!("not {}", self.not_methods.iter().cloned().collect::<Vec<_>>().join(" ")));
        }
        if !self.from.is_empty() {
            words.push(format!("from {}", self.from.iter().cloned().collect::<Vec<_>>().join(" or ")));
        }
        if self.mfa {
            words.push("second factor".to_owned());
        }
        if let Some(age) = &self.max_auth_age {
            words.push(format!("within {age} of signing in"));
        }
        if words.is_empty() { "partly".to_owned() } else { format!("partly: {}", words.join(", ")) }
    }
}
