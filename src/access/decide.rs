//! The decision itself.

use super::{Absent, DeviceTrust, Facts, Obligations, Permit, Reason, Session, Standing, Subject, User};
use crate::policy::{Origin, Place, Policy, Posture, Rule, ServiceId, SessionLimits, older_than};

/// What a request may do.
#[derive(Debug)]
pub enum Decision<'p> {
    /// Forward it, on the permit's terms.
    Allow(Permit<'p>),
    /// Refuse it.
    Deny(Denial<'p>),
    /// Refuse it for now: the user can fix it by this step.
    Challenge(Step, Denial<'p>),
}

/// Why a request was refused, and by which rule.
#[derive(Clone, Copy, Debug)]
pub struct Denial<'p> {
    /// The stable code.
    pub reason: Reason,
    /// The rule that refused it, where one did.
    pub rule: Option<&'p Origin>,
}

/// What a user can do now to get in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Sign in (again).
    SignIn,
    /// Use a second factor.
    StepUp,
    /// Prove who they are once more: the last time was longer ago than this many seconds.
    Reauthenticate {
        /// The greatest age of a sign-in that the resource accepts, seconds.
        max_auth_age: u64,
    },
}

/// What a step found of a request that it let pass.
#[derive(Clone, Copy, Debug)]
pub enum Passed<'p> {
    /// A resource and section has its host and path.
    Route(Place<'p>),
    /// Its address sent few enough.
    AddressLimit,
    /// Somebody is signed in.
    SignedIn,
    /// The account may be used.
    Account,
    /// The session is within these limits.
    Session(SessionLimits),
    /// It comes from an origin that may ask this.
    SameOrigin,
    /// A `services` entry lists it.
    Listed(&'p Origin),
    /// None of so many `deny` rules speaks of it.
    NotDenied(usize),
    /// The device meets the tier, and this posture of it where there is one.
    Device(Option<&'p Posture>),
    /// This `allow` rule admits it, or none is needed.
    Allowed(Option<&'p Origin>),
    /// The sign-in is as strong as this `authentication` entry asks for.
    Authentication(Option<&'p Origin>),
    /// The audit log can take its event.
    Audit,
}

/// Whoever wants to know of each step of a decision.
pub trait Watcher<'p> {
    /// A step let the request pass.
    fn passed(&mut self, step: Passed<'p>);
}

/// Nobody: costs nothing.
impl Watcher<'_> for () {
    fn passed(&mut self, _: Passed<'_>) {}
}

/// Decides one request: pure, no I/O, no clock, no allocation.
///
/// The order is the contract's: route, limit per address, signed in, account, session, deny rules,
/// device, allow rules, authentication, audit. Every step but the last can only refuse, so what no
/// step foresaw is denied.
#[must_use]
pub fn decide<'p>(policy: &'p Policy, facts: &Facts<'p>) -> Decision<'p> {
    decide_watched(policy, facts, &mut ())
}

/// The same decision, with somebody told of each step that let the request pass.
pub fn decide_watched<'p>(
    policy: &'p Policy,
    facts: &Facts<'p>,
    watcher: &mut impl Watcher<'p>,
) -> Decision<'p> {
    match judge(policy, facts, watcher) {
        Ok(permit) => Decision::Allow(permit),
        Err(Refusal { step: None, denial }) => Decision::Deny(denial),
        Err(Refusal { step: Some(step), denial }) => Decision::Challenge(step, denial),
    }
}

/// A denial, or with a step a challenge: every check answers with one or goes on.
struct Refusal<'p> {
    step: Option<Step>,
    denial: Denial<'p>,
}

fn deny(reason: Reason, rule: Option<&Origin>) -> Refusal<'_> {
    Refusal { step: None, denial: Denial { reason, rule } }
}

fn challenge(step: Step, reason: Reason, rule: Option<&Origin>) -> Refusal<'_> {
    Refusal { step: Some(step), denial: Denial { reason, rule } }
}

fn judge<'p>(
    policy: &'p Policy,
    facts: &Facts<'p>,
    watcher: &mut impl Watcher<'p>,
) -> Result<Permit<'p>, Refusal<'p>> {
    let place = facts.place.ok_or(deny(Reason::NoRoute, None))?;
    watcher.passed(Passed::Route(place));
    if facts.address_limited {
        return Err(deny(Reason::RateLimited, None));
    }
    watcher.passed(Passed::AddressLimit);
    let rule = match facts.subject {
        Subject::Nobody(absent) => return Err(challenge(Step::SignIn, absence(absent), None)),
        Subject::Service(service) => judge_service(place, service, facts, watcher)?,
        Subject::User(user) => judge_user(policy, place, &user, facts, watcher)?,
    };
    if !facts.audit_available {
        return Err(deny(Reason::AuditUnavailable, None));
    }
    watcher.passed(Passed::Audit);
    let limits = &place.resource().subject_limits;
    Ok(Permit::new(place, rule, Obligations { limits }))
}

const fn absence(absent: Absent) -> Reason {
    match absent {
        Absent::NotSignedIn => Reason::NotSignedIn,
        Absent::SessionRevoked => Reason::SessionRevoked,
        Absent::SessionExpired => Reason::SessionExpired,
        Absent::DeviceChanged => Reason::SessionDeviceChanged,
    }
}

/// A service never meets a tier: it gets in only where the resource lists it.
fn judge_service<'p>(
    place: Place<'p>,
    service: Option<ServiceId>,
    facts: &Facts<'p>,
    watcher: &mut impl Watcher<'p>,
) -> Result<Option<&'p Origin>, Refusal<'p>> {
    let entry = service.and_then(|service| {
        let mut entries = place.resource().services.iter();
        entries.find(|entry| entry.admits(service, facts.method, facts.path))
    });
    let entry = entry.ok_or(deny(Reason::ServiceNotListed, None))?;
    watcher.passed(Passed::Listed(&entry.origin));
    denied_by_rule(place, None, facts, watcher)?;
    Ok(Some(&entry.origin))
}

fn judge_user<'p>(
    policy: &'p Policy,
    place: Place<'p>,
    user: &User<'p>,
    facts: &Facts<'p>,
    watcher: &mut impl Watcher<'p>,
) -> Result<Option<&'p Origin>, Refusal<'p>> {
    watcher.passed(Passed::SignedIn);
    if !user.active {
        return Err(deny(Reason::AccountDisabled, None));
    }
    watcher.passed(Passed::Account);
    let limits = policy.session_limits(user.groups);
    if limits.max_age.is_some_and(|age| older_than(user.session.started, facts.now, age)) {
        return Err(challenge(Step::SignIn, Reason::SessionExpired, None));
    }
    if limits.idle_timeout.is_some_and(|idle| older_than(user.session.last_seen, facts.now, idle)) {
        return Err(challenge(Step::SignIn, Reason::SessionIdle, None));
    }
    watcher.passed(Passed::Session(limits));
    if facts.cross_origin {
        return Err(deny(Reason::CrossOrigin, None));
    }
    watcher.passed(Passed::SameOrigin);
    denied_by_rule(place, Some(user), facts, watcher)?;
    let posture = device_meets_tier(policy, place, user, facts)?;
    watcher.passed(Passed::Device(posture));
    let rule = allowed(place, user, facts)?;
    watcher.passed(Passed::Allowed(rule));
    let entry = policy.authentication_for(user.groups);
    if let Some(entry) = entry.filter(|entry| entry.mfa && !user.session.mfa) {
        return Err(challenge(Step::StepUp, Reason::MfaRequired, Some(&entry.origin)));
    }
    watcher.passed(Passed::Authentication(entry.map(|entry| &entry.origin)));
    Ok(rule)
}

fn denied_by_rule<'p>(
    place: Place<'p>,
    user: Option<&User<'p>>,
    facts: &Facts<'p>,
    watcher: &mut impl Watcher<'p>,
) -> Result<(), Refusal<'p>> {
    let groups = user.map(|user| user.groups);
    let mut rules = place.section().deny.iter();
    if let Some(rule) = rules.find(|rule| rule.speaks_of(groups, facts.method, facts.client)) {
        return Err(deny(Reason::DeniedByRule, Some(&rule.origin)));
    }
    watcher.passed(Passed::NotDenied(place.section().deny.len()));
    Ok(())
}

fn device_meets_tier<'p>(
    policy: &'p Policy,
    place: Place<'p>,
    user: &User<'p>,
    facts: &Facts<'p>,
) -> Result<Option<&'p Posture>, Refusal<'p>> {
    let (device, tier) = (&facts.device, place.section().tier);
    // Whoever holds a device that is lost gets nowhere with it, where none is needed included.
    if is_inactive(device.standing) {
        return Err(deny(Reason::DeviceInactive, None));
    }
    if device.trust < tier.required_trust() {
        let reason = device.lowered.unwrap_or(match device.trust {
            DeviceTrust::None => Reason::DeviceRequired,
            DeviceTrust::Enrolled | DeviceTrust::Issued => Reason::DeviceNotIssued,
        });
        return Err(deny(reason, None));
    }
    let Some(posture) = policy.posture(tier) else { return Ok(None) };
    match posture.unmet(device.standing, [Some(user.name), user.email], facts.now).next() {
        Some(unmet) => Err(deny(unmet.reason(), Some(&posture.origin))),
        None => Ok(Some(posture)),
    }
}

fn is_inactive(standing: Standing<'_>) -> bool {
    match standing {
        Standing::Recorded(record) => !record.is_active(),
        Standing::Assumed(reason) => reason == Some(Reason::DeviceInactive),
        Standing::Unrecorded => false,
    }
}

/// What a rule asks of the sign-in that the session does not have yet.
#[derive(Clone, Copy)]
struct Missing {
    mfa: bool,
    fresh: Option<u64>,
}

impl Missing {
    fn of(rule: &Rule, session: Session, facts: &Facts<'_>) -> Self {
        let stale = rule.max_auth_age.filter(|age| older_than(session.auth_time, facts.now, *age));
        Self { mfa: rule.mfa && !session.mfa, fresh: stale.map(|age| age.as_secs()) }
    }

    fn count(self) -> u8 {
        u8::from(self.mfa) + u8::from(self.fresh.is_some())
    }
}

/// The rule that admits the user; `None` where the resource asks for none. Where rules match but for
/// the sign-in, the challenge is that of the one that asks for least.
fn allowed<'p>(
    place: Place<'p>,
    user: &User<'p>,
    facts: &Facts<'p>,
) -> Result<Option<&'p Origin>, Refusal<'p>> {
    let rules = &place.section().allow;
    if rules.is_empty() {
        return Ok(None);
    }
    let mut nearest: Option<(Missing, &'p Rule)> = None;
    for rule in rules.iter().filter(|rule| rule.speaks_of(Some(user.groups), facts.method, facts.client)) {
        let missing = Missing::of(rule, user.session, facts);
        if missing.count() == 0 {
            return Ok(Some(&rule.origin));
        }
        if nearest.is_none_or(|(least, _)| missing.count() < least.count()) {
            nearest = Some((missing, rule));
        }
    }
    Err(match nearest {
        None => deny(Reason::NotAllowed, None),
        Some((Missing { mfa: true, fresh: _ }, rule)) => {
            challenge(Step::StepUp, Reason::MfaRequired, Some(&rule.origin))
        }
        Some((Missing { mfa: false, fresh }, rule)) => {
            let step = Step::Reauthenticate { max_auth_age: fresh.unwrap_or(0) };
            challenge(step, Reason::ReauthRequired, Some(&rule.origin))
        }
    })
}

#[cfg(test)]
mod tests;
