//! Explanations, the table and comparisons.

use crate::access::{DeviceTrust, GroupSet};
use crate::policy::tests::policy;
use crate::policy::{Given, Policy, Who, request_line};
use crate::workbench::*;
use std::time::Duration;

const POLICY: &str = "groups:
  engineering: { any_of: [idp:eng, idp:sre] }
  sre: { any_of: [idp:sre] }
  contractors: { any_of: [idp:contractor] }
networks: { offices: [198.51.100.0/24] }
services: { sync: { spiffe: spiffe://corp.example/sync } }
authentication:
  - { for: { groups: [contractors] }, mfa: required }
  - { max_age: 12h }
resources:
  - name: tickets
    tier: low
    hosts: [tickets.example]
    upstream: u
    allow: [{ groups: [engineering, contractors] }]
    deny: [{ groups: [contractors], methods: [DELETE] }]
    paths:
      - prefix: /admin
        tier: high
        allow: [{ groups: [engineering], mfa: required, max_auth_age: 15m, networks: [offices] }]
    services: [{ name: sync, methods: [POST], paths: [/api/import] }]
";

fn user(policy: &Policy, groups: &[&str], mfa: bool, age: u64) -> Who {
    let at = |name: &&str| policy.groups().iter().position(|group| group.name == **name).unwrap();
    let groups = GroupSet::new(policy.groups().len(), groups.iter().map(at));
    Who::User { groups, mfa, auth_age: Duration::from_secs(age) }
}

fn explained(policy: &Policy, who: Who, device: DeviceTrust, from: Option<&str>, line: &str) -> Explanation {
    let (method, host, path) = request_line(line).unwrap();
    let given = Given { who, device, from: from.map(|from| from.parse().unwrap()), time: None };
    explain(policy, &Hypothetical::given(policy, &given, method, &host, &path))
}

fn changes(explanation: &Explanation) -> Vec<String> {
    let one = |way: &Way| way.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ");
    explanation.would_be_allowed.iter().map(one).collect()
}

#[test]
fn an_explanation_ends_where_the_decision_does() {
    let policy = policy(POLICY);
    let service = Who::Service(policy.service_by_spiffe("spiffe://corp.example/sync"));
    for (who, device, from, line, decision, step, ways) in [
        (
            Who::Nobody,
            DeviceTrust::None,
            None,
            "GET https://nowhere.example/",
            "no_route",
            Some("route"),
            vec![],
        ),
        (
            Who::Nobody,
            DeviceTrust::Issued,
            None,
            "GET https://tickets.example/",
            "not_signed_in",
            Some("signed in"),
            vec!["sign in + be in `engineering`"],
        ),
        (
            user(&policy, &["engineering"], false, 0),
            DeviceTrust::None,
            None,
            "GET https://tickets.example/",
            "device_required",
            Some("device"),
            vec!["use a device that is trusted as `enrolled`"],
        ),
        (
            user(&policy, &["engineering"], false, 3600),
            DeviceTrust::Enrolled,
            None,
            "GET https://tickets.example/admin",
            "device_not_issued",
            Some("device"),
            vec![
                "use a second factor + sign in again: at most 15m may have passed + use a device that is trusted as `issued` + come from `offices`",
            ],
        ),
        (
            user(&policy, &["engineering"], true, 901),
            DeviceTrust::Issued,
            Some("198.51.100.4"),
            "GET https://tickets.example/admin",
            "reauth_required",
            Some("allow rules"),
            vec!["sign in again: at most 15m may have passed"],
        ),
        (
            user(&policy, &[], true, 0),
            DeviceTrust::Issued,
            None,
            "GET https://tickets.example/",
            "not_allowed",
            Some("allow rules"),
            vec!["be in `engineering`", "be in `contractors`"],
        ),
        (
            user(&policy, &["contractors"], true, 0),
            DeviceTrust::Issued,
            None,
            "DELETE https://tickets.example/",
            "denied_by_rule",
            Some("deny rules"),
            vec!["use GET", "use POST"],
        ),
        (
            user(&policy, &["contractors"], false, 0),
            DeviceTrust::Issued,
            None,
            "GET https://tickets.example/",
            "mfa_required",
            Some("authentication"),
            vec!["use a second factor"],
        ),
        (
            service.clone(),
            DeviceTrust::None,
            None,
            "GET https://tickets.example/api/import",
            "service_not_listed",
            Some("listed"),
            vec!["use POST"],
        ),
        (
            service,
            DeviceTrust::None,
            None,
            "POST https://tickets.example/api/import/1",
            "allowed",
            None,
            vec![],
        ),
        (
            user(&policy, &["sre"], true, 900),
            DeviceTrust::Issued,
            Some("198.51.100.4"),
            "GET https://tickets.example/admin/x",
            "allowed",
            None,
            vec![],
        ),
    ] {
        let explanation = explained(&policy, who, device, from, line);
        assert_eq!(explanation.reason, decision, "{line}: {explanation:?}");
        let refused: Vec<_> = explanation.steps.iter().filter(|line| line.came == Came::Refused).collect();
        assert_eq!(refused.first().map(|line| line.step), step, "{line}");
        assert!(refused.len() <= 1);
        let mut got = changes(&explanation);
        got.sort_by_key(|way| ways.iter().position(|want| want == way));
        let got: Vec<_> = got.iter().map(String::as_str).filter(|way| ways.contains(way)).collect();
        assert_eq!(got, ways, "{line}: {:?}", changes(&explanation));
        assert_eq!(changes(&explanation).is_empty(), ways.is_empty(), "{line}: {:?}", changes(&explanation));
        // Each step stands once, in its order, whatever became of it.
        let names: Vec<_> = explanation.steps.iter().map(|line| line.step).collect();
        assert!(names.len() == 11 || names.len() == 5, "{names:?}");
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
    }
}

#[test]
fn what_would_be_enough_is_enough() {
    let policy = policy(POLICY);
    for groups in [&[][..], &["contractors"], &["sre"], &["contractors", "engineering"]] {
        for device in DeviceTrust::ALL {
            for line in ["GET https://tickets.example/", "DELETE https://tickets.example/admin/x"] {
                let who = user(&policy, groups, false, 5000);
                let explanation = explained(&policy, who, device, None, line);
                assert_eq!(
                    explanation.decision == "allow",
                    explanation.would_be_allowed.is_empty(),
                    "{explanation:?}"
                );
                let counts: std::collections::BTreeSet<_> =
                    explanation.would_be_allowed.iter().map(|way| way.changes.len()).collect();
                assert!(counts.len() <= 1, "all ways are the shortest");
            }
        }
    }
}

#[test]
fn the_table_says_what_is_asked_of_whom() {
    let policy = policy(POLICY);
    let said: Vec<String> = matrix(&policy)
        .iter()
        .map(|row| {
            let cells: Vec<_> = row.cells.iter().map(Cell::words).collect();
            format!("{}{} {}: {}", row.resource, row.path, row.who, cells.join(" | "))
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    tickets anybody signed in: no: device_required | no: not_allowed | no: not_allowed
    tickets engineering: no: device_required | yes | yes
    tickets sre: no: device_required | yes | yes
    tickets contractors: no: device_required | partly: not DELETE, second factor | partly: not DELETE, second factor
    tickets sync: partly: POST /api/import
    tickets/admin anybody signed in: no: device_required | no: device_not_issued | no: not_allowed
    tickets/admin engineering: no: device_required | no: device_not_issued | partly: from offices, second factor, within 15m of signing in
    tickets/admin sre: no: device_required | no: device_not_issued | partly: from offices, second factor, within 15m of signing in
    tickets/admin contractors: no: device_required | no: device_not_issued | no: not_allowed
    tickets/admin sync: no: service_not_listed
    ");
}

fn compared(old: &str, new: &str) -> Vec<String> {
    let difference = diff(&policy(old), &policy(new));
    let rows = difference.rows.iter().map(|row| {
        let join =
            |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join("/");
        let devices = row.devices.iter().map(ToString::to_string).collect::<Vec<_>>().join("/");
        format!(
            "{:?}{} {}{} {} [{}] {devices} {}{}",
            row.kind,
            if row.high { "!" } else { "" },
            row.resource,
            row.path,
            row.who,
            join(&row.methods),
            join(&row.from),
            if row.mfa { " mfa" } else { "" }
        )
    });
    rows.chain(difference.settings.iter().cloned()).collect()
}

#[test]
fn what_became_reachable_and_what_did_not_is_told_by_class() {
    for (what, new, want) in [
        ("nothing", POLICY.to_owned(), vec![]),
        ("an order", POLICY.replace("[engineering, contractors]", "[contractors, engineering]"), vec![]),
        ("a name of a group", POLICY.replace("sre:", "reliability:"), vec![]),
        (
            "a tier lowered",
            POLICY.replace("tier: high", "tier: low"),
            vec!["Gained! tickets/admin engineering [DELETE/POST/other] enrolled offices mfa"],
        ),
        (
            "a group let in",
            POLICY.replace("[{ groups: [engineering], mfa", "[{ groups: [contractors, engineering], mfa"),
            vec!["Gained! tickets/admin contractors [POST/other] issued offices mfa"],
        ),
        (
            "a source more",
            POLICY.replace("[idp:eng, idp:sre]", "[idp:eng, idp:sre, idp:intern]"),
            vec![
                "Gained! tickets/admin engineering [DELETE/POST/other] issued offices mfa",
                "Gained tickets/ engineering [DELETE/POST/other] enrolled/issued anywhere",
            ],
        ),
        (
            "a deny removed",
            POLICY.replace("    deny: [{ groups: [contractors], methods: [DELETE] }]\n", ""),
            vec![
                "Gained! tickets/admin engineering + contractors [DELETE] issued offices mfa",
                "Gained tickets/ contractors [DELETE] enrolled/issued anywhere mfa",
            ],
        ),
        (
            "a second factor no more",
            POLICY.replace("  - { for: { groups: [contractors] }, mfa: required }\n", ""),
            vec!["Gained tickets/ contractors [POST/other] enrolled/issued anywhere"],
        ),
        (
            "a service with more",
            POLICY.replace(
                "methods: [POST], paths: [/api/import]",
                "methods: [POST, PUT], paths: [/api/import]",
            ),
            vec!["Gained tickets/api/import service spiffe://corp.example/sync [PUT]  anywhere"],
        ),
        (
            "an older sign-in",
            POLICY.replace("max_auth_age: 15m", "max_auth_age: 20m"),
            vec!["Gained! tickets/admin engineering [DELETE/POST/other] issued offices mfa"],
        ),
        (
            "no host any more",
            POLICY.replace("hosts: [tickets.example]", "hosts: [other.example]"),
            vec![
                "Gained! tickets/admin engineering [DELETE/POST/other] issued offices mfa",
                "Gained tickets/ contractors",
                "Lost! tickets/admin engineering [DELETE/POST/other] issued offices mfa",
                "Lost tickets/ contractors",
            ],
        ),
        (
            "another upstream",
            POLICY.replace("upstream: u", "upstream: v"),
            vec!["tickets.example: the upstream was u, is v"],
        ),
        (
            "a limit",
            POLICY.replace(
                "upstream: u",
                "upstream: u\n    rate_limit: { per: user, requests: 5, window: 1s }",
            ),
            vec!["tickets.example: the rate limit was none, is 5 per user in 1s (burst 5)"],
        ),
        (
            "shorter sessions",
            POLICY.replace("max_age: 12h", "max_age: 8h"),
            vec![
                "sessions: were contractors: max_age as configured, idle_timeout as configured; everybody: max_age 12h",
            ],
        ),
    ] {
        let got = compared(POLICY, &new);
        for want in &want {
            assert!(got.iter().any(|row| row.starts_with(want)), "{what}: no `{want}` in {got:#?}");
        }
        assert_eq!(got.is_empty(), want.is_empty(), "{what}: {got:#?}");
        // What one gains the other way round, one loses.
        let back = compared(&new, POLICY);
        let count = |rows: &[String], kind: &str| rows.iter().filter(|row| row.starts_with(kind)).count();
        assert_eq!(count(&got, "Gained") > 0, count(&back, "Lost") > 0, "{what}: {back:#?}");
    }
}

#[test]
fn a_posture_that_asks_for_less_is_a_difference_and_on_high_opens_something() {
    let with = |posture: &str| policy(&format!("{posture}\n{POLICY}"));
    let strict = "posture: { low: { max_checkin_age: 7d }, high: { max_checkin_age: 24h, require: [disk_encrypted], min_os: { macos: '14.6' } } }";
    for (before, after, settings, opens) in [
        (strict, strict, 0, false),
        (strict, "", 2, true),
        ("", strict, 2, false),
        (strict, "posture: { low: { max_checkin_age: 7d } }", 1, true),
        (strict, &strict.replace("24h", "12h"), 1, false),
        (strict, &strict.replace("24h", "25h"), 1, true),
        (strict, &strict.replace("14.6", "14.5"), 1, true),
        (strict, &strict.replace("7d", "8d"), 1, false),
        (strict, &strict.replace("disk_encrypted", "disk_encrypted, firewall"), 1, false),
        ("posture: { low: { require: [x] } }", "posture: { high: { require: [x] } }", 1, false),
    ] {
        let difference = diff(&with(before), &with(after));
        assert_eq!(difference.rows, [], "{before} {after}");
        assert_eq!(
            (difference.settings.len(), difference.opens_high()),
            (settings, opens),
            "{before} → {after}: {:?}",
            difference.settings
        );
    }
    let difference = diff(&with(strict), &with(""));
    assert_eq!(
        difference.settings[1],
        "posture of high: was max_checkin_age 1d, require disk_encrypted, macos 14.6; is nothing"
    );
}
