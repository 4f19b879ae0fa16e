//! Every metric tiergate has, in a registry of its own.
//!
//! Invariants: the names and labels are those of `docs/metrics.md`; what a request adds to was resolved
//! before ([`Metrics::for_resource`]), so that the hot path looks nothing up by label.

use super::process::Process;
use super::resource::{ResourceFamilies, ResourceMetrics, UpstreamMetrics};
use super::series::Series;
use crate::access::{DeviceTrust, Tier, Timestamp};
use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

const REQUEST_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const DECISION_BUCKETS: &[f64] = &[2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 1e-4, 1e-3, 1e-2];
const REVOCATION_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// The metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be registered")]
pub struct MetricsError(#[from] prometheus::Error);

/// The TLS version that a handshake ended with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
    /// The handshake failed before one was agreed on.
    None,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeResult {
    /// It is complete.
    Ok,
    /// The client did not finish in time.
    Timeout,
    /// It failed, or the client went away.
    Failed,
    /// There were too many connections already, so it did not begin.
    Busy,
}

/// One handshake that is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Handshake {
    /// The version agreed on.
    pub version: TlsVersion,
    /// How it ended.
    pub result: HandshakeResult,
    /// How far the certificate that was presented is trusted.
    pub device: DeviceTrust,
}

/// How an attempt to sign in ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginResult {
    /// Signed in.
    Success,
    /// Wrong credentials, a disabled account, an answer that does not hold.
    Refused,
    /// Not looked at: too many failures before, or too many sign-ins at once.
    Throttled,
    /// The provider could not be reached or answered nonsense.
    Error,
}

/// What the evidence is whose age is watched.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EvidenceSource {
    /// Revocation lists.
    Crl,
    /// What is known of devices.
    Inventory,
    /// Answers of OCSP responders.
    Ocsp,
    /// Keys of OpenID providers.
    Jwks,
}

/// How a pull of the device management ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SyncResult {
    /// Something else is known of a device.
    Changed,
    /// Everything is as it was.
    Unchanged,
    /// The list could not be had or read.
    Failed,
    /// There was a list, and it is not believed.
    Refused,
}

type Hook = Box<dyn Fn(&Metrics) + Send + Sync>;

/// Every metric. One value a process, shared.
pub struct Metrics {
    registry: Registry,
    families: ResourceFamilies,
    resources: Mutex<HashMap<(String, Tier), Arc<ResourceMetrics>>>,
    nowhere: Arc<ResourceMetrics>,
    handshakes: IntCounterVec,
    logins: IntCounterVec,
    sessions: IntGauge,
    connections: IntGauge,
    upgraded: IntGauge,
    upstream_requests: IntCounterVec,
    upstreams: Mutex<BTreeMap<String, Arc<UpstreamMetrics>>>,
    upstream_healthy: Series<2>,
    reload_successful: IntGauge,
    reload_success_time: Gauge,
    generation: IntGauge,
    certificates: Series<2>,
    evidence: Series<1>,
    syncs: IntCounterVec,
    devices: IntGauge,
    pub(crate) audit_events: IntCounter,
    pub(crate) audit_queue: IntGauge,
    pub(crate) audit_failures: IntCounter,
    pub(crate) audit_available: IntGauge,
    revocation: Histogram,
    process: Process,
    before_scrape: OnceLock<Hook>,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// A name or label that the library refuses, which the tests rule out.
    pub fn new() -> Result<Self, MetricsError> {
        let make = Maker(Registry::new());
        let families = families(&make)?;
        let build =
            make.gauges("tiergate_build_info", "The running build; always 1.", ["version", "revision"])?;
        build.set([env!("CARGO_PKG_VERSION"), option_env!("TIERGATE_REVISION").unwrap_or("unknown")], 1.0);
        let metrics = Self {
            nowhere: Arc::new(ResourceMetrics::new(&families, None)),
            families,
            resources: Mutex::default(),
            handshakes: make.counters(
                "tiergate_tls_handshakes_total",
                "TLS handshakes, by version, result and device trust of the certificate presented.",
                &["version", "result", "device"],
            )?,
            logins: make.counters(
                "tiergate_logins_total",
                "Attempts to sign in, by provider and result.",
                &["provider", "result"],
            )?,
            sessions: make.gauge("tiergate_sessions_active", "Sessions that are alive.")?,
            connections: make.gauge("tiergate_connections_active", "Client connections that are open.")?,
            upgraded: make.gauge(
                "tiergate_upgraded_connections_active",
                "Client connections that were upgraded, such as WebSockets.",
            )?,
            upstream_requests: make.counters(
                "tiergate_upstream_requests_total",
                "Requests sent to upstreams, by class of the answer's status, or `error` where there was none.",
                &["upstream", "code"],
            )?,
            upstreams: Mutex::default(),
            upstream_healthy: make.gauges(
                "tiergate_upstream_healthy",
                "Whether the address of an upstream is in use (1) or taken out (0).",
                ["upstream", "address"],
            )?,
            reload_successful: make.gauge(
                "tiergate_config_last_reload_successful",
                "Whether the last load of configuration and policy succeeded (1) or was refused (0).",
            )?,
            reload_success_time: make.add(Gauge::new(
                "tiergate_config_last_reload_success_timestamp_seconds",
                "When configuration and policy were last loaded, in seconds since the Unix epoch.",
            )?)?,
            generation: make.gauge("tiergate_policy_generation", "Counts up with every load that succeeded.")?,
            certificates: make.gauges(
                "tiergate_certificate_expiry_timestamp_seconds",
                "When a certificate ends, in seconds since the Unix epoch.",
                ["kind", "name"],
            )?,
            evidence: make.gauges(
                "tiergate_evidence_age_seconds",
                "Age of the oldest evidence of each source.",
                ["source"],
            )?,
            syncs: make.counters(
                "tiergate_inventory_sync_total",
                "Pulls of the device management's list, by result.",
                &["result"],
            )?,
            devices: make.gauge("tiergate_inventory_devices", "Devices that the inventory knows.")?,
            audit_events: make.counter("tiergate_audit_events_total", "Audit events written.")?,
            audit_queue: make.gauge("tiergate_audit_queue_length", "Audit events that wait to be written.")?,
            audit_failures: make.counter(
                "tiergate_audit_failures_total",
                "Audit events lost, and writes of the audit log that failed.",
            )?,
            audit_available: make.gauge(
                "tiergate_audit_available",
                "Whether the audit log can be written (1) or not (0).",
            )?,
            revocation: make.histogram(
                "tiergate_revocation_enforcement_seconds",
                "From a revocation to the end of a connection that it concerned.",
                REVOCATION_BUCKETS,
            )?,
            process: Process::register(&make.0)?,
            before_scrape: OnceLock::new(),
            registry: make.0,
        };
        Ok(metrics)
    }

    /// The counters of a resource at a tier. Resolve them once for each policy load, not for each request.
    #[must_use]
    pub fn for_resource(&self, name: &str, tier: Tier) -> Arc<ResourceMetrics> {
        let mut resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = resources.entry((name.to_owned(), tier));
        Arc::clone(
            entry.or_insert_with(|| Arc::new(ResourceMetrics::new(&self.families, Some((name, tier))))),
        )
    }

    /// The counters of requests that no resource was found for, tiergate's own pages among them.
    #[must_use]
    pub const fn no_resource(&self) -> &Arc<ResourceMetrics> {
        &self.nowhere
    }

    /// Removes the series of every resource and tier but these. Call it after a reload, when
    /// [`Metrics::for_resource`] was called for these.
    pub fn retain_resources(&self, live: &[(&str, Tier)]) {
        let pairs: HashSet<(&str, Tier)> = live.iter().copied().collect();
        let names: HashSet<&str> = live.iter().map(|(name, _)| *name).collect();
        let mut resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        resources.retain(|(name, tier), metrics| {
            let kept = pairs.contains(&(name.as_str(), *tier));
            if !kept {
                metrics.remove(!names.contains(name.as_str()));
            }
            kept
        });
    }

    /// The counters of an upstream. Resolve them once for each load.
    #[must_use]
    pub fn for_upstream(&self, name: &str) -> Arc<UpstreamMetrics> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = upstreams.entry(name.to_owned());
        Arc::clone(entry.or_insert_with(|| Arc::new(UpstreamMetrics::new(&self.upstream_requests, name))))
    }

    /// Whether an address of an upstream is in use.
    pub fn upstream_healthy(&self, upstream: &str, address: &str, healthy: bool) {
        self.upstream_healthy.set([upstream, address], if healthy { 1.0 } else { 0.0 });
    }

    /// Removes the series of every upstream and address but these.
    pub fn retain_upstreams(&self, live: &[(&str, &str)]) {
        self.upstream_healthy
            .retain(|[upstream, address]| live.contains(&(upstream.as_str(), address.as_str())));
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        upstreams.retain(|name, metrics| {
            let kept = live.iter().any(|(upstream, _)| upstream == name);
            if !kept {
                metrics.remove();
            }
            kept
        });
    }

    /// One TLS handshake that is over.
    pub fn handshake(&self, handshake: Handshake) {
        let Handshake { version, result, device } = handshake;
        let version = match version {
            TlsVersion::V12 => "1.2",
            TlsVersion::V13 => "1.3",
            TlsVersion::None => "none",
        };
        let result = match result {
            HandshakeResult::Ok => "ok",
            HandshakeResult::Timeout => "timeout",
            HandshakeResult::Failed => "failed",
            HandshakeResult::Busy => "busy",
        };
        self.handshakes.with_label_values(&[version, result, device.as_str()]).inc();
    }

    /// One attempt to sign in. The provider is a configured name, never what a client sent.
    pub fn login(&self, provider: &str, result: LoginResult) {
        let result = match result {
            LoginResult::Success => "success",
            LoginResult::Refused => "refused",
            LoginResult::Throttled => "throttled",
            LoginResult::Error => "error",
        };
        self.logins.with_label_values(&[provider, result]).inc();
    }

    /// How many sessions are alive.
    pub fn sessions_active(&self, sessions: usize) {
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
    }

    /// Counts a client connection until the guard is dropped.
    #[must_use]
    pub fn connection(&self) -> Active {
        Active::new(&self.connections)
    }

    /// Counts an upgraded connection until the guard is dropped.
    #[must_use]
    pub fn upgraded_connection(&self) -> Active {
        Active::new(&self.upgraded)
    }

    /// Configuration and policy were loaded.
    pub fn reload_succeeded(&self, generation: u64, now: Timestamp) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.reload_success_time.set(seconds(now));
        self.reload_successful.set(1);
    }

    /// A load was refused; the last good state stays.
    pub fn reload_failed(&self) {
        self.reload_successful.set(0);
    }

    /// When each certificate ends, by kind (`server`, `device-authority`, …) and configured name.
    pub fn certificates<'a>(&self, expiries: impl IntoIterator<Item = (&'a str, &'a str, Timestamp)>) {
        // Several certificates under one name: the one that ends first is the one to act on.
        let mut first: BTreeMap<[&str; 2], Timestamp> = BTreeMap::new();
        for (kind, name, expiry) in expiries {
            first.entry([kind, name]).and_modify(|at| *at = expiry.min(*at)).or_insert(expiry);
        }
        self.certificates.replace(first.into_iter().map(|(labels, at)| (labels, seconds(at))));
    }

    /// The age of the oldest evidence of each source; a source that is not named has none.
    pub fn evidence_ages(&self, ages: impl IntoIterator<Item = (EvidenceSource, Duration)>) {
        let mut oldest: BTreeMap<EvidenceSource, Duration> = BTreeMap::new();
        for (source, age) in ages {
            oldest.entry(source).and_modify(|known| *known = age.max(*known)).or_insert(age);
        }
        self.evidence.replace(oldest.into_iter().map(|(source, age)| {
            let source = match source {
                EvidenceSource::Crl => "crl",
                EvidenceSource::Inventory => "inventory",
                EvidenceSource::Ocsp => "ocsp",
                EvidenceSource::Jwks => "jwks",
            };
            ([source], age.as_secs_f64())
        }));
    }

    /// A pull of the device management's list is over.
    pub fn synced(&self, result: SyncResult) {
        let result = match result {
            SyncResult::Changed => "changed",
            SyncResult::Unchanged => "unchanged",
            SyncResult::Failed => "failed",
            SyncResult::Refused => "refused",
        };
        self.syncs.with_label_values(&[result]).inc();
    }

    /// How many devices the inventory knows.
    pub fn inventory_devices(&self, devices: usize) {
        self.devices.set(i64::try_from(devices).unwrap_or(i64::MAX));
    }

    /// A connection was ended because of a revocation, this long after it.
    pub fn revocation_enforced(&self, took: Duration) {
        self.revocation.observe(took.as_secs_f64());
    }

    /// What brings gauges up to date that nobody sets as things happen; called before each scrape.
    /// Only the first hook counts.
    pub fn before_scrape(&self, hook: impl Fn(&Self) + Send + Sync + 'static) {
        let _ = self.before_scrape.set(Box::new(hook));
    }

    /// All metrics in the Prometheus text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.refresh();
        if let Some(hook) = self.before_scrape.get() {
            hook(self);
        }
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        text
    }
}

/// Unix seconds as Prometheus has them. Exact for the next hundred million years.
#[expect(clippy::cast_precision_loss, reason = "a date is far below 2^52")]
const fn seconds(at: Timestamp) -> f64 {
    at as f64
}

/// Something that is counted for as long as it lives.
pub struct Active(IntGauge);

impl Active {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What resources are counted in.
fn families(make: &Maker) -> Result<ResourceFamilies, prometheus::Error> {
    Ok(ResourceFamilies {
            requests: make.counters(
                "tiergate_requests_total",
                "Requests that are over, by resource, tier and class of the status.",
                &["resource", "tier", "code"],
            )?,
            duration: make.add(HistogramVec::new(
                HistogramOpts::new(
                    "tiergate_request_duration_seconds",
                    "From the first byte of a request to the last byte of its answer.",
                )
                .buckets(REQUEST_BUCKETS.to_vec()),
                &["resource"],
            )?)?,
            decisions: make.counters(
                "tiergate_decisions_total",
                "Decisions, by resource, tier, decision and reason code.",
                &["resource", "tier", "decision", "reason"],
            )?,
            decision_duration: make.histogram(
                "tiergate_decision_duration_seconds",
                "Time spent deciding a request.",
                DECISION_BUCKETS,
            )?,
            shadow: make.counters(
                "tiergate_shadow_decisions_total",
                "Requests that the policy in shadow decided too: live decision, shadow decision and the shadow's reason.",
                &["resource", "tier", "live", "shadow", "reason"],
            )?,
        })
}

/// Makes and registers in one step, so that no metric is forgotten.
struct Maker(Registry);

impl Maker {
    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(name, help)?)
    }

    fn gauges<const L: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; L],
    ) -> Result<Series<L>, prometheus::Error> {
        Series::register(&self.0, name, help, labels)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
