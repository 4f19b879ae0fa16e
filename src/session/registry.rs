//! Every session: alive ones in memory, all of them on disk.
//!
//! Invariants: a session is on disk before anybody is told of it; it is dead in memory before its
//! end is written, and an end that could not be written is written later; the number of sessions
//! is bounded, for each user and in all.

use super::{LiveSession, SessionId};
use crate::access::Timestamp;
use crate::identity::Identified;
use crate::state::{State, StateError};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Sessions of one user; one more ends the oldest.
const MOST_OF_USER: usize = 100;
/// Sessions in all; beyond them nobody can sign in.
const MOST: usize = 1_000_000;
/// Rows written in one transaction.
const BATCH: usize = 1000;
/// Groups that a provider may name.
const MOST_GROUPS: usize = 10_000;
/// Bytes of all that a provider says of a user.
const MOST_BYTES: usize = 256 * 1024;

/// Why a session could not begin, change or end.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// It could not be written.
    #[error("the session could not be written")]
    State(#[from] StateError),
    /// No room for another.
    #[error("there are as many sessions as can be kept")]
    Full,
    /// The provider says more of the user than can be kept. Nothing is left out of it, because a
    /// group that is left out may be one that a `deny` rule names.
    #[error("the provider `{0}` says too much about the user")]
    TooLarge(String),
    /// It is not alive any more.
    #[error("the session has ended")]
    Ended,
    /// The system gave no randomness.
    #[error("no randomness for a session")]
    Random,
}

/// What a name leads to.
#[derive(Debug)]
pub enum Found {
    /// A session that is alive.
    Live(Arc<LiveSession>),
    /// A session that was ended before its time.
    Ended,
    /// Nothing that is known: it has expired, or never was.
    Unknown,
}

type UserKey = (Arc<str>, Arc<str>);

/// Every session.
#[derive(Debug)]
pub struct Sessions {
    state: Arc<State>,
    live: papaya::HashMap<SessionId, Arc<LiveSession>>,
    /// When those that were ended had begun; each is forgotten when it would have expired.
    ended: papaya::HashMap<SessionId, Timestamp>,
    /// Oldest first, by provider and subject.
    of_user: Mutex<HashMap<UserKey, Vec<SessionId>>>,
    /// Ended in memory, but not on disk yet.
    unsaved_ends: Mutex<HashSet<[u8; 16]>>,
    longest: AtomicI64,
}

impl Sessions {
    /// Reads the sessions that were kept. `longest` is the greatest age of any session: the
    /// greatest `max_age` of the configuration and of the policy.
    ///
    /// # Errors
    ///
    /// Where the state cannot be read.
    pub async fn open(state: Arc<State>, longest: Duration, now: Timestamp) -> Result<Self, SessionError> {
        let sessions = Self {
            live: papaya::HashMap::new(),
            ended: papaya::HashMap::new(),
            of_user: Mutex::default(),
            unsaved_ends: Mutex::default(),
            longest: AtomicI64::new(seconds(longest)),
            state,
        };
        for stored in sessions.state.sessions().await? {
            let id = SessionId(stored.id);
            if sessions.is_expired(stored.started, now) {
                continue;
            }
            if stored.ended {
                sessions.ended.pin().insert(id, stored.started);
            } else {
                sessions.admit(Arc::new(LiveSession::from(stored)));
            }
        }
        Ok(sessions)
    }

    /// Changes the greatest age of any session, after a reload. What has expired stays expired.
    pub fn set_longest(&self, longest: Duration) {
        self.longest.store(seconds(longest), Ordering::Relaxed);
    }

    /// Begins a session, under a name that was never seen before.
    ///
    /// # Errors
    ///
    /// Where it cannot be kept.
    pub async fn begin(&self, who: &Identified, now: Timestamp) -> Result<Arc<LiveSession>, SessionError> {
        if self.active() >= MOST {
            return Err(SessionError::Full);
        }
        check_size(who)?;
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| SessionError::Random)?;
        let session = Arc::new(LiveSession::new(SessionId(id), who, now));
        self.state.put_session(&session.to_stored(who)).await?;
        let surplus = self.admit(Arc::clone(&session));
        if let Err(error) = self.end_all(&surplus).await {
            // In force already and owed to the disk; no reason to refuse the new one.
            tracing::warn!(%error, "the end of a user's oldest session was not written yet");
        }
        Ok(session)
    }

    /// What a name leads to.
    #[must_use]
    pub fn find(&self, id: SessionId) -> Found {
        if let Some(session) = self.live.pin().get(&id) {
            return Found::Live(Arc::clone(session));
        }
        if self.ended.pin().contains_key(&id) { Found::Ended } else { Found::Unknown }
    }

    /// Notes that the same user proved who they are once more, on every host at once.
    ///
    /// # Errors
    ///
    /// Where it cannot be written, or the session has ended meanwhile.
    pub async fn reauthenticated(&self, session: &LiveSession, who: &Identified) -> Result<(), SessionError> {
        check_size(who)?;
        if session.ended().is_cancelled() || !self.state.update_session(&session.to_stored(who)).await? {
            return Err(SessionError::Ended);
        }
        session.describe(who);
        Ok(())
    }

    /// Ends a session: new requests and open connections at once, on every host. `false` where it
    /// was not alive.
    ///
    /// # Errors
    ///
    /// Where the end could not be written. It is in force all the same, and written later.
    pub async fn end(&self, id: SessionId) -> Result<bool, SessionError> {
        Ok(self.end_all(&[id]).await? == 1)
    }

    /// Ends every session of a user; answers how many.
    ///
    /// # Errors
    ///
    /// As [`Sessions::end`].
    pub async fn end_of_user(&self, provider: &str, subject: &str) -> Result<usize, SessionError> {
        let key = (provider.into(), subject.into());
        let ids = lock(&self.of_user).get(&key).cloned().unwrap_or_default();
        self.end_all(&ids).await
    }

    /// How many are alive.
    #[must_use]
    pub fn active(&self) -> usize {
        self.live.len()
    }

    /// Those that are alive.
    pub fn iter(&self) -> impl Iterator<Item = Arc<LiveSession>> + use<> {
        let sessions: Vec<_> = self.live.pin().values().map(Arc::clone).collect();
        sessions.into_iter()
    }

    /// Ends what has expired, and writes what was not written yet. To be called every 30 seconds,
    /// and before the program ends.
    ///
    /// # Errors
    ///
    /// Where something could not be written; the next call tries again.
    pub async fn flush(&self, now: Timestamp) -> Result<(), SessionError> {
        self.expire(now);
        let ends: Vec<_> = lock(&self.unsaved_ends).iter().copied().collect();
        for batch in ends.chunks(BATCH) {
            self.write_ends(batch).await?;
        }
        let longest = self.longest.load(Ordering::Relaxed);
        self.state.forget_sessions(now.saturating_sub(longest)).await?;
        let seen: Vec<_> = self.iter().filter(|session| session.take_unsaved()).collect();
        for (at, batch) in seen.chunks(BATCH).enumerate() {
            let rows: Vec<_> = batch.iter().map(|s| (s.id.0, s.last_seen())).collect();
            if let Err(error) = self.state.seen(&rows).await {
                seen.iter().skip(at * BATCH).for_each(|session| session.mark_unsaved());
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn end_all(&self, ids: &[SessionId]) -> Result<usize, SessionError> {
        let ended: Vec<_> = ids
            .iter()
            .filter_map(|id| self.remove(*id))
            .map(|session| {
                // Where there is no room, it is merely called unknown instead of ended.
                if self.ended.len() < MOST {
                    self.ended.pin().insert(session.id, session.started);
                }
                session.ended().cancel();
                session.id.0
            })
            .collect();
        let count = ended.len();
        if count > 0 {
            self.write_ends(&ended).await?;
        }
        Ok(count)
    }

    async fn write_ends(&self, ids: &[[u8; 16]]) -> Result<(), SessionError> {
        // Owed until it is written, even where this future is dropped half way.
        lock(&self.unsaved_ends).extend(ids);
        self.state.end_sessions(ids).await?;
        let mut unsaved = lock(&self.unsaved_ends);
        for id in ids {
            unsaved.remove(id);
        }
        Ok(())
    }

    /// Ends what is older than any session may be, and answers what that was.
    pub fn expire(&self, now: Timestamp) -> Vec<Arc<LiveSession>> {
        let mut expired = Vec::new();
        for session in self.iter().filter(|session| self.is_expired(session.started, now)) {
            self.remove(session.id);
            session.ended().cancel();
            expired.push(session);
        }
        self.ended.pin().retain(|_, started| !self.is_expired(*started, now));
        expired
    }

    fn is_expired(&self, started: Timestamp, now: Timestamp) -> bool {
        now.saturating_sub(started) > self.longest.load(Ordering::Relaxed)
    }

    /// Makes a session known; answers the user's oldest ones that are now too many.
    fn admit(&self, session: Arc<LiveSession>) -> Vec<SessionId> {
        let mut of_user = lock(&self.of_user);
        let ids = of_user.entry((session.provider.clone(), session.subject.clone())).or_default();
        ids.push(session.id);
        let surplus = ids.len().saturating_sub(MOST_OF_USER);
        let surplus = ids.iter().take(surplus).copied().collect();
        self.live.pin().insert(session.id, session);
        surplus
    }

    fn remove(&self, id: SessionId) -> Option<Arc<LiveSession>> {
        let mut of_user = lock(&self.of_user);
        let session = self.live.pin().remove(&id).map(Arc::clone)?;
        let key = (session.provider.clone(), session.subject.clone());
        if let Some(ids) = of_user.get_mut(&key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                of_user.remove(&key);
            }
        }
        Some(session)
    }
}

fn check_size(who: &Identified) -> Result<(), SessionError> {
    let texts = [&who.provider, &who.subject, &who.user].into_iter();
    let bytes: usize =
        texts.chain(&who.email).chain(&who.name).chain(&who.groups).chain(&who.amr).map(String::len).sum();
    if bytes > MOST_BYTES || who.groups.len() > MOST_GROUPS {
        return Err(SessionError::TooLarge(who.provider.clone()));
    }
    Ok(())
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
