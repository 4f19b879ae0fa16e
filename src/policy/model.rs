//! A policy that has been checked: every name is resolved, every inheritance worked out.

use crate::access::{GroupSet, Tier, Timestamp};
use ipnet::IpNet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A checked policy. Made by [`super::resolve`] only; looked up with [`Policy::locate`].
#[derive(Debug)]
pub struct Policy {
    /// The policy's groups, by index.
    pub(super) groups: Vec<Group>,
    /// The services that policies name, by [`ServiceId`].
    pub(super) services: Vec<Service>,
    /// What each tier asks of devices beside their trust.
    pub(super) postures: super::Postures,
    /// First match wins; the last one applies to everybody.
    pub(super) authentication: Vec<Authentication>,
    /// The resources, in the order of the files.
    pub(super) resources: Vec<Resource>,
    /// The upstreams that resources name; [`Resource::upstream`] is an index into it.
    pub(super) upstreams: Vec<String>,
    /// Group index by source (`provider:claim-value`).
    pub(super) memberships: std::collections::HashMap<String, Vec<usize>>,
    /// Service by SPIFFE ID.
    pub(super) spiffe: std::collections::HashMap<String, ServiceId>,
    /// Resource index by host: exact hosts, and the suffix behind `*.` of one-label wildcards.
    pub(super) hosts: super::locate::Hosts,
    /// The networks that rules may name.
    pub(super) networks: Vec<NamedNetwork>,
    /// What is promised of every request.
    pub(super) assertions: Vec<super::Assertion>,
    /// What is expected of some requests.
    pub(super) trials: Vec<super::Trial>,
    /// Where no `authentication` entry says how old a session may be.
    pub(super) default_max_age: Option<Duration>,
    /// Where no `authentication` entry says how long a session may go unused.
    pub(super) default_idle_timeout: Option<Duration>,
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SessionLimits {
    /// From sign-in to the end.
    pub max_age: Option<Duration>,
    /// Without a request.
    pub idle_timeout: Option<Duration>,
}

/// Where a rule stands in the files: `policies/tickets.yaml:14`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin(pub Arc<str>);

/// A named group of users.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name in the policy.
    pub name: String,
    /// The sources that put a user into it: `provider:claim-value`, `local:name`.
    pub any_of: Vec<String>,
}

/// A named network. Rules that name it have its addresses merged in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedNetwork {
    /// Its name in the policy.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
}

/// A workload that policies name.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name in the policy.
    pub name: String,
    /// The SPIFFE ID in its certificate's URI SAN.
    pub spiffe: String,
}

/// The index of a [`Service`] in its policy.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceId(pub usize);

/// How strong and how fresh a sign-in must be, for some users or for everybody.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// Users in one of these groups; `None` for everybody.
    pub groups: Option<GroupSet>,
    /// The session ends when it was not used for this long.
    pub idle_timeout: Option<Duration>,
    /// The session ends at this age.
    pub max_age: Option<Duration>,
    /// More than one factor is needed.
    pub mfa: bool,
    /// Where it stands.
    pub origin: Origin,
}

/// Something protected: hosts and paths, one upstream, one tier.
#[derive(Debug)]
pub struct Resource {
    /// Its unique name: metrics label and audience of the assertion.
    pub name: Arc<str>,
    /// Its hosts as written: exact, or `*.` and a suffix.
    pub hosts: Vec<String>,
    /// Index into [`Policy::upstream_names`].
    pub upstream: usize,
    /// What applies where no path says otherwise.
    pub root: Section,
    /// INVARIANT: sorted by prefix in segment order, each with its parent, so the longest that matches
    /// is found by search, not by a scan.
    pub(super) paths: Vec<Section>,
    /// The workloads that get in, and to what.
    pub services: Vec<ServiceEntry>,
    /// How requests from other origins are answered.
    pub cors: Option<Cors>,
    /// Limits per address; decided before anybody is known.
    pub address_limits: Vec<RateLimit>,
    /// Limits per user or device, and the same counted by service; an obligation of the permit.
    pub subject_limits: Vec<RateLimit>,
    /// Where it is defined.
    pub origin: Origin,
    /// The same for findings.
    pub written: super::Written,
}

/// A resource, or the part of it below a path prefix, with everything inherited worked out.
#[derive(Debug)]
pub struct Section {
    /// The canonical path prefix, without a trailing slash; empty for the whole resource.
    pub prefix: String,
    /// The section of the same resource that encloses this one; `None` where only the resource does.
    pub(super) parent: Option<usize>,
    /// The tier here.
    pub tier: Tier,
    /// Whoever one of these matches is admitted; empty admits everybody who meets the tier.
    pub allow: Vec<Rule>,
    /// Whoever one of these matches is refused: the resource's own and those of the path.
    pub deny: Vec<Rule>,
    /// Where it is defined.
    pub origin: Origin,
}

/// One `allow` or `deny` entry: its keys are joined by *and*, the items of a list by *or*.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Users in one of these groups; `None` does not ask.
    pub groups: Option<GroupSet>,
    /// These methods; `None` does not ask.
    pub methods: Option<Methods>,
    /// From one of these networks; `None` does not ask.
    pub networks: Option<Vec<IpNet>>,
    /// More than one factor was used.
    pub mfa: bool,
    /// The user proved who they are within this time.
    pub max_auth_age: Option<Duration>,
    /// Where it stands.
    pub origin: Origin,
}

/// A list of methods, upper case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Methods(pub Vec<String>);

impl Rule {
    /// Whether it speaks of this request of a user in these groups, `mfa` and `max_auth_age` aside.
    /// A service is in no group, so no rule with `groups` speaks of it.
    #[must_use]
    pub fn speaks_of(&self, groups: Option<&GroupSet>, method: &str, client: IpAddr) -> bool {
        self.groups.as_ref().is_none_or(|rule| groups.is_some_and(|groups| rule.intersects(groups)))
            && self.speaks_of_requests(method, client)
    }

    /// The same, whoever asks.
    #[must_use]
    pub fn speaks_of_requests(&self, method: &str, client: IpAddr) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contain(method))
            && self.networks.as_ref().is_none_or(|networks| within(client, networks))
    }
}

impl Methods {
    /// The methods that are listed.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether this method is listed. Methods are case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn contain(&self, method: &str) -> bool {
        self.0.iter().any(|listed| listed == method)
    }
}

/// One workload that gets in, and to what.
#[derive(Clone, Debug)]
pub struct ServiceEntry {
    /// Which.
    pub service: ServiceId,
    /// With these methods; `None` for all.
    pub methods: Option<Methods>,
    /// Below these canonical prefixes; `None` for all.
    pub paths: Option<Vec<String>>,
    /// Where it stands.
    pub origin: Origin,
}

impl ServiceEntry {
    /// Whether it admits this service with this method to this canonical path.
    #[must_use]
    pub fn admits(&self, service: ServiceId, method: &str, path: &str) -> bool {
        self.service == service
            && self.methods.as_ref().is_none_or(|methods| methods.contain(method))
            && self
                .paths
                .as_ref()
                .is_none_or(|paths| paths.iter().any(|prefix| crate::text::prefix::covers(prefix, path)))
    }
}

/// How requests from other origins are answered.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Serialised origins (RFC 6454 §6.2), lower case, such as `https://board.corp.example`.
    pub origins: Vec<String>,
    /// The methods a preflight allows.
    pub methods: Methods,
    /// The request headers a preflight allows, lower case.
    pub headers: Vec<String>,
    /// Whether cookies may be sent along.
    pub credentials: bool,
    /// How long a preflight's answer may be kept.
    pub max_age: Option<Duration>,
}

/// So many requests a window, with a burst.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RateLimit {
    /// What is counted.
    pub per: RateLimitBy,
    /// Requests a window.
    pub requests: NonZeroU32,
    /// The window.
    pub window: Duration,
    /// How many may come at once.
    pub burst: NonZeroU32,
}

/// What a rate limit counts by. A service is counted by itself wherever a limit is per user or device.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RateLimitBy {
    /// The signed-in user.
    User,
    /// The device, or the user where there is none.
    Device,
    /// The client's address (IPv6: its /64).
    Address,
}

impl Resource {
    /// The whole resource and each path of it that has rules of its own.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        std::iter::once(&self.root).chain(&self.paths)
    }
}

impl Policy {
    /// The policy that knows no resource: every request is `no_route`.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            groups: Vec::new(),
            services: Vec::new(),
            postures: super::Postures::default(),
            authentication: Vec::new(),
            resources: Vec::new(),
            upstreams: Vec::new(),
            memberships: std::collections::HashMap::new(),
            spiffe: std::collections::HashMap::new(),
            hosts: super::locate::Hosts::default(),
            networks: Vec::new(),
            assertions: Vec::new(),
            trials: Vec::new(),
            default_max_age: None,
            default_idle_timeout: None,
        }
    }

    /// The same policy with how long sessions last where no `authentication` entry says.
    #[must_use]
    pub fn with_session_defaults(mut self, max_age: Duration, idle_timeout: Duration) -> Self {
        self.default_max_age = Some(max_age);
        self.default_idle_timeout = Some(idle_timeout);
        self
    }

    /// How long a session of a user in these groups lasts.
    #[must_use]
    pub fn session_limits(&self, groups: &GroupSet) -> SessionLimits {
        let entry = self.authentication_for(groups);
        SessionLimits {
            max_age: entry.and_then(|entry| entry.max_age).or(self.default_max_age),
            idle_timeout: entry.and_then(|entry| entry.idle_timeout).or(self.default_idle_timeout),
        }
    }

    /// The policy's groups, by index.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The upstreams that resources name; [`Resource::upstream`] is an index into it.
    #[must_use]
    pub fn upstream_names(&self) -> &[String] {
        &self.upstreams
    }

    /// The resources, in the order of the files.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The groups that these memberships (`provider:claim-value`) put a user into.
    pub fn group_set<'a>(&self, memberships: impl IntoIterator<Item = &'a str>) -> GroupSet {
        let members = memberships.into_iter().filter_map(|m| self.memberships.get(m)).flatten().copied();
        GroupSet::new(self.groups.len(), members)
    }

    /// The name of the group with this index.
    #[must_use]
    pub fn group_name(&self, group: usize) -> Option<&str> {
        self.groups.get(group).map(|group| group.name.as_str())
    }

    /// The service whose certificate carries this SPIFFE ID.
    #[must_use]
    pub fn service_by_spiffe(&self, id: &str) -> Option<ServiceId> {
        self.spiffe.get(id).copied()
    }

    /// What is promised of every request, in the order of the files.
    #[must_use]
    pub fn assertions(&self) -> &[super::Assertion] {
        &self.assertions
    }

    /// What is expected of some requests, in the order of the files.
    #[must_use]
    pub fn trials(&self) -> &[super::Trial] {
        &self.trials
    }

    /// The networks that rules may name.
    #[must_use]
    pub fn networks(&self) -> &[NamedNetwork] {
        &self.networks
    }

    /// The services that policies name, by [`ServiceId`].
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Every source that puts somebody into a group, with these groups' indices.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.memberships.iter().map(|(source, groups)| (source.as_str(), groups.as_slice()))
    }

    /// What this tier asks of devices beside their trust, where it asks anything.
    #[must_use]
    pub fn posture(&self, tier: Tier) -> Option<&super::Posture> {
        self.postures.of(tier)
    }

    /// The `authentication` entries, in order.
    #[must_use]
    pub fn authentication(&self) -> &[Authentication] {
        &self.authentication
    }

    /// The service with this index.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id.0)
    }

    /// The first `authentication` entry that is for these groups.
    #[must_use]
    pub fn authentication_for(&self, groups: &GroupSet) -> Option<&Authentication> {
        self.authentication.iter().find(|entry| entry.groups.as_ref().is_none_or(|g| g.intersects(groups)))
    }
}

/// Whether `now` is later than `since` by more than `limit`.
#[must_use]
pub fn older_than(since: Timestamp, now: Timestamp, limit: Duration) -> bool {
    now.saturating_sub(since) > i64::try_from(limit.as_secs()).unwrap_or(i64::MAX)
}

/// Whether the address is in one of the networks; an IPv4-mapped IPv6 address counts as IPv4.
#[must_use]
pub fn within(address: IpAddr, networks: &[IpNet]) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}
