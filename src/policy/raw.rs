//! The mirror of a policy file: its shape and nothing else. Every struct refuses unknown keys, and
//! every value has its place. `resolve` destructures these without `..`, so a key that is added here
//! does not compile until someone says what it means. What is said of a key here is what editors show.

use super::schema::{
    DenyRule, Expectation, Level, LintCode, MustMatch, OsVersion, Per, RequestLine, Required, Tier, Trust,
};
use crate::text::schema::{
    Address, Count, Duration, Flag, GroupSource, HostPattern, LowerHeader, Method, Moment, Name, Network,
    Origin, Prefix, PrefixBelow, Reason, Seconds, SpiffeId, Text, Version,
};
use crate::text::yaml::{At, Entries, Key, One, OneOrMany};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Error;

/// A list of texts with their places.
pub(super) type Texts = Key<Vec<At<String>>>;
/// One text or a list of them.
pub(super) type Several = Key<OneOrMany<At<String>>>;

/// # A policy file of tiergate
/// One of the files of the policy folder, which are merged. `tiergate check` finds what this schema cannot.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["version"]))]
pub(super) struct File {
    /// The version of the format: 1.
    #[schemars(with = "Version")]
    pub version: Key<String>,
    /// Groups by name: who is in them.
    pub groups: Key<Entries<Group>>,
    /// Networks by name: each a list such as `198.51.100.0/24` or `2001:db8::/32`, or of single addresses.
    #[schemars(with = "Entries<Vec<Network>>")]
    pub networks: Key<Entries<Vec<At<String>>>>,
    /// Workloads by name: the SPIFFE ID that makes a certificate theirs.
    pub services: Key<Entries<Service>>,
    /// What the tiers ask of devices beside their trust: how lately they were seen, how they are kept, whose
    /// they are. In one file only. Default: nothing.
    pub posture: Key<Postures>,
    /// How long sessions last and how strong a sign-in must be. The first entry that is for the user decides;
    /// all but the last have `for`, the last does not. In one file only.
    pub authentication: Key<Vec<At<Authentication>>>,
    /// What is protected. What no resource names is not reachable.
    pub resources: Key<Vec<At<Resource>>>,
    /// The levels that warnings and notes have in this policy, each with a reason.
    pub lints: Key<Vec<At<Lint>>>,
    /// What is promised of every possible request. Proved whenever the policy is read; what does not hold
    /// refuses it.
    pub assertions: Key<Vec<At<Assertion>>>,
    /// What is expected of some requests. One that fails is a warning.
    pub tests: Key<Vec<At<Test>>>,
}

/// A group of this policy, made of what identity providers say.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["any_of"]))]
pub(super) struct Group {
    /// The sources of the group: `provider:claim-value`, `local:group` or `scim:group`. A user is in the
    /// group when one of them says so.
    #[schemars(with = "Vec<GroupSource>")]
    pub any_of: Texts,
}

/// A workload that resources can name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["spiffe"]))]
pub(super) struct Service {
    /// The SPIFFE ID in its certificate, such as `spiffe://corp.example/ns/billing/sa/sync`. No other service
    /// has it.
    #[schemars(with = "SpiffeId")]
    pub spiffe: Key<String>,
}

/// What the tiers ask of devices. The tier `open` needs no device, so it asks nothing of one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub(super) struct Postures {
    /// What resources of tier `low` ask.
    pub low: Key<Posture>,
    /// What resources of tier `high` ask, instead of what `low` says. Default: what `low` says.
    pub high: Key<Posture>,
}

/// What a tier asks of a device. A device that the inventory does not know has none of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub(super) struct Posture {
    /// The device management heard of the device within this time. Default: not asked.
    #[schemars(with = "Seconds")]
    pub max_checkin_age: Key<String>,
    /// These hold, as the inventory names them, such as `disk_encrypted`. Default: nothing.
    #[schemars(with = "Vec<Name>")]
    pub require: Texts,
    /// The oldest versions of operating systems. A platform that is not listed may have any; one that the
    /// inventory does not name has none. Default: not asked.
    pub min_os: Key<MinOs>,
    /// `must_match`: the device's owner is the user. Default: not asked.
    #[schemars(with = "MustMatch")]
    pub owner: Key<String>,
}

/// The oldest versions of operating systems: numbers with dots between them, in quotes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub(super) struct MinOs {
    /// Of Android, such as 14.
    #[schemars(with = "OsVersion")]
    pub android: Key<String>,
    /// Of Chrome OS, such as 130.
    #[schemars(with = "OsVersion")]
    pub chromeos: Key<String>,
    /// Of iOS, such as 17.6.
    #[schemars(with = "OsVersion")]
    pub ios: Key<String>,
    /// Of iPadOS, such as 17.6.
    #[schemars(with = "OsVersion")]
    pub ipados: Key<String>,
    /// Of a Linux distribution, such as 12; whichever it is.
    #[schemars(with = "OsVersion")]
    pub linux: Key<String>,
    /// Of macOS, such as 14.6.
    #[schemars(with = "OsVersion")]
    pub macos: Key<String>,
    /// Of Windows, such as 10.0.22631.
    #[schemars(with = "OsVersion")]
    pub windows: Key<String>,
}

/// How long sessions last, and how strong a sign-in must be. The first entry that is for the user decides,
/// alone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("anyOf" = [
    { "required": ["idle_timeout"] },
    { "required": ["max_age"] },
    { "required": ["mfa"] },
]))]
pub(super) struct Authentication {
    /// Whom the entry is for; left out in the last entry only, which is for everybody else.
    pub r#for: Key<For>,
    /// A session ends when it is not used for this long. Default: `sessions.idle_timeout` of `tiergate.yaml`.
    #[schemars(with = "Seconds")]
    pub idle_timeout: Key<String>,
    /// A session ends at this age. Default: `sessions.max_age` of `tiergate.yaml`.
    #[schemars(with = "Seconds")]
    pub max_age: Key<String>,
    /// `required`: more than one factor, everywhere. Default: not asked.
    #[schemars(with = "Required")]
    pub mfa: Key<String>,
}

/// Whom an entry is for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["groups"]))]
pub(super) struct For {
    /// The user is in one of these groups.
    #[schemars(with = "Vec<Name>")]
    pub groups: Texts,
}

/// Something protected: hosts, one upstream, one tier, and who gets in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "tier", "hosts", "upstream"]))]
pub(super) struct Resource {
    /// Its unique name: a metric label, and the audience of the assertion to its upstream.
    #[schemars(with = "Name")]
    pub name: Key<String>,
    /// How sensitive it is. `open`: any signed-in user; `low`: on an enrolled or issued device; `high`: on an
    /// issued device.
    #[schemars(with = "Tier")]
    pub tier: Key<String>,
    /// Its hosts: exact, or `*.` and a suffix, where the star is one label. No other resource has them.
    #[schemars(with = "Vec<HostPattern>")]
    pub hosts: Texts,
    /// Where requests go: a name under `upstreams` in `tiergate.yaml`.
    #[schemars(with = "Text")]
    pub upstream: Key<String>,
    /// Who gets in, of those who meet the tier. Default: all of them.
    pub allow: Key<Vec<At<Rule>>>,
    /// Who is refused, whatever `allow` says.
    #[schemars(with = "Vec<DenyRule>")]
    pub deny: Key<Vec<At<Rule>>>,
    /// Parts of it that are treated differently. The longest prefix wins.
    pub paths: Key<Vec<At<Path>>>,
    /// The services that get in; neither `tier` nor `allow` apply to them. Default: none.
    pub services: Key<Vec<At<ServiceEntry>>>,
    /// How much of somebody it takes: one limit or a list. Default: no limit.
    pub rate_limit: Key<OneOrMany<At<RateLimit>>>,
    /// How requests from pages of other origins are answered. Default: none is.
    pub cors: Key<Cors>,
}

/// A part of a resource. It inherits what it does not state from the path around it, or from the resource.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["prefix"]))]
#[schemars(extend("anyOf" = [{ "required": ["tier"] }, { "required": ["allow"] }, { "required": ["deny"] }]))]
pub(super) struct Path {
    /// Whole segments, in canonical form: /close is /close and all below it, not /closed.
    #[schemars(with = "PrefixBelow")]
    pub prefix: Key<String>,
    /// The tier in place of the inherited one.
    #[schemars(with = "Tier")]
    pub tier: Key<String>,
    /// The rules in place of the inherited `allow`.
    pub allow: Key<Vec<At<Rule>>>,
    /// Rules in addition to the inherited `deny`.
    #[schemars(with = "Vec<DenyRule>")]
    pub deny: Key<Vec<At<Rule>>>,
}

/// One rule: its keys are joined by and, the items of a list by or.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub(super) struct Rule {
    /// The user is in one of these groups.
    #[schemars(with = "Vec<Name>")]
    pub groups: Texts,
    /// The request has one of these methods, in upper case. GET is not HEAD.
    #[schemars(with = "Vec<Method>")]
    pub methods: Texts,
    /// The address of the client is in one of these networks, by name.
    #[schemars(with = "Vec<Name>")]
    pub networks: Texts,
    /// `required`: more than one factor was used. Otherwise the user is asked to step up.
    #[schemars(with = "Required")]
    pub mfa: Key<String>,
    /// The user proved who they are within this time. Otherwise they are asked to sign in again.
    #[schemars(with = "Seconds")]
    pub max_auth_age: Key<String>,
}

/// A service that the resource admits, to these methods and paths and nothing else.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name"]))]
pub(super) struct ServiceEntry {
    /// The name of the service.
    #[schemars(with = "Name")]
    pub name: Key<String>,
    /// The methods it may use. Default: every one.
    #[schemars(with = "Vec<Method>")]
    pub methods: Texts,
    /// Where it may go: canonical prefixes of whole segments. Default: everywhere.
    #[schemars(with = "Vec<Prefix>")]
    pub paths: Texts,
}

/// How much of somebody the resource takes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["per", "requests", "window"]))]
pub(super) struct RateLimit {
    /// Whose requests are counted together: a user, a device (or the user, without one) or an address (IPv6:
    /// its /64).
    #[schemars(with = "Per")]
    pub per: Key<String>,
    /// So many requests.
    #[schemars(with = "Count", range(min = 1, max = 1_000_000_000))]
    pub requests: Key<u64>,
    /// In this time.
    #[schemars(with = "Duration")]
    pub window: Key<String>,
    /// So many at once. Default: `requests`.
    #[schemars(with = "Count", range(min = 1, max = 1_000_000_000))]
    pub burst: Key<u64>,
}

impl One for RateLimit {
    fn from_text<E: Error>(_: &str) -> Result<Self, E> {
        Err(E::custom("expected a limit, such as `{ per: user, requests: 50, window: 1s }`"))
    }
}

/// How requests from pages of other origins are answered.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["origins", "methods"]))]
pub(super) struct Cors {
    /// The origins: `https://host` or `https://host:port`, none of them `*`.
    #[schemars(with = "Vec<Origin>")]
    pub origins: Texts,
    /// The methods that their pages may use.
    #[schemars(with = "Vec<Method>")]
    pub methods: Texts,
    /// The request headers that their pages may set, in lower case. Default: none.
    #[schemars(with = "Vec<LowerHeader>")]
    pub headers: Texts,
    /// `true` lets the browser send cookies. Default: false.
    #[schemars(with = "Flag")]
    pub credentials: Key<bool>,
    /// How long browsers may keep the answer to a preflight. Default: not said.
    #[schemars(with = "Seconds")]
    pub max_age: Key<String>,
}

/// The level of one code, for the whole policy or for one resource.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["code", "level", "reason"]))]
pub(super) struct Lint {
    /// The code of a warning or note; `tiergate check --explain` says what it means.
    #[schemars(with = "LintCode")]
    pub code: Key<String>,
    /// `off`, `note`, `warning` or `error`: how it is reported.
    #[schemars(with = "Level")]
    pub level: Key<String>,
    /// The resource that the level is for. Default: the whole policy.
    #[schemars(with = "Name")]
    pub resource: Key<String>,
    /// Why, for whoever reads it next.
    #[schemars(with = "Reason")]
    pub reason: Key<String>,
}

/// A promise about every possible request, proved whenever the policy is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name"], "oneOf" = [{ "required": ["never"] }, { "required": ["always"] }]))]
pub(super) struct Assertion {
    /// What people call it. Unique.
    #[schemars(with = "Text")]
    pub name: Key<String>,
    /// No request that is so is allowed.
    pub never: Key<Claim>,
    /// Every request that is so is allowed, as far as the policy decides it.
    pub always: Key<Claim>,
}

/// Which requests an assertion speaks of. Keys are joined by *and*, the items of a list by *or*; a key that
/// is left out is not asked about.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1, "dependentSchemas" = { "service": { "properties": {
    "device": false, "groups": false, "mfa": false, "auth_age": false
} } }))]
pub(super) struct Claim {
    /// The place has one of these tiers.
    #[schemars(with = "OneOrMany<Tier>")]
    pub tier: Several,
    /// It is one of these resources.
    #[schemars(with = "OneOrMany<Name>")]
    pub resource: Several,
    /// The device is trusted exactly so.
    #[schemars(with = "OneOrMany<Trust>")]
    pub device: Several,
    /// The user is in one of these groups, whatever else they are in.
    #[schemars(with = "OneOrMany<Name>")]
    pub groups: Several,
    /// One of these services asks, or `any`; otherwise users are meant.
    #[schemars(with = "OneOrMany<Name>")]
    pub service: Several,
    /// It has one of these methods.
    #[schemars(with = "OneOrMany<Method>")]
    pub methods: Several,
    /// It is below one of these prefixes.
    #[schemars(with = "OneOrMany<Prefix>")]
    pub paths: Several,
    /// It comes from one of these networks, by name.
    #[schemars(with = "OneOrMany<Name>")]
    pub networks: Several,
    /// `true`: more than one factor was used; `false`: just one.
    #[schemars(with = "Flag")]
    pub mfa: Key<bool>,
    /// How long ago the user proved who they are: `never` covers older, `always` younger.
    #[schemars(with = "Seconds")]
    pub auth_age: Key<String>,
}

/// One request, and what is expected of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "request", "expect"]))]
pub(super) struct Test {
    /// What people call it. Unique.
    #[schemars(with = "Text")]
    pub name: Key<String>,
    /// Who asks, from where; nobody who is signed in, where it is left out.
    pub given: Key<Given>,
    /// A method and an address, such as `GET https://tickets.corp.example/browse/42`.
    #[schemars(with = "RequestLine")]
    pub request: Key<String>,
    /// `allow`, `deny`, `challenge` or the code of a reason.
    #[schemars(with = "Expectation")]
    pub expect: Key<String>,
}

/// Who asks, from where and when.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("dependentSchemas" = { "service": { "properties": {
    "user": false, "groups": false, "device": false, "mfa": false, "auth_age": false
} } }))]
pub(super) struct Given {
    /// Somebody is signed in; the name decides nothing.
    #[schemars(with = "Text")]
    pub user: Key<String>,
    /// The policy's groups that the user is in.
    #[schemars(with = "OneOrMany<Name>")]
    pub groups: Several,
    /// A service asks instead of a user.
    #[schemars(with = "Name")]
    pub service: Key<String>,
    /// How far the device is trusted; `none`, where it is left out.
    #[schemars(with = "Trust")]
    pub device: Key<String>,
    /// `true`: a second factor was used.
    #[schemars(with = "Flag")]
    pub mfa: Key<bool>,
    /// How long ago the user proved who they are; just now, where it is left out.
    #[schemars(with = "Seconds")]
    pub auth_age: Key<String>,
    /// The client's address; one that no network of the policy has, where it is left out.
    #[schemars(with = "Address")]
    pub from: Key<String>,
    /// When, such as `2026-11-25T09:00:00Z`.
    #[schemars(with = "Moment")]
    pub time: Key<String>,
}
