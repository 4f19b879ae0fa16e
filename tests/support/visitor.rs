//! A browser that goes one step at a time, so that a test sees each: cookies of each host under the
//! `__Host-` rules, redirects, forms. [`super::Browser`] walks a whole way at once.

use super::{DEADLINE, Device, Estate, Tls};
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Method, RequestBuilder};
use rustls::ClientConfig;
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use url::Url;

/// The session cookie of every host.
pub const SESSION: &str = "__Host-tiergate";
/// Redirects after which somebody is being led in a circle.
const MOST_HOPS: usize = 10;

/// One person's browser on one device, with its cookies.
#[derive(Clone)]
pub struct Visitor {
    client: Client,
    port: u16,
    cookies: BTreeMap<String, Jar>,
}

/// The cookies of one host: values by name and path.
type Jar = BTreeMap<(String, String), String>;

/// One answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Visitor {
    /// A browser without cookies.
    pub fn new(estate: &Estate, device: Device) -> Self {
        Self::over(estate, estate.tls(device, Tls::H2))
    }

    /// A browser without cookies on a device that shows this certificate.
    pub fn showing(estate: &Estate, shown: CertifiedKey) -> Self {
        Self::over(estate, estate.tls_showing(Some(shown), Tls::H2))
    }

    fn over(estate: &Estate, tls: ClientConfig) -> Self {
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(DEADLINE);
        for host in ["wiki", "tickets", "payroll", "login"] {
            client = client.resolve(&format!("{host}.localhost"), estate.address());
        }
        Self { client: client.build().unwrap(), port: estate.port, cookies: BTreeMap::new() }
    }

    /// A browser on which this user is signed in, with a cookie of its own for the wiki.
    pub async fn signed_in(estate: &Estate, device: Device, user: &str) -> Self {
        let mut browser = Self::new(estate, device);
        let page = browser.sign_in(estate, "wiki", "/headers", user).await;
        assert_eq!(page.status, 200, "{page:?}");
        browser
    }

    /// The address of a path on one of the estate's hosts.
    pub fn url(&self, host: &str, path: &str) -> Url {
        Url::parse(&format!("https://{host}.localhost:{}{path}", self.port)).unwrap()
    }

    /// Opens a page and follows where it leads; the form of the sign-in page is filled in on the way.
    pub async fn sign_in(&mut self, estate: &Estate, host: &str, path: &str, user: &str) -> Answer {
        let page = self.open(host, path).await;
        assert_eq!(page.url.path(), "/sign-in", "{page:?}");
        let (user, password) = estate.password(user);
        let page = self.submit(&page, &[("user", &user), ("password", &password)]).await;
        self.follow(page).await
    }

    /// Goes to a page as a person does, and follows where it leads.
    pub async fn open(&mut self, host: &str, path: &str) -> Answer {
        let page = self.go(self.url(host, path)).await;
        self.follow(page).await
    }

    /// Goes to a page and stays where that leads.
    pub async fn go(&mut self, url: Url) -> Answer {
        let request = self
            .ask(Method::GET, url)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-site", "none");
        self.send(request).await
    }

    /// A script's request on a page of the same origin.
    pub async fn fetch(&mut self, method: Method, host: &str, path: &str) -> Answer {
        let url = self.url(host, path);
        let request = self
            .ask(method, url)
            .header("accept", "application/json")
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-site", "same-origin");
        self.send(request).await
    }

    /// The status and reason that a script is told.
    pub async fn told(&mut self, host: &str, path: &str) -> (u16, String) {
        let answer = self.fetch(Method::GET, host, path).await;
        (answer.status, answer.reason())
    }

    /// Follows redirects.
    pub async fn follow(&mut self, mut answer: Answer) -> Answer {
        let mut trail = vec![answer.url.to_string()];
        while let Some(to) = answer.leads_to() {
            assert!(trail.len() <= MOST_HOPS, "led in a circle: {trail:#?}");
            answer = self.go(to).await;
            trail.push(answer.url.to_string());
        }
        answer
    }

    /// Fills in the first form of a page and sends it; what leads on is not followed.
    pub async fn submit(&mut self, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        let form = page.form(fields);
        let url = page.url.join(&page.action()).unwrap();
        let request = self
            .ask(Method::POST, url)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("origin", page.url.origin().ascii_serialization())
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", "same-origin")
            .form(&form);
        self.send(request).await
    }

    /// A request with this browser's cookies and nothing else.
    pub fn ask(&self, method: Method, url: Url) -> RequestBuilder {
        let cookies = self.cookies_for(url.host_str().unwrap(), url.path());
        let request = self.client.request(method, url);
        if cookies.is_empty() { request } else { request.header(header::COOKIE, cookies) }
    }

    /// Sends a request, and keeps the cookies that come with the answer.
    pub async fn send(&mut self, request: RequestBuilder) -> Answer {
        let again = request.try_clone();
        let response = match request.send().await {
            Ok(response) => response,
            // A request that is under way while a policy is tightened is cut off, as it should be; asked
            // again, it is told why.
            Err(error) if format!("{error:?}").contains("CANCEL") => again.unwrap().send().await.unwrap(),
            Err(error) => panic!("{error:?}"),
        };
        let (url, status, headers) =
            (response.url().clone(), response.status().as_u16(), response.headers().clone());
        for cookie in headers.get_all(header::SET_COOKIE) {
            self.keep(url.host_str().unwrap(), cookie.to_str().unwrap());
        }
        let body = response.bytes().await.unwrap();
        Answer { url, status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Keeps a cookie as a browser would: one with the `__Host-` prefix only on its terms.
    fn keep(&mut self, host: &str, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
        let has = |attribute: &str| attributes.iter().any(|it| it == attribute);
        if name.starts_with("__Host-") {
            let whole =
                has("secure") && has("path=/") && !attributes.iter().any(|it| it.starts_with("domain"));
            assert!(whole, "a browser drops this cookie: {cookie}");
        }
        let path = attributes.iter().find_map(|it| it.strip_prefix("path=")).unwrap_or("/");
        let (jar, key) =
            (self.cookies.entry(host.to_owned()).or_default(), (name.to_owned(), path.to_owned()));
        if has("max-age=0") {
            jar.remove(&key);
        } else {
            jar.insert(key, value.to_owned());
        }
    }

    /// The `Cookie` header for a host (`wiki.localhost`).
    pub fn cookie_header(&self, host: &str) -> String {
        self.cookies_for(host, "/")
    }

    fn cookies_for(&self, host: &str, path: &str) -> String {
        let all = self.cookies.get(host).into_iter().flatten();
        let sent = all.filter(|((_, of), _)| path.to_ascii_lowercase().starts_with(of));
        sent.map(|((name, _), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// A cookie of a host (`wiki`).
    pub fn cookie(&self, host: &str, name: &str) -> Option<&str> {
        self.cookies
            .get(&format!("{host}.localhost"))?
            .get(&(name.to_owned(), "/".to_owned()))
            .map(String::as_str)
    }

    /// Puts a cookie there.
    pub fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        let jar = self.cookies.entry(format!("{host}.localhost")).or_default();
        jar.insert((name.to_owned(), "/".to_owned()), value.to_owned());
    }

    /// Takes all cookies of another browser.
    pub fn steal(&mut self, from: &Self) {
        self.cookies.clone_from(&from.cookies);
    }

    /// Takes the cookies of another tab: of the same name, the one that came last.
    pub fn share(&mut self, tab: &Self) {
        for (host, cookies) in &tab.cookies {
            self.cookies.entry(host.clone()).or_default().extend(cookies.clone());
        }
    }

    /// Loses the cookies of a host (`wiki`).
    pub fn forget(&mut self, host: &str) {
        self.cookies.remove(&format!("{host}.localhost"));
    }
}

impl Answer {
    /// Where a redirect leads, as a browser reads it.
    pub fn leads_to(&self) -> Option<Url> {
        let location = self.headers.get(header::LOCATION).filter(|_| (300..400).contains(&self.status))?;
        Some(self.url.join(location.to_str().unwrap()).unwrap())
    }

    /// A header's text; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `Set-Cookie` of a cookie.
    pub fn sets(&self, name: &str) -> Option<&str> {
        let all = self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        all.into_iter().find(|cookie| cookie.split_once('=').is_some_and(|(it, _)| it == name))
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Every answer of tiergate's own is not cached, not sniffed and not for plain HTTP.
    pub fn assert_dressed(&self) {
        for (name, part) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("strict-transport-security", "max-age="),
        ] {
            assert!(self.header(name).contains(part), "{name} {self:?}");
        }
    }

    /// The reason in a problem document, and empty in anything else.
    pub fn reason(&self) -> String {
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        document["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The value of an input.
    pub fn input(&self, name: &str) -> Option<String> {
        inputs(&self.body).find(|input| input.get("name").is_some_and(|it| it == name)).map(value)
    }

    /// The first link that leads to an address with this in it.
    pub fn link(&self, part: &str) -> Option<Url> {
        let mut links = tags(&self.body, "a").filter_map(|link| link.get("href").cloned());
        links.find(|href| href.contains(part)).map(|href| self.url.join(&href).unwrap())
    }

    /// Whether there is an input with this name to fill in.
    pub fn asks_for(&self, name: &str) -> bool {
        self.input(name).is_some()
    }

    /// The hidden inputs, and these.
    pub fn form(&self, fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let hidden = inputs(&self.body).filter(|input| input.get("type").is_some_and(|it| it == "hidden"));
        let hidden = hidden.map(|input| (input.get("name").cloned().unwrap_or_default(), value(input)));
        let given = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        hidden.chain(given).collect()
    }

    fn action(&self) -> String {
        let form = tags(&self.body, "form").next().unwrap_or_else(|| panic!("there is no form: {self:?}"));
        assert_eq!(form.get("method").map(String::as_str), Some("post"), "{form:?}");
        form.get("action").cloned().unwrap_or_default()
    }
}

/// What [`Visitor::told`] says of a request that is let in.
pub fn let_in() -> (u16, String) {
    (200, String::new())
}

/// What [`Visitor::told`] says of one that is not.
pub fn refused(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

type Attributes = BTreeMap<String, String>;

fn inputs(html: &str) -> impl Iterator<Item = Attributes> {
    tags(html, "input")
}

fn value(input: Attributes) -> String {
    input.get("value").cloned().unwrap_or_default()
}

/// The attributes of each tag with this name. Enough for pages that quote every attribute.
fn tags<'a>(html: &'a str, name: &'a str) -> impl Iterator<Item = Attributes> + 'a {
    html.split('<').filter_map(move |part| {
        let mut rest = part.strip_prefix(name).filter(|rest| rest.starts_with([' ', '>', '\n']))?;
        let mut attributes = Attributes::new();
        loop {
            rest = rest.trim_start();
            let end = rest.find(['=', ' ', '>', '\n']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() || name == "/" {
                return Some(attributes);
            }
            rest = match after.strip_prefix("=\"").and_then(|quoted| quoted.split_once('"')) {
                Some((value, after)) => {
                    attributes.insert(name.to_owned(), unescape(value));
                    after
                }
                None => {
                    attributes.insert(name.to_owned(), String::new());
                    after
                }
            };
        }
    })
}

fn unescape(text: &str) -> String {
    let mut text = text.to_owned();
    for (escaped, plain) in [
        ("&lt;", "<"),
        ("&#60;", "<"),
        ("&gt;", ">"),
        ("&#62;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ] {
        text = text.replace(escaped, plain);
    }
    text
}
