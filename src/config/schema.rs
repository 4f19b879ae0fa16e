//! What an editor is told of `tiergate.yaml`: the texts that only it has, and the schema as a whole.

use super::authority::IdentityKind;
use super::raw;
use super::upstreams::TEMPLATE_FIELDS;
use crate::text::schema::{IPV4, IPV6, PORT, SCALAR, bounded, host, kinds, scalar, text, words};
use crate::text::service_url::ServiceUrlError;
use crate::text::yaml;
use schemars::json_schema;
use serde_json::{Value, json};

/// The JSON Schema of `tiergate.yaml`, as text. Whatever [`super::resolve`] takes it takes.
#[must_use]
pub fn schema() -> String {
    yaml::schema::<raw::File>()
}

const ISSUER: &str =
    "^(https://|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])(?![^:/]))[^?#\\x00-\\x20\\x7f]*$";
const SERVICE_URL: &str =
    "^(https://|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])(?![^:/]))[^#\\x00-\\x20\\x7f]*$";
const POINTER_RULE: &str = "write a JSON Pointer, such as `/hardware/serialNumber`";
const ISSUER_RULE: &str = "write `https://` and a host, exactly as the provider does; http on loopback only";
const SOCKET_RULE: &str = "write an IP address and a port, such as `0.0.0.0:443`";
const ADDRESS_RULE: &str = "write `host:port`; for https add `tls: true`";
const HOST_RULE: &str = "write a host, lower case, with a port if need be";
/// What the URL of a responder is, beside the caret.
pub(super) const RESPONDER_RULE: &str =
    "write `http://` or `https://`, a host and a path: answers are signed";
const NAME_RULE: &str = "write a host in lower case, or an address";
const TEMPLATE_RULE: &str = "visible ASCII, with known fields in braces, such as `{user.email}`";

kinds! {
    /// `IP:PORT` to listen on, where port 0 is a free one.
    Socket => text(&format!("^{}(0|{PORT})$", address()), SOCKET_RULE);
    /// A TLS version; unquoted it is a number.
    TlsVersion => json_schema!({ "enum": ["1.2", "1.3", 1.2, 1.3] });
    /// A duration, or `off`.
    Hsts => text("^(off|0*[1-9][0-9]*(ms|s|m|h|d))$", "write a duration such as `365d`, or `off`");
    /// What an authority may grant.
    Grants => words(&["issued", "enrolled"]);
    /// Where in a certificate a device is named.
    IdentityPlace => words(&IdentityKind::ALL.map(|(word, _)| word));
    /// Whether an OCSP responder is asked.
    Ocsp => words(&["off", "soft", "hard"]);
    /// The URL of an OCSP responder.
    ResponderUrl => bounded(text("^https?://[^#@\\x00-\\x20\\x7f]+$", RESPONDER_RULE), 2048);
    /// Whether the inventory must know a device.
    Recorded => words(&["required", "optional"]);
    /// What an identity provider is.
    ProviderType => words(&["local", "oidc"]);
    /// The exact issuer of an OpenID provider.
    Issuer => text(ISSUER, ISSUER_RULE);
    /// What becomes of requests while the audit log cannot be written.
    OnFailed => words(&["deny", "allow"]);
    /// Where the admin token is kept.
    AdminToken => json_schema!({
        "type": "object",
        "properties": { "file": { "type": SCALAR, "minLength": 1, "description": "The file with the token." } },
        "required": ["file"],
        "additionalProperties": false,
    });
    /// `host:port` of an upstream.
    UpstreamAddress => text(&format!("^({}:0*|{}){PORT}$", host(), address()), ADDRESS_RULE);
    /// `Host` as an upstream is sent it.
    UpstreamHost => scalar(&format!("^{}(:0*{PORT})?$", host()), HOST_RULE);
    /// The name in an upstream's certificate.
    HostOrAddress => scalar(&format!("^({}|{IPV4}|{IPV6})$", host()), NAME_RULE);
    /// Headers by name, their values by template.
    Headers => json_schema!({
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z0-9!#$%&'*+.^`|~-]+$" },
        "additionalProperties": bounded(scalar(&template(), TEMPLATE_RULE), 1024),
        "minProperties": 1,
    });
    /// A share or a number.
    AtMost => scalar("^(0*(100|[0-9]{1,2})%|[0-9]+)$", "write `0%` to `100%`, or a whole number");
    /// A device management whose list is known.
    SyncPreset => words(&["fleet", "jamf", "intune"]);
    /// The address of a service.
    ServiceUrl => text(SERVICE_URL, ServiceUrlError.to_string().as_str());
    /// A JSON Pointer (RFC 6901).
    JsonPointer => text("^(/([^/~]|~[01])*)+$", POINTER_RULE);
    /// What values of somebody else's mean.
    Meanings => json_schema!({
        "type": "object",
        "additionalProperties": { "type": SCALAR, "minLength": 1 },
        "minProperties": 1,
    });
    /// How logs are written.
    LogFormat => words(&["text", "json"]);
}

/// An IP address and what stands before its port; zeros before the port are read over.
fn address() -> String {
    format!("({IPV4}|\\[{IPV6}(%[0-9]+)?\\]):0*")
}

/// Visible ASCII, and known fields in braces.
fn template() -> String {
    let fields = TEMPLATE_FIELDS.join("|").replace('.', "\\.");
    format!("^([ -z|}}~]|\\{{({fields})\\}})*$")
}

/// What a provider of each type must have, and what it must not.
pub(super) fn keys_of_types() -> Value {
    const OIDC_ONLY: [&str; 9] = [
        "issuer",
        "client_id",
        "client_secret",
        "scopes",
        "groups_claim",
        "mfa_values",
        "step_up_acr",
        "bearer_audiences",
        "ca",
    ];
    let when = |kind: &str| json!({ "properties": { "type": { "const": kind } }, "required": ["type"] });
    let then = |needed: &[&str], stray: &[&str], reserved: &[&str]| {
        let mut keys: serde_json::Map<_, _> =
            stray.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
        keys.insert("name".to_owned(), json!({ "not": { "enum": reserved } }));
        json!({ "required": needed, "properties": keys })
    };
    json!([
        { "if": when("local"), "then": then(&["users"], &OIDC_ONLY, &["scim"]) },
        { "if": when("oidc"), "then": then(&["issuer", "client_id"], &["users"], &["scim", "local"]) },
    ])
}

/// One way to prove who asks; and either a preset, or what it would say.
pub(super) fn ways_to_sync() -> Value {
    json!([
        { "oneOf": [{ "required": ["token"] }, { "required": ["client_credentials"] }] },
        {
            "if": { "required": ["preset"] },
            "then": { "properties": { "items": false, "next": false } },
            "else": { "required": ["map"], "properties": { "map": { "required": ["id"] } } },
        },
    ])
}
