//! What a session was let into lately: what a reload must not take away unnoticed.
//!
//! Invariant: bounded in number and bytes for each session, and free of locks: a request that finds
//! its place noted as it is writes one number and nothing else.

use crate::access::{DeviceTrust, Reason, Timestamp};
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Places of one session that are remembered; one more forgets the one used longest ago.
const MOST: usize = 8;
/// Bytes of a path that are kept.
const MOST_PATH: usize = 1024;

/// A request that was let in, as it is noted.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The resource.
    pub resource: &'a str,
    /// The path prefix of the section of it that decided; empty for the whole resource.
    pub section: &'a str,
    /// The canonical host.
    pub host: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// The method.
    pub method: &'a str,
    /// The client's address.
    pub client: IpAddr,
    /// The device's identity.
    pub device: Option<&'a str>,
    /// How far the device was trusted.
    pub trust: DeviceTrust,
    /// What lowered that.
    pub lowered: Option<Reason>,
}

/// A place that a session was let into, with the last request there that differed from the one before.
#[derive(Debug)]
pub struct Reached {
    /// The resource.
    pub resource: String,
    section: String,
    /// The canonical host.
    pub host: String,
    /// The canonical path; a long one up to one of its slashes.
    pub path: String,
    /// The method.
    pub method: String,
    /// The client's address.
    pub client: IpAddr,
    /// The device's identity; the inventory is asked for it anew.
    pub device: Option<Box<str>>,
    /// How far the device was trusted.
    pub trust: DeviceTrust,
    /// What lowered that.
    pub lowered: Option<Reason>,
    last: AtomicI64,
}

impl Reached {
    fn new(visit: &Visit<'_>, now: Timestamp) -> Self {
        let Visit { resource, section, host, path, method, client, device, trust, lowered } = *visit;
        Self {
            resource: resource.to_owned(),
            section: section.to_owned(),
            host: host.to_owned(),
            path: bounded(path).to_owned(),
            method: method.to_owned(),
            client,
            device: device.map(Into::into),
            trust,
            lowered,
            last: AtomicI64::new(now),
        }
    }

    fn is_place_of(&self, visit: &Visit<'_>) -> bool {
        self.section == visit.section && self.resource == visit.resource && self.host == visit.host
    }

    /// Whether noting the visit would tell nothing new. A page is many requests to many paths of one
    /// section, so of those one a second is enough.
    fn says_as_much(&self, visit: &Visit<'_>, now: Timestamp) -> bool {
        self.method == visit.method
            && self.client == visit.client
            && self.device.as_deref() == visit.device
            && self.trust == visit.trust
            && self.lowered == visit.lowered
            && (self.last() >= now || self.path == bounded(visit.path))
    }

    fn last(&self) -> Timestamp {
        self.last.load(Ordering::Relaxed)
    }
}

/// The places of one session.
#[derive(Debug, Default)]
pub(super) struct Places(ArcSwap<Vec<Arc<Reached>>>);

impl Places {
    /// Notes a request that was let in.
    pub(super) fn note(&self, visit: &Visit<'_>, now: Timestamp) {
        if let Some(known) = self.0.load().iter().find(|known| known.is_place_of(visit))
            && known.says_as_much(visit, now)
        {
            // A clock that was set back changes nothing; the number is written when it is another.
            if known.last() < now {
                known.last.store(now, Ordering::Relaxed);
            }
            return;
        }
        let fresh = Arc::new(Reached::new(visit, now));
        self.0.rcu(|places| {
            let mut next: Vec<_> =
                places.iter().filter(|known| !known.is_place_of(visit)).map(Arc::clone).collect();
            if next.len() >= MOST
                && let Some((oldest, _)) = next.iter().enumerate().min_by_key(|(_, known)| known.last())
            {
                next.swap_remove(oldest);
            }
            next.push(Arc::clone(&fresh));
            next
        });
    }

    /// What is noted.
    pub(super) fn all(&self) -> Arc<Vec<Arc<Reached>>> {
        self.0.load_full()
    }
}

/// A path up to one of its slashes, so that it leads to the same place as far as it goes.
fn bounded(path: &str) -> &str {
    if path.len() <= MOST_PATH {
        return path;
    }
    let head = path.get(..path.floor_char_boundary(MOST_PATH)).unwrap_or_default();
    head.rfind('/').and_then(|slash| head.get(..=slash)).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISIT: Visit<'_> = Visit {
        resource: "payroll",
        section: "",
        host: "payroll.corp.example",
        path: "/a",
        method: "GET",
        client: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        device: None,
        trust: DeviceTrust::Issued,
        lowered: None,
    };

    fn shown(places: &Places) -> Vec<String> {
        let all = places.all();
        all.iter().map(|it| format!("{} {}{}", it.method, it.resource, it.path)).collect()
    }

    #[test]
    fn a_place_is_noted_once_with_the_last_request_there() {
        let places = Places::default();
        for (visit, now, want) in [
            (VISIT, 100, vec!["GET payroll/a"]),
            (VISIT, 101, vec!["GET payroll/a"]),
            // Another path in the same second tells little; in the next one it takes the place.
            (Visit { path: "/b", ..VISIT }, 101, vec!["GET payroll/a"]),
            (Visit { path: "/b", ..VISIT }, 102, vec!["GET payroll/b"]),
            // What rules ask about is noted at once.
            (Visit { method: "POST", ..VISIT }, 102, vec!["POST payroll/a"]),
            (Visit { section: "/admin", ..VISIT }, 102, vec!["POST payroll/a", "GET payroll/a"]),
            (
                Visit { trust: DeviceTrust::None, section: "/admin", path: "/c", ..VISIT },
                102,
                vec!["POST payroll/a", "GET payroll/c"],
            ),
        ] {
            places.note(&visit, now);
            assert_eq!(shown(&places), want, "{visit:?} at {now}");
        }
    }

    #[test]
    fn what_is_noted_already_is_not_written_again() {
        let places = Places::default();
        places.note(&VISIT, 100);
        let before = places.all();
        places.note(&VISIT, 200);
        assert!(Arc::ptr_eq(&before, &places.all()));
        assert_eq!(before[0].last(), 200);
        places.note(&VISIT, 150);
        assert_eq!(before[0].last(), 200, "a clock that was set back changes nothing");
    }

    #[test]
    fn the_place_used_longest_ago_makes_room() {
        let places = Places::default();
        let names: Vec<String> = (0..=MOST).map(|n| format!("r{n}")).collect();
        for (name, now) in names.iter().take(MOST).zip(100..) {
            places.note(&Visit { resource: name, ..VISIT }, now);
        }
        places.note(&Visit { resource: "r0", ..VISIT }, 200);
        places.note(&Visit { resource: &names[MOST], ..VISIT }, 201);
        let kept: Vec<_> = places.all().iter().map(|it| it.resource.clone()).collect();
        assert_eq!(kept.len(), MOST);
        assert!(kept.contains(&"r0".to_owned()) && !kept.contains(&"r1".to_owned()), "{kept:?}");
    }

    #[test]
    fn a_long_path_is_kept_up_to_one_of_its_slashes() {
        let long = format!("/admin/{}/{}", "a".repeat(500), "é".repeat(900));
        assert_eq!(bounded(&long).len(), 508);
        assert!(long.starts_with(bounded(&long)));
        assert_eq!(bounded(&format!("/{}", "a".repeat(2000))), "/");
        assert_eq!(bounded("/a/b"), "/a/b");
    }
}
