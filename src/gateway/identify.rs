//! Who asks, and from which device.

use super::connection::Connection;
use super::request::{Request, Who};
use crate::access::{Absent, Session, Subject, Timestamp, User};
use crate::device::{self, Evidence, Judgement, Presented};
use crate::identity::{Bearer, BearerError, Identified};
use crate::login::{Held, Login};
use crate::session::Cookies;
use crate::snapshot::Snapshot;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::sync::Arc;

pub use crate::login::{KnownUser, known};

/// The certificate of the connection, judged now.
#[must_use]
pub fn judge(connection: &Connection, snapshot: &Snapshot, now: Timestamp) -> Judgement {
    let Snapshot { trust, inventory, config, .. } = snapshot;
    connection.evidence.as_ref().map_or_else(Judgement::nothing, |evidence| {
        device::judge(evidence, trust, inventory, &config.evidence.inventory, now)
    })
}

/// Finds the credential that counts: a workload certificate, otherwise a session cookie.
///
/// On the login host a sign-in is kept when the device differs: what it gives out is bound to the
/// device that is shown where it is used.
#[must_use]
pub fn find(
    headers: &HeaderMap,
    host: &str,
    connection: &Connection,
    judged: &Judgement,
    login: &Login,
    login_host: bool,
) -> Who {
    if judged.kind == Presented::Workload
        && let Some(id) = &judged.id
    {
        return Who::Service(Arc::clone(id));
    }
    let key = connection.evidence.as_ref().map(Evidence::key_digest);
    match login.held(host, Cookies::read(headers), key.as_ref(), &connection.memory.cookie) {
        Held::Live(session) => Who::Session(session),
        Held::OtherDevice(session) if login_host => Who::Session(session),
        Held::OtherDevice(_) => Who::Nobody(Absent::DeviceChanged),
        Held::Ended => Who::Nobody(Absent::SessionRevoked),
        Held::Expired => Who::Nobody(Absent::SessionExpired),
        Held::Nothing | Held::Unreadable => Who::Nobody(Absent::NotSignedIn),
    }
}

/// What a bearer token in the request is worth.
#[derive(Debug)]
pub enum Token {
    /// There is none that tiergate uses: whatever it is, it is the upstream's.
    NotOurs,
    /// It names this user, for as long as it says.
    Of(Arc<Bearer>),
    /// It is of a listed issuer and does not hold.
    Invalid,
    /// It is of a listed issuer whose keys cannot be had.
    Unknowable,
    /// There are several: nobody can say which one counts.
    Several,
}

/// Verifies the request's bearer token (RFC 6750 §2.1: in the header, once, and nowhere else).
pub async fn token(headers: &HeaderMap, snapshot: &Snapshot, now: Timestamp) -> Token {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Token::NotOurs };
    let bearer = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    let Some(token) = bearer else { return Token::NotOurs };
    let verified = snapshot.providers.bearer().verify(token, now).await;
    let several = values.next().is_some();
    match verified {
        Err(BearerError::NotListed) => Token::NotOurs,
        _ if several => Token::Several,
        Ok(bearer) => Token::Of(bearer),
        Err(BearerError::Invalid(_) | BearerError::Expired) => Token::Invalid,
        Err(BearerError::Unavailable(_)) => Token::Unknowable,
    }
}

/// What the snapshot knows of the request's user.
#[must_use]
pub fn user(request: &Request, snapshot: &Snapshot) -> Option<KnownUser> {
    match &request.who {
        Who::Session(session) => Some(known(session, snapshot)),
        Who::Bearer(bearer) => {
            let who = &bearer.who;
            let sources: Vec<String> =
                who.groups.iter().map(|group| format!("{}:{group}", who.provider)).collect();
            let groups = Arc::new(snapshot.groups_of(&sources));
            Some(KnownUser { active: snapshot.providers.get(&who.provider).is_some(), groups, person: None })
        }
        Who::Nobody(_) | Who::Service(_) => None,
    }
}

/// The subject as the decision is told of it.
#[must_use]
pub fn subject<'f>(
    request: &'f Request,
    user: Option<&'f KnownUser>,
    judged: &Judgement,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Subject<'f> {
    match (&request.who, user) {
        // A workload certificate is believed now, or it makes no subject.
        (Who::Service(id), _) if judged.kind == Presented::Workload => {
            Subject::Service(snapshot.policy.service_by_spiffe(id))
        }
        (Who::Session(session), Some(user)) => Subject::User(User {
            active: user.active,
            groups: &user.groups.set,
            session: session.facts(),
            name: user.name(),
            email: user.email(),
        }),
        // Asked again while the request goes on: a stream ends with the token that opened it.
        (Who::Bearer(bearer), Some(_)) if now >= bearer.expires => Subject::Nobody(Absent::SessionExpired),
        (Who::Bearer(bearer), Some(user)) => {
            let Identified { auth_time, mfa, .. } = bearer.who;
            let session = Session { started: now, last_seen: now, auth_time, mfa };
            Subject::User(User {
                active: user.active,
                groups: &user.groups.set,
                session,
                name: &bearer.who.user,
                email: bearer.who.email.as_deref(),
            })
        }
        (Who::Nobody(absent), _) => Subject::Nobody(*absent),
        (Who::Service(_) | Who::Session(_) | Who::Bearer(_), _) => Subject::Nobody(Absent::NotSignedIn),
    }
}
