//! Rate limits, counted per address, user, device or service, apart for each resource.

use super::admission::address_key;
use crate::policy::{Policy, RateLimit};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Keys that one limit counts before it forgets those that have their full allowance again.
const MANY_KEYS: usize = 10_000;

/// The limiters of one policy.
pub struct Limiters {
    by_resource: HashMap<String, HashMap<RateLimit, DefaultKeyedRateLimiter<Key>>>,
}

/// Whom a limit counts.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Key {
    /// An address; an IPv6 client by its /64.
    Address(IpAddr),
    /// A user, device or service by its identity.
    Name(String),
}

impl Key {
    /// The key of a client's address.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self::Address(address_key(address))
    }
}

impl Limiters {
    /// Fresh limiters for every limit of the policy.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let mut by_resource = HashMap::new();
        for resource in policy.resources() {
            let limits = resource.address_limits.iter().chain(&resource.subject_limits);
            let limiters: HashMap<_, _> =
                limits.filter_map(|limit| Some((*limit, RateLimiter::keyed(quota(limit)?)))).collect();
            if !limiters.is_empty() {
                by_resource.insert(resource.name.to_string(), limiters);
            }
        }
        Self { by_resource }
    }

    /// The limiters so far, where the limits are the same, so that a reload forgives nobody.
    #[must_use]
    pub fn keep_or_make(policy: &Policy, previous: Option<&Arc<Self>>) -> Arc<Self> {
        let made = Self::new(policy);
        match previous {
            Some(previous) if previous.counts_the_same(&made) => Arc::clone(previous),
            Some(_) | None => Arc::new(made),
        }
    }

    fn counts_the_same(&self, other: &Self) -> bool {
        self.by_resource.len() == other.by_resource.len()
            && self.by_resource.iter().all(|(name, limits)| {
                let others = other.by_resource.get(name);
                others.is_some_and(|o| {
                    o.len() == limits.len() && limits.keys().all(|limit| o.contains_key(limit))
                })
            })
    }

    /// Counts one request to a resource against one of its limits.
    ///
    /// # Errors
    /// How long to wait for the next.
    pub fn count(&self, resource: &str, limit: &RateLimit, key: &Key) -> Result<(), Duration> {
        // A limit that has no limiter is one the policy does not have: closed, not open.
        let limiter =
            self.by_resource.get(resource).and_then(|limits| limits.get(limit)).ok_or(limit.window)?;
        limiter.check_key(key).map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))
    }

    /// Forgets who has their full allowance again, where many are remembered.
    pub fn forget(&self) {
        for limiter in
            self.by_resource.values().flat_map(HashMap::values).filter(|limiter| limiter.len() > MANY_KEYS)
        {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn quota(limit: &RateLimit) -> Option<Quota> {
    let period = limit.window.checked_div(limit.requests.get())?;
    Some(Quota::with_period(period)?.allow_burst(limit.burst))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::RateLimitBy;
    use governor::clock::FakeRelativeClock;
    use std::num::NonZeroU32;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let limit = RateLimit {
            per: RateLimitBy::User,
            requests: NonZeroU32::new(2).unwrap(),
            window: Duration::from_secs(1),
            burst: NonZeroU32::new(3).unwrap(),
        };
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::dashmap_with_clock(quota(&limit).unwrap(), clock.clone());
        let key = Key::Name("a".into());
        let passed = || limiter.check_key(&key).is_ok();
        assert_eq!([passed(), passed(), passed(), passed()], [true, true, true, false]);
        clock.advance(Duration::from_millis(500));
        assert_eq!([passed(), passed()], [true, false]);
    }
}
