//! What a connection remembers from one request to the next, so that what did not change is compared
//! instead of worked out again.
//!
//! Invariant: nothing here decides anything. A request is judged anew, and what is remembered is used only
//! where everything that it was made from is the same as before.

use super::assertion::{Assertion, Assertions};
use super::request::Who;
use crate::access::{DeviceTrust, Timestamp};
use crate::policy::Place;
use crate::session::{CookieMemory, Groups, Person};
use crate::snapshot::Snapshot;
use crate::telemetry::{Metrics, ResourceMetrics};
use http::{HeaderName, HeaderValue};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What one connection remembers: of each kind the last.
#[derive(Default)]
pub struct Memory {
    /// The session cookie.
    pub cookie: CookieMemory,
    counters: Mutex<Option<(PlaceKey, Arc<ResourceMetrics>)>>,
    standing: Mutex<Option<Arc<Standing>>>,
    forwarded_for: OnceLock<Option<HeaderValue>>,
}

/// A place of one snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PlaceKey {
    generation: u64,
    /// Where the section lies in memory: another one of the same snapshot lies elsewhere.
    section: usize,
}

impl PlaceKey {
    pub(super) fn of(snapshot: &Snapshot, place: Place<'_>) -> Self {
        Self { generation: snapshot.generation, section: std::ptr::from_ref(place.section()).addr() }
    }
}

/// Everything that the header fields about a subject and a device are made from.
pub(super) struct Basis {
    pub(super) place: PlaceKey,
    pub(super) who: Who,
    pub(super) person: Option<Arc<Person>>,
    pub(super) groups: Option<Arc<Groups>>,
    pub(super) device: Option<Arc<str>>,
    pub(super) trust: DeviceTrust,
    pub(super) signer: Arc<Assertions>,
}

impl Basis {
    fn is_same(&self, other: &Self) -> bool {
        let Self { place, who, person, groups, device, trust, signer } = self;
        *place == other.place
            && who.is_same(&other.who)
            && same(person.as_ref(), other.person.as_ref())
            && same(groups.as_ref(), other.groups.as_ref())
            && *device == other.device
            && *trust == other.trust
            && Arc::ptr_eq(signer, &other.signer)
    }
}

/// Whether both are the very same value. Each is held, so that no other can come to lie at its address.
fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// What an upstream is told of a subject and a device, the same for all of their requests.
pub(super) struct Standing {
    pub(super) basis: Basis,
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    /// Configured fields whose value differs from request to request.
    pub(super) templates: Vec<(HeaderName, String)>,
    pub(super) assertion: Assertion,
}

impl Memory {
    /// The address of the client, as upstreams are told it; `None` would be an address that is no text.
    pub(super) fn forwarded_for(&self, client: IpAddr) -> Option<HeaderValue> {
        self.forwarded_for.get_or_init(|| HeaderValue::try_from(client.to_string()).ok()).clone()
    }

    /// The counters of a place.
    #[must_use]
    pub fn counters(&self, metrics: &Metrics, snapshot: &Snapshot, place: Place<'_>) -> Arc<ResourceMetrics> {
        let key = PlaceKey::of(snapshot, place);
        let mut known = lock(&self.counters);
        if let Some((of, counters)) = &*known
            && *of == key
        {
            return Arc::clone(counters);
        }
        let counters = metrics.for_resource(&place.resource().name, place.section().tier);
        *known = Some((key, Arc::clone(&counters)));
        counters
    }

    /// What an upstream is told, made where something that it is made from has changed.
    pub(super) fn standing<E>(
        &self,
        basis: Basis,
        now: Timestamp,
        make: impl FnOnce(Basis) -> Result<Standing, E>,
    ) -> Result<Arc<Standing>, E> {
        let known = lock(&self.standing).clone();
        if let Some(known) =
            known.filter(|known| known.basis.is_same(&basis) && known.assertion.is_fresh(now))
        {
            return Ok(known);
        }
        let fresh = Arc::new(make(basis)?);
        *lock(&self.standing) = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
