//! One request through the real binary on loopback, TLS and upstream included: `cargo bench --bench gateway`.
//! `cargo test` makes a few, so that it cannot rot.

use criterion::{Criterion, criterion_group, criterion_main};
use std::path::Path;

#[path = "../tests/support/mod.rs"]
mod support;

mod scene {
    pub mod gateway;
}

/// Over a connection that stays open, without and with a device certificate.
fn requests(bench: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tiergate = Path::new(env!("CARGO_BIN_EXE_tiergate"));
    let (estate, visits) = runtime.block_on(scene::gateway::visits(tiergate));
    let mut group = bench.benchmark_group("request");
    for mut visit in visits {
        group.bench_function(visit.name, |b| b.iter(|| runtime.block_on(visit.once())));
    }
    group.finish();
    drop(estate);
}

criterion_group!(benches, requests);
criterion_main!(benches);
