//! Reloading: from changed files to a new snapshot, or to the last good one and a diagnostic.

mod beside;
mod guard;

use crate::access::Timestamp;
use crate::admin::{By, Comment, Guarding, Refused, Reloads, ShutOut};
use crate::audit::{self, Audit, Event, Kind};
use crate::config::{Config, Listen};
use crate::device_changes::tell_all;
use crate::gateway::Gateway;
use crate::gateway::tls::Resumption;
use crate::snapshot::{Fingerprint, LoadError, Loaded, Shared, Snapshot, load};
use crate::telemetry::{Decided, Metrics};
use crate::text::date;
use beside::beside;
use futures::future::BoxFuture;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the files are looked at. A change is loaded when they looked the same twice since, so
/// that a half-written file is not.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// How long a snapshot is kept that no new request takes. Its memory is given back beside the requests, and
/// not by the last of them that was decided with it.
const OLD_KEPT: Duration = Duration::from_secs(2);

/// Reloads. One value a process.
pub struct Reloader {
    path: PathBuf,
    shared: Shared,
    gateway: Arc<Gateway>,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
    resumption: Resumption,
    /// One reload at a time; what the last one found wrong.
    one_at_a_time: tokio::sync::Mutex<()>,
    last_failure: Mutex<Option<String>>,
    /// The configuration that was refused last: a file that it names may be what must be mended.
    refused: Mutex<Option<Arc<Config>>>,
    /// How the files looked that were loaded last, whoever asked for it.
    loaded: Mutex<Option<Fingerprint>>,
}

impl Reloader {
    /// Reloads `path` into `shared` from now on.
    #[must_use]
    pub fn new(
        path: PathBuf,
        shared: Shared,
        gateway: Arc<Gateway>,
        audit: Arc<Audit>,
        resumption: Resumption,
    ) -> Arc<Self> {
        let metrics = Arc::clone(gateway.metrics());
        Arc::new(Self {
            path,
            shared,
            gateway,
            audit,
            metrics,
            resumption,
            one_at_a_time: tokio::sync::Mutex::new(()),
            last_failure: Mutex::new(None),
            refused: Mutex::new(None),
            loaded: Mutex::new(None),
        })
    }

    /// What the last reload found wrong, in its first line; `None` where it succeeded.
    #[must_use]
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Loads everything anew: the new generation, or every mistake as a person reads it.
    ///
    /// # Errors
    /// What is wrong, or whom it would shut out; the last good state stays.
    pub async fn reload(self: &Arc<Self>, how: Guarding) -> Result<u64, Refused> {
        let _one = self.one_at_a_time.lock().await;
        // As they looked before: what changes while they are loaded is loaded next.
        let looked = self.look().await;
        let (path, resumption) = (self.path.clone(), self.resumption.clone());
        let (previous, now) = (self.shared.load_full(), self.gateway.now());
        let sessions = Arc::clone(self.gateway.sessions());
        let replaced = Arc::clone(&previous);
        let forced = match how {
            Guarding::Held => None,
            Guarding::Forced(reason) => Some(reason),
        };
        let held = forced.is_none();
        // Reading, parsing, resolving names and deciding for every session must not hold up requests.
        let loaded = beside(move || {
            let loaded = load(&path, Some(&previous), &resumption, now)?;
            let forbidden =
                if held { guard::forbids(&previous, &loaded.snapshot, sessions.iter(), now) } else { None };
            Ok::<_, LoadError>((loaded, forbidden))
        })
        .await;
        match loaded {
            Ok(Ok((Loaded { snapshot, warnings, devices }, None))) => {
                let inventory = Arc::clone(&snapshot.inventory);
                let (reloader, by_force) = (Arc::clone(self), forced.clone());
                // Many records and resources take a while, during which this thread could serve requests.
                let replace = move || {
                    let changes = inventory.take_file(devices);
                    let generation = reloader.take(snapshot, &warnings, by_force.as_ref());
                    tell_all(&reloader.audit, "inventory_loaded", &changes, &By::default());
                    generation
                };
                match beside(replace).await {
                    Ok(generation) => {
                        self.know(looked);
                        tokio::spawn(async move {
                            tokio::time::sleep(OLD_KEPT).await;
                            // Without a thread for it, it is dropped here.
                            let _ = beside(move || drop(replaced)).await;
                        });
                        Ok(generation)
                    }
                    Err(broken) => Err(self.refuse(format!("the reload failed: {broken}"), forced.as_ref())),
                }
            }
            Ok(Ok((Loaded { snapshot, warnings: _, devices: _ }, Some(shut_out)))) => {
                self.watch_also(Some(snapshot.config));
                Err(self.hold_back(shut_out))
            }
            Ok(Err(LoadError { findings, diagnostics: _, config })) => {
                self.watch_also(config);
                Err(self.refuse(findings, forced.as_ref()))
            }
            Err(broken) => Err(self.refuse(format!("the reload failed: {broken}"), forced.as_ref())),
        }
    }

    fn take(&self, snapshot: Snapshot, warnings: &str, forced: Option<&Comment>) -> u64 {
        let before = self.shared.load_full();
        let generation = snapshot.generation;
        if needs_restart(&before.config, &snapshot.config) {
            tracing::warn!(
                "a change of `listen.https`, `listen.http`, `listen.admin`, `listen.workers`, `state`, `audit.path`, `admin.token` or `logs` takes effect at the next restart only"
            );
        }
        if !warnings.is_empty() {
            tracing::warn!("the configuration was loaded with warnings:\n{warnings}");
        }
        tell_of_shadow(&snapshot);
        publish(&self.metrics, &snapshot, self.gateway.now());
        self.gateway.sessions().set_longest(longest_session(&snapshot));
        if snapshot.config.sync.is_some() {
            // Before the first request is decided by it, not when the first pull begins.
            snapshot.inventory.expect_sync();
        }
        self.shared.store(Arc::new(snapshot));
        self.watch_also(None);
        // Whoever is under way is judged by the new snapshot at once.
        self.gateway.beat(true);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let reason = if forced.is_some() { "reload_forced" } else { "reloaded" };
        self.record(Decided::Allow, reason, generation, forced);
        tracing::info!(
            generation,
            forced = forced.map(Comment::as_str),
            "the configuration and the policy were reloaded"
        );
        generation
    }

    fn watch_also(&self, config: Option<Arc<Config>>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn refuse(&self, findings: String, forced: Option<&Comment>) -> Refused {
        self.keep("reload_failed", &findings, forced);
        Refused { diagnostics: findings, shut_out: None }
    }

    /// The files are in order, and people at work would be shut out.
    fn hold_back(&self, shut_out: ShutOut) -> Refused {
        let diagnostics = guard::told(&shut_out, self.shared.load().config.reload_guard.as_ref());
        self.keep("reload_guarded", &diagnostics, None);
        Refused { diagnostics, shut_out: Some(shut_out) }
    }

    /// Goes on with the last good state, and says so everywhere.
    fn keep(&self, reason: &'static str, said: &str, forced: Option<&Comment>) {
        self.metrics.reload_failed();
        let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("the reload failed");
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(first.to_owned());
        self.record(Decided::Deny, reason, self.shared.load().generation, forced);
        tracing::error!("the reload was refused and the last good state goes on:\n{said}");
    }

    fn record(&self, decided: Decided, reason: &'static str, generation: u64, forced: Option<&Comment>) {
        let mut event = Event::new(Kind::Reload, audit::now());
        event.decision = Some(decided);
        event.reason = Some(reason);
        event.policy = Some(generation);
        event.comment = forced.map(|forced| forced.as_str().to_owned());
        self.audit.record(event);
    }

    /// Reloads whenever a file has changed, for as long as the process lives.
    pub async fn watch(self: Arc<Self>) {
        let mut seen = self.look().await;
        self.know(seen.clone());
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.look().await;
            if now == seen && now != self.known() {
                // A refusal was told where it belongs; the same files are not tried again.
                let _told = self.reload(Guarding::Held).await;
                // As it looked before the load: what changed while it ran is loaded next. The configuration
                // may name other files now; then the next looks differ and everything is loaded once more.
                let after = self.look().await;
                let only_more = |after: &Fingerprint| now.as_ref().is_some_and(|now| after.agrees_with(now));
                // What was refused names files that nobody had looked at; that is no change of them.
                let refused = self.last_failure().is_some();
                self.know(if refused && after.as_ref().is_some_and(only_more) { after.clone() } else { now });
                seen = after;
            } else {
                seen = now;
            }
        }
    }

    fn known(&self) -> Option<Fingerprint> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn know(&self, files: Option<Fingerprint>) {
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    async fn look(&self) -> Option<Fingerprint> {
        let (path, config) = (self.path.clone(), Arc::clone(&self.shared.load().config));
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let look = move || {
            let known = Fingerprint::take(&path, &config);
            match refused {
                Some(refused) => known.and(Fingerprint::take(&path, &refused)),
                None => known,
            }
        };
        tokio::task::spawn_blocking(look).await.ok()
    }
}

impl Reloads for Arc<Reloader> {
    fn reload(&self, how: Guarding) -> BoxFuture<'static, Result<u64, Refused>> {
        let reloader = Self::clone(self);
        Box::pin(async move { Reloader::reload(&reloader, how).await })
    }
}

/// Says in the log that a policy runs in shadow, where one does.
pub fn tell_of_shadow(snapshot: &Snapshot) {
    if let Some(shadow) = &snapshot.shadow {
        tracing::info!(until = date::show(shadow.until()), "a policy runs in shadow; it changes nothing");
    }
}

/// What is known from a snapshot alone and shown in metrics.
pub fn publish(metrics: &Metrics, snapshot: &Snapshot, now: Timestamp) {
    metrics.reload_succeeded(snapshot.generation, now);
    let mut certificates: Vec<(&str, &str, Timestamp)> = snapshot
        .certificates
        .iter()
        .map(|served| ("server", served.name.as_str(), served.not_after))
        .collect();
    certificates.extend(snapshot.trust.expiries());
    metrics.certificates(certificates);
    let mut live = Vec::new();
    for resource in snapshot.policy.resources() {
        for section in resource.sections() {
            live.push((&*resource.name, section.tier));
        }
    }
    metrics.retain_resources(&live);
    let upstreams: Vec<(&str, &str)> = snapshot
        .upstreams
        .iter()
        .flat_map(|upstream| {
            upstream.config.addresses.iter().map(|address| (upstream.name.as_str(), address.as_str()))
        })
        .collect();
    metrics.retain_upstreams(&upstreams);
}

/// The greatest age that any session may reach.
#[must_use]
pub fn longest_session(snapshot: &Snapshot) -> Duration {
    let entries = snapshot.policy.authentication().iter().filter_map(|entry| entry.max_age);
    entries.chain([snapshot.config.sessions.max_age]).max().unwrap_or_default()
}

fn needs_restart(before: &Config, after: &Config) -> bool {
    // Destructured without `..`: whether a new key needs a restart is said here.
    let Listen { https, http, admin, proxy_protocol: _, workers } = &before.listen;
    let now = &after.listen;
    (https, http, admin, workers) != (&now.https, &now.http, &now.admin, &now.workers)
        || before.state != after.state
        || before.audit.path != after.audit.path
        || before.admin_token != after.admin_token
        || before.logs != after.logs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_at_the_start_only_needs_a_restart_and_nothing_else_does() {
        type Change = fn(&mut Config);
        let before = Config::clone(&Snapshot::for_tests(|_| ()).config);
        let cases: [(&str, Change, bool); 11] = [
            ("nothing", |_| (), false),
            ("listen.https", |config| config.listen.https.clear(), true),
            ("listen.http", |config| config.listen.http.extend(config.listen.https.clone()), true),
            ("listen.admin", |config| config.listen.admin = None, true),
            ("listen.workers", |config| config.listen.workers = Some(3), true),
            ("state", |config| config.state.push("x"), true),
            ("audit.path", |config| config.audit.path.push("x"), true),
            ("admin.token", |config| config.admin_token = None, true),
            ("logs", |config| config.logs.json = !config.logs.json, true),
            (
                "listen.proxy_protocol",
                |config| config.listen.proxy_protocol.push("10.0.0.0/8".parse().unwrap()),
                false,
            ),
            ("audit.on_failure", |config| config.audit.deny_on_failure.low = true, false),
        ];
        for (what, change, restart) in cases {
            let mut after = before.clone();
            change(&mut after);
            assert_eq!(needs_restart(&before, &after), restart, "{what}");
        }
    }
}
