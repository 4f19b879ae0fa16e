//! What an editor is told of policy files: the words that they have, and the schema as a whole.

use super::raw;
use crate::access::Reason;
use crate::diagnostic::CODES;
use crate::text::schema::{kinds, scalar, text, words};
use crate::text::yaml;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;
use std::borrow::Cow;

/// The JSON Schema of a policy file, as text. Whatever [`super::resolve`] takes it takes.
#[must_use]
pub fn schema() -> String {
    yaml::schema::<raw::File>()
}

kinds! {
    /// How sensitive a resource is.
    Tier => words(&crate::access::Tier::ALL.map(crate::access::Tier::as_str));
    /// How far a device is trusted.
    Trust => words(&crate::access::DeviceTrust::ALL.map(crate::access::DeviceTrust::as_str));
    /// What becomes of a request: see [`super::Expected`].
    Expectation => words(
        &["allow", "deny", "challenge"].into_iter().chain(Reason::ALL.iter().map(|reason| reason.code())).collect::<Vec<_>>()
    );
    /// A method and an address: see [`super::request_line`].
    RequestLine => text("^[A-Z-]+ +https://[^ ]+$", "write a method and an address, such as `GET https://wiki.corp.example/`");
    /// The only thing that can be said of `mfa`.
    Required => words(&["required"]);
    /// The only thing that can be said of `owner`.
    MustMatch => words(&["must_match"]);
    /// A version: see [`crate::text::version::OsVersion`].
    OsVersion => scalar("^[0-9]+(\\.[0-9]+){0,5}$", "write numbers with dots between them, in quotes, such as \"14.6\"");
    /// The code of a finding whose level can be changed.
    LintCode => words(&CODES.iter().filter(|code| code.has_level()).map(|code| code.id).collect::<Vec<_>>());
    /// What a finding is reported as.
    Level => words(&["off", "note", "warning", "error"]);
    /// Whose requests are counted together.
    Per => words(&["user", "device", "address"]);
}

/// A rule of `deny`, which does not ask about the strength or age of a sign-in.
#[derive(Debug)]
pub(super) struct DenyRule;

impl JsonSchema for DenyRule {
    fn schema_name() -> Cow<'static, str> {
        "DenyRule".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = raw::Rule::json_schema(generator);
        if let Some(Value::Object(keys)) = schema.get_mut("properties") {
            keys.remove("mfa");
            keys.remove("max_auth_age");
        }
        let about = "A rule that refuses. It does not ask about the strength or age of a sign-in.";
        schema.insert("description".to_owned(), about.into());
        schema
    }
}
