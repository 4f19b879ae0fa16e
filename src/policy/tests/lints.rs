use super::*;
use crate::diagnostic::{Report, Severity, human};

const TOP: &str = "    tier: low\n    hosts: [tickets.corp.example]\n";

#[test]
fn what_changes_nothing_or_is_elsewhere_is_said() {
    for (lines, want) in [
        // The path that tiergate answers itself.
        ("    paths: [{ prefix: /.tiergate, tier: high }]\n", vec!["P0122"]),
        ("    paths: [{ prefix: /.tiergate/jwks.json, tier: high }]\n", vec!["P0122"]),
        ("    paths: [{ prefix: /.tiergates, tier: high }]\n", vec![]),
        ("    services: [{ name: sync, paths: [/.tiergate] }]\n", vec!["P0122"]),
        ("    services: [{ name: sync, paths: [/tiergate] }]\n", vec![]),
        // A path that states what it would inherit.
        ("    paths: [{ prefix: /a, tier: low }]\n", vec!["P0210"]),
        ("    paths: [{ prefix: /a, tier: low, deny: [{ methods: [PUT] }] }]\n", vec![]),
        ("    paths: [{ prefix: /a, tier: low, allow: [{ groups: [engineering] }] }]\n", vec![]),
        ("    paths: [{ prefix: /a, tier: high }, { prefix: /a/b, tier: high }]\n", vec!["P0210"]),
        ("    paths: [{ prefix: /a, tier: high }, { prefix: /b, tier: high }]\n", vec![]),
        (
            "    allow: [{ groups: [engineering], methods: [GET, PUT] }, { groups: [contractors] }]
    paths: [{ prefix: /a, allow: [{ groups: [contractors] }, { groups: [engineering], methods: [PUT, GET] }] }]\n",
            vec!["P0210"],
        ),
        (
            "    allow: [{ groups: [engineering], methods: [GET, PUT] }]
    paths: [{ prefix: /a, allow: [{ groups: [engineering], methods: [GET] }] }]\n",
            vec![],
        ),
        // A `deny` that the path inherits.
        (
            "    deny: [{ groups: [contractors] }]
    paths: [{ prefix: /a, deny: [{ groups: [contractors], methods: [PUT] }] }]\n",
            vec!["P0106"],
        ),
        (
            "    deny: [{ groups: [contractors], methods: [PUT] }]
    paths: [{ prefix: /a, deny: [{ groups: [contractors] }] }]\n",
            vec![],
        ),
        (
            "    paths: [{ prefix: /a, deny: [{ methods: [PUT] }] }, { prefix: /a/b, deny: [{ methods: [PUT] }] }]\n",
            vec!["P0106"],
        ),
        (
            "    paths: [{ prefix: /a, deny: [{ methods: [PUT] }] }, { prefix: /b, deny: [{ methods: [PUT] }] }]\n",
            vec![],
        ),
        // A service's entry that another one covers.
        ("    services: [{ name: sync }, { name: sync, methods: [GET] }]\n", vec!["P0211"]),
        ("    services: [{ name: sync, methods: [GET] }, { name: sync }]\n", vec!["P0211"]),
        ("    services: [{ name: sync }, { name: sync }]\n", vec!["P0211"]),
        (
            "    services: [{ name: sync, methods: [PUT], paths: [/a] }, { name: sync, methods: [GET, PUT], paths: [/a, /b] }]\n",
            vec!["P0211"],
        ),
        ("    services: [{ name: sync, paths: [/a/b] }, { name: sync, paths: [/a] }]\n", vec!["P0211"]),
        ("    services: [{ name: sync, paths: [/ab] }, { name: sync, paths: [/a] }]\n", vec![]),
        (
            "    services: [{ name: sync, methods: [PUT], paths: [/a] }, { name: sync, methods: [GET], paths: [/a] }]\n",
            vec![],
        ),
        // Methods that no request has.
        ("    allow: [{ groups: [engineering], methods: [X-PURGE] }]\n", vec!["Y0114"]),
        ("    allow: [{ groups: [engineering], methods: [MERGE] }]\n", vec![]),
    ] {
        assert_eq!(codes_of(&format!("{TOP}{lines}")), want, "{lines}");
    }
}

#[test]
fn an_exact_host_beside_a_wildcard_shows_both() {
    insta::assert_snapshot!(said("version: 1
resources:
  - { name: any, tier: high, hosts: ['*.corp.example', own.corp.example], upstream: tickets }
  - { name: one, tier: low, hosts: [one.corp.example, one.example, a.one.corp.example], upstream: tickets }
"), @r#"
    note[P0310]: host `one.corp.example` is covered by `*.corp.example` too
     --> policies/tickets.yaml:4:37
      |
    4 |   - { name: one, tier: low, hosts: [one.corp.example, one.example, a.one.corp.example], upstream: tickets }
      |                                     ^^^^^^^^^^^^^^^^ the exact host wins: `one` decides here, `any` has no say
      |
    note: the wildcard, of `any`
     --> policies/tickets.yaml:3:38
      |
    3 |   - { name: any, tier: high, hosts: ['*.corp.example', own.corp.example], upstream: tickets }
      |                                      ^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn needless_statements_show_what_makes_them_so() {
    insta::assert_snapshot!(said("version: 1
services: { sync: { spiffe: 'spiffe://corp.example/sync' } }
resources:
  - name: tickets
    tier: low
    hosts: [tickets.corp.example]
    upstream: tickets
    deny: [{ methods: [PUT] }]
    services:
      - { name: sync, methods: [POST], paths: [/api/import] }
      - { name: sync, paths: [/api] }
    paths:
      - { prefix: /a, tier: low }
      - { prefix: /b, deny: [{ methods: [PUT] }] }
"), @r#"
    warning[P0211]: this entry adds nothing
      --> policies/tickets.yaml:10:9
       |
    10 |       - { name: sync, methods: [POST], paths: [/api/import] }
       |         ^ another entry admits the service to all of it
       |
    note: the other entry
      --> policies/tickets.yaml:11:9
       |
    11 |       - { name: sync, paths: [/api] }
       |         ^

    warning[P0210]: path `/a` changes nothing
      --> policies/tickets.yaml:13:19
       |
    13 |       - { prefix: /a, tier: low }
       |                   ^^ what it states is what it would inherit from the resource; leave the path out

    error[P0106]: this rule is never reached
      --> policies/tickets.yaml:14:30
       |
    14 |       - { prefix: /b, deny: [{ methods: [PUT] }] }
       |                              ^ the path inherits the `deny` at policies/tickets.yaml:8, which matches whatever this one does
    "#);
}

/// What `check` prints about a policy that lowers a tier twice and has a group that is not used, with
/// these lints.
fn with_lints(lints: &str) -> (String, Report) {
    let text = format!(
        "version: 1
groups: {{ spare: {{ any_of: [local:x] }} }}
resources:
  - {{ name: wiki, tier: low, hosts: [w.example], upstream: u, paths: [{{ prefix: /a, tier: open }}] }}
  - {{ name: tickets, tier: high, hosts: [t.example], upstream: u, paths: [{{ prefix: /a, tier: low }}] }}
lints:
{lints}"
    );
    let report = check(vec![source("tickets", &text)], None);
    let short = report.findings.iter().map(|f| format!("{}[{}] {}", f.severity.as_str(), f.code, f.message));
    (short.chain([report.summary()]).collect::<Vec<_>>().join("\n"), report)
}

#[test]
fn a_lint_changes_the_level_for_all_or_for_one_resource() {
    const UNUSED: &str = "warning[P0202] group `spare` is not used";
    const WIKI: &str = "[P0201] path `/a` lowers the tier from `low` to `open`";
    const TICKETS: &str = "[P0201] path `/a` lowers the tier from `high` to `low`";
    const STALE: &str = "note[P0311] this lint of";
    for (lints, want) in [
        ("  - { code: P0201, level: off, reason: r }", format!("{UNUSED}\n1 warning in 1 file (2 silenced)")),
        (
            "  - { code: P0201, level: off, resource: wiki, reason: r }",
            format!("{UNUSED}\nwarning{TICKETS}\n2 warnings in 1 file (1 silenced)"),
        ),
        (
            "  - { code: P0201, level: error, resource: tickets, reason: r }",
            format!("{UNUSED}\nwarning{WIKI}\nerror{TICKETS}\n1 error, 2 warnings in 1 file"),
        ),
        (
            "  - { code: P0201, level: note, reason: r }\n  - { code: P0202, level: off, reason: r }",
            format!("note{WIKI}\nnote{TICKETS}\n2 notes in 1 file (1 silenced)"),
        ),
        (
            "  - { code: P0201, level: warning, reason: r }\n  - { code: P0301, level: off, resource: wiki, reason: r }",
            format!(
                "{UNUSED}\nwarning{WIKI}\nwarning{TICKETS}\n{STALE} `P0201` changes nothing\n{STALE} `P0301` changes nothing\n3 warnings, 2 notes in 1 file"
            ),
        ),
        // That a lint is stale has a level too; and one for a finding that needs the configuration is not stale.
        (
            "  - { code: P0301, level: off, reason: r }\n  - { code: P0311, level: off, reason: r }\n  - { code: P0203, level: off, reason: r }",
            format!("{UNUSED}\nwarning{WIKI}\nwarning{TICKETS}\n3 warnings in 1 file (1 silenced)"),
        ),
    ] {
        assert_eq!(with_lints(lints).0, want, "{lints}");
    }
}

#[test]
fn a_lint_that_makes_an_error_refuses_the_policy_and_says_where_it_stands() {
    let (_, report) = with_lints("  - { code: P0202, level: error, reason: we keep it tidy }");
    insta::assert_snapshot!(human(&report, false).lines().take(5).collect::<Vec<_>>().join("\n"), @r#"
    error[P0202]: group `spare` is not used
     --> policies/tickets.yaml:2:11
      |
    2 | groups: { spare: { any_of: [local:x] } }
      |           ^^^^^ no rule or resource names it; its level is set at policies/tickets.yaml:7
    "#);
    let (policy, _) = resolve(&report.sources, None);
    assert!(policy.is_none());
    let (_, report) = with_lints("  - { code: P0201, level: off, reason: meant }");
    assert!(resolve(&report.sources, None).0.is_some());
    let reasons: Vec<_> =
        report.silenced.iter().map(|s| (s.finding.resource.as_deref(), &*s.reason)).collect();
    assert_eq!(reasons, [(Some("wiki"), "meant"), (Some("tickets"), "meant")]);
    assert!(report.silenced.iter().all(|silenced| silenced.finding.severity == Severity::Warning));
}

#[test]
fn what_is_wrong_with_a_lint_is_an_error_with_its_place() {
    let (_, report) = with_lints(
        "  - { code: P0210x, level: off, reason: r }
  - { code: P0102, level: off, reason: r }
  - { code: Y0100, level: off, reason: r }
  - { code: P0201, level: none, reason: r }
  - { code: P0201, level: off, reason: ' ' }
  - { code: P0201, level: off }
  - { code: P0201, level: off, resource: tickts, reason: r }
  - { code: P0202, level: off, reason: r }
  - { code: P0202, level: note, reason: r }
",
    );
    let errors: Vec<_> = report.findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
    insta::assert_snapshot!(render_all(&errors, &report.sources, false), @r#"
    error[P0120]: unknown code `P0210x`
     --> policies/tickets.yaml:7:13
      |
    7 |   - { code: P0210x, level: off, reason: r }
      |             ^^^^^^ no finding has this code; did you mean `P0210`?

    error[P0121]: the level of `P0102` cannot be changed
     --> policies/tickets.yaml:8:13
      |
    8 |   - { code: P0102, level: off, reason: r }
      |             ^^^^^ it is an error: unknown group

    error[P0121]: the level of `Y0100` cannot be changed
     --> policies/tickets.yaml:9:13
      |
    9 |   - { code: Y0100, level: off, reason: r }
      |             ^^^^^ only warnings and notes about policies have a level

    error[Y0115]: unknown level `none`
      --> policies/tickets.yaml:10:27
       |
    10 |   - { code: P0201, level: none, reason: r }
       |                           ^^^^ did you mean `note`?

    error[Y0108]: `reason` is empty
      --> policies/tickets.yaml:11:40
       |
    11 |   - { code: P0201, level: off, reason: ' ' }
       |                                        ^^^ say why, for whoever reads this next

    error[Y0105]: missing key `reason`
      --> policies/tickets.yaml:12:5
       |
    12 |   - { code: P0201, level: off }
       |     ^ `reason` is needed here

    error[P0100]: unknown resource `tickts`
      --> policies/tickets.yaml:13:42
       |
    13 |   - { code: P0201, level: off, resource: tickts, reason: r }
       |                                          ^^^^^^ no such resource; did you mean `tickets`?

    error[Y0116]: `P0202` has two levels for the same
      --> policies/tickets.yaml:15:13
       |
    15 |   - { code: P0202, level: note, reason: r }
       |             ^^^^^ a level is set once, for the whole policy or for a resource
       |
    note: first set here
      --> policies/tickets.yaml:14:13
       |
    14 |   - { code: P0202, level: off, reason: r }
       |             ^^^^^
    "#);
}

#[test]
fn lints_of_one_file_hold_for_the_others() {
    let files = [
        source(
            "a",
            "version: 1\nresources:\n  - { name: r, tier: high, hosts: [r.example], upstream: tickets, paths: [{ prefix: /a, tier: low }] }\n",
        ),
        source("z", "version: 1\nlints: [{ code: P0201, level: off, resource: r, reason: meant }]\n"),
    ];
    let report = check(files.to_vec(), None);
    assert_eq!(report.summary(), "ok: 2 files (1 silenced)");
    assert!(report.is_clean());
}
