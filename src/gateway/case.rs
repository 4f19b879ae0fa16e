//! One request on trial: what it is decided with, and how each outcome becomes an answer.

use super::connection::Connection;
use super::judge::Verdict;
use super::own_pages::{Visit, Visited};
use super::rate::Key;
use super::record::Record;
use super::request::{Kind, Request};
use super::respond::{self, Answer, Refused};
use super::{Gateway, cors};
use crate::access::{Absent, Reason, Step, Tier, Timestamp};
use crate::device::Judgement;
use crate::login::challenge_redirect;
use crate::pages::{self, DeviceView};
use crate::policy::{Origin, Place};
use crate::session::Person;
use crate::snapshot::Snapshot;
use crate::telemetry::Decided;
use bytes::Bytes;
use http::HeaderMap;
use pingora::Result;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use std::time::Duration;

/// A request with everything that it is decided with.
pub(super) struct Case<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) connection: &'a Connection,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) now: Timestamp,
    pub(super) judged: Judgement,
    /// What kind of client asks, also where the rest of the request is not understood.
    pub(super) kind: Kind,
}

impl Case<'_> {
    pub(super) fn refuse(
        &self,
        record: &mut Record,
        request: Option<&Request>,
        place: Option<Place<'_>>,
        reason: Reason,
        retry_after: Option<Duration>,
    ) -> Verdict {
        self.refuse_by(record, request, place, reason, retry_after, None)
    }

    pub(super) fn refuse_by(
        &self,
        record: &mut Record,
        request: Option<&Request>,
        place: Option<Place<'_>>,
        reason: Reason,
        retry_after: Option<Duration>,
        rule: Option<&Origin>,
    ) -> Verdict {
        record.decided(Decided::Deny, reason, rule);
        Verdict::Answer(self.answer(record, request, place, reason, None, retry_after))
    }

    pub(super) fn challenge(
        &self,
        record: &mut Record,
        request: &Request,
        place: Place<'_>,
        (step, reason, rule): (Step, Reason, Option<&Origin>),
        headers: &HeaderMap,
    ) -> Verdict {
        record.decided(Decided::Challenge, reason, rule);
        let step = Some((step, headers));
        Verdict::Answer(self.answer(record, Some(request), Some(place), reason, step, None))
    }

    fn answer(
        &self,
        record: &mut Record,
        request: Option<&Request>,
        place: Option<Place<'_>>,
        reason: Reason,
        step: Option<(Step, &HeaderMap)>,
        retry_after: Option<Duration>,
    ) -> Answer {
        let person = request.and_then(|request| request.who.person());
        let redirect = request.zip(step).map(|(request, (step, headers))| {
            let visit = self.visit_of(request, record);
            challenge_redirect(&self.gateway.login, &visit.visitor(), headers, request.path_and_query(), step)
        });
        let device = self.judged.device();
        let code = record.code();
        // A stranger learns nothing of what lies behind.
        let resource =
            place.filter(|_| person.is_some()).map(|place| (place.resource(), place.section().tier));
        respond::refuse(&Refused {
            reason,
            step: step.map(|(step, _)| step),
            kind: self.kind,
            request,
            resource,
            shared_by: place.map(Place::resource),
            code: &code,
            user: person.as_ref().map(|person| &*person.user),
            device: DeviceView { trust: device.trust, id: device.id, lowered: device.lowered },
            lacking: self.lacking(place.filter(|_| person.is_some()), person.as_deref(), reason),
            redirect,
            retry_after,
            body: false,
        })
    }

    /// What the device lacks for this place, as its user is told.
    fn lacking(&self, place: Option<Place<'_>>, person: Option<&Person>, reason: Reason) -> Vec<String> {
        let (Some(place), Some(person)) = (place, person) else { return Vec::new() };
        let standing = self.judged.device().standing;
        if reason == Reason::DeviceInactive {
            let words = self.judged.record.as_deref().and_then(pages::out_of_use);
            return words.map(str::to_owned).into_iter().collect();
        }
        let posture = self.snapshot.policy.posture(place.section().tier);
        // What is refused for something else is not helped by what would be refused next.
        let Some(posture) = posture.filter(|_| reason.is_about_posture()) else { return Vec::new() };
        let names = [Some(&*person.user), person.email.as_deref()];
        posture.unmet(standing, names, self.now).filter_map(pages::remedy).collect()
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

    pub(super) async fn visit(
        &self,
        session: &mut ServerSession,
        record: &mut Record,
        request: &Request,
    ) -> Result<Verdict> {
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
                    Some((Step::SignIn, &session.req_header().headers)),
                    None,
                )))
            }
        }
    }

    pub(super) fn preflight(&self, record: &mut Record, request: &Request, place: Place<'_>) -> Verdict {
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
    pub(super) fn count_address(&self, place: Place<'_>) -> Option<Duration> {
        let resource = place.resource();
        let key = Key::address(self.connection.client.ip());
        let count = |limit| self.snapshot.limiters.count(&resource.name, limit, &key).err();
        resource.address_limits.iter().find_map(count)
    }

    pub(super) fn audit_available(&self, place: Place<'_>) -> bool {
        let on_failure = self.snapshot.config.audit.deny_on_failure;
        let deny = match place.section().tier {
            Tier::Open => on_failure.open,
            Tier::Low => on_failure.low,
            Tier::High => on_failure.high,
        };
        !deny || self.gateway.audit.available()
    }
}
