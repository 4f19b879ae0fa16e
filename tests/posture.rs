//! What a tier asks of a device beside its trust, end to end: each lack with its reason and its remedy, and
//! what grows old is too old at that moment, on open connections too.

mod support;

use serde_json::Value;
use std::time::{Duration, SystemTime};
use support::process::admin_get;
use support::visitor::{Visitor, refused};
use support::wait::until;
use support::websocket::WebSocket;
use support::{Device, Estate};

const ADMIN: &str = "admin@corp.example";
const FINANCE: &str = "finance@corp.example";
const POSTURE: &str = "version: 1
posture:
  low: { require: [disk_encrypted] }
  high: { max_checkin_age: 1h, require: [disk_encrypted, firewall], min_os: { macos: '14.6' }, owner: must_match }
";

/// What the inventory says of the issued device: its system, when it was seen, and what holds.
fn record(estate: &Estate, version: &str, seen: time::OffsetDateTime, firewall: bool) {
    let seen = seen.format(&time::format_description::well_known::Rfc3339).unwrap();
    let text = format!(
        "version: 1
devices:
  - id: issued
    owner: {FINANCE}
    platform: macos
    os_version: '{version}'
    last_checkin: '{seen}'
    posture: {{ disk_encrypted: true, firewall: {firewall} }}
"
    );
    estate.put("inventory.yaml", &text);
    estate.reload();
}

#[tokio::test]
async fn each_lack_has_its_reason_and_its_remedy() {
    let estate = Estate::start();
    let mut finance = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    let mut admin = Visitor::signed_in(&estate, Device::Issued, ADMIN).await;
    let mut enrolled = Visitor::signed_in(&estate, Device::Enrolled, FINANCE).await;
    for browser in [&mut finance, &mut admin] {
        assert_eq!(browser.open("payroll", "/headers").await.status, 200);
    }
    finance.open("tickets", "/headers").await;
    enrolled.open("tickets", "/headers").await;
    estate.put("policies/posture.yaml", POSTURE);
    let now = time::OffsetDateTime::now_utc();
    record(&estate, "14.2", now, false);

    assert_eq!(finance.told("payroll", "/headers").await, refused(403, "posture_failed"));
    let page = finance.open("payroll", "/headers").await;
    let lacks = ["<li>Turn on the firewall.</li>", "<li>Update macOS to 14.6 or later: you have 14.2.</li>"];
    for lack in lacks {
        assert!(page.status == 403 && page.body.contains(lack), "{lack}: {page:?}");
    }
    let home = finance.open("wiki", "/.tiergate/").await;
    for said in lacks.iter().copied().chain(["macOS 14.2", "Not enough for the high tier", "Given to"]) {
        assert!(home.body.contains(said), "{said}: {home:?}");
    }
    assert_eq!(finance.told("tickets", "/headers").await.0, 200, "the low tier asks for less");
    // The inventory knows nothing of this one.
    assert_eq!(enrolled.told("tickets", "/headers").await, refused(403, "device_unknown"));
    let event = estate.audit().into_iter().rev().find(|event| event["reason"] == "posture_failed").unwrap();
    assert!(event["rule"].as_str().unwrap().contains("posture.yaml:4"), "{event}");
    assert_eq!((&event["device"], &event["device_trust"]), (&"issued".into(), &"issued".into()), "{event}");

    record(&estate, "14.6.1", now, true);
    assert_eq!(finance.told("payroll", "/headers").await.0, 200);
    assert_eq!(admin.told("payroll", "/headers").await, refused(403, "device_not_owned"));
}

#[tokio::test]
async fn a_device_that_was_not_seen_for_too_long_is_out_at_that_moment() {
    let estate = Estate::start();
    let mut finance = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    finance.open("payroll", "/headers").await;
    estate.put("policies/posture.yaml", POSTURE);
    // Long enough to open a WebSocket on a busy machine, and soon over.
    let seen = time::OffsetDateTime::now_utc() - time::Duration::hours(1) + time::Duration::seconds(8);
    record(&estate, "14.6", seen, true);
    let cookies = finance.cookie_header("payroll.localhost");
    let mut socket = WebSocket::open(&estate, Device::Issued, "payroll.localhost", &cookies).await.unwrap();
    assert!(socket.echoes().await);
    assert_eq!(finance.told("payroll", "/headers").await.0, 200);

    socket.ends().await;
    assert_eq!(finance.told("payroll", "/headers").await, refused(403, "posture_stale"));
    let page = finance.open("payroll", "/headers").await;
    assert!(page.body.contains("it must every 60 minutes"), "{page:?}");
    // It checks in again.
    record(&estate, "14.6", time::OffsetDateTime::now_utc(), true);
    assert_eq!(finance.told("payroll", "/headers").await.0, 200);
}

#[tokio::test]
async fn an_inventory_that_is_too_old_closes_the_tiers_that_may_not_use_it_and_is_shown() {
    let estate = Estate::start();
    let mut finance = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    for host in ["wiki", "tickets", "payroll"] {
        finance.open(host, "/headers").await;
    }
    let age = |hours: u64| {
        let file = std::fs::File::options().write(true).open(estate.at("inventory.yaml")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(hours)).unwrap();
    };
    let check = || {
        let answer = admin_get(estate.admin, "/readyz").unwrap();
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let checks = body["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "evidence").unwrap().clone()
    };
    assert_eq!(check()["level"], "ok");
    let evidence = "  evidence: { inventory: { max_age: { high: 24h, low: 7d } } }\n";
    estate.rewrite("tiergate.yaml", "devices:\n", &format!("devices:\n{evidence}"));
    age(25);
    estate.reload();
    assert_eq!(finance.told("payroll", "/headers").await, refused(503, "evidence_stale"));
    for host in ["tickets", "wiki"] {
        assert_eq!(finance.told(host, "/headers").await.0, 200, "{host}");
    }
    assert_eq!(check()["level"], "warning");
    assert!(check()["message"].as_str().unwrap().contains("the inventory"));
    assert!(estate.metric("tiergate_evidence_age_seconds", &["source=\"inventory\""]) > 24.0 * 3600.0);

    age(8 * 24);
    estate.reload();
    assert_eq!(finance.told("tickets", "/headers").await, refused(503, "evidence_stale"));
    assert_eq!(finance.told("wiki", "/headers").await.0, 200);

    // Only shown, where that is what is wanted.
    estate.rewrite("tiergate.yaml", "low: 7d } }", "low: 7d }, on_stale: allow }");
    estate.reload();
    assert_eq!(finance.told("payroll", "/headers").await.0, 200);
    assert_eq!(check()["level"], "warning");

    // Written anew, it is fresh, and that is seen without anybody asking for a reload.
    estate.rewrite("tiergate.yaml", ", on_stale: allow", "");
    estate.reload();
    assert_eq!(finance.told("payroll", "/headers").await, refused(503, "evidence_stale"));
    estate.put("inventory.yaml", &estate.read("inventory.yaml"));
    until("the fresh inventory counts", async || finance.told("payroll", "/headers").await.0 == 200).await;
}
