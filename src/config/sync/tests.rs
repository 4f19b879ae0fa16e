use super::*;
use crate::config::tests::{SMALL, codes, config, said};

fn with(keys: &str) -> String {
    format!("{SMALL}devices: {{ sync: {{ {keys} }} }}\n")
}

const FLEET: &str = "preset: fleet, url: 'https://fleet.example', token: { file: secrets/fleet }";
const OWN: &str = "url: 'https://mdm.example/devices', token: { env: MDM }, map: { id: /id }";

#[test]
fn what_is_left_out_has_a_default() {
    let config = config(&with(OWN));
    // Destructured without `..`: a new key has its default here.
    let SyncConfig { first, paging, items, map, credentials, interval, timeout, ca, max_drop } =
        config.sync.as_deref().unwrap();
    assert_eq!(first.as_str(), "https://mdm.example/devices");
    assert_eq!((paging, items.as_str()), (&Paging::One, ""));
    let id = Reading { at: Pointer("/id".to_owned()), values: None };
    assert_eq!(*map, FieldMap { id: vec![id], ..FieldMap::default() });
    assert_eq!(*credentials, SyncCredentials::Token(SecretSource::Env("MDM".to_owned())));
    assert_eq!((*interval, *timeout), (Duration::from_mins(15), Duration::from_secs(30)));
    assert_eq!((ca, *max_drop), (&None, AtMost::Percent(50)));
    // The inventory may be a day old for `high`, and any age for `low`.
    assert_eq!(config.evidence.inventory.high, Some(Duration::from_hours(24)));
    assert_eq!(config.evidence.inventory.low, None);
}

#[test]
fn everything_can_be_stated() {
    let text = with(
        "url: 'http://127.0.0.1:8080/list?site=1', ca: ca.pem, interval: 5s, timeout: 1m, max_drop: 20,
         client_credentials: { token_url: 'https://idp.example/token', client_id: 7, client_secret: { file: s }, scope: read },
         items: /a~1b/~0/0, next: /next, map: { id: [/id, { at: /x, values: { 1: one, yes: two } }], posture: { ok: /ok } }",
    );
    let sync = config(&text).sync.unwrap();
    assert_eq!(sync.interval, Duration::from_secs(5));
    assert_eq!((sync.items.as_str(), sync.max_drop), ("/a~1b/~0/0", AtMost::Number(20)));
    let values = sync.map.id[1].values.as_ref().unwrap();
    assert_eq!((values["1"].as_str(), values["yes"].as_str()), ("one", "two"));
    let files: Vec<_> = sync.files().map(|path| path.display().to_string()).collect();
    assert_eq!(files, ["/etc/tiergate/s", "/etc/tiergate/ca.pem"]);
    assert!(!sync.reads_as(&config(&with(OWN)).sync.unwrap()) && sync.reads_as(&sync));
}

#[test]
fn what_is_wrong_is_said() {
    let fleet = |more: &str| with(&format!("{FLEET}, {more}"));
    let own = |more: &str| with(&format!("{OWN}, {more}"));
    for (text, want) in [
        (with(FLEET), &[][..]),
        (with("preset: jamf"), &["Y0105", "Y0105"]),
        (with("preset: kandji, url: 'https://a.example', token: { file: t }"), &["Y0115"]),
        (with("url: 'https://a.example', token: { file: t }"), &["Y0105"]),
        (with("url: 'https://a.example', token: { file: t }, map: { owner: /o }"), &["Y0105"]),
        (with("preset: fleet, url: 'https://a.example', token: hunter2"), &["C0102"]),
        (with("preset: fleet, url: 'http://a.example', token: { file: t }"), &["C0115"]),
        (with("preset: fleet, url: 'https://u:p@a.example', token: { file: t }"), &["C0115"]),
        (with("preset: fleet, url: a.example, token: { file: t }"), &["C0115"]),
        (
            fleet("client_credentials: { token_url: 'https://a', client_id: a, client_secret: { file: s } }"),
            &["C0107"],
        ),
        (with("preset: fleet, url: 'https://a', client_credentials: { client_id: a }"), &["Y0105", "Y0105"]),
        (
            with(
                "preset: fleet, url: 'https://a', client_credentials: { token_url: 'http://a', client_id: a, client_secret: { file: s } }",
            ),
            &["C0115"],
        ),
        (fleet("items: /hosts"), &["C0107"]),
        (fleet("next: /next"), &["C0107"]),
        (fleet("interval: 59s"), &["C0106"]),
        (fleet("interval: 25h"), &["C0107"]),
        (fleet("interval: 15"), &["Y0110"]),
        (fleet("timeout: 11m"), &["C0106"]),
        (fleet("max_drop: all"), &["C0109"]),
        (fleet("map: {}"), &["Y0108"]),
        (fleet("map: { serial: /s }"), &["Y0102"]),
        (fleet("map: { id: hardware_serial }"), &["C0116"]),
        (fleet("map: { id: '/a~2' }"), &["C0116"]),
        (fleet("map: { id: [] }"), &["Y0108"]),
        (fleet("map: { id: 7 }"), &["Y0104"]),
        (fleet("map: { id: { at: /a } }"), &["Y0105"]),
        (fleet("map: { id: { values: { a: b } } }"), &["Y0105"]),
        (fleet("map: { id: { at: /a, values: {} } }"), &["Y0108"]),
        (fleet("map: { posture: { a b: /a } }"), &["Y0113"]),
        (own("items: devices"), &["C0116"]),
        (own("items: /devices, next: /next"), &[]),
    ] {
        assert_eq!(codes(&text), want, "{text}");
    }
    for secret in ["http://mdm.example/?key=hunter2", "https://ann:hunter2@mdm.example"] {
        let text = with(&format!("preset: fleet, url: '{secret}', token: {{ file: t }}"));
        let said = said(&text);
        assert!(said.contains("C0115") && !said.contains("hunter2"), "{said}");
    }
    insta::assert_snapshot!(said(&with("preset: fleet, url: 'http://mdm.example', token: { file: t }, map: { id: serial }")), @r"
    error[C0115]: `http://mdm.example` is not the address of a service
     --> /etc/tiergate/tiergate.yaml:7:40
      |
    7 | devices: { sync: { preset: fleet, url: 'http://mdm.example', token: { file: t }, map: { id: serial } } }
      |                                        ^^^^^^^^^^^^^^^^^^^^ write `https://` and a host; http on loopback only

    error[C0116]: `serial` is not a JSON Pointer
     --> /etc/tiergate/tiergate.yaml:7:93
      |
    7 | devices: { sync: { preset: fleet, url: 'http://mdm.example', token: { file: t }, map: { id: serial } } }
      |                                                                                             ^^^^^^ begin each key with `/`, such as `/hardware/serialNumber`; `~1` is a `/` in a key, `~0` a `~`
    ");
}

#[test]
fn the_inventory_is_asked_for_before_it_is_too_old() {
    let aged = |age: &str, more: &str| {
        format!(
            "{SMALL}devices: {{ evidence: {{ inventory: {{ max_age: {{ high: {age} }} }} }}, sync: {{ {OWN}{more} }} }}\n"
        )
    };
    assert_eq!(config(&aged("20m", "")).sync.unwrap().interval, Duration::from_mins(10));
    assert_eq!(config(&aged("7d", "")).evidence.inventory.high, Some(Duration::from_hours(7 * 24)));
    assert_eq!(codes(&aged("5m", ", interval: 6m")), ["C0107"]);
    assert!(codes(&aged("5m", ", interval: 5m")).is_empty());
}
