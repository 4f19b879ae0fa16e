//! Tests of what becomes of pulls: in the inventory, over a restart, and after another configuration.

use super::super::tests::config;
use super::super::tests::mdm::{Mdm, json};
use super::*;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

const NOW: Timestamp = 1_795_593_600;
/// As of when an inventory is known that was never pulled.
const NEVER: Timestamp = 1;

/// A process with a device management beside it.
struct World {
    sync: Arc<DeviceSync>,
    inventory: Arc<Inventory>,
    metrics: Arc<Metrics>,
    changes: Arc<AtomicUsize>,
    configured: Arc<Mutex<Option<Arc<SyncConfig>>>>,
    clock: Arc<AtomicI64>,
}

impl World {
    async fn start(state: &Path, configured: Option<Arc<SyncConfig>>, now: Timestamp) -> Self {
        let inventory = Arc::new(Inventory::default());
        let metrics = Arc::new(Metrics::new().unwrap());
        let changes = Arc::new(AtomicUsize::new(0));
        let configured = Arc::new(Mutex::new(configured));
        let clock = Arc::new(AtomicI64::new(now));
        let (look, count, time) = (Arc::clone(&configured), Arc::clone(&changes), Arc::clone(&clock));
        let sync = DeviceSync::open(Parts {
            inventory: Arc::clone(&inventory),
            metrics: Arc::clone(&metrics),
            state: state.to_owned(),
            configured: Box::new(move || look.lock().unwrap().clone()),
            changed: Box::new(move |_| _ = count.fetch_add(1, Ordering::Relaxed)),
            now: Box::new(move || time.load(Ordering::Relaxed)),
        })
        .await;
        Self { sync, inventory, metrics, changes, configured, clock }
    }

    /// Pulls once, whenever it would have been time; the failure, where there is one.
    async fn pull(&self) -> Option<String> {
        let mut course = self.sync.course.lock().await;
        course.due = Instant::now();
        self.sync.step(&mut course).await;
        self.sync.last_failure()
    }

    fn known(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.inventory.page(None, 100).iter().map(|record| record.id.to_string()).collect();
        ids.sort_unstable();
        ids
    }

    fn counted(&self, result: &str) -> bool {
        self.metrics.render().contains(&format!("tiergate_inventory_sync_total{{result=\"{result}\"}} 1"))
    }
}

/// The state folder, the token, and what is configured of a device management.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "secret").unwrap();
        Self(folder)
    }

    fn state(&self) -> &Path {
        self.0.path()
    }

    fn config(&self, mdm: &Mdm, more: &str) -> Arc<SyncConfig> {
        let (url, token) = (mdm.url("/devices"), self.0.path().join("token"));
        let map = if more.contains("map:") { "" } else { "map: { id: /id, state: /state }, " };
        config(&format!("url: '{url}', token: {{ file: '{}' }}, {map}interval: 1m{more}", token.display()))
    }
}

fn list(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({ "id": id })).collect()
}

async fn answering(ids: &'static [&'static str]) -> Mdm {
    Mdm::start(move |_| json(&list(ids))).await
}

#[tokio::test]
async fn a_pull_is_known_at_once_and_after_a_restart() {
    let (files, mdm) = (Files::new(), answering(&["a", "b"]).await);
    let config = files.config(&mdm, "");
    let world = World::start(files.state(), Some(Arc::clone(&config)), NOW).await;
    // Before the first pull everything is too old.
    assert_eq!((world.inventory.as_of(), world.known().len()), (Some(NEVER), 0));
    assert_eq!(world.pull().await, None);
    assert_eq!((world.inventory.as_of(), world.known()), (Some(NOW), vec!["a".into(), "b".into()]));
    assert!(world.changes.load(Ordering::Relaxed) == 1 && world.counted("changed"));
    let file = files.state().join("sync.ndjson");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // Nothing else is known, and it is fresh again.
    world.clock.store(NOW + 60, Ordering::Relaxed);
    assert_eq!(world.pull().await, None);
    assert_eq!((world.inventory.as_of(), world.changes.load(Ordering::Relaxed)), (Some(NOW + 60), 1));
    assert!(world.counted("unchanged"));
    // A restart while the device management is away.
    drop(mdm);
    let again = World::start(files.state(), Some(Arc::clone(&config)), NOW + 90).await;
    assert_eq!((again.inventory.as_of(), again.known().len()), (Some(NOW + 60), 2));
    assert!(again.pull().await.unwrap().starts_with("a page cannot be had"));
    assert_eq!((again.inventory.as_of(), again.known().len()), (Some(NOW + 60), 2));
    assert!(again.counted("failed"));
    // What was kept under a clock that was set back since, was broken, or was read in another way, is nothing.
    let early = World::start(files.state(), Some(Arc::clone(&config)), NOW - 3600).await;
    assert_eq!((early.inventory.as_of(), early.known().len()), (Some(NEVER), 0));
    let other = answering(&[]).await;
    let other = World::start(files.state(), Some(files.config(&other, "")), NOW + 90).await;
    assert_eq!((other.inventory.as_of(), other.known().len()), (Some(NEVER), 0));
    let whole = std::fs::read_to_string(&file).unwrap();
    for text in [whole.replace("\"b\"", "7"), whole.lines().take(2).map(|line| format!("{line}\n")).collect()]
    {
        std::fs::write(&file, text).unwrap();
        let broken = World::start(files.state(), Some(Arc::clone(&config)), NOW + 90).await;
        assert_eq!((broken.inventory.as_of(), broken.known().len()), (Some(NEVER), 0));
    }
}

#[tokio::test]
async fn a_list_that_misses_too_many_is_refused_and_nothing_is_known_differently() {
    for (max_drop, then, want) in [
        ("", &["a", "b"][..], None),
        ("", &["a", "b", "c", "d", "e"], None),
        ("", &["a"], Some("3 of 4 devices are missing, which is more than `max_drop`")),
        ("", &["x", "y", "z", "w"], Some("4 of 4 devices are missing, which is more than `max_drop`")),
        ("", &[], Some("the list has no device whose identity can be read")),
        (", max_drop: 1", &["a", "b", "c"], None),
        (", max_drop: 1", &["a", "b"], Some("2 of 4 devices are missing, which is more than `max_drop`")),
        (", max_drop: 100%", &[], None),
        (", max_drop: 99%", &[], Some("the list has no device whose identity can be read")),
    ] {
        let (files, mdm) = (Files::new(), answering(&["a", "b", "c", "d"]).await);
        let world = World::start(files.state(), Some(files.config(&mdm, max_drop)), NOW).await;
        assert_eq!(world.pull().await, None);
        mdm.answer_with(move |_| json(&list(then)));
        world.clock.store(NOW + 60, Ordering::Relaxed);
        assert_eq!(world.pull().await.as_deref(), want, "{max_drop} {then:?}");
        let (known, as_of) = if want.is_none() { (then, NOW + 60) } else { (&["a", "b", "c", "d"][..], NOW) };
        assert_eq!(
            (world.known(), world.inventory.as_of()),
            (known.iter().map(|id| (*id).to_owned()).collect(), Some(as_of))
        );
        assert_eq!(world.counted("refused"), want.is_some());
    }
    // Nor is the first one, where it is empty.
    let (files, mdm) = (Files::new(), answering(&[]).await);
    let world = World::start(files.state(), Some(files.config(&mdm, "")), NOW).await;
    assert!(world.pull().await.is_some() && world.inventory.as_of() == Some(NEVER));
}

#[tokio::test]
async fn a_pull_that_breaks_off_changes_nothing() {
    let (files, mdm) = (Files::new(), answering(&["a", "b"]).await);
    let config = files.config(&mdm, ", items: /devices, next: /next");
    mdm.answer_with(|_| json(&json!({ "devices": list(&["a", "b"]) })));
    let world = World::start(files.state(), Some(config), NOW).await;
    assert_eq!(world.pull().await, None);
    mdm.answer_with(|asked| match asked.target.as_str() {
        "/devices" => json(&json!({ "devices": [{ "id": "a", "state": "lost" }], "next": "/two" })),
        _ => StatusCode::BAD_GATEWAY.into_response(),
    });
    world.clock.store(NOW + 60, Ordering::Relaxed);
    assert_eq!(world.pull().await.as_deref(), Some("the answer has status 502"));
    assert!(world.inventory.get("a").unwrap().is_active());
    assert_eq!((world.known().len(), world.inventory.as_of()), (2, Some(NOW)));
    mdm.answer_with(|_| json(&json!({ "devices": [{ "id": "a", "state": "lost" }, { "id": "b" }] })));
    assert_eq!(world.pull().await, None);
    assert!(!world.inventory.get("a").unwrap().is_active());
}

#[tokio::test]
async fn another_configuration_is_followed_and_none_forgets_everything() {
    let (files, mdm) = (Files::new(), answering(&["a", "b", "c", "d"]).await);
    let world = World::start(files.state(), None, NOW).await;
    assert_eq!((world.pull().await, world.inventory.as_of()), (None, None));
    *world.configured.lock().unwrap() = Some(files.config(&mdm, ""));
    assert_eq!(world.pull().await, None);
    assert_eq!((world.known().len(), world.inventory.as_of()), (4, Some(NOW)));
    // Read in another way, nothing can be compared: whatever comes is right.
    mdm.answer_with(|_| json(&json!([{ "serial": "x" }])));
    *world.configured.lock().unwrap() = Some(files.config(&mdm, ", map: { id: /serial }"));
    assert_eq!((world.pull().await, world.known()), (None, vec!["x".to_owned()]));
    // A mistake in it forgets nothing.
    *world.configured.lock().unwrap() = Some(files.config(&mdm, ", map: { id: /number }"));
    assert!(world.pull().await.is_some() && world.known() == ["x"]);
    *world.configured.lock().unwrap() = None;
    assert_eq!((world.pull().await, world.known().len(), world.inventory.as_of()), (None, 0, None));
    assert!(!files.state().join("sync.ndjson").exists());
}

#[tokio::test]
async fn a_load_tries_again_what_failed_unless_the_service_wants_to_be_left_alone() {
    for (wait, again) in [(None, true), (Some("600"), false)] {
        let (files, mdm) = (Files::new(), answering(&["a"]).await);
        mdm.answer_with(move |_| {
            let mut answer = StatusCode::TOO_MANY_REQUESTS.into_response();
            answer
                .headers_mut()
                .extend(wait.map(|it| (axum::http::header::RETRY_AFTER, it.parse().unwrap())));
            answer
        });
        let world = World::start(files.state(), Some(files.config(&mdm, "")), NOW).await;
        assert!(world.pull().await.is_some());
        mdm.answer_with(|_| json(&list(&["a"])));
        // Not yet time: nothing was loaded.
        let mut course = world.sync.course.lock().await;
        world.sync.step(&mut course).await;
        assert!(world.sync.last_failure().is_some());
        *world.configured.lock().unwrap() = Some(files.config(&mdm, ""));
        world.sync.step(&mut course).await;
        assert_eq!(world.sync.last_failure().is_none(), again, "{wait:?}");
    }
}
