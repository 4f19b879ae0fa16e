//! Hosts as resources name them: exact, or `*.` and a suffix; lower case, no port, no dot at the end.

/// Why a text is not a canonical host.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HostError {
    /// It has a canonical form, and is not written in it.
    #[error("write it in its canonical form: `{0}`")]
    Canonical(String),
    /// With a scheme, a path or a port.
    #[error("a host only, without scheme, port or path")]
    MoreThanAHost,
    /// A star where none can be.
    #[error("a star stands for the first label only, as in `*.corp.example`")]
    Star,
    /// An address.
    #[error("a name, not an address: certificates and browsers find resources by name")]
    Address,
    /// A label that DNS does not have.
    #[error("labels of letters, digits and `-`, at most 63 characters each and 253 in all")]
    Label,
}

/// Checks a canonical host, exact or with a star for the first label.
///
/// # Errors
///
/// Where it is none; with the canonical form where there is one.
pub fn check_pattern(text: &str) -> Result<(), HostError> {
    match text.strip_prefix("*.") {
        Some(suffix) => check(suffix).map_err(|error| match error {
            HostError::Canonical(suffix) => HostError::Canonical(format!("*.{suffix}")),
            HostError::MoreThanAHost | HostError::Star | HostError::Address | HostError::Label => error,
        }),
        None => check(text),
    }
}

/// Checks a canonical, exact host.
///
/// # Errors
///
/// Where it is none; with the canonical form where there is one.
pub fn check(text: &str) -> Result<(), HostError> {
    if text.contains('*') {
        return Err(HostError::Star);
    }
    if text.contains(['/', ':', '?', '#', '@', '[', ']', '\\']) {
        return Err(HostError::MoreThanAHost);
    }
    let bare = text.strip_suffix('.').unwrap_or(text);
    let canonical = canonical(bare).ok_or(HostError::Label)?;
    if canonical.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(HostError::Address);
    }
    if canonical == text { Ok(()) } else { Err(HostError::Canonical(canonical)) }
}

/// Lower case, and A-labels for other scripts.
fn canonical(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > 1000 {
        return None;
    }
    let ascii = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        match url::Host::parse(text) {
            Ok(url::Host::Domain(domain)) => domain,
            Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) | Err(_) => return None,
        }
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    (ascii.len() <= 253 && ascii.split('.').all(label)).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_taken_in_its_canonical_form_only() {
        let canonical = |text: &str| Err(HostError::Canonical(text.to_owned()));
        for (text, want) in [
            ("tickets.corp.example", Ok(())),
            ("localhost", Ok(())),
            ("*.corp.example", Ok(())),
            ("xn--bcher-kva.example", Ok(())),
            ("Tickets.corp.example", canonical("tickets.corp.example")),
            ("tickets.corp.example.", canonical("tickets.corp.example")),
            ("*.Corp.example", canonical("*.corp.example")),
            ("bücher.example", canonical("xn--bcher-kva.example")),
            ("https://a.example", Err(HostError::MoreThanAHost)),
            ("a.example:443", Err(HostError::MoreThanAHost)),
            ("a.example/x", Err(HostError::MoreThanAHost)),
            ("*", Err(HostError::Star)),
            ("a.*.example", Err(HostError::Star)),
            ("*a.example", Err(HostError::Star)),
            ("*.*.example", Err(HostError::Star)),
            ("127.0.0.1", Err(HostError::Address)),
            ("[::1]", Err(HostError::MoreThanAHost)),
            ("a..example", Err(HostError::Label)),
            ("-a.example", Err(HostError::Label)),
            ("a_b.example", Err(HostError::Label)),
            ("a b", Err(HostError::Label)),
            ("", Err(HostError::Label)),
            ("*.", Err(HostError::Label)),
        ] {
            assert_eq!(check_pattern(text), want, "{text}");
        }
        assert_eq!(check(&"a.".repeat(600)), Err(HostError::Label));
    }
}
