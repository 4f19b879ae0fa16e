//! What an upstream is told of who asks and from which device: header fields and the signed assertion, the
//! same for every request of one subject, device and place.

use super::assertion::{Claims, DeviceClaim};
use super::headers::plain_value;
use super::memory::{Basis, Standing};
use super::request::Who;
use super::upstream::Upstream;
use crate::access::{Tier, Timestamp};
use crate::policy::Resource;
use crate::snapshot::Snapshot;
use http::{HeaderName, HeaderValue};
use uuid::Uuid;

/// The most of `X-Tiergate-Groups`, bytes.
const MAX_GROUPS: usize = 4096;

/// What stands for the request's id in a configured header.
const REQUEST_ID: &str = "{request.id}";

/// A header that states a fact about the subject or device could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum FactError {
    #[error("a value does not fit a header")]
    Value(#[from] http::header::InvalidHeaderValue),
    #[error("a configured header name is no name")]
    Name(#[from] http::header::InvalidHeaderName),
    #[error("nobody was identified")]
    Nobody,
    #[error(transparent)]
    Assertion(#[from] super::assertion::AssertionError),
}

/// Makes what an upstream is told.
///
/// # Errors
/// A value that cannot be written in a header, nobody who could be named, or no key to sign with.
pub(super) fn standing(
    basis: Basis,
    snapshot: &Snapshot,
    resource: &Resource,
    tier: Tier,
    upstream: &Upstream,
    now: Timestamp,
) -> Result<Standing, FactError> {
    let mut fields = Vec::with_capacity(8);
    let mut put = |name: &'static str, value: &str| -> Result<(), FactError> {
        fields.push((HeaderName::from_static(name), HeaderValue::from_str(&plain_value(value))?));
        Ok(())
    };
    let groups: Vec<String> = basis
        .groups
        .iter()
        .flat_map(|groups| groups.set.iter())
        .filter_map(|group| snapshot.policy.group_name(group).map(str::to_owned))
        .collect();
    let device = basis.device.as_deref();
    let person = basis.person.clone().or_else(|| basis.who.person());
    let subject = match &basis.who {
        Who::Service(id) => id.to_string(),
        Who::Session(_) | Who::Bearer(_) | Who::Nobody(_) => {
            let (provider, subject) = basis.who.account().ok_or(FactError::Nobody)?;
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
    if let Some(id) = device {
        put("x-tiergate-device", id)?;
    }
    put("x-tiergate-device-trust", basis.trust.as_str())?;
    put("x-tiergate-tier", tier.as_str())?;
    if let Some(person) = &person {
        // Plain since the user was identified: what is encoded in it must not be encoded once more.
        fields.push((HeaderName::from_static("x-tiergate-user"), HeaderValue::from_str(&person.user)?));
    }
    let mut templates = Vec::new();
    for (name, template) in &upstream.config.headers {
        let name = HeaderName::try_from(name.as_str())?;
        let value = filled(template, &|key| match key {
            "user.name" => person.as_ref().map(|person| person.user.to_string()),
            "user.email" => {
                person.as_ref().and_then(|person| Some(plain_value(person.email.as_ref()?).into()))
            }
            "user.groups" => Some(plain_value(&joined(&groups)).into()),
            "device.id" => device.map(|id| plain_value(id).into()),
            "device.trust" => Some(basis.trust.to_string()),
            "resource.name" => Some(plain_value(&resource.name).into()),
            "resource.tier" => Some(tier.to_string()),
            // Another one for each request, so its place stays open.
            "request.id" => Some(REQUEST_ID.to_owned()),
            _ => None,
        });
        if template.contains(REQUEST_ID) {
            templates.push((name, value));
        } else {
            fields.push((name, HeaderValue::from_str(&value)?));
        }
    }
    let claims = Claims {
        iss: format!("https://{}", snapshot.config.identity.login_host),
        sub: subject,
        email: person.as_ref().and_then(|person| person.email.clone()),
        groups,
        device: DeviceClaim { id: device.map(str::to_owned), trust: basis.trust },
        tier,
        amr: person.as_ref().map(|person| person.amr.clone()).unwrap_or_default(),
        auth_time: person.as_ref().map(|person| person.auth_time),
        sid: basis.who.session_id().map(|id| id.to_string()),
        aud: resource.name.to_string(),
    };
    let assertion = basis.signer.sign(&claims, now)?;
    Ok(Standing { basis, fields, templates, assertion })
}

/// The value of a field whose template names the request's id.
pub(super) fn with_request_id(template: &str, id: Uuid) -> String {
    template.replace(REQUEST_ID, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
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
}
