use super::*;
use crate::diagnostic::{Code, Diagnostic, Report, Source, render_all};
use proptest::prelude::*;
use std::path::PathBuf;

mod lints;
mod mistakes;

fn source(name: &str, text: &str) -> Source {
    Source { path: PathBuf::from(format!("policies/{name}.yaml")), text: text.to_owned() }
}

/// The policy of a text without `version`; it has no mistakes.
pub(crate) fn policy(text: &str) -> Policy {
    let file = source("test", &format!("version: 1\n{text}"));
    let (policy, findings) = resolve(std::slice::from_ref(&file), None);
    policy.unwrap_or_else(|| panic!("{}", render_all(&findings, &[file], false)))
}

fn findings(files: &[Source]) -> (Option<Policy>, Vec<Diagnostic>) {
    let upstreams = ["tickets".to_owned(), "payroll".to_owned()];
    let (policy, findings) = resolve(files, Some(&upstreams));
    // No lint changes them here, so each is as bad as its code is.
    for finding in &findings {
        let code = Code::find(finding.code).unwrap();
        assert!(code.severity == finding.severity || code.id == "Y0100", "{finding:?}");
    }
    (policy, findings)
}

/// What resolving finds where the configuration is known.
fn resolve_known(files: &[Source], known: Known<'_>) -> (Option<Policy>, Vec<Diagnostic>) {
    let (policy, sorted) = open(files, Some(known), Parsed::default()).close(files);
    (policy, sorted.findings)
}

/// All that resolving finds, with what lints silence.
pub(super) fn check(files: Vec<Source>, known: Option<Known<'_>>) -> Report {
    let (_, sorted) = open(&files, known, Parsed::default()).close(&files);
    Report::new(files, sorted)
}

/// What `check` prints about a file.
fn said(text: &str) -> String {
    let files = [source("tickets", text)];
    let (policy, findings) = findings(&files);
    let errors = findings.iter().any(|f| f.severity == crate::diagnostic::Severity::Error);
    assert_eq!(policy.is_none(), errors);
    render_all(&findings, &files, false)
}

/// The codes of what is found in a file with one resource whose further lines are given.
fn codes_of(lines: &str) -> Vec<&'static str> {
    let text = format!(
        "version: 1
groups:
  engineering: {{ any_of: [workforce:eng] }}
  contractors: {{ any_of: [workforce:contractor] }}
networks: {{ offices: [198.51.100.0/24] }}
services: {{ sync: {{ spiffe: 'spiffe://corp.example/sync' }} }}
resources:
  - name: all
    tier: low
    hosts: [all.corp.example]
    upstream: tickets
    allow: [{{ groups: [engineering, contractors], networks: [offices] }}]
    services: [{{ name: sync }}]
  - name: tickets
    upstream: tickets
{lines}"
    );
    findings(&[source("tickets", &text)]).1.iter().map(|finding| finding.code).collect()
}

#[test]
fn wrong_indentation_is_shown_where_the_parser_stumbles() {
    insta::assert_snapshot!(said("version: 1\nresources:\n  - name: tickets\n   tier: low\n"), @r#"
    error[Y0101]: this line does not fit the ones above it
     --> policies/tickets.yaml:4:4
      |
    4 |    tier: low
      |    ^ is the indentation as meant, and text with `: ` in quotes?
    "#);
}

#[test]
fn a_tab_is_called_a_tab() {
    insta::assert_snapshot!(said("version: 1\nresources:\n\t- name: tickets\n"), @r#"
    error[Y0101]: a tab in the indentation
     --> policies/tickets.yaml:3:2
      |
    3 |     - name: tickets
      |     ^ indent with spaces
    "#);
}

#[test]
fn no_is_not_a_boolean_and_nothing_is_not_a_list() {
    insta::assert_snapshot!(said("version: 1
resources:
  - name: tickets
    cors: { origins: [https://board.corp.example], methods: [GET], credentials: no }
    tier: low
    hosts: [tickets.corp.example]
    upstream: tickets
"), @r#"
    error[Y0104]: `no` is not a boolean
     --> policies/tickets.yaml:4:81
      |
    4 |     cors: { origins: [https://board.corp.example], methods: [GET], credentials: no }
      |                                                                                 ^^ write `true` or `false`
    "#);
    insta::assert_snapshot!(said("version: 1
resources:
  - name: tickets
    allow:
    tier: low
    hosts: [tickets.corp.example]
    upstream: tickets
"), @r#"
    error[Y0108]: nothing is written here
     --> policies/tickets.yaml:4:10
      |
    4 |     allow:
      |          ^ leave the key out, or give it a value (indented deeper)
    "#);
}

#[test]
fn a_duplicate_key_is_an_error() {
    insta::assert_snapshot!(said("version: 1
resources:
  - name: tickets
    tier: high
    tier: open
    hosts: [tickets.corp.example]
    upstream: tickets
"), @r#"
    error[Y0103]: duplicate key `tier`
     --> policies/tickets.yaml:5:5
      |
    5 |     tier: open
      |     ^^^^ this key is already in the same mapping
    "#);
}

#[test]
fn an_unknown_key_names_the_one_that_was_meant() {
    insta::assert_snapshot!(said("version: 1
resources:
  - name: tickets
    denny: [{ methods: [DELETE] }]
    tier: low
    hosts: [tickets.corp.example]
    upstream: tickets
"), @r#"
    error[Y0102]: unknown key `denny`
     --> policies/tickets.yaml:4:5
      |
    4 |     denny: [{ methods: [DELETE] }]
      |     ^^^^^ no such key here; did you mean `deny`?
    "#);
}

#[test]
fn all_mistakes_of_a_file_are_said_at_once() {
    insta::assert_snapshot!(said("version: 1
groups:
  engineering: { any_of: [workforce:eng] }
networks:
  offices: [198.51.100.7/24]
resources:
  - name: tickets
    tier: lo
    hosts: [Tickets.corp.example]
    upstream: ticket
    allow:
      - { groups: [enginering], methods: [DELTE], networks: [offices] }
    paths:
      - { prefix: /admin/, tier: high }
"), @r#"
    error[Y0112]: `198.51.100.7/24` is not a network
     --> policies/tickets.yaml:5:13
      |
    5 |   offices: [198.51.100.7/24]
      |             ^^^^^^^^^^^^^^^ has bits behind the prefix; did you mean `198.51.100.0/24`?

    error[Y0115]: unknown tier `lo`
     --> policies/tickets.yaml:8:11
      |
    8 |     tier: lo
      |           ^^ did you mean `low`?

    error[Y0111]: `Tickets.corp.example` is not a host
     --> policies/tickets.yaml:9:13
      |
    9 |     hosts: [Tickets.corp.example]
      |             ^^^^^^^^^^^^^^^^^^^^ write it in its canonical form: `tickets.corp.example`

    error[P0105]: unknown upstream `ticket`
      --> policies/tickets.yaml:10:15
       |
    10 |     upstream: ticket
       |               ^^^^^^ no such upstream; did you mean `tickets`?

    error[P0102]: unknown group `enginering`
      --> policies/tickets.yaml:12:20
       |
    12 |       - { groups: [enginering], methods: [DELTE], networks: [offices] }
       |                    ^^^^^^^^^^ no such group; did you mean `engineering`?

    error[Y0114]: unknown method `DELTE`
      --> policies/tickets.yaml:12:43
       |
    12 |       - { groups: [enginering], methods: [DELTE], networks: [offices] }
       |                                           ^^^^^ no such method; did you mean `DELETE`?

    error[P0107]: `/admin/` is not a canonical path
      --> policies/tickets.yaml:14:19
       |
    14 |       - { prefix: /admin/, tier: high }
       |                   ^^^^^^^ write it in its canonical form: `/admin`
    "#);
}

#[test]
fn a_mistake_in_the_form_does_not_hide_the_others() {
    let text = "version: 1
groups: { finance: { any_of: [local:finance] } }
resources:
  - name: wiki
    tier: open
    hots: [wiki.example]
    upstream: tickets
  - name: tickets
    tier: lwo
    hosts: [tickets.example]
    upstream: tickets
    deny: [{ groups: [finance], metods: [DELETE] }, { groups: [finance], methods: [PUT] }]
    cors: { origins: [https://a.example], methods: [GET], credentials: no }
  - name: payroll
    hosts: [payroll.example]
    upstream: payroll
    allow: [{ groups: [finanse] }]
    paths: [{ prefix: /admin, teir: high }]
";
    insta::assert_snapshot!(said(text), @r#"
    error[Y0102]: unknown key `hots`
     --> policies/tickets.yaml:6:5
      |
    6 |     hots: [wiki.example]
      |     ^^^^ no such key here; did you mean `hosts`?

    error[Y0115]: unknown tier `lwo`
     --> policies/tickets.yaml:9:11
      |
    9 |     tier: lwo
      |           ^^^ did you mean `low`?

    error[Y0102]: unknown key `metods`
      --> policies/tickets.yaml:12:33
       |
    12 |     deny: [{ groups: [finance], metods: [DELETE] }, { groups: [finance], methods: [PUT] }]
       |                                 ^^^^^^ no such key here; did you mean `methods`?

    error[Y0104]: `no` is not a boolean
      --> policies/tickets.yaml:13:72
       |
    13 |     cors: { origins: [https://a.example], methods: [GET], credentials: no }
       |                                                                        ^^ write `true` or `false`

    error[P0102]: unknown group `finanse`
      --> policies/tickets.yaml:17:24
       |
    17 |     allow: [{ groups: [finanse] }]
       |                        ^^^^^^^ no such group; did you mean `finance`?

    error[Y0102]: unknown key `teir`
      --> policies/tickets.yaml:18:31
       |
    18 |     paths: [{ prefix: /admin, teir: high }]
       |                               ^^^^ no such key here; did you mean `tier`?
    "#);
    // What is defined may be in what was left out: then an unknown name may be known.
    let codes = |text: &str| {
        let found = findings(&[source("a", text)]).1;
        found.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    let resource = "resources: [{ name: a, tier: low, hosts: [a.example], upstream: tickets, allow: [{ groups: [x] }] }]\n";
    for (text, want) in [
        (format!("version: 1\n{resource}"), &["P0102"][..]),
        (format!("version: 1\n{resource}resorces: []\n"), &["Y0102"]),
        (
            format!(
                "version: 1\n{resource}groups: {{ y: {{ any_off: [local:y] }}, z: {{ any_of: [local:z] }} }}\n"
            ),
            &["Y0102"],
        ),
        (format!("vresion: 1\n{}", resource.replace("tier: low", "tier: lo")), &["Y0102", "Y0115"]),
    ] {
        assert_eq!(codes(&text), want, "{text}");
    }
}

#[test]
fn a_host_of_two_resources_shows_both_places() {
    let files = [
        source(
            "a",
            "version: 1\nresources:\n  - { name: a, tier: low, hosts: [x.example], upstream: tickets }\n",
        ),
        source(
            "b",
            "version: 1\nresources:\n  - { name: b, tier: low, hosts: [y.example, x.example], upstream: tickets }\n",
        ),
    ];
    let (policy, findings) = findings(&files);
    assert!(policy.is_none());
    insta::assert_snapshot!(render_all(&findings, &files, false), @r#"
    error[P0108]: host `x.example` belongs to two resources
     --> policies/b.yaml:3:46
      |
    3 |   - { name: b, tier: low, hosts: [y.example, x.example], upstream: tickets }
      |                                              ^^^^^^^^^ a host is one resource; use `paths` to treat parts of it differently
      |
    note: first stated here, by `a`
     --> policies/a.yaml:3:35
      |
    3 |   - { name: a, tier: low, hosts: [x.example], upstream: tickets }
      |                                   ^^^^^^^^^
    "#);
}

#[test]
fn a_lower_tier_and_unused_names_are_warnings_and_refuse_nothing() {
    insta::assert_snapshot!(said("version: 1
groups: { unused: { any_of: [local:x] } }
resources:
  - name: tickets
    tier: high
    hosts: [tickets.corp.example]
    upstream: tickets
    paths: [{ prefix: /public, tier: open }]
"), @r#"
    warning[P0202]: group `unused` is not used
     --> policies/tickets.yaml:2:11
      |
    2 | groups: { unused: { any_of: [local:x] } }
      |           ^^^^^^ no rule or resource names it

    warning[P0201]: path `/public` lowers the tier from `high` to `open`
     --> policies/tickets.yaml:8:38
      |
    8 |     paths: [{ prefix: /public, tier: open }]
      |                                      ^^^^ the resource is `high`
    "#);
}

#[test]
fn no_file_and_an_empty_file_are_errors() {
    for files in
        [vec![], vec![source("a", "")], vec![source("a", "# nothing\n")], vec![source("a", "version: 2\n")]]
    {
        let (policy, findings) = findings(&files);
        assert!(policy.is_none() && !findings.is_empty(), "{files:?}");
    }
}

#[test]
fn a_name_from_a_file_that_cannot_be_read_is_not_called_unknown() {
    let files = [
        source("groups", "version: 1\ngroups: [\n"),
        source(
            "r",
            "version: 1\nresources:\n  - { name: a, tier: low, hosts: [x.example], upstream: tickets, allow: [{ groups: [g] }] }\n",
        ),
    ];
    let found = findings(&files).1;
    assert!(found.iter().all(|finding| finding.path == files[0].path) && found.len() == 1, "{found:?}");
}

#[test]
fn what_a_person_could_get_wrong_has_a_code_of_its_own() {
    const TOP: &str = "    tier: low\n    hosts: [tickets.corp.example]\n";
    for (lines, want) in [
        ("", vec![]),
        (
            "    allow: [{ groups: [engineering] }]\n    deny: [{ groups: [contractors], methods: [DELETE] }]\n",
            vec![],
        ),
        ("    allow: []\n", vec!["Y0108"]),
        ("    allow: [{}]\n", vec!["P0111"]),
        ("    deny: [{}]\n", vec!["P0111"]),
        ("    allow: [{ groups: [] }]\n", vec!["Y0108"]),
        ("    allow: [{ groups: [nobody] }]\n", vec!["P0102"]),
        ("    allow: [{ networks: [nowhere] }]\n", vec!["P0103"]),
        ("    services: [{ name: sink }]\n", vec!["P0104"]),
        ("    services: [{ methods: [GET] }]\n", vec!["Y0105"]),
        ("    services: [{ name: sync, paths: [api] }]\n", vec!["P0107"]),
        ("    allow: [{ groups: [engineering], mfa: true }]\n", vec!["Y0115"]),
        ("    allow: [{ groups: [engineering], max_auth_age: 15 }]\n", vec!["Y0110"]),
        ("    allow: [{ groups: [engineering], max_auth_age: 500ms }]\n", vec!["Y0110"]),
        ("    deny: [{ groups: [contractors], mfa: required }]\n", vec!["P0112"]),
        ("    deny: [{ groups: [contractors], max_auth_age: 1h }]\n", vec!["P0112"]),
        ("    deny: [{ groups: [contractors], methods: [GET] }]\n", vec!["P0301"]),
        (
            "    allow: [{ groups: [engineering] }, { groups: [engineering], methods: [GET] }]\n",
            vec!["P0106"],
        ),
        ("    allow: [{ groups: [engineering], methods: [GET] }, { groups: [engineering] }]\n", vec![]),
        (
            "    allow: [{ groups: [engineering], mfa: required }, { groups: [engineering], methods: [GET] }]\n",
            vec![],
        ),
        ("    allow: [{ groups: [contractors] }]\n    deny: [{ groups: [contractors] }]\n", vec!["P0106"]),
        (
            "    deny: [{ groups: [contractors] }]\n    paths: [{ prefix: /a, allow: [{ groups: [contractors] }] }]\n",
            vec!["P0106"],
        ),
        ("    paths: [{ prefix: / , tier: high }]\n", vec!["P0107"]),
        ("    paths: [{ prefix: /a }]\n", vec!["P0111"]),
        ("    paths: [{ prefix: /a, tier: high }, { prefix: /a, tier: low }]\n", vec!["Y0116"]),
        ("    paths: [{ prefix: /a, tier: high }, { prefix: /a/b, tier: low }]\n", vec!["P0201"]),
        ("    rate_limit: { per: user, requests: 50, window: 1s, burst: 100 }\n", vec![]),
        (
            "    rate_limit: [{ per: user, requests: 50, window: 1s }, { per: address, requests: 9, window: 1s }]\n",
            vec![],
        ),
        ("    rate_limit: []\n", vec!["Y0108"]),
        ("    rate_limit: { per: usr, requests: 0, window: 1 }\n", vec!["Y0115", "P0114", "Y0110"]),
        ("    rate_limit: 5\n", vec!["Y0104"]),
        ("    cors: { origins: ['*'], methods: [GET] }\n", vec!["P0113"]),
        ("    cors: { origins: [http://a.example], methods: [GET] }\n", vec!["P0113"]),
        ("    cors: { origins: ['https://a.example/'], methods: [GET] }\n", vec!["P0113"]),
        ("    cors: { origins: ['https://a.example:443'], methods: [GET] }\n", vec!["P0113"]),
        (
            "    cors: { origins: ['https://a.example:8443'], methods: [GET], headers: [X-A] }\n",
            vec!["P0113"],
        ),
        (
            "    cors: { origins: ['https://a.example'], methods: [GET], headers: [x-a], max_age: 10m }\n",
            vec![],
        ),
        ("    posture: {}\n", vec!["Y0102"]),
    ] {
        assert_eq!(codes_of(&format!("{TOP}{lines}")), want, "{lines}");
    }
    for (lines, want) in [
        ("    tier: low\n", vec!["Y0105"]),
        ("    tier: low\n    hosts: []\n", vec!["Y0108"]),
        ("    hosts: [tickets.corp.example]\n", vec!["Y0105"]),
        ("    tier: medium\n    hosts: [tickets.corp.example]\n", vec!["Y0115"]),
        ("    tier: low\n    hosts: [all.corp.example]\n", vec!["P0108"]),
        ("    tier: low\n    hosts: ['*.corp.example']\n", vec!["P0310"]),
        ("    tier: low\n    hosts: ['*.example']\n", vec![]),
    ] {
        assert_eq!(codes_of(lines), want, "{lines}");
    }
}

#[test]
fn authentication_is_for_some_first_and_for_everybody_last() {
    const START: &str = "version: 1\ngroups: { a: { any_of: [local:a] }, b: { any_of: [local:b] } }
resources: [{ name: r, tier: low, hosts: [r.example], upstream: tickets, allow: [{ groups: [a, b] }] }]\nauthentication:\n";
    for (entries, want) in [
        ("  - { for: { groups: [a] }, mfa: required }\n  - { max_age: 12h }\n", vec![]),
        ("  - { max_age: 12h }\n  - { for: { groups: [a] }, mfa: required }\n", vec!["P0106", "P0115"]),
        ("  - { for: { groups: [a] }, mfa: required }\n", vec!["P0115"]),
        (
            "  - { for: { groups: [a] }, max_age: 1h }\n  - { for: { groups: [a] }, max_age: 2h }\n  - { max_age: 12h }\n",
            vec!["P0106"],
        ),
        ("  - {}\n", vec!["P0111"]),
        ("  - { for: {}, max_age: 1h }\n  - { max_age: 12h }\n", vec!["Y0105"]),
        ("  []\n", vec!["Y0108"]),
    ] {
        let codes: Vec<_> =
            findings(&[source("a", &format!("{START}{entries}"))]).1.iter().map(|f| f.code).collect();
        assert_eq!(codes, want, "{entries}");
    }
}

#[test]
fn a_path_inherits_what_it_does_not_state_from_the_one_around_it() {
    let policy = policy(
        "groups: { a: { any_of: [local:a] }, b: { any_of: [local:b] } }
resources:
  - name: r
    tier: low
    hosts: [r.example]
    upstream: u
    allow: [{ groups: [a] }]
    deny: [{ methods: [DELETE] }]
    paths:
      - { prefix: /admin/export, deny: [{ methods: [POST] }] }
      - { prefix: /admin, tier: high, allow: [{ groups: [b] }], deny: [{ methods: [PUT] }] }
",
    );
    let section = |path: &str| {
        let section = policy.locate("r.example", path).unwrap().section();
        let methods =
            |rule: &Rule| rule.methods.as_ref().map_or_else(String::new, |methods| methods.0.join(","));
        let deny: Vec<_> = section.deny.iter().map(methods).collect();
        format!("{} {} {}", section.tier, section.allow[0].origin.0, deny.join(" "))
    };
    assert_eq!(section("/"), "low policies/test.yaml:8 DELETE");
    assert_eq!(section("/admin/x"), "high policies/test.yaml:12 DELETE PUT");
    assert_eq!(section("/admin/export"), "high policies/test.yaml:12 DELETE PUT POST");
}

#[test]
fn what_the_configuration_knows_is_checked_too() {
    let files = [source(
        "a",
        "version: 1
groups: { g: { any_of: [workforc:x, local:x, scim:x, workforce:x] } }
resources: [{ name: r, tier: low, hosts: [login.example], upstream: u, allow: [{ groups: [g] }] }]\n",
    )];
    let known = Known {
        upstreams: &["u".to_owned()],
        providers: &["workforce".to_owned()],
        login_host: "login.example",
    };
    let (_, findings) = resolve_known(&files, known);
    let codes: Vec<_> = findings.iter().map(|finding| (finding.code, finding.label.as_str())).collect();
    assert_eq!(
        codes,
        [
            ("P0203", "nobody gets into the group this way; did you mean `workforce`?"),
            ("P0117", "people sign in there; give the resource a host of its own"),
        ]
    );
}

#[test]
fn a_small_file_cannot_ask_for_the_product_of_its_lists() {
    use std::fmt::Write as _;
    let mut text = String::from("version: 1\nnetworks:\n");
    for at in 0..8000 {
        let _ = writeln!(text, "  n{at}: [10.0.{}.{}]", at / 256, at % 256);
    }
    text.push_str(
        "resources:\n  - name: r\n    tier: low\n    hosts: [r.example]\n    upstream: tickets\n    deny:\n",
    );
    for at in 0..8000 {
        let _ = writeln!(text, "      - {{ networks: [n{at}] }}");
    }
    text.push_str("    paths:\n");
    for at in 0..8000 {
        let _ = writeln!(text, "      - {{ prefix: /{at}, tier: high }}");
    }
    let (policy, findings) = findings(&[source("a", &text)]);
    assert!(policy.is_none());
    assert!(findings.iter().any(|finding| finding.code == "P0116"));
}

#[test]
fn files_that_are_too_large_are_refused_before_they_are_read() {
    let one = source("a", &" ".repeat((1 << 20) + 1));
    let many: Vec<_> = (0..17).map(|at| source(&at.to_string(), &" ".repeat(1 << 20))).collect();
    for files in [vec![one], many] {
        let (policy, findings) = findings(&files);
        assert!(policy.is_none() && findings.iter().any(|finding| finding.code == "Y0106"));
    }
}

#[test]
fn memberships_put_users_into_groups() {
    let policy = policy(
        "groups: { a: { any_of: ['idp:x:y', local:a] }, b: { any_of: [local:a] } }
resources: [{ name: r, tier: low, hosts: [r.example], upstream: u, allow: [{ groups: [a, b] }] }]\n",
    );
    for (membership, want) in [("idp:x:y", "a"), ("local:a", "a b"), ("local:A", ""), ("idp:x", "")] {
        let set = policy.group_set([membership]);
        let names: Vec<_> = set.iter().filter_map(|group| policy.group_name(group)).collect();
        assert_eq!(names.join(" "), want, "{membership}");
    }
}

#[test]
fn the_sample_policy_has_no_findings() {
    let files = [
        source("groups", include_str!("../../policies/groups.yaml")),
        source("resources", include_str!("../../policies/resources.yaml")),
    ];
    let known = Known {
        upstreams: &["demo".to_owned()],
        providers: &["local".to_owned()],
        login_host: "login.localhost",
    };
    let (policy, findings) = resolve_known(&files, known);
    assert_eq!(render_all(&findings, &files, false), "");
    assert_eq!(policy.unwrap().resources().len(), 3);
}

#[test]
fn the_example_of_the_documentation_has_no_findings() {
    let page = include_str!("../../docs/policy.md");
    let text = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(said(text), "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_policy_text_panics(
        pieces in proptest::collection::vec(prop_oneof![
            Just("version: 1\n"), Just("groups:\n"), Just("  a: { any_of: [local:a] }\n"), Just("resources:\n"),
            Just("  - name: r\n"), Just("    tier: low\n"), Just("    hosts: [r.example]\n"), Just("    upstream: tickets\n"),
            Just("    allow:\n"), Just("      - { groups: [a] }\n"), Just("    paths: [{ prefix: /a, tier: high }]\n"),
            Just("    deny: [{ methods: [é] }]\n"), Just("\t"), Just("  "), Just("- "), Just("[~]\n"), Just("*a\n"), Just("&a\n"),
        ], 0..16)
    ) {
        let files = [source("a", &pieces.concat())];
        let (_, found) = findings(&files);
        let _ = render_all(&found, &files, false);
    }
}

#[test]
fn the_largest_hostile_files_are_judged_in_bounded_time() {
    use std::fmt::Write as _;
    // Unknown names beside many near ones: each suggestion compares with all of them.
    let mut text = String::from("version: 1\ngroups:\n");
    for at in 0..6000 {
        let _ = writeln!(text, "  engineering-of-the-northern-branch-{at}: {{ any_of: [local:a{at}] }}");
    }
    text.push_str(
        "resources:\n  - name: r\n    tier: low\n    hosts: [r.example]\n    upstream: tickets\n    allow:\n",
    );
    while text.len() < 1_000_000 {
        text.push_str("      - { groups: [engineering-of-the-northern-branch-x] }\n");
    }
    let files = [source("a", &text)];
    let (policy, findings) = findings(&files);
    assert!(policy.is_none() && findings.len() <= 201);
    assert!(render_all(&findings, &files, false).len() < 1 << 20);
}
