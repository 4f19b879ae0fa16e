//! The `tests` of a policy: each request decided, and which rules that reached.

use super::hypothetical::{Hypothetical, Outcome, Verdict};
use crate::policy::{Expected, Origin, Policy, Rule, Trial};
use std::collections::BTreeSet;

/// What came of one test.
#[derive(Clone, Debug)]
pub struct Tried<'p> {
    /// The test.
    pub trial: &'p Trial,
    /// The request that it makes.
    pub request: Hypothetical,
    /// What was decided.
    pub outcome: Outcome,
}

impl Tried<'_> {
    /// Whether the decision is the expected one.
    #[must_use]
    pub fn passed(&self) -> bool {
        match self.trial.expect {
            Expected::Allow => self.outcome.verdict == Verdict::Allow,
            Expected::Deny => self.outcome.verdict == Verdict::Deny,
            Expected::Challenge => self.outcome.verdict == Verdict::Challenge,
            Expected::Reason(reason) => self.outcome.reason == reason,
        }
    }

    /// What was expected, as it was written.
    #[must_use]
    pub const fn expected(&self) -> &'static str {
        match self.trial.expect {
            Expected::Allow => "allow",
            Expected::Deny => "deny",
            Expected::Challenge => "challenge",
            Expected::Reason(reason) => reason.code(),
        }
    }
}

/// Tries every test of the policy.
#[must_use]
pub fn try_all(policy: &Policy) -> Vec<Tried<'_>> {
    let each = policy.trials().iter().map(|trial| {
        let request = Hypothetical::of_trial(policy, trial);
        let outcome = request.decided(policy);
        Tried { trial, request, outcome }
    });
    each.collect()
}

/// A rule that could decide a request.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Decider {
    /// Where it stands, `file:line`.
    pub place: String,
    /// What it is: `allow of tickets/admin`.
    pub what: String,
}

/// Every rule that could decide, in the order of the files, each once.
#[must_use]
pub fn deciders(policy: &Policy) -> Vec<Decider> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    let mut add = |origin: &Origin, what: String| {
        // A rule that a path inherits is the same rule.
        if seen.insert(origin.0.to_string()) {
            all.push(Decider { place: origin.0.to_string(), what });
        }
    };
    for resource in policy.resources() {
        for section in resource.sections() {
            let at = format!("{}{}", resource.name, section.prefix);
            let rules = |word: &str, rules: &[Rule], add: &mut dyn FnMut(&Origin, String)| {
                for rule in rules {
                    add(&rule.origin, format!("{word} of {at}"));
                }
            };
            rules("deny", &section.deny, &mut add);
            rules("allow", &section.allow, &mut add);
        }
        for entry in &resource.services {
            let name = policy.service(entry.service).map_or("", |service| service.name.as_str());
            add(&entry.origin, format!("service {name} of {}", resource.name));
        }
    }
    for entry in policy.authentication().iter().filter(|entry| entry.mfa) {
        add(&entry.origin, "authentication with mfa".to_owned());
    }
    all
}

/// The rules that decided none of these requests.
#[must_use]
pub fn unreached(policy: &Policy, tried: &[Tried<'_>]) -> Vec<Decider> {
    let reached: BTreeSet<&str> =
        tried.iter().filter_map(|tried| tried.outcome.rule.as_ref()).map(|rule| &*rule.0).collect();
    let mut all = deciders(policy);
    all.retain(|decider| !reached.contains(decider.place.as_str()));
    all
}
