//! Device and workload certificates: from what a TLS peer presented to how far it is trusted, now.
//!
//! A handshake yields [`Evidence`]; trust is computed from evidence and [`TrustStore`] at `now`, on
//! every request, because a TLS connection may outlive a certificate and a resumed one is never
//! verified again.
//!
//! Invariants:
//! * Who issued a certificate decides how far it is trusted, never what the certificate says of itself.
//! * Nothing but [`Evidence::judge`] makes trust, and every way out of it but one is `none`.
//! * Only loading a [`TrustStore`] reads files, only a [`Refresher`] asks anybody, and nothing here reads a clock.

mod certificate;
mod chain;
mod crl;
mod demands;
mod evidence;
mod identity;
mod inspect;
mod judgement;
mod known_chains;
mod now;
mod ocsp;
mod signature;
mod trust_store;
mod verifier;
mod workload;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod zoo;

pub use certificate::EvidenceError;
pub use evidence::Evidence;
pub use inspect::{InspectError, Inspection, Name, Verdict, inspect};
pub use judgement::{Judgement, Presented};
pub use known_chains::KnownChains;
pub use now::judge;
pub use ocsp::{Answers, Refresher};
pub use trust_store::{ListDates, TrustStore};
pub use verifier::DeviceVerifier;
pub use workload::SpiffeId;
