//! A gateway in small in front of the routers, and browsers with cookie jars.

use crate::access::{Step, Timestamp};
use crate::config::Sessions as SessionLimits;
use crate::diagnostic::Source;
use crate::identity::tampering::Idp;
use crate::identity::totp::TotpSecret;
use crate::identity::users_file::{NewUser, hash_password, render};
use crate::identity::{Kind, LocalUsers, Provider, Providers, Throttle};
use crate::login::{
    Held, Login, LoginEvent, LoginEventKind, Visitor, challenge_redirect, every_host_router,
    login_host_router,
};
use crate::policy::Policy;
use crate::session::{CookieMemory, Cookies, Sessions};
use crate::snapshot::Snapshot;
use crate::state::State;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tower::ServiceExt;

pub(super) const NOW: Timestamp = 1_800_000_000;
pub(super) const WIKI: &str = "https://wiki.corp.example:8443";
pub(super) const PAYROLL: &str = "https://payroll.corp.example:8443";
pub(super) const LOGIN: &str = "https://login.corp.example:8443";

pub(super) struct World {
    _dir: tempfile::TempDir,
    pub(super) login: Arc<Login>,
    pub(super) state: Arc<State>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) events: Arc<Mutex<Vec<LoginEvent>>>,
    pub(super) now: Timestamp,
    idp: Option<Idp>,
    /// What the provider believes the time is.
    clock: Arc<AtomicI64>,
}

#[derive(Clone, Default)]
pub(super) struct Browser {
    /// By host and name.
    pub(super) jar: BTreeMap<(String, String), String>,
    pub(super) device: Option<[u8; 32]>,
    /// Sent with every request.
    pub(super) headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// The redirects that led here.
    pub(super) hops: Vec<String>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn location(&self) -> &str {
        self.header("location")
    }

    pub(super) fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&start).unwrap_or_else(|| panic!("no {name}: {}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }

    /// Where the first link of the page itself leads.
    pub(super) fn link(&self) -> String {
        let (_, main) = self.body.split_once("<main").unwrap();
        main.split('"').skip_while(|part| !part.ends_with("href=")).nth(1).unwrap().replace("&#38;", "&")
    }

    pub(super) fn shows(&self, text: &str) -> bool {
        self.body.contains(text)
    }
}

/// A way to sign in.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// Ann, bob, tess who has an authenticator, and gone who is disabled; passwords such as `ann-pw`.
    Local,
    /// The provider of [`super::idp`], named `idp`.
    Workforce,
}

const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Made once: Argon2 takes its time.
static USERS: LazyLock<[NewUser; 4]> = LazyLock::new(|| {
    ["ann", "bob", "gone", "tess"].map(|name| NewUser {
        name: name.to_owned(),
        password: hash_password(&format!("{name}-pw")).unwrap(),
        email: Some(format!("{name}@corp.example")),
        display_name: None,
        groups: vec!["staff".to_owned()],
        totp: (name == "tess").then(|| TOTP_SECRET.to_owned()),
        disabled: name == "gone",
    })
});

/// The users of [`Way::Local`], of whom one may have been disabled.
fn users(disabled: Option<&str>) -> Kind {
    let mut users = USERS.clone();
    for user in users.iter_mut().filter(|user| Some(user.name.as_str()) == disabled) {
        user.disabled = true;
    }
    let source = Source { path: "users.yaml".into(), text: render(&users) };
    Kind::Local(Arc::new(LocalUsers::parse(&source).unwrap()))
}

/// The same users as the only provider, by this name.
pub(super) fn local_users(name: &str, disabled: Option<&str>) -> Arc<Providers> {
    let provider = Provider { name: name.into(), title: "Password".into(), kind: users(disabled) };
    Arc::new(Providers::new(vec![provider]))
}

impl World {
    pub(super) async fn new(ways: &[Way]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(dir.path()).await.unwrap());
        let age = Duration::from_hours(12);
        let sessions = Sessions::open(Arc::clone(&state), age, NOW).await.unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let login = Login::new(
            Arc::new(sessions),
            &[[1; 32]],
            Arc::new(Throttle::new()),
            Arc::new(move |event: &LoginEvent| heard.lock().unwrap().push(event.clone())),
        );
        let clock = Arc::new(AtomicI64::new(NOW));
        let (mut providers, mut idp) = (Vec::new(), None);
        for way in ways {
            let (name, title, kind) = match way {
                Way::Local => ("local", "Password", users(None)),
                Way::Workforce => {
                    let started = idp.insert(super::idp::start(Arc::clone(&clock)).await);
                    ("idp", "Workforce", Kind::Oidc(Arc::clone(&started.oidc)))
                }
            };
            providers.push(Provider { name: name.into(), title: title.into(), kind });
        }
        let snapshot = Arc::new(Snapshot::for_tests(|snapshot| {
            let config = Arc::make_mut(&mut snapshot.config);
            config.identity.login_host = "login.corp.example".into();
            config.tls.hsts = Some(Duration::from_hours(1));
            config.sessions = SessionLimits { max_age: age, idle_timeout: Duration::from_mins(30) };
            snapshot.policy = Arc::new(Policy::empty());
            snapshot.providers = Arc::new(Providers::new(providers));
        }));
        Self { _dir: dir, login, state, snapshot, events, now: NOW, idp, clock }
    }

    /// What a reload does.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Snapshot)) {
        let before = Arc::clone(&self.snapshot);
        self.snapshot = Arc::new(Snapshot::for_tests(|snapshot| {
            snapshot.generation = before.generation + 1;
            snapshot.config = Arc::clone(&before.config);
            snapshot.policy = Arc::clone(&before.policy);
            snapshot.providers = Arc::clone(&before.providers);
            change(snapshot);
        }));
    }

    pub(super) fn idp(&self) -> &Idp {
        self.idp.as_ref().unwrap()
    }

    pub(super) fn happened(&self) -> Vec<LoginEventKind> {
        self.events.lock().unwrap().drain(..).map(|event| event.kind).collect()
    }

    /// One request, without following anything.
    pub(super) async fn send(
        &self,
        browser: &mut Browser,
        method: &str,
        url: &str,
        form: &[(&str, &str)],
    ) -> Answer {
        self.clock.store(self.now, Ordering::SeqCst);
        let parsed = url::Url::parse(url).unwrap();
        let host = parsed.host_str().unwrap().to_owned();
        let target = parsed[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        let mut request = Request::builder().method(method).uri(&target);
        for ((of, name), value) in &browser.jar {
            if *of == host {
                request = request.header("cookie", format!("{name}={value}"));
            }
        }
        for (name, value) in &browser.headers {
            request = request.header(*name, value);
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        let authority = parsed[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let mut visitor = Visitor {
            host: host.clone(),
            authority,
            client: "192.0.2.1".parse().unwrap(),
            device_key: browser.device,
            now: self.now,
            request_id: uuid::Uuid::nil(),
            snapshot: Arc::clone(&self.snapshot),
            session: None,
        };
        let held = {
            let cookies = Cookies::read(request.headers());
            self.login.held(&host, cookies, browser.device.as_ref(), &CookieMemory::default())
        };
        if let Held::Live(session) = held {
            visitor.session = Some(session);
        }
        let router = if parsed.path().starts_with("/.tiergate/") {
            every_host_router(Arc::clone(&self.login))
        } else if url.starts_with(LOGIN) {
            login_host_router(Arc::clone(&self.login))
        } else {
            return self.gate(browser, &visitor, request.headers(), url, &target);
        };
        request.extensions_mut().insert(visitor);
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        for name in ["cache-control", "x-content-type-options", "referrer-policy", "x-frame-options"] {
            assert!(parts.headers.contains_key(name), "{url} lacks {name}");
        }
        assert_eq!(parts.headers["strict-transport-security"], "max-age=3600");
        let set: Vec<String> = parts
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        browser.keep(&host, &set);
        Answer {
            url: url.to_owned(),
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
            hops: Vec::new(),
        }
    }

    /// What the gateway does for a resource: `/mfa` needs two factors, `/fresh` a sign-in of the
    /// last minute, and for `/never` no session is good enough.
    fn gate(
        &self,
        browser: &mut Browser,
        visitor: &Visitor,
        headers: &HeaderMap,
        url: &str,
        target: &str,
    ) -> Answer {
        let step = match &visitor.session {
            None => Some(Step::SignIn),
            Some(session) if self.now - session.last_seen() > 1800 => Some(Step::SignIn),
            Some(_) if target.starts_with("/never") => Some(Step::SignIn),
            Some(session) if target.starts_with("/mfa") && !session.facts().mfa => Some(Step::StepUp),
            Some(session) if target.starts_with("/fresh") && self.now - session.facts().auth_time > 60 => {
                Some(Step::Reauthenticate { max_auth_age: 60 })
            }
            Some(session) => {
                session.touch(self.now);
                None
            }
        };
        let mut answer = Answer {
            url: url.to_owned(),
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: String::new(),
            hops: Vec::new(),
        };
        match (step, &visitor.session) {
            (Some(step), _) => {
                let to = challenge_redirect(&self.login, visitor, headers, target, step);
                browser.keep(&visitor.host, &to.set_cookie);
                answer.status = StatusCode::FOUND;
                answer.headers.insert("location", to.location.parse().unwrap());
            }
            (None, session) => answer.body = session.as_ref().unwrap().person().user.to_string(),
        }
        answer
    }

    /// A request and every redirect after it, until something is shown or the provider is reached.
    pub(super) async fn follow(
        &self,
        browser: &mut Browser,
        method: &str,
        url: &str,
        form: &[(&str, &str)],
    ) -> Answer {
        let mut answer = self.send(browser, method, url, form).await;
        let mut hops = Vec::new();
        while !answer.location().is_empty() {
            let next = url::Url::parse(&answer.url).unwrap().join(answer.location()).unwrap();
            hops.push(next.to_string());
            assert!(hops.len() < 12, "a circle: {hops:#?}");
            if next.host_str() == Some("idp.test") {
                break;
            }
            answer = self.send(browser, "GET", next.as_str(), &[]).await;
        }
        answer.hops = hops;
        answer
    }

    pub(super) async fn open(&self, browser: &mut Browser, url: &str) -> Answer {
        self.follow(browser, "GET", url, &[]).await
    }

    /// Sends the sign-in form that `page` shows.
    pub(super) async fn fill(
        &self,
        browser: &mut Browser,
        page: &Answer,
        user: &str,
        password: &str,
    ) -> Answer {
        let [provider, csrf, state] = ["provider", "csrf", "state"].map(|name| page.field(name));
        let form = [
            ("user", user),
            ("password", password),
            ("provider", &provider),
            ("csrf", &csrf),
            ("state", &state),
        ];
        self.follow(browser, "POST", &format!("{LOGIN}/sign-in"), &form).await
    }

    /// A browser that is signed in on the wiki.
    pub(super) async fn signed_in(&self, user: &str) -> Browser {
        let mut browser = Browser::default();
        let page = self.open(&mut browser, &format!("{WIKI}/")).await;
        let answer = self.fill(&mut browser, &page, user, &format!("{user}-pw")).await;
        assert_eq!(answer.body, format!("{user}@corp.example"));
        self.happened();
        browser
    }

    /// What tess's authenticator shows.
    pub(super) fn code(&self) -> String {
        TotpSecret::parse(TOTP_SECRET, "tess").unwrap().code(self.now)
    }
}

impl Browser {
    fn keep(&mut self, host: &str, set: &[String]) {
        for cookie in set {
            let (pair, rest) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(cookie.len() < 4096, "{name} is too large");
            for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(rest.split("; ").any(|is| is.trim() == part), "{cookie} lacks {part}");
            }
            assert!(!rest.contains("Domain"), "{cookie}");
            if name.starts_with(crate::session::OIDC_COOKIE_PREFIX) {
                assert!(rest.contains("Max-Age=600;") || rest.contains("Max-Age=0;"), "{cookie}");
            }
            let key = (host.to_owned(), name.to_owned());
            if rest.contains("Max-Age=0") {
                self.jar.remove(&key);
            } else {
                self.jar.insert(key, value.to_owned());
            }
        }
    }

    pub(super) fn cookie(&self, url: &str, name: &str) -> Option<String> {
        self.jar.get(&(host(url), name.to_owned())).cloned()
    }

    pub(super) fn forget(&mut self, url: &str, name: &str) {
        self.jar.remove(&(host(url), name.to_owned()));
    }

    pub(super) fn set(&mut self, url: &str, name: &str, value: &str) {
        self.jar.insert((host(url), name.to_owned()), value.to_owned());
    }
}

fn host(url: &str) -> String {
    url::Url::parse(url).unwrap().host_str().unwrap().to_owned()
}
