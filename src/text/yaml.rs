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

use crate::diagnostic::{Diagnostic, Source};
use serde::de::DeserializeOwned;

/// Reads a file that programs write too, of at most so many bytes; only the first mistake in its form is
/// told, since reading on would cost another reading each.
///
/// # Errors
///
/// What is wrong with its form.
pub fn load_large<T: DeserializeOwned>(source: &Source, most_bytes: usize) -> Result<T, Diagnostic> {
    within_size(source, most_bytes)?;
    let mut options = options();
    if let Some(budget) = &mut options.budget {
        // A byte is at most an event.
        (budget.max_events, budget.max_nodes) = (most_bytes, most_bytes);
        (budget.max_total_scalar_bytes, budget.max_total_comment_bytes) = (most_bytes, most_bytes);
    }
    serde_yaml::from_str_with_options(&source.text, options)
        .map_err(|failed| error::to_diagnostic(&failed, source))
}

/// One document of at most so many bytes is read.
fn within_size(source: &Source, most_bytes: usize) -> Result<(), Diagnostic> {
    if source.text.len() > most_bytes {
        let message = format!("the file is larger than {} KiB", most_bytes >> 10);
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
