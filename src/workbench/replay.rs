//! Requests that were made, decided again under two policies: who would notice a change, and how often.
//!
//! Memory is bounded: however many events there are, so many different changes are told apart and the
//! rest is counted.

use super::hypothetical::{Circumstances, Hypothetical, NOON, Outcome, Verdict};
use crate::access::{DeviceTrust, GroupSet};
use crate::policy::{Policy, Who};
use serde::Serialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// So many changes are told apart; more are counted together.
const MOST_ROWS: usize = 20_000;
/// So many different lists of groups are remembered.
const MOST_GROUP_LISTS: usize = 50_000;

/// One request as an audit log has it, borrowed from its line.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The user or the SPIFFE ID of the service; `None` where nobody was signed in.
    pub subject: Option<&'a str>,
    /// The policy's groups that the user was in, as the JSON text that the log has; `None` for a service.
    pub groups: Option<&'a str>,
    /// More than one factor was used.
    pub mfa: bool,
    /// Seconds since the user last proved who they are.
    pub auth_age: u64,
    /// How far the device was trusted.
    pub device: DeviceTrust,
    /// The method.
    pub method: &'a str,
    /// The canonical host.
    pub host: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// The client's address.
    pub client: IpAddr,
}

/// Who would notice a change, where, and how often.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Noticed {
    /// The user or service.
    pub subject: String,
    /// The resource: the old policy's name for it, or the new one's.
    pub resource: String,
    /// What the old policy decides.
    pub before: String,
    /// What the new policy decides.
    pub after: String,
    /// Whether the request becomes allowed.
    pub gained: bool,
    /// Whether the place is `high` before or after.
    pub high: bool,
    /// How many requests.
    pub requests: u64,
    /// The last of them.
    pub example: String,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replayed {
    /// Requests that were decided again.
    pub events: u64,
    /// Requests that both policies decide alike.
    pub same: u64,
    /// Requests that would become allowed.
    pub gained: u64,
    /// Requests that would no longer be allowed.
    pub lost: u64,
    /// Requests that are refused either way, for another reason.
    pub otherwise: u64,
    /// Users' requests without their groups: nothing can be said of them.
    pub without_groups: u64,
    /// Changes that are in no row, because there were too many different ones.
    pub in_no_row: u64,
    /// Something became allowed where the place is `high` before or after.
    pub opens_high: bool,
    /// Who would notice, most requests first.
    pub noticed: Vec<Noticed>,
}

/// Decides requests again under two policies.
pub struct Replay<'p> {
    old: &'p Policy,
    new: &'p Policy,
    names: (HashMap<&'p str, usize>, HashMap<&'p str, usize>),
    groups: HashMap<String, (GroupSet, GroupSet)>,
    rows: HashMap<(String, String, String, String), Noticed>,
    sum: Replayed,
}

impl<'p> Replay<'p> {
    /// Of no requests yet.
    #[must_use]
    pub fn new(old: &'p Policy, new: &'p Policy) -> Self {
        let names = |policy: &'p Policy| {
            policy.groups().iter().enumerate().map(|(at, group)| (group.name.as_str(), at)).collect()
        };
        Self {
            old,
            new,
            names: (names(old), names(new)),
            groups: HashMap::new(),
            rows: HashMap::new(),
            sum: Replayed::default(),
        }
    }

    /// Decides one more request. `parse` reads the names in the JSON text of its groups; `None` where
    /// that is no list of names.
    pub fn add(&mut self, made: Made<'_>, parse: impl FnOnce(&str) -> Option<Vec<String>>) {
        let is_service = made.subject.is_some_and(|subject| subject.starts_with("spiffe://"));
        let (before, after) = match (made.subject, made.groups) {
            (None, _) => (Who::Nobody, Who::Nobody),
            (Some(spiffe), _) if is_service => (
                Who::Service(self.old.service_by_spiffe(spiffe)),
                Who::Service(self.new.service_by_spiffe(spiffe)),
            ),
            (Some(_), text) => {
                let Some((before, after)) = text.and_then(|text| self.groups_of(text, parse)) else {
                    self.sum.without_groups += 1;
                    return;
                };
                (user(made, before), user(made, after))
            }
        };
        self.sum.events += 1;
        let before = request(made, before);
        let after = Hypothetical { who: after, ..before.clone() };
        let (was, is) = (before.decided(self.old), after.decided(self.new));
        self.count(made, &before, &was, &is);
    }

    fn count(&mut self, made: Made<'_>, request: &Hypothetical, was: &Outcome, is: &Outcome) {
        if (was.verdict, was.reason) == (is.verdict, is.reason) {
            self.sum.same += 1;
            return;
        }
        let gained = is.verdict == Verdict::Allow;
        if gained {
            self.sum.gained += 1;
        } else if was.verdict == Verdict::Allow {
            self.sum.lost += 1;
        } else {
            self.sum.otherwise += 1;
        }
        let places = [self.old.locate(made.host, made.path), self.new.locate(made.host, made.path)];
        let high = places.iter().flatten().any(|place| {
            let tiers = [place.section().tier, place.resource().root.tier];
            tiers.contains(&crate::access::Tier::High)
        });
        self.sum.opens_high |= gained && high;
        let resource = places.iter().flatten().next().map_or("", |place| &*place.resource().name);
        let subject = made.subject.unwrap_or("nobody signed in");
        let key = (subject.to_owned(), resource.to_owned(), was.to_string(), is.to_string());
        if let Some(row) = self.rows.get_mut(&key) {
            row.requests += 1;
            return;
        }
        if self.rows.len() >= MOST_ROWS {
            self.sum.in_no_row += 1;
            return;
        }
        let row = Noticed {
            subject: key.0.clone(),
            resource: key.1.clone(),
            before: key.2.clone(),
            after: key.3.clone(),
            gained,
            high,
            requests: 1,
            example: request.line(),
        };
        self.rows.insert(key, row);
    }

    fn groups_of(
        &mut self,
        text: &str,
        parse: impl FnOnce(&str) -> Option<Vec<String>>,
    ) -> Option<(GroupSet, GroupSet)> {
        if let Some(known) = self.groups.get(text) {
            return Some(known.clone());
        }
        let names = parse(text)?;
        let set = |policy: &Policy, index: &HashMap<&str, usize>| {
            let members = names.iter().filter_map(|name| index.get(name.as_str())).copied();
            GroupSet::new(policy.groups().len(), members)
        };
        let both = (set(self.old, &self.names.0), set(self.new, &self.names.1));
        if self.groups.len() < MOST_GROUP_LISTS {
            self.groups.insert(text.to_owned(), both.clone());
        }
        Some(both)
    }

    /// What came of all of them.
    #[must_use]
    pub fn finish(self) -> Replayed {
        let mut noticed: Vec<Noticed> = self.rows.into_values().collect();
        noticed.sort_by(|a, b| {
            let names = |row: &Noticed| (row.subject.clone(), row.resource.clone(), row.after.clone());
            (b.requests, names(a)).cmp(&(a.requests, names(b)))
        });
        Replayed { noticed, ..self.sum }
    }
}

fn user(made: Made<'_>, groups: GroupSet) -> Who {
    Who::User { groups, mfa: made.mfa, auth_age: Duration::from_secs(made.auth_age) }
}

fn request(made: Made<'_>, who: Who) -> Hypothetical {
    Hypothetical {
        method: made.method.to_owned(),
        host: made.host.to_owned(),
        path: made.path.to_owned(),
        who,
        device: made.device,
        client: made.client,
        time: NOON,
        circumstances: Circumstances::NONE,
    }
}
