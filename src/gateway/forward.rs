//! Sending an allowed request on: this takes a permit, enforces what it obliges to, and knows the
//! upstream.

use super::connection::Connection;
use super::cors;
use super::headers::Fields;
use super::memory::{Basis, PlaceKey, Standing};
use super::rate::Key;
use super::request::{Kind, Request, Who, clean};
use super::respond::{X_REQUEST_ID, request_id_value};
use super::upstream::{Purpose, Turn, Upstream, Way};
use super::{Gateway, identify::KnownUser, identity};
use crate::access::{Obligations, Permit, Reason, Timestamp};
use crate::device::Judgement;
use crate::policy::RateLimitBy;
use crate::session::is_own_cookie;
use crate::snapshot::Snapshot;
use crate::telemetry::{Active, UpstreamMetrics};
use http::header::InvalidHeaderValue;
use http::{HeaderName, HeaderValue, header};
use pingora::ErrorType::InternalError;
use pingora::OrErr;
use pingora::http::{RequestHeader, ResponseHeader};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_TIERGATE_ASSERTION: HeaderName = HeaderName::from_static("x-tiergate-assertion");

/// An allowed request on its way. Made from a permit only.
pub struct Forward {
    request: Arc<Request>,
    upstream: Arc<Upstream>,
    counters: Arc<UpstreamMetrics>,
    standing: Arc<Standing>,
    id: Uuid,
    client: HeaderValue,
    cors: cors::Fields,
    purpose: Purpose,
    turn: Option<Turn>,
    tries: usize,
    /// Counts the connection while it is upgraded.
    upgraded: Option<Active>,
}

/// Why a permit was not enough.
pub struct Unmet {
    /// Why.
    pub reason: Reason,
    /// How long to wait.
    pub retry_after: Option<Duration>,
}

impl From<Reason> for Unmet {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after: None }
    }
}

/// Everything about a request that its upstream is told, beside the request itself.
pub struct Asked<'a> {
    /// The request.
    pub request: &'a Arc<Request>,
    /// What the snapshot knows of its user.
    pub user: Option<&'a KnownUser>,
    /// Its connection.
    pub connection: &'a Connection,
    /// The certificate of the connection, judged now.
    pub judged: &'a Judgement,
    /// The request's id.
    pub id: Uuid,
    /// When.
    pub now: Timestamp,
}

impl Forward {
    /// Enforces the permit's obligations and prepares the way.
    ///
    /// # Errors
    /// A limit is used up, or the way cannot be prepared: then nothing is forwarded.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is used up by what it permits")]
    pub fn new(
        permit: Permit<'_>,
        gateway: &Gateway,
        snapshot: &Snapshot,
        asked: &Asked<'_>,
    ) -> Result<Self, Unmet> {
        // Destructured without `..`: an obligation that nothing enforces does not compile.
        let Obligations { limits } = permit.obligations();
        let place = permit.place();
        let resource = place.resource();
        for limit in limits {
            let key = limit_key(limit.per, asked).ok_or(Reason::InternalError)?;
            if let Err(wait) = snapshot.limiters.count(&resource.name, limit, &key) {
                return Err(Unmet { reason: Reason::RateLimited, retry_after: Some(wait) });
            }
        }
        let upstream = snapshot.upstreams.get(resource.upstream).cloned().ok_or(Reason::InternalError)?;
        let basis = Basis {
            place: PlaceKey::of(snapshot, place),
            who: asked.request.who.clone(),
            person: asked.user.and_then(|user| user.person.clone()),
            groups: asked.user.map(|user| Arc::clone(&user.groups)),
            device: asked.judged.device().id.and(asked.judged.id.clone()),
            trust: asked.judged.device().trust,
            signer: gateway.assertions.load_full(),
        };
        let memory = &asked.connection.memory;
        let standing = memory
            .standing(basis, asked.now, |basis| {
                identity::standing(basis, snapshot, resource, place.section().tier, &upstream, asked.now)
            })
            .map_err(|error| {
                let resource = &*resource.name;
                tracing::error!(%error, resource, "the identity headers could not be made");
                Reason::InternalError
            })?;
        Ok(Self {
            counters: Arc::clone(upstream.counters(&gateway.metrics)),
            request: Arc::clone(asked.request),
            purpose: match asked.request.kind {
                Kind::WebSocket => Purpose::WebSocket,
                Kind::Grpc => Purpose::Stream,
                Kind::Navigation | Kind::Other => Purpose::Answer,
            },
            cors: cors::fields(resource, asked.request),
            id: asked.id,
            client: memory.forwarded_for(asked.connection.client.ip()).ok_or(Reason::InternalError)?,
            upstream,
            standing,
            turn: None,
            tries: 0,
            upgraded: None,
        })
    }

    /// The host that the upstream is asked for.
    fn host(&self) -> &str {
        self.upstream.config.host.as_deref().unwrap_or_else(|| self.request.authority())
    }

    /// Where to connect: the next address in turn.
    ///
    /// # Errors
    /// No address is known.
    pub fn way(&mut self, now: Timestamp) -> Result<Arc<Way>, Reason> {
        let turn = self.upstream.take_turn(now).ok_or(Reason::UpstreamUnavailable)?;
        self.turn = Some(turn);
        self.tries += 1;
        Ok(self.upstream.way(turn, self.host(), self.purpose))
    }

    /// Whether the upstream is spoken to over HTTP/2.
    #[must_use]
    pub fn goes_to_http2(&self) -> bool {
        self.upstream.config.http2
    }

    /// Takes out what only tiergate may say, and says it.
    ///
    /// # Errors
    /// A value that cannot be written in a header.
    pub fn dress(&self, head: &mut impl Fields) -> pingora::Result<()> {
        clean(head, is_own_cookie)?;
        if matches!(self.request.who, Who::Bearer(_)) {
            // The credential was tiergate's, so the upstream does not see it.
            head.take_out(&header::AUTHORIZATION);
        }
        for (name, value) in &self.standing.fields {
            head.put(name.clone(), value.clone())?;
        }
        head.put(X_TIERGATE_ASSERTION, self.standing.assertion.value.clone())?;
        head.put(X_REQUEST_ID, request_id_value(self.id).or_err(InternalError, "an id")?)?;
        head.put(X_FORWARDED_FOR, self.client.clone())?;
        head.put(X_FORWARDED_PROTO, HeaderValue::from_static("https"))?;
        let asked = self.request.authority();
        let host = head.all().get(header::HOST).filter(|host| *host == asked).cloned();
        let asked = match host {
            Some(same) => same,
            None => HeaderValue::from_str(asked).or_err(InternalError, "a host")?,
        };
        let host = match self.upstream.config.host.as_deref() {
            Some(host) => HeaderValue::from_str(host).or_err(InternalError, "a host")?,
            None => asked.clone(),
        };
        head.put(X_FORWARDED_HOST, asked)?;
        head.put(TRACEPARENT, traceparent(self.id).or_err(InternalError, "a trace")?)?;
        for (name, template) in &self.standing.templates {
            let value = identity::with_request_id(template, self.id);
            head.put(name.clone(), HeaderValue::try_from(value).or_err(InternalError, "a header")?)?;
        }
        if head.all().get(header::HOST) != Some(&host) {
            head.put(header::HOST, host)?;
        }
        Ok(())
    }

    /// Has the request ask for what was decided on, byte for byte.
    ///
    /// # Errors
    /// The framework does not take it.
    pub fn aim(&self, head: &mut RequestHeader) -> pingora::Result<()> {
        if head.raw_path() != self.request.path_and_query().as_bytes() {
            head.set_raw_path(self.request.path_and_query().as_bytes())?;
        }
        Ok(())
    }

    /// Takes from the upstream's answer what only tiergate may say, and adds what it says.
    ///
    /// # Errors
    /// A value that cannot be written in a header.
    pub fn answered(
        &mut self,
        head: &mut ResponseHeader,
        gateway: &Gateway,
        request_id: Uuid,
    ) -> pingora::Result<()> {
        if let Some(turn) = self.turn {
            self.upstream.went_well(turn);
        }
        self.counters.answered(head.status.as_u16());
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
            self.upgraded = Some(gateway.metrics.upgraded_connection());
        }
        drop_own_cookies(head)?;
        if head.status != http::StatusCode::SWITCHING_PROTOCOLS {
            drop_hop_by_hop(head);
        }
        if !self.cors.is_empty() {
            head.remove_header(&header::ACCESS_CONTROL_ALLOW_ORIGIN);
            head.remove_header(&header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        }
        for (name, value) in &self.cors {
            head.append_header(name.clone(), value.clone())?;
        }
        head.insert_header(X_REQUEST_ID, request_id_value(request_id).or_err(InternalError, "an id")?)?;
        Ok(())
    }

    /// The address failed. Returns whether another may be tried, where nothing was sent.
    #[must_use]
    pub fn failed(&self, now: Timestamp, refused: bool) -> bool {
        if let Some(turn) = self.turn {
            self.upstream.went_wrong(turn, now, refused);
        }
        self.counters.failed();
        self.tries < self.upstream.len().min(super::MAX_TRIES)
    }
}

/// Takes out what was meant for this connection only (RFC 9110 §7.6.1).
fn drop_hop_by_hop(head: &mut ResponseHeader) {
    let values = head.headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = values.flat_map(|value| value.split(',')).map(str::trim);
    // Framing is the framework's own, whatever an upstream nominates, and what every answer says anyway
    // needs no list.
    let framing = ["transfer-encoding", "content-length", "keep-alive", "close", ""];
    let nominated: Vec<String> = named
        .filter(|name| !framing.iter().any(|known| name.eq_ignore_ascii_case(known)))
        .map(str::to_owned)
        .collect();
    for name in nominated {
        head.remove_header(name.as_str());
    }
    for name in [&header::CONNECTION, &KEEP_ALIVE, &PROXY_CONNECTION] {
        head.remove_header(name);
    }
}

/// Whom a limit counts: a service by itself wherever a limit is per user or device.
fn limit_key(per: RateLimitBy, asked: &Asked<'_>) -> Option<Key> {
    let who = &asked.request.who;
    let subject = || match who {
        Who::Service(id) => Some(Key::Name(id.to_string())),
        Who::Session(_) | Who::Bearer(_) | Who::Nobody(_) => {
            who.account().map(|(provider, subject)| Key::Name(format!("{provider}\0{subject}")))
        }
    };
    match (per, who.account(), &asked.judged.id) {
        (RateLimitBy::Address, _, _) => Some(Key::address(asked.connection.client.ip())),
        (RateLimitBy::Device, Some(_), Some(id)) => Some(Key::Name(format!("device\0{id}"))),
        (RateLimitBy::Device | RateLimitBy::User, _, _) => subject(),
    }
}

fn drop_own_cookies(head: &mut ResponseHeader) -> pingora::Result<()> {
    let is_own = |value: &HeaderValue| {
        let name = value.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
        is_own_cookie(String::from_utf8_lossy(name).trim())
    };
    let mut cookies = head.headers.get_all(header::SET_COOKIE).iter();
    if cookies.any(is_own) {
        let values = head.headers.get_all(header::SET_COOKIE).iter();
        let kept: Vec<HeaderValue> = values.filter(|value| !is_own(value)).cloned().collect();
        head.remove_header(&header::SET_COOKIE);
        for cookie in kept {
            head.append_header(header::SET_COOKIE, cookie)?;
        }
    }
    Ok(())
}

/// A trace of its own for each request (W3C Trace Context §3.2), not sampled: a client's is not trusted.
/// Its id is that of the request, so that what an upstream's trace shows leads to the audit log; the
/// parent's is the random half of it, which is never zero.
fn traceparent(request: Uuid) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut digits = Uuid::encode_buffer();
    let trace: &str = request.simple().encode_lower(&mut digits);
    let parent = trace.get(16..).unwrap_or_default();
    HeaderValue::try_from(["00-", trace, "-", parent, "-00"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_cookies_are_taken_from_an_answer() {
        let mut head = ResponseHeader::build(200, None).unwrap();
        for cookie in ["a=1; Path=/", "__Host-tiergate=evil; Secure", "b=2"] {
            head.append_header(header::SET_COOKIE, cookie).unwrap();
        }
        drop_own_cookies(&mut head).unwrap();
        let left: Vec<_> = head.headers.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(left, ["a=1; Path=/", "b=2"]);
    }

    #[test]
    fn every_request_has_a_trace_of_its_own() {
        let request = Uuid::try_parse("019ac5d2-7d6e-7a3b-8c4d-5e6f708192a3").unwrap();
        let trace = traceparent(request).unwrap();
        assert_eq!(trace, "00-019ac5d27d6e7a3b8c4d5e6f708192a3-8c4d5e6f708192a3-00");
        assert_ne!(trace, traceparent(Uuid::now_v7()).unwrap());
    }
}
