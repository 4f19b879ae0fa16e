//! Tickets: how a host gets a session cookie of its own from a sign-in on the login host.
//!
//! Invariants: a ticket is good for one host, one browser, one use and [`TICKET_LIFE`]; what is
//! remembered of used ones is bounded, and while it is full no ticket is taken.

use super::{Purpose, Sealer, SessionId};
use crate::access::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How long a ticket is good, in seconds.
pub const TICKET_LIFE: Timestamp = 60;

/// The right to a session cookie on one host.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ticket {
    pub(crate) session: [u8; 16],
    pub(crate) browser: [u8; 32],
    pub(crate) id: [u8; 16],
    /// The process that issued it.
    pub(crate) process: [u8; 16],
    pub(crate) issued: Timestamp,
    pub(crate) to: String,
    /// Asked for after a ticket that had come back in another browser: there is no third one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) again: bool,
}

impl Ticket {
    /// A ticket for a session, the browser with this hash, and the path to go on to; `None` where
    /// the system gives no randomness.
    #[must_use]
    pub fn issue(
        session: SessionId,
        browser: [u8; 32],
        process: [u8; 16],
        to: &str,
        now: Timestamp,
    ) -> Option<Self> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).ok()?;
        Some(Self { session: session.0, browser, id, process, issued: now, to: to.to_owned(), again: false })
    }

    /// As it travels in the URL, for this host.
    #[must_use]
    pub fn seal(&self, sealer: &Sealer, host: &str) -> String {
        match serde_json::to_vec(self) {
            Ok(plain) => sealer.seal(Purpose::Ticket, host, &plain),
            Err(_) => String::new(),
        }
    }

    /// Opens a ticket that arrived on this host. Says nothing about its age or use.
    #[must_use]
    pub fn open(sealer: &Sealer, host: &str, text: &str) -> Option<Self> {
        serde_json::from_slice(&sealer.open(Purpose::Ticket, host, text)?).ok()
    }

    /// The session that it is a right to.
    #[must_use]
    pub fn session(&self) -> SessionId {
        SessionId(self.session)
    }

    /// Whether it is good at `now`.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.checked_sub(self.issued).is_some_and(|age| (0..=TICKET_LIFE).contains(&age))
    }
}

/// Names that were used, each remembered for `life` seconds.
#[derive(Debug)]
pub struct UsedOnce {
    life: Timestamp,
    most: usize,
    refuses_when_full: bool,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    names: HashSet<[u8; 16]>,
    by_time: VecDeque<(Timestamp, [u8; 16])>,
}

impl UsedOnce {
    /// Remembers at most `most` names, and takes no more while it is full.
    #[must_use]
    pub fn new(life: Timestamp, most: usize) -> Self {
        Self { life, most, refuses_when_full: true, used: Mutex::default() }
    }

    /// Remembers at most `most` names, the newest ones: for what somebody else looks at as well,
    /// and strangers could fill up.
    #[must_use]
    pub fn forgetting_the_oldest(life: Timestamp, most: usize) -> Self {
        Self { refuses_when_full: false, ..Self::new(life, most) }
    }

    /// Uses a name: `true` the first time only.
    #[must_use]
    pub fn first_use(&self, name: [u8; 16], now: Timestamp) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let Used { names, by_time } = &mut *used;
        // One second more than their life, so that no name is forgotten while it is still good.
        while let Some((at, old)) = by_time.front().copied() {
            if now.saturating_sub(at) <= self.life {
                break;
            }
            by_time.pop_front();
            names.remove(&old);
        }
        if names.contains(&name) {
            return false;
        }
        if names.len() >= self.most {
            if self.refuses_when_full {
                return false;
            }
            if let Some((_, oldest)) = by_time.pop_front() {
                names.remove(&oldest);
            }
        }
        names.insert(name);
        by_time.push_back((now, name));
        true
    }
}
