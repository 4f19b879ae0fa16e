//! Proof that a request was allowed, and on what terms.

use crate::policy::{Origin, Place, RateLimit};

/// Proof that [`super::decide`] allowed a request, and on what terms.
///
/// Its fields are private and it has one maker, so the gateway cannot dial without a decision.
#[derive(Debug)]
#[must_use]
pub struct Permit<'p> {
    place: Place<'p>,
    rule: Option<&'p Origin>,
    obligations: Obligations<'p>,
}

/// What an allowed request must still undergo. Destructured without `..` where it is enforced, so
/// that a new obligation does not compile until something enforces it.
#[derive(Clone, Copy, Debug)]
pub struct Obligations<'p> {
    /// Each of these limits, keyed by user, device or service, must still have room.
    pub limits: &'p [RateLimit],
}

impl<'p> Permit<'p> {
    /// Only [`super::decide`] makes a permit.
    pub(super) fn new(place: Place<'p>, rule: Option<&'p Origin>, obligations: Obligations<'p>) -> Self {
        Self { place, rule, obligations }
    }

    /// The resource and section that the request may reach.
    #[must_use]
    pub fn place(&self) -> Place<'p> {
        self.place
    }

    /// The `allow` or `services` entry that admitted it; `None` where the tier alone did.
    #[must_use]
    pub fn rule(&self) -> Option<&'p Origin> {
        self.rule
    }

    /// What the gateway must enforce before it forwards.
    #[must_use]
    pub fn obligations(&self) -> Obligations<'p> {
        self.obligations
    }
}
