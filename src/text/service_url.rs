//! Addresses of services that tiergate asks: `https://…`, or plain http on this machine for development.

use url::Url;

/// Why a text is not the address of a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write `https://` and a host; http on loopback only")]
pub struct ServiceUrlError;

/// Reads an address. What a URL parser would read over is a mistake: some services compare it byte for byte
/// with what they call themselves.
///
/// # Errors
///
/// Where it has another scheme, a user, a fragment, blanks, or is in the clear to another machine.
pub fn parse(text: &str) -> Result<Url, ServiceUrlError> {
    let loopback = ["http://localhost", "http://127.0.0.1", "http://[::1]"].iter().any(|base| {
        let rest = text.strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    });
    let plain = text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    if !plain || !(loopback || text.starts_with("https://")) {
        return Err(ServiceUrlError);
    }
    let url = Url::parse(text).map_err(|_| ServiceUrlError)?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    if anonymous && url.fragment().is_none() { Ok(url) } else { Err(ServiceUrlError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for text in [
            "https://mdm.example",
            "https://mdm.example:8443/api/devices?all=1",
            "http://localhost:8080/devices",
            "http://127.0.0.1",
            "http://[::1]:1/",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "mdm.example",
            "http://mdm.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "HTTPS://mdm.example",
            "https://",
            "https://user:password@mdm.example",
            "https://mdm.example/#fragment",
            "https://mdm.example/a b",
            " https://mdm.example",
            "file:///etc/passwd",
        ] {
            assert_eq!(parse(text), Err(ServiceUrlError), "{text}");
        }
    }
}
