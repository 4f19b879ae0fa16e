//! All that is tiergate's own for one request: it is understood, its user and device are identified, it is decided and
//! handed to the audit log. `cargo bench --bench ours` times it; `cargo test` does it once. Its allocations are
//! asserted, times never.
//!
//! It makes the calls of `src/gateway/judge.rs` in their order, without a connection to read from. The audit log is a
//! real one, with its writer on a thread of its own, whose allocations are not counted.

use alloc_tracker::Allocator;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};
use pingora::http::RequestHeader;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiergate::access::{Decision, DeviceTrust, Facts, Permit, Reason, decide};
use tiergate::gateway::forward::{Asked, Forward};
use tiergate::gateway::rate::Key;
use tiergate::gateway::record::Record;
use tiergate::gateway::request::{self, Initiator, Reading, Who};
use tiergate::gateway::{cors, identify, own_pages};
use tiergate::snapshot::Snapshot;
use tiergate::telemetry::Decided;
use tiergate::text::canonical;
use tikv_jemallocator::Jemalloc;

mod scene {
    pub mod count;
    pub mod estate;
    pub mod head;
}
use scene::count::count;
use scene::estate::{Estate, Visitor};

#[global_allocator]
static ALLOCATOR: Allocator<Jemalloc> = Allocator::new(Jemalloc);

/// What one request may allocate until it is decided and recorded: its text, and the place where both ways through
/// the gateway share it.
const MOST: u64 = 2;
/// Requests before they are counted or timed: the first ones fill caches.
const WARMING_UP: u64 = 50;
/// Requests after which the audit log is waited for: with those before them, fewer than its queue holds.
const AT_ONCE: u64 = 4_000;
/// Resources of the policies.
const RESOURCES: [usize; 2] = [10, 1_000];

/// What an allowed request goes on with.
struct Allowed<'a> {
    permit: Permit<'a>,
    snapshot: &'a Snapshot,
    asked: &'a Asked<'a>,
}

/// Judges one request of the visitor, as `src/gateway/judge.rs` does. What it comes to, and what became of it where
/// it is allowed.
fn judged<T>(
    estate: &Estate,
    visitor: &Visitor,
    allowed: impl FnOnce(Allowed<'_>) -> T,
) -> (Reason, Option<T>) {
    let (gateway, Visitor { connection, head }) = (&estate.gateway, visitor);
    let mut record = Record::new(Arc::clone(gateway), None);
    record.client(connection.client.ip());
    let snapshot = gateway.snapshot();
    let now = gateway.now();
    let judged = identify::judge(connection, &snapshot, now);
    let kind = request::kind(head);
    let Ok(Reading::Plain(mut request)) = request::read(head, kind) else { panic!("{head:?}") };
    record.request(&request);
    let login_host = snapshot.config.identity.login_host == request.host();
    let place = snapshot.policy.locate(request.host(), request.path());
    assert!(connection.served.covers(request.host()));
    request.who =
        identify::find(&head.headers, request.host(), connection, &judged, &estate.login, login_host);
    assert!(matches!(request.who, Who::Session(_)), "{:?}", request.who);
    let user = identify::user(&request, &snapshot);
    record.asker(&request.who, user.as_ref(), &judged, now);
    assert!(!own_pages::is_own(&request, &snapshot));
    let place = place.unwrap();
    record.place(&snapshot, place, connection.memory.counters(gateway.metrics(), &snapshot, place));
    assert!(canonical::loosest_reading(request.path()).is_none());
    let other_name = connection.sni.as_deref().is_some_and(|sni| sni.trim_end_matches('.') != request.host());
    let needs_device = place.section().tier.required_trust() > DeviceTrust::None;
    assert!(!(needs_device && connection.evidence.is_none() && other_name));
    let (resource, key) = (place.resource(), Key::address(connection.client.ip()));
    let used_up = |limit| snapshot.limiters.count(&resource.name, limit, &key).err();
    let limited = resource.address_limits.iter().find_map(used_up);
    assert!(!cors::is_preflight(&request, &head.headers));
    let request = Arc::new(request);
    let foreign = request.origin != Initiator::Own && !cors::lists_origin(resource, &request);
    let facts = Facts {
        place: Some(place),
        method: request.method.as_str(),
        path: request.path(),
        client: connection.client.ip(),
        now,
        address_limited: limited.is_some(),
        cross_origin: foreign && request.is_unsafe(),
        audit_available: estate.audit.available(),
        subject: identify::subject(&request, user.as_ref(), &judged, &snapshot, now),
        device: judged.device(),
    };
    let began = Instant::now();
    let decision = decide(&snapshot.policy, &facts);
    record.decision_took(began.elapsed());
    assert!(snapshot.shadow_at(now).is_none());
    let came_to = match decision {
        Decision::Allow(permit) => {
            record.decided(Decided::Allow, Reason::Allowed, permit.rule());
            let id = record.request_id();
            let asked =
                Asked { request: &request, user: user.as_ref(), connection, judged: &judged, id, now };
            let became = allowed(Allowed { permit, snapshot: &snapshot, asked: &asked });
            if let Who::Session(session) = &request.who {
                session.touch(now);
            }
            record.status(200);
            (Reason::Allowed, Some(became))
        }
        Decision::Deny(denial) | Decision::Challenge(_, denial) => {
            record.decided(Decided::Deny, denial.reason, denial.rule);
            record.status(403);
            (denial.reason, None)
        }
    };
    record.finish();
    came_to
}

fn requests(bench: &mut Criterion) {
    let estate = Estate::start();
    for resources in RESOURCES {
        estate.hold(resources);
        let mut group = bench.benchmark_group(format!("ours, of {resources} resources"));
        group.sampling_mode(SamplingMode::Flat);
        for (what, host, user, device, reason) in [
            ("open, no device", "wiki.localhost", "finance@corp.example", None, Reason::Allowed),
            ("high, a device", "payroll.localhost", "finance@corp.example", Some("issued"), Reason::Allowed),
            ("denied", "payroll.localhost", "employee@corp.example", Some("issued"), Reason::NotAllowed),
        ] {
            let visitor = estate.visitor(host, user, device);
            for _ in 0..WARMING_UP {
                assert_eq!(judged(&estate, &visitor, drop_it).0, reason, "{what}");
            }
            let counted = count(|| judged(&estate, &visitor, drop_it));
            println!("{what}, of {resources} resources: {counted} allocations");
            assert!(counted <= MOST, "{what}: {counted} allocations, {MOST} at most");
            measure(&mut group, what, &estate, |times| {
                let began = Instant::now();
                for _ in 0..times {
                    black_box(judged(&estate, black_box(&visitor), drop_it));
                }
                began.elapsed()
            });
        }
        group.finish();
    }
    forwarding(bench, &estate);
}

/// A permit that is not used.
fn drop_it(_: Allowed<'_>) {}

/// What every allowed request costs beside that: its way on, and the head that the upstream gets. The clock is read
/// twice for each, which is in the figures.
fn forwarding(bench: &mut Criterion, estate: &Estate) {
    let visitor = estate.visitor("payroll.localhost", "finance@corp.example", Some("issued"));
    let made = |Allowed { permit, snapshot, asked }: Allowed<'_>| {
        let forward = Forward::new(permit, &estate.gateway, snapshot, asked);
        forward.unwrap_or_else(|unmet| panic!("{:?}", unmet.reason))
    };
    let made_in = |allowed: Allowed<'_>| {
        let began = Instant::now();
        let forward = black_box(made(allowed));
        (began.elapsed(), forward)
    };
    let dressed_in = |allowed: Allowed<'_>| {
        let (forward, mut head) = (made(allowed), for_an_upstream(&visitor.head));
        let began = Instant::now();
        forward.dress(black_box(&mut head)).unwrap();
        began.elapsed()
    };
    for _ in 0..WARMING_UP {
        judged(estate, &visitor, dressed_in);
    }
    let way = judged(estate, &visitor, |allowed| count(|| made(allowed))).1.unwrap();
    let dress = judged(estate, &visitor, |allowed| {
        let (forward, mut head) = (made(allowed), for_an_upstream(&visitor.head));
        count(|| forward.dress(&mut head))
    });
    println!("a way on: {way} allocations; a head for the upstream: {} allocations", dress.1.unwrap());
    let mut group = bench.benchmark_group("forward");
    group.sampling_mode(SamplingMode::Flat);
    let each = |times, once: &dyn Fn() -> Duration| (0..times).map(|_| once()).sum();
    measure(&mut group, "a way on", estate, |times| {
        each(times, &|| judged(estate, &visitor, made_in).1.unwrap().0)
    });
    measure(&mut group, "a head for the upstream", estate, |times| {
        each(times, &|| judged(estate, &visitor, dressed_in).1.unwrap())
    });
    group.finish();
}

/// Times requests in groups that the audit log's queue holds; it is waited for between them, and that is not timed.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    what: &str,
    estate: &Estate,
    mut timed: impl FnMut(u64) -> Duration,
) {
    group.bench_function(what, |b| {
        b.iter_custom(|mut times| {
            let mut took = Duration::ZERO;
            while times > 0 {
                let now = times.min(AT_ONCE);
                // While it was waited for, others have used the caches.
                timed(WARMING_UP);
                took += timed(now);
                estate.settle();
                times -= now;
            }
            took
        });
    });
}

/// The head as `src/gateway/relay.rs` has it dressed.
fn for_an_upstream(head: &RequestHeader) -> RequestHeader {
    RequestHeader::from(head.as_owned_parts())
}

criterion_group!(
    name = benches;
    // What waits for the audit log takes longer than what is timed.
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    targets = requests
);
criterion_main!(benches);
