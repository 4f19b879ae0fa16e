//! Slows down those who guess passwords. Only failures count.
//!
//! Per user name: after five failures in a row the next try waits 1 s, then 2 s, 4 s … at most 5 min;
//! names that do not exist count the same, so the wait tells nothing. Per address (IPv6: per /64):
//! 100 failures in 10 min, roomy enough for an office behind one address.
//!
//! A try that was let through counts as a failure until it is reported, or ten seconds long, so that
//! many at once are no way around the wait. Who waits for that alone is told so: nothing failed.
//!
//! Invariants: the clock is a parameter; the memory is bounded; when it is full of counts that still
//! matter, what is not known there is treated as waiting, never as free.

use crate::access::Timestamp;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Failures of a name before it waits.
const FREE_FAILURES: u32 = 5;
/// The longest wait of a name, in seconds.
const MAX_WAIT: i64 = 300;
/// A name's failures are forgotten this long after its last wait, in seconds.
const FORGET_USER: i64 = 3600;
/// Failures of an address in one window.
const ADDRESS_FAILURES: u32 = 100;
/// The window of an address, in seconds.
const ADDRESS_WINDOW: i64 = 600;
/// A try that nobody reports on is forgotten after this, in seconds.
const TRY: i64 = 10;
/// Names and addresses remembered, each.
const CAPACITY: usize = 100_000;
/// The wait of what is not remembered because the memory is full, in seconds.
const FULL_WAIT: i64 = 30;
/// Full memory is searched for what expired at most this often, in seconds.
const PRUNE_EVERY: i64 = 5;

/// Why a try must wait, and how many seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// Too many failed.
    Failures(u64),
    /// As many tries of this name as may fail are being looked at.
    Tries(u64),
}

/// Counts failures.
#[derive(Debug)]
pub struct Throttle {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    users: Bounded<[u8; 32]>,
    addresses: Bounded<IpAddr>,
}

/// One count.
#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u32,
    /// Tries let through and not reported on yet.
    pending: u32,
    /// When the last of them was let through.
    tried: Timestamp,
    /// No try before this; the beginning of time where none must wait. A try that was asked for a second ago
    /// may come only now, and does not wait for the clock of another.
    until: Timestamp,
    /// Forgotten after this.
    expires: Timestamp,
}

impl Count {
    fn new(now: Timestamp) -> Self {
        Self { failures: 0, pending: 0, tried: now, until: Timestamp::MIN, expires: now }
    }

    fn pending(&self, now: Timestamp) -> u32 {
        if now.saturating_sub(self.tried) < TRY { self.pending } else { 0 }
    }

    /// Whether so many tries are being looked at that one more might fail too many times.
    fn is_busy(&self, now: Timestamp) -> bool {
        let pending = self.pending(now);
        pending > 0 && self.failures.saturating_add(pending) >= FREE_FAILURES
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl Throttle {
    /// With no failures yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    fn with_capacity(capacity: usize) -> Self {
        let inner = Inner { users: Bounded::new(capacity), addresses: Bounded::new(capacity) };
        Self { inner: Mutex::new(inner) }
    }

    /// Lets a password or code of this name be tried from this address now.
    ///
    /// # Errors
    ///
    /// Why it must wait.
    pub fn check(&self, user: &str, address: IpAddr, now: Timestamp) -> Result<(), Wait> {
        let mut inner = self.lock();
        let user = digest(user);
        let wait = inner.users.wait(&user, now).max(inner.addresses.wait(&network(address), now));
        match u64::try_from(wait) {
            Ok(0) | Err(_) => {}
            Ok(wait) => return Err(Wait::Failures(wait)),
        }
        if inner.users.counts.get(&user).is_some_and(|count| count.is_busy(now)) {
            return Err(Wait::Tries(1));
        }
        inner.users.count(user, now, |count| {
            let count = count.unwrap_or_else(|| Count::new(now));
            Count {
                pending: count.pending(now).saturating_add(1),
                tried: now,
                expires: count.expires.max(now.saturating_add(TRY)),
                ..count
            }
        });
        Ok(())
    }

    /// A password or code was wrong, or a name unknown.
    pub fn failed(&self, user: &str, address: IpAddr, now: Timestamp) {
        let mut inner = self.lock();
        inner.users.count(digest(user), now, |count| {
            let count = count.unwrap_or_else(|| Count::new(now));
            let failures = count.failures.saturating_add(1);
            let wait = match failures.checked_sub(FREE_FAILURES) {
                None => 0,
                Some(over) => 1_i64.checked_shl(over.min(16)).unwrap_or(MAX_WAIT).min(MAX_WAIT),
            };
            let until = if wait > 0 { now.saturating_add(wait) } else { count.until };
            let pending = count.pending(now).saturating_sub(1);
            let expires = now.saturating_add(wait).saturating_add(FORGET_USER);
            Count { failures, pending, until, expires, ..count }
        });
        inner.addresses.count(network(address), now, |count| {
            let fresh = Count { expires: now.saturating_add(ADDRESS_WINDOW), ..Count::new(now) };
            let count = count.unwrap_or(fresh);
            let failures = count.failures.saturating_add(1);
            let until = if failures >= ADDRESS_FAILURES { count.expires } else { count.until };
            Count { failures, until, ..count }
        });
    }

    /// The name signed in: its failures are forgotten. The address's are not, or whoever owns one
    /// account could guess at all the others for ever.
    pub fn succeeded(&self, user: &str, _address: IpAddr, _now: Timestamp) {
        self.lock().users.counts.remove(&digest(user));
    }

    /// A try that was let through did not fail, and is not all of a sign-in either: it was not looked
    /// at, or it was right and a code is due.
    pub fn did_not_fail(&self, user: &str, now: Timestamp) {
        if let Some(count) = self.lock().users.counts.get_mut(&digest(user)) {
            count.pending = count.pending(now).saturating_sub(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Counts are plain numbers: one that a panic left behind is as good as any.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts by key, at most `capacity`.
#[derive(Debug)]
struct Bounded<K> {
    counts: HashMap<K, Count>,
    capacity: usize,
    pruned: Timestamp,
}

impl<K: Eq + Hash> Bounded<K> {
    fn new(capacity: usize) -> Self {
        Self { counts: HashMap::new(), capacity, pruned: Timestamp::MIN }
    }

    /// The seconds that `key` must wait; 0 where it need not.
    fn wait(&mut self, key: &K, now: Timestamp) -> i64 {
        match self.counts.get(key).copied() {
            Some(count) if count.expires <= now => 0,
            Some(count) => count.until.saturating_sub(now).max(0),
            // Free would let a flood of made-up names switch the counting off.
            None if !self.has_room(now) => FULL_WAIT,
            None => 0,
        }
    }

    fn count(&mut self, key: K, now: Timestamp, next: impl FnOnce(Option<Count>) -> Count) {
        let known = self.counts.get(&key).copied();
        if known.is_none() && !self.has_room(now) {
            return;
        }
        let known = known.filter(|count| count.expires > now);
        self.counts.insert(key, next(known));
    }

    /// Whether one more fits, after dropping what expired.
    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.counts.len() >= self.capacity && now.saturating_sub(self.pruned) >= PRUNE_EVERY {
            self.pruned = now;
            self.counts.retain(|_, count| count.expires > now);
            if self.counts.len() >= self.capacity {
                // A name that is not waiting is the cheapest to forget: it only gets its free tries back.
                self.counts.retain(|_, count| count.until > now);
            }
        }
        self.counts.len() < self.capacity
    }
}

/// A name of any length as a key of one; as names are compared when signing in.
fn digest(user: &str) -> [u8; 32] {
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, user.trim().to_ascii_lowercase().as_bytes());
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    key
}

/// An IPv4 address, or the /64 that one IPv6 customer has.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_waits_longer_with_every_failure_whether_it_exists_or_not() {
        let throttle = Throttle::new();
        let office = address("192.0.2.1");
        for _ in 0..4 {
            throttle.failed("ann", office, 0);
            assert_eq!(throttle.check("ann", office, 0), Ok(()));
        }
        let mut now = 0;
        for want in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            throttle.failed("Ann", office, now);
            assert_eq!(throttle.check("ann", office, now), Err(Wait::Failures(want)));
            let bob = format!("bob{want}{now}");
            assert_eq!(throttle.check(&bob, office, now), Ok(()), "others do not wait");
            now += i64::try_from(want).unwrap();
            assert_eq!(throttle.check("ann", office, now), Ok(()), "after {want}");
        }
        throttle.succeeded("ann", office, now);
        throttle.failed("ann", office, now);
        assert_eq!(throttle.check("ann", office, now), Ok(()), "a success starts over");
    }

    #[test]
    fn a_try_that_was_asked_for_a_second_ago_does_not_wait_for_the_clock_of_another() {
        let throttle = Throttle::new();
        let office = address("192.0.2.1");
        assert_eq!(throttle.check("ann", office, 100), Ok(()));
        assert_eq!(throttle.check("ann", office, 99), Ok(()), "behind one that came later");
        throttle.failed("ann", office, 100);
        assert_eq!(throttle.check("ann", office, 99), Ok(()), "one failure costs no wait");
        assert_eq!(throttle.check("bob", office, 99), Ok(()), "nor does it for the address");
    }

    #[test]
    fn many_tries_at_once_are_not_more_than_one_after_another() {
        let throttle = Throttle::new();
        let office = address("192.0.2.1");
        let through = |now| (0..100).filter(|_| throttle.check("ann", office, now).is_ok()).count();
        assert_eq!(through(0), 5);
        assert_eq!(throttle.check("ann", office, 0), Err(Wait::Tries(1)), "nothing failed");
        throttle.failed("ann", office, 0);
        assert_eq!(through(0), 0, "four are not reported on, one failed");
        assert_eq!(through(10), 4, "nobody reported on them");
        for _ in 0..4 {
            throttle.failed("ann", office, 10);
        }
        assert_eq!(through(10), 0);
        assert_eq!(through(11), 1, "one at a time after that");
        throttle.succeeded("ann", office, 11);
        assert_eq!(through(11), 5);
    }

    #[test]
    fn a_try_that_did_not_fail_is_as_if_it_had_not_been_made() {
        let throttle = Throttle::new();
        let office = address("192.0.2.1");
        for _ in 0..4 {
            throttle.failed("ann", office, 0);
        }
        for _ in 0..50 {
            assert_eq!(throttle.check("ann", office, 0), Ok(()));
            assert_eq!(throttle.check("ann", office, 0), Err(Wait::Tries(1)), "one may fail");
            throttle.did_not_fail("Ann", 0);
        }
        assert_eq!(throttle.check("ann", office, 0), Ok(()));
        throttle.failed("ann", office, 0);
        assert_eq!(throttle.check("ann", office, 0), Err(Wait::Failures(1)));
        throttle.did_not_fail("nobody", 0);
        assert_eq!(throttle.lock().users.counts.len(), 1, "nothing is remembered for it");
    }

    #[test]
    fn an_address_has_a_hundred_failures_in_its_window_and_ipv6_counts_by_its_64() {
        for (one, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ] {
            let throttle = Throttle::new();
            for n in 0..99 {
                throttle.failed(&format!("user{n}"), address(one), 10);
            }
            assert_eq!(throttle.check("x", address(same), 10), Ok(()));
            throttle.failed("user99", address(one), 10);
            assert_eq!(throttle.check("x", address(same), 10), Err(Wait::Failures(600)), "{same}");
            assert_eq!(throttle.check("x", address(other), 10), Ok(()), "{other}");
            throttle.succeeded("x", address(one), 11);
            assert_eq!(
                throttle.check("x", address(same), 11),
                Err(Wait::Failures(599)),
                "no success clears it"
            );
            assert_eq!(throttle.check("x", address(same), 610), Ok(()));
        }
    }

    #[test]
    fn a_full_memory_makes_strangers_wait_until_counts_expire() {
        let throttle = Throttle::with_capacity(3);
        for user in ["a", "b", "c"] {
            for _ in 0..12 {
                throttle.failed(user, address("192.0.2.1"), 0);
            }
        }
        assert_eq!(throttle.check("stranger", address("192.0.2.1"), 0), Err(Wait::Failures(30)));
        throttle.failed("stranger", address("192.0.2.1"), 0);
        assert_eq!(throttle.lock().users.counts.len(), 3);
        assert_eq!(throttle.check("stranger", address("192.0.2.1"), 300), Ok(()), "nobody waits any more");
    }
}
