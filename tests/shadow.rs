//! A policy in shadow: it decides every request too, changes nothing, and ends by itself.

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use support::audit::Mark;
use support::process::admin_get;
use support::visitor::{Visitor, let_in};
use support::wait::until;
use support::{Device, Estate};

const CONTRACTOR: &str = "contractor@corp.example";
const EMPLOYEE: &str = "employee@corp.example";
const NEXT: &str = "next/resources.yaml";

/// Puts a copy of the policies beside them, in which contractors are denied the wiki.
fn write_next(estate: &Estate) {
    std::fs::create_dir(estate.at("next")).unwrap();
    std::fs::copy(estate.at("policies/groups.yaml"), estate.at("next/groups.yaml")).unwrap();
    let denied = "hosts: [wiki.localhost]\n    deny: [{ groups: [contractors] }]";
    let text = estate.read("policies/resources.yaml").replacen("hosts: [wiki.localhost]", denied, 1);
    estate.put(NEXT, &text);
}

/// Runs it in shadow until a time.
fn rehearse(estate: &Estate, end: &str) {
    let config = estate.read("tiergate.yaml");
    let config: String =
        config.lines().filter(|line| !line.starts_with("shadow:")).map(|line| format!("{line}\n")).collect();
    estate.put("tiergate.yaml", &format!("{config}shadow: {{ policies: next, until: \"{end}\" }}\n"));
    estate.reload();
}

/// The event of a request to the wiki that is made now, to a path of its own.
async fn event_of(estate: &Estate, visitor: &mut Visitor) -> Value {
    static NTH: AtomicUsize = AtomicUsize::new(0);
    let path = format!("/bytes/{}", NTH.fetch_add(1, Ordering::Relaxed));
    visitor.fetch(Method::GET, "wiki", &path).await;
    estate
        .decision_since(&Mark::default(), "the request's event", |event| event["path"] == path.as_str())
        .await
}

#[tokio::test]
async fn a_shadow_that_denies_contractors_shows_and_changes_nothing() {
    let estate = Estate::start();
    write_next(&estate);
    let mut contractor = Visitor::signed_in(&estate, Device::None, CONTRACTOR).await;
    let mut employee = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let mut stranger = Visitor::new(&estate, Device::None);
    let mut service = Visitor::new(&estate, Device::Service);
    assert_eq!(event_of(&estate, &mut contractor).await.get("shadow"), None, "no shadow runs yet");

    rehearse(&estate, "2999-12-31");
    assert!(estate.words().contains("in shadow") && estate.words().contains("3000-01-01T00:00:00Z"));
    assert_eq!(contractor.told("wiki", "/headers").await, let_in(), "the shadow changes nothing");
    assert_eq!(employee.told("wiki", "/headers").await, let_in());
    let line = 1 + estate
        .read(NEXT)
        .lines()
        .position(|line| line.contains("deny: [{ groups: [contractors] }]"))
        .unwrap();
    let event = event_of(&estate, &mut contractor).await;
    assert_eq!((&event["decision"], &event["reason"]), (&"allow".into(), &"allowed".into()), "{event}");
    assert_eq!(event["groups"], json!(["contractors"]), "{event}");
    assert_eq!(
        (&event["shadow"]["decision"], &event["shadow"]["reason"]),
        (&"deny".into(), &"denied_by_rule".into())
    );
    let rule = event["shadow"]["rule"].as_str().unwrap();
    assert!(rule.ends_with(&format!("{NEXT}:{line}")), "{rule}");
    for (who, visitor, live, shadow) in [
        ("an employee", &mut employee, "allow", json!({ "decision": "allow", "reason": "allowed" })),
        (
            "a stranger",
            &mut stranger,
            "challenge",
            json!({ "decision": "challenge", "reason": "not_signed_in" }),
        ),
        ("a service", &mut service, "deny", json!({ "decision": "deny", "reason": "service_not_listed" })),
    ] {
        let event = event_of(&estate, visitor).await;
        assert_eq!(event["decision"], live, "{who}: {event}");
        assert_eq!(event["shadow"], shadow, "{who}: {event}");
    }
    let counted = |labels: &[&str]| estate.metric("tiergate_shadow_decisions_total", labels);
    for (labels, want) in [
        (
            &[
                "live=\"allow\"",
                "shadow=\"deny\"",
                "reason=\"denied_by_rule\"",
                "resource=\"wiki\"",
                "tier=\"open\"",
            ][..],
            2.0,
        ),
        (&["live=\"allow\"", "shadow=\"allow\"", "resource=\"wiki\""], 2.0),
        (&["live=\"challenge\"", "shadow=\"challenge\"", "reason=\"not_signed_in\""], 1.0),
        (&["resource=\"none\""], 0.0),
    ] {
        assert_eq!(counted(labels), want, "{labels:?}\n{}", estate.metrics());
    }
    // tiergate's own pages are not decided by a policy.
    let mark = estate.mark();
    contractor.fetch(Method::GET, "wiki", "/.tiergate/jwks.json").await;
    let is_page = |event: &Value| event["path"] == "/.tiergate/jwks.json";
    let own = estate.decision_since(&mark, "the page's event", is_page).await;
    assert_eq!(own.get("shadow"), None, "{own}");

    // The folder is watched like the live one.
    let good = estate.read(NEXT);
    estate.put(NEXT, &good.replace("groups: [contractors]", "groups: [employees]"));
    let is_good = || estate.metric("tiergate_config_last_reload_successful", &[]) > 0.0;
    until("an unknown group in the shadow refuses the load", async || !is_good()).await;
    let ready = admin_get(estate.admin, "/readyz").unwrap();
    assert!(ready.contains("unknown group `employees`"), "{ready}");
    assert!(estate.words().contains(&format!("{NEXT}:{line}:")), "{}", estate.words());
    estate.put(NEXT, &good.replace("upstream: demo", "upstream: dmeo"));
    until("so does an unknown upstream", async || {
        admin_get(estate.admin, "/readyz").unwrap().contains("unknown upstream `dmeo`")
    })
    .await;
    estate.put(NEXT, &good.replace("    deny: [{ groups: [contractors] }]\n  ", "  "));
    until("a shadow that lets everybody in", async || {
        is_good() && event_of(&estate, &mut contractor).await["shadow"]["decision"] == "allow"
    })
    .await;
}

#[tokio::test]
async fn a_shadow_ends_by_itself() {
    let estate = Estate::start();
    write_next(&estate);
    let mut contractor = Visitor::signed_in(&estate, Device::None, CONTRACTOR).await;
    let end = time::OffsetDateTime::now_utc() + time::Duration::seconds(4);
    rehearse(&estate, &end.format(&time::format_description::well_known::Rfc3339).unwrap());
    let (mut shadowed, mut after) = (None, Value::Null);
    until("the shadow ends", async || {
        let event = event_of(&estate, &mut contractor).await;
        match event.get("shadow") {
            Some(_) => shadowed = Some(event["policy"].clone()),
            None => after = event["policy"].clone(),
        }
        !after.is_null()
    })
    .await;
    // On a machine so slow that a load came after the end, that load said so.
    if let Some(shadowed) = shadowed.filter(|_| !estate.words().contains("C0201")) {
        assert_eq!(shadowed, after, "nothing was loaded in between");
    }
    let counted = estate.metric("tiergate_shadow_decisions_total", &[]);
    assert_eq!(contractor.told("wiki", "/headers").await, let_in());
    assert_eq!(estate.metric("tiergate_shadow_decisions_total", &[]), counted, "it costs nothing any more");

    // One that has ended is a warning, and its folder is not read.
    std::fs::remove_dir_all(estate.at("next")).unwrap();
    rehearse(&estate, "2020-01-01");
    assert!(estate.words().contains("warning[C0201]"), "{}", estate.words());
    assert_eq!(event_of(&estate, &mut contractor).await.get("shadow"), None);
}
