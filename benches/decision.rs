//! The decision alone, and what stands beside it on every request: `cargo bench --bench decision`. `cargo test` runs each once, so they cannot rot.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tiergate::access::{Device, DeviceTrust, Facts, GroupSet, Session, Subject, User, decide};
use tiergate::diagnostic::Source;
use tiergate::identity::Identified;
use tiergate::policy::{Policy, resolve};
use tiergate::session::{LiveSession, Sessions, Visit};
use tiergate::snapshot::{Asker, Shadow};
use tiergate::state::State;
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
        subject: Subject::User(User { active: true, groups, session, name: "ann", email: None }),
        device: Device {
            trust,
            lowered: None,
            id: Some("laptop"),
            standing: tiergate::access::Standing::Unrecorded,
        },
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

/// Deciding a request once more, place and all, and writing down the rule as the record does.
fn shadow(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("shadow");
    for resources in [10, 1_000, 20_000] {
        let live = policy(resources);
        let staff = live.group_set(["local:staff"]);
        let host = format!("r{}.corp.example", resources / 2);
        let facts = facts(&live, &host, &staff, DeviceTrust::Enrolled);
        let shadow = Shadow::new(policy(resources), 1_000);
        let own = shadow.policy().group_set(["local:staff"]);
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

/// A session that somebody is signed in with.
fn session() -> Arc<LiveSession> {
    let folder = tempfile::tempdir().unwrap();
    let who = Identified {
        provider: "local".to_owned(),
        subject: "ann".to_owned(),
        user: "ann".to_owned(),
        email: None,
        name: None,
        groups: Vec::new(),
        amr: Vec::new(),
        mfa: false,
        auth_time: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let state = Arc::new(State::open(folder.path()).await.unwrap());
        let sessions = Sessions::open(state, Duration::from_hours(1), 0).await.unwrap();
        sessions.begin(&who, 0).await.unwrap()
    })
}

/// Noting where a session was let in: a place that is there and unchanged, and one with another path in
/// a new second, which is written anew.
fn reached(bench: &mut Criterion) {
    let visit = Visit {
        resource: "payroll",
        section: "/admin",
        host: "payroll.corp.example",
        path: "/admin/users",
        method: "GET",
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        device: None,
        trust: DeviceTrust::Issued,
        lowered: None,
    };
    let mut group = bench.benchmark_group("reached");
    let full = session();
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        full.reached(&Visit { resource: name, ..visit }, 0);
    }
    full.reached(&visit, 0);
    group.bench_function("unchanged", |b| b.iter(|| full.reached(black_box(&visit), black_box(1))));
    let mut now = 1;
    group.bench_function("another path", |b| {
        b.iter(|| {
            now += 1;
            let path = if now % 2 == 0 { "/admin/users" } else { "/admin/groups" };
            full.reached(&Visit { path: black_box(path), ..visit }, now);
        });
    });
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

criterion_group!(benches, decisions, shadow, reached, canonicalisation);
criterion_main!(benches);
