//! Object identifiers as people write them: `1.3.6.1.5.5.7.3.2`.

use std::fmt;
use std::str::FromStr;

/// An object identifier in dotted form.
///
/// INVARIANT: 3 to 32 numbers of at most 19 digits, none with a leading zero, the first two in range;
/// only [`ObjectId::from_str`] makes one. Two that are equal are the same text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectId(String);

/// What an object identifier is, beside the caret.
pub const OID_RULE: &str = "write numbers with dots, such as `1.3.6.1.4.1.99999.1`";

/// The text is no object identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{OID_RULE}")]
pub struct OidError;

impl FromStr for ObjectId {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Self, OidError> {
        let mut numbers = text.split('.');
        let root = numbers.next().filter(|first| matches!(*first, "0" | "1" | "2")).ok_or(OidError)?;
        let second = numbers.next().filter(|second| is_number(second)).ok_or(OidError)?;
        // Below 0 and 1 there are 40 (X.660 §7.6).
        if root != "2" && !second.parse::<u8>().is_ok_and(|second| second < 40) {
            return Err(OidError);
        }
        let rest = numbers.clone().count();
        if !(1..=30).contains(&rest) || !numbers.all(is_number) {
            return Err(OidError);
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_number(text: &str) -> bool {
    (1..=19).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

impl ObjectId {
    /// The dotted form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_identifier_is_numbers_with_dots() {
        for (text, want) in [
            ("1.3.6.1.5.5.7.3.2", true),
            ("2.999.1", true),
            ("2.5.29.17", true),
            ("0.39.0", true),
            ("0.40.0", false),
            ("3.1.1", false),
            ("2.5", false),
            ("1", false),
            ("", false),
            ("1.3.", false),
            (".1.3.6", false),
            ("1..3", false),
            ("1.3.06", false),
            ("1.3.-6", false),
            ("1.3.6a", false),
            (" 1.3.6", false),
            ("1.3.99999999999999999999", false),
            ("clientAuth", false),
        ] {
            assert_eq!(text.parse::<ObjectId>().is_ok(), want, "{text}");
        }
        assert!(format!("1.3{}", ".1".repeat(30)).parse::<ObjectId>().is_ok());
        assert!(format!("1.3{}", ".1".repeat(31)).parse::<ObjectId>().is_err());
    }
}
