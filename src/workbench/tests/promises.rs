//! Assertions, tests and what is said of them.

use super::checked;
use crate::policy::tests::policy;
use crate::workbench::*;
use std::fmt::Write as _;

const POLICY: &str = "groups:
  engineering: { any_of: [idp:eng, idp:sre] }
  sre: { any_of: [idp:sre] }
  contractors: { any_of: [idp:contractor] }
  finance: { any_of: [idp:fin] }
networks: { offices: [198.51.100.0/24], lab: [198.51.100.128/25] }
services: { sync: { spiffe: spiffe://corp.example/sync }, idle: { spiffe: spiffe://corp.example/idle } }
authentication:
  - { for: { groups: [contractors] }, mfa: required }
  - { max_age: 12h }
resources:
  - { name: wiki, tier: open, hosts: [wiki.example], upstream: u }
  - name: tickets
    tier: low
    hosts: [tickets.example]
    upstream: u
    allow: [{ groups: [engineering, contractors] }]
    deny: [{ groups: [contractors], methods: [DELETE] }]
    services: [{ name: sync, methods: [POST], paths: [/api/import] }]
  - name: ledger
    tier: high
    hosts: ['*.ledger.example']
    upstream: u
    allow:
      - { groups: [finance] }
    paths:
      - prefix: /export
        tier: low
        allow: [{ groups: [contractors, sre], networks: [offices] }]
      - prefix: /admin
        allow: [{ groups: [finance], mfa: required, max_auth_age: 15m }]
";

/// What is said of one assertion beside the policy: empty where it holds.
fn said(assertion: &str) -> String {
    let (policy, findings, _) = checked(&format!("{POLICY}assertions: [{{ name: it, {assertion} }}]\n"));
    let found: Vec<_> = findings.iter().filter(|finding| finding.code.starts_with("P040")).collect();
    assert_eq!(
        policy.is_none(),
        found.iter().any(|finding| finding.severity == crate::diagnostic::Severity::Error)
    );
    found.iter().fold(String::new(), |mut text, finding| {
        write!(text, "{} {}", finding.code, finding.label).unwrap();
        text
    })
}

#[test]
fn what_is_promised_is_proved_or_broken_by_the_smallest_request() {
    for (assertion, want) in [
        ("never: { tier: high, device: [none, enrolled] }", ""),
        (
            "never: { resource: wiki, device: none }",
            "`GET https://wiki.example/` is decided `allow` for somebody in no group, on no trusted device",
        ),
        (
            "never: { resource: ledger, device: [none, enrolled] }",
            "P0401 `GET https://any.ledger.example/export` is decided `allow by policies/test.yaml:30` for somebody in `engineering`, `sre`, on an enrolled device, from `offices`; see `tiergate explain --groups engineering,sre --device enrolled --from 198.51.100.1 GET https://any.ledger.example/export`",
        ),
        (
            "never: { resource: ledger, paths: [/admin, /other], groups: [sre], mfa: false }",
            "`GET https://any.ledger.example/other` is decided `allow by policies/test.yaml:26` for somebody in `engineering`, `sre`, `finance`, on an issued device; see",
        ),
        ("never: { groups: [contractors], resource: ledger, mfa: false }", ""),
        (
            "never: { groups: [contractors], resource: ledger }",
            "in `contractors`, on an enrolled device, with a second factor, from `offices`",
        ),
        // Whoever is a contractor may be a finance person too.
        (
            "never: { groups: [contractors], resource: ledger, paths: /x }",
            "in `contractors`, `finance`, on an issued device, with a second factor;",
        ),
        (
            "never: { groups: [sre], resource: ledger, networks: [lab] }",
            "from `lab`; see `tiergate explain --groups engineering,sre --device enrolled --from 198.51.100.129 GET",
        ),
        ("never: { resource: ledger, paths: /admin, auth_age: 901s }", ""),
        (
            "never: { resource: ledger, paths: /admin, auth_age: 15m }",
            "with a second factor, 15m after signing in",
        ),
        ("never: { resource: tickets, groups: contractors, methods: DELETE }", ""),
        (
            "never: { resource: tickets, methods: DELETE }",
            "`DELETE https://tickets.example/` is decided `allow",
        ),
        ("never: { service: any, tier: high }", ""),
        ("never: { service: any, resource: tickets, methods: [GET, HEAD] }", ""),
        (
            "never: { service: [sync] }",
            "`POST https://tickets.example/api/import` is decided `allow by policies/test.yaml:20` for service `sync`; see `tiergate explain --service sync POST https://tickets.example/api/import`",
        ),
        ("never: { service: idle }", ""),
        // Contractors are asked for a second factor everywhere.
        (
            "always: { resource: wiki }",
            "decided `challenge (mfa_required) by policies/test.yaml:10` for somebody in `contractors`, on an issued device;",
        ),
        ("always: { resource: wiki, mfa: true, groups: [engineering] }", ""),
        (
            "always: { resource: tickets, groups: [sre], device: [enrolled, issued], mfa: true }",
            "`DELETE https://tickets.example/` is decided `deny (denied_by_rule) by policies/test.yaml:19` for somebody in `engineering`, `sre`, `contractors`, on an issued device, with a second factor",
        ),
        (
            "always: { resource: tickets, groups: [sre], device: [enrolled, issued], mfa: true, methods: [GET] }",
            "",
        ),
        (
            "always: { resource: ledger, groups: [finance], device: issued, paths: [/admin], mfa: true, auth_age: 15m }",
            "",
        ),
        (
            "always: { resource: ledger, groups: [finance], device: issued, paths: [/admin], mfa: true }",
            "challenge (reauth_required) by policies/test.yaml:32` for somebody in `finance`, on an issued device, with a second factor, 901s after signing in",
        ),
        ("always: { service: sync, resource: tickets, methods: POST, paths: /api/import }", ""),
        (
            "always: { service: sync, resource: tickets, methods: POST, paths: /api }",
            "deny (service_not_listed)",
        ),
        ("never: { resource: wiki, tier: high }", "P0405"),
    ] {
        let got = said(assertion);
        assert!(if want.is_empty() { got.is_empty() } else { got.contains(want) }, "{assertion}: {got}");
    }
}

#[test]
fn an_assertion_that_says_nothing_or_two_things_is_refused() {
    for (assertion, code, says) in [
        ("{ name: a }", "P0402", "promises nothing"),
        ("{ name: a, never: { tier: high }, always: { tier: low } }", "P0402", "one thing"),
        ("{ name: a, never: {} }", "P0402", "every request"),
        ("{ name: a, never: { service: any, device: none } }", "P0402", "of services and of users"),
        ("{ name: a, never: { service: [any, sync] } }", "P0402", "beside a name"),
        ("{ never: { tier: high } }", "Y0105", "name"),
        ("{ name: a, never: { tier: hihg } }", "Y0115", "did you mean `high`?"),
        ("{ name: a, never: { device: [issud] } }", "Y0115", "did you mean `issued`?"),
        ("{ name: a, never: { groups: [enginering] } }", "P0102", "did you mean `engineering`?"),
        ("{ name: a, never: { resource: leger } }", "P0100", "did you mean `ledger`?"),
        ("{ name: a, never: { service: snyc } }", "P0104", "did you mean `sync`?"),
        ("{ name: a, never: { networks: [office] } }", "P0103", "did you mean `offices`?"),
        ("{ name: a, never: { paths: [/x/] } }", "P0107", "`/x`"),
        ("{ name: a, never: { paths: /.tiergate } }", "P0122", "itself"),
        ("{ name: a, never: { methods: [get] } }", "Y0114", "`GET`"),
        ("{ name: a, never: { mfa: no } }", "Y0104", "boolean"),
        ("{ name: a, never: { tier: [] } }", "Y0108", "empty"),
        ("{ name: a, never: { tier: high, resources: [a] } }", "Y0102", "did you mean `resource`?"),
        ("{ name: a, never: { tier: high } }, { name: a, never: { tier: low } }", "Y0116", "stands twice"),
    ] {
        let (policy, findings, said) = checked(&format!("{POLICY}assertions: [{assertion}]\n"));
        assert!(
            policy.is_none() && findings.iter().any(|finding| finding.code == code),
            "{assertion}: {said}"
        );
        assert!(said.contains(says), "{assertion}: {said}");
    }
}

#[test]
fn tests_are_tried_and_one_that_fails_is_a_warning() {
    for (given, request, expect, want) in [
        (
            "user: a@corp.example, groups: [engineering], device: enrolled",
            "GET https://tickets.example/browse/42",
            "allow",
            "",
        ),
        ("groups: [sre], device: enrolled", "GET https://tickets.example/", "allow", ""),
        ("groups: [engineering]", "GET https://tickets.example/", "device_required", ""),
        ("groups: [engineering]", "GET https://tickets.example/", "deny", ""),
        (
            "groups: [engineering]",
            "GET https://tickets.example/",
            "allow",
            "expected `allow`, decided `deny (device_required)`",
        ),
        ("device: issued", "GET https://wiki.example/", "challenge", ""),
        ("device: issued", "GET https://wiki.example/", "not_signed_in", ""),
        ("groups: contractors", "GET https://wiki.example/", "mfa_required", ""),
        ("groups: contractors, mfa: true", "GET https://wiki.example/", "allowed", ""),
        (
            "groups: finance, device: issued, mfa: true, auth_age: 20m",
            "GET https://a.ledger.example/admin/x?y=1",
            "reauth_required",
            "",
        ),
        (
            "groups: sre, device: enrolled, from: 198.51.100.7",
            "GET https://a.ledger.example/export",
            "allow",
            "",
        ),
        ("groups: sre, device: enrolled", "GET https://a.ledger.example/export", "not_allowed", ""),
        ("service: sync", "POST https://tickets.example/api/import/1", "allow", ""),
        ("service: sync", "GET https://tickets.example/api/import/1", "service_not_listed", ""),
        ("user: a, time: 2026-11-25T09:00:00Z", "GET https://nowhere.example/", "no_route", ""),
    ] {
        let test = format!("{{ name: it, given: {{ {given} }}, request: '{request}', expect: {expect} }}");
        let (policy, findings, said) = checked(&format!("{POLICY}tests: [{test}]\n"));
        assert!(policy.is_some(), "{said}");
        let failed =
            findings.iter().find(|finding| finding.code == "P0403").map_or("", |finding| &finding.label);
        assert_eq!(failed, want, "{test}");
    }
    for (test, code) in [
        ("{ name: t, request: 'GET tickets.example', expect: allow }", "P0404"),
        ("{ name: t, request: 'GET http://tickets.example/', expect: allow }", "P0404"),
        ("{ name: t, request: 'get https://tickets.example/', expect: allow }", "P0404"),
        ("{ name: t, request: 'GET https://tickets.example/a/../b', expect: allow }", "P0404"),
        ("{ name: t, request: 'GET https://tickets.example//a', expect: allow }", "P0404"),
        ("{ name: t, request: 'GET https://tickets.example/', expect: alow }", "P0404"),
        ("{ name: t, request: 'GET https://tickets.example/' }", "Y0105"),
        (
            "{ name: t, given: { from: office }, request: 'GET https://tickets.example/', expect: allow }",
            "Y0112",
        ),
        (
            "{ name: t, given: { time: noon }, request: 'GET https://tickets.example/', expect: allow }",
            "Y0110",
        ),
        (
            "{ name: t, given: { service: sync, mfa: true }, request: 'GET https://tickets.example/', expect: allow }",
            "P0404",
        ),
    ] {
        let (policy, findings, said) = checked(&format!("{POLICY}tests: [{test}]\n"));
        assert!(policy.is_none() && findings.iter().any(|finding| finding.code == code), "{test}: {said}");
    }
}

#[test]
fn rules_that_no_test_reached_are_named() {
    let policy = policy(&format!(
        "{POLICY}tests:
  - {{ name: a, given: {{ groups: [engineering], device: enrolled }}, request: 'GET https://tickets.example/', expect: allow }}
  - {{ name: b, given: {{ groups: contractors }}, request: 'GET https://wiki.example/', expect: challenge }}
"
    ));
    let missed: Vec<_> = unreached(&policy, &try_all(&policy)).into_iter().map(|rule| rule.what).collect();
    assert_eq!(
        missed,
        [
            "deny of tickets",
            "service sync of tickets",
            "allow of ledger",
            "allow of ledger/admin",
            "allow of ledger/export",
        ]
    );
}

#[test]
fn what_nobody_or_everybody_reaches_is_said() {
    let (_, findings, said) = checked(
        "groups: { a: { any_of: [idp:a] }, b: { any_of: [idp:b] }, c: { any_of: [idp:a, idp:b] } }
resources:
  - { name: all, tier: open, hosts: [all.example], upstream: u }
  - { name: some, tier: low, hosts: [some.example], upstream: u }
  - { name: none, tier: low, hosts: [none.example], upstream: u, allow: [{ groups: [c] }], deny: [{ groups: [a] }, { groups: [b] }] }
",
    );
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["P0412", "P0413", "P0411"], "{said}");
}
