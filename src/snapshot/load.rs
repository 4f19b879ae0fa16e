//! From the files on disk to a snapshot: all of it or none of it, and every mistake at once.

use super::{Shadow, Snapshot};
use crate::access::Timestamp;
use crate::config::{self, Config};
use crate::device::TrustStore;
use crate::diagnostic::{Diagnostic, Severity, Source, render_all};
use crate::gateway::rate::Limiters;
use crate::gateway::tls::{self, Certificates, Resumption};
use crate::gateway::upstream::Upstream;
use crate::identity::{self, Providers};
use crate::inventory::{self, FileRecords, Unread};
use crate::policy::{Known, Parsed, Policy};
use crate::policy_files;
use crate::text::yaml;
use crate::workbench;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The code of a finding about a file that the configuration names.
const NAMED_FILE: &str = "C0901";

/// A snapshot, and what a person should know about it all the same.
pub struct Loaded {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Warnings, as a person reads them; empty where there is none.
    pub warnings: String,
    /// What the file of the inventory says; to be put in force with the snapshot.
    pub devices: FileRecords,
}

/// Nothing was loaded.
#[derive(Debug, thiserror::Error)]
#[error("{findings}")]
pub struct LoadError {
    /// Every mistake with its place, as a person reads it.
    pub findings: String,
    /// The mistakes themselves.
    pub diagnostics: Vec<Diagnostic>,
    /// The configuration, where it could be read itself: the files that it names may be mended.
    pub config: Option<Arc<Config>>,
}

/// Loads everything that `path`, a `tiergate.yaml`, names. What `previous` holds is kept where
/// nothing about it changed: keys that were fetched, how upstreams fare, what limits have counted.
///
/// Blocking: it reads files and resolves names.
///
/// # Errors
/// Every mistake in every file.
pub fn load(
    path: &Path,
    previous: Option<&Snapshot>,
    resumption: &Resumption,
    now: Timestamp,
) -> Result<Loaded, LoadError> {
    let mut findings = Findings::default();
    let config = findings.config(path).map(Arc::new);
    let Some(config) = config else { return Err(findings.into_error(None)) };
    let generation = previous.map_or(1, |snapshot| snapshot.generation + 1);
    let mut parsed = previous.map(|snapshot| snapshot.parsed.clone()).unwrap_or_default();
    let policy = findings.policy(&config.policies, &config, &mut parsed.running);
    let shadow = findings.shadow(path, &config, now, &mut parsed.shadow);
    findings.protected(path, &config, policy.as_ref(), previous);
    let providers = Providers::load(&config, previous.map(|snapshot| &*snapshot.providers));
    let providers = findings.take(providers);
    findings.show_users(&config);
    let trust = findings
        .take(TrustStore::load(&config.authorities, &config.trust_domains, generation))
        .map(|trust| trust.within(config.evidence));
    let trust = trust.map(|trust| match previous {
        Some(previous) => trust.keeping_answers_of(&previous.trust),
        None => trust,
    });
    let devices = findings.devices(&config);
    let certificates = findings.take_one(path, Certificates::load(&config.tls.certificates)).map(Arc::new);
    let upstreams = policy.as_ref().and_then(|policy| findings.upstreams(path, policy, &config, previous));
    let (Some(policy), Some(providers), Some(trust), Some(devices), Some(certificates), Some(upstreams)) =
        (policy, providers, trust, devices, certificates, upstreams)
    else {
        return Err(findings.into_error(Some(config)));
    };
    let settings =
        tls::server_config(&config.tls, Arc::clone(&certificates), trust.hints().to_vec(), resumption);
    let admin = tls::admin_config(&config.tls, Arc::clone(&certificates));
    let (Some(settings), Some(admin)) = (findings.take_one(path, settings), findings.take_one(path, admin))
    else {
        return Err(findings.into_error(Some(config)));
    };
    if findings.has_errors() {
        return Err(findings.into_error(Some(config)));
    }
    let limiters = Limiters::keep_or_make(&policy, previous.map(|snapshot| &snapshot.limiters));
    let warnings = findings.warnings();
    let snapshot = Snapshot {
        generation,
        config,
        policy: Arc::new(policy),
        parsed,
        shadow: shadow.map(Arc::new),
        providers: Arc::new(providers),
        trust: Arc::new(trust),
        chains: Arc::clone(&resumption.chains),
        inventory: previous.map_or_else(Arc::default, |snapshot| Arc::clone(&snapshot.inventory)),
        certificates,
        tls: Arc::new(settings),
        admin_tls: Arc::new(admin),
        upstreams,
        limiters,
    };
    Ok(Loaded { snapshot, warnings, devices })
}

/// What is wrong so far, and the texts that it speaks of.
#[derive(Default)]
struct Findings {
    all: Vec<Diagnostic>,
    sources: Vec<Source>,
}

impl Findings {
    fn config(&mut self, path: &Path) -> Option<Config> {
        let source = match policy_files::read_file(path.to_owned()) {
            Ok(source) => source,
            Err(error) => {
                self.all.push(Diagnostic::error(NAMED_FILE, path, 0..0, error.to_string()));
                return None;
            }
        };
        let config = self.take(config::resolve(&source));
        if config.is_none()
            && let Some(folder) = config::policies_folder(&source)
        {
            self.policy_alone(&folder);
        }
        self.sources.push(source);
        config
    }

    /// The mistakes in the policies where it is not known what they run with.
    fn policy_alone(&mut self, folder: &Path) {
        if let Some(files) = self.policy_files(folder) {
            let (_, found) = workbench::load(&files, None);
            self.sources.extend(files);
            self.all.extend(found);
        }
    }

    fn policy_files(&mut self, folder: &Path) -> Option<Vec<Source>> {
        policy_files::read(folder)
            .map_err(|error| self.all.push(Diagnostic::error(NAMED_FILE, folder, 0..0, error.to_string())))
            .ok()
    }

    /// `parsed`: the files of an earlier load in their form, and then those of this one.
    fn policy(&mut self, folder: &Path, config: &Config, parsed: &mut Parsed) -> Option<Policy> {
        let files = self.policy_files(folder)?;
        let upstreams: Vec<String> = config.upstreams.keys().cloned().collect();
        let providers: Vec<String> =
            config.identity.providers.iter().map(|provider| provider.name.clone()).collect();
        let known =
            Known { upstreams: &upstreams, providers: &providers, login_host: &config.identity.login_host };
        let read = workbench::reload(&files, Some(known), std::mem::take(parsed));
        *parsed = read.parsed;
        self.sources.extend(files);
        self.all.extend(read.findings);
        read.policy
            .map(|policy| policy.with_session_defaults(config.sessions.max_age, config.sessions.idle_timeout))
    }

    /// The policy in shadow; a mistake in it is one of the load, and one that has ended is not read.
    fn shadow(
        &mut self,
        path: &Path,
        config: &Config,
        now: Timestamp,
        parsed: &mut Parsed,
    ) -> Option<Shadow> {
        self.all.extend(config.ended_shadow(path, now));
        let Some(shadow) = config.shadow_at(now) else {
            *parsed = Parsed::default();
            return None;
        };
        Some(Shadow::new(self.policy(&shadow.policies, config, parsed)?, shadow.until.value))
    }

    /// Groups that the guard protects are groups of this policy, or of the one that it replaces.
    fn protected(
        &mut self,
        path: &Path,
        config: &Config,
        policy: Option<&Policy>,
        previous: Option<&Snapshot>,
    ) {
        let Some(policy) = policy else { return };
        let running = previous.into_iter().flat_map(|snapshot| snapshot.policy.groups());
        let groups: Vec<&str> =
            policy.groups().iter().chain(running).map(|group| group.name.as_str()).collect();
        self.all.extend(config.unknown_protected(path, &groups));
    }

    /// What the file of the inventory says; nothing where there is none.
    fn devices(&mut self, config: &Config) -> Option<FileRecords> {
        let Some(file) = &config.inventory_file else { return Some(FileRecords::default()) };
        inventory::read(file)
            .map_err(|Unread { findings, source }| {
                self.all.extend(findings);
                self.sources.extend(source);
            })
            .ok()
    }

    fn upstreams(
        &mut self,
        path: &Path,
        policy: &Policy,
        config: &Config,
        previous: Option<&Snapshot>,
    ) -> Option<Vec<Arc<Upstream>>> {
        let known: BTreeMap<&str, &Arc<Upstream>> = previous
            .into_iter()
            .flat_map(|snapshot| &snapshot.upstreams)
            .map(|up| (up.name.as_str(), up))
            .collect();
        let mut upstreams = Vec::new();
        for name in policy.upstream_names() {
            // `load` has told of a name that is missing.
            let wanted = config.upstreams.get(name)?;
            // Certificates may have changed behind the same name, so an upstream with TLS is made anew.
            let same = known.get(name.as_str()).filter(|up| up.config == *wanted && wanted.tls.is_none());
            upstreams.push(match same {
                Some(upstream) => Arc::clone(upstream),
                None => Arc::new(self.take_one(path, Upstream::new(name, wanted))?),
            });
        }
        Some(upstreams)
    }

    /// Has findings in files of users shown with their place, and never with a hash or a secret.
    fn show_users(&mut self, config: &Config) {
        for path in users_files(config) {
            if !self.all.iter().any(|finding| finding.path == path && !finding.span.is_empty()) {
                continue;
            }
            // A file that cannot be read any more is named all the same.
            let Ok(source) = identity::read_users_text(path) else { continue };
            for finding in self.all.iter_mut().filter(|finding| finding.path == path) {
                *finding = yaml::without_secrets(finding.clone(), &source);
            }
            self.sources.push(source);
        }
    }

    fn take<T>(&mut self, result: Result<T, Vec<Diagnostic>>) -> Option<T> {
        result.map_err(|found| self.all.extend(found)).ok()
    }

    fn take_one<T, E: std::error::Error>(&mut self, path: &Path, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|error| self.all.push(Diagnostic::error(NAMED_FILE, path, 0..0, error.to_string())))
            .ok()
    }

    fn has_errors(&self) -> bool {
        self.all.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The warnings. Notes are for those who check a policy, not for those who read logs.
    fn warnings(&self) -> String {
        let warnings = self.all.iter().filter(|finding| finding.severity > Severity::Note);
        render_all(&warnings.cloned().collect::<Vec<_>>(), &self.sources, false)
    }

    fn into_error(self, config: Option<Arc<Config>>) -> LoadError {
        let errors: Vec<Diagnostic> =
            self.all.iter().filter(|finding| finding.severity == Severity::Error).cloned().collect();
        LoadError { findings: render_all(&errors, &self.sources, false), diagnostics: errors, config }
    }
}

/// The files of local users, for the commands and the watch.
pub(super) fn users_files(config: &Config) -> impl Iterator<Item = &Path> {
    config.identity.providers.iter().filter_map(|provider| match &provider.kind {
        config::ProviderKind::Local { users } => Some(users.as_path()),
        config::ProviderKind::Oidc(_) => None,
    })
}
