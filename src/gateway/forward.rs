//! Sending an allowed request on: this takes a permit, enforces what it obliges to, and knows the
//! upstream.

use super::assertion::{Claims, DeviceClaim};
use super::cors::{self, Fields};
use super::headers::plain_value;
use super::rate::Key;
use super::request::{Kind, Request, Who, clean};
use super::upstream::{Purpose, Turn, Upstream};
use super::{Gateway, identify::KnownUser};
use crate::access::{Obligations, Permit, Reason, Tier, Timestamp};
use crate::device::Judgement;
use crate::policy::RateLimitBy;
use crate::session::is_own_cookie;
use crate::snapshot::Snapshot;
use crate::telemetry::{Active, UpstreamMetrics};
use http::{HeaderName, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::upstreams::peer::HttpPeer;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The most of `X-Tiergate-Groups`, bytes.
const MAX_GROUPS: usize = 4096;

/// An allowed request on its way. Made from a permit only.
pub struct Forward {
    upstream: Arc<Upstream>,
    counters: Arc<UpstreamMetrics>,
    fields: Fields,
    cors: Fields,
    /// The credential was tiergate's, so the upstream does not see it.
    used_authorization: bool,
    host: String,
    path_and_query: String,
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
    pub request: &'a Request,
    /// What the snapshot knows of its user.
    pub user: Option<&'a KnownUser>,
    /// The certificate of its connection.
    pub judged: &'a Judgement,
    /// The client's address.
    pub client: IpAddr,
    /// The request's id.
    pub request_id: &'a str,
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
        let fields = identity_fields(
            gateway,
            snapshot,
            asked,
            &resource.name,
            place.section().tier,
            &upstream,
        )
        .map_err(|error| {
            tracing::error!(%error, resource = resource.name, "the identity headers could not be made");
            Reason::InternalError
        })?;
        Ok(Self {
            counters: gateway.metrics.for_upstream(&upstream.name),
            host: upstream.config.host.clone().unwrap_or_else(|| asked.request.authority.clone()),
            path_and_query: asked.request.path_and_query(),
            used_authorization: matches!(asked.request.who, Who::Bearer(_)),
            purpose: match asked.request.kind {
                Kind::WebSocket => Purpose::WebSocket,
                Kind::Grpc => Purpose::Stream,
                Kind::Navigation | Kind::Other => Purpose::Answer,
            },
            cors: cors::fields(resource, asked.request),
            upstream,
            fields,
            turn: None,
            tries: 0,
            upgraded: None,
        })
    }

    /// Where to connect: the next address in turn.
    ///
    /// # Errors
    /// No address is known.
    pub fn peer(&mut self, now: Timestamp) -> Result<HttpPeer, Reason> {
        let turn = self.upstream.take_turn(now).ok_or(Reason::UpstreamUnavailable)?;
        self.turn = Some(turn);
        self.tries += 1;
        Ok(self.upstream.peer(turn, &self.host, self.purpose))
    }

    /// Makes the request as the upstream gets it.
    ///
    /// # Errors
    /// A value that cannot be written in a header.
    pub fn dress(&self, head: &mut RequestHeader) -> pingora::Result<()> {
        clean(head, is_own_cookie)?;
        if self.used_authorization {
            head.remove_header(&header::AUTHORIZATION);
        }
        for (name, _) in &self.fields {
            head.remove_header(name);
        }
        for (name, value) in &self.fields {
            head.append_header(name.clone(), value.clone())?;
        }
        // What was decided on, byte for byte.
        head.set_raw_path(self.path_and_query.as_bytes())?;
        head.insert_header(header::HOST, self.host.as_str())?;
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
        request_id: &str,
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
        head.insert_header("x-request-id", request_id)?;
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
    let mut names: Vec<String> =
        values.flat_map(|value| value.split(',')).map(|name| name.trim().to_owned()).collect();
    names.extend(["connection", "keep-alive", "proxy-connection"].map(str::to_owned));
    for name in names {
        // Framing is the framework's own, whatever an upstream nominates.
        if !name.eq_ignore_ascii_case("transfer-encoding") && !name.eq_ignore_ascii_case("content-length") {
            head.remove_header(name.as_str());
        }
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
        (RateLimitBy::Address, _, _) => Some(Key::address(asked.client)),
        (RateLimitBy::Device, Some(_), Some(id)) => Some(Key::Name(format!("device\0{id}"))),
        (RateLimitBy::Device | RateLimitBy::User, _, _) => subject(),
    }
}

fn drop_own_cookies(head: &mut ResponseHeader) -> pingora::Result<()> {
    let name_of = |value: &HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split('=').next().unwrap_or_default().trim().to_owned()
    };
    let cookies: Vec<HeaderValue> = head.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    if cookies.iter().any(|cookie| is_own_cookie(&name_of(cookie))) {
        head.remove_header(&header::SET_COOKIE);
        for cookie in cookies.into_iter().filter(|cookie| !is_own_cookie(&name_of(cookie))) {
            head.append_header(header::SET_COOKIE, cookie)?;
        }
    }
    Ok(())
}

/// A header that states a fact about the subject or device could not be made.
#[derive(Debug, thiserror::Error)]
enum FactError {
    #[error("a value does not fit a header")]
    Value(#[from] http::header::InvalidHeaderValue),
    #[error("a configured header name is no name")]
    Name(#[from] http::header::InvalidHeaderName),
    #[error("nobody was identified")]
    Nobody,
    #[error(transparent)]
    Assertion(#[from] super::assertion::AssertionError),
}

fn identity_fields(
    gateway: &Gateway,
    snapshot: &Snapshot,
    asked: &Asked<'_>,
    resource: &str,
    tier: Tier,
    upstream: &Upstream,
) -> Result<Fields, FactError> {
    let mut fields = Fields::with_capacity(16);
    let mut put = |name: &'static str, value: &str| -> Result<(), FactError> {
        fields.push((HeaderName::from_static(name), HeaderValue::from_str(&plain_value(value))?));
        Ok(())
    };
    let groups: Vec<String> = asked
        .user
        .iter()
        .flat_map(|user| user.groups.set.iter())
        .filter_map(|group| snapshot.policy.group_name(group).map(str::to_owned))
        .collect();
    let device = asked.judged.device();
    let who = &asked.request.who;
    let person = who.person();
    let subject = match who {
        Who::Service(id) => id.to_string(),
        Who::Session(_) | Who::Bearer(_) | Who::Nobody(_) => {
            let (provider, subject) = who.account().ok_or(FactError::Nobody)?;
            format!("{provider}:{subject}")
        }
    };
    if person.is_none() {
        put("x-tiergate-user", &subject)?;
    }
    if let Some(email) = person.as_ref().and_then(|person| person.email.as_ref()) {
        put("x-tiergate-email", email)?;
    }
    put("x-tiergate-groups", &joined(&groups))?;
    if let Some(id) = device.id {
        put("x-tiergate-device", id)?;
    }
    put("x-tiergate-device-trust", device.trust.as_str())?;
    put("x-tiergate-tier", tier.as_str())?;
    put("x-request-id", asked.request_id)?;
    put("x-forwarded-for", &asked.client.to_string())?;
    put("x-forwarded-proto", "https")?;
    put("x-forwarded-host", &asked.request.authority)?;
    put("traceparent", &traceparent())?;
    if let Some(person) = &person {
        // Plain since the user was identified: what is encoded in it must not be encoded once more.
        fields.push((HeaderName::from_static("x-tiergate-user"), HeaderValue::from_str(&person.user)?));
    }
    for (name, template) in &upstream.config.headers {
        let value = filled(template, &|key| match key {
            "user.name" => person.as_ref().map(|person| person.user.clone()),
            "user.email" => {
                person.as_ref().and_then(|person| Some(plain_value(person.email.as_ref()?).into()))
            }
            "user.groups" => Some(plain_value(&joined(&groups)).into()),
            "device.id" => device.id.map(|id| plain_value(id).into()),
            "device.trust" => Some(device.trust.to_string()),
            "resource.name" => Some(plain_value(resource).into()),
            "resource.tier" => Some(tier.to_string()),
            "request.id" => Some(asked.request_id.to_owned()),
            _ => None,
        });
        fields.push((HeaderName::try_from(name.as_str())?, HeaderValue::from_str(&value)?));
    }
    let claims = Claims {
        iss: format!("https://{}", snapshot.config.identity.login_host),
        sub: subject,
        email: person.as_ref().and_then(|person| person.email.clone()),
        groups,
        device: DeviceClaim { id: device.id.map(str::to_owned), trust: device.trust },
        tier,
        amr: person.as_ref().map(|person| person.amr.clone()).unwrap_or_default(),
        auth_time: person.as_ref().map(|person| person.auth_time),
        sid: who.session_id(),
        aud: resource.to_owned(),
    };
    let assertion = gateway.assertions.load().sign(&claims, asked.now)?;
    fields.push((HeaderName::from_static("x-tiergate-assertion"), assertion));
    Ok(fields)
}

/// Names joined by commas, whole ones only, within the bound.
fn joined(names: &[String]) -> String {
    let mut text = String::new();
    for name in names {
        if text.len() + name.len() + 1 > MAX_GROUPS {
            break;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
    }
    text
}

/// A template with each `{key}` replaced; what is not known is empty.
fn filled(template: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(&plain_value(before));
        match after.split_once('}') {
            Some((key, behind)) => {
                text.push_str(&value(key).unwrap_or_default());
                rest = behind;
            }
            None => rest = "",
        }
    }
    text.push_str(&plain_value(rest));
    text
}

/// A trace of its own for each request (W3C Trace Context §3.2), not sampled: a client's is not trusted.
fn traceparent() -> String {
    let trace = uuid::Uuid::now_v7().simple();
    let mut parent = [0_u8; 8];
    if aws_lc_rs::rand::fill(&mut parent).is_err() {
        parent = [1; 8];
    }
    format!("00-{trace}-{:016x}-00", u64::from_be_bytes(parent).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled() {
        let value = |key: &str| (key == "user.email").then(|| "a@b".to_owned());
        for (template, want) in [
            ("plain", "plain"),
            ("<{user.email}>", "<a@b>"),
            ("{unknown}x", "x"),
            ("a{user.email", "a"),
            ("", ""),
        ] {
            assert_eq!(filled(template, &value), want, "{template}");
        }
    }

    #[test]
    fn groups_are_joined_whole_and_bounded() {
        let names: Vec<String> = (0..1000).map(|n| format!("group-{n:04}")).collect();
        let text = joined(&names);
        assert!(text.len() <= MAX_GROUPS);
        assert!(text.split(',').all(|name| name.len() == 10));
        assert_eq!(joined(&[]), "");
    }

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
        let trace = traceparent();
        assert_eq!(trace.len(), 55);
        assert_ne!(trace, traceparent());
    }
}
