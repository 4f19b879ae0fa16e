//! The policy workbench: what a policy allows, proved, tried, explained, compared.
//!
//! Invariant: nothing here does I/O or reads a clock, and nothing here decides: what a request is
//! decided as is asked of [`crate::access::decide`]. What is said of all requests at once ([`reach`])
//! is held against it by tests.

mod check;
pub mod classes;
mod compare;
mod diff;
mod explain;
mod hypothetical;
mod matrix;
pub mod people;
mod prove;
pub mod reach;
mod remedies;
mod replay;
mod tell;
mod trials;
mod unreachable;

pub use check::{Reloaded, check, load, reload};
pub use diff::{Difference, Kind, Row as DiffRow, diff};
pub use explain::{Came, Explanation, Line, explain};
pub use hypothetical::{Circumstances, Hypothetical, NOON, Outcome, Verdict, elsewhere, implied};
pub use matrix::{Access, Cell, Row as MatrixRow, matrix};
pub use prove::{Counterexample, Proof, Prover};
pub use remedies::{Change, Way, ways};
pub use replay::{Made, Noticed, Replay, Replayed};
pub use tell::network_of;
pub use trials::{Decider, Tried, deciders, try_all, unreached};

#[cfg(test)]
mod tests;
