//! YAML, read strictly and bounded, every value with its place.
//!
//! INVARIANT: what is null, empty, duplicated, unknown or of another type than asked for is an error
//! with a place; nothing that was written is ignored.

mod error;
mod partly;
mod schema;
mod shape;

pub use error::without_secrets;
pub use partly::{Partly, load_partly};
pub use schema::schema;
pub use shape::{At, Entries, Key, One, OneOrMany};

use crate::diagnostic::{Diagnostic, MAX_FILE_BYTES, Source};

/// One document of at most [`MAX_FILE_BYTES`] is read.
fn within_size(source: &Source) -> Result<(), Diagnostic> {
    if source.text.len() > MAX_FILE_BYTES {
        let message = format!("the file is larger than {} KiB", MAX_FILE_BYTES >> 10);
        return Err(Diagnostic::error("Y0106", &source.path, 0..0, message));
    }
    Ok(())
}

/// Every limit stated, so that a new version's defaults change nothing.
fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_events: 1_000_000,
            max_nodes: 600_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 200_000,
            max_recorded_anchor_bytes: 4 << 20,
            max_depth: 24,
            flow_nesting_limit: 24,
            max_documents: 1,
            max_total_scalar_bytes: 4 << 20,
            max_total_comment_bytes: 2 << 20,
            max_merge_keys: 0,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 200_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 1_000,
        },
        duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::Error,
        merge_keys: serde_yaml::options::MergeKeyPolicy::Error,
        legacy_octal_numbers: false,
        strict_booleans: true,
        // `no`, `on` and `012` are the strings that were written where a string is asked for; where a
        // boolean is asked for only `true` and `false` are.
        no_schema: false,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests;
