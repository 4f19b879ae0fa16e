//! The device management that is asked regularly for the devices that it knows.
//!
//! Invariants:
//! * A pull counts whole or not at all: where a page cannot be had or read, nothing is known differently, and
//!   the inventory is as old as it was.
//! * A value that cannot be read is left out and counted; none is guessed.
//! * Every answer, their number, and the time for all of them have a bound; no address of another origin is
//!   asked, and the token goes nowhere else.
//! * No token and no secret is in an error or a log.

mod ask;
mod kept;
mod map;
mod pause;
mod pull;
mod task;
mod written;

pub use task::{DeviceSync, Parts};

#[cfg(test)]
mod tests;
