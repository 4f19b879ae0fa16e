//! Every code that a finding can have: the one list that formats, levels and `check --explain` read.
//!
//! INVARIANT: sorted by family, each id once, and `docs/diagnostics.md` has exactly these rows.

use super::Severity;
use super::Severity::{Error, Note, Warning};

/// A kind of finding.
#[derive(Debug, Eq, PartialEq)]
pub struct Code {
    /// Its stable name.
    pub id: &'static str,
    /// How bad it is where no policy says otherwise.
    pub severity: Severity,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// What to do about it, in one line.
    pub remedy: &'static str,
}

impl Code {
    /// The code with this id.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        CODES.iter().find(|code| code.id == id)
    }

    /// Where the documentation has its row.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.id.as_bytes().first() {
            Some(b'P') => "docs/diagnostics.md#policies-p",
            Some(b'C') => "docs/diagnostics.md#configuration-c",
            Some(b'D') => "docs/diagnostics.md#devices-d",
            Some(b'I') => "docs/diagnostics.md#identity-i",
            Some(_) | None => "docs/diagnostics.md#form-in-any-file-y",
        }
    }

    /// Whether a policy can change its level: warnings and notes about policies only. What is an error
    /// leaves nothing that could be decided with.
    #[must_use]
    pub fn has_level(&self) -> bool {
        self.id.starts_with('P') && self.severity < Error
    }
}

/// All codes.
#[rustfmt::skip]
pub const CODES: &[Code] = &[
    Code { id: "Y0100", severity: Warning, meaning: "more findings than are shown", remedy: "fix the ones that are, and check again" },
    Code { id: "Y0101", severity: Error, meaning: "not YAML: indentation, quotes, brackets, tabs, an alias without anchor, an unknown tag", remedy: "look at the line and the one above" },
    Code { id: "Y0102", severity: Error, meaning: "a key that is not known here", remedy: "correct it; the nearest key or all known ones are named" },
    Code { id: "Y0103", severity: Error, meaning: "a key stands twice in one mapping", remedy: "keep one" },
    Code { id: "Y0104", severity: Error, meaning: "a value of another type", remedy: "write what the label says" },
    Code { id: "Y0105", severity: Error, meaning: "a key that is needed is missing", remedy: "add it" },
    Code { id: "Y0106", severity: Error, meaning: "too large, too deep, too many values or aliases, or more than one document", remedy: "split or simplify the file" },
    Code { id: "Y0107", severity: Error, meaning: "a merge key (`<<`)", remedy: "write the keys out" },
    Code { id: "Y0108", severity: Error, meaning: "nothing is written, or a list or mapping is empty", remedy: "give a value or leave the key out" },
    Code { id: "Y0109", severity: Error, meaning: "a `version` that this tiergate does not read", remedy: "`version: 1`" },
    Code { id: "Y0110", severity: Error, meaning: "not a duration, without unit, or finer than seconds where seconds are meant", remedy: "such as `15m`" },
    Code { id: "Y0111", severity: Error, meaning: "not a host in canonical form", remedy: "write the form in the label" },
    Code { id: "Y0112", severity: Error, meaning: "not a network, or bits behind its prefix", remedy: "write the network in the label" },
    Code { id: "Y0113", severity: Error, meaning: "not a name", remedy: "letters, digits, `-`, `_`, `.`" },
    Code { id: "Y0114", severity: Error, meaning: "a method that does not exist or is never forwarded, so that no request has it", remedy: "write the method in the label" },
    Code { id: "Y0115", severity: Error, meaning: "not one of the words that are known here", remedy: "write one of them" },
    Code { id: "Y0116", severity: Error, meaning: "something is named or stated twice; both places are shown", remedy: "keep one" },
    Code { id: "Y0117", severity: Error, meaning: "not a day or a time", remedy: "such as `2026-12-01` or `2026-12-01T18:00:00Z`" },
    Code { id: "Y0118", severity: Error, meaning: "not a version", remedy: "numbers with dots between them, in quotes: `\"14.6\"`" },
    Code { id: "P0100", severity: Error, meaning: "unknown resource", remedy: "correct the name" },
    Code { id: "P0101", severity: Error, meaning: "there is no policy file", remedy: "name the right folder" },
    Code { id: "P0102", severity: Error, meaning: "unknown group", remedy: "correct the name, or define it under `groups`" },
    Code { id: "P0103", severity: Error, meaning: "unknown network", remedy: "correct the name, or define it under `networks`" },
    Code { id: "P0104", severity: Error, meaning: "unknown service", remedy: "correct the name, or define it under `services`" },
    Code { id: "P0105", severity: Error, meaning: "unknown upstream", remedy: "correct the name, or define it in `tiergate.yaml`" },
    Code { id: "P0106", severity: Error, meaning: "a rule or entry that is never reached, or a `deny` that an inherited one covers", remedy: "remove it, or narrow the one that hides it" },
    Code { id: "P0107", severity: Error, meaning: "a path prefix that no canonical request has, or `/`", remedy: "write the form in the label" },
    Code { id: "P0108", severity: Error, meaning: "a host of two resources", remedy: "one resource with `paths`" },
    Code { id: "P0109", severity: Error, meaning: "not the SPIFFE ID of a workload", remedy: "`spiffe://trust-domain/path`" },
    Code { id: "P0110", severity: Error, meaning: "not the source of a group", remedy: "`provider:claim-value`" },
    Code { id: "P0111", severity: Error, meaning: "a rule, path or entry that says nothing", remedy: "say something, or remove it" },
    Code { id: "P0112", severity: Error, meaning: "a `deny` that asks about `mfa` or `max_auth_age`", remedy: "put it into `allow`" },
    Code { id: "P0113", severity: Error, meaning: "not an origin or a header in `cors`", remedy: "`https://host`; header names in lower case" },
    Code { id: "P0114", severity: Error, meaning: "a limit out of range", remedy: "1 to 1000000000" },
    Code { id: "P0115", severity: Error, meaning: "the last entry of `authentication` has a `for`", remedy: "add one for everybody else" },
    Code { id: "P0116", severity: Error, meaning: "too many groups, or rules once paths have inherited theirs", remedy: "fewer paths, rules or networks" },
    Code { id: "P0117", severity: Error, meaning: "a resource on the `login_host`", remedy: "another host" },
    Code { id: "P0120", severity: Error, meaning: "a lint for a code that does not exist", remedy: "correct the code" },
    Code { id: "P0121", severity: Error, meaning: "a lint for a code whose level cannot be changed: an error, or not about a policy", remedy: "remove it, and correct what the error speaks of" },
    Code { id: "P0122", severity: Error, meaning: "a path below `/.tiergate`, which tiergate answers itself on every host", remedy: "remove it; no rule decides about what is there" },
    Code { id: "P0201", severity: Warning, meaning: "a path lowers the tier of what is around it", remedy: "make sure it is meant; a resource of its own says it more clearly" },
    Code { id: "P0202", severity: Warning, meaning: "a group, network or service that nothing names", remedy: "remove it, or use it" },
    Code { id: "P0203", severity: Warning, meaning: "no identity provider has this name, so nobody gets into the group this way", remedy: "correct the name" },
    Code { id: "P0204", severity: Warning, meaning: "no resource is defined", remedy: "nobody can reach anything" },
    Code { id: "P0210", severity: Warning, meaning: "a path that states only what it would inherit", remedy: "remove it, or state what differs" },
    Code { id: "P0211", severity: Warning, meaning: "a service's entry that another entry of the same resource covers", remedy: "remove it, or narrow the other" },
    Code { id: "P0212", severity: Warning, meaning: "the posture of `high` asks for less than that of `low`", remedy: "state what is missing, or leave `high` out" },
    Code { id: "P0301", severity: Note, meaning: "a `deny` of `GET` does not refuse `HEAD`", remedy: "add `HEAD` if it is meant" },
    Code { id: "P0310", severity: Note, meaning: "a host that the wildcard of another resource also covers", remedy: "nothing, if the exact host is meant to win" },
    Code { id: "P0311", severity: Note, meaning: "a lint that changes nothing", remedy: "remove it; what it was for is gone" },
    Code { id: "P0401", severity: Error, meaning: "an assertion does not hold; the smallest request that breaks it is shown", remedy: "narrow the rule that lets it in, or correct the assertion; `tiergate explain` shows why" },
    Code { id: "P0402", severity: Error, meaning: "an assertion that promises nothing, several things, or speaks of users and services at once", remedy: "see docs/workbench.md" },
    Code { id: "P0403", severity: Warning, meaning: "a test fails", remedy: "correct the rule or the test" },
    Code { id: "P0404", severity: Error, meaning: "a test whose request or expectation could not be", remedy: "write what the label says" },
    Code { id: "P0405", severity: Note, meaning: "an assertion that speaks of no request", remedy: "correct its keys, or remove it" },
    Code { id: "P0406", severity: Error, meaning: "an assertion that cannot be proved within bounds", remedy: "name a resource in it, or write fewer rules" },
    Code { id: "P0411", severity: Warning, meaning: "a resource that nobody reaches", remedy: "admit somebody, or remove it" },
    Code { id: "P0412", severity: Note, meaning: "a resource that everybody who is signed in reaches, from any device", remedy: "nothing, if that is meant" },
    Code { id: "P0413", severity: Warning, meaning: "an `allow` that admits nobody, because the `deny` rules around it refuse everybody whom it speaks of", remedy: "remove it, or narrow a `deny`" },
    Code { id: "C0101", severity: Error, meaning: "not an address to listen on, or of an upstream", remedy: "`IP:PORT`; `host:port`" },
    Code { id: "C0102", severity: Error, meaning: "a secret is written out, or has two places or none", remedy: "`{ file: … }` or `{ env: … }`; replace a secret that was written out" },
    Code { id: "C0103", severity: Error, meaning: "a key of another type of provider, or not an issuer", remedy: "remove it, or change `type`" },
    Code { id: "C0104", severity: Error, meaning: "there is no https listener", remedy: "add `listen.https`" },
    Code { id: "C0105", severity: Error, meaning: "a header of an upstream that cannot be set, or a template with an unknown field", remedy: "see configuration.md" },
    Code { id: "C0106", severity: Error, meaning: "a number out of range", remedy: "the range is in the label" },
    Code { id: "C0107", severity: Error, meaning: "two values that contradict each other, or a reserved name", remedy: "see the label" },
    Code { id: "C0108", severity: Error, meaning: "a protected group that neither the running nor the new policy has", remedy: "correct the name in `reload_guard.protect`" },
    Code { id: "C0109", severity: Error, meaning: "not a share or a number", remedy: "`0%` to `100%`, or a whole number" },
    Code { id: "C0110", severity: Error, meaning: "not an object identifier", remedy: "numbers with dots, such as `1.3.6.1.4.1.99999.1`" },
    Code { id: "C0111", severity: Error, meaning: "not the URL of an OCSP responder", remedy: "`http://` or `https://`, a host and a path" },
    Code { id: "C0115", severity: Error, meaning: "not the address of a service", remedy: "`https://` and a host; http on loopback only" },
    Code { id: "C0116", severity: Error, meaning: "not a JSON Pointer (RFC 6901)", remedy: "such as `/hardware/serialNumber`" },
    Code { id: "C0201", severity: Warning, meaning: "the shadow has ended: it is not run, and its folder is not read", remedy: "remove `shadow`, or give it more time" },
    Code { id: "C0901", severity: Error, meaning: "a file or folder that the configuration names cannot be read or used", remedy: "the message says why; correct the path or the file" },
    Code { id: "D0101", severity: Error, meaning: "a file of authorities that cannot be read, or holds something else", remedy: "PEM certificates of authorities" },
    Code { id: "D0102", severity: Error, meaning: "not a SPIFFE trust domain", remedy: "such as `corp.example`" },
    Code { id: "D0201", severity: Error, meaning: "a revocation list that cannot be read, or is not of its authority", remedy: "PEM or DER, signed by an authority of the same entry" },
    Code { id: "D0301", severity: Error, meaning: "the file of the inventory cannot be read, or is too large", remedy: "the message says why; a large one is written one JSON object a line, as `.ndjson`" },
    Code { id: "D0302", severity: Error, meaning: "a value of a device's record is too long, or cannot be shown", remedy: "what the label says" },
    Code { id: "I0101", severity: Error, meaning: "the file of local users cannot be read, or is too large", remedy: "the message says why" },
    Code { id: "I0102", severity: Error, meaning: "the file of local users is not YAML, or has another form", remedy: "look at the line, and at identity.md" },
    Code { id: "I0103", severity: Error, meaning: "a `version` of the file of local users that this tiergate does not read", remedy: "`version: 1`" },
    Code { id: "I0104", severity: Error, meaning: "not a user name", remedy: "see the label" },
    Code { id: "I0105", severity: Error, meaning: "a user is defined twice", remedy: "keep one; case does not matter" },
    Code { id: "I0106", severity: Error, meaning: "a password hash that is not accepted", remedy: "`tiergate user passwd` writes one" },
    Code { id: "I0107", severity: Error, meaning: "not an e-mail address", remedy: "one `@`, printable ASCII" },
    Code { id: "I0108", severity: Error, meaning: "a name that cannot be shown", remedy: "1 to 256 characters, no control characters" },
    Code { id: "I0109", severity: Error, meaning: "too many groups, or a group's name that is not accepted", remedy: "see the label" },
    Code { id: "I0110", severity: Error, meaning: "a one-time password secret that is not accepted", remedy: "`tiergate user totp` writes one" },
    Code { id: "I0201", severity: Error, meaning: "the client secret of a provider cannot be read", remedy: "the message says why" },
    Code { id: "I0202", severity: Error, meaning: "the client secret of a provider is empty or too long", remedy: "put the secret there" },
    Code { id: "I0203", severity: Error, meaning: "the authorities of a provider cannot be read", remedy: "the message says why" },
    Code { id: "I0204", severity: Error, meaning: "the authorities of a provider are no PEM certificates, or too many", remedy: "a PEM file of certificates" },
    Code { id: "I0205", severity: Error, meaning: "an issuer that cannot be spoken to as it is written", remedy: "`https://` and the issuer's exact name" },
    Code { id: "I0206", severity: Error, meaning: "`bearer_audiences` has the client's own id, so that an ID token would be a bearer token", remedy: "an audience of the API's own" },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_documentation_has_exactly_the_codes_of_the_table() {
        let page = include_str!("../../docs/diagnostics.md");
        let documented: Vec<_> =
            page.lines().filter(|line| is_code(line.get(2..7).unwrap_or_default())).collect();
        let rows: Vec<_> = CODES
            .iter()
            .map(|Code { id, severity, meaning, remedy }| {
                format!("| {id} | {} | {meaning} | {remedy} |", severity.as_str())
            })
            .collect();
        assert_eq!(documented, rows);
        for code in CODES {
            let anchor = code.help().split_once('#').unwrap().1;
            let heading = |line: &str| {
                let kept = line.chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect::<String>();
                kept.trim().to_lowercase().replace(' ', "-")
            };
            assert!(page.lines().any(|line| line.starts_with("## ") && heading(line) == anchor), "{anchor}");
        }
    }

    #[test]
    fn every_code_of_the_sources_is_in_the_table_and_the_reverse() {
        let mut used = BTreeSet::new();
        for path in sources() {
            let text = std::fs::read_to_string(path).unwrap();
            let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            used.extend(shipped.split('"').filter(|literal| is_code(literal)).map(str::to_owned));
        }
        let known: BTreeSet<_> = CODES.iter().map(|code| code.id.to_owned()).collect();
        assert_eq!(known.len(), CODES.len(), "each id once");
        assert_eq!(used, known);
    }

    /// A letter and four digits.
    fn is_code(text: &str) -> bool {
        text.len() == 5
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().skip(1).all(|byte| byte.is_ascii_digit())
    }

    /// The library's files, without this one and those that hold tests only.
    fn sources() -> Vec<PathBuf> {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if !stem.ends_with("tests") && !path.ends_with("diagnostic/codes.rs") {
                    found.push(path);
                }
            }
        }
        found.retain(|path| !path.components().any(|part| part.as_os_str() == "tests"));
        assert!(found.len() > 100);
        found
    }
}
