//! Which browser a request comes from, and whether a form came from a page of ours.
//!
//! Invariants: a browser is a random name that each host sets for itself and no other host can
//! set; a form is taken only with a token that was made for that browser or session, and only from
//! the same origin where the browser says from which.

use super::Call;
use crate::access::Timestamp;
use crate::session::{BROWSER_COOKIE, Cookies, Purpose, Sealer, SessionId, set_cookie};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A form may stay open this long.
const TOKEN_LIFE: Timestamp = 86_400;

/// The random name of a browser on one host.
pub(super) struct Browser {
    value: String,
    is_new: bool,
}

impl Browser {
    /// The name that the browser sent.
    pub(super) fn known(cookies: Cookies<'_>) -> Option<Self> {
        let value = cookies.get(BROWSER_COOKIE)?;
        let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
        (bytes.len() == 16).then(|| Self { value: value.to_owned(), is_new: false })
    }

    /// The name that the browser sent, or a new one: tabs share one name. `None` where the system
    /// gives no randomness.
    pub(super) fn known_or_new(cookies: Cookies<'_>) -> Option<Self> {
        Self::known(cookies).or_else(|| {
            let mut bytes = [0; 16];
            aws_lc_rs::rand::fill(&mut bytes).ok()?;
            Some(Self { value: URL_SAFE_NO_PAD.encode(bytes), is_new: true })
        })
    }

    /// What other hosts are told of it.
    pub(super) fn hash(&self, host: &str) -> [u8; 32] {
        sha256(&[b"browser", host.as_bytes(), self.value.as_bytes()])
    }

    /// `Set-Cookie`, where the browser does not have the name yet.
    pub(super) fn set_cookie(&self) -> Option<String> {
        self.is_new.then(|| set_cookie(BROWSER_COOKIE, &self.value, None))
    }
}

/// Whose form a token is for.
#[derive(Clone, Copy)]
pub(super) enum Binding<'a> {
    Browser(&'a Browser),
    Session(SessionId),
}

impl Binding<'_> {
    fn digest(self, host: &str) -> [u8; 32] {
        match self {
            Self::Browser(browser) => browser.hash(host),
            Self::Session(id) => sha256(&[b"session", host.as_bytes(), id.as_bytes()]),
        }
    }
}

/// The token of a form on this host.
pub(super) fn token(sealer: &Sealer, host: &str, of: Binding<'_>, now: Timestamp) -> String {
    let mut plain = of.digest(host).to_vec();
    plain.extend_from_slice(&now.to_be_bytes());
    sealer.seal(Purpose::Csrf, host, &plain)
}

fn token_is_good(sealer: &Sealer, host: &str, of: Binding<'_>, text: &str, now: Timestamp) -> bool {
    let Some(plain) = sealer.open(Purpose::Csrf, host, text) else { return false };
    let Some((digest, issued)) = plain.split_last_chunk::<8>() else { return false };
    let age = now.saturating_sub(Timestamp::from_be_bytes(*issued));
    verify_slices_are_equal(digest, &of.digest(host)).is_ok() && age <= TOKEN_LIFE
}

impl Call {
    pub(super) fn cookies(&self) -> Cookies<'_> {
        Cookies::read(&self.headers)
    }

    pub(super) fn token(&self, of: Binding<'_>) -> String {
        token(&self.login.sealer(), &self.visitor.host, of, self.visitor.now)
    }

    pub(super) fn token_is_good(&self, of: Binding<'_>, text: &str) -> bool {
        token_is_good(&self.login.sealer(), &self.visitor.host, of, text, self.visitor.now)
    }

    /// Whether the browser says that the request comes from a page of this very origin. Clients
    /// that say nothing at all are not browsers that somebody could have led here.
    pub(super) fn is_same_origin(&self) -> bool {
        self.sender() == Sender::Ours
    }

    /// What the browser says of where the request comes from.
    pub(super) fn sender(&self) -> Sender {
        sender(&self.headers, &self.visitor.authority)
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sender {
    /// A page of this origin, or no page at all.
    Ours,
    /// The browser keeps it to itself: `Origin: null` and nothing else.
    Unsaid,
    /// Another origin's page.
    Foreign,
}

fn sender(headers: &HeaderMap, authority: &str) -> Sender {
    let mut origins = headers.get_all("origin").iter();
    let mut sites = headers.get_all("sec-fetch-site").iter();
    let (origin, site) = (origins.next(), sites.next());
    if origins.next().is_some() || sites.next().is_some() {
        return Sender::Foreign;
    }
    let site_is_ours = site.map(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    match (origin.map(|origin| origin.to_str()), site_is_ours) {
        (_, Some(false)) | (Some(Err(_)), _) => Sender::Foreign,
        // `null` is what a browser writes that sends no referrer; only the other header can tell then.
        (None, _) | (Some(Ok("null")), Some(true)) => Sender::Ours,
        (Some(Ok("null")), None) => Sender::Unsaid,
        (Some(Ok(origin)), _) => {
            let origin = origin.strip_prefix("https://").map(without_default_port);
            if origin == Some(without_default_port(authority)) { Sender::Ours } else { Sender::Foreign }
        }
    }
}

fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":443").unwrap_or(authority)
}

/// SHA-256 of the parts, each with its length, so that no two lists of parts are the same bytes.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let bytes: Vec<u8> = parts
        .iter()
        .flat_map(|part| part.len().to_be_bytes().into_iter().chain(part.iter().copied()))
        .collect();
    let mut hash = [0; 32];
    // SHA-256 has 32 bytes; should it ever have others, nothing would match.
    for (to, from) in hash.iter_mut().zip(digest(&SHA256, &bytes).as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::Sender::{self, Foreign, Ours, Unsaid};
    use super::sender;
    use axum::http::HeaderMap;

    #[test]
    fn a_form_from_elsewhere_is_told_apart() {
        for (origin, site, want) in [
            (None, None, Ours),
            (Some("https://login.corp.example:8443"), None, Ours),
            (Some("https://login.corp.example:8443"), Some("same-origin"), Ours),
            (None, Some("same-origin"), Ours),
            (None, Some("none"), Ours),
            (Some("null"), Some("same-origin"), Ours),
            (Some("null"), None, Unsaid),
            (Some("null"), Some("cross-site"), Foreign),
            (Some("https://login.corp.example:8443"), Some("same-site"), Foreign),
            (Some("https://login.corp.example"), None, Foreign),
            (Some("http://login.corp.example:8443"), None, Foreign),
            (Some("https://wiki.corp.example:8443"), None, Foreign),
            (Some("https://login.corp.example:8443.evil.test"), None, Foreign),
            (Some(""), None, Foreign),
            (None, Some("cross-site"), Foreign),
            (None, Some(""), Foreign),
        ] {
            let mut headers = HeaderMap::new();
            origin.map(|origin| headers.append("origin", origin.parse().unwrap()));
            site.map(|site| headers.append("sec-fetch-site", site.parse().unwrap()));
            let is: Sender = sender(&headers, "login.corp.example:8443");
            assert_eq!(is, want, "{origin:?} {site:?}");
        }
        let mut headers = HeaderMap::new();
        headers.append("origin", "https://a.test".parse().unwrap());
        assert_eq!(sender(&headers, "a.test:443"), Ours);
        headers.append("origin", "https://a.test".parse().unwrap());
        assert_eq!(sender(&headers, "a.test:443"), Foreign, "twice");
    }
}
