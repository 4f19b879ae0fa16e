//! What a policy says of itself: assertions, which are proved, and tests, which are tried.

use super::{Methods, Origin, ServiceId};
use crate::access::{DeviceTrust, GroupSet, Reason, Tier, Timestamp};
use ipnet::IpNet;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where something is written, so that a finding can show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// The file.
    pub path: Arc<Path>,
    /// The bytes that are meant, in the file's text.
    pub span: Range<usize>,
}

impl Default for Written {
    fn default() -> Self {
        Self { path: Path::new("").into(), span: 0..0 }
    }
}

/// A promise about every possible request.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// What people call it.
    pub name: String,
    /// Whether such requests are never allowed, or always.
    pub promise: Promise,
    /// Which requests it speaks of.
    pub claim: Claim,
    /// Where it stands.
    pub origin: Origin,
    /// The same for findings.
    pub written: Written,
}

/// What is promised about the requests of a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Promise {
    /// None of them is allowed.
    Never,
    /// Each of them is allowed, as far as the policy decides it.
    Always,
}

/// Which requests an assertion speaks of: keys are joined by *and*, the items of a list by *or*, and
/// a key that is left out is not asked about.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Places of these tiers.
    pub tiers: Option<Vec<Tier>>,
    /// Resources with these indices.
    pub resources: Option<Vec<usize>>,
    /// From devices trusted exactly so.
    pub devices: Option<Vec<DeviceTrust>>,
    /// Users in one of these groups, whatever else they are in.
    pub groups: Option<GroupSet>,
    /// Services instead of users.
    pub services: Option<Services>,
    /// With these methods.
    pub methods: Option<Methods>,
    /// Below these canonical prefixes.
    pub paths: Option<Vec<String>>,
    /// From these networks.
    pub networks: Option<Vec<IpNet>>,
    /// More than one factor was used, or just one.
    pub mfa: Option<bool>,
    /// So long after the user last proved who they are.
    pub auth_age: Option<Duration>,
}

/// Which services a claim speaks of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Services {
    /// Every service that the policy names.
    Any,
    /// These.
    Named(Vec<ServiceId>),
}

/// One request, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What people call it.
    pub name: String,
    /// Who asks, from where.
    pub given: Given,
    /// The method.
    pub method: String,
    /// The canonical host.
    pub host: String,
    /// The canonical path.
    pub path: String,
    /// What should become of it.
    pub expect: Expected,
    /// Where it stands.
    pub origin: Origin,
    /// The same for findings.
    pub written: Written,
}

/// Who asks, from where and when.
#[derive(Clone, Debug)]
pub struct Given {
    /// Who.
    pub who: Who,
    /// How far the device is trusted.
    pub device: DeviceTrust,
    /// The client's address; where it is not said, one that no network of the policy has.
    pub from: Option<IpAddr>,
    /// When; now, where it is not said.
    pub time: Option<Timestamp>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Who {
    /// Nobody who is signed in.
    Nobody,
    /// A user, signed in.
    User {
        /// The policy's groups that the user is in.
        groups: GroupSet,
        /// More than one factor was used.
        mfa: bool,
        /// Since the user last proved who they are.
        auth_age: Duration,
    },
    /// A workload; `None` where the policy names no such service.
    Service(Option<ServiceId>),
}

/// What should become of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// It is allowed.
    Allow,
    /// It is denied, for whatever reason.
    Deny,
    /// It is challenged, for whatever reason.
    Challenge,
    /// It is denied or challenged for this reason.
    Reason(Reason),
}
