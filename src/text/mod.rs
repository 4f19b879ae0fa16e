//! What people write in files, read strictly: YAML with places, durations, hosts, names, paths.
//!
//! INVARIANT: nothing here does I/O, and no input panics or costs more than its bounded size.

pub mod canonical;
pub mod date;
pub mod duration;
pub mod host;
pub mod method;
pub mod name;
pub mod oid;
pub mod part;
pub mod prefix;
pub mod schema;
pub mod service_url;
pub mod version;
pub mod yaml;
