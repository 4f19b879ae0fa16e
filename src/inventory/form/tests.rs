use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Record, Vec<FormError>> {
    from_json(text.as_bytes(), &mut Interner::default())
}

fn written(record: &Record) -> String {
    serde_json::to_string(&Written(record)).unwrap()
}

const WHOLE: &str = r#"{"id":"C02","trust":"issued","ownership":"corporate","state":"lost","owner":"ann@corp.example","platform":"macos","os_version":"14.6","last_checkin":"2026-11-25T08:00:00Z","posture":{"disk_encrypted":true,"screen_lock":false},"notes":"spare"}"#;

#[test]
fn a_record_reads_and_writes_as_it_was_said() {
    let record = read(WHOLE).unwrap();
    assert_eq!((record.state, record.trust), (Some(State::Lost), Some(DeviceTrust::Issued)));
    assert!(record.posture.as_ref().unwrap().holds("disk_encrypted"));
    assert_eq!(record.last_checkin, Some(1_795_593_600));
    assert_eq!(written(&record), WHOLE);
    assert_eq!(read(r#"{"id":"C02"}"#).unwrap(), Record::new("C02"));
    let keys: Value = serde_json::from_str(WHOLE).unwrap();
    assert!(KEYS.iter().all(|key| keys.get(*key).is_some()) && keys.as_object().unwrap().len() == KEYS.len());
}

#[test]
fn what_is_not_a_record_is_refused_with_its_key() {
    let long = |count: usize| "a".repeat(count);
    let many = (0..65).map(|at| format!(r#""a{at}":true"#)).collect::<Vec<_>>().join(",");
    for (text, want) in [
        (r#"{}"#, "Y0105 id"),
        (r#"{"id":""}"#, "Y0113 id"),
        (r#"{"id":" a"}"#, "Y0113 id"),
        (r#"{"id":"é"}"#, "Y0113 id"),
        (&format!(r#"{{"id":"{}"}}"#, long(129)), "Y0113 id"),
        (r#"{"id":"a","trust":"high"}"#, "Y0115 trust"),
        (r#"{"id":"a","trust":"Issued"}"#, "Y0115 trust"),
        (r#"{"id":"a","ownership":"byod"}"#, "Y0115 ownership"),
        (r#"{"id":"a","state":"stolen"}"#, "Y0115 state"),
        (r#"{"id":"a","state":"stolen","trust":"x"}"#, "Y0115 trust, Y0115 state"),
        (r#"{"id":"a","owner":""}"#, "D0302 owner"),
        (r#"{"id":"a","owner":"a\nb"}"#, "D0302 owner"),
        (&format!(r#"{{"id":"a","owner":"{}"}}"#, long(257)), "D0302 owner"),
        (&format!(r#"{{"id":"a","notes":"{}"}}"#, long(1001)), "D0302 notes"),
        (r#"{"id":"a","platform":"macOS"}"#, "Y0113 platform"),
        (r#"{"id":"a","os_version":"latest"}"#, "Y0118 os_version"),
        (r#"{"id":"a","os_version":14.6}"#, "Y0104 "),
        (r#"{"id":"a","last_checkin":"2026-11-25"}"#, "Y0117 last_checkin"),
        (r#"{"id":"a","last_checkin":1795593600}"#, "Y0104 "),
        (r#"{"id":"a","posture":{"a b":true}}"#, "Y0113 posture"),
        (r#"{"id":"a","posture":{"a":"true"}}"#, "Y0104 "),
        (r#"{"id":"a","posture":{"a":false,"a":true}}"#, "Y0104 "),
        (&format!(r#"{{"id":"a","posture":{{{many}}}}}"#), "Y0104 "),
        (r#"{"id":"a","stat":"lost"}"#, "Y0104 "),
        (r#"{"id":"a","state":"lost","state":"active"}"#, "Y0104 "),
        (r#"{"id":"a","state":null}"#, "Y0104 "),
        (r#"{"id":"a"} {"id":"b"}"#, "Y0104 "),
        (r#"["a","issued"]"#, "Y0104 "),
        (r#""a""#, "Y0104 "),
        ("", "Y0104 "),
    ] {
        let errors = read(text).unwrap_err();
        let got: Vec<_> = errors.iter().map(|it| format!("{} {}", it.code, it.key)).collect();
        assert_eq!(got.join(", "), want, "{text}");
    }
    let error = &read(r#"{"id":"a","state":"retird"}"#).unwrap_err()[0];
    assert_eq!(error.to_string(), "unknown state `retird`: did you mean `retired`?");
    let error = &read(r#"{"id":"a","stat":"lost"}"#).unwrap_err()[0];
    assert!(error.message.starts_with("unknown field `stat`"), "{error}");
}

#[test]
fn a_patch_is_merged_and_null_takes_back() {
    let before = read(r#"{"id":"a","state":"lost","owner":"ann","posture":{"x":true,"y":true}}"#).unwrap();
    for (patch, want) in [
        (r#"{}"#, Ok(written(&before))),
        (
            r#"{"state":"active"}"#,
            Ok(r#"{"id":"a","state":"active","owner":"ann","posture":{"x":true,"y":true}}"#.to_owned()),
        ),
        (
            r#"{"owner":null,"posture":{"x":null,"z":false}}"#,
            Ok(r#"{"id":"a","state":"lost","posture":{"y":true,"z":false}}"#.to_owned()),
        ),
        (r#"{"posture":null,"state":null,"owner":null}"#, Ok(r#"{"id":"a"}"#.to_owned())),
        (r#"{"notes":null}"#, Ok(written(&before))),
        (r#"{"id":null}"#, Err("Y0105")),
        (r#"{"id":"b"}"#, Err("Y0113")),
        (r#"{"state":"stolen"}"#, Err("Y0115")),
        (r#"{"statee":"lost"}"#, Err("Y0104")),
        (r#"{"posture":{"x":{"y":null}}}"#, Err("Y0104")),
        ("[]", Err("Y0104")),
        ("null", Err("Y0104")),
    ] {
        let patch: Value = serde_json::from_str(patch).unwrap();
        let got = patched("a", Some(&before), &patch, &mut Interner::default());
        assert_eq!(got.map(|it| written(&it)).map_err(|errors| errors[0].code), want, "{patch}");
    }
    let first =
        patched("b", None, &serde_json::json!({ "state": "lost" }), &mut Interner::default()).unwrap();
    assert_eq!(written(&first), r#"{"id":"b","state":"lost"}"#);
}

#[test]
fn what_is_said_of_one_device_is_said_of_no_other() {
    let read = |text: &str| from_json_of("a", text.as_bytes(), &mut Interner::default());
    assert_eq!(read("{}").unwrap(), Record::new("a"));
    assert_eq!(read(r#"{"id":"a"}"#).unwrap(), Record::new("a"));
    assert_eq!(read(r#"{"id":"b"}"#).unwrap_err()[0].code, "Y0113");
    assert_eq!(read("[]").unwrap_err()[0].code, "Y0104");
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}", tail in "[\\[{:,\"a0é\n]{0,40}") {
        let _ = read(&text);
        let _ = read(&format!("{{\"id\":\"a\",{tail}"));
    }

    #[test]
    fn what_is_written_reads_back(
        id in "[!-~]{1,128}",
        trust in proptest::option::of(proptest::sample::select(DeviceTrust::ALL.to_vec())),
        ownership in proptest::option::of(proptest::sample::select(Ownership::ALL.to_vec())),
        state in proptest::option::of(proptest::sample::select(State::ALL.to_vec())),
        owner in proptest::option::of("\\PC{1,40}"),
        seen in proptest::option::of(0_i64..4_000_000_000),
        facts in proptest::option::of(proptest::collection::btree_map("[a-z][a-z0-9_.-]{0,20}", any::<bool>(), 0..5)),
    ) {
        let record = Record {
            trust, ownership, state, owner: owner.map(Into::into), last_checkin: seen,
            posture: facts.map(|facts| std::sync::Arc::new(facts.into_iter().collect())),
            ..Record::new(&id)
        };
        prop_assert_eq!(read(&written(&record)).unwrap(), record);
    }
}
