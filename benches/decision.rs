//! The decision alone, and reading the policy that it is made by: `cargo bench --bench decision`. `cargo test` runs each
//! once with smaller policies, so they cannot rot.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tiergate::access::{Decision, decide};
use tiergate::policy::resolve;
use tiergate::snapshot::{Asker, Shadow};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

mod scene {
    pub mod policy;
}
use scene::policy::{GROUPS, RESOURCES, facts, files, groups, host, outcomes, policy};

/// By outcome, groups of the user and resources of the policy.
fn decisions(bench: &mut Criterion) {
    for resources in RESOURCES.iter().copied() {
        let policy = policy(resources);
        let host = host(resources / 2);
        let mut group = bench.benchmark_group("decide");
        for count in GROUPS {
            let groups = groups(&policy, count);
            for (outcome, facts) in outcomes(&policy, &host, &groups) {
                let id = BenchmarkId::new(format!("{outcome}, in {count} groups"), resources);
                group.bench_function(id, |b| b.iter(|| black_box(decide(&policy, black_box(&facts)))));
            }
        }
        group.finish();
    }
}

/// Finding the place too: of one host, and of one host after another in an order without a pattern.
fn places(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("locate");
    for resources in RESOURCES.iter().copied() {
        let policy = policy(resources);
        let one = host(resources / 2);
        group.bench_function(BenchmarkId::new("one host", resources), |b| {
            b.iter(|| black_box(policy.locate(black_box(&one), black_box("/a/users"))));
        });
        let groups = groups(&policy, 10);
        let asked: Vec<String> =
            (0..1 << 16).map(|n: usize| host(n.wrapping_mul(7919) % resources)).collect();
        let mut hosts = asked.iter().cycle();
        group.bench_function(BenchmarkId::new("another host each time, and decide", resources), |b| {
            b.iter(|| {
                let facts = facts(&policy, black_box(hosts.next().unwrap()), "GET", &groups);
                matches!(black_box(decide(&policy, &facts)), Decision::Allow(_))
            });
        });
    }
    group.finish();
}

/// Deciding a request once more, place and all, and writing down the rule as the record does.
fn shadow(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("shadow");
    for resources in RESOURCES.iter().copied() {
        let live = policy(resources);
        let (user, host) = (groups(&live, 10), host(resources / 2));
        let facts = facts(&live, &host, "GET", &user);
        let shadow = Shadow::new(policy(resources), 1_000);
        let own = groups(shadow.policy(), 10);
        let asker = Asker { groups: Some(&own), spiffe: None };
        group.bench_function(BenchmarkId::new("decide", resources), |b| {
            b.iter(|| {
                let verdict = shadow.decide(black_box(&facts), black_box(&host), black_box(asker));
                black_box((verdict.reason, verdict.rule.map(|rule| rule.0.clone())))
            });
        });
    }
    group.finish();
}

/// From the text of the files to a policy, as a reload does it.
fn reading(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("policy");
    group.sample_size(10);
    for resources in if cfg!(debug_assertions) { [10, 100] } else { [1_000, 10_000] } {
        let files = files(resources);
        group.bench_function(BenchmarkId::new("resolve", resources), |b| {
            b.iter(|| assert!(resolve(black_box(&files), None).0.is_some()));
        });
    }
    group.finish();
}

criterion_group!(benches, decisions, places, shadow, reading);
criterion_main!(benches);
