//! Configurations that people write.

use super::corpus::Verdict::{Bad, Good, OnlyTheParser};
use super::corpus::{assert_none, check};
use super::validator;

const CONFIG: &str = "version: 1
listen: { https: 127.0.0.1:8443 }
tls: { certificates: [{ cert: a.pem, key: a.key }] }
identity:
  login_host: login.example
  providers: [{ name: local, type: local, users: users.yaml }]
";

#[test]
fn schema_and_parser_agree_about_what_is_added_to_a_configuration() {
    let schema = validator("config");
    let mut wrong = Vec::new();
    for (lines, verdict) in [
        ("", Good),
        ("sessions: { max_age: 12h, idle_timeout: 1500ms }", Good),
        (
            "devices: { evidence: { crl: { max_age: { high: 24h, low: 7d } }, ocsp: { on_stale: allow }, inventory: { max_age: { low: 1h }, on_stale: deny } } }",
            Good,
        ),
        ("devices: { evidence: {} }", Bad("Y0108")),
        ("devices: { evidence: { crl: {} } }", Bad("Y0105")),
        ("devices: { evidence: { crl: { max_age: {} } } }", Bad("Y0108")),
        ("devices: { evidence: { crl: { max_age: 24h } } }", Bad("Y0104")),
        ("devices: { evidence: { crl: { max_age: { open: 1h } } } }", Bad("Y0102")),
        ("devices: { evidence: { crl: { max_age: { high: 24 } } } }", Bad("Y0110")),
        ("devices: { evidence: { crl: { on_stale: ignore } } }", Bad("Y0115")),
        (
            "devices: { evidence: { crl: { max_age: { high: 2h, low: 1h } } } }",
            OnlyTheParser("C0107", "durations are not compared"),
        ),
        ("devices: { authorities: [{ name: a, ca: a.pem, grants: issued, inventory: required }] }", Good),
        ("devices: { authorities: [{ name: a, ca: a.pem, grants: issued, inventory: yes }] }", Bad("Y0115")),
        ("sessions: {}", Good),
        ("sessions:", Bad("Y0108")),
        ("sessions: { max_age: 12 }", Bad("Y0110")),
        ("sessions: { maxage: 12h }", Bad("Y0102")),
        ("sessions: { max_age: 1h, idle_timeout: 2h }", OnlyTheParser("C0107", "durations are not compared")),
        ("policies: 012", Good),
        ("policies: ''", Bad("Y0108")),
        ("policies: [a]", Bad("Y0104")),
        ("state: { path: x }", Good),
        ("state: {}", Bad("Y0105")),
        ("state: /var/lib/tiergate", Bad("Y0104")),
        ("audit: { on_failure: { low: deny } }", Good),
        ("audit: { on_failure: deny }", Bad("Y0104")),
        ("audit: { on_failure: { low: block } }", Bad("Y0115")),
        ("admin: { token: { file: admin.token } }", Good),
        ("admin: { token: { env: TOKEN } }", Bad("C0102")),
        ("admin: { token: hunter2 }", Bad("C0102")),
        ("admin: { token: 12345678 }", Bad("C0102")),
        ("admin: { token: {} }", Bad("C0102")),
        ("admin: {}", Bad("Y0105")),
        ("shadow: { policies: next, until: 2026-12-01 }", Good),
        ("shadow: { policies: next, until: 2026-12-01T18:00:00.5+02:00 }", Good),
        ("shadow: { policies: next, until: soon }", Bad("Y0117")),
        ("shadow: { policies: next, until: 2026-12-01T18:00 }", Bad("Y0117")),
        ("shadow: { policies: next, until: 2026-02-30 }", OnlyTheParser("Y0117", "days are not counted")),
        ("shadow: { until: 2026-12-01 }", Bad("Y0105")),
        ("shadow: { policies: next, until: 2026-12-01, from: 2026-11-01 }", Bad("Y0102")),
        ("reload_guard: { max_sessions_denied: 5%, protect: [finance, admins] }", Good),
        ("reload_guard: { max_sessions_denied: 100% }", Good),
        ("reload_guard: { max_sessions_denied: 20 }", Good),
        ("reload_guard: { protect: finance }", Good),
        ("reload_guard: { max_sessions_denied: 101% }", Bad("C0109")),
        ("reload_guard: { max_sessions_denied: many }", Bad("C0109")),
        ("reload_guard: { max_sessions_denied: -1 }", OnlyTheParser("C0109", "a number is not compared")),
        ("reload_guard: { protect: [] }", Bad("Y0108")),
        ("reload_guard: {}", Bad("Y0105")),
        ("reload_guard: { protects: [a] }", Bad("Y0102")),
        ("logs: { format: json, filter: 'tiergate=debug,info' }", Good),
        ("logs: { format: xml }", Bad("Y0115")),
        ("limits: { max_headers: 100, max_body_bytes: 1_048_576, header_timeout: 5s }", Good),
        ("limits: { max_headers: 5 }", Bad("C0106")),
        ("limits: { max_streams: 1001 }", Bad("C0106")),
        ("limits: { max_body_bytes: 1M }", Bad("Y0104")),
        ("limits: { max_headers: 0100 }", OnlyTheParser("Y0104", "YAML reads 0100 as 100")),
        ("limits: { max_headers: '5' }", OnlyTheParser("C0106", "a quoted number is not counted")),
        ("limits: { max_header: 5 }", Bad("Y0102")),
        ("workloads: { trust_domains: [{ name: corp.example, bundle: a.pem }] }", Good),
        ("workloads: { trust_domains: [] }", Bad("Y0108")),
        ("workloads: { trust_domains: [{ name: corp.example }] }", Bad("Y0105")),
        ("workloads: { trust_domains: [{ name: 'spiffe://a', bundle: a.pem }] }", Bad("Y0113")),
        ("devices: { authorities: [{ name: a, ca: [a.pem, b.pem], grants: issued, crl: a.crl }] }", Good),
        ("devices: { authorities: [{ name: a, ca: a.pem, grants: none }] }", Bad("Y0115")),
        ("devices: { authorities: [{ name: a, grants: issued }] }", Bad("Y0105")),
        ("devices: { authorities: [{ name: a, ca: [], grants: issued }] }", Bad("Y0108")),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, eku: 1.3.6.1.5.5.7.3.4, require_extension: [1.2.3, { oid: 2.999.1, value: corporate }, { oid: 1.2.4 }], max_lifetime: 90d, identity: [uri, apple_serial] }] }",
            Good,
        ),
        ("devices: { authorities: [{ name: a, ca: a.pem, grants: issued, eku: clientAuth }] }", Bad("C0110")),
        ("devices: { authorities: [{ name: a, ca: a.pem, grants: issued, eku: [2.5] }] }", Bad("C0110")),
        ("devices: { authorities: [{ name: a, ca: a.pem, grants: issued, eku: [] }] }", Bad("Y0108")),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, require_extension: [] }] }",
            Bad("Y0108"),
        ),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, require_extension: [1.40.1] }] }",
            Bad("C0110"),
        ),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, require_extension: [{ value: a }] }] }",
            Bad("Y0105"),
        ),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, require_extension: [{ oid: 1.2.3, text: a }] }] }",
            Bad("Y0102"),
        ),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, max_lifetime: 90 }] }",
            Bad("Y0110"),
        ),
        ("devices: { authorities: [{ name: a, ca: a.pem, grants: issued, identity: [] }] }", Bad("Y0108")),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, identity: serial }] }",
            Bad("Y0115"),
        ),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, ocsp: hard, ocsp_url: 'http://ocsp.corp.example/a' }, { name: b, ca: b.pem, grants: enrolled, ocsp: off }, { name: c, ca: c.pem, grants: enrolled, ocsp: soft }] }",
            Good,
        ),
        ("devices: { authorities: [{ name: a, ca: a.pem, grants: issued, ocsp: on }] }", Bad("Y0115")),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, ocsp: soft, ocsp_url: 'ldap://a/b' }] }",
            Bad("C0111"),
        ),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, ocsp: soft, ocsp_url: 'http://u:p@a/' }] }",
            Bad("C0111"),
        ),
        (
            "devices: { authorities: [{ name: a, ca: a.pem, grants: issued, ocsp_url: 'http://a/' }] }",
            OnlyTheParser("C0107", "two keys together"),
        ),
        ("devices: { inventory: { file: a } }", Good),
        ("devices: { inventory: { file: '' } }", Bad("Y0108")),
        ("devices: { inventory: {} }", Bad("Y0105")),
        ("devices: { inventory: a }", Bad("Y0104")),
        ("devices: { inventory: { files: a } }", Bad("Y0102")),
        ("devices: { sync: { preset: fleet, url: 'https://fleet.example', token: { file: t } } }", Good),
        (
            "devices: { sync: { preset: intune, url: 'https://graph.example/?$top=5', interval: 15m, timeout: 1m, max_drop: 30%, ca: a.pem, client_credentials: { token_url: 'https://idp.example/token', client_id: 7, client_secret: { env: S }, scope: read } } }",
            Good,
        ),
        (
            "devices: { sync: { url: 'http://[::1]:80/list', token: { file: t }, items: /a~1b, next: '/@x', map: { id: [/id, { at: /x, values: { 'On (personal)': personal, 1: true } }], posture: { ok: /ok } } } }",
            Good,
        ),
        ("devices: { sync: { preset: jamf, token: { file: t } } }", Bad("Y0105")),
        ("devices: { sync: { preset: jamf, url: 'https://a.example' } }", Bad("Y0105")),
        ("devices: { sync: { url: 'https://a.example', token: { file: t } } }", Bad("Y0105")),
        (
            "devices: { sync: { url: 'https://a.example', token: { file: t }, map: { owner: /o } } }",
            Bad("Y0105"),
        ),
        ("devices: { sync: { preset: kandji, url: 'https://a.example', token: { file: t } } }", Bad("Y0115")),
        ("devices: { sync: { preset: jamf, url: 'http://a.example', token: { file: t } } }", Bad("C0115")),
        ("devices: { sync: { preset: jamf, url: 'https://a.example', token: hunter2 } }", Bad("C0102")),
        (
            "devices: { sync: { preset: jamf, url: 'https://u:p@a.example', token: { file: t } } }",
            OnlyTheParser("C0115", "a pattern does not tell a user from a path"),
        ),
        (
            "devices: { sync: { preset: jamf, url: 'https://a.example', token: { file: t }, client_credentials: { token_url: 'https://a', client_id: a, client_secret: { file: s } } } }",
            Bad("C0107"),
        ),
        (
            "devices: { sync: { preset: jamf, url: 'https://a.example', client_credentials: { token_url: 'https://a', client_id: a } } }",
            Bad("Y0105"),
        ),
        (
            "devices: { sync: { preset: jamf, url: 'https://a.example', token: { file: t }, items: /a } }",
            Bad("C0107"),
        ),
        (
            "devices: { sync: { preset: jamf, url: 'https://a.example', token: { file: t }, map: {} } }",
            Bad("Y0108"),
        ),
        (
            "devices: { sync: { preset: jamf, url: 'https://a.example', token: { file: t }, map: { id: serial } } }",
            Bad("C0116"),
        ),
        (
            "devices: { sync: { preset: jamf, url: 'https://a.example', token: { file: t }, map: { id: { at: /a } } } }",
            Bad("Y0105"),
        ),
        (
            "devices: { sync: { preset: jamf, url: 'https://a.example', token: { file: t }, map: { posture: { a b: /a } } } }",
            Bad("Y0113"),
        ),
        (
            "devices: { sync: { preset: jamf, url: 'https://a.example', token: { file: t }, max_drop: all } }",
            Bad("C0109"),
        ),
        (
            "devices: { sync: { preset: jamf, url: 'https://a.example', token: { file: t }, interval: 1s } }",
            OnlyTheParser("C0106", "durations are not compared"),
        ),
        (
            "upstreams: { a: { addresses: [10.0.0.1:80, app.internal:443, '[2001:db8::1]:443', 'a:080'], tls: true, http2: true } }",
            Good,
        ),
        (
            "upstreams: { a: { addresses: a:1, tls: false, host: a.example:8080, headers: { X-A: '{user.email}; {device.id}' } } }",
            Good,
        ),
        (
            "upstreams: { a: { addresses: a:1, tls: { ca: x.pem, server_name: 10.0.0.1, client: { cert: a, key: b } } } }",
            Good,
        ),
        ("upstreams: { a: { addresses: a:1, tls: 'true' } }", Bad("Y0104")),
        ("upstreams: { a: { addresses: a:1, tls: yes } }", Bad("Y0104")),
        ("upstreams: { a: { addresses: a:1, tls: { server_name: A.example } } }", Bad("Y0111")),
        ("upstreams: { a: { addresses: a:1, tls: { client: { cert: a } } } }", Bad("Y0105")),
        ("upstreams: { a: { addresses: a:1, http2: h2c } }", Bad("Y0104")),
        ("upstreams: { a: { addresses: 'http://10.0.0.1' } }", Bad("C0101")),
        ("upstreams: { a: { addresses: [a] } }", Bad("C0101")),
        ("upstreams: { a: { addresses: [a:0] } }", Bad("C0101")),
        ("upstreams: { a: { addresses: ['a:+80'] } }", Bad("C0101")),
        ("upstreams: { a: { addresses: [a:70000] } }", Bad("C0101")),
        ("upstreams: { a: { addresses: [A:80] } }", Bad("C0101")),
        ("upstreams: { a: { addresses: 8080 } }", Bad("Y0104")),
        ("upstreams: { a: { addresses: [8080] } }", Bad("C0101")),
        ("upstreams: { a: { addresses: [] } }", Bad("Y0108")),
        ("upstreams: { a: { addresses: [a:1, a:1] } }", OnlyTheParser("Y0116", "items are not compared")),
        ("upstreams: { a: {} }", Bad("Y0105")),
        ("upstreams: { a b: { addresses: a:1 } }", Bad("Y0113")),
        ("upstreams: {}", Bad("Y0108")),
        ("upstreams: { a: { addresses: a:1, host: A.example } }", Bad("Y0111")),
        ("upstreams: { a: { addresses: a:1, headers: {} } }", Bad("Y0108")),
        ("upstreams: { a: { addresses: a:1, headers: { X_A: x } } }", Bad("C0105")),
        ("upstreams: { a: { addresses: a:1, headers: { X-A: 'é' } } }", Bad("C0105")),
        ("upstreams: { a: { addresses: a:1, headers: { X-A: '{user.mail}' } } }", Bad("C0105")),
        ("upstreams: { a: { addresses: a:1, headers: { X-A: '{user.email' } } }", Bad("C0105")),
        ("upstreams: { a: { addresses: a:1, headers: { X-A: 12, X-B: '}' } } }", Good),
        (
            "upstreams: { a: { addresses: a:1, headers: { Host: x } } }",
            OnlyTheParser("C0105", "names in whichever case: no pattern says that"),
        ),
        ("upstreams: { a: { addresses: a:1, health: { path: / } } }", Bad("Y0102")),
    ] {
        wrong.extend(check("config", &schema, &format!("{CONFIG}{lines}\n"), verdict));
    }
    assert_none(&wrong);
}

#[test]
fn schema_and_parser_agree_about_what_a_configuration_must_have() {
    let schema = validator("config");
    let mut wrong = Vec::new();
    let provider = "{ name: local, type: local, users: users.yaml }";
    for (from, to, verdict) in [
        ("version: 1\n", "", Bad("Y0105")),
        ("version: 1\n", "version: 2\n", Bad("Y0109")),
        ("listen: { https: 127.0.0.1:8443 }\n", "", Bad("Y0105")),
        ("{ https: 127.0.0.1:8443 }", "{ http: 127.0.0.1:80 }", Bad("C0104")),
        ("127.0.0.1:8443", "['0.0.0.0:443', '[::]:0443', '[fe80::1%2]:0', '[1:2:3:4:5:6:7:8]:443']", Good),
        ("127.0.0.1:8443", "127.0.0.1:8443, workers: 4", Good),
        ("127.0.0.1:8443", "127.0.0.1:8443, workers: 0", Bad("C0106")),
        ("127.0.0.1:8443", "localhost:8443", Bad("C0101")),
        ("127.0.0.1:8443", "'[1:2:3]:443'", Bad("C0101")),
        ("127.0.0.1:8443", "'::1:443'", Bad("C0101")),
        ("127.0.0.1:8443", "8443", Bad("Y0104")),
        ("127.0.0.1:8443", "':8443'", Bad("C0101")),
        ("127.0.0.1:8443", "[]", Bad("Y0108")),
        ("127.0.0.1:8443", "127.0.0.1:8443, proxy_protocol: { from: 10.0.9.0/24 }", Good),
        ("127.0.0.1:8443", "127.0.0.1:8443, proxy_protocol: {}", Bad("Y0105")),
        ("127.0.0.1:8443", "127.0.0.1:8443, proxy_protocol: { from: all }", Bad("Y0112")),
        ("127.0.0.1:8443", "127.0.0.1:8443, proxy_protocol: { from: [010.0.0.0/8] }", Bad("Y0112")),
        ("tls: {", "tls: { min_version: 1.3,", Good),
        ("tls: {", "tls: { min_version: '1.2',", Good),
        ("tls: {", "tls: { min_version: 1.1,", Bad("Y0115")),
        ("tls: {", "tls: { min_version: 1.20,", OnlyTheParser("Y0115", "1.20 and 1.2 are one number")),
        ("tls: {", "tls: { hsts: off,", Good),
        ("tls: {", "tls: { hsts: no,", Bad("Y0110")),
        ("tls: {", "tls: { hsts: false,", Bad("Y0110")),
        ("[{ cert: a.pem, key: a.key }]", "[]", Bad("Y0108")),
        ("[{ cert: a.pem, key: a.key }]", "{ cert: a.pem, key: a.key }", Bad("Y0104")),
        (", key: a.key", "", Bad("Y0105")),
        ("login_host: login.example", "login_host: Login.example", Bad("Y0111")),
        ("login_host: login.example", "login_host: 'https://login.example'", Bad("Y0111")),
        ("  login_host: login.example\n", "", Bad("Y0105")),
        ("type: local", "type: saml", Bad("Y0115")),
        ("type: local", "type: ldap", Bad("Y0115")),
        ("type: local, ", "", Bad("Y0105")),
        ("name: local", "name: scim", Bad("C0107")),
        (", users: users.yaml", "", Bad("Y0105")),
        ("users: users.yaml", "users: users.yaml, client_id: a", Bad("C0103")),
        (
            provider,
            "{ name: a, type: oidc, issuer: 'https://idp.example/x', client_id: 12, scopes: [email, 5], mfa_values: otp }",
            Good,
        ),
        (
            provider,
            "{ name: a, type: oidc, issuer: 'http://localhost:8080', client_id: t, client_secret: { env: SECRET } }",
            Good,
        ),
        (provider, "{ name: a, type: oidc, issuer: 'https://idp.example' }", Bad("Y0105")),
        (provider, "{ name: a, type: oidc, client_id: t }", Bad("Y0105")),
        (provider, "{ name: a, type: oidc, issuer: idp.example, client_id: t }", Bad("C0103")),
        (provider, "{ name: a, type: oidc, issuer: 'http://idp.example', client_id: t }", Bad("C0103")),
        (provider, "{ name: a, type: oidc, issuer: 'https://idp.example?x', client_id: t }", Bad("C0103")),
        (provider, "{ name: local, type: oidc, issuer: 'https://idp.example', client_id: t }", Bad("C0107")),
        (
            provider,
            "{ name: a, type: oidc, issuer: 'https://idp.example', client_id: t, users: u.yaml }",
            Bad("C0103"),
        ),
        (
            provider,
            "{ name: a, type: oidc, issuer: 'https://idp.example', client_id: t, client_secret: hunter2 }",
            Bad("C0102"),
        ),
        (
            provider,
            "{ name: a, type: oidc, issuer: 'https://idp.example', client_id: t, client_secret: { file: a, env: B } }",
            Bad("C0102"),
        ),
        (
            provider,
            "{ name: a, type: oidc, issuer: 'https://idp.example', client_id: t, scopes: [] }",
            Bad("Y0108"),
        ),
        (
            provider,
            "{ name: a, type: oidc, issuer: 'https://idp.example', client_id: t, scopes: 5 }",
            Bad("Y0104"),
        ),
        (
            provider,
            "{ name: a, type: oidc, issuer: 'https://ann@idp.example', client_id: t }",
            OnlyTheParser("C0103", "a URL is not parsed by a pattern"),
        ),
    ] {
        let text = CONFIG.replacen(from, to, 1);
        assert_ne!(text, CONFIG, "{from}");
        wrong.extend(check("config", &schema, &text, verdict));
    }
    assert_none(&wrong);
}
