//! One decision, step by step: what each step looked at, what it found, and what would have to be
//! different.
//!
//! The steps are told by the decision itself ([`crate::access::decide_watched`]), so an explanation
//! cannot differ from what is decided.

use super::hypothetical::{Hypothetical, Outcome, Verdict};
use super::remedies::{Way, ways};
use super::tell::network_of;
use crate::access::{Decision, DeviceTrust, GroupSet, Passed, Reason, Watcher, decide_watched};
use crate::diagnostic::nearest;
use crate::policy::{Origin, Policy, Rule, Section, Who};
use crate::text::duration;
use serde::Serialize;
use std::time::Duration;

/// What one step of the decision came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// It let the request pass.
    Passed,
    /// It refused the request.
    Refused,
    /// An earlier step had refused it.
    NotReached,
}

/// One step of the decision.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Line {
    /// Which step: the names are those of the order of evaluation.
    pub step: &'static str,
    /// What it came to.
    pub came: Came,
    /// The facts that it looked at, and what it made of them.
    pub says: String,
    /// The rule, `file:line`, where one spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// A decision, explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The request, `GET https://…`.
    pub request: String,
    /// Who asks.
    pub asker: String,
    /// `allow`, `deny` or `challenge`.
    pub decision: &'static str,
    /// The reason code.
    pub reason: &'static str,
    /// The rule that decided, `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The path prefix of its section; empty for the whole resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// The tier there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<&'static str>,
    /// The steps, in order.
    pub steps: Vec<Line>,
    /// The smallest changes that would turn it into an allow; the fewest first.
    pub would_be_allowed: Vec<Way>,
}

const USER: [&str; 10] = [
    "route",
    "limit per address",
    "signed in",
    "account active",
    "session within its limits",
    "origin",
    "deny rules",
    "device",
    "allow rules",
    "authentication",
];
const SERVICE: [&str; 4] = ["route", "limit per address", "listed", "deny rules"];
const LAST: &str = "audit log";

/// Explains what is decided of a request.
#[must_use]
pub fn explain(policy: &Policy, request: &Hypothetical) -> Explanation {
    let facts = request.facts(policy);
    let mut steps = Steps { policy, request, lines: Vec::new() };
    let decision = decide_watched(policy, &facts, &mut steps);
    let outcome = Outcome::of(&decision);
    let mut lines = steps.lines;
    if !matches!(decision, Decision::Allow(_)) {
        lines.push(refused(
            policy,
            request,
            &outcome,
            order(request).get(lines.len()).copied().unwrap_or(LAST),
        ));
    }
    let reached = lines.len();
    lines.extend(order(request).iter().chain([&LAST]).skip(reached).map(|step| Line {
        step,
        came: Came::NotReached,
        says: String::new(),
        rule: None,
    }));
    let place = facts.place;
    Explanation {
        request: request.line(),
        asker: request.asker(policy),
        decision: outcome.verdict.as_str(),
        reason: outcome.reason.code(),
        rule: outcome.rule.as_ref().map(|rule| rule.0.to_string()),
        resource: place.map(|place| place.resource().name.to_string()),
        section: place.map(|place| place.section().prefix.clone()),
        tier: place.map(|place| place.section().tier.as_str()),
        steps: lines,
        would_be_allowed: if outcome.verdict == Verdict::Allow { Vec::new() } else { ways(policy, request) },
    }
}

fn order(request: &Hypothetical) -> &'static [&'static str] {
    match request.who {
        Who::Service(_) => &SERVICE,
        Who::Nobody | Who::User { .. } => &USER,
    }
}

/// Writes a line for each step that lets the request pass.
struct Steps<'a> {
    policy: &'a Policy,
    request: &'a Hypothetical,
    lines: Vec<Line>,
}

impl<'p> Watcher<'p> for Steps<'_> {
    fn passed(&mut self, passed: Passed<'p>) {
        let rule_of = |origin: Option<&Origin>| origin.map(|origin| origin.0.clone());
        let (says, rule) = match passed {
            Passed::Route(place) => {
                let section = place.section();
                let below = if section.prefix.is_empty() {
                    String::new()
                } else {
                    format!(", section `{}`", section.prefix)
                };
                let says = format!("`{}`{below}, tier {}", place.resource().name, section.tier);
                (says, Some(section.origin.0.clone()))
            }
            Passed::AddressLimit => ("not exceeded".to_owned(), None),
            Passed::SignedIn => (self.groups(), None),
            Passed::Account => ("it is".to_owned(), None),
            Passed::Session(limits) => {
                let limit = |name: &str, limit: Option<Duration>| {
                    limit.map(|limit| format!("{name} {}", duration::write(limit)))
                };
                let limits: Vec<_> =
                    [limit("max_age", limits.max_age), limit("idle_timeout", limits.idle_timeout)]
                        .into_iter()
                        .flatten()
                        .collect();
                let limits =
                    if limits.is_empty() { "those of tiergate.yaml".to_owned() } else { limits.join(", ") };
                (limits, None)
            }
            Passed::SameOrigin => ("its own, or one that the resource lists".to_owned(), None),
            Passed::Listed(origin) => ("with this method, to this path".to_owned(), Some(origin.0.clone())),
            Passed::NotDenied(0) => ("there is none".to_owned(), None),
            Passed::NotDenied(1) => ("the one there is does not match".to_owned(), None),
            Passed::NotDenied(count) => (format!("none of {count} matches"), None),
            Passed::Device(None) => (self.device(), None),
            Passed::Device(Some(posture)) => (
                format!("{}; it is taken to meet the posture: {posture}", self.device()),
                rule_of(Some(&posture.origin)),
            ),
            Passed::Allowed(None) => ("there is none: the tier is all that is asked".to_owned(), None),
            Passed::Allowed(rule) => ("one matches".to_owned(), rule_of(rule)),
            Passed::Authentication(None) => ("nothing more is asked".to_owned(), None),
            Passed::Authentication(entry) => {
                ("as strong as the user's entry asks".to_owned(), rule_of(entry))
            }
            Passed::Audit => ("takes the event".to_owned(), None),
        };
        let step = match passed {
            Passed::Route(_) => "route",
            Passed::AddressLimit => "limit per address",
            Passed::SignedIn => "signed in",
            Passed::Account => "account active",
            Passed::Session(_) => "session within its limits",
            Passed::SameOrigin => "origin",
            Passed::Listed(_) => "listed",
            Passed::NotDenied(_) => "deny rules",
            Passed::Device(_) => "device",
            Passed::Allowed(_) => "allow rules",
            Passed::Authentication(_) => "authentication",
            Passed::Audit => LAST,
        };
        self.lines.push(Line { step, came: Came::Passed, says, rule: rule.map(|rule| rule.to_string()) });
    }
}

impl Steps<'_> {
    fn groups(&self) -> String {
        match &self.request.who {
            Who::User { groups, .. } => names(self.policy, groups),
            Who::Nobody | Who::Service(_) => String::new(),
        }
    }

    fn device(&self) -> String {
        device(self.request)
    }
}

fn names(policy: &Policy, groups: &GroupSet) -> String {
    let names: Vec<_> = groups.iter().filter_map(|group| policy.group_name(group)).collect();
    if names.is_empty() { "in no group".to_owned() } else { format!("in {}", names.join(", ")) }
}

fn device(request: &Hypothetical) -> String {
    match request.circumstances.lowered {
        None => format!("trusted as `{}`", request.device),
        Some(reason) => format!("trusted as `{}`, lowered by `{reason}`", request.device),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a reason that needs no more words is its code")]
fn refused(policy: &Policy, request: &Hypothetical, outcome: &Outcome, step: &'static str) -> Line {
    let place = policy.locate(&request.host, &request.path);
    let section = place.map(crate::policy::Place::section);
    let says = match outcome.reason {
        Reason::NoRoute => {
            let near = nearest(&request.host, policy.hosts());
            let meant = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            format!("no resource has the host `{}`{meant}", request.host)
        }
        Reason::NotSignedIn => "nobody is".to_owned(),
        Reason::ServiceNotListed => match (&request.who, place) {
            (Who::Service(Some(service)), Some(place)) => {
                let listed =
                    place.resource().services.iter().filter(|entry| entry.service == *service).count();
                match listed {
                    0 => "no `services` entry of the resource names it".to_owned(),
                    _ => "its entries are for other methods or paths".to_owned(),
                }
            }
            _ => "no policy names this service".to_owned(),
        },
        Reason::DeviceRequired | Reason::DeviceNotIssued => {
            let needed = section.map_or(DeviceTrust::Issued, |section| section.tier.required_trust());
            format!("{}; the tier needs `{needed}`", device(request))
        }
        Reason::NotAllowed => {
            section.map_or_else(String::new, |section| not_allowed(policy, request, section))
        }
        Reason::MfaRequired => "a second factor was not used".to_owned(),
        Reason::ReauthRequired => match &request.who {
            Who::User { auth_age, .. } => format!("the sign-in is {} old", duration::write(*auth_age)),
            Who::Nobody | Who::Service(_) => String::new(),
        },
        Reason::DeniedByRule => "this one matches".to_owned(),
        reason => format!("`{reason}`"),
    };
    Line { step, came: Came::Refused, says, rule: outcome.rule.as_ref().map(|rule| rule.0.to_string()) }
}

/// For each `allow` rule, what of it does not match.
fn not_allowed(policy: &Policy, request: &Hypothetical, section: &Section) -> String {
    /// Nobody reads more.
    const MOST: usize = 8;
    let misses: Vec<_> = section
        .allow
        .iter()
        .take(MOST)
        .map(|rule| format!("{} asks for {}", rule.origin.0, missing(policy, request, rule).join(" and ")))
        .collect();
    let more = section.allow.len().saturating_sub(MOST);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("none matches: {}{more}", misses.join("; "))
}

fn missing(policy: &Policy, request: &Hypothetical, rule: &Rule) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(groups) = &rule.groups {
        let within = match &request.who {
            Who::User { groups: has, .. } => has.intersects(groups),
            Who::Nobody | Who::Service(_) => false,
        };
        if !within {
            let names: Vec<_> = groups.iter().filter_map(|group| policy.group_name(group)).collect();
            all.push(format!("group {}", names.join(" or ")));
        }
    }
    if let Some(methods) = rule.methods.as_ref().filter(|methods| !methods.contain(&request.method)) {
        all.push(format!("method {}", methods.0.join(" or ")));
    }
    if let Some(networks) = &rule.networks
        && !crate::policy::within(request.client, networks)
    {
        let mut names: Vec<String> = networks
            .iter()
            .map(|network| {
                network_of(policy, network.addr()).map_or_else(|| network.to_string(), str::to_owned)
            })
            .collect();
        names.dedup();
        all.push(format!("network {}", names.join(" or ")));
    }
    all
}
