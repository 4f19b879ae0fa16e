//! Tiergate's own pages, answered in-process: the login host, and `/.tiergate/` on every host.

use super::Gateway;
use super::connection::Connection;
use super::identify;
use super::request::{Request, Who};
use super::respond::Answer;
use crate::access::{
    self, Absent, Decision, Device, DeviceTrust, Facts, Reason, Standing, Subject, Tier, Timestamp, User,
    decide,
};
use crate::device::{Evidence, Judgement};
use crate::login::{self, Login, Visitor};
use crate::pages::{self, DeviceView, Lacking, MyAccess, RecordView, Row, RowState, SessionView};
use crate::policy::Unmet;
use crate::session::{LiveSession, Person};
use crate::snapshot::Snapshot;
use crate::text::prefix::RESERVED;
use axum::Router;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
};
use http::{HeaderValue, Method, StatusCode};
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

/// The most of a form that is read, bytes.
const MAX_FORM: usize = 64 * 1024;
/// The most of a page that is passed on, bytes: ours are far smaller.
const MAX_PAGE: usize = 4 * 1024 * 1024;
/// A form must arrive within this time.
const FORM_WITHIN: Duration = Duration::from_secs(15);
/// How long the published keys may be kept; far shorter than keys live.
const JWKS_MAX_AGE: &str = "public, max-age=300";

/// The routers of the pages.
pub struct Pages {
    login_host: Router,
    every_host: Router,
}

impl Pages {
    /// The pages of this login.
    #[must_use]
    pub fn new(login: &Arc<Login>) -> Self {
        Self {
            login_host: login::login_host_router(Arc::clone(login)),
            every_host: login::every_host_router(Arc::clone(login)),
        }
    }
}

/// What a page is asked with.
pub struct Visit<'a> {
    /// The gateway.
    pub gateway: &'a Gateway,
    /// What the visit is decided with.
    pub snapshot: &'a Arc<Snapshot>,
    /// The request; its `who` is identified.
    pub request: &'a Request,
    /// The connection.
    pub connection: &'a Connection,
    /// Its certificate, judged now.
    pub judged: &'a Judgement,
    /// When.
    pub now: Timestamp,
    /// The request's id.
    pub request_id: uuid::Uuid,
}

/// What became of a visit.
pub enum Visited {
    /// Answered.
    Answer(Answer),
    /// The page is for people who are signed in.
    SignIn(Absent),
}

/// Whether the request is for one of these pages.
#[must_use]
pub fn is_own(request: &Request, snapshot: &Snapshot) -> bool {
    request.host() == snapshot.config.identity.login_host
        || request.path().strip_prefix(RESERVED).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Visit<'_> {
    /// Answers the visit.
    ///
    /// # Errors
    /// The form did not arrive.
    pub async fn answer(&self, session: &mut ServerSession) -> pingora::Result<Visited> {
        let reads = matches!(self.request.method, Method::GET | Method::HEAD);
        match self.request.path() {
            "/.tiergate/jwks.json" if reads => Ok(Visited::Answer(self.keys())),
            "/.tiergate" | "/.tiergate/" if reads => Ok(match self.live() {
                Some(session) => Visited::Answer(self.my_access(session)),
                None => Visited::SignIn(match &self.request.who {
                    Who::Nobody(absent) => *absent,
                    Who::Session(_) | Who::Bearer(_) | Who::Service(_) => Absent::SessionExpired,
                }),
            }),
            path => {
                let login_host = self.request.host() == self.snapshot.config.identity.login_host;
                let pages = &self.gateway.pages;
                let router = if login_host && !path.starts_with(RESERVED) {
                    &pages.login_host
                } else {
                    &pages.every_host
                };
                self.ask(router.clone(), session).await.map(Visited::Answer)
            }
        }
    }

    /// What is told to the pages of the login.
    #[must_use]
    pub fn visitor(&self) -> Visitor {
        Visitor {
            host: self.request.host().to_owned(),
            authority: self.request.authority().to_owned(),
            client: self.connection.client.ip(),
            device_key: self.connection.evidence.as_ref().map(Evidence::key_digest),
            now: self.now,
            request_id: self.request_id,
            snapshot: Arc::clone(self.snapshot),
            session: match &self.request.who {
                Who::Session(session) => Some(Arc::clone(session)),
                Who::Nobody(_) | Who::Bearer(_) | Who::Service(_) => None,
            },
        }
    }

    /// The session, where the account and its limits still bear it.
    fn live(&self) -> Option<&Arc<LiveSession>> {
        let Who::Session(session) = &self.request.who else { return None };
        let known = identify::known(session, self.snapshot);
        let limits = self.snapshot.policy.session_limits(&known.groups.set);
        let facts = session.facts();
        let within = |since, limit: Option<Duration>| {
            limit.is_none_or(|limit| !crate::policy::older_than(since, self.now, limit))
        };
        let good = known.active
            && within(facts.started, limits.max_age)
            && within(facts.last_seen, limits.idle_timeout);
        good.then_some(session)
    }

    async fn ask(&self, router: Router, session: &mut ServerSession) -> pingora::Result<Answer> {
        let body = read_form(session).await?;
        let mut builder =
            http::Request::builder().method(self.request.method.clone()).uri(self.request.path_and_query());
        for (name, value) in &session.req_header().headers {
            builder = builder.header(name, value);
        }
        let Ok(mut asked) = builder.body(Body::from(body)) else {
            return Ok(empty(StatusCode::BAD_REQUEST));
        };
        asked.extensions_mut().insert(self.visitor());
        let (parts, body) = match router.oneshot(asked).await {
            Ok(response) => response.into_parts(),
            Err(never) => match never {},
        };
        let Ok(body) = axum::body::to_bytes(body, MAX_PAGE).await else {
            return Ok(empty(StatusCode::INTERNAL_SERVER_ERROR));
        };
        let fields = parts.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Answer { status: parts.status, fields, body })
    }

    fn keys(&self) -> Answer {
        let fields = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json")),
            (CACHE_CONTROL, HeaderValue::from_static(JWKS_MAX_AGE)),
            (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        ];
        let body = Bytes::from(self.gateway.assertions.load().jwks().to_owned());
        Answer { status: StatusCode::OK, fields, body }
    }

    fn my_access(&self, session: &Arc<LiveSession>) -> Answer {
        let policy = &self.snapshot.policy;
        let person = session.person();
        let known = identify::known(session, self.snapshot);
        let limits = policy.session_limits(&known.groups.set);
        let facts = session.facts();
        let max_age = limits.max_age.unwrap_or(self.snapshot.config.sessions.max_age);
        let device = self.judged.device();
        let targets = self.targets();
        let resources = targets.iter().filter_map(|(name, host, url)| self.row(name, host, url, &known));
        let csrf = self.gateway.login.sign_out_token(self.request.host(), session, self.now);
        let page = MyAccess {
            user: &person.user,
            email: person.email.as_deref().filter(|email| **email != *person.user),
            groups: known.groups.set.iter().filter_map(|group| policy.group_name(group)).collect(),
            session: SessionView {
                started: facts.started,
                auth_time: facts.auth_time,
                expires: facts.started.saturating_add(i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX)),
                mfa: facts.mfa,
            },
            device: DeviceView { trust: device.trust, id: device.id, lowered: device.lowered },
            authority: self.judged.authority.as_deref(),
            record: self.judged.record.as_deref().map(RecordView::of),
            lacking: self.lacking(&person),
            resources: resources.collect(),
            csrf: &csrf,
        };
        let mut fields = vec![
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            // With `no-referrer`, browsers send `Origin: null` with the form for signing out.
            (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        ];
        fields.extend(HeaderValue::try_from(pages::csp(&[])).ok().map(|csp| (CONTENT_SECURITY_POLICY, csp)));
        Answer { status: StatusCode::OK, fields, body: page.render().into() }
    }

    /// What the device lacks for each tier that asks something of it.
    fn lacking(&self, person: &Person) -> Vec<Lacking> {
        let device = self.judged.device();
        let names = [Some(&*person.user), person.email.as_deref()];
        let tiers = [Tier::Low, Tier::High].into_iter().filter_map(|tier| {
            let posture = self.snapshot.policy.posture(tier)?;
            if device.id.is_none() || device.trust < tier.required_trust() {
                return None;
            }
            let unmet: Vec<Unmet<'_>> = posture.unmet(device.standing, names, self.now).collect();
            let first = unmet.first()?;
            let remedies: Vec<String> = unmet.iter().copied().filter_map(pages::remedy).collect();
            Some(Lacking { tier, reason: first.reason(), remedies })
        });
        tiers.collect()
    }

    /// Name, host and address of every resource that a person could open.
    fn targets(&self) -> Vec<(String, String, String)> {
        let port =
            self.request.authority().split_once(':').map(|(_, port)| format!(":{port}")).unwrap_or_default();
        let resources = self.snapshot.policy.resources().iter();
        let targets = resources.filter_map(|resource| {
            let host = resource.hosts.iter().find(|host| !host.starts_with('*'))?;
            Some((resource.name.to_string(), host.clone(), format!("https://{host}{port}/")))
        });
        targets.collect()
    }

    /// A resource that the person can reach, now or after a step; `None` for one that no step opens.
    fn row<'r>(
        &'r self,
        name: &'r str,
        host: &str,
        url: &'r str,
        known: &'r identify::KnownUser,
    ) -> Option<Row<'r>> {
        let place = self.snapshot.policy.locate(host, "/")?;
        let subject = identify::subject(self.request, Some(known), self.judged, self.snapshot, self.now);
        let facts = Facts {
            place: Some(place),
            method: "GET",
            path: "/",
            client: self.connection.client.ip(),
            now: self.now,
            address_limited: false,
            cross_origin: false,
            audit_available: true,
            subject,
            device: self.judged.device(),
        };
        let at_best = Facts { subject: proven(subject, self.now), device: issued(facts.device), ..facts };
        self.obstacle(&at_best).is_none().then(|| Row {
            name,
            url,
            tier: place.section().tier,
            state: self
                .obstacle(&facts)
                .map_or(RowState::Open, |reason| RowState::Locked { step: pages::step(reason) }),
        })
    }

    fn obstacle(&self, facts: &Facts<'_>) -> Option<Reason> {
        match decide(&self.snapshot.policy, facts) {
            // Only a look: nothing is dialled, so this permit is not used.
            Decision::Allow(_) => None,
            Decision::Deny(denial) | Decision::Challenge(_, denial) => Some(denial.reason),
        }
    }
}

/// The same user, freshly signed in with more than one factor.
fn proven(subject: Subject<'_>, now: Timestamp) -> Subject<'_> {
    match subject {
        Subject::User(user) => {
            let session = access::Session { auth_time: now, mfa: true, ..user.session };
            Subject::User(User { session, ..user })
        }
        Subject::Nobody(_) | Subject::Service(_) => subject,
    }
}

/// The same device, were it issued by the company and in order.
const fn issued(device: Device<'_>) -> Device<'_> {
    Device { trust: DeviceTrust::Issued, lowered: None, standing: Standing::Assumed(None), ..device }
}

fn empty(status: StatusCode) -> Answer {
    Answer { status, fields: Vec::new(), body: Bytes::new() }
}

/// Reads the whole body of a form.
async fn read_form(session: &mut ServerSession) -> pingora::Result<Bytes> {
    use pingora::{Error, ErrorType};
    if session.req_header().headers.contains_key(http::header::EXPECT) {
        session.write_continue_response().await?;
    }
    let mut form = BytesMut::new();
    let reading = async {
        while let Some(part) = session.read_request_body().await? {
            if form.len() + part.len() > MAX_FORM {
                return Error::e_explain(ErrorType::InvalidHTTPHeader, "the form is too large");
            }
            form.extend_from_slice(&part);
        }
        Ok(())
    };
    match tokio::time::timeout(FORM_WITHIN, reading).await {
        Ok(done) => done?,
        Err(_) => return Error::e_explain(ErrorType::ReadTimedout, "the form did not arrive in time"),
    }
    Ok(form.freeze())
}
