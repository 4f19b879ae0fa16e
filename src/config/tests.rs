use super::*;
use crate::access::DeviceTrust;
use crate::diagnostic::{Source, render_all};
use proptest::prelude::*;

pub(super) const SMALL: &str = "version: 1
listen: { https: 127.0.0.1:8443 }
tls: { certificates: [{ cert: a.pem, key: a.key }] }
identity:
  login_host: login.example
  providers: [{ name: local, type: local, users: users.yaml }]
";

pub(super) fn source(text: &str) -> Source {
    Source { path: PathBuf::from("/etc/tiergate/tiergate.yaml"), text: text.to_owned() }
}

pub(super) fn config(text: &str) -> Config {
    let source = source(text);
    resolve(&source).unwrap_or_else(|findings| panic!("{}", render_all(&findings, &[source], false)))
}

pub(super) fn said(text: &str) -> String {
    let source = source(text);
    resolve(&source).map_or_else(|findings| render_all(&findings, &[source], false), |_| "fine".to_owned())
}

pub(super) fn codes(text: &str) -> Vec<&'static str> {
    resolve(&source(text)).err().unwrap_or_default().iter().map(|finding| finding.code).collect()
}

#[test]
fn what_is_left_out_has_a_default() {
    let Config {
        listen,
        tls,
        authorities,
        evidence,
        inventory_file,
        sync,
        trust_domains,
        identity,
        sessions,
        state,
        audit,
        admin_token,
        upstreams,
        policies,
        shadow,
        reload_guard,
        limits,
        logs,
    } = config(SMALL);
    assert_eq!(listen.https, ["127.0.0.1:8443".parse().unwrap()]);
    assert!(listen.http.is_empty() && listen.admin.is_none() && listen.proxy_protocol.is_empty());
    assert!(!tls.only_tls13);
    assert_eq!(tls.hsts, Some(Duration::from_hours(365 * 24)));
    assert_eq!(tls.certificates[0].cert, PathBuf::from("/etc/tiergate/a.pem"));
    assert!(
        authorities.is_empty() && trust_domains.is_empty() && upstreams.is_empty() && admin_token.is_none()
    );
    assert_eq!((evidence, sync), (EvidenceLimits::default(), None));
    assert_eq!(identity.providers[0].title, "local");
    assert_eq!(sessions.max_age, Duration::from_hours(12));
    assert_eq!(sessions.idle_timeout, Duration::from_mins(30));
    assert_eq!(state, PathBuf::from("/var/lib/tiergate"));
    assert_eq!(audit.path, PathBuf::from("/var/log/tiergate"));
    assert_eq!(audit.deny_on_failure, OnFailure { high: true, low: false, open: false });
    assert_eq!(policies, PathBuf::from("/etc/tiergate/policies"));
    assert_eq!((limits.max_headers, limits.max_streams, limits.max_body_bytes), (100, 100, None));
    assert_eq!((shadow, reload_guard, inventory_file), (None, None, None));
    assert_eq!(logs, Logs { json: false, filter: "info".to_owned() });
}

#[test]
fn the_sample_has_no_mistakes() {
    let config = config(include_str!("../../deploy/tiergate.yaml"));
    assert_eq!(config.authorities.len(), 2);
    assert_eq!(config.authorities[0].grants, DeviceTrust::Issued);
    assert_eq!(
        config.upstreams["payroll"].tls.as_ref().unwrap().server_name.as_deref(),
        Some("payroll.internal")
    );
    assert_eq!(config.admin_token, Some(PathBuf::from("/run/secrets/tiergate-admin")));
    let ProviderKind::Oidc(oidc) = &config.identity.providers[0].kind else { panic!() };
    assert_eq!(oidc.scopes, ["email", "profile"]);
    assert_eq!(oidc.client_secret, Some(SecretSource::File(PathBuf::from("/run/secrets/oidc"))));
}

#[test]
fn a_secret_that_is_written_out_is_refused_and_never_shown() {
    for secret in [
        "hunter2",
        "'hunter2'",
        "12345678",
        "true",
        "[hunter2]",
        "{ value: hunter2 }",
        "\n    value: hunter2",
    ] {
        let text = format!("{SMALL}admin: {{ token: {secret} }}\n");
        let said = said(&text);
        assert!(said != "fine" && !said.contains("hunter2") && !said.contains("12345678"), "{said}");
    }
    insta::assert_snapshot!(said(&SMALL.replace(
        "{ name: local, type: local, users: users.yaml }",
        "{ name: idp, type: oidc, issuer: https://idp.example, client_id: x, client_secret: hunter2 }"
    )), @r#"
    error[C0102]: `client_secret of idp` (line 6) is written out
    --> /etc/tiergate/tiergate.yaml
     = help: a secret is never in this file: write `{ file: /run/secrets/name }` or `{ env: NAME }`, and replace it
    "#);
}

#[test]
fn another_mistake_on_the_line_of_a_secret_does_not_show_it() {
    for (line, shown) in [
        ("{ name: idp, type: odic, client_secret: hunter2 }", false),
        ("{ nam: idp, type: oidc, client_secret: hunter2 }", false),
        ("{ name: idp, type: odic, client_secret: { file: hunter2 } }", true),
    ] {
        let said = said(&SMALL.replace("{ name: local, type: local, users: users.yaml }", line));
        assert_eq!(said.contains("hunter2"), shown, "{said}");
    }
}

#[test]
fn mistakes_are_shown_with_what_was_meant() {
    insta::assert_snapshot!(said("version: 1
listen: { https: [localhost:443, 127.0.0.1:443, 127.0.0.1:443] }
tls: { min_version: 1.1, certificates: [{ cert: a.pem }] }
identity:
  login_host: https://login.example
  providers:
    - { name: local, type: local, users: users.yaml, issuer: https://idp.example }
    - { name: local, type: odic }
upstreams: { a: { addresses: ['http://10.0.0.1'], headers: { X-A: '{user.mail}' } } }
"), @r#"
    error[C0101]: `localhost:443` is not an address to listen on
     --> /etc/tiergate/tiergate.yaml:2:19
      |
    2 | listen: { https: [localhost:443, 127.0.0.1:443, 127.0.0.1:443] }
      |                   ^^^^^^^^^^^^^ write an IP address and a port, such as `0.0.0.0:443` or `[::]:443`

    error[Y0116]: address `127.0.0.1:443` stands twice
     --> /etc/tiergate/tiergate.yaml:2:49
      |
    2 | listen: { https: [localhost:443, 127.0.0.1:443, 127.0.0.1:443] }
      |                                                 ^^^^^^^^^^^^^ each is named once
      |
    note: first stated here
     --> /etc/tiergate/tiergate.yaml:2:34
      |
    2 | listen: { https: [localhost:443, 127.0.0.1:443, 127.0.0.1:443] }
      |                                  ^^^^^^^^^^^^^

    error[Y0115]: unknown TLS version `1.1`
     --> /etc/tiergate/tiergate.yaml:3:21
      |
    3 | tls: { min_version: 1.1, certificates: [{ cert: a.pem }] }
      |                     ^^^ did you mean `1.2`?

    error[Y0105]: missing key `key`
     --> /etc/tiergate/tiergate.yaml:3:41
      |
    3 | tls: { min_version: 1.1, certificates: [{ cert: a.pem }] }
      |                                         ^ `key` is needed

    error[Y0111]: `https://login.example` is not a host
     --> /etc/tiergate/tiergate.yaml:5:15
      |
    5 |   login_host: https://login.example
      |               ^^^^^^^^^^^^^^^^^^^^^ a host only, without scheme, port or path

    error[C0103]: `issuer` belongs to a provider of type `oidc`
     --> /etc/tiergate/tiergate.yaml:7:62
      |
    7 |     - { name: local, type: local, users: users.yaml, issuer: https://idp.example }
      |                                                              ^^^^^^^^^^^^^^^^^^^ leave it out, or change `type`

    error[Y0116]: a provider `local` stands twice
     --> /etc/tiergate/tiergate.yaml:8:15
      |
    8 |     - { name: local, type: odic }
      |               ^^^^^ each is named once
      |
    note: first stated here
     --> /etc/tiergate/tiergate.yaml:7:15
      |
    7 |     - { name: local, type: local, users: users.yaml, issuer: https://idp.example }
      |               ^^^^^

    error[Y0115]: unknown type `odic`
     --> /etc/tiergate/tiergate.yaml:8:28
      |
    8 |     - { name: local, type: odic }
      |                            ^^^^ did you mean `oidc`?

    error[C0101]: `http://10.0.0.1` is not an address
     --> /etc/tiergate/tiergate.yaml:9:31
      |
    9 | upstreams: { a: { addresses: ['http://10.0.0.1'], headers: { X-A: '{user.mail}' } } }
      |                               ^^^^^^^^^^^^^^^^^ write `host:port`; for https add `tls: true`

    error[C0105]: unknown field `{user.mail}`
     --> /etc/tiergate/tiergate.yaml:9:67
      |
    9 | upstreams: { a: { addresses: ['http://10.0.0.1'], headers: { X-A: '{user.mail}' } } }
      |                                                                   ^^^^^^^^^^^^^ did you mean `user.email`?
    "#);
}

#[test]
fn what_an_operator_could_get_wrong_has_a_code_of_its_own() {
    for (lines, want) in [
        ("upstreams: { a: { addresses: [10.0.0.1:80], tls: true, http2: true } }", vec![]),
        ("upstreams: { a: { addresses: '[2001:db8::1]:443', tls: { ca: x.pem } } }", vec![]),
        ("upstreams: { a: {} }", vec!["Y0105"]),
        ("upstreams: { a: { addresses: [] } }", vec!["Y0108"]),
        ("upstreams: { a: { addresses: [a:0] } }", vec!["C0101"]),
        ("upstreams: { a: { addresses: [a] } }", vec!["C0101"]),
        ("upstreams: { a: { addresses: ['a:+80'] } }", vec!["C0101"]),
        ("upstreams: { a: { addresses: [a:080] } }", vec![]),
        ("upstreams: { a: { addresses: [a:1, a:1] } }", vec!["Y0116"]),
        ("upstreams: { a: { addresses: [a:1], host: A.example } }", vec!["Y0111"]),
        ("upstreams: { a: { addresses: [a:1], host: 'a.example:+80' } }", vec!["Y0111"]),
        ("upstreams: { a: { addresses: [a:1], headers: { Host: x } } }", vec!["C0105"]),
        ("upstreams: { a: { addresses: [a:1], headers: { X-Tiergate-User: x } } }", vec!["C0105"]),
        ("upstreams: { a: { addresses: [a:1], headers: { X_A: x } } }", vec!["C0105"]),
        ("upstreams: { a: { addresses: [a:1], headers: { X-A: '{user.email' } } }", vec!["C0105"]),
        ("upstreams: { a: { addresses: [a:1], health: { path: / } } }", vec!["Y0102"]),
        ("sessions: { max_age: 1h, idle_timeout: 2h }", vec!["C0107"]),
        ("sessions: { max_age: 0h }", vec!["Y0110"]),
        ("limits: { max_headers: 5 }", vec!["C0106"]),
        ("limits: { max_body_bytes: 1048576, header_timeout: 5s }", vec![]),
        ("audit: { on_failure: { low: block } }", vec!["Y0115"]),
        ("logs: { format: xml }", vec!["Y0115"]),
        ("devices: { authorities: [{ name: a, ca: a.pem, grants: none }] }", vec!["Y0115"]),
        ("devices: { authorities: [{ name: a, ca: [a.pem, b.pem], grants: issued, crl: a.crl }] }", vec![]),
        ("devices: { inventory: { file: a } }", vec![]),
        ("devices: { inventory: {} }", vec!["Y0105"]),
        ("workloads: { trust_domains: [{ name: 'spiffe://a', bundle: a.pem }] }", vec!["Y0113"]),
        ("admin: { token: { env: TOKEN } }", vec!["C0102"]),
        ("admin: {}", vec!["Y0105"]),
        ("policies:", vec!["Y0108"]),
    ] {
        assert_eq!(codes(&format!("{SMALL}{lines}\n")), want, "{lines}");
    }
    for (from, to, want) in [
        ("version: 1\n", "", "Y0105"),
        ("version: 1\n", "version: 2\n", "Y0109"),
        ("listen: { https: 127.0.0.1:8443 }", "listen: { http: 127.0.0.1:80 }", "C0104"),
        ("listen: { https: 127.0.0.1:8443 }", "listen: { https: [] }", "Y0108"),
        ("[{ cert: a.pem, key: a.key }]", "[]", "Y0108"),
        ("tls: {", "tls: { min_version: 1.20,", "Y0115"),
        ("tls: {", "tls: { hsts: no,", "Y0110"),
        ("name: local", "name: scim", "C0107"),
        ("type: local", "type: saml", "Y0115"),
        ("login.example", "Login.example", "Y0111"),
        ("users: users.yaml", "users: users.yaml, client_id: a", "C0103"),
    ] {
        let text = SMALL.replace(from, to);
        assert_ne!(text, SMALL, "{from}");
        assert_eq!(codes(&text).first(), Some(&want), "{to}");
    }
}

#[test]
fn an_issuer_is_taken_as_it_is_spelt_and_over_tls_except_on_this_machine() {
    for (issuer, fits) in [
        ("https://idp.example", true),
        ("https://idp.example/realms/corp", true),
        ("http://localhost:8080/", true),
        ("http://127.0.0.1", true),
        ("http://[::1]:8080", true),
        ("idp.example", false),
        ("http://idp.example", false),
        ("http://localhost.example", false),
        ("http://127.1", false),
        ("HTTPS://idp.example", false),
        ("https:idp.example", false),
        (" https://idp.example", false),
        ("https://idp.ex\\tample", false),
        ("https://", false),
        ("https://ann@idp.example", false),
        ("http://localhost:80@idp.example", false),
        ("https://idp.example?x", false),
        ("https://idp.example#x", false),
    ] {
        let provider = format!("{{ name: idp, type: oidc, client_id: x, issuer: \"{issuer}\" }}");
        let text = SMALL.replace("{ name: local, type: local, users: users.yaml }", &provider);
        assert_eq!(codes(&text), if fits { vec![] } else { vec!["C0103"] }, "{issuer}");
    }
}

proptest! {
    #[test]
    fn no_configuration_panics(at in 0..SMALL.len(), len in 0_usize..20, with in "\\PC{0,6}|[\\[\\]{}:,~ \n-]{0,6}") {
        let mut text = SMALL.to_owned();
        text.replace_range(at..(at + len).min(SMALL.len()), &with);
        let _ = said(&text);
    }
}
