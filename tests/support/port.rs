//! Ports for the processes that a test starts.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Loopback ports below those that Linux gives away by itself (from 32768 on), so that neither an upstream
/// on any port nor the near end of a connection takes one between here and the process it is meant for.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// A port that nothing listens on; never the same twice from one test binary.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run at the same time begin far from each other.
    let first = std::process::id().wrapping_mul(7_919) % u32::from(COUNT);
    loop {
        let next = u32::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from((first + next) % u32::from(COUNT)).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
