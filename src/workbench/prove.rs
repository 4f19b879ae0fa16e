//! Assertions, proved for every possible request.
//!
//! A policy tells requests apart only by finitely many questions: which section a path falls into,
//! whether a method is listed, whether an address is in a network, how far a device is trusted, how
//! strong and how old a sign-in is, and which groups a person is in. So:
//!
//! - [`super::classes`] has one representative for every class of paths, methods and addresses;
//! - trust, second factor and age are monotone (more of them never takes access away), so `never` is
//!   looked at with the strongest sign-in that its claim allows and `always` with the weakest;
//! - [`super::reach`] says for one class who is allowed, or refused, as conditions on sets of sources,
//!   and [`super::people::People::exist`] decides exactly whether anybody meets them.
//!
//! Nothing is sampled: what is not found does not exist. What is found is a concrete request, and
//! `decide` itself is asked about it before it is shown.

use super::classes;
use super::hypothetical::{Circumstances, Hypothetical, NOON, Outcome, Verdict};
use super::people::{Members, People, Sources};
use super::reach::{Class, Reach, Strength};
use crate::access::{DeviceTrust, GroupSet};
use crate::policy::{Claim, Place, Policy, Promise, ServiceId, Services, Who, within};
use crate::text::prefix::covers;
use ipnet::IpNet;
use std::cell::Cell;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

/// How many rules, and networks in them, may be looked at for all assertions of a policy. A policy that needs more is refused:
/// what is not proved does not hold.
const MOST_WORK: usize = 100_000_000;
/// Among so many requests that break an assertion the smallest is looked for.
const MOST_EXAMPLES: usize = 10_000;

/// What came of an assertion.
#[derive(Clone, Debug)]
pub enum Proof {
    /// It holds for every possible request.
    Holds,
    /// It holds because there is no request that it speaks of.
    SpeaksOfNothing,
    /// This request breaks it.
    Broken(Box<Counterexample>),
    /// It could not be proved within bounds.
    TooLarge,
}

/// A request that breaks an assertion.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// The request.
    pub request: Hypothetical,
    /// What is decided of it.
    pub outcome: Outcome,
}

/// Proves the assertions of one policy.
#[derive(Debug)]
pub struct Prover<'p> {
    policy: &'p Policy,
    sources: Sources,
    reach: Reach<'p>,
    /// A host that leads to each resource.
    hosts: Vec<Option<String>>,
    work: Cell<usize>,
}

/// How much of a claim was looked at.
enum Looked {
    /// It speaks of no request.
    AtNothing,
    /// As much as was wanted.
    AtAll,
    /// More than may be looked at.
    TooMuch,
}

/// One class of requests with the address that stands for it.
struct Spot<'a> {
    host: &'a str,
    path: &'a str,
    class: Class<'a>,
}

/// An example and how small it is; the smaller it is, the less a reader must take in.
type Sized = (Cost, Hypothetical);
type Cost = (usize, DeviceTrust, bool, Duration, usize, usize, String);

impl<'p> Prover<'p> {
    /// For this policy.
    #[must_use]
    pub fn new(policy: &'p Policy) -> Self {
        let sources = Sources::of([policy]);
        let reach = Reach::new(policy, Members::of(policy, &sources));
        let hosts = policy.resources().iter().map(|resource| classes::host(policy, resource)).collect();
        Self { policy, sources, reach, hosts, work: Cell::new(0) }
    }

    /// The same policy, with nothing looked at yet.
    #[must_use]
    pub fn rested(self) -> Self {
        self.work.set(0);
        self
    }

    /// Proves what is promised of the claim's requests, or finds the smallest request that breaks it.
    #[must_use]
    pub fn prove(&self, promise: Promise, claim: &Claim) -> Proof {
        let mut broken = 0;
        let mut smallest: Option<Sized> = None;
        let looked = self.each_spot(claim, |spot| {
            let found = if broken < MOST_EXAMPLES { self.breaks(promise, claim, spot) } else { None };
            if let Some(found) = found {
                broken += 1;
                if smallest.as_ref().is_none_or(|(cost, _)| found.0 < *cost) {
                    smallest = Some(found);
                }
            }
            ControlFlow::Continue(())
        });
        match (looked, smallest) {
            (Looked::TooMuch, _) => Proof::TooLarge,
            (Looked::AtNothing, _) => Proof::SpeaksOfNothing,
            (Looked::AtAll, None) => Proof::Holds,
            (Looked::AtAll, Some((_, request))) => {
                let outcome = request.decided(self.policy);
                debug_assert_eq!(outcome.verdict == Verdict::Allow, promise == Promise::Never);
                Proof::Broken(Box::new(Counterexample { request, outcome }))
            }
        }
    }

    /// Whether a promise holds, without the request that breaks it, so the first one ends the search. What is
    /// promised of no request holds. `None` where there is more than can be looked at.
    #[must_use]
    pub fn holds(&self, promise: Promise, claim: &Claim) -> Option<bool> {
        let mut holds = true;
        let looked = self.each_spot(claim, |spot| {
            holds = !self.is_broken(promise, claim, spot);
            if holds { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match looked {
            Looked::AtAll | Looked::AtNothing => Some(holds),
            Looked::TooMuch => None,
        }
    }

    /// Shows each class of requests that a claim speaks of, until that is enough.
    fn each_spot(&self, claim: &Claim, mut show: impl FnMut(&Spot<'_>) -> ControlFlow<()>) -> Looked {
        let mut looked = Looked::AtNothing;
        let all = 0..self.policy.resources().len();
        let claimed: Vec<usize> = claim.resources.clone().unwrap_or_else(|| all.collect());
        for index in claimed {
            let resource = self.policy.resources().get(index);
            let host = self.hosts.get(index).and_then(Option::as_ref);
            let Some((resource, host)) = resource.zip(host) else { continue };
            for path in classes::paths(
                resource,
                claim.services.is_some(),
                claim.paths.iter().flatten().map(String::as_str),
            ) {
                let below = |paths: &Vec<String>| paths.iter().any(|prefix| covers(prefix, path));
                let Some(place) = self.policy.locate(host, path) else { continue };
                let spoken = claim.paths.as_ref().is_none_or(below)
                    && claim.tiers.as_ref().is_none_or(|tiers| tiers.contains(&place.section().tier));
                if !spoken {
                    continue;
                }
                let cost = classes::cost(place.section()) + self.policy.authentication().len();
                for (method, client) in requests(place, claim) {
                    looked = Looked::AtAll;
                    let class = Class { section: place.section(), method, client };
                    self.work.set(self.work.get().saturating_add(cost));
                    if self.work.get() > MOST_WORK {
                        return Looked::TooMuch;
                    }
                    if show(&Spot { host, path, class }).is_break() {
                        return Looked::AtAll;
                    }
                }
            }
        }
        looked
    }

    /// Whether any request of a class breaks the promise.
    fn is_broken(&self, promise: Promise, claim: &Claim, spot: &Spot<'_>) -> bool {
        if let Some(services) = &claim.services {
            return self.broken_by_service(promise, services, spot).is_some();
        }
        let people = match promise {
            Promise::Never => self.reach.allowed(spot.class, strongest(claim)),
            Promise::Always => self.reach.refused(spot.class, weakest(claim)),
        };
        self.claimed(people, claim.groups.as_ref()).any(|people| people.exist())
    }

    /// The smallest request of a class that breaks the promise.
    fn breaks(&self, promise: Promise, claim: &Claim, spot: &Spot<'_>) -> Option<Sized> {
        if let Some(services) = &claim.services {
            return self.broken_by_service(promise, services, spot);
        }
        if !self.is_broken(promise, claim, spot) {
            return None;
        }
        let groups = claim.groups.as_ref();
        match promise {
            Promise::Never => {
                let best = strongest(claim);
                // Least first: what a weaker sign-in can do says more.
                let mut devices: Vec<_> = most(claim).collect();
                devices.sort();
                let factors = claim.mfa.map_or(vec![false, true], |mfa| vec![mfa]);
                let weaker = devices
                    .into_iter()
                    .flat_map(|device| factors.iter().map(move |mfa| Strength { device, mfa: *mfa, ..best }));
                let mut weaker = weaker.map(|strength| (strength, self.reach.allowed(spot.class, strength)));
                weaker.find_map(|(strength, people)| self.example(spot, strength, people, groups))
            }
            Promise::Always => {
                // Best first: what even a strong sign-in cannot do says more.
                let mut devices: Vec<_> = most(claim).collect();
                devices.sort_by(|a, b| b.cmp(a));
                let factors = claim.mfa.map_or(vec![true, false], |mfa| vec![mfa]);
                let ages =
                    claim.auth_age.map_or_else(|| classes::ages([spot.class.section]), |age| vec![age]);
                let stronger = devices.iter().flat_map(|device| {
                    let ages = &ages;
                    factors.iter().flat_map(move |mfa| {
                        ages.iter().map(move |age| Strength { device: *device, mfa: *mfa, auth_age: *age })
                    })
                });
                let mut stronger =
                    stronger.map(|strength| (strength, self.reach.refused(spot.class, strength)));
                stronger.find_map(|(strength, people)| self.example(spot, strength, people, groups))
            }
        }
    }

    /// Those of the people whom the claim speaks of.
    fn claimed<'a>(
        &'a self,
        people: Vec<People>,
        groups: Option<&'a GroupSet>,
    ) -> impl Iterator<Item = People> + 'a {
        people.into_iter().map(move |people| match groups {
            None => people,
            Some(groups) => people.within(self.reach.members().in_any(groups)),
        })
    }

    fn example(
        &self,
        spot: &Spot<'_>,
        strength: Strength,
        people: Vec<People>,
        groups: Option<&GroupSet>,
    ) -> Option<Sized> {
        let examples = self.claimed(people, groups).filter_map(|people| people.example(&self.sources));
        let groups = examples
            .map(|person| self.sources.groups(self.policy, &person))
            .min_by_key(|groups| (groups.iter().count(), groups.iter().collect::<Vec<_>>()))?;
        let Strength { device, mfa, auth_age } = strength;
        let count = groups.iter().count();
        let who = Who::User { groups, mfa, auth_age };
        Some(sized(spot, who, device, (count, device, mfa, auth_age)))
    }

    fn broken_by_service(&self, promise: Promise, services: &Services, spot: &Spot<'_>) -> Option<Sized> {
        let all: Vec<ServiceId> = match services {
            Services::Any => (0..self.policy.services().len()).map(ServiceId).collect(),
            Services::Named(named) => named.clone(),
        };
        let requests = all.into_iter().map(|service| {
            let who = Who::Service(Some(service));
            sized(spot, who, DeviceTrust::None, (0, DeviceTrust::None, false, Duration::ZERO))
        });
        requests
            .filter(|(_, request)| {
                let allowed = request.decided(self.policy).verdict == Verdict::Allow;
                allowed == (promise == Promise::Never)
            })
            .min_by(|(a, _), (b, _)| a.cmp(b))
    }
}

fn sized(
    spot: &Spot<'_>,
    who: Who,
    device: DeviceTrust,
    (groups, trust, mfa, age): (usize, DeviceTrust, bool, Duration),
) -> Sized {
    let Spot { host, path, class: Class { section: _, method, client } } = spot;
    let request = Hypothetical {
        method: (*method).to_owned(),
        host: (*host).to_owned(),
        path: (*path).to_owned(),
        who,
        device,
        client: *client,
        time: NOON,
        circumstances: Circumstances::NONE,
    };
    let methods = crate::text::method::FORWARDED;
    let rank = methods.iter().position(|known| known == method).unwrap_or(usize::MAX);
    ((groups, trust, mfa, age, rank, path.len(), (*host).to_owned()), request)
}

/// The strongest sign-in that a claim speaks of.
fn strongest(claim: &Claim) -> Strength {
    Strength {
        device: most(claim).max().unwrap_or_default(),
        mfa: claim.mfa.unwrap_or(true),
        auth_age: claim.auth_age.unwrap_or_default(),
    }
}

/// The weakest one.
fn weakest(claim: &Claim) -> Strength {
    Strength {
        device: most(claim).min().unwrap_or_default(),
        mfa: claim.mfa.unwrap_or(false),
        auth_age: claim.auth_age.unwrap_or(classes::AGES_AGO),
    }
}

/// The trusts that a claim speaks of.
fn most(claim: &Claim) -> impl Iterator<Item = DeviceTrust> + '_ {
    let all = DeviceTrust::ALL.into_iter();
    all.filter(|trust| claim.devices.as_ref().is_none_or(|devices| devices.contains(trust)))
}

/// The methods and addresses that stand for every request a claim speaks of at a place.
fn requests<'a>(place: Place<'a>, claim: &'a Claim) -> impl Iterator<Item = (&'a str, IpAddr)> {
    let (resource, section) = (place.resource(), place.section());
    let claimed = claim.methods.iter().flat_map(|methods| methods.0.iter().map(String::as_str));
    let methods = classes::methods(classes::named_methods(resource, section).chain(claimed));
    let spoken = |method: &&str| claim.methods.as_ref().is_none_or(|methods| methods.contain(method));
    let methods: Vec<&str> = methods.into_iter().filter(spoken).collect();
    let networks: Vec<IpNet> =
        classes::named_networks(section).chain(claim.networks.iter().flatten().copied()).collect();
    let spoken = |client: &IpAddr| claim.networks.as_ref().is_none_or(|networks| within(*client, networks));
    let clients: Vec<IpAddr> = classes::addresses(networks).into_iter().filter(spoken).collect();
    methods
        .into_iter()
        .flat_map(move |method| clients.clone().into_iter().map(move |client| (method, client)))
}
