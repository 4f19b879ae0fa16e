//! Judging one request: understood, routed, identified, limited, decided. The order is the order of refusals.

use super::case::Case;
use super::forward::{Asked, Forward, Unmet};
use super::identify::{self, KnownUser, Token};
use super::record::Record;
use super::request::{self, Initiator, Kind, Reading, Request, Who};
use super::respond::{self, Answer};
use super::scope::Scope;
use super::{cors, own_pages};
use crate::access::{Absent, Decision, DeviceTrust, Facts, Reason, decide};
use crate::policy::Place;
use crate::session::Visit;
use crate::snapshot::{self, Asker, Shadow};
use crate::telemetry::Decided;
use crate::text::{canonical, prefix};
use pingora::Result;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to do with a request.
pub(super) enum Verdict {
    Forward(Admitted),
    Answer(Answer),
}

/// A request that goes on to its upstream.
pub(super) struct Admitted {
    pub(super) request: Arc<Request>,
    pub(super) forward: Forward,
    /// By its own account, its body is larger than any may be.
    pub(super) too_large: bool,
}

/// Judges a request that has just arrived on its connection.
///
/// # Errors
/// The client went away, or the framework failed, while one of our own pages read the request.
pub(super) async fn judge(
    session: &mut ServerSession,
    scope: &Scope,
    record: &mut Record,
) -> Result<Verdict> {
    let gateway = scope.gateway();
    let snapshot = gateway.snapshot();
    let now = gateway.now();
    let judged = identify::judge(&scope.connection, &snapshot, now);
    let kind = request::kind(session.req_header());
    let case = Case { gateway, connection: &scope.connection, snapshot, now, judged, kind };
    judge_case(session, &case, record, scope).await
}

async fn judge_case(
    session: &mut ServerSession,
    case: &Case<'_>,
    record: &mut Record,
    scope: &Scope,
) -> Result<Verdict> {
    let mut request = match request::read(session.req_header(), case.kind) {
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
    let login_host = case.snapshot.config.identity.login_host == request.host();
    let place = case.snapshot.policy.locate(request.host(), request.path());
    if !login_host && place.is_none() && !case.snapshot.policy.has_host(request.host()) {
        return Ok(case.refuse(record, Some(&request), None, Reason::NoRoute, None));
    }
    if !case.connection.served.covers(request.host()) {
        return Ok(case.refuse(record, Some(&request), None, Reason::HostNotCovered, None));
    }
    let headers = &session.req_header().headers;
    request.who = identify::find(
        headers,
        request.host(),
        case.connection,
        &case.judged,
        &case.gateway.login,
        login_host,
    );
    if let (Who::Nobody(absent), false) = (&request.who, own_pages::is_own(&request, &case.snapshot)) {
        let absent = *absent;
        match Box::pin(identify::token(headers, &case.snapshot, case.now)).await {
            Token::NotOurs => {}
            Token::Of(bearer) => request.who = Who::Bearer(bearer),
            Token::Invalid => request.who = Who::Nobody(invalid(absent)),
            Token::Several => {
                return Ok(case.refuse(record, Some(&request), None, Reason::AmbiguousRequest, None));
            }
            Token::Unknowable => {
                return Ok(case.refuse(record, Some(&request), None, Reason::EvidenceStale, None));
            }
        }
    }
    let user = identify::user(&request, &case.snapshot);
    record.asker(&request.who, user.as_ref(), &case.judged, case.now);
    if own_pages::is_own(&request, &case.snapshot) {
        return Box::pin(case.visit(session, record, &request)).await;
    }
    let Some(place) = place else {
        return Ok(case.refuse(record, Some(&request), None, Reason::NoRoute, None));
    };
    let counters = case.connection.memory.counters(&case.gateway.metrics, &case.snapshot, place);
    record.place(&case.snapshot, place, counters);
    if could_lead_elsewhere(place, &request) {
        return Ok(case.refuse(record, Some(&request), None, Reason::AmbiguousRequest, None));
    }
    // Before anybody is identified: a cookie is bound to the device of a connection of its own.
    let other_name =
        case.connection.sni.as_deref().is_some_and(|sni| sni.trim_end_matches('.') != request.host());
    let needs_device = place.section().tier.required_trust() > DeviceTrust::None;
    if needs_device && case.connection.evidence.is_none() && other_name {
        return Ok(case.refuse(record, Some(&request), Some(place), Reason::ConnectionWithoutDevice, None));
    }
    let limited = case.count_address(place);
    if limited.is_none() && cors::is_preflight(&request, &session.req_header().headers) {
        return Ok(case.preflight(record, &request, place));
    }
    Ok(decide_case(session, case, record, scope, Posed { request: Arc::new(request), user, place, limited }))
}

/// A request that is understood and routed, to be decided.
struct Posed<'p> {
    request: Arc<Request>,
    user: Option<KnownUser>,
    place: Place<'p>,
    limited: Option<Duration>,
}

fn decide_case(
    session: &ServerSession,
    case: &Case<'_>,
    record: &mut Record,
    scope: &Scope,
    posed: Posed<'_>,
) -> Verdict {
    let Posed { request, user, place, limited } = posed;
    let with_cookie = matches!(request.who, Who::Session(_));
    let foreign = request.origin != Initiator::Own && !cors::lists_origin(place.resource(), &request);
    let facts = Facts {
        place: Some(place),
        method: request.method.as_str(),
        path: request.path(),
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
    if let Some(shadow) = case.snapshot.shadow_at(case.now) {
        let live = match &decision {
            Decision::Allow(_) => Decided::Allow,
            Decision::Deny(_) => Decided::Deny,
            Decision::Challenge(..) => Decided::Challenge,
        };
        record.rehearsed(live, rehearse(shadow, &facts, &request, user.as_ref()));
    }
    let (step, denial) = match decision {
        Decision::Deny(denial) => (None, denial),
        Decision::Challenge(step, denial) => (Some(step), denial),
        Decision::Allow(permit) => {
            record.decided(Decided::Allow, Reason::Allowed, permit.rule());
            let asked = Asked {
                request: &request,
                user: user.as_ref(),
                connection: case.connection,
                judged: &case.judged,
                id: record.request_id(),
                now: case.now,
            };
            let forward = match Forward::new(permit, case.gateway, &case.snapshot, &asked) {
                Ok(forward) => forward,
                Err(Unmet { reason, retry_after }) => {
                    return case.refuse(record, Some(&request), Some(place), reason, retry_after);
                }
            };
            if let Who::Session(session) = &request.who {
                session.touch(case.now);
                if case.snapshot.config.reload_guard.is_some() {
                    session.reached(&visit(place, &request, &facts), case.now);
                }
            }
            let most = case.snapshot.config.limits.max_body_bytes;
            let too_large = most.zip(content_length(session)).is_some_and(|(most, length)| length > most);
            if request.kind != Kind::WebSocket && !request.may_pause() && has_body(session) {
                scope.expect_body(case.now);
            }
            scope.admitted(Arc::clone(&request));
            return Verdict::Forward(Admitted { request, forward, too_large });
        }
    };
    record.decided(Decided::Deny, denial.reason, denial.rule);
    if let Some(step) = step {
        let headers = &session.req_header().headers;
        return case.challenge(record, &request, place, (step, denial.reason, denial.rule), headers);
    }
    case.refuse_by(record, Some(&request), Some(place), denial.reason, limited, denial.rule)
}

/// What the policy in shadow says of the same request.
fn rehearse<'p>(
    shadow: &'p Shadow,
    facts: &Facts<'p>,
    request: &'p Request,
    user: Option<&'p KnownUser>,
) -> snapshot::Verdict<'p> {
    let spiffe = match &request.who {
        Who::Service(id) => Some(&**id),
        Who::Session(_) | Who::Bearer(_) | Who::Nobody(_) => None,
    };
    let groups = user.and_then(|user| user.groups.shadow.as_ref());
    shadow.decide(facts, request.host(), Asker { groups, spiffe })
}

/// What a session remembers of a request that was let in.
fn visit<'v>(place: Place<'v>, request: &'v Request, facts: &Facts<'v>) -> Visit<'v> {
    Visit {
        resource: &place.resource().name,
        section: &place.section().prefix,
        host: request.host(),
        path: request.path(),
        method: facts.method,
        client: facts.client,
        device: facts.device.id,
        trust: facts.device.trust,
        lowered: facts.device.lowered,
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

fn content_length(session: &ServerSession) -> Option<u64> {
    session.req_header().headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn has_body(session: &ServerSession) -> bool {
    let headers = &session.req_header().headers;
    headers.contains_key(http::header::TRANSFER_ENCODING)
        || headers.get(http::header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// Lets a test see what a panic costs. Only in debug builds, and only where the environment asks for it.
#[cfg(debug_assertions)]
fn fault(session: &ServerSession) {
    let asked = session.req_header().headers.contains_key("x-tiergate-fault");
    assert!(!asked || std::env::var_os("TIERGATE_FAULTS").is_none(), "a fault was asked for");
}

/// A path that a looser server would read as one in another section could mean two things.
fn could_lead_elsewhere(place: Place<'_>, request: &Request) -> bool {
    let fold = |path: &str| canonical::loosest_reading(path).unwrap_or_else(|| path.to_owned());
    let Some(loosely) = canonical::loosest_reading(request.path()) else { return false };
    let sections = place.resource().sections().map(|section| (fold(&section.prefix), section));
    let covering = sections.filter(|(prefix, _)| prefix.is_empty() || prefix::covers(prefix, &loosely));
    let loosest = covering.max_by_key(|(prefix, _)| prefix.len());
    loosest.is_some_and(|(_, section)| !std::ptr::eq(section, place.section()))
}
