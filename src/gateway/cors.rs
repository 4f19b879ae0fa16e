//! Cross-origin resource sharing: preflights answered from the resource's `cors`, and the headers
//! that let a listed origin read an answer.

use super::request::{Initiator, Request};
use crate::policy::{Cors, Resource};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Header fields of an answer.
pub type Fields = Vec<(HeaderName, HeaderValue)>;

/// Whether this is a preflight (Fetch §4.8): asked by a browser, without credentials.
#[must_use]
pub fn is_preflight(request: &Request, headers: &HeaderMap) -> bool {
    request.method == Method::OPTIONS
        && headers.contains_key(http::header::ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether the request comes from an origin that the resource lists.
#[must_use]
pub fn lists_origin(resource: &Resource, request: &Request) -> bool {
    listed(resource, request).is_some()
}

fn listed<'r>(resource: &'r Resource, request: &'r Request) -> Option<(&'r Cors, &'r str)> {
    let cors = resource.cors.as_ref()?;
    match &request.origin {
        Initiator::Other(origin) if cors.origins.contains(origin) => Some((cors, origin)),
        Initiator::Other(_) | Initiator::Own => None,
    }
}

/// The fields with which a listed origin may read the answer; `Vary` wherever `cors` is set.
#[must_use]
pub fn fields(resource: &Resource, request: &Request) -> Fields {
    let mut fields = Fields::new();
    if resource.cors.is_none() {
        return fields;
    }
    fields.push((VARY, HeaderValue::from_static("Origin")));
    if let Some((cors, origin)) = listed(resource, request)
        && let Ok(origin) = HeaderValue::from_str(origin)
    {
        fields.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        if cors.credentials {
            fields.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        }
    }
    fields
}

/// The answer to a preflight; `None` where the origin is not listed.
#[must_use]
pub fn preflight(resource: &Resource, request: &Request) -> Option<Fields> {
    let (cors, _) = listed(resource, request)?;
    let mut fields = fields(resource, request);
    let list = |items: &[String]| HeaderValue::from_str(&items.join(", ")).ok();
    fields.extend(list(&cors.methods.0).map(|value| (ACCESS_CONTROL_ALLOW_METHODS, value)));
    if !cors.headers.is_empty() {
        fields.extend(list(&cors.headers).map(|value| (ACCESS_CONTROL_ALLOW_HEADERS, value)));
    }
    fields.extend(cors.max_age.map(|age| (ACCESS_CONTROL_MAX_AGE, HeaderValue::from(age.as_secs()))));
    Some(fields)
}
