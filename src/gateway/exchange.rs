//! One request from head to end, in the framework's phases.

use super::connection::Connection;
use super::forward::{Asked, Forward, Unmet};
use super::identify::Token;
use super::own_pages::{self, Visit, Visited};
use super::rate::Key;
use super::record::Record;
use super::request::{self, Initiator, Kind, Reading, Request, Who};
use super::respond::{self, Answer, Refused};
use super::scope::Scope;
use super::{Gateway, canonical, cors, identify};
use crate::access::{Absent, Decision, DeviceTrust, Facts, Reason, Step, Timestamp, decide};
use crate::device::Judgement;
use crate::login::challenge_redirect;
use crate::pages::DeviceView;
use crate::policy::Place;
use crate::snapshot::Snapshot;
use crate::telemetry::Decided;
use crate::text::prefix;
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::{BError, Error, ErrorSource, ErrorType, Result};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A body must reach the least rate after this long, seconds.
const RATE_GRACE: u64 = 10;

/// The framework's callbacks. What they need comes with the request's [`Scope`].
pub struct Handler;

/// One request under way.
pub struct Exchange {
    scope: Option<Arc<Scope>>,
    record: Option<Record>,
    request: Option<Arc<Request>>,
    forward: Option<Forward>,
    failure: Option<Reason>,
    body_began: Option<Instant>,
    body_bytes: u64,
}

/// What to do with a request.
enum Verdict {
    Forward,
    Answer(Answer),
}

/// A request with everything that it is decided with.
struct Case<'a> {
    gateway: &'a Arc<Gateway>,
    connection: &'a Connection,
    snapshot: Arc<Snapshot>,
    now: Timestamp,
    judged: Judgement,
    /// The cookies of the request, for the answer that sends a browser to sign in.
    headers: http::HeaderMap,
}

impl Exchange {
    #[expect(clippy::unnecessary_box_returns, reason = "the framework's errors are boxed")]
    fn fail(&mut self, reason: Reason) -> BError {
        self.failure = Some(reason);
        Error::explain(ErrorType::InternalError, reason.code())
    }

    async fn judge(&mut self, session: &mut Session) -> Result<Verdict> {
        let Some(scope) = self.scope.clone() else { return Err(self.fail(Reason::InternalError)) };
        let Some(mut record) = self.record.take() else { return Err(self.fail(Reason::InternalError)) };
        let gateway = scope.gateway();
        let snapshot = gateway.snapshot();
        let now = gateway.now();
        let judged = identify::judge(&scope.connection, &snapshot, now);
        let headers = cookies_of(session);
        let case = Case { gateway, connection: &scope.connection, snapshot, now, judged, headers };
        let verdict = self.judge_case(session, &case, &mut record, &scope).await;
        self.record = Some(record);
        verdict
    }

    async fn judge_case(
        &mut self,
        session: &mut Session,
        case: &Case<'_>,
        record: &mut Record,
        scope: &Scope,
    ) -> Result<Verdict> {
        let mut request = match request::read(session.req_header()) {
            Ok(Reading::Plain(request)) => request,
            Ok(Reading::Elsewhere { host, path_and_query }) => {
                record.raw(session.req_header().method.as_str(), &host, &path_and_query);
                record.decided(Decided::Allow, Reason::OwnPage, None);
                return Ok(Verdict::Answer(respond::moved(&path_and_query)));
            }
            Err(reason) => {
                let head = session.req_header();
                let target = String::from_utf8_lossy(head.raw_path());
                let host = head.headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()));
                record.raw(head.method.as_str(), &host.unwrap_or_default(), &target);
                return Ok(case.refuse(record, None, None, reason, None));
            }
        };
        record.request(&request);
        #[cfg(debug_assertions)]
        fault(session);
        let login_host = case.snapshot.config.identity.login_host == request.host;
        let place = case.snapshot.policy.locate(&request.host, &request.path);
        if !login_host && place.is_none() && !case.snapshot.policy.has_host(&request.host) {
            return Ok(case.refuse(record, Some(&request), None, Reason::NoRoute, None));
        }
        if !case.connection.served.covers(&request.host) {
            return Ok(case.refuse(record, Some(&request), None, Reason::HostNotCovered, None));
        }
        let headers = &session.req_header().headers;
        request.who = identify::find(
            headers,
            &request.host,
            case.connection,
            &case.judged,
            &case.gateway.login,
            login_host,
        );
        if let (Who::Nobody(absent), false) = (&request.who, own_pages::is_own(&request, &case.snapshot)) {
            let absent = *absent;
            match identify::token(headers, &case.snapshot, case.now).await {
                Token::NotOurs => {}
                Token::Of(who) => request.who = Who::Bearer(who),
                Token::Invalid => request.who = Who::Nobody(invalid(absent)),
                Token::Several => {
                    return Ok(case.refuse(record, Some(&request), None, Reason::AmbiguousRequest, None));
                }
                Token::Unknowable => {
                    return Ok(case.refuse(record, Some(&request), None, Reason::EvidenceStale, None));
                }
            }
        }
        record.asker(&request.who, &case.judged);
        if own_pages::is_own(&request, &case.snapshot) {
            return case.visit(session, record, &request).await;
        }
        let Some(place) = place else {
            return Ok(case.refuse(record, Some(&request), None, Reason::NoRoute, None));
        };
        record.place(&case.snapshot, &place.resource().name, place.section().tier);
        if could_lead_elsewhere(place, &request) {
            return Ok(case.refuse(record, Some(&request), None, Reason::AmbiguousRequest, None));
        }
        // Before anybody is identified: a cookie is bound to the device of a connection of its own.
        let other_name =
            case.connection.sni.as_deref().is_some_and(|sni| sni.trim_end_matches('.') != request.host);
        let needs_device = place.section().tier.required_trust() > DeviceTrust::None;
        if needs_device && case.connection.evidence.is_none() && other_name {
            return Ok(case.refuse(
                record,
                Some(&request),
                Some(place),
                Reason::ConnectionWithoutDevice,
                None,
            ));
        }
        let limited = case.count_address(place);
        if limited.is_none() && cors::is_preflight(&request, &session.req_header().headers) {
            return Ok(case.preflight(record, &request, place));
        }
        Ok(self.decide(session, case, record, scope, request, place, limited))
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the request, cut out to be readable")]
    fn decide(
        &mut self,
        session: &Session,
        case: &Case<'_>,
        record: &mut Record,
        scope: &Scope,
        request: Box<Request>,
        place: Place<'_>,
        limited: Option<Duration>,
    ) -> Verdict {
        let with_cookie = matches!(request.who, Who::Session(_));
        let foreign = request.origin != Initiator::Own && !cors::lists_origin(place.resource(), &request);
        let user = identify::user(&request, &case.snapshot);
        let facts = Facts {
            place: Some(place),
            method: request.method.as_str(),
            path: &request.path,
            client: case.connection.client.ip(),
            now: case.now,
            address_limited: limited.is_some(),
            cross_origin: with_cookie && foreign && request.is_unsafe(),
            audit_available: case.audit_available(place),
            subject: identify::subject(&request, user.as_ref(), &case.judged, &case.snapshot, case.now),
            device: case.judged.device(),
        };
        let began = Instant::now();
        let decision = decide(&case.snapshot.policy, &facts);
        record.decision_took(began.elapsed());
        let (step, denial) = match decision {
            Decision::Deny(denial) => (None, denial),
            Decision::Challenge(step, denial) => (Some(step), denial),
            Decision::Allow(permit) => {
                record.decided(Decided::Allow, Reason::Allowed, permit.rule());
                let request_id = record.request_id().to_owned();
                let asked = Asked {
                    request: &request,
                    user: user.as_ref(),
                    judged: &case.judged,
                    client: case.connection.client.ip(),
                    request_id: &request_id,
                    now: case.now,
                };
                match Forward::new(permit, case.gateway, &case.snapshot, &asked) {
                    Ok(forward) => self.forward = Some(forward),
                    Err(Unmet { reason, retry_after }) => {
                        return case.refuse(record, Some(&request), Some(place), reason, retry_after);
                    }
                }
                if let Who::Session(session) = &request.who {
                    session.touch(case.now);
                }
                if let Some(most) = case.snapshot.config.limits.max_body_bytes
                    && content_length(session).is_some_and(|length| length > most)
                {
                    self.failure = Some(Reason::RequestTooLarge);
                }
                if request.kind != Kind::WebSocket && !request.may_pause() && has_body(session) {
                    scope.expect_body(case.now);
                }
                let request: Arc<Request> = Arc::from(request);
                scope.admitted(Arc::clone(&request));
                self.request = Some(request);
                return Verdict::Forward;
            }
        };
        record.decided(Decided::Deny, denial.reason, denial.rule);
        if let Some(step) = step {
            return case.challenge(record, &request, place, step, denial.reason, denial.rule);
        }
        case.refuse_by(record, Some(&request), Some(place), denial.reason, limited, denial.rule)
    }
}

impl Case<'_> {
    fn refuse(
        &self,
        record: &mut Record,
        request: Option<&Request>,
        place: Option<Place<'_>>,
        reason: Reason,
        retry_after: Option<Duration>,
    ) -> Verdict {
        self.refuse_by(record, request, place, reason, retry_after, None)
    }

    fn refuse_by(
        &self,
        record: &mut Record,
        request: Option<&Request>,
        place: Option<Place<'_>>,
        reason: Reason,
        retry_after: Option<Duration>,
        rule: Option<&crate::policy::Origin>,
    ) -> Verdict {
        record.decided(Decided::Deny, reason, rule);
        Verdict::Answer(self.answer(record, request, place, reason, None, retry_after))
    }

    fn challenge(
        &self,
        record: &mut Record,
        request: &Request,
        place: Place<'_>,
        step: Step,
        reason: Reason,
        rule: Option<&crate::policy::Origin>,
    ) -> Verdict {
        record.decided(Decided::Challenge, reason, rule);
        Verdict::Answer(self.answer(record, Some(request), Some(place), reason, Some(step), None))
    }

    fn answer(
        &self,
        record: &mut Record,
        request: Option<&Request>,
        place: Option<Place<'_>>,
        reason: Reason,
        step: Option<Step>,
        retry_after: Option<Duration>,
    ) -> Answer {
        let person = request.and_then(|request| request.who.person());
        let redirect = request.zip(step).map(|(request, step)| {
            let visit = self.visit_of(request, record);
            challenge_redirect(
                &self.gateway.login,
                &visit.visitor(),
                &self.headers,
                &request.path_and_query(),
                step,
            )
        });
        let device = self.judged.device();
        let code = record.code();
        // A stranger learns nothing of what lies behind.
        let resource =
            place.filter(|_| person.is_some()).map(|place| (place.resource(), place.section().tier));
        respond::refuse(&Refused {
            reason,
            step,
            request,
            resource,
            shared_by: place.map(Place::resource),
            code: &code,
            user: person.as_ref().map(|person| person.user.as_str()),
            device: DeviceView { trust: device.trust, id: device.id, lowered: device.lowered },
            redirect,
            retry_after,
            body: false,
        })
    }

    fn visit_of<'v>(&'v self, request: &'v Request, record: &'v Record) -> Visit<'v> {
        Visit {
            gateway: self.gateway,
            snapshot: &self.snapshot,
            request,
            connection: self.connection,
            judged: &self.judged,
            now: self.now,
            request_id: record.request_id(),
        }
    }

    async fn visit(&self, session: &mut Session, record: &mut Record, request: &Request) -> Result<Verdict> {
        record.decided(Decided::Allow, Reason::OwnPage, None);
        match self.visit_of(request, record).answer(session).await? {
            Visited::Answer(answer) => Ok(Verdict::Answer(answer)),
            Visited::SignIn(absent) => {
                let reason = match absent {
                    Absent::NotSignedIn => Reason::NotSignedIn,
                    Absent::SessionRevoked => Reason::SessionRevoked,
                    Absent::SessionExpired => Reason::SessionExpired,
                    Absent::DeviceChanged => Reason::SessionDeviceChanged,
                };
                record.decided(Decided::Challenge, reason, None);
                Ok(Verdict::Answer(self.answer(
                    record,
                    Some(request),
                    None,
                    reason,
                    Some(Step::SignIn),
                    None,
                )))
            }
        }
    }

    fn preflight(&self, record: &mut Record, request: &Request, place: Place<'_>) -> Verdict {
        match cors::preflight(place.resource(), request) {
            Some(fields) => {
                record.decided(Decided::Allow, Reason::Preflight, None);
                Verdict::Answer(Answer {
                    status: respond::status(Reason::Preflight),
                    fields,
                    body: Bytes::new(),
                })
            }
            None => self.refuse(record, Some(request), None, Reason::CrossOrigin, None),
        }
    }

    /// Counts the request against the resource's limits per address; how long to wait when one is used up.
    fn count_address(&self, place: Place<'_>) -> Option<Duration> {
        let resource = place.resource();
        let key = Key::address(self.connection.client.ip());
        let count = |limit| self.snapshot.limiters.count(&resource.name, limit, &key).err();
        resource.address_limits.iter().find_map(count)
    }

    fn audit_available(&self, place: Place<'_>) -> bool {
        let on_failure = self.snapshot.config.audit.deny_on_failure;
        let deny = match place.section().tier {
            crate::access::Tier::Open => on_failure.open,
            crate::access::Tier::Low => on_failure.low,
            crate::access::Tier::High => on_failure.high,
        };
        !deny || self.gateway.audit.available()
    }
}

/// A token that does not hold is told apart from none at all (RFC 6750 §3.1).
const fn invalid(absent: Absent) -> Absent {
    match absent {
        Absent::NotSignedIn | Absent::SessionExpired => Absent::SessionExpired,
        Absent::SessionRevoked => Absent::SessionRevoked,
        Absent::DeviceChanged => Absent::DeviceChanged,
    }
}

fn cookies_of(session: &Session) -> http::HeaderMap {
    let cookies = session.req_header().headers.get_all(http::header::COOKIE);
    cookies.iter().map(|value| (http::header::COOKIE, value.clone())).collect()
}

fn content_length(session: &Session) -> Option<u64> {
    session.req_header().headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn has_body(session: &Session) -> bool {
    let headers = &session.req_header().headers;
    headers.contains_key(http::header::TRANSFER_ENCODING)
        || headers.get(http::header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// Lets a test see what a panic costs. Only in debug builds, and only where the environment asks for it.
#[cfg(debug_assertions)]
fn fault(session: &Session) {
    let asked = session.req_header().headers.contains_key("x-tiergate-fault");
    assert!(!asked || std::env::var_os("TIERGATE_FAULTS").is_none(), "a fault was asked for");
}

#[async_trait]
impl ProxyHttp for Handler {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        let scope = Scope::current();
        let record =
            scope.as_ref().map(|scope| Record::new(Arc::clone(scope.gateway()), Some(Arc::clone(scope))));
        Exchange {
            scope,
            record,
            request: None,
            forward: None,
            failure: None,
            body_began: None,
            body_bytes: 0,
        }
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        // A panic in a decision is a denial like any other fault: the client is told, and nothing is forwarded.
        let judged = AssertUnwindSafe(exchange.judge(session)).catch_unwind().await;
        let verdict = judged.unwrap_or_else(|_panic| Err(exchange.fail(Reason::InternalError)))?;
        match verdict {
            // A body that is too large by its own account is refused before any of it is read.
            Verdict::Forward if exchange.failure.is_some() => Err(exchange.fail(Reason::RequestTooLarge)),
            Verdict::Forward => {
                let expects = session.req_header().headers.contains_key(http::header::EXPECT);
                if expects && session.req_header().version == http::Version::HTTP_11 {
                    session.as_downstream_mut().write_continue_response().await?;
                }
                Ok(false)
            }
            Verdict::Answer(answer) => {
                let hsts =
                    exchange.scope.as_ref().and_then(|scope| scope.gateway().snapshot().config.tls.hsts);
                let status = answer.status.as_u16();
                let Some(record) = &mut exchange.record else { return Ok(true) };
                record.status(status);
                let id = record.request_id().to_owned();
                let sent = respond::send(session, answer, hsts, &id).await?;
                record.bytes_out(sent);
                record.finish();
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        let now = exchange.scope.as_ref().map_or(0, |scope| scope.gateway().now());
        // No permit, no upstream.
        let peer = match &mut exchange.forward {
            Some(forward) => forward.peer(now),
            None => Err(Reason::InternalError),
        };
        peer.map(Box::new).map_err(|reason| exchange.fail(reason))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        head: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        match &exchange.forward {
            Some(forward) => forward.dress(head),
            None => Err(exchange.fail(Reason::InternalError)),
        }
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let arrived = body.as_ref().map_or(0, Bytes::len);
        let Some(scope) = exchange.scope.clone() else { return Err(exchange.fail(Reason::InternalError)) };
        let now = scope.gateway().now();
        scope.body_arrived(now, end);
        if let Some(record) = &mut exchange.record {
            record.bytes_in(arrived);
        }
        if session.was_upgraded() {
            // A conversation in a WebSocket is use of the session.
            if let Some(Who::Session(live)) = exchange.request.as_ref().map(|request| &request.who) {
                live.touch(now);
            }
            return Ok(());
        }
        exchange.body_bytes = exchange.body_bytes.saturating_add(u64::try_from(arrived).unwrap_or(u64::MAX));
        let limits = scope.gateway().snapshot().config.limits;
        if limits.max_body_bytes.is_some_and(|most| exchange.body_bytes > most) {
            return Err(exchange.fail(Reason::RequestTooLarge));
        }
        let took = exchange.body_began.get_or_insert_with(Instant::now).elapsed().as_secs();
        let least = took.saturating_mul(u64::from(limits.min_rate));
        let may_pause = exchange.request.as_ref().is_some_and(|request| request.may_pause());
        if took >= RATE_GRACE && !end && !may_pause && exchange.body_bytes < least {
            return Err(exchange.fail(Reason::RequestTimeout));
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let (Some(scope), Some(record), Some(forward)) =
            (&exchange.scope, &mut exchange.record, &mut exchange.forward)
        else {
            return Ok(());
        };
        if head.status.is_informational() && head.status != http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        let asked = exchange.request.as_ref().is_some_and(|request| request.kind == Kind::WebSocket);
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS && !asked {
            // A tunnel that nobody asked for would pass by every decision.
            return Err(exchange.fail(Reason::UpstreamUnavailable));
        }
        record.status(head.status.as_u16());
        let id = record.request_id().to_owned();
        forward.answered(head, scope.gateway(), &id)
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        if let (Some(record), Some(body)) = (&mut exchange.record, body) {
            record.bytes_out(body.len());
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        mut error: BError,
    ) -> BError {
        let now = exchange.scope.as_ref().map_or(0, |scope| scope.gateway().now());
        // Nothing was sent, so trying elsewhere is safe whatever the method.
        let again = exchange.forward.as_ref().is_some_and(|forward| forward.failed(now, true));
        error.set_retry(again);
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: BError,
        exchange: &mut Exchange,
        reused: bool,
    ) -> BError {
        let safe = session.req_header().method.is_idempotent() && !session.as_ref().retry_buffer_truncated();
        if safe {
            error.retry.decide_reuse(reused);
        } else {
            error.set_retry(false);
        }
        if error.esource() == &ErrorSource::Upstream && !error.retry() {
            let now = exchange.scope.as_ref().map_or(0, |scope| scope.gateway().now());
            // Something was sent already, so the answer whether to try elsewhere is no.
            let _elsewhere = exchange.forward.as_ref().is_some_and(|forward| forward.failed(now, false));
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        let reason = exchange.failure.unwrap_or_else(|| reason_of(error, exchange.scope.as_deref()));
        let mut failed = FailToProxy { error_code: 0, can_reuse_downstream: false };
        let Some(record) = &mut exchange.record else { return failed };
        record.failed(reason);
        record.finish();
        session.set_keepalive(None);
        if session.response_written().is_some() || reason == Reason::ClientAborted {
            return failed;
        }
        let code = record.code();
        let answer = respond::refuse(&Refused {
            reason,
            step: None,
            request: exchange.request.as_deref(),
            resource: None,
            shared_by: None,
            code: &code,
            user: None,
            device: DeviceView::default(),
            redirect: None,
            retry_after: None,
            body: true,
        });
        failed.error_code = answer.status.as_u16();
        record.status(failed.error_code);
        let id = record.request_id().to_owned();
        if let Err(error) = respond::send(session, answer, None, &id).await {
            tracing::debug!(%error, "the client did not take the answer");
        }
        failed
    }

    async fn logging(&self, _: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        let Some(record) = &mut exchange.record else { return };
        if let Some(error) = error {
            tracing::debug!(%error, request_id = record.request_id(), "the request failed");
        }
        record.finish();
    }

    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        // The record says it, once and bounded; an outsider must not fill the log.
        true
    }
}

/// What a fault of the framework's means to people.
fn reason_of(error: &Error, scope: Option<&Scope>) -> Reason {
    let late = matches!(
        error.etype(),
        ErrorType::ConnectTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::TLSHandshakeTimedout
    );
    let broken = scope.is_some_and(|scope| scope.connection.broken_framing.load(Ordering::Relaxed));
    if broken {
        return Reason::AmbiguousRequest;
    }
    match error.esource() {
        ErrorSource::Upstream if late => Reason::UpstreamTimeout,
        ErrorSource::Upstream => Reason::UpstreamUnavailable,
        ErrorSource::Downstream if *error.etype() == ErrorType::ReadTimedout => Reason::RequestTimeout,
        ErrorSource::Downstream if *error.etype() == ErrorType::InvalidHTTPHeader => Reason::AmbiguousRequest,
        ErrorSource::Downstream => Reason::ClientAborted,
        ErrorSource::Internal | ErrorSource::Unset => Reason::InternalError,
    }
}

/// A path that a looser server would read as one in another section could mean two things.
fn could_lead_elsewhere(place: Place<'_>, request: &Request) -> bool {
    let fold = |path: &str| canonical::loosest_reading(path).unwrap_or_else(|| path.to_owned());
    let Some(loosely) = canonical::loosest_reading(&request.path) else { return false };
    let sections = place.resource().sections().map(|section| (fold(&section.prefix), section));
    let covering = sections.filter(|(prefix, _)| prefix.is_empty() || prefix::covers(prefix, &loosely));
    let loosest = covering.max_by_key(|(prefix, _)| prefix.len());
    loosest.is_some_and(|(_, section)| !std::ptr::eq(section, place.section()))
}
