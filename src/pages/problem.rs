//! The denial page as JSON, for everything that is not a browser (RFC 9457).

use super::denial::needs;
use super::{DenialPage, explain};
use serde_json::{Value, json};

/// The problem document: the same content as the page.
///
/// `type` is a name and no address, so that a client has nothing to fetch. `sign_in` is where a
/// person can sign in or prove more, where that would help. Serve it as
/// `application/problem+json`.
#[must_use]
pub fn problem(denial: &DenialPage<'_>, sign_in: Option<&str>) -> Value {
    let words = explain(denial.reason);
    let mut document = json!({
        "type": format!("urn:tiergate:reason:{}", denial.reason),
        "title": words.title,
        "status": denial.status,
        "detail": words.happened,
        "reason": denial.reason,
        "remedy": denial.remedies().join(" "),
        "code": denial.code,
    });
    let optional = [
        ("resource", denial.resource.map(Value::from)),
        ("tier", denial.tier.map(|tier| Value::from(tier.as_str()))),
        ("needs", denial.tier.map(|tier| Value::from(needs(tier)))),
        ("user", denial.user.map(Value::from)),
        ("device_trust", denial.tier.map(|_| Value::from(denial.device.trust.as_str()))),
        ("device", denial.device.id.map(Value::from)),
        ("device_reason", denial.device.lowered.map(|lowered| Value::from(lowered.code()))),
        ("lacking", (!denial.lacking.is_empty()).then(|| Value::from(denial.lacking.clone()))),
        ("retry_after", denial.retry_after.map(Value::from)),
        ("sign_in", sign_in.map(Value::from)),
        ("support", denial.support.map(Value::from)),
    ];
    if let Some(members) = document.as_object_mut() {
        members.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    document
}
