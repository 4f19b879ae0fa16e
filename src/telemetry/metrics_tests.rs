//! Tests of the metrics: names, labels, bounds, and what a reload removes.

use super::*;
use crate::access::Reason;
use crate::telemetry::Decided;
use std::io::Write;
use std::process::{Command, Stdio};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Counts one of everything.
fn busy() -> Metrics {
    let metrics = Metrics::new().unwrap();
    let tickets = metrics.for_resource("tickets", Tier::Low);
    for reason in Reason::ALL {
        for decided in [Decided::Allow, Decided::Deny, Decided::Challenge] {
            tickets.decision(decided, *reason, Duration::from_nanos(700));
            tickets.shadow(Decided::Allow, decided, *reason);
        }
    }
    for status in [101, 200, 302, 403, 503] {
        tickets.request(status, MILLISECOND);
        metrics.no_resource().request(status, MILLISECOND);
        metrics.for_upstream("tickets").answered(status);
    }
    metrics.for_upstream("tickets").failed();
    metrics.upstream_healthy("tickets", "10.0.1.10:8080", true);
    for version in [TlsVersion::V12, TlsVersion::V13, TlsVersion::None] {
        for result in
            [HandshakeResult::Ok, HandshakeResult::Timeout, HandshakeResult::Failed, HandshakeResult::Busy]
        {
            metrics.handshake(Handshake { version, result, device: DeviceTrust::Enrolled });
        }
    }
    for result in [LoginResult::Success, LoginResult::Refused, LoginResult::Throttled, LoginResult::Error] {
        metrics.login("workforce", result);
    }
    metrics.reload_succeeded(3, 1_700_000_000);
    metrics.certificates([("server", "wiki", 1_800_000_000), ("authority", "mdm", 1_900_000_000)]);
    metrics.evidence_ages([(EvidenceSource::Crl, MILLISECOND), (EvidenceSource::Jwks, MILLISECOND)]);
    for result in [SyncResult::Changed, SyncResult::Unchanged, SyncResult::Failed, SyncResult::Refused] {
        metrics.synced(result);
    }
    metrics.inventory_devices(12);
    metrics.revocation_enforced(MILLISECOND);
    metrics.sessions_active(7);
    metrics.audit_events.inc();
    metrics
}

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn every_metric_of_the_contract_is_rendered() {
    let text = busy().render();
    for line in [
        "tiergate_requests_total{code=\"4xx\",resource=\"tickets\",tier=\"low\"} 1",
        "tiergate_requests_total{code=\"4xx\",resource=\"none\",tier=\"none\"} 1",
        "tiergate_request_duration_seconds_count{resource=\"tickets\"} 5",
        "tiergate_decisions_total{decision=\"deny\",reason=\"device_not_issued\",resource=\"tickets\",tier=\"low\"} 1",
        "tiergate_shadow_decisions_total{live=\"allow\",reason=\"not_allowed\",resource=\"tickets\",shadow=\"deny\",tier=\"low\"} 1",
        "tiergate_decision_duration_seconds_bucket{le=\"0.000001\"} ",
        "tiergate_tls_handshakes_total{device=\"enrolled\",result=\"ok\",version=\"1.3\"} 1",
        "tiergate_logins_total{provider=\"workforce\",result=\"refused\"} 1",
        "tiergate_sessions_active 7",
        "tiergate_connections_active 0",
        "tiergate_upgraded_connections_active 0",
        "tiergate_upstream_requests_total{code=\"error\",upstream=\"tickets\"} 1",
        "tiergate_upstream_healthy{address=\"10.0.1.10:8080\",upstream=\"tickets\"} 1",
        "tiergate_config_last_reload_successful 1",
        "tiergate_config_last_reload_success_timestamp_seconds 1700000000",
        "tiergate_policy_generation 3",
        "tiergate_certificate_expiry_timestamp_seconds{kind=\"server\",name=\"wiki\"} 1800000000",
        "tiergate_evidence_age_seconds{source=\"crl\"} 0.001",
        "tiergate_inventory_sync_total{result=\"refused\"} 1",
        "tiergate_inventory_devices 12",
        "tiergate_audit_events_total 1",
        "tiergate_audit_queue_length 0",
        "tiergate_audit_failures_total 0",
        "tiergate_audit_available 0",
        "tiergate_revocation_enforcement_seconds_count 1",
        "tiergate_build_info{revision=",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_start_time_seconds ",
    ] {
        assert!(text.lines().any(|at| at.starts_with(line)), "{line} is missing in\n{text}");
    }
}

#[test]
fn a_guard_counts_for_as_long_as_it_lives() {
    let metrics = Metrics::new().unwrap();
    let guards = [metrics.connection(), metrics.connection()];
    assert!(metrics.render().contains("\ntiergate_connections_active 2\n"));
    drop(guards);
    assert!(metrics.render().contains("\ntiergate_connections_active 0\n"));
}

#[test]
fn a_reload_removes_the_series_of_what_is_gone_and_of_nothing_else() {
    let metrics = Metrics::new().unwrap();
    let old = metrics.for_resource("old", Tier::High);
    let tickets = metrics.for_resource("tickets", Tier::Low);
    let admin = metrics.for_resource("tickets", Tier::High);
    for counters in [&old, &tickets, &admin] {
        counters.request(200, MILLISECOND);
        counters.decision(Decided::Allow, Reason::Allowed, MILLISECOND);
        counters.shadow(Decided::Challenge, Decided::Deny, Reason::NotAllowed);
    }
    metrics.for_upstream("old").answered(200);
    metrics.for_upstream("tickets").answered(200);
    metrics.upstream_healthy("old", "10.0.0.1:80", true);
    metrics.upstream_healthy("tickets", "10.0.0.2:80", true);

    metrics.retain_resources(&[("tickets", Tier::Low)]);
    metrics.retain_upstreams(&[("tickets", "10.0.0.2:80")]);
    // A request that was under way ends late; it must not bring its series back.
    old.request(503, MILLISECOND);
    old.decision(Decided::Deny, Reason::InternalError, MILLISECOND);
    old.shadow(Decided::Deny, Decided::Allow, Reason::Allowed);

    let text = metrics.render();
    assert!(!text.contains("old"), "{text}");
    assert!(!text.contains("resource=\"tickets\",tier=\"high\""), "{text}");
    assert!(
        text.contains("tiergate_requests_total{code=\"2xx\",resource=\"tickets\",tier=\"low\"} 1"),
        "{text}"
    );
    assert!(text.contains("tiergate_request_duration_seconds_count{resource=\"tickets\"} 2"), "{text}");
    assert!(
        text.contains("tiergate_upstream_healthy{address=\"10.0.0.2:80\",upstream=\"tickets\"} 1"),
        "{text}"
    );

    // A resource that comes back is counted again.
    metrics.for_resource("old", Tier::High).request(200, MILLISECOND);
    assert!(metrics.render().contains("resource=\"old\""));
}

#[test]
fn a_certificate_list_is_replaced_as_a_whole_and_the_first_to_end_counts() {
    let metrics = Metrics::new().unwrap();
    metrics.certificates([("server", "a", 5), ("server", "a", 3), ("server", "b", 9)]);
    metrics.certificates([("server", "a", 5), ("server", "a", 4)]);
    let text = metrics.render();
    assert!(
        text.contains("tiergate_certificate_expiry_timestamp_seconds{kind=\"server\",name=\"a\"} 4\n"),
        "{text}"
    );
    assert!(!text.contains("name=\"b\""), "{text}");
}

#[test]
fn ten_thousand_requests_from_strangers_add_no_series() {
    let metrics = Metrics::new().unwrap();
    let once = |metrics: &Metrics| {
        metrics.no_resource().request(404, MILLISECOND);
        metrics.no_resource().decision(Decided::Deny, Reason::NoRoute, MILLISECOND);
    };
    once(&metrics);
    let before = series(&metrics.render());
    for _ in 0..10_000 {
        once(&metrics);
    }
    assert_eq!(series(&metrics.render()), before);
}

#[test]
fn the_hook_runs_before_each_scrape() {
    let metrics = Metrics::new().unwrap();
    metrics.before_scrape(|metrics| metrics.sessions_active(42));
    assert!(metrics.render().contains("\ntiergate_sessions_active 42\n"));
}

/// Where promtool is on the machine, it must have nothing to say.
#[test]
fn promtool_has_nothing_to_say() {
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = spawned else { return };
    promtool.stdin.take().unwrap().write_all(busy().render().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// The alert rules do what their tests say, where promtool is on the machine.
#[test]
fn the_alert_rules_pass_their_own_tests() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus");
    let run =
        Command::new("promtool").args(["test", "rules", "alerts_test.yaml"]).current_dir(folder).output();
    let Ok(output) = run else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

#[test]
fn every_alert_is_tested_and_has_a_runbook_that_exists() {
    let rules = include_str!("../../deploy/prometheus/alerts.yaml");
    let tests = include_str!("../../deploy/prometheus/alerts_test.yaml");
    let headings: HashSet<String> = include_str!("../../docs/operating.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_lowercase)
        .collect();
    let after = |key: &str| -> Vec<&str> {
        rules.lines().filter_map(|line| line.trim().strip_prefix(key)).map(str::trim).collect()
    };
    let (alerts, runbooks) = (after("- alert:"), after("runbook_url:"));
    assert!(alerts.len() >= 7 && alerts.len() == runbooks.len(), "{alerts:?} {runbooks:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "no test of {alert}");
    }
    for runbook in runbooks {
        let heading = runbook.strip_prefix("docs/operating.md#").unwrap();
        assert!(headings.contains(heading), "{runbook} leads nowhere");
    }
}

/// Names in the dashboard, the alert rules and the documentation are names that are rendered.
#[test]
fn dashboard_alerts_and_documentation_name_only_metrics_that_exist() {
    let text = busy().render();
    let mut known: HashSet<String> = HashSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        known.insert(line.split(['{', ' ']).next().unwrap().to_owned());
    }
    let histograms: Vec<String> =
        known.iter().filter_map(|name| name.strip_suffix("_bucket")).map(str::to_owned).collect();
    known.extend(histograms);
    let pattern = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("tiergate_"))
            .map(str::to_owned)
            .collect()
    };
    for (file, text, least) in [
        ("dashboard", include_str!("../../deploy/grafana/tiergate.json"), 10),
        ("alerts", include_str!("../../deploy/prometheus/alerts.yaml"), 7),
        ("alert tests", include_str!("../../deploy/prometheus/alerts_test.yaml"), 7),
        ("documentation", include_str!("../../docs/metrics.md"), 20),
        ("operating", include_str!("../../docs/operating.md"), 3),
    ] {
        let names = pattern(text);
        assert!(names.len() >= least, "{file} names {} metrics only", names.len());
        for name in names {
            assert!(known.contains(&name), "{file} names {name}, which is no metric");
        }
    }
    // And the documentation misses none.
    for name in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let name = name.split(' ').next().unwrap();
        assert!(
            include_str!("../../docs/metrics.md").contains(&format!("`{name}`")),
            "docs/metrics.md misses {name}"
        );
    }
}

#[test]
fn the_dashboard_is_json() {
    let _: serde_json::Value =
        serde_json::from_str(include_str!("../../deploy/grafana/tiergate.json")).unwrap();
}
