//! What an audit event says, and how it becomes one line.

use crate::access::{DeviceTrust, Reason, Tier};
use crate::policy::GroupNames;
use crate::session::SessionId;
use crate::telemetry::Decided;
use crate::text::part::Part;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use uuid::Uuid;

/// The most of a path that is written, in bytes.
const PATH_LIMIT: usize = 2048;

/// The most of any other string that is written, in bytes.
const STRING_LIMIT: usize = 256;

/// The most of a comment that is written, in bytes: the longest that the API takes.
const COMMENT_LIMIT: usize = 2000;

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request was decided, or refused before it could be.
    Decision,
    /// Somebody signed in or failed to.
    SignIn,
    /// Somebody signed out.
    SignOut,
    /// A session ended otherwise: expired, idle, ended by an administrator.
    SessionEnd,
    /// Configuration and policy were loaded, or the load was refused.
    Reload,
    /// The process serves.
    Start,
    /// The process ends.
    Stop,
    /// A call to the admin listener.
    Admin,
    /// Something else is said of a device than before.
    Device,
    /// Events were lost; `lost` says how many.
    Gap,
}

/// What the policy in shadow would have decided.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsed {
    /// What.
    pub decision: Decided,
    /// Why.
    pub reason: Reason,
    /// The rule that decided, `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
}

/// One audit event. What does not apply is `None` and is not written. Its texts are shared with what they
/// came from, so that recording a request copies none.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When it happened, UTC.
    #[serde(serialize_with = "rfc3339")]
    pub time: OffsetDateTime,
    /// What happened.
    pub kind: Kind,
    /// As in `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Uuid>,
    /// What the denial page shows, for the security team to look up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decided>,
    /// Why: [`crate::access::Reason::code`], or what the kind of event calls for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The resource's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Arc<str>>,
    /// The tier decided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The rule that decided, `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// The generation of the policy decided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<u64>,
    /// The user or service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Arc<str>>,
    /// Who says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    /// The policy's groups that the user is in; bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupNames>,
    /// The user is in more groups than are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_cut: Option<bool>,
    /// The user used more than one factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mfa: Option<bool>,
    /// Seconds since the user last proved who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_age: Option<u64>,
    /// The session's public id; never what its cookie holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The device's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Arc<str>>,
    /// The authority that issued its certificate, or the trust domain of a workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_authority: Option<Arc<str>>,
    /// How far the device was trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_trust: Option<DeviceTrust>,
    /// What lowered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_reason: Option<&'static str>,
    /// The request's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'static, str>>,
    /// The canonical host, or what the client sent in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Part>,
    /// The canonical path, or what the client sent in its place; without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Part>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// The status that the client was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Bytes of the request's body, or from the client after an upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    /// Bytes of the answer's body, or to the client after an upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
    /// From the first byte of the request to the last of the answer, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// What the policy in shadow would have decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Rehearsed>,
    /// Why somebody did it, in their own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// How many events a `gap` stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

impl Event {
    /// An event about which nothing but this is known.
    #[must_use]
    pub const fn new(kind: Kind, time: OffsetDateTime) -> Self {
        Self {
            time,
            kind,
            request_id: None,
            code: None,
            decision: None,
            reason: None,
            resource: None,
            tier: None,
            rule: None,
            policy: None,
            subject: None,
            provider: None,
            groups: None,
            groups_cut: None,
            mfa: None,
            auth_age: None,
            session: None,
            device: None,
            device_authority: None,
            device_trust: None,
            device_reason: None,
            method: None,
            host: None,
            path: None,
            client: None,
            status: None,
            bytes_in: None,
            bytes_out: None,
            duration_us: None,
            shadow: None,
            comment: None,
            lost: None,
        }
    }

    /// Cuts what is too long, and the query where a refused target still has one.
    pub(super) fn bound(&mut self) {
        // Destructured without `..`: a new string must be bounded before this compiles.
        let Self {
            time: _,
            kind: _,
            request_id: _,
            code,
            decision: _,
            reason: _,
            resource,
            tier: _,
            rule,
            policy: _,
            subject,
            provider,
            // Bounded where it was made.
            groups: _,
            groups_cut: _,
            mfa: _,
            auth_age: _,
            session: _,
            device,
            device_authority,
            device_trust: _,
            device_reason: _,
            method,
            host,
            path,
            client: _,
            status: _,
            bytes_in: _,
            bytes_out: _,
            duration_us: _,
            shadow,
            comment,
            lost: _,
        } = self;
        if let Some(Rehearsed { decision: _, reason: _, rule }) = shadow {
            cut_shared(rule);
        }
        for text in [resource, rule, subject, provider, device, device_authority] {
            cut_shared(text);
        }
        cut(code, STRING_LIMIT);
        cut(comment, COMMENT_LIMIT);
        if let Some(Cow::Owned(text)) = method {
            truncate(text, STRING_LIMIT);
        }
        if let Some(text) = host.take_if(|text| text.len() > STRING_LIMIT) {
            *host = Some(text.cut(STRING_LIMIT));
        }
        if let Some(text) = path.take() {
            let end = text.find(['?', '#']).unwrap_or(text.len());
            *path = Some(text.cut(end.min(PATH_LIMIT)));
        }
    }

    /// Appends the event as one line of JSON.
    ///
    /// # Errors
    /// A time that RFC 3339 cannot express; the buffer is as it was then.
    pub fn encode(&self, buffer: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let before = buffer.len();
        let result = serde_json::to_writer(&mut *buffer, self);
        match result {
            Ok(()) => buffer.push(b'\n'),
            Err(_) => buffer.truncate(before),
        }
        result
    }
}

/// Cuts a text to at most so many bytes, between two characters.
fn cut(text: &mut Option<String>, limit: usize) {
    if let Some(text) = text {
        truncate(text, limit);
    }
}

fn truncate(text: &mut String, limit: usize) {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.shrink_to_fit();
    }
}

fn cut_shared(text: &mut Option<Arc<str>>) {
    if let Some(long) = text.take_if(|text| text.len() > STRING_LIMIT) {
        *text = long.get(..long.floor_char_boundary(STRING_LIMIT)).map(Arc::from);
    }
}

const RFC3339: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Always UTC and always six digits, so that lines sort as text.
fn rfc3339<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let text = time.to_offset(time::UtcOffset::UTC).format(RFC3339).map_err(S::Error::custom)?;
    serializer.serialize_str(&text)
}
