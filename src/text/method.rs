//! Request methods as rules name them.

use crate::diagnostic::nearest;

/// The methods that are forwarded: RFC 9110, RFC 5789, `WebDAV` and its kin. The rest is refused:
/// `TRACE` and `TRACK` mirror credentials, `CONNECT` opens a tunnel, and a method that nobody has
/// heard of is read differently by everybody.
pub const FORWARDED: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "MKCALENDAR",
    "ACL",
    "BIND",
    "UNBIND",
    "REBIND",
    "LABEL",
    "LINK",
    "UNLINK",
    "MERGE",
    "CHECKIN",
    "CHECKOUT",
    "UPDATE",
    "UNCHECKOUT",
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
    "MKACTIVITY",
    "MKWORKSPACE",
    "ORDERPATCH",
    "MKREDIRECTREF",
    "UPDATEREDIRECTREF",
];

/// Why a text is not a method that a rule can name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MethodError {
    /// One that is forwarded is near.
    #[error("no such method; did you mean `{0}`?")]
    Misspelt(&'static str),
    /// One that exists.
    #[error("never forwarded, whatever a rule says")]
    Refused,
    /// None that is forwarded, so that a rule with it would never match.
    #[error("tiergate forwards no such method, so no request has it")]
    Unknown,
}

/// Checks that a method is one that requests can have. Methods are case-sensitive, so `get` is not `GET`.
///
/// # Errors
///
/// Where it is none; with the one that was probably meant.
pub fn check(text: &str) -> Result<(), MethodError> {
    if FORWARDED.contains(&text) {
        return Ok(());
    }
    let upper = text.to_ascii_uppercase();
    if matches!(upper.as_str(), "CONNECT" | "TRACE" | "TRACK") {
        return Err(MethodError::Refused);
    }
    let near = FORWARDED.iter().find(|method| **method == upper).copied();
    let near = near.or_else(|| nearest(&upper, FORWARDED.iter().copied()));
    Err(near.map_or(MethodError::Unknown, MethodError::Misspelt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_upper_case_not_misspelt_and_forwarded() {
        for (text, want) in [
            ("GET", Ok(())),
            ("BASELINE-CONTROL", Ok(())),
            ("get", Err(MethodError::Misspelt("GET"))),
            ("DELTE", Err(MethodError::Misspelt("DELETE"))),
            ("CONNECT", Err(MethodError::Refused)),
            ("trace", Err(MethodError::Refused)),
            ("X-PURGE-ALL", Err(MethodError::Unknown)),
            ("FROBNICATE ALL", Err(MethodError::Unknown)),
            ("", Err(MethodError::Unknown)),
        ] {
            assert_eq!(check(text), want, "{text}");
        }
    }

    #[test]
    fn the_documentation_lists_the_methods_that_are_forwarded() {
        let page = include_str!("../../docs/policy.md");
        let list = FORWARDED.iter().map(|method| format!("`{method}`")).collect::<Vec<_>>().join(", ");
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains(&list), "{list}");
    }
}
