//! What responders said, by certificate: looked up in memory, refreshed beside the requests.

use super::wire::{Answer, Asked, Status};
use crate::access::Timestamp;
use crate::device::certificate::Window;
use crate::device::crl::Revocation;
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Certificates whose answers are kept: more than there are connections by default.
const MAX_ENTRIES: usize = 100_000;
/// Certificates that wait to be asked about for the first time; of more the next round sees to it.
const MAX_WAITING: usize = 4096;
/// The longest that a fresh answer is relied on before it is asked for again, in seconds.
const REFRESH: i64 = 3600;
/// Between two questions about one certificate after a failure, and after many, in seconds.
const RETRY: i64 = 30;
const LONGEST_RETRY: i64 = 3600;

/// What responders said. One value a process, kept across reloads.
#[derive(Debug)]
pub struct Answers {
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    most: usize,
    waiting: mpsc::Sender<Arc<Entry>>,
    pub(super) taken: Mutex<Option<mpsc::Receiver<Arc<Entry>>>>,
}

/// One certificate, as one authority's responder is asked about it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    authority: Arc<str>,
    url: Arc<str>,
    /// SHA-256 of the issuer's `SubjectPublicKeyInfo`.
    issuer: [u8; 32],
    serial: Box<[u8]>,
}

/// What is known of one certificate.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) url: Arc<str>,
    pub(super) asked: Asked,
    /// The last answer that counted.
    answer: ArcSwapOption<Answer>,
    /// Counts up with every answer, and once more when the entry is dropped.
    version: AtomicU64,
    /// When somebody first wanted to know.
    since: Timestamp,
    next: AtomicI64,
    failures: AtomicU32,
    /// It waits or is being asked about.
    pub(super) busy: AtomicBool,
}

/// What a judgement relied on.
#[derive(Debug)]
pub(in crate::device) struct Watch {
    entry: Arc<Entry>,
    version: u64,
}

impl Watch {
    /// Whether nothing new is known since.
    pub(in crate::device) fn holds(&self) -> bool {
        self.entry.version.load(Ordering::Acquire) == self.version
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::with_most(MAX_ENTRIES)
    }
}

impl Answers {
    pub(super) fn with_most(most: usize) -> Self {
        let (waiting, taken) = mpsc::channel(MAX_WAITING);
        Self { entries: Mutex::default(), most, waiting, taken: Mutex::new(Some(taken)) }
    }

    /// Whether a certificate is revoked, as far as is known at `now`. What is not known yet, or grows
    /// old, is marked to be asked for; nothing is waited for.
    pub(in crate::device) fn status(
        &self,
        authority: &Arc<str>,
        url: &str,
        asked: Asked,
        now: Timestamp,
    ) -> (Revocation, Option<Watch>) {
        let Some(entry) = self.entry(authority, url, asked, now) else {
            return (Revocation::Stale(Window::at(now)), None);
        };
        if entry.next.load(Ordering::Relaxed) <= now {
            self.want(&entry);
        }
        // Before the answer: one that comes in between is then seen as new.
        let version = entry.version.load(Ordering::Acquire);
        (entry.revocation(now), Some(Watch { entry, version }))
    }

    fn entry(&self, authority: &Arc<str>, url: &str, asked: Asked, now: Timestamp) -> Option<Arc<Entry>> {
        let mut issuer = [0; 32];
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &asked.issuer_key);
        for (to, from) in issuer.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        let serial = asked.serial.clone().into_boxed_slice();
        let key = Key { authority: Arc::clone(authority), url: url.into(), issuer, serial };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&key) {
            return Some(Arc::clone(entry));
        }
        if entries.len() >= self.most {
            // The one that nobody relies on and that is over first.
            let unused = entries.iter().filter(|(_, entry)| Arc::strong_count(entry) == 1);
            let least = unused.min_by_key(|(_, entry)| entry.until()).map(|(key, _)| key.clone())?;
            if let Some(dropped) = entries.remove(&least) {
                dropped.version.fetch_add(1, Ordering::AcqRel);
            }
        }
        let entry = Arc::new(Entry {
            url: Arc::clone(&key.url),
            asked,
            answer: ArcSwapOption::empty(),
            version: AtomicU64::new(0),
            since: now,
            next: AtomicI64::new(Timestamp::MIN),
            failures: AtomicU32::new(0),
            busy: AtomicBool::new(false),
        });
        entries.insert(key, Arc::clone(&entry));
        Some(entry)
    }

    fn want(&self, entry: &Arc<Entry>) {
        if !entry.busy.swap(true, Ordering::AcqRel) && self.waiting.try_send(Arc::clone(entry)).is_err() {
            entry.busy.store(false, Ordering::Release);
        }
    }

    /// Marks what connections rely on and what grows old, and forgets what nobody relies on and is over;
    /// not before its next attempt, or a client that comes back would have it asked about each time.
    pub(super) fn round(&self, now: Timestamp) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| {
            let used = Arc::strong_count(entry) > 1;
            let due = entry.next.load(Ordering::Relaxed) <= now;
            if used && due {
                self.want(entry);
            }
            used || !due || entry.until() >= now
        });
    }

    /// Whether anybody is being asked or waits to be.
    #[cfg(test)]
    pub(super) fn busy(&self) -> bool {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.values().any(|entry| entry.busy.load(Ordering::Acquire))
    }

    /// How old the oldest answer is that a connection relies on, in seconds; where one waits for its
    /// first, since when.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<i64> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let used = entries.values().filter(|entry| Arc::strong_count(entry) > 1);
        let oldest = used.map(|entry| entry.answer.load().as_ref().map_or(entry.since, |answer| answer.made));
        oldest.min().map(|oldest| now.saturating_sub(oldest))
    }
}

impl Entry {
    fn revocation(&self, now: Timestamp) -> Revocation {
        match self.answer.load().as_deref() {
            None | Some(Answer { status: Status::Unknown, .. }) => Revocation::Stale(Window::ALWAYS),
            Some(Answer { status: Status::Revoked, .. }) => Revocation::Revoked,
            Some(Answer { status: Status::Good, window, .. }) => Revocation::within(*window, now),
        }
    }

    /// The last second of what is known. That a certificate is revoked is not forgotten for its age.
    fn until(&self) -> Timestamp {
        self.answer.load().as_ref().map_or(Timestamp::MIN, |answer| match answer.status {
            Status::Revoked => Timestamp::MAX,
            Status::Good | Status::Unknown => answer.window.until,
        })
    }

    /// Takes an answer; whether the certificate has just become a revoked one.
    pub(super) fn take(&self, answer: Answer, now: Timestamp) -> bool {
        self.busy.store(false, Ordering::Release);
        // Half of what is left, so that more attempts fit, but soon enough to hear of a revocation.
        let left = answer.window.until.saturating_sub(now) / 2;
        let wait = if left > 0 { left.min(REFRESH) } else { RETRY };
        self.next.store(now.saturating_add(wait), Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        let known = self.answer.load_full();
        // A responder behind a cache may give an older answer than before.
        if known.as_ref().is_some_and(|known| known.made > answer.made) {
            return false;
        }
        self.answer.store(Some(Arc::new(answer)));
        self.version.fetch_add(1, Ordering::AcqRel);
        let was = known.is_some_and(|known| known.status == Status::Revoked);
        answer.status == Status::Revoked && !was
    }

    /// No usable answer: later, and later each time. The last one goes on until it is over.
    pub(super) fn failed(&self, now: Timestamp) {
        self.busy.store(false, Ordering::Release);
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(10);
        let wait = RETRY.saturating_mul(1 << failures).min(LONGEST_RETRY);
        self.next.store(now.saturating_add(wait), Ordering::Relaxed);
    }
}
