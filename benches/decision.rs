//! The decision alone: `cargo bench --bench decision`. `cargo test` runs each once, so they cannot rot.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use tiergate::access::{Device, DeviceTrust, Facts, GroupSet, Session, Subject, User, decide};
use tiergate::diagnostic::Source;
use tiergate::policy::{Policy, resolve};
use tiergate::text::canonical;

/// A policy of so many resources, each with a path of a higher tier.
fn policy(resources: usize) -> Policy {
    let mut text = "version: 1\ngroups:\n  staff: { any_of: [local:staff] }\n  guests: { any_of: [local:guests] }\nresources:\n".to_owned();
    for n in 0..resources {
        let _ = write!(
            text,
            "  - name: r{n}\n    tier: low\n    hosts: [r{n}.corp.example]\n    upstream: demo\n    allow: [{{ groups: [staff] }}]\n    deny: [{{ groups: [guests], methods: [DELETE] }}]\n    paths: [{{ prefix: /admin, tier: high }}]\n"
        );
        // A file has a bound; the folder has a larger one.
    }
    let files: Vec<Source> = split(&text).collect();
    let (policy, findings) = resolve(&files, None);
    policy.unwrap_or_else(|| panic!("{findings:?}"))
}

/// The same policy in files of a size that is accepted.
fn split(text: &str) -> impl Iterator<Item = Source> + '_ {
    let (head, resources) = text.split_once("resources:\n").unwrap();
    let entries: Vec<&str> = resources.split_inclusive("tier: high }]\n").collect();
    let chunks: Vec<String> =
        entries.chunks(2000).map(|chunk| format!("version: 1\nresources:\n{}", chunk.concat())).collect();
    let all = std::iter::once(head.to_owned()).chain(chunks);
    all.enumerate().map(|(n, text)| Source { path: format!("policies/{n}.yaml").into(), text })
}

fn facts<'a>(policy: &'a Policy, host: &str, groups: &'a GroupSet, trust: DeviceTrust) -> Facts<'a> {
    let session = Session { started: 0, last_seen: 100, auth_time: 0, mfa: false };
    Facts {
        place: policy.locate(host, "/browse/42"),
        method: "GET",
        path: "/browse/42",
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now: 100,
        address_limited: false,
        cross_origin: false,
        audit_available: true,
        subject: Subject::User(User { active: true, groups, session }),
        device: Device { trust, lowered: None, id: Some("laptop") },
    }
}

fn decisions(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("decide");
    for resources in [10, 1_000, 20_000] {
        let policy = policy(resources);
        let staff = policy.group_set(["local:staff"]);
        let host = format!("r{}.corp.example", resources / 2);
        let allow = facts(&policy, &host, &staff, DeviceTrust::Enrolled);
        let deny = facts(&policy, &host, &staff, DeviceTrust::None);
        group.bench_function(BenchmarkId::new("allow", resources), |b| {
            b.iter(|| black_box(decide(&policy, black_box(&allow))));
        });
        group.bench_function(BenchmarkId::new("deny", resources), |b| {
            b.iter(|| black_box(decide(&policy, black_box(&deny))));
        });
        group.bench_function(BenchmarkId::new("locate", resources), |b| {
            b.iter(|| black_box(policy.locate(black_box(&host), black_box("/admin/users"))));
        });
    }
    group.finish();
}

fn canonicalisation(bench: &mut Criterion) {
    bench.bench_function("canonical/target", |b| {
        b.iter(|| black_box(canonical::target(black_box("/browse/42?a=b"))));
    });
    bench.bench_function("canonical/authority", |b| {
        b.iter(|| black_box(canonical::authority(black_box("tickets.corp.example:8443"))));
    });
}

criterion_group!(benches, decisions, canonicalisation);
criterion_main!(benches);
