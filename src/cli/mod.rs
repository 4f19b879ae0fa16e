//! The commands, one file each.

pub mod check;
pub mod demo;
pub mod schema;
pub mod serve;
pub mod user;

/// The exit code for wrong usage, a configuration that cannot be used, and I/O that failed.
pub const UNUSABLE: u8 = 2;
