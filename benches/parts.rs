//! What every request needs beside its decision: `cargo bench --bench parts`. `cargo test` runs each once, so they
//! cannot rot.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tiergate::access::DeviceTrust;
use tiergate::gateway::headers;
use tiergate::gateway::request::{self, Kind};
use tiergate::identity::Identified;
use tiergate::session::{
    Cookies, LiveSession, SESSION_COOKIE, SessionCookie, Sessions, Visit, is_own_cookie,
};
use tiergate::state::State;
use tiergate::text::canonical;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

mod scene {
    pub mod head;
    pub mod request;
}
use scene::request::{HOST, NOW, assertions, claims, cookie, event, head, sealer};

/// Targets and authorities of each shape, also those that are refused.
fn canonicalisation(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("canonical");
    let deep = format!("/{}", "segment/".repeat(64));
    for (shape, text) in [
        ("plain", "/browse/42"),
        ("with a query", "/browse/42?tab=comments&sort=newest"),
        ("64 segments", &deep),
        ("encoded", "/caf%c3%a9/menu%20of%20today"),
        ("to be collapsed", "//browse/./42"),
        ("refused", "/browse/%2e%2e/admin"),
    ] {
        group.bench_function(format!("target, {shape}"), |b| {
            b.iter(|| black_box(canonical::target(black_box(text))));
        });
    }
    for (shape, text) in [
        ("plain", HOST),
        ("with a port", "tickets.corp.example:8443"),
        ("in capitals", "Tickets.Corp.Example"),
        ("refused", "tickets.corp.example/x"),
    ] {
        group.bench_function(format!("authority, {shape}"), |b| {
            b.iter(|| black_box(canonical::authority(black_box(text))));
        });
    }
    group.finish();
}

/// A browser's head: understood, and cleaned for an upstream.
fn heads(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("head");
    let head = head();
    group.bench_function("read", |b| b.iter(|| black_box(request::read(black_box(&head), Kind::Navigation))));
    group.bench_function("cleaned", |b| {
        b.iter_batched_ref(
            || head.clone(),
            |head| request::clean(head, is_own_cookie),
            BatchSize::SmallInput,
        );
    });
    for name in ["accept", "sec-fetch-site", "content-length", "x-forwarded-for", "x-tiergate-user"] {
        group.bench_function(format!("is {name} reserved"), |b| {
            b.iter(|| black_box(headers::is_reserved(black_box(name))));
        });
    }
    group.finish();
}

/// The session cookie: found among others, and opened.
fn cookies(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("cookie");
    let (head, sealer) = (head(), sealer());
    group.bench_function("found", |b| {
        b.iter(|| black_box(Cookies::read(black_box(&head.headers)).get(SESSION_COOKIE)));
    });
    for (shape, value, opens) in [
        ("opened", cookie(2), true),
        ("opened with the key before", cookie(1), true),
        ("of nobody's key", cookie(3), false),
    ] {
        assert_eq!(SessionCookie::open(&sealer, HOST, &value).is_some(), opens);
        group.bench_function(shape, |b| {
            b.iter(|| black_box(SessionCookie::open(&sealer, black_box(HOST), black_box(&value))));
        });
    }
    group.finish();
}

/// What an upstream is shown: the assertion that was made before, and a new one.
fn assertion(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("assertion");
    let (assertions, claims) = (assertions(), claims());
    group.bench_function("kept", |b| b.iter(|| black_box(assertions.sign(black_box(&claims), NOW))));
    let mut now = NOW;
    group.bench_function("signed anew", |b| {
        b.iter(|| {
            // Longer than any is good.
            now += 1_000;
            black_box(assertions.sign(black_box(&claims), now))
        });
    });
    group.finish();
}

/// An event as a line of the audit log.
fn audit(bench: &mut Criterion) {
    let event = event();
    let mut line = Vec::with_capacity(4096);
    bench.bench_function("audit/encoded", |b| {
        b.iter(|| {
            line.clear();
            event.encode(&mut line).unwrap();
            black_box(line.len())
        });
    });
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

criterion_group!(benches, canonicalisation, heads, cookies, assertion, audit, reached);
criterion_main!(benches);
