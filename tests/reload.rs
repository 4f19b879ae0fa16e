//! Changes while it runs: all of one or none of it, at once, and without losing a request.

mod support;

use reqwest::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use support::process::{admin_call, admin_get, signal};
use support::raw::Talk;
use support::visitor::Visitor;
use support::wait::{soon, until};
use support::{Device, Estate, Tls};

const EMPLOYEE: &str = "employee@corp.example";
const FINANCE: &str = "finance@corp.example";
const RESOURCES: &str = "policies/resources.yaml";

/// Whether the last load was good, by the metric.
fn is_good(estate: &Estate) -> bool {
    estate.metric("tiergate_config_last_reload_successful", &[]) > 0.0
}

fn readiness(estate: &Estate) -> String {
    admin_get(estate.admin, "/readyz").unwrap()
}

#[tokio::test]
async fn a_broken_change_keeps_the_last_good_state_and_says_where() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    browser.open("payroll", "/headers").await;
    let resources = estate.read(RESOURCES);
    let users = estate.read("users.yaml");
    let config = estate.read("tiergate.yaml");
    let line_of = |text: &str, part: &str| 1 + text.lines().position(|line| line.contains(part)).unwrap();
    let wiki = line_of(&resources, "hosts: [wiki.localhost]");
    let edited = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Some(text.replacen(from, to, 1))
    };
    let group = line_of(&resources, "groups: [finance, admins]");
    let mut wrong = Vec::new();
    for (what, file, content, place) in [
        (
            "no YAML",
            RESOURCES,
            edited(&resources, "hosts: [wiki.localhost]", "hosts: [wiki.localhost"),
            format!("{RESOURCES}:"),
        ),
        (
            "an unknown key",
            RESOURCES,
            edited(&resources, "hosts: [wiki.localhost]", "hsots: [wiki.localhost]"),
            format!("{RESOURCES}:{wiki}"),
        ),
        (
            "an unknown group",
            RESOURCES,
            edited(&resources, "[finance, admins]", "[finanse, admins]"),
            format!("{RESOURCES}:{group}"),
        ),
        (
            "an unknown upstream",
            RESOURCES,
            edited(&resources, "upstream: demo", "upstream: dmeo"),
            format!("{RESOURCES}:"),
        ),
        (
            "a duplicate key",
            RESOURCES,
            edited(&resources, "tier: open", "tier: open\n    tier: low"),
            format!("{RESOURCES}:"),
        ),
        (
            "an unknown tier",
            RESOURCES,
            edited(&resources, "tier: open", "tier: opne"),
            format!("{RESOURCES}:"),
        ),
        ("no tier", RESOURCES, edited(&resources, "    tier: open\n", ""), format!("{RESOURCES}:")),
        ("a tab", RESOURCES, edited(&resources, "    tier: open", "\ttier: open"), format!("{RESOURCES}:")),
        (
            "half of the file",
            RESOURCES,
            Some(resources[..resources.find("allow:").unwrap() + 3].to_owned()),
            format!("{RESOURCES}:"),
        ),
        ("an empty file", RESOURCES, Some(String::new()), RESOURCES.to_owned()),
        ("nobody's users", "users.yaml", None, "users.yaml".to_owned()),
        (
            "a user's unknown key",
            "users.yaml",
            edited(&users, "    groups:", "    gruops:"),
            format!("users.yaml:{}:5\n", line_of(&users, "    groups:")),
        ),
        (
            "a user's hash that is none",
            "users.yaml",
            edited(&users, "$argon2id$", "$argon2ix$"),
            format!("users.yaml:{}:15\n", line_of(&users, "$argon2id$")),
        ),
        ("no revocation list", "certs/corporate.crl", None, "corporate.crl".to_owned()),
        (
            "a list that is none",
            "certs/corporate.crl",
            Some("garbage".to_owned()),
            "corporate.crl".to_owned(),
        ),
        (
            "another authority's list",
            "certs/corporate.crl",
            Some(estate.read("certs/mdm.crl")),
            "corporate.crl".to_owned(),
        ),
        (
            "another certificate's key",
            "certs/server.key",
            Some(estate.read("certs/issued.key")),
            "certs/server.pem`; write both files anew".to_owned(),
        ),
        ("no key", "certs/server.key", Some("garbage".to_owned()), "server.key".to_owned()),
        ("no certificate", "certs/server.pem", Some("garbage".to_owned()), "server.pem".to_owned()),
        ("no authority", "certs/mdm-ca.pem", None, "mdm-ca.pem".to_owned()),
        (
            "an unknown key of ours",
            "tiergate.yaml",
            edited(&config, "sessions:", "sesions:"),
            format!("tiergate.yaml:{}:1\n", line_of(&config, "sessions:")),
        ),
        ("no configuration", "tiergate.yaml", None, "tiergate.yaml".to_owned()),
        (
            "not ours",
            "tiergate.yaml",
            edited(&config, "grants: issued", "grants: isued"),
            "tiergate.yaml:".to_owned(),
        ),
    ] {
        let before = estate.read(file);
        let said = estate.words().len();
        match content {
            Some(text) => estate.put(file, &text),
            None => std::fs::remove_file(estate.at(file)).unwrap(),
        }
        // Nobody tells tiergate: it watches.
        if soon(async || !is_good(&estate)).await {
            let ready = readiness(&estate);
            assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("warning"), "{what}: {ready}");
            until(&format!("{what}: it is logged"), async || estate.words().len() > said).await;
            let words = &estate.words()[said..];
            assert!(!words.contains("$argon2"), "{what}: a hash is in the log:\n{words}");
            if !words.contains(&place) {
                wrong.push(format!("{what}: {place} is not named in:\n{words}"));
            }
        } else {
            wrong.push(format!("{what}: it was taken"));
        }
        // Decided as before, by everything that was good.
        for (host, want) in [("wiki", 200), ("payroll", 200)] {
            let answer = browser.fetch(Method::GET, host, "/headers").await;
            assert_eq!(answer.status, want, "{what}: {host} {answer:?}");
        }
        let mut stranger = Visitor::new(&estate, Device::None);
        assert_eq!(stranger.fetch(Method::GET, "payroll", "/headers").await.status, 401, "{what}");

        estate.put(file, &before);
        until(&format!("{what}: repaired"), async || is_good(&estate)).await;
        assert!(!readiness(&estate).contains("\"warning\""), "{what}: {}", readiness(&estate));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let failed = estate
        .audit()
        .iter()
        .filter(|event| event["kind"] == "reload" && event["decision"] == "deny")
        .count();
    assert!(failed > 0, "refused loads are in the audit log");
}

#[tokio::test]
async fn a_good_change_counts_by_watching_by_signal_and_by_call() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let generation = || estate.metric("tiergate_policy_generation", &[]);
    let reloads = || estate.audit().iter().filter(|event| event["kind"] == "reload").count();
    let told = async |browser: &mut Visitor| {
        let answer = browser.fetch(Method::GET, "wiki", "/headers").await;
        (answer.status, answer.reason())
    };

    // By watching: an editor's save, and a save in place.
    let before = generation();
    estate.rewrite(RESOURCES, "tier: open", "tier: low");
    until("the tier is tightened", async || told(&mut browser).await == (403, "device_required".into()))
        .await;
    assert!(generation() > before, "the generation counts up");
    let open = estate.read(RESOURCES).replacen("tier: low", "tier: open", 1);
    std::fs::write(estate.at(RESOURCES), open).unwrap();
    until("and loosened", async || told(&mut browser).await.0 == 200).await;
    // A new file, and its end.
    estate.put(
        "policies/more.yaml",
        "version: 1\nresources:\n  - { name: more, tier: open, hosts: [localhost], upstream: demo }\n",
    );
    until("a new file counts", async || estate.metric("tiergate_policy_generation", &[]) > before + 2.0)
        .await;
    std::fs::remove_file(estate.at("policies/more.yaml")).unwrap();
    until("its end counts", async || estate.metric("tiergate_policy_generation", &[]) > before + 3.0).await;

    // By signal.
    let (loads, generations) = (reloads(), generation());
    signal(estate.pid(), "HUP");
    until("SIGHUP loads", async || reloads() > loads && generation() >= generations).await;

    // By call.
    let (status, body) = estate.try_reload();
    assert_eq!(status, 200, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(answer["generation"].as_f64().is_some_and(|it| it >= generations), "{body}");
    let token = estate.read("admin.token").trim().to_owned();
    let mut half = token.clone();
    half.truncate(token.len() / 2);
    for (what, authorization) in [
        ("no token", String::new()),
        ("half of it", format!("Authorization: Bearer {half}\r\n")),
        ("more than it", format!("Authorization: Bearer {token}x\r\n")),
        ("another scheme", format!("Authorization: Basic {token}\r\n")),
        ("an empty one", "Authorization: Bearer \r\n".to_owned()),
        ("two", format!("Authorization: Bearer {token}\r\nAuthorization: Bearer x\r\n")),
    ] {
        let answer = admin_call(
            estate.admin,
            &format!(
                "POST /api/v1/reload HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{authorization}Content-Length: 0\r\nConnection: close\r\n\r\n",
                estate.admin
            ),
        );
        assert!(
            answer.as_ref().is_some_and(|answer| answer.starts_with("HTTP/1.1 401")),
            "{what}: {answer:?}"
        );
    }
    let get = admin_call(
        estate.admin,
        &format!(
            "GET /api/v1/reload HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n",
            estate.admin
        ),
    );
    assert!(get.as_ref().is_some_and(|answer| answer.starts_with("HTTP/1.1 405")), "{get:?}");

    // What is wrong is said to whoever calls.
    estate.rewrite(RESOURCES, "tier: open", "teir: open");
    let line = 1 + estate.read(RESOURCES).lines().position(|line| line.contains("teir")).unwrap();
    let (status, body) = estate.try_reload();
    assert_eq!(status, 422, "{body}");
    assert!(
        body.contains(&format!("resources.yaml:{line}"))
            && body.contains("`teir`")
            && body.contains("`tier`"),
        "{body}"
    );
    assert_eq!(told(&mut browser).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs minutes: make e2e"]
async fn a_hundred_reloads_under_a_hundred_thousand_requests_fail_none_and_leak_nothing() {
    const REQUESTS: u64 = 100_000;
    let estate = Arc::new(Estate::start());
    let browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    let cookies = Arc::new(browser.cookie_header("wiki.localhost"));
    let config = Arc::new(estate.tls(Device::Issued, Tls::H1));
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut lines = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (estate, cookies, config) = (Arc::clone(&estate), Arc::clone(&cookies), Arc::clone(&config));
        let (done, stop) = (Arc::clone(&done), Arc::clone(&stop));
        lines.spawn(async move {
            let connect = async || Talk::new(estate.try_connect("wiki.localhost", &config).await.unwrap());
            let mut talk = connect().await;
            let head = format!(
                "GET /bytes/64 HTTP/1.1\r\nHost: wiki.localhost:{}\r\nCookie: {cookies}\r\n\r\n",
                estate.port
            );
            while !stop.load(Ordering::Relaxed) {
                talk.write(head.as_bytes()).await.unwrap();
                let answer = talk.answer("GET").await.expect("the connection broke");
                assert_eq!(answer.status, 200, "{answer:?}");
                assert_eq!(answer.body.len(), 64);
                done.fetch_add(1, Ordering::Relaxed);
                if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                    talk = connect().await;
                }
            }
        });
    }
    // Two policies by turns; both let these requests in.
    let (a, b) = (estate.read(RESOURCES), estate.read(RESOURCES).replacen("tier: open", "tier: high", 1));
    let mut resident: Vec<u64> = Vec::new();
    let mut steady = false;
    // What else the machine does can make memory step up once. A leak grows in every window.
    for (from, reloads) in [(30, 100), (90, 50), (140, 50)] {
        for _ in 0..reloads {
            let nth = resident.len() + 1;
            estate.put(RESOURCES, if nth.is_multiple_of(2) { &a } else { &b });
            let (status, body) = estate.try_reload();
            assert_eq!(status, 200, "{body}");
            let due = REQUESTS / 100 * u64::try_from(nth).unwrap();
            while done.load(Ordering::Relaxed) < due {
                if let Some(ended) = lines.try_join_next() {
                    ended.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            resident.push(estate.resident());
        }
        let warm: &u64 = resident[from..from + 10].iter().max().unwrap();
        let end = resident[resident.len() - 10..].iter().min().unwrap();
        println!("resident {warm} after {} reloads, {end} after {}", from + 10, resident.len());
        steady = *end < warm + warm / 10;
        if steady {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = lines.join_next().await {
        ended.unwrap();
    }
    println!("{} requests, {} reloads", done.load(Ordering::Relaxed), resident.len());
    assert!(steady, "memory grows: {resident:?}");
    assert_eq!(estate.metric("tiergate_requests_total", &["code=\"5xx\""]), 0.0);
    // Each request was judged by one policy, wholly: under one generation there is one tier.
    let mut judged: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for event in estate.decisions().iter().filter(|event| event["path"] == "/bytes/64") {
        assert_eq!(event["decision"], "allow", "{event}");
        judged.entry(event["policy"].as_u64().unwrap()).or_default().insert(event["tier"].to_string());
    }
    assert!(judged.len() >= 100, "{judged:?}");
    assert!(judged.values().all(|tiers| tiers.len() == 1), "{judged:?}");
    assert_eq!(judged.values().flatten().collect::<BTreeSet<_>>().len(), 2, "{judged:?}");
}

#[tokio::test]
async fn no_change_is_missed_however_it_is_made() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let mut becomes = async |what: &str, tight: bool| {
        let want = if tight { (403, "device_required".to_owned()) } else { (200, String::new()) };
        until(what, async || browser.told("wiki", "/headers").await == want).await;
    };
    let open = estate.read(RESOURCES);
    let high = open.replacen("tier: open", "tier: high", 1);

    // In place, of the same size, and with the old time put back, as some tools that copy do.
    let path = estate.at(RESOURCES);
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(&path, &high).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    becomes("a change that keeps size and time counts", true).await;

    // A folder that is a link, swapped for another as a whole.
    for (name, text) in [("one", &open), ("two", &high)] {
        std::fs::create_dir(estate.at(name)).unwrap();
        std::fs::copy(estate.at("policies/groups.yaml"), estate.at(&format!("{name}/groups.yaml"))).unwrap();
        std::fs::write(estate.at(&format!("{name}/resources.yaml")), text).unwrap();
    }
    std::os::unix::fs::symlink("one", estate.at("link")).unwrap();
    estate.rewrite("tiergate.yaml", "policies: policies/", "policies: link");
    becomes("the linked folder counts", false).await;
    std::os::unix::fs::symlink("two", estate.at("next")).unwrap();
    std::fs::rename(estate.at("next"), estate.at("link")).unwrap();
    becomes("the folder that the link leads to now counts", true).await;
}

#[tokio::test]
async fn a_file_that_only_a_refused_configuration_names_is_looked_at_too() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let open = estate.read(RESOURCES);
    std::fs::create_dir(estate.at("next")).unwrap();
    std::fs::copy(estate.at("policies/groups.yaml"), estate.at("next/groups.yaml")).unwrap();
    estate.put("next/resources.yaml", &open.replacen("tier: open", "teir: open", 1));
    estate.rewrite("tiergate.yaml", "policies: policies/", "policies: next/");
    let refused = async || estate.metric("tiergate_config_last_reload_successful", &[]) == 0.0;
    until("the new folder is refused", refused).await;
    let events = || {
        let all = estate.audit();
        all.iter().filter(|event| event["kind"] == "reload" && event["decision"] == "deny").count()
    };
    assert_eq!(browser.told("wiki", "/headers").await.0, 200, "the last good state goes on");
    estate.put("next/resources.yaml", &open.replacen("tier: open", "tier: high", 1));
    let want = (403, "device_required".to_owned());
    until("what was mended is loaded", async || browser.told("wiki", "/headers").await == want).await;
    assert_eq!(events(), 1, "the same files are refused once");
}

#[tokio::test]
async fn a_change_during_a_load_is_not_missed() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    // Enough users that loading takes a while.
    let users = estate.read("users.yaml");
    let hash = users.lines().find_map(|line| line.trim().strip_prefix("password: ")).unwrap().to_owned();
    let many = (0..20_000)
        .map(|nth| format!("  \"user{nth}@corp.example\":\n    password: {hash}\n    groups: [employees]\n"));
    estate.put("users.yaml", &format!("{}\n{}", users.trim_end(), many.collect::<String>()));
    let began = std::time::Instant::now();
    estate.reload();
    let took = began.elapsed();
    println!("a load takes {took:?}");
    // The change comes at every part of the time that noticing and loading another takes.
    let rounds = 12_u32;
    let (open, low) = (estate.read(RESOURCES), estate.read(RESOURCES).replacen("tier: open", "tier: low", 1));
    for round in 0..rounds {
        estate.put(
            "policies/other.yaml",
            &format!("version: 1\ngroups: {{ other{round}: {{ any_of: [local:other] }} }}\n"),
        );
        tokio::time::sleep((Duration::from_millis(1200) + took) * (round + 1) / rounds).await;
        let tight = round % 2 == 0;
        estate.put(RESOURCES, if tight { &low } else { &open });
        let want = if tight { (403, "device_required".to_owned()) } else { (200, String::new()) };
        let seen = soon(async || browser.told("wiki", "/headers").await == want).await;
        assert!(seen, "the change of round {round} was never loaded");
    }
}

#[tokio::test]
async fn an_assertion_names_the_login_host_of_now() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    for host in ["login.localhost", "localhost"] {
        if host != "login.localhost" {
            estate.rewrite("tiergate.yaml", "login_host: login.localhost", &format!("login_host: {host}"));
            estate.reload();
        }
        let answer = browser.fetch(Method::GET, "wiki", "/headers").await;
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let headers = told["headers"].as_array().unwrap();
        let assertion = headers.iter().find(|header| header[0] == "x-tiergate-assertion").unwrap();
        let claims = assertion[1].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
        let claims =
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["iss"], format!("https://{host}"), "{claims}");
    }
}
