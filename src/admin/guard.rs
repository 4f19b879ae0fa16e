//! Who may call: the `Host` of a request, and the bearer token of the API.

use super::problem::Problem;
use super::serve::Shown;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use subtle::ConstantTimeEq;
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

/// The longest token, in bytes.
const TOKEN_LIMIT: u64 = 4096;

/// A token shorter than this could be guessed: such a file is a mistake.
const TOKEN_LEAST: usize = 16;

/// Whether a request names this listener: a loopback name or address, the address it is bound to, or
/// a name of the certificate that the connection was shown. Any other name anybody could point here.
pub(super) fn host_is_ours(bound: SocketAddr, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (request.uri().authority(), hosts.next(), hosts.next()) {
        (Some(authority), _, None) => authority.clone(),
        (None, Some(host), None) => match Authority::try_from(host.as_bytes()) {
            Ok(authority) => authority,
            Err(_) => return false,
        },
        (_, _, Some(_)) | (None, None, None) => return false,
    };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = name.parse::<IpAddr>() {
        let (address, bound) = (address.to_canonical(), bound.ip().to_canonical());
        // Bound to every address, each of the machine's is the listener's; rebinding needs a name anyway.
        return address.is_loopback() || address == bound || bound.is_unspecified();
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let shown = request.extensions().get::<Shown>();
    name == "localhost" || name.ends_with(".localhost") || shown.is_some_and(|Shown(it)| it.covers(&name))
}

/// Whether a request bears the token of the file, which is read anew so that a new token counts at once.
pub(super) async fn bearer(file: Option<&Path>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(file) = file else {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "no token file is configured, so nobody may call this",
        ));
    };
    let expected = match read(file).await {
        Ok(token) if token.trim().len() >= TOKEN_LEAST => token,
        Ok(_) => {
            tracing::error!(file = %file.display(), "the admin token is shorter than {TOKEN_LEAST} bytes");
            return Err(unusable());
        }
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "the admin token cannot be read");
            return Err(unusable());
        }
    };
    let given = presented(headers).unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(expected.trim().as_bytes())) {
        Ok(())
    } else {
        Err(Problem::new(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong"))
    }
}

const fn unusable() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the token file cannot be used; the log says why")
}

async fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    tokio::fs::File::open(file).await?.take(TOKEN_LIMIT).read_to_string(&mut text).await?;
    Ok(text)
}

/// The bearer token of the only `Authorization` header.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}
