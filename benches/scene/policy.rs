//! A policy of so many resources, and requests that every step of a decision looks at.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use tiergate::access::{
    Decision, Device, DeviceTrust, Facts, GroupSet, Session, Standing, Subject, User, decide,
};
use tiergate::diagnostic::Source;
use tiergate::policy::{Policy, resolve};

/// Sizes of a policy. The largest is what its bound of 16 MiB takes; it is not read by a debug build.
pub const RESOURCES: &[usize] = if cfg!(debug_assertions) { &[10, 1_000] } else { &[10, 1_000, 100_000] };
/// Groups that a user is in.
pub const GROUPS: [usize; 3] = [0, 10, 500];
/// Groups of the policy, beside the one of the guests, in which no user of these is.
const DEFINED: usize = 511;
/// Resources in one file: below its bound of 1 MiB.
const IN_A_FILE: usize = 5_000;

/// The files of so many resources, each with a rule of either kind and a path of a higher tier.
pub fn files(resources: usize) -> Vec<Source> {
    let mut head = "version: 1\ngroups:\n".to_owned();
    for n in 0..DEFINED {
        let _ = writeln!(head, "  g{n}: {{ any_of: [local:g{n}] }}");
    }
    head += "  x: { any_of: [local:guests] }\n";
    let mut texts = vec![head];
    for first in (0..resources).step_by(IN_A_FILE) {
        let mut text = "version: 1\nresources:\n".to_owned();
        for n in first..resources.min(first + IN_A_FILE) {
            // Without a byte too many: 100,000 of them just fit.
            let _ = writeln!(
                text,
                "- {{name: r{n:x},tier: low,hosts: [{}],upstream: u,deny: [{{groups: [x]}}],allow: [{{methods: [GET]}},{{methods: [PUT],mfa: required}}],paths: [{{prefix: /a,tier: high}}]}}",
                host(n)
            );
        }
        texts.push(text);
    }
    let sources = texts.into_iter().enumerate();
    sources.map(|(n, text)| Source { path: format!("policies/{n}.yaml").into(), text }).collect()
}

/// The policy of these files.
pub fn policy(resources: usize) -> Policy {
    let (policy, findings) = resolve(&files(resources), None);
    policy.unwrap_or_else(|| panic!("{findings:?}"))
}

/// The host of a resource.
pub fn host(resource: usize) -> String {
    format!("{resource:x}.t")
}

/// The groups of a user who is in so many.
pub fn groups(policy: &Policy, count: usize) -> GroupSet {
    let names: Vec<String> = (0..count).map(|n| format!("local:g{n}")).collect();
    policy.group_set(names.iter().map(String::as_str))
}

/// A request with this method, of a user in these groups on an enrolled device.
pub fn facts<'a>(policy: &'a Policy, host: &str, method: &'a str, groups: &'a GroupSet) -> Facts<'a> {
    let session = Session { started: 0, last_seen: 100, auth_time: 0, mfa: false };
    Facts {
        place: policy.locate(host, "/browse/42"),
        method,
        path: "/browse/42",
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now: 100,
        address_limited: false,
        cross_origin: false,
        audit_available: true,
        subject: Subject::User(User { active: true, groups, session, name: "ann", email: None }),
        device: Device {
            trust: DeviceTrust::Enrolled,
            lowered: None,
            id: Some("laptop"),
            standing: Standing::Unrecorded,
        },
    }
}

/// One request of each outcome; the denied and the challenged one get as far as the rules.
pub fn outcomes<'a>(policy: &'a Policy, host: &str, groups: &'a GroupSet) -> [(&'static str, Facts<'a>); 3] {
    let outcomes = [("allow", "GET"), ("deny", "POST"), ("challenge", "PUT")];
    outcomes.map(|(outcome, method)| {
        let facts = facts(policy, host, method, groups);
        let decided = match decide(policy, &facts) {
            Decision::Allow(_) => "allow",
            Decision::Deny(_) => "deny",
            Decision::Challenge(..) => "challenge",
        };
        assert_eq!(decided, outcome);
        (outcome, facts)
    })
}
