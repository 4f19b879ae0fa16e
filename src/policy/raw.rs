//! The mirror of a policy file: its shape and nothing else. Every struct refuses unknown keys, and
//! every value has its place. `resolve` destructures these without `..`, so a key that is added here
//! does not compile until someone says what it means.

use crate::text::yaml::{At, Entries, Key, One, OneOrMany};
use serde::Deserialize;
use serde::de::Error;

/// A list of texts with their places.
pub(super) type Texts = Key<Vec<At<String>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub version: Key<String>,
    pub groups: Key<Entries<Group>>,
    pub networks: Key<Entries<Vec<At<String>>>>,
    pub services: Key<Entries<Service>>,
    pub authentication: Key<Vec<At<Authentication>>>,
    pub resources: Key<Vec<At<Resource>>>,
    pub lints: Key<Vec<At<Lint>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Group {
    pub any_of: Texts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Service {
    pub spiffe: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Authentication {
    pub r#for: Key<For>,
    pub idle_timeout: Key<String>,
    pub max_age: Key<String>,
    pub mfa: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct For {
    pub groups: Texts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Resource {
    pub name: Key<String>,
    pub tier: Key<String>,
    pub hosts: Texts,
    pub upstream: Key<String>,
    pub allow: Key<Vec<At<Rule>>>,
    pub deny: Key<Vec<At<Rule>>>,
    pub paths: Key<Vec<At<Path>>>,
    pub services: Key<Vec<At<ServiceEntry>>>,
    pub rate_limit: Key<OneOrMany<At<RateLimit>>>,
    pub cors: Key<Cors>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Path {
    pub prefix: Key<String>,
    pub tier: Key<String>,
    pub allow: Key<Vec<At<Rule>>>,
    pub deny: Key<Vec<At<Rule>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rule {
    pub groups: Texts,
    pub methods: Texts,
    pub networks: Texts,
    pub mfa: Key<String>,
    pub max_auth_age: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServiceEntry {
    pub name: Key<String>,
    pub methods: Texts,
    pub paths: Texts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimit {
    pub per: Key<String>,
    pub requests: Key<u64>,
    pub window: Key<String>,
    pub burst: Key<u64>,
}

impl One for RateLimit {
    fn from_text<E: Error>(_: &str) -> Result<Self, E> {
        Err(E::custom("expected a limit, such as `{ per: user, requests: 50, window: 1s }`"))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cors {
    pub origins: Texts,
    pub methods: Texts,
    pub headers: Texts,
    pub credentials: Key<bool>,
    pub max_age: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Lint {
    pub code: Key<String>,
    pub level: Key<String>,
    pub resource: Key<String>,
    pub reason: Key<String>,
}
