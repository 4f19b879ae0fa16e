//! The tier policy: from the text of `policies/*.yaml` to a [`Policy`] that can be decided on.
//!
//! Invariant: nothing here does I/O. Text arrives as [`crate::diagnostic::Source`]s.

mod claims;
mod definitions;
mod group_names;
mod hosts;
mod lints;
mod locate;
mod model;
mod names;
mod parsed;
mod posture;
mod promises;
mod raw;
mod resolve;
mod resources;
mod rules;
mod schema;
mod sections;
mod traffic;
mod values;

pub use claims::{Assertion, Claim, Expected, Given, Promise, Services, Trial, Who, Written};
pub use group_names::GroupNames;
pub use locate::Place;
pub use model::{
    Authentication, Cors, Group, Methods, NamedNetwork, Origin, Policy, RateLimit, RateLimitBy, Resource,
    Rule, Section, Service, ServiceEntry, ServiceId, SessionLimits, older_than, within,
};
pub use parsed::Parsed;
pub use posture::{Posture, Postures, Unmet};
pub use promises::{RequestError, address_of, request_line};
pub use resolve::{Known, Open, open, resolve};
pub use schema::schema;

#[cfg(test)]
pub(crate) mod tests;
