//! A second policy that decides every request too, and changes nothing.
//!
//! Invariant: no permit that the shadow makes leaves this file, so nothing can be forwarded on its word.

use crate::access::{Decision, Facts, GroupSet, Reason, Subject, Timestamp, User, decide};
use crate::policy::{Origin, Policy};
use crate::telemetry::Decided;

/// A policy that is rehearsed until a time.
#[derive(Debug)]
pub struct Shadow {
    policy: Policy,
    until: Timestamp,
}

/// What the shadow would have decided.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'p> {
    /// What.
    pub decided: Decided,
    /// Why.
    pub reason: Reason,
    /// The rule that decided, where one did.
    pub rule: Option<&'p Origin>,
}

/// Who asked, as far as the shadow's policy numbers it otherwise than the live one.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The groups of the shadow's policy that the user is in.
    pub groups: Option<&'a GroupSet>,
    /// The SPIFFE ID of the workload.
    pub spiffe: Option<&'a str>,
}

impl Shadow {
    /// Rehearses a policy until a time.
    #[must_use]
    pub fn new(policy: Policy, until: Timestamp) -> Self {
        Self { policy, until }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// When it ends, Unix seconds.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// Decides a request that the live policy decides by `live`: the same facts, but for the place and
    /// the subject, which are this policy's own.
    #[must_use]
    pub fn decide<'p>(&'p self, live: &Facts<'p>, host: &str, asker: Asker<'p>) -> Verdict<'p> {
        let subject = match live.subject {
            Subject::Nobody(absent) => Subject::Nobody(absent),
            Subject::Service(_) => {
                Subject::Service(asker.spiffe.and_then(|id| self.policy.service_by_spiffe(id)))
            }
            // Without a set of this policy's own the user is in none of its groups: the live policy's
            // set would mean other groups here.
            Subject::User(user) => Subject::User(User { groups: asker.groups.unwrap_or(&NO_GROUPS), ..user }),
        };
        let facts = Facts { place: self.policy.locate(host, live.path), subject, ..*live };
        match decide(&self.policy, &facts) {
            Decision::Allow(permit) => {
                Verdict { decided: Decided::Allow, reason: Reason::Allowed, rule: permit.rule() }
            }
            Decision::Deny(denial) => {
                Verdict { decided: Decided::Deny, reason: denial.reason, rule: denial.rule }
            }
            Decision::Challenge(_, denial) => {
                Verdict { decided: Decided::Challenge, reason: denial.reason, rule: denial.rule }
            }
        }
    }
}

/// The set of a user who is in no group.
static NO_GROUPS: std::sync::LazyLock<GroupSet> = std::sync::LazyLock::new(GroupSet::default);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Absent, Device, Session};
    use crate::policy::tests::policy;
    use std::net::{IpAddr, Ipv4Addr};

    const LIVE: &str = "groups: { other: { any_of: [idp:x] }, eng: { any_of: [idp:eng] } }
services: { sync: { spiffe: 'spiffe://corp.example/sync' } }
resources:
  - { name: wiki, tier: open, hosts: [wiki.example], upstream: u, services: [{ name: sync }] }
  - { name: old, tier: open, hosts: [old.example], upstream: u }
";
    const SHADOW: &str = "groups: { eng: { any_of: [idp:eng] } }
services: { more: { spiffe: 'spiffe://corp.example/more' }, sync: { spiffe: 'spiffe://corp.example/sync' } }
resources:
  - name: wiki
    tier: open
    hosts: [wiki.example]
    upstream: u
    allow: [{ groups: [eng] }]
    paths: [{ prefix: /admin, tier: high }, { prefix: /mfa, tier: open, allow: [{ mfa: required }] }]
    services: [{ name: sync, methods: [POST] }]
";

    #[test]
    fn the_shadow_decides_by_its_own_places_groups_and_services() {
        let live = policy(LIVE);
        let shadow = Shadow::new(policy(SHADOW), 100);
        let session = Session { started: 0, last_seen: 0, auth_time: 0, mfa: false };
        for (who, host, path, want) in [
            ("idp:eng", "wiki.example", "/", "Allow allowed policies/test.yaml:9"),
            ("idp:x", "wiki.example", "/", "Deny not_allowed -"),
            ("idp:eng", "wiki.example", "/admin/x", "Deny device_required -"),
            ("idp:eng", "wiki.example", "/mfa", "Challenge mfa_required policies/test.yaml:10"),
            ("idp:eng", "old.example", "/", "Deny no_route -"),
            ("", "wiki.example", "/", "Challenge not_signed_in -"),
            ("spiffe://corp.example/sync", "wiki.example", "/", "Deny service_not_listed -"),
            ("spiffe://corp.example/none", "wiki.example", "/", "Deny service_not_listed -"),
        ] {
            let (set, own) = (live.group_set([who]), shadow.policy().group_set([who]));
            let spiffe = who.starts_with("spiffe").then_some(who);
            let subject = match (who, spiffe) {
                ("", _) => Subject::Nobody(Absent::NotSignedIn),
                (_, Some(id)) => Subject::Service(live.service_by_spiffe(id)),
                (_, None) => {
                    Subject::User(User { active: true, groups: &set, session, name: "", email: None })
                }
            };
            let facts = Facts {
                place: live.locate(host, path),
                method: "GET",
                path,
                client: IpAddr::V4(Ipv4Addr::LOCALHOST),
                now: 0,
                address_limited: false,
                cross_origin: false,
                audit_available: true,
                subject,
                device: Device::default(),
            };
            let Verdict { decided, reason, rule } =
                shadow.decide(&facts, host, Asker { groups: Some(&own), spiffe });
            let rule = rule.map_or("-", |rule| &*rule.0);
            assert_eq!(format!("{decided:?} {reason} {rule}"), want, "{who} {host}{path}");
        }
    }

    #[test]
    fn it_runs_until_its_end_and_not_at_it() {
        let shadow = Shadow::new(policy(SHADOW), 100);
        assert!(shadow.runs(99) && !shadow.runs(100));
    }
}
