//! Everything that is wrong with a policy: its form, its references, and what it allows.

use super::prove::{Counterexample, Proof, Prover};
use super::trials::try_all;
use super::unreachable::idle_rules;
use crate::diagnostic::{Diagnostic, Report, Severity, Source};
use crate::policy::{
    self, Assertion, Claim, Known, Open, Parsed, Policy, Promise, Resource, Services, Written,
};

/// A policy, read, resolved, proved and tried; or every mistake. What breaks its own promises is no
/// policy. Warnings and notes may come with one. `known`: what the configuration knows.
#[must_use]
pub fn load(files: &[Source], known: Option<Known<'_>>) -> (Option<Policy>, Vec<Diagnostic>) {
    let Reloaded { policy, findings, parsed: _ } = reload(files, known, Parsed::default());
    (policy, findings)
}

/// A policy, or every mistake, as [`load`] says; and what the next load need not read again.
pub struct Reloaded {
    /// The policy.
    pub policy: Option<Policy>,
    /// What is wrong, or to be known.
    pub findings: Vec<Diagnostic>,
    /// The files in their form.
    pub parsed: Parsed,
}

/// The same as [`load`], where an earlier load read some of the files.
#[must_use]
pub fn reload(files: &[Source], known: Option<Known<'_>>, parsed: Parsed) -> Reloaded {
    let mut open = opened(files, known, parsed);
    let parsed = std::mem::take(&mut open.parsed);
    let (policy, sorted) = open.close(files);
    Reloaded { policy, findings: sorted.findings, parsed }
}

/// What a person should know about the files, what their lints silence included.
#[must_use]
pub fn check(files: Vec<Source>, known: Option<Known<'_>>) -> Report {
    let (_, sorted) = opened(&files, known, Parsed::default()).close(&files);
    Report::new(files, sorted)
}

fn opened(files: &[Source], known: Option<Known<'_>>, parsed: Parsed) -> Open {
    let mut open = policy::open(files, known, parsed);
    let Open { policy: Some(policy), findings, .. } = &mut open else { return open };
    let prover = Prover::new(policy);
    for assertion in policy.assertions() {
        if let Some(finding) = proved(policy, &prover, assertion) {
            findings.push(finding);
        }
    }
    for finding in failed_tests(policy) {
        findings.push(finding);
    }
    let prover = prover.rested();
    for (index, resource) in policy.resources().iter().enumerate() {
        if let Some(finding) = reached(&prover, index, resource) {
            findings.push(finding.about(Some(&resource.name)));
        }
    }
    for finding in idle_rules(policy, files) {
        findings.push(finding);
    }
    open
}

fn at(severity: Severity, code: &'static str, written: &Written, message: String) -> Diagnostic {
    Diagnostic::new(severity, code, &written.path, written.span.clone(), message)
}

fn proved(policy: &Policy, prover: &Prover<'_>, assertion: &Assertion) -> Option<Diagnostic> {
    let name = &assertion.name;
    let written = &assertion.written;
    match prover.prove(assertion.promise, &assertion.claim) {
        Proof::Holds => None,
        Proof::SpeaksOfNothing => {
            let message = format!("assertion `{name}` speaks of no request");
            let label =
                "no resource, path or network is as it says, so it holds whatever else the policy says";
            Some(at(Severity::Note, "P0405", written, message).label(label))
        }
        Proof::TooLarge => {
            let message =
                format!("assertion `{name}` cannot be proved: the policy has too many rules for it");
            let label = "name a resource in it, or write fewer rules with networks and methods of their own";
            Some(at(Severity::Error, "P0406", written, message).label(label))
        }
        Proof::Broken(broken) => {
            let Counterexample { request, outcome } = &*broken;
            let message = format!("assertion `{name}` does not hold");
            let label = format!(
                "`{}` is decided `{outcome}` for {}; see `tiergate explain {}`",
                request.line(),
                request.asker(policy),
                request.arguments(policy),
            );
            Some(at(Severity::Error, "P0401", written, message).label(label))
        }
    }
}

fn failed_tests(policy: &Policy) -> impl Iterator<Item = Diagnostic> + '_ {
    try_all(policy).into_iter().filter(|tried| !tried.passed()).map(|tried| {
        let message = format!("test `{}` fails", tried.trial.name);
        let label = format!("expected `{}`, decided `{}`", tried.expected(), tried.outcome);
        at(Severity::Warning, "P0403", &tried.trial.written, message).label(label)
    })
}

/// A resource that nobody or everybody reaches.
fn reached(prover: &Prover<'_>, index: usize, resource: &Resource) -> Option<Diagnostic> {
    let here = Claim { resources: Some(vec![index]), ..Claim::default() };
    let by_services = Claim { services: Some(Services::Any), ..here.clone() };
    let none = |claim| prover.holds(Promise::Never, claim) == Some(true);
    if none(&here) && none(&by_services) {
        let message = format!("nobody reaches `{}`", resource.name);
        let label = "no user on any device and no service is allowed anything here";
        return Some(at(Severity::Warning, "P0411", &resource.written, message).label(label));
    }
    (prover.holds(Promise::Always, &here) == Some(true)).then(|| {
        let message = format!("everybody who is signed in reaches all of `{}`", resource.name);
        at(Severity::Note, "P0412", &resource.written, message).label("from any device, or none")
    })
}
