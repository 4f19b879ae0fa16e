//! Policies that people write.

use super::corpus::Verdict::{Bad, Good, OnlyTheParser};
use super::corpus::{assert_none, check};
use super::validator;

const RESOURCE: &str = "{ name: a, tier: low, hosts: [a.example], upstream: u, ";

#[test]
fn schema_and_parser_agree_about_resources() {
    let schema = validator("policy");
    let mut wrong = Vec::new();
    for (keys, verdict) in [
        ("", Good),
        ("name: 012", Good),
        ("name: 12", Good),
        ("name: no", Good),
        ("name: true", Good),
        ("name: 1.2", Good),
        ("name: on-call", Good),
        ("name: -a", Bad("Y0113")),
        ("name: a b", Bad("Y0113")),
        ("name: ''", Bad("Y0113")),
        ("name: ~", Bad("Y0108")),
        ("name:", Bad("Y0108")),
        ("name: [a]", Bad("Y0104")),
        ("tier: open", Good),
        ("tier: High", Bad("Y0115")),
        ("tier: medium", Bad("Y0115")),
        ("tier: public", Bad("Y0115")),
        ("tier: 1", Bad("Y0115")),
        ("tire: low", Bad("Y0102")),
        ("hosts: a.example", Bad("Y0104")),
        ("hosts: []", Bad("Y0108")),
        ("hosts: [~]", Bad("Y0108")),
        ("hosts: ['*.a.example', xn--bcher-kva.example]", Good),
        ("hosts: [1e3]", Good),
        ("hosts: [A.example]", Bad("Y0111")),
        ("hosts: ['a.example.']", Bad("Y0111")),
        ("hosts: ['https://a.example']", Bad("Y0111")),
        ("hosts: ['a.example:443']", Bad("Y0111")),
        ("hosts: [a.example/x]", Bad("Y0111")),
        ("hosts: ['*']", Bad("Y0111")),
        ("hosts: [a.*.example]", Bad("Y0111")),
        ("hosts: [10.0.0.1]", Bad("Y0111")),
        ("hosts: [a_b.example]", Bad("Y0111")),
        ("hosts: [bücher.example]", Bad("Y0111")),
        ("hosts: [1.2]", OnlyTheParser("Y0111", "as a number it could be the host `1e3` too")),
        ("hosts: [b.example, b.example]", OnlyTheParser("P0108", "hosts are compared over all files")),
        ("upstream: 12", Good),
        ("upstream: ~", Bad("Y0108")),
        ("allow: [{ methods: [GET, VERSION-CONTROL] }]", Good),
        ("allow: [{ mfa: required, max_auth_age: 15m }]", Good),
        ("allow:", Bad("Y0108")),
        ("allow: []", Bad("Y0108")),
        ("allow: [{}]", Bad("P0111")),
        ("allow: { mfa: required }", Bad("Y0104")),
        ("allow: [{ mfa: true }]", Bad("Y0115")),
        ("allow: [{ max_auth_age: 900 }]", Bad("Y0110")),
        ("allow: [{ max_auth_age: 1h30m }]", Bad("Y0110")),
        ("allow: [{ max_auth_age: 500ms }]", Bad("Y0110")),
        ("allow: [{ max_auth_age: 2000ms }]", Good),
        ("allow: [{ max_auth_age: 0s }]", Bad("Y0110")),
        (
            "allow: [{ max_auth_age: 3651d }]",
            OnlyTheParser("Y0110", "ten years are not counted by a pattern"),
        ),
        ("allow: [{ methods: [get] }]", Bad("Y0114")),
        ("allow: [{ methods: [CONNECT] }]", Bad("Y0114")),
        ("allow: [{ methods: GET }]", Bad("Y0104")),
        ("allow: [{ methods: [DELTE] }]", Bad("Y0114")),
        ("allow: [{ methods: [X-PURGE-ALL] }]", Bad("Y0114")),
        ("allow: [{ groups: [nobody] }]", OnlyTheParser("P0102", "references are followed over all files")),
        ("allow: [{ group: [a] }]", Bad("Y0102")),
        ("allow: [{ networks: [10.0.0.0/8] }]", Bad("P0103")),
        ("allow: [{ mfa: required }, { mfa: required }]", OnlyTheParser("P0106", "rules are not compared")),
        ("deny: [{ methods: [DELETE] }]", Good),
        ("deny: [{ mfa: required }]", Bad("P0112")),
        ("deny: [{ methods: [DELETE], max_auth_age: 5m }]", Bad("P0112")),
        ("deny: [{}]", Bad("P0111")),
        ("paths: [{ prefix: /admin, tier: high }, { prefix: /a/%20x, deny: [{ methods: [PUT] }] }]", Good),
        ("paths: [{ prefix: /admin }]", Bad("P0111")),
        ("paths: [{ tier: high }]", Bad("Y0105")),
        ("paths: [{ prefix: /, tier: high }]", Bad("P0107")),
        ("paths: [{ prefix: /admin/, tier: high }]", Bad("P0107")),
        ("paths: [{ prefix: admin, tier: high }]", Bad("P0107")),
        ("paths: [{ prefix: /a//b, tier: high }]", Bad("P0107")),
        ("paths: [{ prefix: /a/../b, tier: high }]", Bad("P0107")),
        ("paths: [{ prefix: '/admin/*', tier: high }]", Bad("P0107")),
        ("paths: [{ prefix: '/a?b', tier: high }]", Bad("P0107")),
        ("paths: [{ prefix: /.tiergate, tier: high }]", Bad("P0122")),
        ("paths: [{ prefix: /.tiergate/x, tier: high }]", Bad("P0122")),
        ("paths: [{ prefix: /.tiergates, tier: high }]", Good),
        ("paths: [{ prefix: /%61, tier: high }]", Bad("P0107")),
        ("paths: [{ prefix: /caf%c3%a9, tier: high }]", Bad("P0107")),
        ("paths: [{ prefix: /a, tier: high, upstream: u }]", Bad("Y0102")),
        (
            "paths: [{ prefix: /a, tier: high }, { prefix: /a, tier: open }]",
            OnlyTheParser("Y0116", "items are not compared"),
        ),
        ("rate_limit: { per: user, requests: 50, window: 1s }", Good),
        ("rate_limit: [{ per: address, requests: 1, window: 500ms, burst: 2 }]", Good),
        ("rate_limit: { per: user, requests: '50', window: 1s }", Good),
        ("rate_limit: { per: user, requests: 0x32, window: 1s }", Good),
        ("rate_limit: { per: user, requests: 1_000, window: 1s }", Good),
        ("rate_limit: { per: ip, requests: 50, window: 1s }", Bad("Y0115")),
        ("rate_limit: { per: user, requests: 0, window: 1s }", Bad("P0114")),
        ("rate_limit: { per: user, requests: -1, window: 1s }", Bad("Y0104")),
        ("rate_limit: { per: user, requests: 1.5, window: 1s }", Bad("Y0104")),
        ("rate_limit: { per: user, requests: many, window: 1s }", Bad("Y0104")),
        ("rate_limit: { per: user, requests: 2000000000, window: 1s }", Bad("P0114")),
        (
            "rate_limit: { per: user, requests: '0', window: 1s }",
            OnlyTheParser("P0114", "a quoted number is not counted"),
        ),
        ("rate_limit: { per: user, requests: 50 }", Bad("Y0105")),
        ("rate_limit: { per: user, requests: 50, window: 1 }", Bad("Y0110")),
        ("rate_limit: 50", Bad("Y0104")),
        ("rate_limit: []", Bad("Y0108")),
        (
            "cors: { origins: ['https://b.example:8443'], methods: [GET], headers: [x-a], credentials: true, max_age: 10m }",
            Good,
        ),
        ("cors: { origins: ['https://b.example'], methods: [GET], credentials: 'true' }", Good),
        ("cors: { origins: ['https://b.example'], methods: [GET], credentials: yes }", Bad("Y0104")),
        ("cors: { origins: ['https://b.example'] }", Bad("Y0105")),
        ("cors: { methods: [GET] }", Bad("Y0105")),
        ("cors: { origins: ['*'], methods: [GET] }", Bad("P0113")),
        ("cors: { origins: ['http://b.example'], methods: [GET] }", Bad("P0113")),
        ("cors: { origins: ['https://b.example/'], methods: [GET] }", Bad("P0113")),
        ("cors: { origins: ['https://b.example:443'], methods: [GET] }", Bad("P0113")),
        ("cors: { origins: ['https://b.example:65536'], methods: [GET] }", Bad("P0113")),
        ("cors: { origins: ['https://B.example'], methods: [GET] }", Bad("P0113")),
        ("cors: { origins: ['https://b.example'], methods: [GET], headers: [Content-Type] }", Bad("P0113")),
        ("services: [{ name: nobody }]", OnlyTheParser("P0104", "references are followed over all files")),
        ("services: [{ methods: [GET] }]", Bad("Y0105")),
        ("services: [nobody]", Bad("Y0104")),
        ("name: b, name: c", OnlyTheParser("Y0103", "a mapping that an editor has read has each key once")),
    ] {
        // The key in place of its like in the resource that is right.
        let key = keys.split(':').next().unwrap_or_default();
        let kept: Vec<_> = RESOURCE
            .trim_start_matches("{ ")
            .trim_end_matches(", ")
            .split(", ")
            .filter(|pair| pair.split(':').next() != Some(key))
            .collect();
        let text = format!("version: 1\nresources:\n- {{ {}, {keys} }}\n", kept.join(", "));
        wrong.extend(check("policy", &schema, &text, verdict));
    }
    assert_none(&wrong);
}

#[test]
fn schema_and_parser_agree_about_policy_files() {
    let schema = validator("policy");
    let mut wrong = Vec::new();
    for (text, verdict) in [
        ("version: 1\n", Good),
        ("version: '1'\n", Good),
        ("{ version: 1 }\n", Good),
        ("version: 2\n", Bad("Y0109")),
        ("version: v1\n", Bad("Y0109")),
        ("version: 1.0\n", OnlyTheParser("Y0109", "1.0 and 1 are one number")),
        ("version:\n", Bad("Y0108")),
        ("groups: { a: { any_of: ['local:a'] } }\n", Bad("Y0105")),
        ("", Bad("Y0105")),
        ("[version]\n", Bad("Y0104")),
        ("version: 1\nresource: []\n", Bad("Y0102")),
        ("version: 1\nresources:\n", Bad("Y0108")),
        ("version: 1\nresources: {}\n", Bad("Y0104")),
        ("version: 1\nresources: [{ name: a }]\n", Bad("Y0105")),
        ("version: 1\nresources: [{ name: a, hosts: [a], upstream: u }]\n", Bad("Y0105")),
        ("version: 1\nresources: [{ name: a, tier: low, upstream: u }]\n", Bad("Y0105")),
        ("version: 1\nresources: [{ name: a, tier: low, hosts: [a] }]\n", Bad("Y0105")),
        ("version: 1\nresources: [{ tier: low, hosts: [a], upstream: u }]\n", Bad("Y0105")),
        (
            "version: 1\ngroups: { a: { any_of: ['local:a', 'idp:Corp Staff'] }, 012: { any_of: ['local:b'] } }\n",
            Good,
        ),
        ("version: 1\ngroups: {}\n", Bad("Y0108")),
        ("version: 1\ngroups: { a: {} }\n", Bad("Y0105")),
        ("version: 1\ngroups: { a: }\n", Bad("Y0108")),
        ("version: 1\ngroups: { a b: { any_of: ['local:a'] } }\n", Bad("Y0113")),
        ("version: 1\ngroups: { a: ['local:a'] }\n", Bad("Y0104")),
        ("version: 1\ngroups: { a: { any_of: 'local:a' } }\n", Bad("Y0104")),
        ("version: 1\ngroups: { a: { any_of: [] } }\n", Bad("Y0108")),
        ("version: 1\ngroups: { a: { any_of: [finance] } }\n", Bad("P0110")),
        ("version: 1\ngroups: { a: { any_of: ['local: finance'] } }\n", Bad("P0110")),
        ("version: 1\ngroups: { a: { any_of: [local: finance] } }\n", Bad("Y0104")),
        ("version: 1\ngroups: { a: { all_of: ['local:a'] } }\n", Bad("Y0102")),
        (
            "version: 1\ngroups: { a: { any_of: ['local:a'] }, a: { any_of: ['local:b'] } }\n",
            OnlyTheParser("Y0103", "a mapping that an editor has read has each key once"),
        ),
        ("version: 1\nnetworks: { a: [198.51.100.0/24, '2001:db8::/32', 198.51.100.7, '::1'] }\n", Good),
        ("version: 1\nnetworks: { a: 198.51.100.0/24 }\n", Bad("Y0104")),
        ("version: 1\nnetworks: { a: [] }\n", Bad("Y0108")),
        ("version: 1\nnetworks: { a: [198.51.100.0/33] }\n", Bad("Y0112")),
        ("version: 1\nnetworks: { a: [198.51.100] }\n", Bad("Y0112")),
        ("version: 1\nnetworks: { a: [010.0.0.0/8] }\n", Bad("Y0112")),
        ("version: 1\nnetworks: { a: [office.example] }\n", Bad("Y0112")),
        (
            "version: 1\nnetworks: { a: [198.51.100.7/24] }\n",
            OnlyTheParser("Y0112", "bits are not compared by a pattern"),
        ),
        (
            "version: 1\nnetworks: { a: ['::ffff:10.0.0.0/104'] }\n",
            OnlyTheParser("Y0112", "bits are not compared by a pattern"),
        ),
        ("version: 1\nservices: { a: { spiffe: 'spiffe://corp.example/ns/a' } }\n", Good),
        ("version: 1\nservices: { a: {} }\n", Bad("Y0105")),
        ("version: 1\nservices: { a: 'spiffe://corp.example/ns/a' }\n", Bad("Y0104")),
        ("version: 1\nservices: { a: { spiffe: 'https://corp.example/ns/a' } }\n", Bad("P0109")),
        ("version: 1\nservices: { a: { spiffe: 'spiffe://corp.example' } }\n", Bad("P0109")),
        ("version: 1\nservices: { a: { spiffe: 'spiffe://Corp.example/a' } }\n", Bad("P0109")),
        ("version: 1\nservices: { a: { spiffe: 'spiffe://corp.example/a/' } }\n", Bad("P0109")),
        ("version: 1\nauthentication: [{ idle_timeout: 30m, max_age: 12h, mfa: required }]\n", Good),
        ("version: 1\nlints: [{ code: P0202, level: off, reason: not yet }]\n", Good),
        ("version: 1\nlints: [{ code: P0202, level: note, reason: 12 }]\n", Good),
        ("version: 1\nlints: []\n", Bad("Y0108")),
        ("version: 1\nlints: { P0202: off }\n", Bad("Y0104")),
        ("version: 1\nlints: [{ code: P0202, level: off }]\n", Bad("Y0105")),
        ("version: 1\nlints: [{ code: P0202, level: off, reason: ' ' }]\n", Bad("Y0108")),
        ("version: 1\nlints: [{ code: P0202, level: ignore, reason: x }]\n", Bad("Y0115")),
        ("version: 1\nlints: [{ code: P9999, level: off, reason: x }]\n", Bad("P0120")),
        ("version: 1\nlints: [{ code: P0102, level: off, reason: x }]\n", Bad("P0121")),
        (
            "version: 1\nlints: [{ code: P0202, level: off, reason: x, resource: a }]\n",
            OnlyTheParser("P0100", "references are followed over all files"),
        ),
        (
            "version: 1\nposture: { low: { max_checkin_age: 7d }, high: { max_checkin_age: 24h, require: [disk_encrypted], min_os: { macos: '14.6', windows: 10.0.22631 }, owner: must_match } }\n",
            Good,
        ),
        ("version: 1\nposture: { high: { min_os: { macos: 14 } } }\n", Good),
        ("version: 1\nposture: {}\n", Bad("Y0108")),
        ("version: 1\nposture: { high: {} }\n", Bad("Y0108")),
        ("version: 1\nposture: { open: { owner: must_match } }\n", Bad("Y0102")),
        ("version: 1\nposture: { high: { min_os: {} } }\n", Bad("Y0108")),
        ("version: 1\nposture: { high: { min_os: { beos: '5' } } }\n", Bad("Y0102")),
        ("version: 1\nposture: { high: { min_os: { macos: Sonoma } } }\n", Bad("Y0118")),
        ("version: 1\nposture: { high: { min_os: { macos: v14 } } }\n", Bad("Y0118")),
        ("version: 1\nposture: { high: { owner: any } }\n", Bad("Y0115")),
        ("version: 1\nposture: { high: { require: disk_encrypted } }\n", Bad("Y0104")),
        ("version: 1\nposture: { high: { require: [disk encrypted] } }\n", Bad("Y0113")),
        ("version: 1\nposture: { high: { max_checkin_age: 1 } }\n", Bad("Y0110")),
        ("version: 1\nposture: [{ high: { owner: must_match } }]\n", Bad("Y0104")),
        ("version: 1\nauthentication: [{}]\n", Bad("P0111")),
        ("version: 1\nauthentication: [{ idle_timeout: 30 }]\n", Bad("Y0110")),
        ("version: 1\nauthentication: [{ idle_timeout: 30min }]\n", Bad("Y0110")),
        ("version: 1\nauthentication: [{ mfa: yes }]\n", Bad("Y0115")),
        ("version: 1\nauthentication: { max_age: 12h }\n", Bad("Y0104")),
        ("version: 1\nauthentication: [{ for: [a], max_age: 12h }]\n", Bad("Y0104")),
        ("version: 1\nauthentication: [{ for: {}, max_age: 12h }]\n", Bad("Y0105")),
        (
            "version: 1\nauthentication: [{ max_age: 12h }, { max_age: 8h }]\n",
            OnlyTheParser("P0106", "an item does not know whether it is the last"),
        ),
    ] {
        wrong.extend(check("policy", &schema, text, verdict));
    }
    assert_none(&wrong);
}

#[test]
fn schema_and_parser_agree_about_assertions_and_tests() {
    let schema = validator("policy");
    let mut wrong = Vec::new();
    const SHARED: &str = "version: 1
groups: { a: { any_of: ['idp:a'] } }
networks: { n: [10.0.0.0/8] }
services: { s: { spiffe: 'spiffe://e/s' } }
resources: [{ name: r, tier: low, hosts: [r.example], upstream: u, allow: [{ groups: [a], networks: [n] }], services: [{ name: s }] }]
";
    for (assertion, verdict) in [
        ("name: it, never: { tier: high, device: [none, enrolled] }", Good),
        ("name: 12, never: { tier: [low, high], groups: a, mfa: false, auth_age: 15m }", Good),
        (
            "name: it, always: { service: any, resource: r, methods: [GET], paths: [/, /a/b], networks: n }",
            Good,
        ),
        ("name: it", Bad("P0402")),
        ("never: { tier: high }", Bad("Y0105")),
        ("name: it, never: {}", Bad("P0402")),
        ("name: it, never: { tier: high }, always: { tier: low }", Bad("P0402")),
        ("name: it, never: { tier: hihg }", Bad("Y0115")),
        ("name: it, never: { tier: [] }", Bad("Y0108")),
        ("name: it, never: { tier: ~ }", Bad("Y0108")),
        ("name: it, never: { tiers: [high] }", Bad("Y0102")),
        ("name: it, never: { device: company }", Bad("Y0115")),
        ("name: it, never: { methods: get }", Bad("Y0114")),
        ("name: it, never: { paths: [/a/] }", Bad("P0107")),
        ("name: it, never: { mfa: required }", Bad("Y0104")),
        ("name: it, never: { auth_age: 15 }", Bad("Y0110")),
        ("name: it, never: { service: any, groups: [a] }", Bad("P0402")),
        ("name: it, never: [{ tier: high }]", Bad("Y0104")),
        (
            "name: it, never: { groups: [b] }",
            OnlyTheParser("P0102", "references are followed over all files"),
        ),
        ("name: it, never: { service: [any, s] }", OnlyTheParser("P0402", "items are not compared")),
    ] {
        let text = format!("{SHARED}assertions: [{{ {assertion} }}]\n");
        wrong.extend(check("policy", &schema, &text, verdict));
    }
    for (test, verdict) in [
        ("name: it, request: 'GET https://r.example/a?b=c', expect: allow", Good),
        (
            "name: it, given: { user: a@e, groups: a, device: issued, mfa: true, auth_age: 5m, from: 10.0.0.1, time: '2026-11-25T09:00:00Z' }, request: GET https://r.example:8443, expect: not_allowed",
            Good,
        ),
        (
            "name: it, given: { service: s, from: '2001:db8::1' }, request: GET https://r.example/, expect: deny",
            Good,
        ),
        ("name: it, given: {}, request: GET https://r.example/, expect: challenge", Good),
        ("name: it, request: GET https://r.example/", Bad("Y0105")),
        ("request: GET https://r.example/, expect: allow", Bad("Y0105")),
        ("name: it, expect: allow", Bad("Y0105")),
        ("name: it, request: GET r.example, expect: allow", Bad("P0404")),
        ("name: it, request: GET http://r.example/, expect: allow", Bad("P0404")),
        ("name: it, request: get https://r.example/, expect: allow", Bad("P0404")),
        ("name: it, request: GET https://r.example/, expect: alow", Bad("P0404")),
        ("name: it, request: GET https://r.example/, expect: [allow]", Bad("Y0104")),
        ("name: it, given: { device: phone }, request: GET https://r.example/, expect: allow", Bad("Y0115")),
        ("name: it, given: { from: n }, request: GET https://r.example/, expect: allow", Bad("Y0112")),
        ("name: it, given: { time: noon }, request: GET https://r.example/, expect: allow", Bad("Y0110")),
        (
            "name: it, given: { service: s, user: a }, request: GET https://r.example/, expect: allow",
            Bad("P0404"),
        ),
        ("name: it, given: { group: [a] }, request: GET https://r.example/, expect: allow", Bad("Y0102")),
        (
            "name: it, request: GET https://r.example/a/../b, expect: allow",
            OnlyTheParser("P0404", "ambiguous paths are not told apart by a pattern"),
        ),
    ] {
        let text = format!("{SHARED}tests: [{{ {test} }}]\n");
        wrong.extend(check("policy", &schema, &text, verdict));
    }
    assert_none(&wrong);
}
