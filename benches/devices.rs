//! What an inventory of 500,000 devices costs: a lookup, its memory, and reading it. `cargo bench --bench devices`;
//! `cargo test` does it once with fewer devices, so that it cannot rot.

use criterion::{Criterion, criterion_group, criterion_main};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use tiergate::access::{DeviceTrust, Record, State};
use tiergate::config::{Authority, EvidenceLimits, Freshness};
use tiergate::device::{Evidence, TrustStore, judge};
use tiergate::inventory::{Inventory, Lines, Source};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const DEVICES: usize = if cfg!(debug_assertions) { 5_000 } else { 500_000 };
/// Bytes that all of it may take in memory.
const MOST_MEMORY: usize = 200 << 20;

fn id(n: usize) -> String {
    format!("C02X{:08X}", n.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF)
}

/// What a device management knows of a device, as one line.
fn line(n: usize) -> String {
    let (platform, version) = match n % 4 {
        0 => ("macos", format!("14.{}", n % 7)),
        1 => ("windows", format!("10.0.{}", 19_045 + n % 9)),
        2 => ("ios", format!("17.{}.{}", n % 6, n % 3)),
        _ => ("linux", format!("6.{}", n % 12)),
    };
    let notes = if n.is_multiple_of(10) { r#","notes":"spare, in the cupboard on floor 3""# } else { "" };
    format!(
        r#"{{"id":"{}","trust":"issued","ownership":"corporate","state":"active","owner":"first.last{n}@corp.example","platform":"{platform}","os_version":"{version}","last_checkin":"2026-11-25T{:02}:{:02}:00Z","posture":{{"disk_encrypted":{},"screen_lock":true,"firewall":{},"antivirus":true}}{notes}}}"#,
        id(n),
        n % 24,
        n % 60,
        !n.is_multiple_of(50),
        !n.is_multiple_of(7),
    ) + "\n"
}

fn read() -> Vec<Arc<Record>> {
    let mut lines = Lines::default();
    for n in 0..DEVICES {
        lines.feed(line(n).as_bytes());
    }
    let read = lines.finish();
    assert_eq!((read.records.len(), read.bad_lines), (DEVICES, 0), "{:?}", read.mistakes.first());
    read.records
}

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() * 1024
}

fn inventory(bench: &mut Criterion) {
    let before = resident();
    let inventory = Inventory::default();
    let began = Instant::now();
    let records = read();
    let was_read = began.elapsed();
    let changed = inventory.replace(Source::File, records).len();
    assert_eq!((changed, inventory.len()), (DEVICES, DEVICES));
    // What reading needed beside the records counts too: it is not given back at once.
    let grown = resident().saturating_sub(before);
    println!(
        "{DEVICES} devices: {} MB resident, read in {was_read:?}, in force after {:?}",
        grown >> 20,
        began.elapsed()
    );
    assert!(grown < MOST_MEMORY, "{grown} bytes");

    let mut group = bench.benchmark_group("inventory");
    // In an order without a pattern.
    let asked: Vec<String> = (0..1 << 16).map(|n: usize| id(n.wrapping_mul(7919) % DEVICES)).collect();
    let mut ids = asked.iter().cycle();
    group.bench_function("known", |b| b.iter(|| black_box(inventory.get(black_box(ids.next().unwrap())))));
    // Devices that are at work at the same time.
    let mut at_work = asked.iter().take(8192).cycle();
    group.bench_function("known, of 8,192 at work", |b| {
        b.iter(|| black_box(inventory.get(black_box(at_work.next().unwrap()))));
    });
    group.bench_function("unknown", |b| b.iter(|| black_box(inventory.get(black_box("nobody's")))));
    let mut after = asked.iter().cycle();
    group.bench_function("page of 100", |b| {
        b.iter(|| black_box(inventory.page(after.next().map(String::as_str), 100)));
    });
    group.bench_function("put", |b| {
        let records: Vec<Arc<Record>> = asked.iter().map(|id| Arc::new(Record::new(id))).collect();
        let mut records = records.iter().cycle();
        b.iter(|| {
            let record = records.next().unwrap();
            inventory.put(Source::Api, &record.id, Some(Arc::clone(record)))
        });
    });
    group.finish();
    judged(bench, &inventory);
}

/// A device of a connection that stays open, judged for one more request: certificate, list, inventory, ages.
fn judged(bench: &mut Criterion, inventory: &Inventory) {
    let now = time::OffsetDateTime::now_utc();
    let folder = tempfile::tempdir().unwrap();
    let (key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "bench");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root = ca.self_signed(&key).unwrap();
    let issuer = Issuer::from_params(&ca, &key);
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, id(1));
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let list = CertificateRevocationListParams {
        this_update: now,
        next_update: now + time::Duration::days(7),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).unwrap();
    let (ca_file, crl_file) = (folder.path().join("ca.pem"), folder.path().join("ca.crl"));
    std::fs::write(&ca_file, root.pem()).unwrap();
    std::fs::write(&crl_file, list.pem().unwrap()).unwrap();
    let authority = Authority {
        name: "bench".to_owned(),
        ca: vec![ca_file],
        grants: DeviceTrust::Issued,
        crl: vec![crl_file],
        must_be_recorded: true,
        ..Authority::default()
    };
    let hours = |hours| Some(std::time::Duration::from_hours(hours));
    let fresh = Freshness { low: hours(48), high: hours(24), allow_stale: false };
    let limits = EvidenceLimits { crl: fresh, ocsp: fresh, inventory: fresh };
    let trust = TrustStore::load(&[authority], &[], 1).unwrap().within(limits);
    let evidence = Evidence::parse(std::slice::from_ref(leaf.der())).unwrap();
    let now = now.unix_timestamp();
    inventory.set_as_of(Source::File, Some(now));
    let first = judge(&evidence, &trust, inventory, &fresh, now);
    assert_eq!((first.trust, first.record.is_some()), (DeviceTrust::Issued, true), "{first:?}");
    let mut group = bench.benchmark_group("judge");
    group.bench_function("unchanged", |b| {
        b.iter(|| black_box(judge(black_box(&evidence), &trust, inventory, &fresh, now)));
    });
    group.bench_function("another device changed", |b| {
        let mut state = [State::Lost, State::Active].into_iter().cycle();
        b.iter(|| {
            let record = Record { state: state.next(), ..Record::new("another") };
            inventory.put(Source::Api, "another", Some(Arc::new(record)));
            black_box(judge(black_box(&evidence), &trust, inventory, &fresh, now))
        });
    });
    group.finish();
}

criterion_group!(benches, inventory);
criterion_main!(benches);
