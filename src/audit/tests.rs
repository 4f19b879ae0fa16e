//! Tests of the audit log: what a line says, what failures cost, and how it comes back.

use super::*;
use crate::access::{DeviceTrust, Reason, Tier};
use crate::telemetry::Decided;
use proptest::prelude::*;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::PathBuf;
use time::macros::datetime;

const NOON: OffsetDateTime = datetime!(2026-11-23 12:00:00.123456 UTC);

/// Tries again without waiting, so that no test sleeps for long.
const SETTINGS: Settings =
    Settings { queue: QUEUE, retry: Duration::from_millis(1), now: || NOON, ..Settings::DEFAULT };

struct Log {
    folder: tempfile::TempDir,
    metrics: Arc<Metrics>,
}

impl Log {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), metrics: Arc::new(Metrics::new().unwrap()) }
    }

    fn open(&self, settings: Settings) -> Arc<Audit> {
        Audit::open_with(&self.path(), Arc::clone(&self.metrics), settings).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn file(&self) -> PathBuf {
        self.path().join("audit-2026-11-23.jsonl")
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.ends_with('\n'), "{text:?}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn event(path: &str) -> Event {
    Event { path: Some(path.into()), ..Event::new(Kind::Decision, NOON) }
}

/// Waits for what another thread does; a minute is a failure.
async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never: {what}");
}

fn line(event: &mut Event) -> Value {
    event.bound();
    let mut buffer = Vec::new();
    event.encode(&mut buffer).unwrap();
    let text = String::from_utf8(buffer).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    serde_json::from_str(&text).unwrap()
}

const ID: &str = "01928c4e-7b1c-7000-8000-0123456789ab";
const SESSION: &str = "5f000000000000000000000000000001";

#[test]
fn an_event_has_the_keys_of_the_contract_and_no_others() {
    let mut full = Event {
        request_id: Some(ID.parse().unwrap()),
        code: Some("7QK2".into()),
        decision: Some(Decided::Deny),
        reason: Some(Reason::DeviceNotIssued.code()),
        resource: Some("payroll".into()),
        tier: Some(Tier::High),
        rule: Some("policies/resources.yaml:14".into()),
        policy: Some(3),
        subject: Some("a@corp.example".into()),
        provider: Some("workforce".into()),
        session: Some(SESSION.parse().unwrap()),
        device: Some("laptop-7".into()),
        device_authority: Some("mdm".into()),
        device_trust: Some(DeviceTrust::Enrolled),
        device_reason: Some(Reason::DeviceExpired.code()),
        method: Some("GET".into()),
        host: Some("payroll.corp.example".into()),
        path: Some("/slips?token=secret".into()),
        client: Some("2001:db8::1".parse().unwrap()),
        status: Some(403),
        bytes_in: Some(0),
        bytes_out: Some(812),
        duration_us: Some(417),
        ..Event::new(Kind::Decision, NOON)
    };
    let value = line(&mut full);
    let expected = serde_json::json!({
        "time": "2026-11-23T12:00:00.123456Z", "kind": "decision", "request_id": ID, "code": "7QK2",
        "decision": "deny", "reason": "device_not_issued", "resource": "payroll", "tier": "high",
        "rule": "policies/resources.yaml:14", "policy": 3, "subject": "a@corp.example", "provider": "workforce",
        "session": SESSION, "device": "laptop-7", "device_authority": "mdm", "device_trust": "enrolled",
        "device_reason": "device_expired", "method": "GET", "host": "payroll.corp.example", "path": "/slips", "client": "2001:db8::1",
        "status": 403, "bytes_in": 0, "bytes_out": 812, "duration_us": 417,
    });
    assert_eq!(value, expected);
}

#[test]
fn each_kind_has_its_name_and_what_does_not_apply_is_left_out() {
    for (kind, name) in [
        (Kind::Decision, "decision"),
        (Kind::SignIn, "sign_in"),
        (Kind::SignOut, "sign_out"),
        (Kind::SessionEnd, "session_end"),
        (Kind::Reload, "reload"),
        (Kind::Start, "start"),
        (Kind::Stop, "stop"),
        (Kind::Admin, "admin"),
        (Kind::Gap, "gap"),
    ] {
        let value = line(&mut Event::new(kind, NOON));
        assert_eq!(value, serde_json::json!({ "time": "2026-11-23T12:00:00.123456Z", "kind": name }));
    }
}

#[test]
fn every_time_is_written_in_utc_with_six_digits() {
    for (time, want) in [
        (datetime!(2026-01-02 03:04:05 UTC), "2026-01-02T03:04:05.000000Z"),
        (datetime!(2026-01-02 00:30:00.5 +01:00), "2026-01-01T23:30:00.500000Z"),
    ] {
        assert_eq!(line(&mut Event::new(Kind::Start, time))["time"], want);
    }
}

#[test]
fn long_strings_are_cut_between_two_characters() {
    let long = "é".repeat(40_000);
    let value = line(&mut Event { host: Some(long.as_str().into()), ..event(&format!("/{long}")) });
    assert_eq!(value["host"].as_str().unwrap().len(), 256);
    assert_eq!(value["path"].as_str().unwrap().len(), 2047);
}

proptest! {
    #[test]
    fn any_strings_become_one_line_of_json_without_the_query(path in ".*", host in "\\PC*|.*", subject in any::<String>()) {
        let value = line(&mut Event { host: Some(host.into()), subject: Some(subject.into()), ..event(&path) });
        let written = value["path"].as_str().unwrap();
        prop_assert!(!written.contains('?'));
        prop_assert!(path.starts_with(written));
    }
}

#[tokio::test]
async fn events_are_in_the_file_of_their_day_in_order_and_only_the_owner_reads_them() {
    let log = Log::new();
    let audit = log.open(SETTINGS);
    for at in 0..3000 {
        audit.record(event(&format!("/{at}")));
    }
    audit.record(Event::new(Kind::Stop, datetime!(2026-11-24 00:00:00 UTC)));
    assert!(audit.flush().await);
    let paths: Vec<String> =
        log.lines().iter().map(|line| line["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(paths, (0..3000).map(|at| format!("/{at}")).collect::<Vec<_>>());
    let next = fs::read_to_string(log.path().join("audit-2026-11-24.jsonl")).unwrap();
    assert_eq!(next, "{\"time\":\"2026-11-24T00:00:00.000000Z\",\"kind\":\"stop\"}\n");
    assert_eq!(fs::metadata(log.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(log.path()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(log.metrics.audit_events.get(), 3001);
    assert_eq!(log.metrics.audit_queue.get(), 0);
    assert_eq!(log.metrics.audit_failures.get(), 0);
}

#[tokio::test]
async fn a_line_that_a_crash_tore_is_ended_and_the_next_stands_alone() {
    for (before, lines) in [("{\"kind\":\"dec", 2), ("{}\n", 2), ("", 1)] {
        let log = Log::new();
        fs::create_dir(log.path()).unwrap();
        fs::write(log.file(), before).unwrap();
        let audit = log.open(SETTINGS);
        audit.record(event("/after"));
        assert!(audit.flush().await);
        let text = fs::read_to_string(log.file()).unwrap();
        assert_eq!(text.lines().count(), lines, "{text:?}");
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["path"], "/after");
    }
}

#[tokio::test]
async fn a_full_disk_makes_it_unavailable_and_space_makes_it_available_without_a_restart() {
    let log = Log::new();
    fs::create_dir(log.path()).unwrap();
    symlink("/dev/full", log.file()).unwrap();
    let audit = log.open(Settings { queue: 4, ..SETTINGS });
    assert!(audit.available(), "nothing was written yet");
    audit.record(event("/first"));
    until("it is unavailable", || !audit.available()).await;
    // The first was taken from the queue and is kept; four wait; the others are lost.
    for at in 0..10 {
        audit.record(event(&format!("/{at}")));
    }
    assert!(!audit.available());
    assert!(log.metrics.audit_failures.get() >= 7, "{}", log.metrics.audit_failures.get());
    assert!(log.metrics.render().contains("\ntiergate_audit_available 0\n"));

    fs::remove_file(log.file()).unwrap();
    until("it is available", || audit.available()).await;
    assert!(audit.flush().await);
    audit.record(event("/after"));
    assert!(audit.flush().await);
    let lines = log.lines();
    let paths: Vec<&str> = lines.iter().filter_map(|line| line["path"].as_str()).collect();
    assert_eq!(paths, ["/first", "/0", "/1", "/2", "/3", "/after"]);
    let gaps: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "gap").collect();
    assert_eq!(gaps.len(), 1, "{lines:?}");
    assert_eq!(gaps[0]["lost"], 6);
    assert!(log.metrics.render().contains("\ntiergate_audit_available 1\n"));
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_is_an_error_and_not_a_wait() {
    let log = Log::new();
    fs::create_dir(log.path()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(log.file()).status().unwrap();
    assert!(made.success());
    let refused = Audit::open_with(&log.path(), Arc::clone(&log.metrics), SETTINGS);
    assert!(matches!(refused, Err(AuditError::File { .. })));
}

/// A pipe takes 64 KiB and then no more, in the middle of a line.
#[tokio::test]
async fn a_write_that_stopped_half_way_goes_on_at_the_byte_where_it_stopped() {
    let log = Log::new();
    fs::create_dir(log.path()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(log.file()).status().unwrap();
    assert!(made.success());
    let mut reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(log.file())
        .unwrap();
    let audit = log.open(SETTINGS);
    let padding = "x".repeat(1000);
    for at in 0..500 {
        audit.record(event(&format!("/{at}/{padding}")));
    }
    until("it is unavailable", || !audit.available()).await;
    let mut bytes = Vec::new();
    for _ in 0..60_000 {
        let mut chunk = [0; 5000];
        // Asked before reading: when all is written, an empty pipe is the end.
        let written = log.metrics.audit_events.get() == 500;
        match reader.read(&mut chunk) {
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if written && error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    let text = String::from_utf8(bytes).unwrap();
    let paths: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["path"].take()).collect();
    assert_eq!(paths, (0..500).map(|at| Value::from(format!("/{at}/{padding}"))).collect::<Vec<_>>());
    until("it is available", || audit.available()).await;
    assert_eq!(log.metrics.audit_events.get(), 500);
}

#[tokio::test]
async fn a_file_and_a_folder_that_were_moved_away_are_made_anew() {
    let log = Log::new();
    let audit = log.open(SETTINGS);
    audit.record(event("/old"));
    assert!(audit.flush().await);
    fs::rename(log.file(), log.folder.path().join("moved")).unwrap();
    audit.record(event("/new"));
    assert!(audit.flush().await);
    assert_eq!(log.lines().len(), 1);
    fs::remove_dir_all(log.path()).unwrap();
    audit.record(event("/newest"));
    assert!(audit.flush().await);
    assert_eq!(log.lines()[0]["path"], "/newest");
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_by_name() {
    let log = Log::new();
    let file = log.folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Audit::open(&file.join("audit"), Arc::clone(&log.metrics)).err().unwrap();
    assert!(refused.to_string().contains("/file/audit`"), "{refused}");
}

#[tokio::test]
async fn a_writer_whose_log_is_gone_ends_even_though_nothing_can_be_written() {
    let log = Log::new();
    fs::create_dir(log.path()).unwrap();
    symlink("/dev/full", log.file()).unwrap();
    let audit = log.open(SETTINGS);
    let shared = Arc::downgrade(&audit.shared);
    audit.record(event("/lost"));
    drop(audit);
    until("the writer ended", || shared.strong_count() == 0).await;
}
