//! Names that people give: groups, networks, services, resources, upstreams, providers.

/// Whether a text is a name: letters, digits, `-`, `_` and `.`, starting with a letter or digit, at
/// most 64. Names become metric labels, header values and parts of `provider:value`, so nothing else.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// What a name may be, beside the caret.
pub const NAME_RULE: &str = "letters, digits, `-`, `_` and `.`, at most 64, starting with a letter or digit";

/// At most as much of a text as a message can hold.
#[must_use]
pub fn shorten(text: &str) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST {
        text.to_owned()
    } else {
        text.chars().take(MOST).chain(['…']).collect()
    }
}

/// No device's identity is longer: it goes into headers, logs and file names.
const MOST_DEVICE_ID: usize = 128;

/// Whether a text can be the identity of a device: printable ASCII, no space at either end, 1 to 128. What
/// headers, logs and people can all hold.
#[must_use]
pub fn is_device_id(text: &str) -> bool {
    (1..=MOST_DEVICE_ID).contains(&text.len())
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && text.trim() == text
}

/// What the identity of a device may be, beside the caret.
pub const DEVICE_ID_RULE: &str = "1 to 128 printable ASCII characters, no space at either end";

/// Why a text is not a SPIFFE ID, or nothing where it is one (SPIFFE-ID §2).
#[must_use]
pub fn spiffe_problem(text: &str) -> Option<&'static str> {
    let Some(rest) = text.strip_prefix("spiffe://") else {
        return Some("starts with `spiffe://` and a trust domain");
    };
    if text.len() > 2048 {
        return Some("at most 2048 bytes");
    }
    let Some((domain, path)) = rest.split_once('/') else {
        return Some("a workload has a path behind the trust domain");
    };
    if !is_trust_domain(domain) {
        return Some("a trust domain is lower-case letters, digits, `-`, `_` and `.`");
    }
    let segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    if path.split('/').all(segment) {
        None
    } else {
        Some("path segments are letters, digits, `-`, `_` and `.`, none empty, `.` or `..`")
    }
}

/// Whether a text is a SPIFFE trust domain.
#[must_use]
pub fn is_trust_domain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for name in ["finance", "on-call", "012", "no", "a.b_c"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "a b", "a:b", "é", "a,b", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn the_identity_of_a_device_is_short_and_plain() {
        for id in ["a", "C02XL0AAJGH5", "urn:uuid:1", "a b", "../x", "{}", &"a".repeat(128)] {
            assert!(is_device_id(id), "{id}");
        }
        for id in ["", " a", "a ", " ", "é", "a\tb", "a\n", "a\u{7f}", &"a".repeat(129)] {
            assert!(!is_device_id(id), "{id}");
        }
    }

    #[test]
    fn a_spiffe_id_has_a_trust_domain_and_a_path() {
        assert_eq!(spiffe_problem("spiffe://corp.example/ns/billing/sa/sync"), None);
        for id in [
            "https://corp.example/a",
            "spiffe://corp.example",
            "spiffe://corp.example/",
            "spiffe://Corp.example/a",
            "spiffe:///a",
            "spiffe://corp.example/a/",
            "spiffe://corp.example/a//b",
            "spiffe://corp.example/../b",
            "spiffe://corp.example/%61",
        ] {
            assert!(spiffe_problem(id).is_some(), "{id}");
        }
    }
}
