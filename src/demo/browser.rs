//! As much of a browser as signing in needs: cookies, redirects and one form.

use reqwest::header::{ACCEPT, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Certificate, Client, Identity, Method, StatusCode, redirect, tls};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use url::Url;

/// More hops than any sign-in takes.
const MAX_HOPS: usize = 16;
/// No page is larger.
const MAX_PAGE: usize = 1 << 20;

/// A client with one device certificate, or none, and one protocol version.
pub(super) struct Browser {
    client: Client,
    /// By host, then by name: all of tiergate's cookies are for one host and every path.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    user: Option<Credentials>,
    signed_in: bool,
}

/// Who signs in when a form asks.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// Where a walk ended.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) url: Url,
    pub(super) body: String,
}

/// Why a walk did not end.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// No connection, or one that broke.
    #[error("the request failed: {0}")]
    Request(#[source] reqwest::Error),
    /// Round and round.
    #[error("more than {MAX_HOPS} redirects")]
    TooManyHops,
    /// A redirect to nowhere.
    #[error("a redirect to nowhere from `{0}`")]
    Redirect(String),
    /// The form was shown again.
    #[error("the sign-in was refused")]
    SignInRefused,
    /// A page that does not end.
    #[error("a page is larger than {MAX_PAGE} bytes")]
    TooLarge,
}

impl From<reqwest::Error> for BrowserError {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.without_url())
    }
}

impl Browser {
    /// A client that believes `ca` alone and finds `hosts` at `address`.
    pub(super) fn new(
        ca: &[u8],
        identity: Option<&[u8]>,
        version: tls::Version,
        hosts: &[&str],
        address: SocketAddr,
        user: Option<Credentials>,
    ) -> Result<Self, BrowserError> {
        let mut builder = Client::builder()
            .tls_backend_rustls()
            .tls_certs_only(Certificate::from_pem_bundle(ca)?)
            .tls_version_min(version)
            .tls_version_max(version)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(30));
        for host in hosts {
            builder = builder.resolve(host, address);
        }
        if let Some(pem) = identity {
            builder = builder.identity(Identity::from_pem(pem)?);
        }
        Ok(Self { client: builder.build()?, cookies: BTreeMap::new(), user, signed_in: false })
    }

    /// Opens a page as a person would: follows redirects, and signs in where asked for the first time.
    pub(super) async fn open(&mut self, url: &Url) -> Result<Page, BrowserError> {
        let mut url = url.clone();
        let mut form: Option<Vec<(String, String)>> = None;
        for _ in 0..MAX_HOPS {
            let (status, headers, body) = self.send(&url, form.take()).await?;
            if status.is_redirection() {
                let target = headers.get(LOCATION).and_then(|value| value.to_str().ok());
                url = target
                    .and_then(|target| url.join(target).ok())
                    .ok_or_else(|| BrowserError::Redirect(url.path().to_owned()))?;
            } else if let Some(target) = refresh(&body).and_then(|target| url.join(&target).ok()) {
                url = target;
            } else if let Some(user) = self.user.clone().filter(|_| is_sign_in(&url, &body)) {
                if self.signed_in {
                    return Err(BrowserError::SignInRefused);
                }
                self.signed_in = true;
                let mut fields = hidden_fields(&body);
                fields.extend([("user".to_owned(), user.user), ("password".to_owned(), user.password)]);
                url = action(&body).and_then(|action| url.join(&action).ok()).unwrap_or(url);
                form = Some(fields);
            } else {
                return Ok(Page { status, url, body });
            }
        }
        Err(BrowserError::TooManyHops)
    }

    async fn send(
        &mut self,
        url: &Url,
        form: Option<Vec<(String, String)>>,
    ) -> Result<(StatusCode, HeaderMap, String), BrowserError> {
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut request = self
            .client
            .request(method, url.clone())
            .header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        if let Some(cookies) =
            url.host_str().and_then(|host| self.cookies.get(host)).filter(|jar| !jar.is_empty())
        {
            let line =
                cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            request = request.header(COOKIE, line);
        }
        if let Some(fields) = form {
            request = request
                .header(ORIGIN, url.origin().ascii_serialization())
                .header("sec-fetch-site", "same-origin")
                .form(&fields);
        }
        let mut response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.remember(url, &headers);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_PAGE {
                return Err(BrowserError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, headers, String::from_utf8_lossy(&body).into_owned()))
    }

    fn remember(&mut self, url: &Url, headers: &HeaderMap) {
        let jar = self.cookies.entry(url.host_str().unwrap_or_default().to_owned()).or_default();
        for line in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            if value.is_empty() || parts.any(|part| part.eq_ignore_ascii_case("max-age=0")) {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn is_sign_in(url: &Url, body: &str) -> bool {
    url.path() == "/sign-in" && body.contains("name=\"password\"")
}

/// The tags of a page that begin with `<name`, as written.
fn tags<'a>(html: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    html.split('<').skip(1).filter_map(move |tag| {
        let rest = tag.strip_prefix(name)?;
        rest.starts_with(char::is_whitespace).then(|| rest.split('>').next()).flatten()
    })
}

/// A quoted attribute, with the five entities that templates write decoded.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let mut value = value.to_owned();
    for (entity, plain) in [
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&lt;", "<"),
        ("&#62;", ">"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ] {
        value = value.replace(entity, plain);
    }
    Some(value)
}

fn hidden_fields(html: &str) -> Vec<(String, String)> {
    tags(html, "input")
        .filter(|tag| attribute(tag, "type").as_deref() == Some("hidden"))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect()
}

fn action(html: &str) -> Option<String> {
    tags(html, "form").find_map(|tag| attribute(tag, "action"))
}

/// The target of `<meta http-equiv="refresh" content="0; url=…">`.
fn refresh(html: &str) -> Option<String> {
    let tag = tags(html, "meta")
        .find(|tag| attribute(tag, "http-equiv").is_some_and(|kind| kind.eq_ignore_ascii_case("refresh")))?;
    let content = attribute(tag, "content")?;
    let (_, target) = content.split_once(';')?;
    let target = target.trim();
    target.get(..4).filter(|key| key.eq_ignore_ascii_case("url="))?;
    target.get(4..).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_refreshes_are_read_as_templates_write_them() {
        let html = "<form method=\"post\" action=\"/sign-in\">\n<input type=\"hidden\" name=\"csrf\" value=\"a&#38;b&amp;c\">\
            <input type=\"hidden\" name=\"state\" value=\"\"><input id=\"user\" name=\"user\" type=\"text\" value=\"x\">\
            <input name=\"password\" type=\"password\"></form>";
        assert_eq!(
            hidden_fields(html),
            [("csrf".to_owned(), "a&b&c".to_owned()), ("state".to_owned(), String::new())]
        );
        assert_eq!(action(html).as_deref(), Some("/sign-in"));
        assert_eq!(refresh(html), None);
        let page =
            "<META><meta http-equiv=\"refresh\" content=\"0; url=https://wiki.localhost/a?b=1&#38;c\">";
        assert_eq!(refresh(page).as_deref(), Some("https://wiki.localhost/a?b=1&c"));
        assert!(is_sign_in(&"https://login.localhost/sign-in?state=1".parse().unwrap(), html));
        assert!(!is_sign_in(&"https://wiki.localhost/".parse().unwrap(), html));
    }
}
