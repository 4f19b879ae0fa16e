//! The one place where a reason becomes an answer: a status, a page, a problem document or a gRPC
//! status, with the headers that each needs.

use super::cors;
use super::request::{Kind, Request};
use crate::access::{Reason, Step, Tier};
use crate::login::Redirect;
use crate::pages::{self, Action, DenialPage, DeviceView};
use bytes::Bytes;
use http::header::InvalidHeaderValue;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use pingora::ErrorType::InternalError;
use pingora::OrErr;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::time::Duration;
use uuid::Uuid;

/// The field with a request's id, towards both sides.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer of tiergate's own.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Header fields beyond those that every answer of ours carries.
    pub fields: cors::Fields,
    /// The body.
    pub body: Bytes,
}

/// What an answer to a refused request is made from.
pub struct Refused<'a> {
    /// Why.
    pub reason: Reason,
    /// What the user can do now, where that helps.
    pub step: Option<Step>,
    /// What kind of client asks.
    pub kind: Kind,
    /// The request, where it was understood.
    pub request: Option<&'a Request>,
    /// What was asked for, where the person may learn of it.
    pub resource: Option<(&'a crate::policy::Resource, Tier)>,
    /// Whose `cors` says which origins may read the answer.
    pub shared_by: Option<&'a crate::policy::Resource>,
    /// The code that finds the request in the audit log.
    pub code: &'a str,
    /// Who asked.
    pub user: Option<&'a str>,
    /// From which device.
    pub device: DeviceView<'a>,
    /// What the device lacks, in whole sentences.
    pub lacking: Vec<String>,
    /// Where a browser goes to take the step.
    pub redirect: Option<Redirect>,
    /// How long to wait.
    pub retry_after: Option<Duration>,
    /// The head was in order, and the body is what is refused.
    pub body: bool,
}

/// The status that a client is told. Matched without `_`, so a new reason must choose one.
#[must_use]
pub const fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::Allowed | Reason::OwnPage => StatusCode::OK,
        Reason::Preflight => StatusCode::NO_CONTENT,
        Reason::NoRoute => StatusCode::NOT_FOUND,
        Reason::HostNotCovered | Reason::ConnectionWithoutDevice => StatusCode::MISDIRECTED_REQUEST,
        // A client that went away reads no status; the record needs one.
        Reason::AmbiguousRequest | Reason::ClientAborted => StatusCode::BAD_REQUEST,
        Reason::MethodRefused => StatusCode::METHOD_NOT_ALLOWED,
        Reason::RequestTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Reason::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Reason::ExpectationFailed => StatusCode::EXPECTATION_FAILED,
        Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Reason::NotSignedIn
        | Reason::SessionExpired
        | Reason::SessionIdle
        | Reason::SessionRevoked
        | Reason::SessionDeviceChanged
        | Reason::MfaRequired
        | Reason::ReauthRequired => StatusCode::UNAUTHORIZED,
        Reason::AccountDisabled
        | Reason::DeniedByRule
        | Reason::DeviceRequired
        | Reason::DeviceNotIssued
        | Reason::DeviceRevoked
        | Reason::DeviceExpired
        | Reason::DeviceUntrusted
        | Reason::DeviceUnfit
        | Reason::DeviceUnknown
        | Reason::DeviceInactive
        | Reason::DeviceNotOwned
        | Reason::PostureStale
        | Reason::PostureFailed
        | Reason::DeviceAuthorityExpired
        | Reason::DeviceNoClientAuth
        | Reason::DeviceNoDigitalSignature
        | Reason::DeviceCriticalExtension
        | Reason::DeviceChainTooLong
        | Reason::DeviceWeakKey
        | Reason::DeviceWeakSignature
        | Reason::DeviceUnnamed
        | Reason::DeviceLifetime
        | Reason::DeviceExtensionMissing
        | Reason::NotAllowed
        | Reason::ServiceNotListed
        | Reason::CrossOrigin => StatusCode::FORBIDDEN,
        Reason::EvidenceStale | Reason::AuditUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::UpstreamUnavailable => StatusCode::BAD_GATEWAY,
        Reason::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        Reason::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The gRPC status that stands for an HTTP status.
const fn grpc_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "16",
        403 | 421 => "7",
        404 => "12",
        429 => "8",
        502..=504 => "14",
        400..=499 => "3",
        _ => "13",
    }
}

/// Answers a refused request in the form that its client understands.
#[must_use]
pub fn refuse(refused: &Refused<'_>) -> Answer {
    let status = match (refused.reason, refused.body) {
        (Reason::RequestTooLarge, true) => StatusCode::PAYLOAD_TOO_LARGE,
        (reason, _) => status(reason),
    };
    let kind = refused.kind;
    if kind == Kind::Grpc {
        let message = HeaderValue::from_static(refused.reason.code());
        let fields = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
            (http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(grpc_status(status))),
            (http::HeaderName::from_static("grpc-message"), message),
        ];
        return Answer { status: StatusCode::OK, fields, body: Bytes::new() };
    }
    if let (Kind::Navigation, Some(redirect)) = (kind, &refused.redirect) {
        return redirected(redirect);
    }
    let mut fields = shared_fields(refused, status);
    let retry_after = refused.retry_after.map(|wait| wait.as_secs().saturating_add(1));
    let again = refused.request.map(Request::path_and_query);
    let page = DenialPage {
        reason: refused.reason,
        status: status.as_u16(),
        resource: refused.resource.map(|(resource, _)| &*resource.name),
        tier: refused.resource.map(|(_, tier)| tier),
        code: refused.code,
        user: refused.user,
        device: refused.device,
        lacking: refused.lacking.clone(),
        action: again.map(|href| Action::Link { label: "Try again", href }),
        retry_after,
        support: None,
    };
    if kind == Kind::Navigation {
        fields.push((CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")));
        fields.extend(HeaderValue::try_from(pages::csp(&[])).ok().map(|csp| (CONTENT_SECURITY_POLICY, csp)));
        return Answer { status, fields, body: page.render().into() };
    }
    let sign_in = refused.redirect.as_ref().map(|redirect| redirect.location.as_str());
    fields.push((CONTENT_TYPE, HeaderValue::from_static("application/problem+json")));
    Answer { status, fields, body: pages::problem(&page, sign_in).to_string().into() }
}

fn shared_fields(refused: &Refused<'_>, status: StatusCode) -> cors::Fields {
    let mut fields = match (refused.shared_by, refused.request) {
        (Some(resource), Some(request)) => cors::fields(resource, request),
        _ => cors::Fields::new(),
    };
    fields.push((VARY, HeaderValue::from_static("Accept, Cookie, Sec-Fetch-Mode")));
    if status == StatusCode::UNAUTHORIZED {
        fields.push((WWW_AUTHENTICATE, challenge(refused.reason, refused.step)));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        fields.push((
            http::header::ALLOW,
            HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"),
        ));
    }
    if let Some(wait) = refused.retry_after {
        fields.push((RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1))));
    } else if status == StatusCode::SERVICE_UNAVAILABLE {
        fields.push((RETRY_AFTER, HeaderValue::from_static("30")));
    }
    fields
}

/// RFC 6750 §3 and, for a sign-in that is too weak or too old, RFC 9470 §3.
fn challenge(reason: Reason, step: Option<Step>) -> HeaderValue {
    let weak = r#"Bearer realm="tiergate", error="insufficient_user_authentication", error_description"#;
    let text = match step {
        Some(Step::StepUp) => format!(r#"{weak}="more than one factor is needed", acr_values="mfa""#),
        Some(Step::Reauthenticate { max_auth_age }) => {
            format!(r#"{weak}="the sign-in is too old", max_age="{max_auth_age}""#)
        }
        Some(Step::SignIn) | None if reason == Reason::NotSignedIn => r#"Bearer realm="tiergate""#.to_owned(),
        Some(Step::SignIn) | None => {
            format!(r#"Bearer realm="tiergate", error="invalid_token", error_description="{reason}""#)
        }
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
}

fn redirected(redirect: &Redirect) -> Answer {
    let mut fields = cors::Fields::new();
    fields.extend(HeaderValue::try_from(&redirect.location).ok().map(|to| (LOCATION, to)));
    for cookie in &redirect.set_cookie {
        fields.extend(HeaderValue::try_from(cookie).ok().map(|cookie| (SET_COOKIE, cookie)));
    }
    fields.push((VARY, HeaderValue::from_static("Accept, Cookie, Sec-Fetch-Mode")));
    Answer { status: StatusCode::FOUND, fields, body: Bytes::new() }
}

/// The same resource under its canonical path.
#[must_use]
pub fn moved(path_and_query: &str) -> Answer {
    let to = HeaderValue::try_from(path_and_query).unwrap_or(HeaderValue::from_static("/"));
    Answer { status: StatusCode::PERMANENT_REDIRECT, fields: vec![(LOCATION, to)], body: Bytes::new() }
}

/// The problem document of a request that was refused before anything else was known of it.
#[must_use]
pub fn plain_problem(reason: Reason, status: u16, code: &str) -> String {
    let page = DenialPage {
        reason,
        status,
        resource: None,
        tier: None,
        code,
        user: None,
        device: DeviceView::default(),
        lacking: Vec::new(),
        action: None,
        retry_after: None,
        support: None,
    };
    pages::problem(&page, None).to_string()
}

/// A request's id as a header's value.
///
/// # Errors
/// Never: it is made of digits and dashes.
pub fn request_id_value(id: Uuid) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))?;
    // It never comes again, so HTTP/2 need not remember it (RFC 7541 §6.2.3).
    value.set_sensitive(true);
    Ok(value)
}

/// Sends an answer of ours. The request's body was read, or the connection closes behind it.
///
/// # Errors
/// The client is gone.
pub async fn send(
    session: &mut ServerSession,
    answer: Answer,
    hsts: Option<Duration>,
    request_id: Uuid,
) -> pingora::Result<usize> {
    let mut header = ResponseHeader::build(answer.status, Some(answer.fields.len() + 8))?;
    let has = |name: &http::HeaderName| answer.fields.iter().any(|(field, _)| field == name);
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        if !has(&name) {
            header.insert_header(name, value)?;
        }
    }
    if let Some(age) = hsts.filter(|_| !has(&STRICT_TRANSPORT_SECURITY)) {
        header.insert_header(STRICT_TRANSPORT_SECURITY, format!("max-age={}", age.as_secs()))?;
    }
    header.insert_header(X_REQUEST_ID, request_id_value(request_id).or_err(InternalError, "an id")?)?;
    for (name, value) in answer.fields {
        header.append_header(name, value)?;
    }
    let no_body = answer.status == StatusCode::NO_CONTENT;
    if !no_body {
        header.insert_header(http::header::CONTENT_LENGTH, answer.body.len())?;
    }
    let head_only = session.req_header().method == http::Method::HEAD || no_body || answer.body.is_empty();
    session.write_response_header(Box::new(header)).await?;
    if head_only {
        return Ok(0);
    }
    let sent = answer.body.len();
    session.write_response_body(answer.body, true).await?;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_the_status_of_the_contract() {
        for reason in Reason::ALL {
            let want = match reason.code() {
                "allowed" | "own_page" => 200,
                "preflight" => 204,
                "no_route" => 404,
                "host_not_covered" | "connection_without_device" => 421,
                "ambiguous_request" | "client_aborted" => 400,
                "rate_limited" => 429,
                "evidence_stale" | "audit_unavailable" => 503,
                "upstream_unavailable" => 502,
                "upstream_timeout" => 504,
                "method_refused" => 405,
                "request_too_large" => 431,
                "request_timeout" => 408,
                "expectation_failed" => 417,
                "internal_error" => 500,
                "not_signed_in" | "mfa_required" | "reauth_required" => 401,
                code if code.starts_with("session_") => 401,
                _ => 403,
            };
            assert_eq!(status(*reason).as_u16(), want, "{reason}");
        }
    }

    #[test]
    fn a_challenge_says_what_would_do() {
        let text = |reason, step| challenge(reason, Some(step)).to_str().unwrap().to_owned();
        assert_eq!(text(Reason::NotSignedIn, Step::SignIn), r#"Bearer realm="tiergate""#);
        assert!(text(Reason::MfaRequired, Step::StepUp).contains(r#"acr_values="mfa""#));
        let old = text(Reason::ReauthRequired, Step::Reauthenticate { max_auth_age: 900 });
        assert!(old.contains("insufficient_user_authentication") && old.contains(r#"max_age="900""#));
        assert!(text(Reason::SessionIdle, Step::SignIn).contains("invalid_token"));
    }
}
