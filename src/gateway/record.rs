//! What became of one request, written down once, whatever it was: answered, forwarded, refused in
//! parsing, aborted, cut off or ended by a panic.

use super::Gateway;
use super::identify::KnownUser;
use super::request::{Request, Who};
use super::scope::Scope;
use crate::access::{Reason, Timestamp};
use crate::audit::{self, Event, Kind, Rehearsed};
use crate::device::Judgement;
use crate::policy::Place;
use crate::snapshot::{Snapshot, Verdict};
use crate::telemetry::{Decided, ResourceMetrics};
use crate::text::method::FORWARDED;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The symbols of a code: Crockford's base 32, without the letters that are read as digits.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// One request's event in the making. Dropping it writes it.
pub struct Record {
    gateway: Arc<Gateway>,
    scope: Option<Arc<Scope>>,
    event: Event,
    reason: Reason,
    metrics: Arc<ResourceMetrics>,
    decision_took: Duration,
    began: Instant,
    finished: bool,
}

impl Record {
    /// A request that began now, of which nothing is known.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, scope: Option<Arc<Scope>>) -> Self {
        let mut event = Event::new(Kind::Decision, audit::now());
        event.request_id = Some(Uuid::now_v7());
        event.decision = Some(Decided::Deny);
        event.bytes_in = Some(0);
        event.bytes_out = Some(0);
        if let Some(scope) = &scope {
            event.client = Some(scope.connection.client.ip());
        }
        let metrics = Arc::clone(gateway.metrics.no_resource());
        Self {
            gateway,
            scope,
            event,
            // Until something else is known: dropped without an answer is a fault of ours.
            reason: Reason::InternalError,
            metrics,
            decision_took: Duration::ZERO,
            began: Instant::now(),
            finished: false,
        }
    }

    /// The request's id, as upstreams see it.
    #[must_use]
    pub fn request_id(&self) -> Uuid {
        self.event.request_id.unwrap_or_default()
    }

    /// The code that a denial shows, made when it is first asked for.
    pub fn code(&mut self) -> String {
        self.event.code.get_or_insert_with(code).clone()
    }

    /// Where the request came from, where no scope says so.
    pub fn client(&mut self, client: std::net::IpAddr) {
        self.event.client = Some(client);
    }

    /// What was asked, once it is understood.
    pub fn request(&mut self, request: &Request) {
        let (host, path) = request.recorded();
        self.event.method = Some(method(request.method.as_str()));
        self.event.host = Some(host);
        self.event.path = Some(path);
    }

    /// What was asked, where it was not understood.
    pub fn raw(&mut self, method: &str, host: &str, path: &str) {
        self.event.method = Some(Cow::Owned(method.to_owned()));
        self.event.host = Some(host.into());
        self.event.path = Some(path.into());
    }

    /// Who asked, from which device.
    pub fn asker(&mut self, who: &Who, user: Option<&KnownUser>, judged: &Judgement, now: Timestamp) {
        let person = who.person();
        self.event.subject = match who {
            Who::Service(id) => Some(Arc::clone(id)),
            Who::Session(_) | Who::Bearer(_) | Who::Nobody(_) => {
                person.as_ref().map(|person| Arc::clone(&person.user))
            }
        };
        self.event.provider = who.provider();
        self.event.groups = user.map(|user| user.groups.names.clone());
        self.event.groups_cut = user.filter(|user| user.groups.names.is_cut()).map(|_| true);
        self.event.mfa = person.as_ref().map(|person| person.mfa);
        self.event.auth_age =
            person.map(|person| u64::try_from(now.saturating_sub(person.auth_time)).unwrap_or(0));
        self.event.session = who.session_id();
        let device = judged.device();
        self.event.device = judged.id.clone().filter(|_| device.id.is_some());
        self.event.device_authority.clone_from(&judged.authority);
        self.event.device_trust = Some(device.trust);
        self.event.device_reason = device.lowered.map(Reason::code);
    }

    /// Where the request led.
    pub fn place(&mut self, snapshot: &Snapshot, place: Place<'_>, counters: Arc<ResourceMetrics>) {
        self.event.policy = Some(snapshot.generation);
        self.event.resource = Some(Arc::clone(&place.resource().name));
        self.event.tier = Some(place.section().tier);
        self.metrics = counters;
    }

    /// What was decided. The last word counts.
    pub fn decided(&mut self, decided: Decided, reason: Reason, rule: Option<&crate::policy::Origin>) {
        self.event.decision = Some(decided);
        self.reason = reason;
        self.event.rule = rule.map(|origin| Arc::clone(&origin.0));
    }

    /// What the policy in shadow would have decided, and what the live one did.
    pub fn rehearsed(&mut self, live: Decided, shadow: Verdict<'_>) {
        let Verdict { decided, reason, rule } = shadow;
        self.metrics.shadow(live, decided, reason);
        self.event.shadow =
            Some(Rehearsed { decision: decided, reason, rule: rule.map(|origin| Arc::clone(&origin.0)) });
    }

    /// How long the decision took.
    pub fn decision_took(&mut self, took: Duration) {
        self.decision_took = took;
    }

    /// An allowed request failed after all.
    pub fn failed(&mut self, reason: Reason) {
        self.reason = reason;
        // What was allowed and then failed at the upstream stays allowed; the rest was refused.
        if !matches!(reason, Reason::UpstreamUnavailable | Reason::UpstreamTimeout | Reason::ClientAborted) {
            self.event.decision = Some(Decided::Deny);
        }
    }

    /// The status that the client was told.
    pub fn status(&mut self, status: u16) {
        self.event.status = Some(status);
    }

    /// Bytes of the request's body that went by.
    pub fn bytes_in(&mut self, bytes: usize) {
        add(&mut self.event.bytes_in, bytes);
    }

    /// Bytes of the answer's body that went by.
    pub fn bytes_out(&mut self, bytes: usize) {
        add(&mut self.event.bytes_out, bytes);
    }

    /// The request is over in good order.
    pub fn finish(&mut self) {
        self.finished = true;
    }
}

fn add(sum: &mut Option<u64>, bytes: usize) {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    *sum = Some(sum.unwrap_or(0).saturating_add(bytes));
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.finished {
            self.reason = if std::thread::panicking() {
                Reason::InternalError
            } else {
                self.scope.as_ref().and_then(|scope| scope.cut_reason()).unwrap_or(
                    match self.event.decision {
                        Some(Decided::Allow) => Reason::ClientAborted,
                        _ => self.reason,
                    },
                )
            };
        }
        let took = self.began.elapsed();
        let decided = self.event.decision.unwrap_or(Decided::Deny);
        self.metrics.decision(decided, self.reason, self.decision_took);
        self.metrics.request(self.event.status.unwrap_or(0), took);
        self.event.reason = Some(self.reason.code());
        self.event.duration_us = Some(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let time = self.event.time;
        let event = std::mem::replace(&mut self.event, Event::new(Kind::Decision, time));
        self.gateway.audit.record(event);
    }
}

/// A method that is forwarded is one of a few known ones, whose names need no memory.
fn method(name: &str) -> Cow<'static, str> {
    let known = FORWARDED.iter().find(|known| **known == name);
    known.map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known))
}

/// Sixteen symbols, 80 bits: nobody guesses one, and a person can read it out.
fn code() -> String {
    let mut random = [0_u8; 16];
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        return String::new();
    }
    let mut text = String::with_capacity(19);
    for (at, byte) in random.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(SYMBOLS.get(usize::from(byte & 31)).copied().unwrap_or(b'0')));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_code_can_be_read_out() {
        let code = super::code();
        assert_eq!(code.len(), 19);
        assert_eq!(code.split('-').count(), 4);
        assert_ne!(code, super::code());
    }
}
