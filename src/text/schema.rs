//! What an editor is told of the texts that files have: for each kind a schema that agrees with its
//! parser beside this file.
//!
//! INVARIANT: what the parser of a kind accepts its schema accepts, also where YAML reads it as a number
//! or a boolean (`012`, `true`). What the schema accepts may still be wrong: a regular expression counts
//! no days and compares no bits.

use super::name::NAME_RULE;
use super::{method, prefix};
use schemars::{Schema, json_schema};

/// Kinds of text: types that exist only to be told to editors.
macro_rules! kinds {
    ($($(#[$about:meta])* $name:ident => $schema:expr;)+) => {
        $(
            $(#[$about])*
            #[derive(Debug)]
            pub struct $name;

            impl schemars::JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }
                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($name).into()
                }
                fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    $schema
                }
            }
        )+
    };
}
pub(crate) use kinds;

kinds! {
    /// Any text.
    Text => json_schema!({ "type": SCALAR });
    /// Any text but blanks.
    Reason => scalar("[^ \\t\\r\\n]", "say why, for whoever reads this next");
    /// The path of a file or folder.
    FilePath => json_schema!({ "type": SCALAR, "minLength": 1 });
    /// The version of a format: `1`, which may be a number.
    Version => json_schema!({ "enum": [1, "1"] });
    /// A name that people give: see [`super::name::is_name`].
    Name => scalar(NAME, NAME_RULE);
    /// `provider:claim-value`.
    GroupSource => bounded(text(&source(), "write `provider:claim-value` or `local:group`"), 1024);
    /// A duration: see [`super::duration::parse`].
    Duration => text("^0*[1-9][0-9]*(ms|s|m|h|d)$", DURATION_RULE);
    /// A duration of whole seconds.
    Seconds => text("^0*[1-9][0-9]*(s|m|h|d|000ms)$", DURATION_RULE);
    /// A point in time: see [`super::date::parse_end`].
    End => text(END, "write a day such as `2026-12-01`, or a time such as `2026-12-01T18:00:00Z`");
    /// An exact host: see [`super::host::check`].
    Host => bounded(scalar(&format!("^{}$", host()), HOST_RULE), 253);
    /// A host, or `*.` and a suffix: see [`super::host::check_pattern`].
    HostPattern => bounded(scalar(&format!("^(\\*\\.)?{}$", host()), HOST_RULE), 255);
    /// A network, or one address.
    Network => text(&network(), NETWORK_RULE);
    /// One IP address.
    Address => text(&format!("^({IPV4}|{IPV6})$"), "write one IP address, such as `198.51.100.7`");
    /// A time (RFC 3339).
    Moment => text(MOMENT, "write a time such as `2026-11-25T09:00:00Z`");
    /// A method that is forwarded: see [`method::check`].
    Method => words(method::FORWARDED);
    /// The SPIFFE ID of a workload: see [`super::name::spiffe_problem`].
    SpiffeId => bounded(text(SPIFFE_ID, "write `spiffe://`, a trust domain and a path"), 2048);
    /// A SPIFFE trust domain: see [`super::name::is_trust_domain`].
    TrustDomainName => scalar("^[a-z0-9._-]{1,255}$", TRUST_DOMAIN_RULE);
    /// An object identifier: see [`super::oid::ObjectId`].
    ObjectIdentifier => text(OBJECT_ID, super::oid::OID_RULE);
    /// A canonical path prefix: see [`super::prefix::check`].
    Prefix => bounded(text(&format!("^(/|{})$", below()), PREFIX_RULE), 1024);
    /// A canonical path prefix below the root.
    PrefixBelow => bounded(text(&format!("^{}$", below()), PREFIX_RULE), 1024);
    /// An origin over TLS, as browsers write it.
    Origin => text(&format!("^https://{}(:(?!443$){PORT})?$", host()), ORIGIN_RULE);
    /// The name of a header in lower case.
    LowerHeader => scalar("^[a-z0-9_-]{1,128}$", "write the name of a header in lower case");
    /// `true` or `false`; the parser takes them quoted too.
    Flag => explained(json_schema!({ "type": ["boolean", "string"] }), FLAG, "write `true` or `false`");
    /// A whole number; the parser takes it quoted too, and reads `1_000`.
    Count => explained(json_schema!({ "type": ["integer", "string"] }), COUNT, "write a whole number");
}

/// What YAML makes of a plain text.
pub(crate) const SCALAR: [&str; 3] = ["string", "number", "boolean"];

const DURATION_RULE: &str = "write a whole number and one unit, such as `30s`, `15m` or `7d`";
const NETWORK_RULE: &str = "write a network such as `198.51.100.0/24` or `2001:db8::/32`, or one address";
const ORIGIN_RULE: &str = "write `https://host` or `https://host:port`, lower case, without path";
const TRUST_DOMAIN_RULE: &str = "write a trust domain in lower case, without `spiffe://`";
const HOST_RULE: &str = "write a host in lower case, without scheme, port or path";
const PREFIX_RULE: &str =
    "write a path in its canonical form, such as `/admin`: no slash at its end, no pattern";
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
const OBJECT_ID: &str =
    "^(2\\.(0|[1-9][0-9]{0,18})|[01]\\.([0-9]|[1-3][0-9]))(\\.(0|[1-9][0-9]{0,18})){1,30}$";
const SPIFFE_ID: &str = "^spiffe://[a-z0-9._-]{1,255}(/(?!\\.{1,2}(/|$))[A-Za-z0-9._-]+)+$";
/// What stands between the day and the time the parser reads over.
const END: &str = concat!(
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "(.[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$"
);
const MOMENT: &str =
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$";
const FLAG: &str = "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$";
const COUNT: &str = "^\\+?([0-9][0-9_]*|0[xX][0-9A-Fa-f_]+|0[oO][0-7_]+|0[bB][01_]+)$";
pub(crate) const IPV4: &str = concat!(
    "((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}",
    "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
);
/// Eight groups of digits, or fewer around one `::`; the last two may be an IPv4 address.
pub(crate) const IPV6: &str = concat!(
    "(?!.*::.*::)(?!.*:::)(?!:[^:])(?!.*[^:]:([\\]%/]|$))(?=.*::|([0-9A-Fa-f]+:){6,7}[0-9A-Fa-f.]+([\\]%/]|$))",
    "([0-9A-Fa-f]{0,4}:){2,8}([0-9A-Fa-f]{0,4}|([0-9]{1,3}\\.){3}[0-9]{1,3})"
);
/// From 1 to 65535, as it is written canonically.
pub(crate) const PORT: &str =
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
/// A slash, and what a canonical segment has: escapes only of what must be escaped and can be sent.
const SEGMENT: &str = concat!(
    "/(?!\\.{1,2}(/|$))([A-Za-z0-9._~!$&'()+,=:@-]|",
    "%(2[0-46-9A-C]|3[AC-F]|40|5[BDE]|60|7[B-D]|[89A-F][0-9A-F]))+"
);

/// Labels, the last of them not a number; up to a port or the end.
pub(crate) fn host() -> String {
    const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
    format!("(?!([a-z0-9-]+\\.)*[0-9]+(:|$)){LABEL}(\\.{LABEL})*")
}

/// Segments, and not the path that tiergate answers itself.
fn below() -> String {
    let reserved = prefix::RESERVED.replace('.', "\\.");
    format!("(?!{reserved}(/|$))({SEGMENT})+")
}

/// A provider's name, a colon and a value without blanks around it.
fn source() -> String {
    let provider = NAME.trim_end_matches('$');
    format!("{provider}:(?![ \\t\\r\\n])[\\s\\S]*[^ \\t\\r\\n]$")
}

/// An address, and how many of its bits count.
fn network() -> String {
    let four = format!("{IPV4}(/(3[0-2]|[0-2]?[0-9]))?");
    let six = format!("{IPV6}(/(12[0-8]|(1[01]|0?[0-9])?[0-9]))?");
    format!("^({four}|{six})$")
}

/// A text that fits a pattern, and that YAML never reads as something else.
pub(crate) fn text(pattern: &str, rule: &str) -> Schema {
    explained(json_schema!({ "type": "string" }), pattern, rule)
}

/// A text that fits a pattern, where YAML reads it as a text.
pub(crate) fn scalar(pattern: &str, rule: &str) -> Schema {
    explained(json_schema!({ "type": SCALAR }), pattern, rule)
}

/// Adds a pattern, and what editors say where it does not fit: a keyword of theirs, read over by others.
fn explained(mut schema: Schema, pattern: &str, rule: &str) -> Schema {
    schema.insert("pattern".to_owned(), pattern.into());
    schema.insert("patternErrorMessage".to_owned(), rule.into());
    schema
}

/// One of several words.
pub(crate) fn words(words: &[&str]) -> Schema {
    json_schema!({ "type": "string", "enum": words })
}

/// Something that is at most so long.
pub(crate) fn bounded(mut schema: Schema, most: usize) -> Schema {
    schema.insert("maxLength".to_owned(), most.into());
    schema
}

#[cfg(test)]
mod tests;
