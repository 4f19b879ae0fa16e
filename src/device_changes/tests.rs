use super::*;
use crate::access::State as Used;
use crate::telemetry::Metrics;
use serde_json::{Value, json};

struct Bench {
    folder: tempfile::TempDir,
    audit: Arc<Audit>,
    changes: Arc<DeviceChanges>,
}

async fn bench(folder: tempfile::TempDir) -> Bench {
    let metrics = Arc::new(Metrics::new().unwrap());
    let audit = Audit::open(&folder.path().join("audit"), metrics).unwrap();
    let state = Arc::new(State::open(&folder.path().join("state")).await.unwrap());
    let inventory = Arc::new(Inventory::default());
    let changes = DeviceChanges::open(inventory, state, Heart::new(), Arc::clone(&audit)).await.unwrap();
    Bench { folder, audit, changes }
}

impl Bench {
    async fn patch(&self, id: &str, patch: Value) -> Result<(), NotChanged> {
        self.changes.say(id, Wish::Patch(patch), &By::default()).await
    }

    fn state(&self, id: &str) -> Option<Used> {
        self.changes.inventory.get(id)?.state
    }

    async fn events(&self) -> Vec<(String, String, String)> {
        assert!(self.audit.flush().await);
        let file = std::fs::read_dir(self.folder.path().join("audit")).unwrap().next().unwrap().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let word = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let told = |event: Value| (word(&event, "reason"), word(&event, "device"), word(&event, "comment"));
        events.filter(|event| event["kind"] == "device").map(told).collect()
    }
}

#[tokio::test]
async fn what_the_api_said_is_kept_and_told() {
    let bench_1 = bench(tempfile::tempdir().unwrap()).await;
    let file = Record { state: Some(Used::Lost), ..Record::new("a") };
    bench_1.changes.inventory.replace(Source::File, [Arc::new(file)]);
    bench_1.patch("a", json!({ "owner": "ann" })).await.unwrap();
    bench_1.patch("a", json!({ "state": "active" })).await.unwrap();
    bench_1.patch("b", json!({ "state": "retired" })).await.unwrap();
    let by = By { client: None, comment: Some("left in a taxi".parse().unwrap()) };
    bench_1.changes.say("b", Wish::Patch(json!({ "state": "lost" })), &by).await.unwrap();
    assert!(matches!(bench_1.patch("a", json!({ "state": "x" })).await, Err(NotChanged::Form(_))));
    let nothing = |id| bench_1.changes.say(id, Wish::Nothing, &by);
    assert!(matches!(nothing("c").await, Err(NotChanged::NotSaid)));
    assert_eq!((bench_1.state("a"), bench_1.state("b")), (Some(Used::Lost), Some(Used::Lost)));
    let told: Vec<_> =
        bench_1.events().await.into_iter().map(|(why, id, told)| format!("{why} {id}: {told}")).collect();
    assert_eq!(
        told,
        [
            "device_changed a: owner - → ann",
            "device_changed a: state - → active; nothing is known differently",
            "device_changed b: state - → retired",
            "device_changed b: state retired → lost; left in a taxi",
        ]
    );
    // Another process finds what was kept.
    bench_1.changes.state.close().await;
    let again = bench(bench_1.folder).await;
    assert_eq!((again.state("a"), again.state("b")), (Some(Used::Active), Some(Used::Lost)));
    assert_eq!(again.changes.inventory.get("a").unwrap().owner.as_deref(), Some("ann"));
}

#[tokio::test]
async fn what_cannot_be_kept_takes_and_never_gives() {
    let bench = bench(tempfile::tempdir().unwrap()).await;
    bench.patch("a", json!({ "state": "lost" })).await.unwrap();
    bench.changes.state.close().await;
    for (id, patch, in_force, state) in [
        ("a", json!({ "state": "active" }), false, Some(Used::Lost)),
        ("a", json!({ "state": null }), false, Some(Used::Lost)),
        ("b", json!({ "state": "active", "trust": "issued" }), false, None),
        ("b", json!({ "state": "lost" }), true, Some(Used::Lost)),
        // The same once more is still not kept, and not lost either.
        ("b", json!({ "state": "lost" }), false, Some(Used::Lost)),
    ] {
        let error = bench.patch(id, patch.clone()).await.unwrap_err();
        assert!(
            matches!(error, NotChanged::NotKept { in_force: it } if it == in_force),
            "{id} {patch} {error:?}"
        );
        assert_eq!(bench.state(id), state, "{id} {patch}");
    }
    let import = vec![Arc::new(Record { state: Some(Used::Active), ..Record::new("c") })];
    let error = bench.changes.say_all(import, &By::default()).await.unwrap_err();
    assert!(matches!(error, NotChanged::NotKept { in_force: false }) && bench.state("c").is_none());
}

#[tokio::test]
async fn an_import_tells_of_each_device_and_of_all() {
    let bench = bench(tempfile::tempdir().unwrap()).await;
    let record = |id: &str, state| Arc::new(Record { state: Some(state), ..Record::new(id) });
    let records = vec![record("a", Used::Lost), record("b", Used::Active)];
    assert_eq!(bench.changes.say_all(records.clone(), &By::default()).await.unwrap(), 2);
    assert_eq!(bench.changes.say_all(records, &By::default()).await.unwrap(), 0);
    assert_eq!(bench.state("a"), Some(Used::Lost));
    let told: Vec<_> =
        bench.events().await.into_iter().map(|(_, id, told)| format!("{id}: {told}")).collect();
    assert_eq!(told, ["a: state - → lost", "b: state - → active", ": 2 devices are known differently"]);
}
