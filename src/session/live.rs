//! A session that is alive.

use super::reached::{Places, Reached, Visit};
use super::{Groups, SessionId};
use crate::access::{self, Timestamp};
use crate::identity::Identified;
use crate::state::StoredSession;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio_util::sync::CancellationToken;

/// What a provider said about the user, at the last proof of identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// What people and upstreams see: e-mail address or user name.
    pub user: Arc<str>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// Groups as the provider names them.
    pub groups: Vec<String>,
    /// How the user proved who they are (RFC 8176).
    pub amr: Vec<String>,
    /// More than one factor was used.
    pub mfa: bool,
    /// When the user last proved who they are.
    pub auth_time: Timestamp,
}

impl From<&Identified> for Person {
    fn from(who: &Identified) -> Self {
        Self {
            user: who.user.as_str().into(),
            email: who.email.clone(),
            name: who.name.clone(),
            groups: who.groups.clone(),
            amr: who.amr.clone(),
            mfa: who.mfa,
            auth_time: who.auth_time,
        }
    }
}

/// A session that is alive, or was until [`LiveSession::ended`] was cancelled.
#[derive(Debug)]
pub struct LiveSession {
    /// Its name.
    pub id: SessionId,
    /// The provider that vouched for the user.
    pub provider: Arc<str>,
    /// The user's stable name at the provider.
    pub subject: Arc<str>,
    /// When it began.
    pub started: Timestamp,
    person: ArcSwap<Person>,
    last_seen: AtomicI64,
    /// Used since it was last written.
    unsaved: AtomicBool,
    ended: CancellationToken,
    group_cache: ArcSwapOption<CachedGroups>,
    places: Places,
}

#[derive(Debug)]
struct CachedGroups {
    generation: u64,
    person: Arc<Person>,
    groups: Arc<Groups>,
}

impl LiveSession {
    pub(super) fn new(id: SessionId, who: &Identified, now: Timestamp) -> Self {
        Self {
            id,
            provider: who.provider.as_str().into(),
            subject: who.subject.as_str().into(),
            started: now,
            person: ArcSwap::from_pointee(Person::from(who)),
            last_seen: AtomicI64::new(now),
            unsaved: AtomicBool::new(false),
            ended: CancellationToken::new(),
            group_cache: ArcSwapOption::empty(),
            places: Places::default(),
        }
    }

    /// The user as the provider last described them.
    #[must_use]
    pub fn person(&self) -> Arc<Person> {
        self.person.load_full()
    }

    /// What matters for a decision.
    #[must_use]
    pub fn facts(&self) -> access::Session {
        let person = self.person.load();
        access::Session {
            started: self.started,
            last_seen: self.last_seen(),
            auth_time: person.auth_time,
            mfa: person.mfa,
        }
    }

    /// The user's groups, worked out by `make` once for each generation of the snapshot and each
    /// description of the user.
    #[must_use]
    pub fn groups(&self, generation: u64, make: impl FnOnce(&Person) -> Groups) -> Arc<Groups> {
        let person = self.person.load();
        if let Some(cached) = self.group_cache.load().as_deref()
            && cached.generation == generation
            && Arc::ptr_eq(&cached.person, &person)
        {
            return Arc::clone(&cached.groups);
        }
        let groups = Arc::new(make(&person));
        let cached = CachedGroups { generation, person: Arc::clone(&person), groups: Arc::clone(&groups) };
        self.group_cache.store(Some(Arc::new(cached)));
        groups
    }

    /// Notes where a request of the session was let in.
    pub fn reached(&self, visit: &Visit<'_>, now: Timestamp) {
        self.places.note(visit, now);
    }

    /// Where requests of the session were let in lately.
    #[must_use]
    pub fn places(&self) -> Arc<Vec<Arc<Reached>>> {
        self.places.all()
    }

    /// Notes that the session was used. A clock that was set back changes nothing.
    pub fn touch(&self, now: Timestamp) {
        if self.last_seen.fetch_max(now, Ordering::Relaxed) < now {
            self.unsaved.store(true, Ordering::Relaxed);
        }
    }

    /// When it was last used.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        self.last_seen.load(Ordering::Relaxed)
    }

    /// Cancelled when the session ends, so that whatever lives by it can stop at once.
    #[must_use]
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    pub(super) fn describe(&self, who: &Identified) {
        self.person.store(Arc::new(Person::from(who)));
    }

    /// Whether it was used since this was last asked.
    pub(super) fn take_unsaved(&self) -> bool {
        self.unsaved.swap(false, Ordering::Relaxed)
    }

    pub(super) fn mark_unsaved(&self) {
        self.unsaved.store(true, Ordering::Relaxed);
    }

    /// As it is kept, with the user as described by `who`.
    pub(super) fn to_stored(&self, who: &Identified) -> StoredSession {
        let Person { user, email, name, groups, amr, mfa, auth_time } = Person::from(who);
        StoredSession {
            id: self.id.0,
            provider: self.provider.to_string(),
            subject: self.subject.to_string(),
            user: user.to_string(),
            email,
            name,
            groups,
            amr,
            mfa,
            auth_time,
            started: self.started,
            last_seen: self.last_seen(),
            ended: false,
        }
    }
}

impl From<StoredSession> for LiveSession {
    fn from(stored: StoredSession) -> Self {
        let StoredSession {
            id,
            provider,
            subject,
            user,
            email,
            name,
            groups,
            amr,
            mfa,
            auth_time,
            started,
            last_seen,
            ended: _,
        } = stored;
        let person = Person { user: user.into(), email, name, groups, amr, mfa, auth_time };
        Self {
            id: SessionId(id),
            provider: provider.into(),
            subject: subject.into(),
            started,
            person: ArcSwap::from_pointee(person),
            last_seen: AtomicI64::new(last_seen),
            unsaved: AtomicBool::new(false),
            ended: CancellationToken::new(),
            group_cache: ArcSwapOption::empty(),
            places: Places::default(),
        }
    }
}
