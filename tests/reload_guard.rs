//! A push that would shut out people who are at work is held back, told, and goes through when forced.

mod support;

use serde_json::{Value, json};
use std::process::Output;
use support::process::{admin_call, admin_get, run, tiergate};
use support::visitor::{Visitor, let_in, refused};
use support::wait::until;
use support::{Device, Estate};

const EMPLOYEE: &str = "employee@corp.example";
const FINANCE: &str = "finance@corp.example";
const RESOURCES: &str = "policies/resources.yaml";
const REASON: &str = "finance moves to the new system";

/// An estate with this guard.
fn guarded(guard: &str) -> Estate {
    let estate = Estate::start();
    estate.rewrite(
        "tiergate.yaml",
        "policies: policies/",
        &format!("policies: policies/\nreload_guard: {guard}"),
    );
    estate.reload();
    estate
}

/// `POST /api/v1/reload` with a body.
fn call(estate: &Estate, body: &str) -> (u16, Value) {
    let request = format!(
        "POST /api/v1/reload HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        estate.admin,
        estate.read("admin.token").trim(),
        body.len()
    );
    let answer = admin_call(estate.admin, &request).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// `tiergate reload` with these arguments.
fn command(estate: &Estate, arguments: &[&str]) -> (i32, String, String) {
    let config = estate.at("tiergate.yaml").display().to_string();
    let Output { status, stdout, stderr } = run(tiergate(&["reload", "--config", &config]).args(arguments));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn reloads(estate: &Estate, reason: &str) -> Vec<Value> {
    let mut events = estate.audit();
    events.retain(|event| event["kind"] == "reload" && event["reason"] == reason);
    events
}

#[tokio::test]
async fn a_push_that_locks_finance_out_of_payroll_is_held_back_until_it_is_forced() {
    let estate = guarded("{ protect: [finance] }");
    let mut finance = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    finance.open("payroll", "/headers").await;
    assert_eq!(finance.told("payroll", "/headers").await, let_in());
    let is_good = || estate.metric("tiergate_config_last_reload_successful", &[]) > 0.0;
    let generation = estate.metric("tiergate_policy_generation", &[]);

    // By watching the files.
    let before = estate.read(RESOURCES);
    estate.rewrite(RESOURCES, "groups: [finance, admins]", "groups: [admins]");
    until("the push is held back", async || !is_good()).await;
    let ready = admin_get(estate.admin, "/readyz").unwrap();
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("1 of 1 active sessions"), "{ready}");
    assert!(!ready.contains(FINANCE), "without a token nobody reads who it is: {ready}");
    until("the log names them", async || {
        estate.words().contains(&format!("{FINANCE} of local, 1 session: payroll (not_allowed)"))
    })
    .await;
    assert_eq!(finance.told("payroll", "/headers").await, let_in(), "the last good policy goes on");
    until("it is in the audit log", async || {
        reloads(&estate, "reload_guarded").iter().any(|event| event["decision"] == "deny")
    })
    .await;

    // By the API.
    let (status, problem) = call(&estate, "");
    assert_eq!(status, 409, "{problem}");
    assert_eq!(
        problem["shut_out"],
        json!({
            "sessions_denied": 1, "sessions_active": 1, "protected": ["finance"], "more_people": 0,
            "people": [{
                "user": FINANCE, "provider": "local", "protected": ["finance"], "sessions": 1,
                "lost": [{ "resource": "payroll", "reason": "not_allowed" }],
            }],
        })
    );
    for body in [r#"{"force":true}"#, r#"{"force":true,"reason":" "}"#, r#"{"reason":"x"}"#, "{", "[]"] {
        assert_eq!(call(&estate, body).0, 400, "{body}");
    }

    // By the command.
    let (code, out, err) = command(&estate, &[]);
    assert!(code == 1 && out.contains(FINANCE) && out.contains("refused:"), "{code} {out} {err}");
    let (code, out, _) = command(&estate, &["--format", "json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["shut_out"]), (1, &problem["shut_out"]));
    for arguments in [&["--force"][..], &["--reason", REASON], &["--force", "--reason", " "]] {
        assert_eq!(command(&estate, arguments).0, 2, "{arguments:?}");
    }
    assert_eq!(finance.told("payroll", "/headers").await, let_in());
    assert_eq!(estate.metric("tiergate_policy_generation", &[]), generation);

    // Forced, mistakes refuse it all the same.
    let pushed = estate.read(RESOURCES);
    estate.put(RESOURCES, &pushed.replace("groups: [admins]", "groups: [admin]"));
    let (code, out, _) = command(&estate, &["--force", "--reason", REASON]);
    assert!(code == 1 && out.contains("did you mean `admins`?"), "{code} {out}");
    assert_eq!(finance.told("payroll", "/headers").await, let_in());
    estate.put(RESOURCES, &pushed);

    let (code, out, err) = command(&estate, &["--force", "--reason", REASON]);
    let loaded = estate.metric("tiergate_policy_generation", &[]);
    assert_eq!((code, out.as_str()), (0, &*format!("loaded: generation {loaded}\n")), "{err}");
    assert!(loaded > generation && is_good());
    assert_eq!(finance.told("payroll", "/headers").await, refused(403, "not_allowed"));
    until("the reason is in the audit log", async || {
        reloads(&estate, "reload_forced").iter().any(|event| {
            event["decision"] == "allow"
                && event["comment"] == REASON
                && event["policy"] == json!(loaded as u64)
        })
    })
    .await;

    // What is denied already is not held against the next reload, and a push that gives is none.
    estate.put("policies/more.yaml", "version: 1\nnetworks: { offices: [198.51.100.0/24] }\n");
    assert_eq!(command(&estate, &[]).0, 0);
    estate.put(RESOURCES, &before);
    assert_eq!(command(&estate, &[]).0, 0);
    assert_eq!(finance.told("payroll", "/headers").await, let_in());
}

#[tokio::test]
async fn a_share_of_the_sessions_may_be_shut_out_and_no_more() {
    let estate = guarded("{ max_sessions_denied: 50% }");
    let mut finance = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    finance.open("payroll", "/headers").await;
    let _employee = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    // Both were let into the wiki; the employee has no device.
    let open = estate.read(RESOURCES);
    estate.put(RESOURCES, &open.replacen("hosts: [wiki.localhost]", "hosts: [login2.localhost]", 1));
    let (status, problem) = call(&estate, "{}");
    assert_eq!((status, &problem["shut_out"]["sessions_denied"]), (409, &2.into()), "{problem}");
    let people = problem["shut_out"]["people"].as_array().unwrap();
    assert_eq!(people.len(), 2);
    assert_eq!(people[0]["lost"], json!([{ "resource": "wiki", "reason": "no_route" }]), "{problem}");
    // One of two is half of them.
    estate.put(RESOURCES, &open.replacen("tier: open", "tier: high", 1));
    let (status, body) = call(&estate, "{}");
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn a_mistake_in_the_guard_and_a_process_that_is_not_there_are_told() {
    let estate = guarded("{ protect: [finance] }");
    estate.rewrite("tiergate.yaml", "protect: [finance]", "protect: [finanse]");
    let (code, out, _) = command(&estate, &[]);
    assert!(code == 1 && out.contains("did you mean `finance`?") && out.contains("C0108"), "{code} {out}");
    // A group that goes away in the same push is still one of the running policy.
    estate.rewrite("tiergate.yaml", "protect: [finanse]", "protect: [finance]");
    assert_eq!(command(&estate, &[]).0, 0);

    let token = estate.read("admin.token");
    estate.put("other.token", "another-token-of-some-length\n");
    let config = estate.read("tiergate.yaml");
    for (what, changed, says) in [
        ("another token", config.replace("file: admin.token", "file: other.token"), "missing or wrong"),
        ("no token file", config.replace("file: admin.token", "file: no.token"), "cannot be read"),
        ("no token", config.replace("admin: { token: { file: admin.token } }\n", ""), "no `admin.token`"),
        (
            "another port",
            config.replace(&format!("127.0.0.1:{}", estate.admin), "127.0.0.1:1"),
            "did not answer",
        ),
        ("a mistake", config.replace("sessions:", "sesions:"), "did you mean"),
    ] {
        estate.put("other.yaml", &changed);
        let path = estate.at("other.yaml").display().to_string();
        let output = run(&mut tiergate(&["reload", "--config", &path]));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(said.contains(says) && !said.contains(token.trim()), "{what}: {said}");
    }
}
