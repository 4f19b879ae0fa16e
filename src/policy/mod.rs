//! The tier policy: from the text of `policies/*.yaml` to a [`Policy`] that can be decided on.
//!
//! Invariant: nothing here does I/O. Text arrives as [`crate::diagnostic::Source`]s.

mod definitions;
mod hosts;
mod lints;
mod locate;
mod model;
mod names;
mod raw;
mod resolve;
mod resources;
mod rules;
mod schema;
mod sections;
mod traffic;
mod values;

pub use locate::Place;
pub use model::{
    Authentication, Cors, Group, Methods, Network, Origin, Policy, RateLimit, RateLimitBy, Resource, Rule,
    Section, Service, ServiceEntry, ServiceId, SessionLimits, older_than, within,
};
pub use resolve::{Known, check, resolve, resolve_known};
pub use schema::schema;

#[cfg(test)]
pub(crate) mod tests;
