//! A request that nobody has made: what it would be decided as.

use super::classes;
use crate::access::{
    Absent, Decision, Device, DeviceTrust, Facts, GroupSet, Reason, Session, Standing, Subject, Timestamp,
    User, decide,
};
use crate::policy::{Given, Origin, Policy, Trial, Who};
use std::net::IpAddr;
use std::time::Duration;

/// When hypothetical requests are made, where nothing says when.
pub const NOON: Timestamp = 1_000_000_000;

/// A request that nobody has made, in a session that has just begun.
#[derive(Clone, Debug)]
pub struct Hypothetical {
    /// The method.
    pub method: String,
    /// The canonical host.
    pub host: String,
    /// The canonical path.
    pub path: String,
    /// Who asks.
    pub who: Who,
    /// How far the device is trusted.
    pub device: DeviceTrust,
    /// The client's address.
    pub client: IpAddr,
    /// When.
    pub time: Timestamp,
    /// What else stands in the way; nothing, unless a request that was made is looked at.
    pub circumstances: Circumstances,
}

/// What stands in the way of a request beside the policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "what can stand in the way, one by one")]
pub struct Circumstances {
    /// Why nobody is signed in, where nobody is.
    pub absent: Absent,
    /// The account may be used.
    pub active: bool,
    /// The session was not used for too long.
    pub idle: bool,
    /// The session is too old.
    pub expired: bool,
    /// There were too many requests from the address.
    pub address_limited: bool,
    /// The request came from another origin.
    pub cross_origin: bool,
    /// The audit log took the event.
    pub audit_available: bool,
    /// What lowered the device's trust.
    pub lowered: Option<Reason>,
    /// Why the device was refused in spite of its trust: its state, its posture or its owner.
    pub out_of_order: Option<Reason>,
}

impl Circumstances {
    /// Nothing stands in the way.
    pub const NONE: Self = Self {
        absent: Absent::NotSignedIn,
        active: true,
        idle: false,
        expired: false,
        address_limited: false,
        cross_origin: false,
        audit_available: true,
        lowered: None,
        out_of_order: None,
    };
}

/// What a decision says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is allowed.
    Allow,
    /// It is denied.
    Deny,
    /// It is denied for now; the user can fix that.
    Challenge,
}

impl Verdict {
    /// The word that people and machines read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Challenge => "challenge",
        }
    }
}

/// What became of a hypothetical request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What was decided.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// By which rule, where one decided.
    pub rule: Option<Origin>,
}

impl Outcome {
    /// What a decision says, without what it borrows.
    #[must_use]
    pub fn of(decision: &Decision<'_>) -> Self {
        let (verdict, reason, rule) = match decision {
            Decision::Allow(permit) => (Verdict::Allow, Reason::Allowed, permit.rule()),
            Decision::Deny(denial) => (Verdict::Deny, denial.reason, denial.rule),
            Decision::Challenge(_, denial) => (Verdict::Challenge, denial.reason, denial.rule),
        };
        Self { verdict, reason, rule: rule.cloned() }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.verdict.as_str())?;
        if self.verdict != Verdict::Allow {
            write!(f, " ({})", self.reason)?;
        }
        match &self.rule {
            Some(rule) => write!(f, " by {}", rule.0),
            None => Ok(()),
        }
    }
}

impl Hypothetical {
    /// The request of a policy's test.
    #[must_use]
    pub fn of_trial(policy: &Policy, trial: &Trial) -> Self {
        Self::given(policy, &trial.given, &trial.method, &trial.host, &trial.path)
    }

    /// The request that this somebody makes.
    #[must_use]
    pub fn given(policy: &Policy, given: &Given, method: &str, host: &str, path: &str) -> Self {
        let Given { who, device, from, time } = given;
        let who = match who {
            Who::User { groups, mfa, auth_age } => {
                Who::User { groups: implied(policy, groups), mfa: *mfa, auth_age: *auth_age }
            }
            Who::Nobody | Who::Service(_) => who.clone(),
        };
        Self {
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            who,
            device: *device,
            client: from.unwrap_or_else(|| elsewhere(policy)),
            time: time.unwrap_or(NOON),
            circumstances: Circumstances::NONE,
        }
    }

    /// Its facts, as the gateway would state them when nothing but the policy stands in the way.
    #[must_use]
    pub fn facts<'a>(&'a self, policy: &'a Policy) -> Facts<'a> {
        // Destructured without `..`: what stands in the way becomes a fact.
        let Circumstances {
            absent,
            active,
            idle,
            expired,
            address_limited,
            cross_origin,
            audit_available,
            lowered,
            out_of_order,
        } = self.circumstances;
        let long_ago = |so: bool| if so { 0 } else { self.time };
        let subject = match &self.who {
            Who::Nobody => Subject::Nobody(absent),
            Who::Service(service) => Subject::Service(*service),
            Who::User { groups, mfa, auth_age } => Subject::User(User {
                active,
                groups,
                session: Session {
                    started: long_ago(expired),
                    last_seen: long_ago(idle),
                    auth_time: self.time.saturating_sub(seconds(*auth_age)),
                    mfa: *mfa,
                },
                name: "",
                email: None,
            }),
        };
        Facts {
            place: policy.locate(&self.host, &self.path),
            method: &self.method,
            path: &self.path,
            client: self.client,
            now: self.time,
            address_limited,
            cross_origin,
            audit_available,
            subject,
            device: Device {
                trust: self.device,
                lowered,
                id: None,
                standing: Standing::Assumed(out_of_order),
            },
        }
    }

    /// What the policy decides.
    #[must_use]
    pub fn decided(&self, policy: &Policy) -> Outcome {
        Outcome::of(&decide(policy, &self.facts(policy)))
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// An address that no network of the policy has, or where they have all, any.
#[must_use]
pub fn elsewhere(policy: &Policy) -> IpAddr {
    let all: Vec<_> =
        policy.networks().iter().flat_map(|network| network.addresses.iter().copied()).collect();
    classes::outside(&all).unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
}

/// These groups, and those that nobody in them could be outside of: all sources of one are the other's too.
#[must_use]
pub fn implied(policy: &Policy, groups: &GroupSet) -> GroupSet {
    let all = policy.groups();
    let implies = |one: usize, other: usize| match (all.get(one), all.get(other)) {
        (Some(one), Some(other)) => one.any_of.iter().all(|source| other.any_of.contains(source)),
        _ => false,
    };
    let members = (0..all.len())
        .filter(|other| groups.contains(*other) || groups.iter().any(|one| implies(one, *other)));
    GroupSet::new(all.len(), members)
}
