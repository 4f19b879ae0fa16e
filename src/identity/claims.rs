//! What a provider claims about somebody, cleaned: only what is bounded, of the right type and
//! cannot be taken for something else gets through.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Groups of one person.
pub(super) const MAX_GROUPS: usize = 5000;
/// Bytes of a group's value.
const MAX_GROUP: usize = 256;
/// Claims in one token.
const MAX_CLAIMS: usize = 512;

/// The claims of a token, or of a userinfo answer; no name twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Map<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unique;
        impl<'de> Visitor<'de> for Unique {
            type Value = Claims;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of claims")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    // Two readers of one token must not see two different tokens.
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a claim is given twice"));
                    }
                    if claims.len() > MAX_CLAIMS {
                        return Err(A::Error::custom("too many claims"));
                    }
                }
                Ok(Claims(claims))
            }
        }
        deserializer.deserialize_map(Unique)
    }
}

/// The groups cannot be known in full, so neither can what a `deny` rule says of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GroupsError {
    /// More than are taken.
    #[error("the provider sent more than {MAX_GROUPS} groups")]
    TooMany,
    /// One is no text, too long or has control characters.
    #[error("the provider sent a group that is not a text of 1 to {MAX_GROUP} bytes")]
    Malformed,
    /// The provider says that it left them out.
    #[error("the provider left the groups out because there are too many")]
    Overage,
}

impl Claims {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The subject: at most 255 printable ASCII characters (OpenID Connect Core §2).
    pub(super) fn subject(&self) -> Option<&str> {
        self.text("sub").filter(|sub| {
            (1..=255).contains(&sub.len()) && sub.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        })
    }

    /// The e-mail address, only where `email_verified` is `true` and not the text `"true"`.
    pub(super) fn verified_email(&self) -> Option<&str> {
        let verified = self.get("email_verified").and_then(Value::as_bool) == Some(true);
        self.text("email").filter(|_| verified).and_then(email)
    }

    /// The groups; `None` where the claim is missing.
    ///
    /// A text instead of a list is no group: one character's difference in a provider's settings
    /// would otherwise turn `a,b` into a group of that name.
    pub(super) fn groups(&self, claim: &str) -> Result<Option<Vec<String>>, GroupsError> {
        let list = match self.get(claim) {
            None => {
                let left_out = self.get("_claim_names").and_then(|names| names.get(claim)).is_some();
                return if left_out { Err(GroupsError::Overage) } else { Ok(None) };
            }
            Some(Value::Array(list)) => list,
            Some(Value::Null) => return Ok(Some(Vec::new())),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                tracing::warn!(claim, "the groups claim is not a list; the user has no groups");
                return Ok(Some(Vec::new()));
            }
        };
        if list.len() > MAX_GROUPS {
            return Err(GroupsError::TooMany);
        }
        let mut groups = Vec::with_capacity(list.len());
        for value in list {
            let value = value.as_str().and_then(group).ok_or(GroupsError::Malformed)?;
            groups.push(value.to_owned());
        }
        Ok(Some(groups))
    }

    /// The `amr` values that are short and printable.
    pub(super) fn amr(&self) -> Vec<String> {
        let list = self.get("amr").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let fits = |value: &&str| {
            (1..=64).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
        };
        list.iter().filter_map(Value::as_str).filter(fits).take(16).map(ToOwned::to_owned).collect()
    }

    /// Whether `amr` or `acr` says one of the values that stand for more than one factor.
    pub(super) fn mfa(&self, values: &[String]) -> bool {
        let acr = self.text("acr");
        let amr = self.amr();
        values.iter().any(|value| acr == Some(value.as_str()) || amr.contains(value))
    }

    /// A whole number of seconds in the years that have four digits.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, ()> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(time) if (0..=253_402_300_799).contains(&time) => Ok(Some(time)),
                Some(_) | None => Err(()),
            },
        }
    }

    /// What people and upstreams see: the verified e-mail address, else the user name the provider
    /// prefers, else the subject.
    ///
    /// `preferred_username` is often the user's own to choose: with an `@` in it, it could be taken
    /// for somebody's e-mail address, so it is not used then.
    pub(super) fn user(&self, email: Option<&str>, subject: &str) -> String {
        if let Some(email) = email {
            return email.to_owned();
        }
        let fits = |name: &&str| {
            (1..=128).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
        };
        match self.text("preferred_username").filter(fits) {
            Some(name) => name.to_owned(),
            None => printable(subject),
        }
    }

    /// The name people call them by, where it can be shown.
    pub(super) fn name(&self) -> Option<String> {
        self.text("name").and_then(display_name).map(ToOwned::to_owned)
    }
}

/// A text in which only graphic ASCII is left as it is.
fn printable(text: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const OTHERS: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',').add(b'"');
    utf8_percent_encode(text, OTHERS).to_string()
}

/// An e-mail address with one `@`, in plain ASCII, that no reader takes for another one.
pub(super) fn email(text: &str) -> Option<&str> {
    let (local, domain) = text.split_once('@')?;
    let local_fits = (1..=64).contains(&local.len())
        && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&'*+-/=?^_`{|}~.".contains(&byte));
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let domain_fits = domain.len() <= 253 && domain.split('.').all(label_fits);
    (text.len() <= 254 && local_fits && domain_fits).then_some(text)
}

/// A group's value that can be shown and compared.
pub(super) fn group(text: &str) -> Option<&str> {
    let fits = (1..=MAX_GROUP).contains(&text.len())
        && !text.trim().is_empty()
        && !text.chars().any(char::is_control);
    fits.then_some(text)
}

/// A name that can be shown: bounded, and nothing that changes the direction of what follows.
pub(super) fn display_name(text: &str) -> Option<&str> {
    let turns = |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let fits = text.len() <= 1024
        && (1..=256).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(|letter| letter.is_control() || turns(letter));
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: &Value) -> Claims {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn only_a_verified_plain_address_is_an_email() {
        for (email, verified, want) in [
            (json!("a@corp.test"), json!(true), true),
            (json!("a@corp.test"), json!("true"), false),
            (json!("a@corp.test"), json!(1), false),
            (json!("a@corp.test"), json!(false), false),
            (json!("a@corp.test"), json!(null), false),
            (json!("a@evil.com@corp.test"), json!(true), false),
            (json!("a@corp.test."), json!(true), false),
            (json!("a@corp..test"), json!(true), false),
            (json!("\u{430}@corp.test"), json!(true), false),
            (json!("a@c\u{43e}rp.test"), json!(true), false),
            (json!("a b@corp.test"), json!(true), false),
            (json!("a@corp.test\n"), json!(true), false),
            (json!("\"a@b\"@corp.test"), json!(true), false),
            (json!("@corp.test"), json!(true), false),
            (json!("a@"), json!(true), false),
            (json!(["a@corp.test"]), json!(true), false),
            (json!(null), json!(true), false),
        ] {
            let claims = claims(&json!({"email": email, "email_verified": verified}));
            assert_eq!(claims.verified_email().is_some(), want, "{email} {verified}");
        }
        assert_eq!(claims(&json!({"email": "a@corp.test"})).verified_email(), None);
    }

    #[test]
    fn groups_are_a_list_of_texts_or_none() {
        let many = |n: usize| json!(vec!["g"; n]);
        for (value, want) in [
            (json!(["a", "b"]), Ok(Some(2))),
            (json!([]), Ok(Some(0))),
            (json!("admins"), Ok(Some(0))),
            (json!(null), Ok(Some(0))),
            (json!({"admins": true}), Ok(Some(0))),
            (many(5000), Ok(Some(5000))),
            (many(5001), Err(GroupsError::TooMany)),
            (json!(["a", 1]), Err(GroupsError::Malformed)),
            (json!(["a", ["b"]]), Err(GroupsError::Malformed)),
            (json!(["a\nb"]), Err(GroupsError::Malformed)),
            (json!(["x".repeat(256)]), Ok(Some(1))),
            (json!(["x".repeat(257)]), Err(GroupsError::Malformed)),
        ] {
            let got = claims(&json!({"groups": value})).groups("groups");
            assert_eq!(got.map(|groups| groups.map(|groups| groups.len())), want);
        }
        assert_eq!(claims(&json!({})).groups("groups"), Ok(None));
        let overage = json!({"_claim_names": {"groups": "src1"}});
        assert_eq!(claims(&overage).groups("groups"), Err(GroupsError::Overage));
        assert_eq!(claims(&overage).groups("roles"), Ok(None));
    }

    #[test]
    fn the_user_is_a_verified_address_or_a_plain_name_or_the_subject() {
        for (value, email, want) in [
            (json!({"preferred_username": "ann"}), Some("ann@corp.test"), "ann@corp.test"),
            (json!({"preferred_username": "ann"}), None, "ann"),
            (json!({"preferred_username": "ceo@corp.test"}), None, "id%201%2C"),
            (json!({"preferred_username": "\u{e4}nn"}), None, "id%201%2C"),
            (json!({"preferred_username": ""}), None, "id%201%2C"),
            (json!({"preferred_username": 7}), None, "id%201%2C"),
            (json!({}), None, "id%201%2C"),
        ] {
            assert_eq!(claims(&value).user(email, "id 1,"), want, "{value}");
        }
    }

    #[test]
    fn a_subject_is_printable_and_bounded() {
        for (value, want) in [
            (json!("a"), true),
            (json!("auth0|1 2"), true),
            (json!(""), false),
            (json!("a\n"), false),
            (json!("\u{e4}"), false),
            (json!(1), false),
            (json!("x".repeat(255)), true),
            (json!("x".repeat(256)), false),
        ] {
            assert_eq!(claims(&json!({"sub": value})).subject().is_some(), want, "{value}");
        }
    }

    #[test]
    fn more_than_one_factor_is_what_the_configuration_calls_so() {
        let values = ["mfa".to_owned(), "urn:gold".to_owned()];
        for (value, want) in [
            (json!({"amr": ["pwd", "mfa"]}), true),
            (json!({"amr": ["pwd"], "acr": "urn:gold"}), true),
            (json!({"amr": ["pwd"]}), false),
            (json!({"amr": "mfa"}), false),
            (json!({"acr": ["mfa"]}), false),
            (json!({"amr": ["MFA"]}), false),
            (json!({}), false),
        ] {
            assert_eq!(claims(&value).mfa(&values), want, "{value}");
        }
        assert!(!claims(&json!({"amr": ["mfa"]})).mfa(&[]));
    }

    #[test]
    fn a_claim_given_twice_is_no_claim() {
        assert!(serde_json::from_str::<Claims>(r#"{"groups":["a"],"groups":["b"]}"#).is_err());
        assert!(serde_json::from_str::<Claims>(r#"{"groups":["a"],"g\u0072oups":["b"]}"#).is_err());
        assert!(serde_json::from_str::<Claims>("[]").is_err());
    }

    #[test]
    fn a_time_is_a_whole_number_of_seconds() {
        for (value, want) in [
            (json!(1_700_000_000), Ok(Some(1_700_000_000))),
            (json!("1700000000"), Err(())),
            (json!(1e300), Err(())),
            (json!(-1), Err(())),
            (json!(1.5), Err(())),
            (json!(null), Err(())),
            (json!(u64::MAX), Err(())),
        ] {
            assert_eq!(claims(&json!({"exp": value})).time("exp"), want, "{value}");
        }
        assert_eq!(claims(&json!({})).time("exp"), Ok(None));
    }
}
