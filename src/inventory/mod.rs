//! What the organisation knows of its devices.
//!
//! Three sources say it: a file, the admin API and a device management that is asked regularly. None of
//! them can give trust, and each can take it: of what they say of a device's state, ownership and trust the
//! most restrictive counts, whoever says it. Everything else is taken from the first that says it.
//!
//! Invariants:
//! * A record is replaced whole: a request sees all of one version of it.
//! * Whatever changes a record makes requests under way be judged again.

mod file;
mod form;
mod intern;
mod key;
mod known;
mod lines;
mod merge;
mod store;
pub mod sync;

pub use file::{FileRecords, Unread, read};
pub use form::{Facts, Form, FormError, KEYS, MOST_NOTES, Written, from_json, from_json_of, patched};
pub use intern::Interner;
pub use lines::{Lines, MOST_LINE_BYTES, MOST_RECORDS, Mistake, Read};
pub use merge::restricts;
pub use store::{Change, Inventory, Source};
