//! What people write, right and wrong: the schema and the parser are asked about each.
//!
//! INVARIANT: nothing is refused by the schema alone. What the parser alone refuses says why.

use super::{parsed, seen, told};
use Verdict::{Bad, Good, OnlyTheParser};

/// What becomes of a file.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// Both take it.
    Good,
    /// Both refuse it, the parser with this code.
    Bad(&'static str),
    /// The parser refuses it with this code, and a schema cannot: why.
    OnlyTheParser(&'static str, &'static str),
}

/// Asks both about a file; what is not as it should be.
pub fn check(kind: &str, schema: &jsonschema::Validator, text: &str, verdict: Verdict) -> Option<String> {
    let codes = parsed(kind, text);
    let told = seen(text).map(|value| told(schema, &value));
    let refused = told.as_ref().is_ok_and(|told| !told.is_empty());
    let as_it_should_be = match verdict {
        Good => codes.is_empty() && told == Ok(Vec::new()),
        Bad(code) => codes.contains(&code) && refused,
        OnlyTheParser(code, why) => codes.contains(&code) && !refused && !why.is_empty(),
    };
    (!as_it_should_be).then(|| format!("{verdict:?}, and it is {codes:?} and {told:?}\n{text}"))
}

/// Nothing is other than it should be.
pub fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
