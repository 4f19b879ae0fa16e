//! The pull of a device management: what it says counts within the next pull, and its silence closes `high`.

mod support;

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use support::process::{Process, admin_get};
use support::visitor::{Visitor, let_in, refused};
use support::wait::until;
use support::websocket::WebSocket;
use support::{Device, Estate, Recorder};

const FINANCE: &str = "finance@corp.example";

/// A device management with one device, of which a test says what is known.
struct Mdm {
    recorder: Recorder,
    device: String,
    says: Arc<Mutex<Option<Value>>>,
}

impl Mdm {
    async fn start(device: &str) -> Self {
        let says = Arc::new(Mutex::new(Some(json!([{ "id": device }]))));
        let recorder = Recorder::start().await;
        let answer = Arc::clone(&says);
        recorder.answer_with(move |_| {
            let (status, body) = match &*answer.lock().unwrap() {
                Some(list) => ("200 OK", list.to_string()),
                None => ("500 Internal Server Error", "{}".to_owned()),
            };
            let length = body.len();
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
                .into_bytes()
        });
        Self { recorder, device: device.to_owned(), says }
    }

    /// From now on this is what it knows of the device.
    fn says(&self, fields: Value) {
        let mut device = json!({ "id": self.device });
        device.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        *self.says.lock().unwrap() = Some(json!([device]));
    }

    fn answers_with(&self, list: Option<Value>) {
        *self.says.lock().unwrap() = list;
    }

    /// Has it asked once a second, and the tier `high` closed once what it said is so old.
    fn configure(&self, estate: &Estate, high: &str) {
        estate.write("mdm.token", "the-token");
        estate.edit("tiergate.yaml", |config| {
            config["devices"]["evidence"] = json!({ "inventory": { "max_age": { "high": high } } });
            config["devices"]["sync"] = json!({
                "url": format!("http://{}/devices", self.recorder.address),
                "token": { "file": "mdm.token" },
                "interval": "1s",
                "map": { "id": "/id", "state": "/state", "ownership": { "at": "/kind", "values": { "byod": "personal" } } },
            });
        });
        estate.reload();
    }
}

/// The name that the demo's issued device has.
fn device_of(estate: &Estate) -> String {
    let events = estate.audit();
    events.iter().rev().find_map(|event| event["device"].as_str().map(str::to_owned)).unwrap()
}

fn readiness(estate: &Estate, check: &str) -> Value {
    let text = admin_get(estate.admin, "/readyz").unwrap();
    let answer: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
    let checks = answer["checks"].as_array().unwrap();
    checks.iter().find(|it| it["name"] == check).unwrap_or_else(|| panic!("{text}")).clone()
}

#[tokio::test]
async fn what_the_management_says_of_a_device_counts_from_the_next_pull_on() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    for host in ["tickets", "payroll"] {
        assert_eq!(browser.open(host, "/headers").await.status, 200, "{host}");
    }
    let mdm = Mdm::start(&device_of(&estate)).await;
    mdm.configure(&estate, "1h");
    until("the first pull", async || browser.told("payroll", "/headers").await == let_in()).await;
    // With what the estate's own file knows.
    assert!(estate.metric("tiergate_inventory_devices", &[]) >= 1.0);
    assert!(estate.metric("tiergate_inventory_sync_total", &[]) >= 1.0);
    let seen = mdm.recorder.requests();
    assert_eq!(
        (seen[0].target.as_str(), seen[0].header("authorization")),
        ("/devices", Some("Bearer the-token"))
    );

    let cookies = browser.cookie_header("wiki.localhost");
    let mut socket = WebSocket::open(&estate, Device::Issued, "wiki.localhost", &cookies).await.unwrap();
    assert!(socket.echoes().await);
    mdm.says(json!({ "state": "lost" }));
    let inactive = refused(403, "device_inactive");
    until("it is out", async || browser.told("payroll", "/headers").await == inactive).await;
    for host in ["wiki", "tickets"] {
        assert_eq!(browser.told(host, "/headers").await, inactive, "{host}");
    }
    socket.ends().await;

    mdm.says(json!({ "kind": "byod" }));
    until("it is somebody's own", async || browser.told("tickets", "/headers").await == let_in()).await;
    assert_eq!(browser.told("payroll", "/headers").await, refused(403, "device_not_issued"));
    // An empty list is not believed.
    mdm.answers_with(Some(json!([])));
    until("it is told", async || {
        let check = readiness(&estate, "device_sync");
        check["message"].as_str().is_some_and(|it| it.contains("no device whose identity can be read"))
    })
    .await;
    assert_eq!(browser.told("payroll", "/headers").await.0, 403);
    // Nobody is asked any more.
    estate.edit("tiergate.yaml", |config| _ = config["devices"].as_object_mut().unwrap().remove("sync"));
    until("it is forgotten", async || browser.told("payroll", "/headers").await == let_in()).await;
    assert_eq!(readiness(&estate, "device_sync")["level"], "ok");

    // A restart while the management is away forgets nothing.
    mdm.says(json!({ "state": "lost" }));
    mdm.configure(&estate, "1h");
    until("it is out again", async || browser.told("payroll", "/headers").await == inactive).await;
    mdm.answers_with(None);
    let _again = Process::after_crash(&estate).await;
    assert_eq!(browser.told("wiki", "/headers").await, inactive);
    until("it fails", async || readiness(&estate, "device_sync")["level"] == "warning").await;
}

#[tokio::test]
async fn a_management_that_is_down_closes_high_after_its_time_and_low_stays_open() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    for host in ["tickets", "payroll"] {
        assert_eq!(browser.open(host, "/headers").await.status, 200, "{host}");
    }
    let mdm = Mdm::start(&device_of(&estate)).await;
    let stale = refused(503, "evidence_stale");
    // Never pulled is as old as can be.
    mdm.answers_with(None);
    mdm.configure(&estate, "5s");
    until("nothing was ever pulled", async || browser.told("payroll", "/headers").await == stale).await;
    assert_eq!(browser.told("tickets", "/headers").await, let_in());
    assert!(estate.metric("tiergate_evidence_age_seconds", &["source=\"inventory\""]) > 1e9);

    mdm.says(json!({}));
    until("it is pulled", async || browser.told("payroll", "/headers").await == let_in()).await;
    until("it is well", async || readiness(&estate, "device_sync")["level"] == "ok").await;

    mdm.answers_with(None);
    until("it is too old", async || browser.told("payroll", "/headers").await == stale).await;
    assert_eq!(browser.told("tickets", "/headers").await, let_in());
    assert_eq!(readiness(&estate, "evidence")["level"], "warning");
    let sync = readiness(&estate, "device_sync");
    assert!(sync["message"].as_str().unwrap().ends_with("the answer has status 500"), "{sync}");
    assert!(estate.metric("tiergate_inventory_sync_total", &["result=\"failed\""]) >= 1.0);
    assert!(!estate.words().contains("the-token"));

    mdm.says(json!({}));
    until("it is back", async || browser.told("payroll", "/headers").await == let_in()).await;
}
