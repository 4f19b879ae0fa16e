//! What `/readyz` shows: every part of the process, and how it is.

use crate::access::{DeviceTrust, Timestamp};
use crate::admin::{Check, Readiness};
use crate::audit::Audit;
use crate::config::Freshness;
use crate::gateway::Gateway;
use crate::inventory::sync::DeviceSync;
use crate::reload::Reloader;
use crate::snapshot::Snapshot;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What `/readyz` shows.
pub(crate) struct Health {
    pub audit: Arc<Audit>,
    pub reloader: Arc<Reloader>,
    pub gateway: Arc<Gateway>,
    pub sync: Arc<DeviceSync>,
    pub draining: Arc<AtomicBool>,
}

impl Readiness for Health {
    fn checks(&self) -> Vec<Check> {
        let (snapshot, now) = (self.gateway.snapshot(), self.gateway.now());
        let reload = match self.reloader.last_failure() {
            None => Check::ok("reload"),
            Some(finding) => Check::warning("reload", format!("the last good state goes on: {finding}")),
        };
        let audit = if self.audit.available() {
            Check::ok("audit")
        } else if snapshot.config.audit.deny_on_failure.open {
            Check::failed("audit", "the audit log cannot be written, and every tier demands it")
        } else {
            Check::warning("audit", "the audit log cannot be written")
        };
        let ill: Vec<&str> = snapshot
            .upstreams
            .iter()
            .filter(|upstream| upstream.healthy(now) == 0)
            .map(|upstream| upstream.name.as_str())
            .collect();
        let upstreams = if ill.is_empty() {
            Check::ok("upstreams")
        } else {
            Check::warning("upstreams", format!("no address is healthy: {}", ill.join(", ")))
        };
        let expired = snapshot.certificates.iter().find(|served| served.not_after < now);
        let certificates = match expired {
            None => Check::ok("certificates"),
            Some(served) => Check::warning("certificates", format!("`{}` has expired", served.name)),
        };
        let draining = if self.draining.load(Ordering::Relaxed) {
            Check::failed("draining", "the process is stopping")
        } else {
            Check::ok("draining")
        };
        let sync = match self.sync.last_failure() {
            None => Check::ok("device_sync"),
            Some(why) => {
                Check::warning("device_sync", format!("the last pull failed, what was known stays: {why}"))
            }
        };
        vec![reload, audit, upstreams, certificates, evidence(&snapshot, now), sync, draining]
    }
}

/// Whether what is known of devices is fresh enough for every tier, whether or not anybody is denied for it.
fn evidence(snapshot: &Snapshot, now: Timestamp) -> Check {
    let limits = &snapshot.config.evidence;
    let open = |freshness: Freshness, since, over| {
        Freshness { allow_stale: false, ..freshness }.ceiling(since, over, now) == DeviceTrust::Issued
    };
    let lists = snapshot.trust.lists().filter(|list| !open(limits.crl, list.since, now > list.until));
    let mut stale: Vec<String> =
        lists.map(|list| format!("the revocation list of `{}`", list.authority)).collect();
    if snapshot.inventory.as_of().is_some_and(|since| !open(limits.inventory, since, false)) {
        stale.push("the inventory".to_owned());
    }
    if stale.is_empty() {
        Check::ok("evidence")
    } else {
        Check::warning("evidence", format!("too old for a tier: {}", stale.join(", ")))
    }
}
