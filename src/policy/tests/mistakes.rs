//! What is said about mistakes that people really make.

use super::*;

/// The same about a resource with these lines.
fn said_of(lines: &str) -> String {
    said(&format!(
        "version: 1\nresources:\n  - name: tickets\n    tier: low\n    hosts: [tickets.corp.example]\n    upstream: tickets\n{lines}"
    ))
}

#[test]
fn a_nested_list_that_is_indented_wrongly() {
    insta::assert_snapshot!(said_of("    allow:\n      - groups: [a]\n       methods: [GET]\n"), @r#"
    error[Y0101]: this line does not fit the ones above it
     --> policies/tickets.yaml:9:8
      |
    9 |        methods: [GET]
      |        ^ is the indentation as meant, and text with `: ` in quotes?
    "#);
    insta::assert_snapshot!(said_of("    allow:\n    - groups:\n      - a\n     - b\n"), @r#"
    error[Y0101]: this line does not fit the ones above it
      --> policies/tickets.yaml:10:6
       |
    10 |      - b
       |      ^ is the indentation as meant, and text with `: ` in quotes?
    "#);
}

#[test]
fn a_list_outside_of_its_key() {
    insta::assert_snapshot!(said("version: 1\nresources:\n- name: tickets\n  hosts:\n- tickets.corp.example\n"), @r#"
    error[Y0108]: nothing is written here
     --> policies/tickets.yaml:4:8
      |
    4 |   hosts:
      |        ^ leave the key out, or give it a value (indented deeper)

    error[Y0104]: expected a mapping
     --> policies/tickets.yaml:5:3
      |
    5 | - tickets.corp.example
      |   ^^^^^^^^^^^^^^^^^^^^ write `{ key: value }`, or lines `key: value` without `- `
    "#);
}

#[test]
fn a_tab_inside_a_line() {
    insta::assert_snapshot!(said_of("    allow:\n      -\tgroups: [a]\n        methods: [GET]\n"), @r#"
    error[P0102]: unknown group `a`
     --> policies/tickets.yaml:8:18
      |
    8 |       -    groups: [a]
      |                     ^ no such group
    "#);
    insta::assert_snapshot!(said("version: 1\ngroups:\n  a:\n\t  any_of: [local:a]\n"), @r#"
    error[Y0101]: a tab in the indentation
     --> policies/tickets.yaml:4:4
      |
    4 |       any_of: [local:a]
      |       ^ indent with spaces
    "#);
}

#[test]
fn no_is_a_name_like_any_other() {
    insta::assert_snapshot!(said_of("    allow: [{ groups: [no] }]\n"), @r#"
    error[P0102]: unknown group `no`
     --> policies/tickets.yaml:7:24
      |
    7 |     allow: [{ groups: [no] }]
      |                        ^^ no such group
    "#);
    insta::assert_snapshot!(said_of("    allow: [{ methods: [GET], mfa: no }]\n"), @r#"
    error[Y0115]: unknown value for `mfa` `no`
     --> policies/tickets.yaml:7:36
      |
    7 |     allow: [{ methods: [GET], mfa: no }]
      |                                    ^^ `required`
    "#);
}

#[test]
fn a_duplicate_key_in_a_nested_mapping() {
    insta::assert_snapshot!(said_of("    allow:\n      - { methods: [GET], methods: [PUT] }\n"), @r#"
    error[Y0103]: duplicate key `methods`
     --> policies/tickets.yaml:8:27
      |
    8 |       - { methods: [GET], methods: [PUT] }
      |                           ^^^^^^^ this key is already in the same mapping
    "#);
}

#[test]
fn networks_that_are_none() {
    insta::assert_snapshot!(said("version: 1
networks:
  a: [10.0.0.0/33, 10.0.0/8, 10.1.2.3/8, '2001:db8::1/32']
  b: [10.0.0.256, 10.0.0.0-10.0.0.9, 10.0.0.0/255.0.0.0, '::/129', '::ffff:10.0.0.0/104']
"), @r#"
    error[Y0112]: `10.0.0.0/33` is not a network
     --> policies/tickets.yaml:3:7
      |
    3 |   a: [10.0.0.0/33, 10.0.0/8, 10.1.2.3/8, '2001:db8::1/32']
      |       ^^^^^^^^^^^ its prefix has at most 32 bits

    error[Y0112]: `10.0.0/8` is not a network
     --> policies/tickets.yaml:3:20
      |
    3 |   a: [10.0.0.0/33, 10.0.0/8, 10.1.2.3/8, '2001:db8::1/32']
      |                    ^^^^^^^^ an IPv4 address has four numbers; did you mean `10.0.0.0/8`?

    error[Y0112]: `10.1.2.3/8` is not a network
     --> policies/tickets.yaml:3:30
      |
    3 |   a: [10.0.0.0/33, 10.0.0/8, 10.1.2.3/8, '2001:db8::1/32']
      |                              ^^^^^^^^^^ has bits behind the prefix; did you mean `10.0.0.0/8`?

    error[Y0112]: `2001:db8::1/32` is not a network
     --> policies/tickets.yaml:3:42
      |
    3 |   a: [10.0.0.0/33, 10.0.0/8, 10.1.2.3/8, '2001:db8::1/32']
      |                                          ^^^^^^^^^^^^^^^^ has bits behind the prefix; did you mean `2001:db8::/32`?

    error[Y0112]: `10.0.0.256` is not a network
     --> policies/tickets.yaml:4:7
      |
    4 |   b: [10.0.0.256, 10.0.0.0-10.0.0.9, 10.0.0.0/255.0.0.0, '::/129', '::ffff:10.0.0.0/104']
      |       ^^^^^^^^^^ write a network such as `198.51.100.0/24` or `2001:db8::/32`, or one address

    error[Y0112]: `10.0.0.0-10.0.0.9` is not a network
     --> policies/tickets.yaml:4:19
      |
    4 |   b: [10.0.0.256, 10.0.0.0-10.0.0.9, 10.0.0.0/255.0.0.0, '::/129', '::ffff:10.0.0.0/104']
      |                   ^^^^^^^^^^^^^^^^^ write a network such as `198.51.100.0/24` or `2001:db8::/32`, or one address

    error[Y0112]: `10.0.0.0/255.0.0.0` is not a network
     --> policies/tickets.yaml:4:38
      |
    4 |   b: [10.0.0.256, 10.0.0.0-10.0.0.9, 10.0.0.0/255.0.0.0, '::/129', '::ffff:10.0.0.0/104']
      |                                      ^^^^^^^^^^^^^^^^^^ write the prefix in bits, from `/0` to `/32`

    error[Y0112]: `::/129` is not a network
     --> policies/tickets.yaml:4:58
      |
    4 |   b: [10.0.0.256, 10.0.0.0-10.0.0.9, 10.0.0.0/255.0.0.0, '::/129', '::ffff:10.0.0.0/104']
      |                                                          ^^^^^^^^ its prefix has at most 128 bits

    error[Y0112]: `::ffff:10.0.0.0/104` is not a network
     --> policies/tickets.yaml:4:68
      |
    4 |   b: [10.0.0.256, 10.0.0.0-10.0.0.9, 10.0.0.0/255.0.0.0, '::/129', '::ffff:10.0.0.0/104']
      |                                                                    ^^^^^^^^^^^^^^^^^^^^^ IPv4 addresses are matched as IPv4; write an IPv4 network
    "#);
}

#[test]
fn methods_that_no_request_has() {
    insta::assert_snapshot!(said_of("    deny: [{ methods: [get, DELTE, CONNECT, PURGE, '*'] }]\n"), @r#"
    error[Y0114]: unknown method `get`
     --> policies/tickets.yaml:7:24
      |
    7 |     deny: [{ methods: [get, DELTE, CONNECT, PURGE, '*'] }]
      |                        ^^^ no such method; did you mean `GET`?

    error[Y0114]: unknown method `DELTE`
     --> policies/tickets.yaml:7:29
      |
    7 |     deny: [{ methods: [get, DELTE, CONNECT, PURGE, '*'] }]
      |                             ^^^^^ no such method; did you mean `DELETE`?

    error[Y0114]: unknown method `CONNECT`
     --> policies/tickets.yaml:7:36
      |
    7 |     deny: [{ methods: [get, DELTE, CONNECT, PURGE, '*'] }]
      |                                    ^^^^^^^ never forwarded, whatever a rule says

    error[Y0114]: unknown method `PURGE`
     --> policies/tickets.yaml:7:45
      |
    7 |     deny: [{ methods: [get, DELTE, CONNECT, PURGE, '*'] }]
      |                                             ^^^^^ tiergate forwards no such method, so no request has it

    error[Y0114]: unknown method `*`
     --> policies/tickets.yaml:7:52
      |
    7 |     deny: [{ methods: [get, DELTE, CONNECT, PURGE, '*'] }]
      |                                                    ^^^ tiergate forwards no such method, so no request has it
    "#);
}

#[test]
fn paths_that_are_not_canonical() {
    insta::assert_snapshot!(said_of("    paths:
      - { prefix: /Admin/, tier: high }
      - { prefix: admin, tier: high }
      - { prefix: /a/../b, tier: high }
      - { prefix: /a%2fb, tier: high }
      - { prefix: /admin/*, tier: high }
"), @r#"
    error[P0107]: `/Admin/` is not a canonical path
     --> policies/tickets.yaml:8:19
      |
    8 |       - { prefix: /Admin/, tier: high }
      |                   ^^^^^^^ write it in its canonical form: `/Admin`

    error[P0107]: `admin` is not a canonical path
     --> policies/tickets.yaml:9:19
      |
    9 |       - { prefix: admin, tier: high }
      |                   ^^^^^ a prefix starts with `/`

    error[P0107]: `/a/../b` is not a canonical path
      --> policies/tickets.yaml:10:19
       |
    10 |       - { prefix: /a/../b, tier: high }
       |                   ^^^^^^^ no request has such a path: it is refused as ambiguous before it is decided

    error[P0107]: `/a%2fb` is not a canonical path
      --> policies/tickets.yaml:11:19
       |
    11 |       - { prefix: /a%2fb, tier: high }
       |                   ^^^^^^ no request has such a path: it is refused as ambiguous before it is decided

    error[P0107]: `/admin/*` is not a canonical path
      --> policies/tickets.yaml:12:19
       |
    12 |       - { prefix: /admin/*, tier: high }
       |                   ^^^^^^^^ no patterns: a prefix covers itself and all below it; write `/admin`
    "#);
}

#[test]
fn a_list_where_a_mapping_is_meant_and_the_reverse() {
    insta::assert_snapshot!(said("version: 1\ngroups:\n  - engineering: { any_of: [local:eng] }\n"), @r#"
    error[Y0104]: expected a mapping
     --> policies/tickets.yaml:3:3
      |
    3 |   - engineering: { any_of: [local:eng] }
      |   ^ write `{ key: value }`, or lines `key: value` without `- `
    "#);
    insta::assert_snapshot!(said("version: 1\ngroups:\n  engineering: [local:eng]\n"), @r#"
    error[Y0104]: expected a mapping
     --> policies/tickets.yaml:3:16
      |
    3 |   engineering: [local:eng]
      |                ^ write `{ key: value }`, or lines `key: value` without `- `
    "#);
    insta::assert_snapshot!(said("version: 1\nresources:\n  tickets: { tier: low }\n"), @r#"
    error[Y0104]: expected a list
     --> policies/tickets.yaml:3:3
      |
    3 |   tickets: { tier: low }
      |   ^ write `[a, b]`, or lines that begin with `- `
    "#);
    insta::assert_snapshot!(said_of("    allow:\n      groups: [a]\n"), @r#"
    error[Y0104]: expected a list
     --> policies/tickets.yaml:8:7
      |
    8 |       groups: [a]
      |       ^ write `[a, b]`, or lines that begin with `- `
    "#);
    insta::assert_snapshot!(said_of("    allow: [{ groups: a }]\n"), @r#"
    error[Y0104]: expected a list
     --> policies/tickets.yaml:7:23
      |
    7 |     allow: [{ groups: a }]
      |                       ^ write `[a, b]`, or lines that begin with `- `
    "#);
    insta::assert_snapshot!(said_of("    cors: https://board.corp.example\n"), @r#"
    error[Y0104]: expected a mapping
     --> policies/tickets.yaml:7:11
      |
    7 |     cors: https://board.corp.example
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^ write `{ key: value }`, or lines `key: value` without `- `
    "#);
}

#[test]
fn a_missing_dash() {
    insta::assert_snapshot!(said("version: 1\nresources:\n  name: tickets\n  tier: low\n"), @r#"
    error[Y0104]: expected a list
     --> policies/tickets.yaml:3:3
      |
    3 |   name: tickets
      |   ^ write `[a, b]`, or lines that begin with `- `
    "#);
    insta::assert_snapshot!(said("version: 1
resources:
  - name: a
    tier: low
    hosts: [a.example]
    upstream: tickets
    name: b
    tier: low
"), @r#"
    error[Y0103]: duplicate key `name`
     --> policies/tickets.yaml:7:5
      |
    7 |     name: b
      |     ^^^^ this key is already in the same mapping; another item of the list begins with `- `

    error[Y0103]: duplicate key `tier`
     --> policies/tickets.yaml:8:5
      |
    8 |     tier: low
      |     ^^^^ this key is already in the same mapping
    "#);
}

#[test]
fn quotes_and_brackets_left_open() {
    insta::assert_snapshot!(said_of("    allow:\n      - { groups: [\"a] }\n"), @r#"
    error[Y0101]: this quotation is not closed
     --> policies/tickets.yaml:8:20
      |
    8 |       - { groups: ["a] }
      |                    ^ opened here
    "#);
    insta::assert_snapshot!(said_of("    allow:\n      - { groups: ['a] }\n"), @r#"
    error[Y0101]: this quotation is not closed
     --> policies/tickets.yaml:8:20
      |
    8 |       - { groups: ['a] }
      |                    ^ opened here
    "#);
    insta::assert_snapshot!(said_of("    allow:\n      - { groups: [a }\n    deny: []\n"), @r#"
    error[Y0101]: this bracket is closed by one of another kind
     --> policies/tickets.yaml:8:19
      |
    8 |       - { groups: [a }
      |                   ^ opened here
    "#);
    insta::assert_snapshot!(said_of("    allow:\n      - { groups: [a]\n    deny: []\n"), @r#"
    error[Y0101]: this bracket is not closed
     --> policies/tickets.yaml:8:9
      |
    8 |       - { groups: [a]
      |         ^ opened here
    "#);
}

#[test]
fn a_star_that_yaml_takes_for_an_alias() {
    insta::assert_snapshot!(said("version: 1\nresources:\n  - name: a\n    hosts: [*.corp.example]\n"), @r#"
    error[Y0101]: an alias without an anchor
     --> policies/tickets.yaml:4:13
      |
    4 |     hosts: [*.corp.example]
      |             ^ text that begins with `*` goes into quotes
    "#);
}

#[test]
fn a_colon_that_yaml_takes_for_a_key() {
    insta::assert_snapshot!(said("version: 1\ngroups:\n  a: { any_of: [workforce: eng] }\n"), @r#"
    error[Y0104]: expected text
     --> policies/tickets.yaml:3:17
      |
    3 |   a: { any_of: [workforce: eng] }
      |                 ^ a list or a mapping stands here; text with `: ` in it goes into quotes
    "#);
    insta::assert_snapshot!(said("version: 1\ngroups:\n  a: any_of: [local:a]\n"), @r#"
    error[Y0104]: expected a mapping
     --> policies/tickets.yaml:3:6
      |
    3 |   a: any_of: [local:a]
      |      ^^^^^^ write `{ key: value }`, or lines `key: value` without `- `
    "#);
}

#[test]
fn line_ends_of_other_systems_and_a_mark_in_front_change_nothing() {
    let text = "version: 1\nresources:\n  - { name: r, tier: lo, hosts: [r.example], upstream: tickets }\n";
    let crlf = text.replace('\n', "\r\n");
    for text in [&*crlf, &*format!("\u{feff}{text}"), &*format!("\u{feff}{crlf}")] {
        assert_eq!(
            said(text),
            said(
                "version: 1\nresources:\n  - { name: r, tier: lo, hosts: [r.example], upstream: tickets }\n"
            )
        );
    }
}
