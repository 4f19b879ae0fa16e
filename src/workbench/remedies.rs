//! The smallest changes that would turn a refused request into an allowed one.

use super::classes;
use super::hypothetical::{Circumstances, Hypothetical, Verdict, implied};
use super::tell::network_of;
use crate::access::{DeviceTrust, GroupSet, Reason};
use crate::policy::{Place, Policy, Rule, Who};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// More ways nobody reads.
const MOST_WAYS: usize = 5;
/// So many groups of a rule are tried.
const MOST_GROUPS: usize = 32;
/// So many decisions are asked for.
const MOST_TRIES: usize = 20_000;

/// One thing that would have to be different.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(tag = "change", content = "to", rename_all = "snake_case")]
pub enum Change {
    /// Sign in, or again.
    SignIn,
    /// Use a second factor.
    SecondFactor,
    /// Sign in again, at most so many seconds before.
    SignInAgain(u64),
    /// Use a device that is trusted so.
    Device(&'static str),
    /// Be in this group.
    JoinGroup(String),
    /// Be no longer in this group.
    LeaveGroup(String),
    /// Come from this network.
    From(String),
    /// Ask with this method.
    Method(String),
    /// Ask for this path.
    Path(String),
    /// What stood in the way beside the policy must be over.
    Over(&'static str),
}

/// Changes that together turn the request into an allowed one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Way {
    /// All of them are needed.
    pub changes: Vec<Change>,
}

/// The ways with the fewest changes; none where no change of the request helps.
#[must_use]
pub fn ways(policy: &Policy, request: &Hypothetical) -> Vec<Way> {
    let Some(place) = policy.locate(&request.host, &request.path) else { return Vec::new() };
    let mut found: BTreeSet<(usize, Vec<Change>)> = BTreeSet::new();
    let mut search = Search { policy, request, tries: 0, found: &mut found };
    match &request.who {
        Who::Service(_) => search.service(place),
        Who::Nobody | Who::User { .. } => search.user(place),
    }
    let least = found.first().map_or(0, |(count, _)| *count);
    let fewest = found.into_iter().take_while(|(count, _)| *count == least).take(MOST_WAYS);
    fewest.map(|(_, changes)| Way { changes }).collect()
}

struct Search<'a> {
    policy: &'a Policy,
    request: &'a Hypothetical,
    tries: usize,
    found: &'a mut BTreeSet<(usize, Vec<Change>)>,
}

impl Search<'_> {
    fn user(&mut self, place: Place<'_>) {
        let section = place.section();
        let clients = self.clients(place);
        let methods = self.methods(place);
        for (client, from) in &clients {
            for method in &methods {
                let rules: Vec<Option<&Rule>> = if section.allow.is_empty() {
                    vec![None]
                } else {
                    let speaking =
                        section.allow.iter().filter(|rule| rule.speaks_of_requests(method, *client));
                    speaking.map(Some).collect()
                };
                for rule in rules {
                    for join in joins(self.policy, &self.request.who, rule) {
                        self.tries += 1;
                        if self.tries > MOST_TRIES {
                            return;
                        }
                        self.attempt(place, (*client, from.as_ref()), method, rule, join);
                    }
                }
            }
        }
    }

    /// The request with as little altered as this rule needs; kept where it is allowed then.
    fn attempt(
        &mut self,
        place: Place<'_>,
        (client, from): (IpAddr, Option<&String>),
        method: &str,
        rule: Option<&Rule>,
        join: Option<usize>,
    ) {
        let (policy, section) = (self.policy, place.section());
        let mut changes = Vec::new();
        let mut altered = self.request.clone();
        over(&mut altered, &mut changes);
        let (groups, mut mfa, mut auth_age) = match &self.request.who {
            Who::User { groups, mfa, auth_age } => (groups.clone(), *mfa, *auth_age),
            Who::Nobody | Who::Service(_) => {
                changes.push(Change::SignIn);
                (GroupSet::new(policy.groups().len(), []), false, Duration::ZERO)
            }
        };
        let forbidden: Vec<&GroupSet> = section
            .deny
            .iter()
            .filter(|deny| deny.speaks_of_requests(method, client))
            .filter_map(|deny| deny.groups.as_ref())
            .collect();
        let kept = |group: &usize| {
            let with_it = implied(policy, &GroupSet::new(policy.groups().len(), [*group]));
            !forbidden.iter().any(|forbidden| forbidden.intersects(&with_it))
        };
        let (stays, leaves): (Vec<usize>, Vec<usize>) = groups.iter().partition(kept);
        let name = |group: usize| policy.group_name(group).unwrap_or_default().to_owned();
        changes.extend(leaves.into_iter().map(|group| Change::LeaveGroup(name(group))));
        changes.extend(join.map(|group| Change::JoinGroup(name(group))));
        let groups = GroupSet::new(policy.groups().len(), stays.into_iter().chain(join));
        let groups = implied(policy, &groups);
        if let Some(from) = from {
            changes.push(Change::From(from.clone()));
        }
        if method != self.request.method {
            changes.push(Change::Method(method.to_owned()));
        }
        let needed = section.tier.required_trust();
        if altered.device < needed
            || altered.circumstances.lowered.is_some_and(|_| needed > DeviceTrust::None)
        {
            altered.circumstances.lowered = None;
            altered.device = altered.device.max(needed);
            changes.push(Change::Device(altered.device.as_str()));
        }
        let asks_factor = policy.authentication_for(&groups).is_some_and(|entry| entry.mfa);
        if !mfa && (asks_factor || rule.is_some_and(|rule| rule.mfa)) {
            mfa = true;
            changes.push(Change::SecondFactor);
        }
        if let Some(age) = rule.and_then(|rule| rule.max_auth_age).filter(|age| auth_age > *age) {
            auth_age = Duration::ZERO;
            changes.push(Change::SignInAgain(age.as_secs()));
        }
        altered.who = Who::User { groups, mfa, auth_age };
        altered.client = client;
        method.clone_into(&mut altered.method);
        self.keep(&altered, changes);
    }

    fn service(&mut self, place: Place<'_>) {
        let resource = place.resource();
        let Who::Service(Some(service)) = self.request.who else { return };
        let entries = resource.services.iter().filter(|entry| entry.service == service);
        let asked = self.request.path.as_str();
        for entry in entries {
            let paths = entry.paths.iter().flatten().map(String::as_str).chain([asked]);
            let methods = entry.methods.iter().flat_map(|methods| methods.0.iter().map(String::as_str));
            let methods: Vec<&str> = methods.chain([self.request.method.as_str()]).collect();
            for path in paths {
                for method in &methods {
                    self.tries += 1;
                    if self.tries > MOST_TRIES {
                        return;
                    }
                    let mut changes = Vec::new();
                    let mut altered = self.request.clone();
                    over(&mut altered, &mut changes);
                    if *method != self.request.method {
                        changes.push(Change::Method((*method).to_owned()));
                    }
                    if path != asked {
                        changes.push(Change::Path(path.to_owned()));
                    }
                    (*method).clone_into(&mut altered.method);
                    path.clone_into(&mut altered.path);
                    self.keep(&altered, changes);
                }
            }
        }
    }

    fn keep(&mut self, altered: &Hypothetical, mut changes: Vec<Change>) {
        if altered.decided(self.policy).verdict == Verdict::Allow {
            changes.sort();
            self.found.insert((changes.len(), changes));
        }
    }

    /// Where the request could come from: where it does, and each class of the section's networks.
    fn clients(&self, place: Place<'_>) -> Vec<(IpAddr, Option<String>)> {
        let others = classes::addresses(classes::named_networks(place.section()));
        let others = others.into_iter().map(|client| {
            let name = network_of(self.policy, client).unwrap_or("elsewhere").to_owned();
            (client, Some(name))
        });
        std::iter::once((self.request.client, None)).chain(others).collect()
    }

    fn methods(&self, place: Place<'_>) -> Vec<String> {
        let others = classes::methods(classes::named_methods(place.resource(), place.section()));
        let others = others.into_iter().filter(|method| *method != self.request.method);
        std::iter::once(self.request.method.as_str()).chain(others).map(str::to_owned).collect()
    }
}

/// The groups that a user could join for a rule: none where that is not needed.
fn joins(policy: &Policy, who: &Who, rule: Option<&Rule>) -> Vec<Option<usize>> {
    let Some(groups) = rule.and_then(|rule| rule.groups.as_ref()) else { return vec![None] };
    let has = match who {
        Who::User { groups: has, .. } => has.intersects(groups),
        Who::Nobody | Who::Service(_) => false,
    };
    // Somebody who is in it may have to leave that very group, so joining another is tried too.
    let others =
        groups.iter().take(MOST_GROUPS).filter(|group| policy.group_name(*group).is_some()).map(Some);
    if has { std::iter::once(None).chain(others).collect() } else { others.collect() }
}

/// Ends what stands in the way beside the policy.
fn over(request: &mut Hypothetical, changes: &mut Vec<Change>) {
    // Destructured without `..`: what stands in the way can be told.
    let Circumstances {
        absent: _,
        active,
        idle,
        expired,
        address_limited,
        cross_origin,
        audit_available,
        lowered,
        out_of_order,
    } = request.circumstances;
    for (stands, reason) in [
        (!active, Reason::AccountDisabled),
        (address_limited, Reason::RateLimited),
        (cross_origin, Reason::CrossOrigin),
        (!audit_available, Reason::AuditUnavailable),
    ] {
        if stands {
            changes.push(Change::Over(reason.code()));
        }
    }
    changes.extend(out_of_order.map(|reason| Change::Over(reason.code())));
    if idle || expired {
        changes.push(Change::SignIn);
    }
    request.circumstances = Circumstances { lowered, ..Circumstances::NONE };
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SignIn => f.write_str("sign in"),
            Self::SecondFactor => f.write_str("use a second factor"),
            Self::SignInAgain(age) => {
                let age = crate::text::duration::write(Duration::from_secs(*age));
                write!(f, "sign in again: at most {age} may have passed")
            }
            Self::Device(trust) => write!(f, "use a device that is trusted as `{trust}`"),
            Self::JoinGroup(group) => write!(f, "be in `{group}`"),
            Self::LeaveGroup(group) => write!(f, "not be in `{group}`"),
            Self::From(network) => write!(f, "come from `{network}`"),
            Self::Method(method) => write!(f, "use {method}"),
            Self::Path(path) => write!(f, "ask for `{path}`"),
            Self::Over(reason) => write!(f, "`{reason}` must be over"),
        }
    }
}
