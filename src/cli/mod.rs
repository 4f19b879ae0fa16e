//! The commands, one file each.

pub mod admin_client;
pub mod audit_lines;
pub mod ca;
pub mod check;
mod check_rehearsal;
pub mod demo;
pub mod device;
mod device_words;
pub mod diff;
pub mod explain;
pub mod inspect;
pub mod matrix;
pub mod policies;
pub mod reload;
pub mod schema;
pub mod serve;
pub mod test;
pub mod user;

/// The exit code for wrong usage, a configuration that cannot be used, and I/O that failed.
pub const UNUSABLE: u8 = 2;
