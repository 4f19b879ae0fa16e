//! One request as tiergate understands it: canonical, classified, owned.

use super::headers;
use crate::access::Reason;
use crate::identity::Bearer;
use crate::session::{LiveSession, Person, SessionId};
use crate::text::canonical::{self, Authority, Target};
use crate::text::method;
use crate::text::part::Part;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::ErrorType::InternalError;
use pingora::OrErr;
use pingora::http::RequestHeader;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
/// Memory that a thread keeps for the text of its next request, bytes.
const MOST_DRAFT: usize = 8 * 1024;

/// What a client asks for. Host, authority, path and query are parts of one text, which the record of the
/// request shares.
#[derive(Clone, Debug)]
pub struct Request {
    /// The authority, the path and, behind a `?`, the query.
    text: Arc<str>,
    host: usize,
    authority: usize,
    path: usize,
    /// The method.
    pub method: Method,
    /// What kind of client asks.
    pub kind: Kind,
    /// Where a browser says the request comes from.
    pub origin: Initiator,
    /// Who asks; nobody until identified.
    pub who: Who,
}

/// What kind of client asks, and so in which form it is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A person's browser goes to a page.
    Navigation,
    /// A WebSocket handshake.
    WebSocket,
    /// gRPC.
    Grpc,
    /// Everything else: scripts, `fetch`, terminals.
    Other,
}

/// Where a browser says the request comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Initiator {
    /// The origin of this host, the user, or a client that is no browser.
    Own,
    /// Another origin: serialised, or empty where the browser names only the relation.
    Other(String),
}

/// The credential that was found.
#[derive(Clone, Debug)]
pub enum Who {
    /// None that is valid.
    Nobody(crate::access::Absent),
    /// A session cookie.
    Session(Arc<LiveSession>),
    /// A bearer token of a listed issuer.
    Bearer(Arc<Bearer>),
    /// A workload certificate with this SPIFFE ID.
    Service(Arc<str>),
}

impl Who {
    /// Whether both are one and the same credential.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(a), Self::Session(b)) => Arc::ptr_eq(a, b),
            (Self::Bearer(a), Self::Bearer(b)) => Arc::ptr_eq(a, b),
            (Self::Service(a), Self::Service(b)) => a == b,
            (Self::Nobody(_) | Self::Session(_) | Self::Bearer(_) | Self::Service(_), _) => false,
        }
    }

    /// The person, where there is one.
    #[must_use]
    pub fn person(&self) -> Option<Arc<Person>> {
        match self {
            Self::Session(session) => Some(session.person()),
            Self::Bearer(bearer) => Some(Arc::new(Person::from(&bearer.who))),
            Self::Nobody(_) | Self::Service(_) => None,
        }
    }

    /// The provider that vouches for the person, and the person's stable name there.
    #[must_use]
    pub fn account(&self) -> Option<(&str, &str)> {
        match self {
            Self::Session(session) => Some((&session.provider, &session.subject)),
            Self::Bearer(bearer) => Some((&bearer.who.provider, &bearer.who.subject)),
            Self::Nobody(_) | Self::Service(_) => None,
        }
    }

    /// The provider that vouches for the person.
    #[must_use]
    pub fn provider(&self) -> Option<Arc<str>> {
        match self {
            Self::Session(session) => Some(Arc::clone(&session.provider)),
            Self::Bearer(bearer) => Some(bearer.who.provider.as_str().into()),
            Self::Nobody(_) | Self::Service(_) => None,
        }
    }

    /// The session's public name.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::Session(session) => Some(session.id),
            Self::Nobody(_) | Self::Bearer(_) | Self::Service(_) => None,
        }
    }
}

/// What becomes of a request head.
#[derive(Debug)]
pub enum Reading {
    /// It is understood.
    Plain(Request),
    /// The same with empty or `.` segments: a client that may safely ask again is sent there.
    Elsewhere {
        /// The canonical host.
        host: String,
        /// Canonical path, and the query.
        path_and_query: String,
    },
}

/// Reads a request head that the framework has parsed, of a client of this kind.
///
/// # Errors
/// `ambiguous_request`, `method_refused` or `expectation_failed`.
pub fn read(head: &RequestHeader, kind: Kind) -> Result<Reading, Reason> {
    let raw = std::str::from_utf8(head.raw_path()).map_err(|_| Reason::AmbiguousRequest)?;
    let (authority, target) = authority_and_target(head, raw)?;
    let parsed = canonical::authority(authority).map_err(|_| Reason::AmbiguousRequest)?;
    if !method::FORWARDED.contains(&head.method.as_str()) {
        return Err(Reason::MethodRefused);
    }
    if head.headers.get(header::EXPECT).is_some_and(|v| !v.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Reason::ExpectationFailed);
    }
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    if let (Some(length), others) = (lengths.next(), lengths.next()) {
        // HTTP/2 passes no door of ours, and an HTTP/1 upstream must not get what nobody can read.
        if others.is_some() || super::wire::content_length(length.as_bytes()).is_none() {
            return Err(Reason::AmbiguousRequest);
        }
    }
    match canonical::target(target).map_err(|_| Reason::AmbiguousRequest)? {
        Target::Elsewhere { path, query } if matches!(head.method, Method::GET | Method::HEAD) => {
            let path_and_query = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            Ok(Reading::Elsewhere { host: parsed.host.into_owned(), path_and_query })
        }
        Target::Elsewhere { .. } => Err(Reason::AmbiguousRequest),
        Target::Canonical { path, query } => {
            Ok(Reading::Plain(Request::new(head, kind, &parsed, &path, query)))
        }
    }
}

thread_local! {
    /// Where the text of a request is put together, so that it is asked for in its final size, once.
    static DRAFT: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Request {
    fn new(
        head: &RequestHeader,
        kind: Kind,
        authority: &Authority<'_>,
        path: &str,
        query: Option<&str>,
    ) -> Self {
        let port = authority.port.filter(|port| *port != 443);
        let (text, authority_end) = DRAFT.with_borrow_mut(|draft| {
            draft.clear();
            draft.push_str(&authority.host);
            if let Some(port) = port {
                // Writing to a text does not fail.
                let _ = write!(draft, ":{port}");
            }
            let authority = draft.len();
            draft.push_str(path);
            if let Some(query) = query {
                draft.push('?');
                draft.push_str(query);
            }
            let text = Arc::from(draft.as_str());
            draft.shrink_to(MOST_DRAFT);
            (text, authority)
        });
        let mut request = Self {
            text,
            host: authority.host.len(),
            authority: authority_end,
            path: authority_end + path.len(),
            method: head.method.clone(),
            kind,
            origin: Initiator::Own,
            who: Who::Nobody(crate::access::Absent::NotSignedIn),
        };
        request.origin = initiator(&head.headers, request.authority());
        request
    }

    fn part(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    /// Canonical host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.part(0..self.host)
    }

    /// Host and, where the client named one, port: what it would call this origin.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.part(0..self.authority)
    }

    /// Canonical path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.part(self.authority..self.path)
    }

    /// The target in origin-form, as it is forwarded.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.part(self.authority..self.text.len())
    }

    /// Host and path, for the record: nothing of them is copied.
    #[must_use]
    pub fn recorded(&self) -> (Part, Part) {
        (Part::of(&self.text, 0..self.host), Part::of(&self.text, self.authority..self.path))
    }
}

/// The authority that the client asked, and the target in origin-form.
fn authority_and_target<'h>(head: &'h RequestHeader, raw: &'h str) -> Result<(&'h str, &'h str), Reason> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => Some(host.to_str().map_err(|_| Reason::AmbiguousRequest)?),
        (Some(_), Some(_)) => return Err(Reason::AmbiguousRequest),
    };
    let (named, target) = if head.version == http::Version::HTTP_2 {
        if head.uri.scheme_str().is_some_and(|scheme| scheme != "https") {
            return Err(Reason::AmbiguousRequest);
        }
        (head.uri.authority().map(http::uri::Authority::as_str), raw)
    } else if raw.starts_with('/') {
        (None, raw)
    } else {
        // Absolute-form (RFC 9112 §3.2.2): the same origin or nothing.
        let rest = raw.strip_prefix("https://").ok_or(Reason::AmbiguousRequest)?;
        let slash = rest.find('/').ok_or(Reason::AmbiguousRequest)?;
        let (authority, target) = rest.split_at_checked(slash).ok_or(Reason::AmbiguousRequest)?;
        (Some(authority), target)
    };
    match (named, host) {
        (Some(named), Some(host)) if !same_authority(named, host) => Err(Reason::AmbiguousRequest),
        (Some(authority), _) | (None, Some(authority)) => Ok((authority, target)),
        (None, None) => Err(Reason::AmbiguousRequest),
    }
}

fn same_authority(a: &str, b: &str) -> bool {
    matches!((canonical::authority(a), canonical::authority(b)), (Ok(a), Ok(b)) if a == b)
}

/// What kind of client sent a head, whether or not the rest of it is understood.
#[must_use]
pub fn kind(head: &RequestHeader) -> Kind {
    let headers = &head.headers;
    let says = |name: &HeaderName, part: &str| {
        let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let is_part = |window: &[u8]| window.eq_ignore_ascii_case(part.as_bytes());
        values.any(|value| value.as_bytes().windows(part.len()).any(is_part))
    };
    if head.version == http::Version::HTTP_11
        && says(&header::UPGRADE, "websocket")
        && says(&header::CONNECTION, "upgrade")
    {
        return Kind::WebSocket;
    }
    if headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
    {
        return Kind::Grpc;
    }
    let goes_to_a_page = match headers.get(&SEC_FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => says(&header::ACCEPT, "text/html") && !headers.contains_key(&X_REQUESTED_WITH),
    };
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    if reads && goes_to_a_page { Kind::Navigation } else { Kind::Other }
}

/// From `Origin`, or where there is none from `Sec-Fetch-Site`.
fn initiator(headers: &HeaderMap, authority: &str) -> Initiator {
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let own = origin
            .strip_prefix("https://")
            .is_some_and(|theirs| theirs.strip_suffix(":443").unwrap_or(theirs) == authority);
        return if own { Initiator::Own } else { Initiator::Other(origin) };
    }
    match headers.get(&SEC_FETCH_SITE).map(http::HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Initiator::Own,
        Some(_) => Initiator::Other(String::new()),
    }
}

impl Request {
    /// Whether the method may change something, or a WebSocket opens a channel that may.
    #[must_use]
    pub fn is_unsafe(&self) -> bool {
        self.kind == Kind::WebSocket || !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// The scope of the request's body may be quiet for as long as both ends like.
    #[must_use]
    pub fn may_pause(&self) -> bool {
        matches!(self.kind, Kind::WebSocket | Kind::Grpc)
    }
}

/// Removes what must not reach an upstream, and joins the cookies that are not tiergate's own.
///
/// # Errors
/// What is left of the cookies cannot be written in a header.
pub fn clean(head: &mut impl headers::Fields, is_own_cookie: impl Fn(&str) -> bool) -> pingora::Result<()> {
    let reserved: Vec<_> =
        head.all().keys().filter(|name| headers::is_reserved(name.as_str())).cloned().collect();
    for name in reserved {
        head.take_out(&name);
    }
    head.take_out(&header::EXPECT);
    if must_rewrite_cookies(head.all(), &is_own_cookie) {
        let joined = cookies(head.all()).filter(|pair| !is_own_cookie(name_of(pair))).collect::<Vec<_>>();
        let joined = joined.join("; ");
        head.take_out(&header::COOKIE);
        if !joined.is_empty() {
            head.put(header::COOKIE, HeaderValue::try_from(joined).or_err(InternalError, "a cookie")?)?;
        }
    }
    Ok(())
}

/// The pairs of every `Cookie` field that is text.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).map(str::trim).filter(|pair| !pair.is_empty())
}

fn name_of(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default().trim()
}

/// Whether the cookies are others or elsewhere than an upstream may see them: one field of text without any
/// of ours is left alone.
fn must_rewrite_cookies(headers: &HeaderMap, is_own_cookie: impl Fn(&str) -> bool) -> bool {
    let mut fields = headers.get_all(header::COOKIE).iter();
    match (fields.next(), fields.next()) {
        (None, _) => false,
        (Some(one), None) => {
            one.to_str().is_err() || cookies(headers).any(|pair| is_own_cookie(name_of(pair)))
        }
        (Some(_), Some(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, target: &str, headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build(method, target.as_bytes(), None).unwrap();
        for (name, value) in headers {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    fn check(method: &str, target: &str, headers: &[(&'static str, &str)]) -> String {
        let head = head(method, target, headers);
        match read(&head, kind(&head)) {
            Ok(Reading::Plain(request)) => {
                format!("{:?} {}{}", request.kind, request.authority(), request.path_and_query())
            }
            Ok(Reading::Elsewhere { path_and_query, .. }) => format!("→ {path_and_query}"),
            Err(reason) => reason.to_string(),
        }
    }

    #[test]
    fn a_head_is_understood_in_one_way_or_not_at_all() {
        let host = ("Host", "app.test");
        for (method, target, headers, want) in [
            ("GET", "/a?b", &[host][..], "Other app.test/a?b"),
            ("GET", "/a", &[("Host", "APP.test.:8443")], "Other app.test:8443/a"),
            ("GET", "/a", &[("Host", "app.test:443")], "Other app.test/a"),
            ("GET", "https://app.test/high", &[host], "Other app.test/high"),
            ("GET", "https://other.test/high", &[host], "ambiguous_request"),
            ("GET", "http://app.test/high", &[host], "ambiguous_request"),
            ("GET", "https://u@app.test/", &[host], "ambiguous_request"),
            ("GET", "*", &[host], "ambiguous_request"),
            ("GET", "/", &[], "ambiguous_request"),
            ("GET", "/", &[host, host], "ambiguous_request"),
            ("GET", "//a", &[host], "→ /a"),
            ("POST", "//a", &[host], "ambiguous_request"),
            ("TRACE", "/", &[host], "method_refused"),
            ("CONNECT", "/", &[host], "method_refused"),
            ("get", "/", &[host], "method_refused"),
            ("PROPFIND", "/", &[host], "Other app.test/"),
            ("GET", "/", &[host, ("Accept", "text/html,*/*")], "Navigation app.test/"),
            ("GET", "/", &[host, ("Accept", "text/html"), ("Sec-Fetch-Mode", "cors")], "Other app.test/"),
            (
                "GET",
                "/",
                &[host, ("Accept", "text/html"), ("X-Requested-With", "XMLHttpRequest")],
                "Other app.test/",
            ),
            ("POST", "/", &[host, ("Accept", "text/html")], "Other app.test/"),
            ("GET", "/", &[host, ("Upgrade", "websocket"), ("Connection", "Upgrade")], "WebSocket app.test/"),
            ("POST", "/", &[host, ("Content-Type", "application/grpc+proto")], "Grpc app.test/"),
            ("GET", "/", &[host, ("Expect", "y 100-continue")], "expectation_failed"),
        ] {
            assert_eq!(check(method, target, headers), want, "{method} {target} {headers:?}");
        }
    }

    #[test]
    fn the_initiator_is_this_origin_or_another() {
        for (headers, own) in [
            (&[][..], true),
            (&[("Origin", "https://app.test")][..], true),
            (&[("Origin", "https://app.test:443")], true),
            (&[("Origin", "https://APP.test")], true),
            (&[("Origin", "http://app.test")], false),
            (&[("Origin", "https://wiki.test")], false),
            (&[("Origin", "null")], false),
            (&[("Sec-Fetch-Site", "same-origin")], true),
            (&[("Sec-Fetch-Site", "none")], true),
            (&[("Sec-Fetch-Site", "same-site")], false),
            (&[("Sec-Fetch-Site", "cross-site")], false),
            (&[("Origin", "https://app.test"), ("Sec-Fetch-Site", "same-site")], true),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            assert_eq!(initiator(&map, "app.test") == Initiator::Own, own, "{headers:?}");
        }
    }

    #[test]
    fn cookies_of_ours_go_and_the_others_are_one_line() {
        let mut head = head(
            "GET",
            "/",
            &[
                ("Host", "a"),
                ("Cookie", "a=1; ours=x"),
                ("Cookie", "b=2"),
                ("X_Tiergate_User", "evil"),
                ("X-Tiergate-User", "evil"),
            ],
        );
        clean(&mut head, |name| name == "ours").unwrap();
        let cookies: Vec<_> = head.headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
        assert!(head.headers.keys().all(|name| !name.as_str().contains("tiergate")));
    }
}
