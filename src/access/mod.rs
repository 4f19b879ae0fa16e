//! The policy decision point: from a policy and the facts of one request to a decision.
//!
//! Invariant: nothing here reads a clock, a file or the network, and nothing here names the proxy
//! framework, a runtime or a database. Time arrives as a field of [`Facts`].

mod decide;
mod facts;
mod permit;
mod reason;
mod record;
mod tier;

pub use decide::{Decision, Denial, Passed, Step, Watcher, decide, decide_watched};
pub use facts::{Absent, Device, Facts, GroupSet, Session, Subject, Timestamp, User};
pub use permit::{Obligations, Permit};
pub use reason::Reason;
pub use record::{Ownership, PostureFacts, Record, Standing, State};
pub use tier::{DeviceTrust, Tier};
