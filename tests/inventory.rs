//! What the inventory says of a device counts at once, whoever says it: on the next request of every
//! connection, and on what is open already.

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use std::sync::Arc;
use support::process::{Process, admin_call, run, tiergate};
use support::raw::{Answer, Talk};
use support::visitor::{Visitor, let_in, refused};
use support::wait::until;
use support::websocket::WebSocket;
use support::{Device, Estate, Tls};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const FINANCE: &str = "finance@corp.example";
const HOSTS: [&str; 3] = ["wiki", "tickets", "payroll"];
const ISSUED: &str = "{ id: issued, ownership: corporate, state: active }";

/// `tiergate device` with these arguments: its code, stdout and stderr.
fn device(estate: &Estate, arguments: &[&str]) -> (i32, String, String) {
    let config = estate.at("tiergate.yaml").display().to_string();
    let Output { status, stdout, stderr } = run(tiergate(&["device", "--config", &config]).args(arguments));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The same, which must be done.
fn done(estate: &Estate, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = device(estate, arguments);
    assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?} {stdout}");
    stdout
}

/// A call to the API.
fn call(estate: &Estate, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = format!(
        "{method} /api/v1/devices{path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        estate.admin,
        estate.read("admin.token").trim(),
        body.len()
    );
    let answer = admin_call(estate.admin, &request).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// A connection that stays open, and one `GET` on it.
async fn get(
    talk: &mut Talk<TlsStream<TcpStream>>,
    estate: &Estate,
    host: &str,
    cookies: &str,
) -> (u16, String) {
    let head = format!("GET /headers HTTP/1.1\r\nHost: {host}:{}\r\nCookie: {cookies}\r\n\r\n", estate.port);
    talk.write(head.as_bytes()).await.unwrap();
    let Answer { status, body, .. } = talk.answer("GET").await.expect("an answer");
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, problem["reason"].as_str().unwrap_or_default().to_owned())
}

/// Finance on the issued device, with a cookie for every host.
async fn finance(estate: &Estate) -> Visitor {
    let mut browser = Visitor::signed_in(estate, Device::Issued, FINANCE).await;
    for host in HOSTS {
        assert_eq!(browser.open(host, "/headers").await.status, 200, "{host}");
    }
    browser
}

/// What a script is told at every tier, in the order of the tiers.
async fn at_every_tier(browser: &mut Visitor) -> Vec<(u16, String)> {
    let mut told = Vec::new();
    for host in HOSTS {
        told.push(browser.told(host, "/headers").await);
    }
    told
}

fn inactive() -> Vec<(u16, String)> {
    vec![refused(403, "device_inactive"); 3]
}

fn all_let_in() -> Vec<(u16, String)> {
    vec![let_in(); 3]
}

#[tokio::test]
async fn a_lost_device_is_out_at_every_tier_on_every_connection_until_it_is_active_again() {
    let estate = Estate::start();
    let mut browser = finance(&estate).await;
    let mut lines = Vec::new();
    for tls in [Tls::H1, Tls::H1_OVER_12] {
        for host in HOSTS.map(|host| format!("{host}.localhost")) {
            let config = Arc::new(estate.tls(Device::Issued, tls));
            let cookies = browser.cookie_header(&host);
            let mut kept = Talk::new(estate.try_connect(&host, &config).await.unwrap());
            assert_eq!(get(&mut kept, &estate, &host, &cookies).await.0, 200, "{host}");
            lines.push((host, cookies, config, kept));
        }
    }
    let cookies = browser.cookie_header("wiki.localhost");
    let mut socket = WebSocket::open(&estate, Device::Issued, "wiki.localhost", &cookies).await.unwrap();
    let cookies = browser.cookie_header("payroll.localhost");
    let high = WebSocket::open(&estate, Device::Issued, "payroll.localhost", &cookies).await.unwrap();
    let other = Visitor::signed_in(&estate, Device::Enrolled, FINANCE).await;
    let theirs = other.cookie_header("wiki.localhost");
    let mut kept_on = WebSocket::open(&estate, Device::Enrolled, "wiki.localhost", &theirs).await.unwrap();
    assert!(socket.echoes().await && kept_on.echoes().await);

    let told = done(&estate, &["set", "issued", "--state", "lost", "--reason", "left in a taxi"]);
    assert_eq!(told, "issued: lost, corporate, trusted at most issued, owner not said\n");
    // Not the next second's request: the next one. HTTP/2 first, on the connections that the browser has.
    assert_eq!(at_every_tier(&mut browser).await, inactive());
    for (host, cookies, config, kept) in &mut lines {
        assert_eq!(get(kept, &estate, host, cookies).await, refused(403, "device_inactive"), "{host}, kept");
        for _ in 0..2 {
            let stream = estate.try_connect(host, config).await.unwrap();
            let how = stream.get_ref().1.handshake_kind();
            let told = get(&mut Talk::new(stream), &estate, host, cookies).await;
            assert_eq!(told, refused(403, "device_inactive"), "{host} {how:?}");
        }
    }
    socket.ends().await;
    high.ends().await;
    assert!(kept_on.echoes().await, "another device goes on");
    assert!(estate.metric("tiergate_revocation_enforcement_seconds_count", &[]) >= 2.0);
    println!(
        "{} ends took {} s in all",
        estate.metric("tiergate_revocation_enforcement_seconds_count", &[]),
        estate.metric("tiergate_revocation_enforcement_seconds_sum", &[])
    );
    let page = browser.open("payroll", "/headers").await;
    assert!(page.status == 403 && page.body.contains("This device may not be used"), "{page:?}");

    let told = done(&estate, &["set", "issued", "--state", "active"]);
    assert!(told.starts_with("issued: active"), "{told}");
    assert_eq!(at_every_tier(&mut browser).await, all_let_in());

    // Somebody's own: low, and not high.
    done(&estate, &["set", "issued", "--ownership", "personal"]);
    assert_eq!(at_every_tier(&mut browser).await, [let_in(), let_in(), refused(403, "device_not_issued")]);
    done(&estate, &["set", "issued", "--unset", "ownership"]);
    assert_eq!(at_every_tier(&mut browser).await, all_let_in());

    // And never trusted more than it is told to be.
    done(&estate, &["set", "issued", "--trust", "none"]);
    let told = at_every_tier(&mut browser).await;
    assert_eq!((told[0].0, told[1].0, told[2].0), (200, 403, 403), "{told:?}");

    until("each change is in the audit log", async || {
        let events = estate.audit();
        let changes: Vec<&str> = events
            .iter()
            .filter(|event| event["kind"] == "device" && event["device"] == "issued")
            .filter_map(|event| event["comment"].as_str())
            .collect();
        changes
            == [
                "state - → lost; left in a taxi",
                "state lost → active",
                "ownership - → personal",
                "ownership personal → -",
                "trust - → none",
            ]
    })
    .await;
}

#[tokio::test]
async fn the_file_says_it_too_and_the_most_restrictive_counts() {
    let estate = Estate::start();
    let mut browser = finance(&estate).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let socket = WebSocket::open(&estate, Device::Issued, "wiki.localhost", &cookies).await.unwrap();
    for state in ["quarantined", "lost"] {
        let now = ISSUED.replace("active", state);
        estate.rewrite("inventory.yaml", ISSUED, &now);
        until("the file's change is in force", async || at_every_tier(&mut browser).await == inactive())
            .await;
        estate.rewrite("inventory.yaml", &now, ISSUED);
        until("it is taken back", async || at_every_tier(&mut browser).await == all_let_in()).await;
    }
    socket.ends().await;

    estate.rewrite("inventory.yaml", ISSUED, &ISSUED.replace("active", "lost"));
    until("it is lost", async || at_every_tier(&mut browser).await == inactive()).await;
    let told = done(&estate, &["set", "issued", "--state", "active"]);
    assert!(told.ends_with("still state lost: the file says so\n"), "{told}");
    assert_eq!(at_every_tier(&mut browser).await, inactive());

    // A mistake keeps what was: a device does not become active by a misspelt state.
    estate.rewrite("inventory.yaml", "state: lost", "state: lots");
    let (status, problem) = estate.try_reload();
    assert_eq!(status, 422, "{problem}");
    let problem: Value = serde_json::from_str(&problem).unwrap();
    let told = problem["diagnostics"].as_str().unwrap();
    assert!(told.contains("inventory.yaml:5:48") && told.contains("did you mean `lost`?"), "{told}");
    assert_eq!(at_every_tier(&mut browser).await, inactive());
    let config = estate.at("tiergate.yaml").display().to_string();
    let checked = run(&mut tiergate(&["check", "--config", &config]));
    let found = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(1), "{found}");
    assert!(found.contains("unknown state `lots`"), "{found}");

    // Nothing is said of it any more.
    estate.rewrite("inventory.yaml", &format!("  - {}\n", ISSUED.replace("active", "lots")), "");
    until("it is let in", async || at_every_tier(&mut browser).await == all_let_in()).await;
    until("the audit log tells of the file", async || {
        let told = |event: &Value| event["reason"] == "inventory_loaded" && event["device"] == "issued";
        estate.audit().iter().filter(|event| told(event)).count() >= 5
    })
    .await;
}

#[tokio::test]
async fn what_the_api_said_outlives_reloads_and_crashes_until_it_is_taken_back() {
    let estate = Estate::start();
    let mut browser = finance(&estate).await;
    let (status, known) =
        call(&estate, "PUT", "/issued", r#"{"state":"retired","owner":"finance@corp.example"}"#);
    assert_eq!((status, &known["device"]["state"]), (200, &json!("retired")));
    assert_eq!(
        known["sources"]["file"],
        json!({ "id": "issued", "ownership": "corporate", "state": "active" })
    );
    assert_eq!(at_every_tier(&mut browser).await, inactive());
    estate.reload();
    assert_eq!(at_every_tier(&mut browser).await, inactive());
    let _again = Process::after_crash(&estate).await;
    assert_eq!(at_every_tier(&mut browser).await, inactive());
    let (status, known) = call(&estate, "DELETE", "/issued", "");
    assert_eq!((status, &known["device"]["state"]), (200, &json!("active")));
    assert_eq!(at_every_tier(&mut browser).await, all_let_in());
}

#[tokio::test]
async fn devices_are_listed_imported_shown_and_revoked_from_the_command_line() {
    let estate = Estate::start();
    let mut browser = finance(&estate).await;
    assert_eq!(
        done(&estate, &["list"]),
        "enrolled\tactive\tcorporate\tissued\t-\nissued\tactive\tcorporate\tissued\t-\n"
    );
    // What is listed can be imported.
    let listed = done(&estate, &["list", "--format", "json"]);
    let devices: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(devices[1], json!({ "id": "issued", "ownership": "corporate", "state": "active" }));
    std::fs::write(estate.at("devices.json"), &listed).unwrap();
    let file = estate.at("devices.json").display().to_string();
    assert_eq!(done(&estate, &["import", &file]), "2 imported, 0 known differently\n");

    // More than one page, from standard input.
    let lines: String = (0..2500)
        .map(|at| format!("{{\"id\":\"laptop/{at:04}\",\"state\":\"lost\",\"owner\":\"Ann\"}}\n"))
        .collect();
    std::fs::write(estate.at("devices.ndjson"), lines).unwrap();
    let config = estate.at("tiergate.yaml").display().to_string();
    let mut piped = tiergate(&["device", "import", "-", "--config", &config]);
    let input = std::fs::File::open(estate.at("devices.ndjson")).unwrap();
    let output = run(piped.stdin(Stdio::from(input)));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "2500 imported, 2500 known differently\n");
    let lost = done(&estate, &["list", "--state", "lost", "--owner", "ann", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&lost).unwrap().len(), 2500);
    let shown = done(&estate, &["show", "laptop/0007", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["device"]["state"], "lost");

    // All of it or none of it.
    std::fs::write(estate.at("bad.ndjson"), "{\"id\":\"new\"}\n{\"id\":\"bad\",\"state\":\"gone\"}\n")
        .unwrap();
    let bad = estate.at("bad.ndjson").display().to_string();
    let (code, stdout, stderr) = device(&estate, &["import", &bad]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.starts_with("line 2: unknown state `gone`") && stderr.contains("nothing was changed"),
        "{stderr}"
    );
    assert_eq!(device(&estate, &["show", "new"]).0, 1);
    assert!(
        done(&estate, &["import", &bad, "--skip-bad-lines"])
            .ends_with("1 imported, 1 known differently, 1 skipped\n")
    );

    let told = done(&estate, &["revoke", "issued", "--reason", "sold"]);
    assert!(told.starts_with("issued: retired") && told.contains("refused at every tier"), "{told}");
    assert_eq!(at_every_tier(&mut browser).await, inactive());
    // Revoked is not less than lost.
    assert!(done(&estate, &["revoke", "laptop/0007"]).starts_with("laptop/0007: lost"));

    std::fs::write(estate.at("admin.token"), "0123456789abcdef0123456789abcdef").unwrap();
    assert!(done(&estate, &["show", "issued"]).contains("retired"), "a new token counts at once");
    let (code, _, stderr) = device(&estate, &["set", "issued", "--owner", ""]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("`owner` cannot be kept"), "{stderr}");
    let code = run(&mut tiergate(&["device", "list", "--config", "/nowhere/tiergate.yaml"])).status.code();
    assert_eq!(code, Some(2));
    // Its methods ask for the token like the rest of the API.
    let bare = format!(
        "GET /api/v1/devices HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
        estate.admin
    );
    assert!(admin_call(estate.admin, &bare).unwrap().starts_with("HTTP/1.1 401"));
    assert_eq!(browser.fetch(Method::GET, "wiki", "/headers").await.status, 403);
}

#[tokio::test]
async fn a_demo_of_before_there_was_an_inventory_runs_as_it_did() {
    let estate = Estate::start();
    let mut browser = finance(&estate).await;
    estate.rewrite("tiergate.yaml", "  inventory: { file: inventory.yaml }\n", "");
    std::fs::remove_file(estate.at("inventory.yaml")).unwrap();
    let _again = Process::after_crash(&estate).await;
    assert_eq!(at_every_tier(&mut browser).await, all_let_in());
    assert_eq!(done(&estate, &["list", "--format", "json"]), "[]\n");
}
