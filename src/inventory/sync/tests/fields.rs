//! What is read of a device.

use super::super::map::{Unread, record};
use super::config;
use crate::config::SyncConfig;
use crate::inventory::{Interner, Written};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Each record as JSON, and what was left out.
fn read(config: &SyncConfig, page: &Value) -> (Vec<String>, String) {
    let mut unread = Unread::default();
    let mut interner = Interner::default();
    let list = page.pointer(config.items.as_str()).and_then(Value::as_array).unwrap();
    let records = list.iter().filter_map(|device| record(&config.map, device, &mut interner, &mut unread));
    let records = records.map(|record| serde_json::to_string(&Written(&record)).unwrap()).collect();
    (records, unread.to_string())
}

fn preset(name: &str, more: &str) -> std::sync::Arc<SyncConfig> {
    config(&format!("preset: {name}, url: 'https://mdm.corp.example', token: {{ file: t }}{more}"))
}

#[test]
fn hosts_of_fleet_are_read() {
    let config = preset("fleet", "");
    let (records, unread) = read(&config, &serde_json::from_str(include_str!("fleet.json")).unwrap());
    assert_eq!(
        records,
        [
            r#"{"id":"TGFLEET00001","ownership":"corporate","platform":"macos","os_version":"14.6.1","last_checkin":"2026-11-25T07:40:11Z","posture":{"disk_encrypted":true,"policies_pass":true}}"#,
            r#"{"id":"TGFLEET00002","ownership":"personal","state":"lost","platform":"windows","os_version":"10.0.22631.4317","last_checkin":"2026-11-24T16:03:45Z","posture":{"disk_encrypted":false}}"#,
            r#"{"id":"5F3C1A2E-0003-4B7D-9C0A-CCCCCCCCCCCC","platform":"linux","os_version":"24.04.1","last_checkin":"2026-11-25T06:00:00Z"}"#,
            r#"{"id":"TGFLEET00005","platform":"macos"}"#,
        ]
    );
    assert_eq!(unread, "id 1, last_checkin 2, os_version 1, posture 1");
    assert_eq!(
        config.first.as_str(),
        "https://mdm.corp.example/api/v1/fleet/hosts?order_key=id&order_direction=asc&per_page=500&page=0"
    );
}

#[test]
fn computers_of_jamf_are_read() {
    let config = preset("jamf", "");
    let (records, unread) = read(&config, &serde_json::from_str(include_str!("jamf.json")).unwrap());
    assert_eq!(
        records,
        [
            r#"{"id":"TGJAMF000001","owner":"ann@corp.example","platform":"macos","os_version":"14.6.1","last_checkin":"2026-11-25T07:31:20Z","posture":{"disk_encrypted":true,"firewall":true,"gatekeeper":true,"system_integrity":true}}"#,
            r#"{"id":"TGJAMF000002","trust":"none","owner":"bob","platform":"macos","os_version":"12.7.6","last_checkin":"2026-09-01T12:00:00Z","posture":{"firewall":false}}"#,
            r#"{"id":"TGJAMF000003"}"#,
        ]
    );
    assert_eq!(unread, "nothing");
    assert_eq!(
        config.first.as_str(),
        "https://mdm.corp.example/api/v1/computers-inventory?section=DISK_ENCRYPTION&section=GENERAL&section=HARDWARE&section=OPERATING_SYSTEM&section=SECURITY&section=USER_AND_LOCATION&sort=id%3Aasc&page-size=500&page=0"
    );
}

#[test]
fn devices_of_intune_are_read() {
    let config = preset("intune", "");
    let (records, unread) = read(&config, &serde_json::from_str(include_str!("intune.json")).unwrap());
    assert_eq!(
        records,
        [
            r#"{"id":"TGINTUNE0001","ownership":"corporate","owner":"ann@corp.example","platform":"windows","os_version":"10.0.22631.4317","last_checkin":"2026-11-25T06:12:44Z","posture":{"compliant":true,"disk_encrypted":true}}"#,
            r#"{"id":"TGINTUNE0002","ownership":"personal","owner":"bob@corp.example","platform":"ios","os_version":"18.1.1","last_checkin":"2026-11-24T22:00:03Z","posture":{"disk_encrypted":true,"not_jailbroken":true}}"#,
            r#"{"id":"TGINTUNE0003","platform":"macos","os_version":"14.6.1","last_checkin":"0001-01-01T00:00:00Z","posture":{"disk_encrypted":false}}"#,
        ]
    );
    assert_eq!(unread, "id 1");
    assert_eq!(
        config.first.as_str(),
        "https://mdm.corp.example/v1.0/deviceManagement/managedDevices?%24select=complianceState%2CemailAddress%2CisEncrypted%2CjailBroken%2ClastSyncDateTime%2CmanagedDeviceOwnerType%2CoperatingSystem%2CosVersion%2CserialNumber%2CuserPrincipalName&%24top=500"
    );
}

#[test]
fn what_is_stated_counts_instead_of_the_preset() {
    let config = config(
        "preset: intune, url: 'https://graph.example/proxy/?$top=50&$filter=a', token: { file: t }, \
         map: { id: /azureADDeviceId, posture: { compliant: { at: /complianceState, values: { inGracePeriod: true } } } }",
    );
    let page = serde_json::from_str(include_str!("intune.json")).unwrap();
    let (records, _) = read(&config, &page);
    assert!(
        records[0].starts_with(r#"{"id":"9a8b7c6d-1111-4222-8333-444455556666","ownership":"corporate""#)
    );
    assert!(records[0].ends_with(r#""posture":{"disk_encrypted":true}}"#), "{}", records[0]);
    assert!(records[1].contains(r#""compliant":true"#), "{}", records[1]);
    let first = config.first.as_str();
    assert!(
        first.starts_with(
            "https://graph.example/proxy/v1.0/deviceManagement/managedDevices?$top=50&$filter=a&"
        )
    );
    assert!(first.contains("azureADDeviceId") && !first.contains("500"), "{first}");
}

#[test]
fn a_value_that_cannot_be_read_is_left_out_and_counted() {
    let config = config(
        "url: 'https://mdm.example/devices', token: { file: t }, map: { id: [/a~1b, /serial], owner: /owner, \
         platform: /os/name, os_version: /os/version, last_checkin: /seen, ownership: /kind, state: /state, \
         trust: { at: /managed, values: { 'true': issued, '0': none } }, \
         posture: { ok: /ok, fine: { at: /score, values: { '100': true, low: false } } } }",
    );
    for (device, want, left_out) in [
        (json!({"serial": "A"}), Some(r#"{"id":"A"}"#), "nothing"),
        (json!({"a/b": "B", "serial": "A"}), Some(r#"{"id":"B"}"#), "nothing"),
        (json!({"serial": 17}), Some(r#"{"id":"17"}"#), "nothing"),
        (json!({"serial": "  A  "}), Some(r#"{"id":"A"}"#), "nothing"),
        (json!({}), None, "id 1"),
        (json!({"serial": ""}), None, "id 1"),
        (json!({"serial": null}), None, "id 1"),
        (json!({"serial": "é"}), None, "id 1"),
        (json!({"serial": ["A"]}), None, "id 1"),
        (json!({"serial": true}), None, "id 1"),
        (json!({"serial": "a".repeat(129)}), None, "id 1"),
        (json!("A"), None, "id 1"),
        (json!(null), None, "id 1"),
        (
            json!({"serial": "A", "owner": {"name": "ann"}, "seen": 1795593600, "ok": true}),
            Some(r#"{"id":"A","last_checkin":"2026-11-25T08:00:00Z","posture":{"ok":true}}"#),
            "owner 1",
        ),
        (
            json!({"serial": "A", "os": {"name": "macOS", "version": "fourteen"}, "seen": "today"}),
            Some(r#"{"id":"A","platform":"macos"}"#),
            "last_checkin 1, os_version 1",
        ),
        (
            json!({"serial": "A", "os": {"name": "Mac OS", "version": "14.6"}, "ok": "yes"}),
            Some(r#"{"id":"A","os_version":"14.6"}"#),
            "platform 1, posture 1",
        ),
        (
            json!({"serial": "A", "os": {"version": "1.2.3.4.5.6.7"}, "owner": "a\u{0}b"}),
            Some(r#"{"id":"A"}"#),
            "os_version 1, owner 1",
        ),
        (
            json!({"serial": "A", "kind": "corporate", "state": "lost", "managed": true}),
            Some(r#"{"id":"A","trust":"issued","ownership":"corporate","state":"lost"}"#),
            "nothing",
        ),
        (
            json!({"serial": "A", "kind": "ours", "state": "LOST", "managed": 0}),
            Some(r#"{"id":"A","trust":"none"}"#),
            "ownership 1, state 1",
        ),
        (json!({"serial": "A", "managed": false, "score": 99}), Some(r#"{"id":"A"}"#), "nothing"),
        (json!({"serial": "A", "score": 100}), Some(r#"{"id":"A","posture":{"fine":true}}"#), "nothing"),
        (
            json!({"serial": "A", "score": "low", "ok": false}),
            Some(r#"{"id":"A","posture":{"fine":false,"ok":false}}"#),
            "nothing",
        ),
        (json!({"serial": "A", "score": [100]}), Some(r#"{"id":"A"}"#), "posture 1"),
    ] {
        let (records, unread) = read(&config, &json!([device]));
        assert_eq!((records.first().map(String::as_str), unread.as_str()), (want, left_out), "{device}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        Just(Value::from("TGFLEET00001")),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let key = prop_oneof![
            Just("hardware_serial".to_owned()),
            Just("platform".to_owned()),
            Just("os_version".to_owned()),
            Just("detail_updated_at".to_owned()),
            Just("mdm".to_owned()),
            Just("enrollment_status".to_owned()),
            "[a-z]{1,4}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_management_says_of_a_device_is_a_record_or_none(device in json_value()) {
        let config = preset("fleet", "");
        let (records, _) = read(&config, &json!({ "hosts": [device] }));
        for record in records {
            let again = crate::inventory::from_json(record.as_bytes(), &mut Interner::default()).unwrap();
            prop_assert_eq!(serde_json::to_string(&Written(&again)).unwrap(), record);
        }
    }
}
