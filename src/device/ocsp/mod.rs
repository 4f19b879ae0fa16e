//! OCSP (RFC 6960): whether the authority's responder says that a certificate is revoked.
//!
//! Nobody waits for a responder. A judgement asks [`Answers`], which is memory, and marks what it did
//! not find; [`Refresher`] fetches that beside the requests, and again before an answer grows old.
//!
//! Invariants:
//! * An answer counts only where the certificate's issuer, or whom it delegated, signed it.
//! * Who is asked is said by the configuration, or by a certificate that has been verified.
//! * Entries, fetches under way, bytes of an answer and the time of a fetch are bounded.

mod answers;
mod fetch;
mod wire;

pub use answers::Answers;
pub(super) use answers::Watch;
pub use fetch::Refresher;
pub(super) use wire::Asked;

#[cfg(test)]
pub(super) mod responder;
#[cfg(test)]
mod tests;
