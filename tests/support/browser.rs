//! As much of a browser as signing in needs: cookies by host, redirects and one form.

use super::estate::poll;
use super::{DEADLINE, Device, Estate, Tls, audit};
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use std::collections::BTreeMap;
use std::path::PathBuf;
use url::Url;

/// The hosts that any test speaks of.
const HOSTS: &[&str] = &[
    "wiki.localhost",
    "tickets.localhost",
    "payroll.localhost",
    "login.localhost",
    "app.localhost",
    "mixed.localhost",
    "other.localhost",
    "board.localhost",
    "localhost",
];

/// More hops than signing in takes.
const MAX_HOPS: usize = 20;

/// One person's browser on one device.
pub struct Browser {
    client: Client,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    audit: PathBuf,
}

/// Where a walk ended.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: String,
}

impl Browser {
    pub fn new(estate: &Estate, device: Device, tls: Tls) -> Self {
        let address = estate.address();
        let client = Client::builder()
            .tls_backend_preconfigured(estate.tls(device, tls))
            .redirect(Policy::none())
            .no_proxy()
            .timeout(DEADLINE);
        let client = if tls.http2 { client } else { client.http1_only() };
        let client = HOSTS.iter().fold(client, |client, host| client.resolve(host, address));
        Self { client: client.build().unwrap(), cookies: BTreeMap::new(), audit: estate.at("audit") }
    }

    /// A browser that is signed in on all of these hosts.
    pub async fn signed_in(estate: &Estate, device: Device, user: &str, hosts: &[&str]) -> Self {
        let mut browser = Self::new(estate, device, Tls::H2);
        for host in hosts {
            browser.sign_in(estate, user, &estate.url(host, "/open/hello")).await;
            assert!(browser.cookie(host).is_some(), "{user} on {device:?} has no session on {host}");
        }
        browser
    }

    /// Opens a page as a person does, and signs in when asked to.
    pub async fn sign_in(&mut self, estate: &Estate, user: &str, url: &str) -> Page {
        let page = self.open(url).await;
        if !is_sign_in(&page) {
            return page;
        }
        let (name, password) = estate.password(user);
        let mut fields = hidden_fields(&page.body);
        fields.extend([("user".to_owned(), name), ("password".to_owned(), password)]);
        let action = attribute_of(&page.body, "form", "action").expect("a form with an action");
        let page = self.walk(page.url.join(&action).unwrap(), Some(fields)).await;
        assert!(!is_sign_in(&page), "{user} could not sign in: {} {}", page.status, page.body);
        page
    }

    /// Opens a page and follows where it leads.
    pub async fn open(&mut self, url: &str) -> Page {
        self.walk(url.parse().unwrap(), None).await
    }

    async fn walk(&mut self, mut url: Url, mut form: Option<Vec<(String, String)>>) -> Page {
        for _ in 0..MAX_HOPS {
            let method = if form.is_some() { Method::POST } else { Method::GET };
            let mut request = self.request(method, url.as_str()).header(ACCEPT, "text/html,*/*;q=0.8");
            if let Some(fields) = form.take() {
                let origin = url.origin().ascii_serialization();
                request =
                    request.header(ORIGIN, origin).header("sec-fetch-site", "same-origin").form(&fields);
            } else {
                request = request.header("sec-fetch-mode", "navigate");
            }
            let before = audit::decisions(&self.audit).len();
            let response = request.send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
            self.remember(&url, response.headers());
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response.text().await.unwrap();
            // So that what is read from the log next is not of this walk.
            poll(&format!("the audit event of {url}"), || {
                (audit::decisions(&self.audit).len() > before).then_some(())
            })
            .await;
            let target = match headers.get(LOCATION) {
                Some(location) if status.is_redirection() => Some(location.to_str().unwrap().to_owned()),
                _ => refresh(&body),
            };
            match target {
                Some(target) => url = url.join(&target).unwrap(),
                None => return Page { status, url, headers, body },
            }
        }
        panic!("{url}: round and round");
    }

    /// One request with the cookies of its host; redirects are not followed.
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let url: Url = url.parse().unwrap();
        let request = self.client.request(method, url.clone());
        match url.host_str().and_then(|host| self.cookies_of(host)) {
            Some(line) => request.header(COOKIE, line),
            None => request,
        }
    }

    pub async fn get(&self, url: &str) -> Response {
        self.request(Method::GET, url).send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }

    /// The `Cookie` header for a host.
    pub fn cookies_of(&self, host: &str) -> Option<String> {
        let jar = self.cookies.get(host).filter(|jar| !jar.is_empty())?;
        Some(jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; "))
    }

    /// The session cookie for a host, as `name=value`.
    pub fn cookie(&self, host: &str) -> Option<String> {
        self.cookies.get(host)?.get("__Host-tiergate").map(|value| format!("__Host-tiergate={value}"))
    }

    /// Every cookie of a host by name.
    pub fn jar(&self, host: &str) -> BTreeMap<String, String> {
        self.cookies.get(host).cloned().unwrap_or_default()
    }

    fn remember(&mut self, url: &Url, headers: &HeaderMap) {
        let jar = self.cookies.entry(url.host_str().unwrap().to_owned()).or_default();
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let mut parts = line.split(';').map(str::trim);
            let (name, value) =
                parts.next().and_then(|pair| pair.split_once('=')).expect("a cookie has a name");
            if value.is_empty() || parts.any(|part| part.eq_ignore_ascii_case("max-age=0")) {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn is_sign_in(page: &Page) -> bool {
    page.body.contains("name=\"password\"")
}

fn tags<'h>(html: &'h str, name: &'h str) -> impl Iterator<Item = &'h str> {
    html.split('<').skip(1).filter_map(move |tag| tag.strip_prefix(name)?.split('>').next())
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&#38;", "&").replace("&amp;", "&").replace("&#34;", "\"").replace("&#39;", "'"))
}

fn attribute_of(html: &str, tag: &str, name: &str) -> Option<String> {
    tags(html, tag).find_map(|tag| attribute(tag, name))
}

fn hidden_fields(html: &str) -> Vec<(String, String)> {
    tags(html, "input")
        .filter(|tag| attribute(tag, "type").as_deref() == Some("hidden"))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect()
}

fn refresh(html: &str) -> Option<String> {
    let tag = tags(html, "meta").find(|tag| attribute(tag, "http-equiv").as_deref() == Some("refresh"))?;
    let content = attribute(tag, "content")?;
    Some(content.split_once("url=")?.1.to_owned())
}
