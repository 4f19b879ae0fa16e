//! How many connections there are, in all and from each address.

use crate::config::Limits;
use crate::telemetry::{Active, Metrics};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections. Bounded by the number of connections itself.
pub struct Admissions {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The right of one connection to be; given back when dropped.
pub struct Admission {
    admissions: Arc<Admissions>,
    address: IpAddr,
    _counted: Active,
}

impl Admissions {
    /// No connections yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default() })
    }

    /// Admits one more connection from this address, unless there are too many.
    #[must_use]
    pub fn admit(self: &Arc<Self>, address: IpAddr, limits: &Limits, metrics: &Metrics) -> Option<Admission> {
        let address = address_key(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let here = counts.by_address.get(&address).copied().unwrap_or(0);
        if counts.all >= limits.max_connections || here >= limits.max_connections_per_address {
            return None;
        }
        counts.all += 1;
        counts.by_address.insert(address, here + 1);
        Some(Admission { admissions: Arc::clone(self), address, _counted: metrics.connection() })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.admissions.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        match counts.by_address.get_mut(&self.address) {
            Some(here) if *here > 1 => *here -= 1,
            _ => {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: an IPv6 client owns its /64.
#[must_use]
pub fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_gets_them_back() {
        let limits = Limits { max_connections: 3, max_connections_per_address: 2, ..Limits::default() };
        let admissions = Admissions::new();
        let metrics = Metrics::new().unwrap();
        let office: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let stranger: IpAddr = "198.51.100.1".parse().unwrap();
        let first = admissions.admit(office, &limits, &metrics).unwrap();
        let second = admissions.admit(neighbour, &limits, &metrics).unwrap();
        assert!(admissions.admit(office, &limits, &metrics).is_none(), "one /64 is one address");
        let third = admissions.admit(stranger, &limits, &metrics).unwrap();
        assert!(admissions.admit(stranger, &limits, &metrics).is_none(), "the bound in all");
        drop((first, second, third));
        assert!(admissions.admit(office, &limits, &metrics).is_some());
    }
}
