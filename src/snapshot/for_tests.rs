//! A snapshot for unit tests: the demo's, with what a test cares about put in place.

use super::{Snapshot, load};
use crate::access::Timestamp;
use crate::demo::{Estate, Options};
use crate::gateway::tls::Resumption;
use std::sync::{Arc, LazyLock};

const NOW: Timestamp = 1_800_000_000;

/// Made once: its certificates and password hashes take their time.
static DEMO: LazyLock<Snapshot> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: folder.path().join("demo"),
        listen: "127.0.0.1:8443".parse().unwrap(),
        admin: "127.0.0.1:9901".parse().unwrap(),
    };
    let estate = Estate::prepare(&options, NOW).unwrap();
    let loaded = load(&estate.config, None, &Resumption::new().unwrap(), NOW).unwrap();
    assert_eq!(loaded.warnings, "");
    loaded.snapshot
});

impl Snapshot {
    /// The demo's snapshot after `change`. Its files are gone.
    pub(crate) fn for_tests(change: impl FnOnce(&mut Self)) -> Self {
        let demo = &*DEMO;
        let mut snapshot = Self {
            generation: demo.generation,
            config: Arc::clone(&demo.config),
            policy: Arc::clone(&demo.policy),
            parsed: demo.parsed.clone(),
            shadow: demo.shadow.clone(),
            providers: Arc::clone(&demo.providers),
            trust: Arc::clone(&demo.trust),
            chains: Arc::default(),
            inventory: Arc::default(),
            certificates: Arc::clone(&demo.certificates),
            tls: Arc::clone(&demo.tls),
            admin_tls: Arc::clone(&demo.admin_tls),
            upstreams: demo.upstreams.clone(),
            limiters: Arc::clone(&demo.limiters),
        };
        change(&mut snapshot);
        snapshot
    }
}
