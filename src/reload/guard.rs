//! What a reload would take from people who are at work, told before it is taken.
//!
//! Each active session remembers where it was let in lately. Those requests are decided again under
//! the snapshot that runs and under the one that would replace it. What the running one denies too is
//! not held against the reload, and neither is a challenge: the person can answer it. An account that
//! is disabled or gone is revoked, not shut out: revocation waits for nobody. The trust of
//! the device is taken as it was noted: the certificate is not at hand, and a change of authorities or
//! revocation lists is not what is guarded here. Services and bearer tokens have no session.
//!
//! Invariant: nothing that is learnt from the candidate is remembered in a session.

use crate::access::{Decision, Device, Facts, GroupSet, Reason, Standing, Subject, Timestamp, User, decide};
use crate::admin::{Loss, Person, ShutOut};
use crate::config::ReloadGuard;
use crate::login::{KnownUser, known, known_under};
use crate::policy::older_than;
use crate::session::{LiveSession, Reached};
use crate::snapshot::Snapshot;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

/// People who are listed; the others are counted.
const MOST_PEOPLE: usize = 20;

/// Whom the reload from `running` to `next` would shut out, where the guard that runs forbids it.
pub(super) fn forbids(
    running: &Snapshot,
    next: &Snapshot,
    sessions: impl Iterator<Item = Arc<LiveSession>>,
    now: Timestamp,
) -> Option<ShutOut> {
    let ReloadGuard { most, protect } = running.config.reload_guard.as_ref()?;
    let groups = running.policy.groups();
    let is_protected = |name: &str| protect.iter().any(|group| group.value == name);
    let members = groups.iter().enumerate().filter(|(_, group)| is_protected(&group.name));
    let protected = GroupSet::new(groups.len(), members.map(|(at, _)| at));

    let (mut active, mut denied) = (0_usize, 0_usize);
    let mut people: HashMap<(String, String), Tally> = HashMap::new();
    for session in sessions {
        let user = known(&session, running);
        if !is_active(&session, &user, running, now) {
            continue;
        }
        active += 1;
        let lost = losses(&session, &user, running, next, now);
        if lost.is_empty() {
            continue;
        }
        denied += 1;
        let tally =
            people.entry((session.provider.to_string(), session.subject.to_string())).or_insert_with(|| {
                Tally {
                    user: session.person().user.to_string(),
                    protected: user.groups.set.iter().filter(|group| protected.contains(*group)).collect(),
                    sessions: 0,
                    lost: BTreeSet::new(),
                }
            });
        tally.sessions += 1;
        tally.lost.extend(lost);
    }
    let too_many = most.is_some_and(|most| most.is_exceeded(denied, active));
    let hit: BTreeSet<usize> = people.values().flat_map(|tally| &tally.protected).copied().collect();
    if !too_many && hit.is_empty() {
        return None;
    }
    let names = |groups: &BTreeSet<usize>| -> Vec<String> {
        groups.iter().filter_map(|group| running.policy.group_name(*group).map(str::to_owned)).collect()
    };
    let people: Vec<Person> = people
        .into_iter()
        .map(|((provider, _), Tally { user, protected, sessions, lost })| Person {
            user,
            provider,
            protected: names(&protected),
            sessions,
            lost: lost.into_iter().collect(),
        })
        .collect();
    let protected = names(&hit);
    let (sessions_denied, sessions_active) = (denied, active);
    let shut_out = ShutOut { sessions_denied, sessions_active, protected, people, more_people: 0 };
    Some(shut_out.listed())
}

impl ShutOut {
    /// With those who lose most first, and no more of them than anybody reads.
    fn listed(mut self) -> Self {
        self.people.sort_by(|a, b| {
            let weight = |person: &Person| (person.lost.len(), person.sessions);
            weight(b).cmp(&weight(a)).then_with(|| (&a.user, &a.provider).cmp(&(&b.user, &b.provider)))
        });
        self.more_people = self.people.len().saturating_sub(MOST_PEOPLE);
        self.people.truncate(MOST_PEOPLE);
        self
    }
}

/// What one person would lose, in all sessions.
struct Tally {
    user: String,
    protected: BTreeSet<usize>,
    sessions: usize,
    lost: BTreeSet<Loss>,
}

/// Whether the session would be taken now: the account may be used, and the session is neither too old
/// nor too long unused.
fn is_active(session: &LiveSession, user: &KnownUser, running: &Snapshot, now: Timestamp) -> bool {
    let limits = running.policy.session_limits(&user.groups.set);
    let defaults = running.config.sessions;
    user.active
        && !older_than(session.started, now, limits.max_age.unwrap_or(defaults.max_age))
        && !older_than(session.last_seen(), now, limits.idle_timeout.unwrap_or(defaults.idle_timeout))
}

fn losses(
    session: &LiveSession,
    user: &KnownUser,
    running: &Snapshot,
    next: &Snapshot,
    now: Timestamp,
) -> Vec<Loss> {
    let places = session.places();
    if places.is_empty() {
        return Vec::new();
    }
    let user_then = known_under(session, next);
    // Somebody who leaves is shut out on purpose: that waits for nobody. A provider that is gone takes
    // everybody along, and nobody may have meant that.
    if !user_then.active && next.providers.get(&session.provider).is_some() {
        return Vec::new();
    }
    places
        .iter()
        .filter_map(|place| {
            let reason = denied(place, session, &user_then, next, now)?;
            if denied(place, session, user, running, now).is_some() {
                return None;
            }
            Some(Loss { resource: place.resource.clone(), reason: reason.code() })
        })
        .collect()
}

/// Why a request that was let in once is denied under a snapshot, where it is.
fn denied(
    place: &Reached,
    session: &LiveSession,
    user: &KnownUser,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Option<Reason> {
    let subject = Subject::User(User {
        active: user.active,
        groups: &user.groups.set,
        session: session.facts(),
        name: user.name(),
        email: user.email(),
    });
    let record = place.device.as_deref().and_then(|id| snapshot.inventory.get(id));
    let facts = Facts {
        place: snapshot.policy.locate(&place.host, &place.path),
        method: &place.method,
        path: &place.path,
        client: place.client,
        now,
        address_limited: false,
        cross_origin: false,
        audit_available: true,
        subject,
        device: Device {
            trust: place.trust,
            lowered: place.lowered,
            id: place.device.as_deref(),
            standing: record.as_deref().map_or(Standing::Unrecorded, Standing::Recorded),
        },
    };
    match decide(&snapshot.policy, &facts) {
        Decision::Deny(denial) => Some(denial.reason),
        // Only a look: nothing is dialled, so this permit is not used.
        Decision::Allow(_) | Decision::Challenge(..) => None,
    }
}

/// The refusal as a person reads it. Its first line names no user: it is shown without a token.
pub(super) fn told(shut_out: &ShutOut, guard: Option<&ReloadGuard>) -> String {
    let ShutOut { sessions_denied, sessions_active, protected, people, more_people } = shut_out;
    let mut text = format!(
        "the reload was refused by `reload_guard`: it would shut out {sessions_denied} of {sessions_active} active sessions"
    );
    if let Some(most) = guard.and_then(|guard| guard.most) {
        let _ = write!(text, " (the limit is {most})");
    }
    if !protected.is_empty() {
        let names: Vec<String> = protected.iter().map(|group| format!("`{group}`")).collect();
        let s = if names.len() == 1 { "" } else { "s" };
        let _ = write!(text, ", people of the protected group{s} {} among them", names.join(", "));
    }
    text.push('\n');
    for Person { user, provider, protected: _, sessions, lost } in people {
        let lost: Vec<String> =
            lost.iter().map(|Loss { resource, reason }| format!("{resource} ({reason})")).collect();
        let of = if *sessions == 1 { "" } else { "s" };
        let _ = writeln!(text, "  {user} of {provider}, {sessions} session{of}: {}", lost.join(", "));
    }
    if *more_people > 0 {
        let _ = writeln!(text, "  and {more_people} more");
    }
    text.push_str("to load it all the same: `tiergate reload --force --reason TEXT`\n");
    text
}

#[cfg(test)]
mod tests;
