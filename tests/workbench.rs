//! The workbench as people use it: the real binary on folders of policies and audit logs.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const POLICY: &str = "version: 1
groups:
  engineering: { any_of: [workforce:eng] }
  contractors: { any_of: [workforce:contractor] }
  finance: { any_of: [workforce:fin] }
networks: { offices: [198.51.100.0/24] }
services: { sync: { spiffe: spiffe://corp.example/sync } }
resources:
  - name: tickets
    tier: low
    hosts: [tickets.corp.example]
    upstream: u
    allow: [{ groups: [engineering, contractors] }]
    deny: [{ groups: [contractors], methods: [DELETE], networks: [offices] }]
    services: [{ name: sync, methods: [POST], paths: [/api/import] }]
  - name: ledger
    tier: high
    hosts: [ledger.corp.example]
    upstream: u
    allow: [{ groups: [finance] }]
    paths: [{ prefix: /export, tier: low, allow: [{ groups: [contractors] }] }]
tests:
  - name: an engineer reads
    given: { user: a@corp.example, groups: [engineering], device: enrolled }
    request: GET https://tickets.corp.example/browse/42
    expect: allow
";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn policy(&self, name: &str, text: &str) -> PathBuf {
        let folder = self.0.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("policy.yaml"), text).unwrap();
        folder
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_tiergate"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let all: Vec<_> = arguments.iter().copied().chain(["--format", "json"]).collect();
        let (code, out, err) = self.run(&all);
        (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
    }
}

/// What `tiergate explain` needs to decide the request that breaks an assertion.
fn suggested(label: &str) -> Vec<String> {
    let (_, command) = label.split_once("`tiergate explain ").unwrap();
    command.trim_end_matches('`').split(' ').map(str::to_owned).collect()
}

#[test]
fn a_promise_that_is_broken_comes_with_a_request_that_explain_allows() {
    let folder = Folder::new();
    for (assertion, request) in [
        ("never: { resource: ledger, device: [none, enrolled] }", "GET https://ledger.corp.example/export"),
        (
            "never: { groups: [contractors], resource: tickets, methods: DELETE }",
            "DELETE https://tickets.corp.example/",
        ),
        (
            "never: { groups: [contractors], resource: ledger, tier: high }",
            "GET https://ledger.corp.example/",
        ),
        ("never: { service: any }", "POST https://tickets.corp.example/api/import"),
    ] {
        folder.policy("policies", &format!("{POLICY}assertions: [{{ name: it, {assertion} }}]\n"));
        let (code, checked) = folder.json(&["check"]);
        assert_eq!(code, 1, "{checked}");
        let finding =
            checked["findings"].as_array().unwrap().iter().find(|it| it["code"] == "P0401").unwrap();
        assert!(finding["line"].as_u64().unwrap() > 1 && finding["severity"] == "error", "{finding}");
        let label = finding["label"].as_str().unwrap();
        assert!(label.contains(request), "{label}");
        let arguments = suggested(label);
        let arguments: Vec<_> =
            std::iter::once("explain").chain(arguments.iter().map(String::as_str)).collect();
        let (code, explained) = folder.json(&arguments);
        assert_eq!((code, &explained["decision"]), (0, &json!("allow")), "{explained}");
        assert_eq!(explained["request"], request);
    }
    folder.policy(
        "policies",
        &format!("{POLICY}assertions: [{{ name: it, never: {{ tier: high, device: [none, enrolled] }} }}]\n"),
    );
    let (code, out, _) = folder.run(&["check"]);
    assert!(!out.contains("P0401") && code == 1, "the path that lowers the tier is a warning still: {out}");
}

#[test]
fn tests_pass_fail_and_leave_rules_unreached() {
    let folder = Folder::new();
    folder.policy("policies", POLICY);
    let (code, tested) = folder.json(&["test"]);
    assert_eq!((code, &tested["passed"], &tested["failed"]), (0, &json!(1), &json!(0)), "{tested}");
    let unreached: Vec<_> =
        tested["unreached"].as_array().unwrap().iter().map(|rule| rule["rule"].as_str().unwrap()).collect();
    assert_eq!(
        unreached,
        ["deny of tickets", "service sync of tickets", "allow of ledger", "allow of ledger/export"]
    );
    folder.policy("policies", &POLICY.replace("expect: allow", "expect: not_allowed"));
    let (code, out, _) = folder.run(&["test"]);
    assert!(
        code == 1
            && out.contains("FAILED an engineer reads")
            && out.contains("expected not_allowed, decided allow"),
        "{out}"
    );
    let (code, out, _) = folder.run(&["check"]);
    assert!(code == 1 && out.contains("warning[P0403]"), "{out}");
}

#[test]
fn explain_says_no_and_what_would_be_enough() {
    let folder = Folder::new();
    folder.policy("policies", POLICY);
    let (code, out, _) = folder.run(&[
        "explain",
        "--groups",
        "contractors",
        "--device",
        "issued",
        "GET",
        "https://ledger.corp.example/",
    ]);
    assert_eq!(code, 1);
    for part in
        ["NO allow rules", "group finance", "deny (not_allowed)", "be in `finance`", "policies/policy.yaml:"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    for (arguments, says) in [
        (
            &["explain", "--groups", "finanec", "GET", "https://ledger.corp.example/"][..],
            "did you mean `finance`?",
        ),
        (&["explain", "--service", "snyc", "GET", "https://ledger.corp.example/"], "did you mean `sync`?"),
        (&["explain", "GET", "http://ledger.corp.example/"], "https://"),
        (&["explain", "GET", "https://ledger.corp.example/a/../b"], "ambiguous_request"),
        (&["explain", "--policies", "nowhere", "GET", "https://ledger.corp.example/"], "nowhere"),
        (
            &["explain", "--auth-age", "soon", "--user", "a", "GET", "https://ledger.corp.example/"],
            "duration",
        ),
        (&["explain", "GET"], "URL"),
        (&["explain", "--request", "ABC"], "--audit"),
        (&["explain", "--device", "stolen", "GET", "https://ledger.corp.example/"], "enrolled"),
    ] {
        let (code, out, err) = folder.run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains(says), "{arguments:?}: {err}");
    }
}

#[test]
fn the_table_is_the_same_in_every_format() {
    let folder = Folder::new();
    folder.policy("policies", POLICY);
    let (code, rows) = folder.json(&["matrix"]);
    assert_eq!(code, 0);
    let cells: usize =
        rows.as_array().unwrap().iter().map(|row| row["cells"].as_array().unwrap().len()).sum();
    // Three places; anybody and three groups on three devices, and one service at one resource's place.
    assert_eq!(cells, 3 * 4 * 3 + 1);
    let (_, csv, _) = folder.run(&["matrix", "--format", "csv"]);
    assert_eq!(csv.lines().count(), cells + 1, "{csv}");
    let (_, html, _) = folder.run(&["matrix", "--format", "html"]);
    assert_eq!(html.matches("<td").count(), cells, "{html}");
    assert!(
        !html.contains("http://") && !html.contains("https://") && !html.contains("<script"),
        "self-contained"
    );
    let (_, text, _) = folder.run(&["matrix"]);
    assert!(
        text.contains("ledger/export (tier low)") && text.contains("service sync: partly: POST /api/import"),
        "{text}"
    );
}

#[test]
fn a_change_has_its_exit_code() {
    let folder = Folder::new();
    folder.policy("old", POLICY);
    for (new, code, says) in [
        (POLICY.to_owned(), 0, "the same to everybody"),
        (
            POLICY.replace("[engineering, contractors]", "[engineering]"),
            1,
            "- tickets (tier low): contractors",
        ),
        (
            POLICY.replace("[engineering, contractors]", "[engineering, contractors, finance]"),
            1,
            "+ tickets (tier low): finance",
        ),
        (
            POLICY.replace("groups: [finance] }]", "groups: [finance, engineering] }]"),
            3,
            "+ ledger (tier high): engineering",
        ),
        // The place is `low`; the resource is not.
        (
            POLICY.replace(
                "allow: [{ groups: [contractors] }]",
                "allow: [{ groups: [contractors, engineering] }]",
            ),
            3,
            "+ ledger/export (tier low): engineering",
        ),
        (POLICY.replace("tier: high", "tier: open"), 3, "tier high -> open"),
    ] {
        folder.policy("new", &new);
        let (got, out, err) = folder.run(&["diff", "old", "new"]);
        assert_eq!(got, code, "{out}{err}");
        assert!(out.contains(says), "{says}: {out}");
        let (json_code, difference) = folder.json(&["diff", "old", "new"]);
        assert_eq!(json_code, code);
        assert_eq!(difference["rows"].as_array().unwrap().is_empty(), code == 0, "{difference}");
    }
    folder.policy("new", &POLICY.replace("tier: high", "tier: hihg"));
    let (code, _, err) = folder.run(&["diff", "old", "new"]);
    assert!(code == 2 && err.contains("did you mean `high`?"), "{err}");
    let (code, _, err) = folder.run(&["diff", "old", "nowhere"]);
    assert!(code == 2 && err.contains("nowhere"), "{err}");
}

/// An event as the audit log has it.
fn event(subject: &str, groups: &[&str], device: &str, line: &str) -> Value {
    let (method, url) = line.split_once(' ').unwrap();
    let (host, path) = url.split_at(url.find('/').unwrap());
    json!({
        "time": "2026-11-25T09:00:00.000000Z", "kind": "decision", "request_id": format!("id-{subject}"),
        "code": "AAAA-BBBB-CCCC-DDDD", "decision": "allow", "reason": "allowed", "policy": 3,
        "subject": subject, "provider": "workforce", "groups": groups, "mfa": false, "auth_age": 60,
        "device_trust": device, "method": method, "host": host, "path": path, "client": "203.0.113.7", "status": 200,
    })
}

fn write(path: &Path, events: impl IntoIterator<Item = Value>) {
    let lines: String = events.into_iter().map(|event| format!("{event}\n")).collect();
    std::fs::write(path, lines).unwrap();
}

#[test]
fn requests_that_were_made_are_decided_again_and_counted_by_people() {
    let folder = Folder::new();
    folder.policy("old", POLICY);
    folder.policy("new", &POLICY.replace("[engineering, contractors]", "[engineering]"));
    let logs = folder.0.path().join("audit");
    std::fs::create_dir(&logs).unwrap();
    let carl =
        || event("carl@corp.example", &["contractors"], "enrolled", "GET tickets.corp.example/browse/1");
    let mut without = event("old@corp.example", &[], "issued", "GET tickets.corp.example/");
    without.as_object_mut().unwrap().remove("groups");
    let mut service =
        event("spiffe://corp.example/sync", &[], "none", "POST tickets.corp.example/api/import");
    service.as_object_mut().unwrap().remove("groups");
    write(
        &logs.join("audit-2026-11-24.jsonl"),
        [
            carl(),
            carl(),
            event("ann@corp.example", &["engineering"], "issued", "GET tickets.corp.example/"),
            service,
        ],
    );
    write(&logs.join("audit-2026-11-25.jsonl"), [carl(), without, json!({ "kind": "reload", "time": "x" })]);
    std::fs::write(logs.join("notes.txt"), "not a log").unwrap();
    let (code, out) = folder.json(&["diff", "old", "new", "--replay", "audit"]);
    assert_eq!(code, 1);
    let replayed = &out["replayed"];
    assert_eq!(
        (
            &replayed["events"],
            &replayed["same"],
            &replayed["lost"],
            &replayed["gained"],
            &replayed["without_groups"]
        ),
        (&json!(5), &json!(2), &json!(3), &json!(0), &json!(1)),
        "{replayed}"
    );
    assert_eq!(replayed["noticed"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&replayed["noticed"][0]["subject"], &replayed["noticed"][0]["requests"]),
        (&json!("carl@corp.example"), &json!(3))
    );
    let (_, text, _) = folder.run(&["diff", "old", "new", "--replay", "audit/audit-2026-11-24.jsonl"]);
    assert!(text.contains("4 requests decided again") && text.contains("carl@corp.example"), "{text}");
    let (code, _, err) = folder.run(&["diff", "old", "new", "--replay", "missing.jsonl"]);
    assert!(code == 2 && err.contains("missing.jsonl"), "{err}");
}

#[test]
fn a_decision_that_was_made_is_explained_by_its_code() {
    let folder = Folder::new();
    folder.policy("policies", POLICY);
    let log = folder.0.path().join("audit.jsonl");
    let mut denied = event("carl@corp.example", &["contractors"], "enrolled", "GET ledger.corp.example/");
    denied["decision"] = json!("deny");
    denied["reason"] = json!("device_not_issued");
    denied["code"] = json!("7QK2-M4TD-0XWB-93HF");
    let mut idle = event("ann@corp.example", &["engineering"], "issued", "GET tickets.corp.example/");
    idle["decision"] = json!("challenge");
    idle["reason"] = json!("session_idle");
    idle["code"] = json!("IDLE");
    write(&log, [event("x", &[], "none", "GET tickets.corp.example/"), denied, idle]);
    let (code, out, _) =
        folder.run(&["explain", "--request", "7QK2-M4TD-0XWB-93HF", "--audit", "audit.jsonl"]);
    assert_eq!(code, 1);
    for part in
        ["deny (device_not_issued)", "carl@corp.example", "generation 3", "NO device", "be in `finance`"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (_, explained) = folder.json(&["explain", "--request", "IDLE", "--audit", "audit.jsonl"]);
    assert_eq!(explained["recorded"]["reason"], "session_idle");
    assert_eq!(explained["now"]["reason"], "session_idle", "{explained}");
    assert_eq!(explained["now"]["would_be_allowed"][0]["changes"][0]["change"], "sign_in");
    let (code, _, err) = folder.run(&["explain", "--request", "NONE", "--audit", "audit.jsonl"]);
    assert!(code == 2 && err.contains("`NONE`"), "{err}");
}

#[test]
fn a_shadows_log_names_whom_to_warn_first() {
    let folder = Folder::new();
    let log = folder.0.path().join("audit.jsonl");
    let shadowed = |subject: &str, live: &str, shadow: &str, tier: &str| {
        let mut event = event(subject, &["finance"], "issued", "GET ledger.corp.example/");
        event["decision"] = json!(live);
        event["resource"] = json!("ledger");
        event["tier"] = json!(tier);
        event["shadow"] = json!({ "decision": shadow, "reason": "not_allowed", "rule": "next/p.yaml:9" });
        event
    };
    write(
        &log,
        [
            shadowed("ann", "allow", "allow", "high"),
            shadowed("bob", "deny", "allow", "low"),
            shadowed("carl", "allow", "deny", "high"),
            shadowed("carl", "allow", "deny", "high"),
            shadowed("dora", "allow", "challenge", "high"),
            event("eve", &[], "none", "GET tickets.corp.example/"),
        ],
    );
    let (code, report) = folder.json(&["diff", "--shadow", "audit.jsonl"]);
    assert_eq!((code, &report["decided"], &report["differ"]), (1, &json!(5), &json!(4)), "{report}");
    let people: Vec<_> =
        report["people"].as_array().unwrap().iter().map(|row| row["subject"].as_str().unwrap()).collect();
    assert_eq!(people, ["carl", "dora", "bob"]);
    write(&log, [shadowed("bob", "deny", "allow", "high")]);
    assert_eq!(folder.run(&["diff", "--shadow", "audit.jsonl"]).0, 3);
    write(&log, [shadowed("ann", "allow", "allow", "high")]);
    assert_eq!(folder.run(&["diff", "--shadow", "audit.jsonl"]).0, 0);
}

#[test]
fn a_policy_that_is_too_large_to_be_proved_is_refused_in_bounded_time() {
    let folder = Folder::new();
    let networks: String = (0..20_000).map(|n| format!("10.{}.{}.0/24, ", n / 256 % 256, n % 256)).collect();
    let rules: String = (0..100).map(|n| format!("{{ groups: [g{n}], networks: [many] }}, ")).collect();
    let groups: String = (0..100).map(|n| format!("g{n}: {{ any_of: ['idp:g{n}'] }}, ")).collect();
    folder.policy(
        "policies",
        &format!(
            "version: 1
groups: {{ {groups} }}
networks: {{ many: [{networks}] }}
resources: [{{ name: r, tier: high, hosts: [r.example], upstream: u, allow: [{rules}] }}]
assertions: [{{ name: it, never: {{ tier: high, device: none, networks: [many] }} }}]
"
        ),
    );
    let (code, checked) = folder.json(&["check"]);
    assert_eq!(code, 1);
    let codes: Vec<_> =
        checked["findings"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["P0406"], "{checked}");
}
