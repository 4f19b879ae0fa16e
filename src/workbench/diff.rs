//! Two policies, compared by what they allow: who gains and who loses what, for every possible request.
//!
//! Both are asked about the same classes of requests ([`super::classes`], of both policies together) and
//! the same people (the sources of both), so that a group whose members change is a change. What is
//! found is exact: a row exists where, and only where, some request is decided differently.

use super::classes;
use super::compare::{Side, posture_of_high_loosened, settings};
use super::hypothetical::{Circumstances, Hypothetical, NOON, Verdict};
use super::people::{Members, People, Sources};
use super::reach::{Class, Reach, Strength};
use super::tell::network_of;
use crate::access::{DeviceTrust, Tier};
use crate::policy::{Place, Policy, Resource, Who};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Whether something can be reached now that could not, or the reverse.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The new policy allows it and the old one did not.
    Gained,
    /// The old policy allowed it and the new one does not.
    Lost,
}

/// What some people gain or lose at one place.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Row {
    /// Which of the two.
    pub kind: Kind,
    /// The resource: the new policy's name for it, or the old one's where it is gone.
    pub resource: String,
    /// A host of it.
    pub host: String,
    /// The path; what is below it and has no row of its own is meant too.
    pub path: String,
    /// The tier there before; `None` where there was no resource.
    pub tier_before: Option<Tier>,
    /// The tier there now.
    pub tier_after: Option<Tier>,
    /// Whether the place, or the resource as a whole, is `high` before or after.
    pub high: bool,
    /// Who: the groups that somebody must be in, or the service.
    pub who: String,
    /// The sources of such a person; empty where none is needed, and for a service.
    pub sources: Vec<String>,
    /// With these methods; `other` stands for all that no rule there names, `any` for all there are.
    pub methods: BTreeSet<String>,
    /// From these networks; `anywhere` where that makes no difference.
    pub from: BTreeSet<String>,
    /// On devices trusted so; empty for a service.
    pub devices: BTreeSet<DeviceTrust>,
    /// Only with a second factor.
    pub mfa: bool,
    /// One such request.
    pub example: String,
    /// What both policies decide of it.
    pub before: String,
    /// See `before`.
    pub after: String,
}

/// Everything that differs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Difference {
    /// What became reachable and what did not, most sensitive first.
    pub rows: Vec<Row>,
    /// What else differs, in words: upstreams, limits, postures, sessions.
    pub settings: Vec<String>,
    /// What is `high` asks less of how a device is kept.
    pub loosens_posture_of_high: bool,
}

impl Difference {
    /// Whether the two policies are the same to everybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.settings.is_empty()
    }

    /// Whether something became reachable on a resource that is `high` in either policy.
    #[must_use]
    pub fn opens_high(&self) -> bool {
        self.loosens_posture_of_high || self.rows.iter().any(|row| row.kind == Kind::Gained && row.high)
    }
}

/// Compares two policies.
#[must_use]
pub fn diff(old: &Policy, new: &Policy) -> Difference {
    let sources = Sources::of([old, new]);
    let before = Side { policy: old, reach: Reach::new(old, Members::of(old, &sources)) };
    let after = Side { policy: new, reach: Reach::new(new, Members::of(new, &sources)) };
    let mut compare = Compare { before, after, sources, rows: BTreeMap::new() };
    let same_sign_in = compare.before.authentication_like(&compare.after);
    for host in hosts(old, new) {
        let (was, is) = (resource_of(old, &host), resource_of(new, &host));
        let of_users = paths(was, is, false);
        for path in paths(was, is, true) {
            compare.place(&host, path, same_sign_in, of_users.contains(path));
        }
    }
    let mut rows: Vec<Row> = compare.rows.into_values().collect();
    rows.sort_by(|a, b| {
        let key = |row: &Row| (row.kind, !row.high, row.resource.clone(), row.path.clone(), row.who.clone());
        key(a).cmp(&key(b))
    });
    Difference {
        rows,
        settings: settings(old, new),
        loosens_posture_of_high: posture_of_high_loosened(old, new),
    }
}

/// A host for each class of hosts that either policy can tell apart.
fn hosts(old: &Policy, new: &Policy) -> BTreeSet<String> {
    let written: BTreeSet<&str> = old.hosts().chain(new.hosts()).collect();
    let exact = |host: &String| written.contains(host.as_str());
    written
        .iter()
        .filter_map(|host| match host.strip_prefix("*.") {
            None => Some((*host).to_owned()),
            Some(suffix) => {
                let labels =
                    std::iter::once("any".to_owned()).chain((0..=written.len()).map(|n| format!("any-{n}")));
                labels.map(|label| format!("{label}.{suffix}")).find(|host| !exact(host))
            }
        })
        .collect()
}

fn resource_of<'p>(policy: &'p Policy, host: &str) -> Option<&'p Resource> {
    policy.locate(host, "/").map(Place::resource)
}

fn paths<'a>(was: Option<&'a Resource>, is: Option<&'a Resource>, of_services: bool) -> BTreeSet<&'a str> {
    let resources = was.into_iter().chain(is);
    resources.flat_map(|resource| classes::paths(resource, of_services, [])).collect()
}

struct Compare<'p> {
    before: Side<'p>,
    after: Side<'p>,
    sources: Sources,
    rows: BTreeMap<(Kind, String, String, String), Row>,
}

/// One class at one place, with what would be asked there.
#[derive(Clone, Copy)]
struct At<'a> {
    host: &'a str,
    path: &'a str,
    method: &'a str,
    client: IpAddr,
    /// The method, or a word for all that it stands for.
    method_word: &'a str,
    /// There is one class of addresses only.
    one_client: bool,
}

impl Compare<'_> {
    fn place(&mut self, host: &str, path: &str, same_sign_in: bool, of_users: bool) {
        let (was, is) = (self.before.policy.locate(host, path), self.after.policy.locate(host, path));
        if same_sign_in && self.before.section_like(was, &self.after, is) {
            return;
        }
        let both = || was.into_iter().chain(is);
        let named: BTreeSet<String> = both()
            .flat_map(|place| classes::named_methods(place.resource(), place.section()))
            .map(str::to_owned)
            .collect();
        let networks: Vec<_> = both().flat_map(|place| classes::named_networks(place.section())).collect();
        let clients = classes::addresses(networks);
        let ages = classes::ages(both().map(Place::section));
        for method in classes::methods(named.iter().map(String::as_str)) {
            for client in &clients {
                let method_word = match (named.contains(method), named.is_empty()) {
                    (true, _) => method,
                    (false, true) => "any",
                    (false, false) => "other",
                };
                let one_client = clients.len() == 1;
                let at = At { host, path, method, method_word, client: *client, one_client };
                if of_users {
                    self.users(at, was, is, &ages);
                }
                self.services(at, was, is);
            }
        }
    }

    fn users(&mut self, at: At<'_>, was: Option<Place<'_>>, is: Option<Place<'_>>, ages: &[Duration]) {
        // From the weakest sign-in to the strongest: a row says the least that is needed.
        for mfa in [false, true] {
            for age in ages.iter().rev() {
                for device in DeviceTrust::ALL {
                    let strength = Strength { device, mfa, auth_age: *age };
                    let (allowed_before, refused_before) =
                        self.before.both(was, at.method, at.client, strength);
                    let (allowed_after, refused_after) = self.after.both(is, at.method, at.client, strength);
                    let gained = meet(&allowed_after, &refused_before);
                    self.note_people(Kind::Gained, at, strength, &gained, was, is);
                    let lost = meet(&allowed_before, &refused_after);
                    self.note_people(Kind::Lost, at, strength, &lost, was, is);
                }
            }
        }
    }

    fn note_people(
        &mut self,
        kind: Kind,
        at: At<'_>,
        strength: Strength,
        people: &[People],
        was: Option<Place<'_>>,
        is: Option<Place<'_>>,
    ) {
        let persons: Vec<_> = people.iter().filter_map(|people| people.example(&self.sources)).collect();
        for person in persons {
            let Strength { device, mfa, auth_age } = strength;
            let policy = match kind {
                Kind::Gained => self.after.policy,
                Kind::Lost => self.before.policy,
            };
            let groups = self.sources.groups(policy, &person);
            let names: Vec<_> = groups.iter().filter_map(|group| policy.group_name(group)).collect();
            let who = if names.is_empty() { "anybody signed in".to_owned() } else { names.join(" + ") };
            let request = |policy: &Policy| Hypothetical {
                method: at.method.to_owned(),
                host: at.host.to_owned(),
                path: at.path.to_owned(),
                who: Who::User { groups: self.sources.groups(policy, &person), mfa, auth_age },
                device,
                client: at.client,
                time: NOON,
                circumstances: Circumstances::NONE,
            };
            let outcomes = (request(self.before.policy), request(self.after.policy));
            let sources = self.sources.names(&person);
            self.note(kind, at, who, sources, &outcomes, was, is);
        }
    }

    fn services(&mut self, at: At<'_>, was: Option<Place<'_>>, is: Option<Place<'_>>) {
        // By what is in the certificate: a name may change, a workload does not.
        let all: BTreeSet<&str> = [self.before.policy, self.after.policy]
            .into_iter()
            .flat_map(Policy::services)
            .map(|service| service.spiffe.as_str())
            .collect();
        for spiffe in all {
            let request = |policy: &Policy| Hypothetical {
                method: at.method.to_owned(),
                host: at.host.to_owned(),
                path: at.path.to_owned(),
                who: Who::Service(policy.service_by_spiffe(spiffe)),
                device: DeviceTrust::None,
                client: at.client,
                time: NOON,
                circumstances: Circumstances::NONE,
            };
            let (before, after) = (request(self.before.policy), request(self.after.policy));
            let allowed = |policy, request: &Hypothetical| request.decided(policy).verdict == Verdict::Allow;
            let kind = match (allowed(self.before.policy, &before), allowed(self.after.policy, &after)) {
                (false, true) => Kind::Gained,
                (true, false) => Kind::Lost,
                (true, true) | (false, false) => continue,
            };
            self.note(kind, at, format!("service {spiffe}"), Vec::new(), &(before, after), was, is);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one row, part by part")]
    fn note(
        &mut self,
        kind: Kind,
        at: At<'_>,
        who: String,
        sources: Vec<String>,
        (before, after): &(Hypothetical, Hypothetical),
        was: Option<Place<'_>>,
        is: Option<Place<'_>>,
    ) {
        let policy = self.after.policy;
        let tier = |place: Option<Place<'_>>| place.map(|place| place.section().tier);
        let key = (kind, at.host.to_owned(), at.path.to_owned(), format!("{who} {sources:?}"));
        let (mfa, device) = match &before.who {
            Who::User { mfa, .. } => (*mfa, Some(before.device)),
            Who::Nobody | Who::Service(_) => (false, None),
        };
        let row = self.rows.entry(key).or_insert_with(|| {
            let resource = is.or(was).map(|place| place.resource().name.to_string()).unwrap_or_default();
            let high = [was, is]
                .into_iter()
                .flatten()
                .any(|place| place.section().tier == Tier::High || place.resource().root.tier == Tier::High);
            Row {
                kind,
                resource,
                host: at.host.to_owned(),
                path: at.path.to_owned(),
                tier_before: tier(was),
                tier_after: tier(is),
                high,
                who,
                sources,
                methods: BTreeSet::new(),
                from: BTreeSet::new(),
                devices: BTreeSet::new(),
                mfa,
                example: before.line(),
                before: before.decided(self.before.policy).to_string(),
                after: after.decided(policy).to_string(),
            }
        });
        row.methods.insert(at.method_word.to_owned());
        row.from.insert(if at.one_client {
            "anywhere".to_owned()
        } else {
            network_of(policy, at.client)
                .or_else(|| network_of(self.before.policy, at.client))
                .unwrap_or("elsewhere")
                .to_owned()
        });
        row.devices.extend(device);
    }
}

/// Whoever is among the first and among the second.
fn meet(some: &[People], others: &[People]) -> Vec<People> {
    let both = some.iter().flat_map(|people| others.iter().map(|other| people.and(other)));
    both.filter(People::exist).collect()
}

impl Side<'_> {
    /// Who is allowed at a place, and who is not; where there is no place, nobody is.
    fn both(
        &self,
        place: Option<Place<'_>>,
        method: &str,
        client: IpAddr,
        strength: Strength,
    ) -> (Vec<People>, Vec<People>) {
        let Some(place) = place else { return (Vec::new(), vec![People::anybody()]) };
        let class = Class { section: place.section(), method, client };
        (self.reach.allowed(class, strength), self.reach.refused(class, strength))
    }
}
