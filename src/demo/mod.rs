//! `tiergate demo`: a working estate in one folder, to look at and to try things on.
//!
//! Invariants:
//! * Everything listens on loopback; another address is refused.
//! * What is there is kept: a second run renews certificates before they expire and otherwise only
//!   rewrites the three addresses that it put into `tiergate.yaml` itself, and the schemas for editors.
//! * Private keys, passwords and tokens are readable by their owner only.

mod browser;
pub mod check;
mod estate;
mod pki;
pub mod upstream;

pub use estate::{Estate, EstateError, HOSTS, Options, USERS};
pub use pki::Pki;
