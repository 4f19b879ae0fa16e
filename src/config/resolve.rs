//! From the text of `tiergate.yaml` to a [`Config`]: every mistake reported at once.

use super::{Audit, Config, Logs, OnFailure, Sessions, raw};
use crate::diagnostic::{Diagnostic, Findings, Position, Source, did_you_mean};
use crate::text::duration;
use crate::text::name::{NAME_RULE, is_name};
use crate::text::yaml::{self, At, Key};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The folder with the policies, where the file does not say.
const POLICIES: &str = "policies";

/// A typed configuration, with the file's paths joined to its folder; or every mistake.
///
/// # Errors
///
/// Everything that is wrong with the file, in its order.
pub fn resolve(file: &Source) -> Result<Config, Vec<Diagnostic>> {
    let yaml::Partly { value, mistakes, left_out } = yaml::load_partly::<raw::File>(file);
    let mut reader = Reader { file, findings: Findings::default() };
    for mistake in mistakes {
        reader.findings.push(mistake);
    }
    reader.findings.without(left_out);
    let config = value.and_then(|raw| reader.config(raw));
    let findings = reader.findings.into_sorted(std::slice::from_ref(file));
    match config {
        Some(config) if findings.is_empty() => Ok(config),
        Some(_) | None => Err(findings),
    }
}

/// The folder with the policies, also where other keys of the file are wrong; `None` where it cannot be told.
#[must_use]
pub fn policies_folder(file: &Source) -> Option<PathBuf> {
    let yaml::Partly { value, mistakes: _, left_out } = yaml::load_partly::<raw::File>(file);
    let policies = value?.policies;
    let misspelt = left_out.iter().any(|out| out.key == out.section && out.meant.contains("`policies`"));
    let folder = match policies.0 {
        Some(text) => text.value,
        None if misspelt => return None,
        None => POLICIES.to_owned(),
    };
    Some(joined(file, &folder))
}

/// A path that the file names, as it is relative to the file.
fn joined(file: &Source, path: &str) -> PathBuf {
    file.path.parent().unwrap_or(Path::new("")).join(path)
}

/// The file while it is read, and what was found.
pub(super) struct Reader<'a> {
    file: &'a Source,
    findings: Findings,
}

impl Reader<'_> {
    fn config(&mut self, raw: raw::File) -> Option<Config> {
        // Destructured without `..`: see `raw`.
        let raw::File {
            version,
            listen,
            tls,
            devices,
            workloads,
            identity,
            sessions,
            state,
            audit,
            admin,
            upstreams,
            policies,
            shadow,
            reload_guard,
            limits,
            logs,
        } = raw;
        self.version(version);
        let listen = self.needed(listen, "listen", 0..0).map(|listen| self.listen(listen));
        let tls = self.needed(tls, "tls", 0..0).map(|tls| self.tls(tls));
        let raw::Devices { authorities, inventory, evidence, sync } =
            devices.0.map(|devices| devices.value).unwrap_or_default();
        let authorities = self.authorities(authorities);
        let inventory_file = inventory.0.and_then(|At { value: raw::Inventory { file }, span }| {
            self.needed(file, "file", span).map(|file| self.path(&file))
        });
        let mut evidence = self.evidence(evidence);
        let sync = sync.0.and_then(|sync| self.sync(sync, &mut evidence.inventory)).map(Arc::new);
        let trust_domains =
            workloads.0.map_or_else(Vec::new, |workloads| self.trust_domains(workloads.value));
        let identity = self.needed(identity, "identity", 0..0).map(|identity| self.identity(identity));
        let sessions = self.sessions(sessions);
        let state = state.0.and_then(|state| {
            let raw::PathOnly { path } = state.value;
            self.needed(path, "path", state.span)
        });
        let state = self.path_or(Key(state), "/var/lib/tiergate");
        let audit = self.audit(audit);
        let admin_token = admin.0.and_then(|admin| self.admin_token(admin));
        let upstreams = self.upstreams(upstreams);
        let policies = self.path_or(policies, POLICIES);
        let shadow = shadow.0.and_then(|shadow| self.shadow(shadow));
        let reload_guard = reload_guard.0.map(|guard| self.reload_guard(guard));
        let limits = self.limits(limits);
        let logs = self.logs(logs);
        Some(Config {
            listen: listen?,
            tls: tls?,
            authorities,
            inventory_file,
            evidence,
            sync,
            trust_domains,
            identity: identity?,
            sessions,
            state,
            audit,
            admin_token,
            upstreams,
            policies,
            shadow,
            reload_guard,
            limits,
            logs,
        })
    }

    fn version(&mut self, version: Key<String>) {
        match version.0 {
            None => self.error("Y0105", 0..0, "missing key `version`", "start the file with `version: 1`"),
            Some(version) if version.value == "1" => {}
            Some(version) => {
                self.error(
                    "Y0109",
                    version.span,
                    "this version is not known",
                    "this tiergate reads `version: 1`",
                );
            }
        }
    }

    fn sessions(&mut self, key: Key<raw::Sessions>) -> Sessions {
        let raw::Sessions { max_age, idle_timeout } = key.0.map(|at| at.value).unwrap_or_default();
        let place = idle_timeout.0.as_ref().map_or(0..0, |text| text.span.clone());
        let max_age = self.duration_or(max_age, 12 * 3600);
        let idle_timeout = self.duration_or(idle_timeout, 30 * 60);
        if idle_timeout > max_age {
            self.error("C0107", place, "the idle timeout is longer than the session", "at most `max_age`");
        }
        Sessions { max_age, idle_timeout }
    }

    fn audit(&mut self, key: Key<raw::Audit>) -> Audit {
        let raw::Audit { path, on_failure } = key.0.map(|at| at.value).unwrap_or_default();
        let raw::OnFailure { high, low, open } = on_failure.0.map(|at| at.value).unwrap_or_default();
        Audit {
            path: self.path_or(path, "/var/log/tiergate"),
            deny_on_failure: OnFailure {
                high: self.denies(high, true),
                low: self.denies(low, false),
                open: self.denies(open, false),
            },
        }
    }

    fn denies(&mut self, key: Key<String>, default: bool) -> bool {
        let Some(text) = key.0 else { return default };
        self.word(&text, "value", &[("deny", true), ("allow", false)]).unwrap_or(true)
    }

    fn admin_token(&mut self, admin: At<raw::Admin>) -> Option<PathBuf> {
        let raw::Admin { token } = admin.value;
        let token = self.needed(token, "token", admin.span)?;
        let span = token.span.clone();
        match self.secret(token, "admin.token") {
            Some(super::SecretSource::File(path)) => Some(path),
            Some(super::SecretSource::Env(_)) => {
                self.error("C0102", span, "the admin token is in a file", "write `{ file: admin.token }`");
                None
            }
            None => None,
        }
    }

    fn logs(&mut self, key: Key<raw::Logs>) -> Logs {
        let raw::Logs { format, filter } = key.0.map(|at| at.value).unwrap_or_default();
        let json = format.0.and_then(|text| self.word(&text, "format", &[("text", false), ("json", true)]));
        let filter = filter.0.map_or_else(|| "info".to_owned(), |filter| filter.value);
        Logs { json: json.unwrap_or(false), filter }
    }

    /// Reports a mistake.
    pub fn error(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        let finding = Diagnostic::error(code, &self.file.path, span, message).label(label);
        self.findings.push(yaml::without_secrets(finding, self.file));
    }

    /// The value of a key that must be there.
    pub fn needed<T>(&mut self, key: Key<T>, name: &str, whole: Range<usize>) -> Option<At<T>> {
        if key.0.is_none() {
            self.error("Y0105", whole, format!("missing key `{name}`"), format!("`{name}` is needed"));
        }
        key.0
    }

    /// A list that is stated is not empty.
    pub fn not_empty<T>(&mut self, list: At<Vec<T>>, name: &str) -> Vec<T> {
        if list.value.is_empty() {
            self.error(
                "Y0108",
                list.span,
                format!("`{name}` is empty"),
                "write one or more, or leave the key out",
            );
        }
        list.value
    }

    /// One text or several.
    pub fn texts(&mut self, key: raw::Texts, name: &str) -> Vec<At<String>> {
        let Some(key) = key.0 else { return Vec::new() };
        let span = key.span.clone();
        self.not_empty(At { value: key.places(), span }, name)
    }

    /// One of several words.
    pub fn word<T: Copy>(&mut self, text: &At<String>, what: &str, words: &[(&'static str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let names = || words.iter().map(|(word, _)| *word);
            let label = did_you_mean(&text.value, names())
                .unwrap_or_else(|| names().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "));
            self.error("Y0115", text.span.clone(), format!("unknown {what} `{}`", text.value), label);
        }
        found
    }

    /// A path, joined with the folder of the file.
    pub fn path(&mut self, text: &At<String>) -> PathBuf {
        if text.value.is_empty() {
            self.error("Y0108", text.span.clone(), "the path is empty", "name a file or folder");
        }
        joined(self.file, &text.value)
    }

    /// Several paths.
    pub fn paths(&mut self, list: &[At<String>]) -> Vec<PathBuf> {
        list.iter().map(|text| self.path(text)).collect()
    }

    fn path_or(&mut self, key: Key<String>, default: &str) -> PathBuf {
        match key.0 {
            Some(text) => self.path(&text),
            None => joined(self.file, default),
        }
    }

    /// A duration, or so many seconds where the key is left out.
    pub fn duration_or(&mut self, key: Key<String>, default_seconds: u64) -> Duration {
        let default = Duration::from_secs(default_seconds);
        key.0.map_or(default, |text| self.duration(&text).unwrap_or(default))
    }

    /// A duration.
    pub fn duration(&mut self, text: &At<String>) -> Option<Duration> {
        duration::parse(&text.value)
            .map_err(|error| {
                let message = format!("`{}` is not a duration", text.value);
                self.error("Y0110", text.span.clone(), message, error.to_string());
            })
            .ok()
    }

    /// The name of something, of which there is one in this list.
    pub fn unique_name(
        &mut self,
        key: Key<String>,
        what: &str,
        whole: Range<usize>,
        seen: &mut HashMap<String, Range<usize>>,
    ) -> String {
        let Some(name) = self.needed(key, "name", whole) else { return String::new() };
        if !is_name(&name.value) {
            let message = format!("`{}` is not a name for {what}", name.value);
            self.error("Y0113", name.span.clone(), message, NAME_RULE);
        }
        self.once(&name, what, seen);
        name.value
    }

    /// Refuses what stands twice, showing the first.
    pub fn once(&mut self, text: &At<String>, what: &str, seen: &mut HashMap<String, Range<usize>>) {
        if let Some(first) = seen.get(&text.value) {
            let path = &self.file.path;
            let message = format!("{what} `{}` stands twice", text.value);
            self.findings.push(
                Diagnostic::error("Y0116", path, text.span.clone(), message)
                    .label("each is named once")
                    .also(path, first.clone(), "first stated here"),
            );
        } else {
            seen.insert(text.value.clone(), text.span.clone());
        }
    }

    /// Where a secret is kept.
    pub fn secret(&mut self, secret: At<raw::Secret>, name: &str) -> Option<super::SecretSource> {
        let At { value, span } = secret;
        let raw::SecretKeys { file, env } = match value {
            raw::Secret::Kept(keys) => keys,
            raw::Secret::WrittenOut => {
                // Without its place, which would print the secret into logs.
                let line = Position::of(&self.file.text, span.start).line;
                let message = format!("`{name}` (line {line}) is written out");
                let label = "a secret is never in this file: write `{ file: /run/secrets/name }` or `{ env: NAME }`, and replace it";
                self.error("C0102", 0..0, message, label);
                return None;
            }
        };
        match (file.0, env.0) {
            (Some(file), None) => Some(super::SecretSource::File(self.path(&file))),
            (None, Some(env)) => Some(super::SecretSource::Env(env.value)),
            (Some(_), Some(_)) | (None, None) => {
                self.error(
                    "C0102",
                    span,
                    format!("`{name}` has one place"),
                    "write `{ file: … }` or `{ env: … }`",
                );
                None
            }
        }
    }
}
