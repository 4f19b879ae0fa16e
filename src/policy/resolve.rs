//! From files to one policy: everything merged, every name followed, every mistake reported at once.

use super::definitions::Definitions;
use super::lints::NamedByLint;
use super::names::{GROUP, NETWORK, Names, RESOURCE, SERVICE};
use super::parsed::Parsed;
use super::{NamedNetwork, Origin, Policy, Resource, raw};
use crate::diagnostic::{Diagnostic, Findings, Position, Severity, Sorted, Source, did_you_mean};
use crate::text::yaml;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The greatest size of all policy files together.
const MAX_BYTES: usize = 16 << 20;
/// What all rules together may weigh in memory once paths have inherited theirs. Without it a small
/// file could ask for the product of two of its lists.
const MAX_WEIGHT: usize = 256 << 20;

/// What the configuration knows, for the references from policies to it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The names of the upstreams.
    pub upstreams: &'a [String],
    /// The names of the identity providers.
    pub providers: &'a [String],
    /// The host where people sign in.
    pub login_host: &'a str,
}

/// A policy whose findings are not complete yet.
#[derive(Debug)]
pub struct Open {
    /// The policy, unless a mistake is in the way.
    pub policy: Option<Policy>,
    /// What was found so far.
    pub findings: Findings,
    /// The files in their form, for the next load.
    pub parsed: Parsed,
    /// The configuration is known, so what is found only with it was looked for.
    known: bool,
}

/// All files of the folder, merged and resolved. `known`: what the configuration knows; unknown
/// identity providers are warned of then, and the host where people sign in belongs to no resource.
/// `parsed`: what an earlier load read; the same text is not read again.
#[must_use]
pub fn open(files: &[Source], known: Option<Known<'_>>, parsed: Parsed) -> Open {
    Resolver::new(files, known.map(|known| known.upstreams), known).open(parsed)
}

/// The policy of these files, or every mistake; warnings and notes may come with a policy. What it
/// promises is not proved. `upstreams`: the names that the configuration knows, where there is one.
#[must_use]
pub fn resolve(files: &[Source], upstreams: Option<&[String]>) -> (Option<Policy>, Vec<Diagnostic>) {
    let (policy, sorted) = Resolver::new(files, upstreams, None).open(Parsed::default()).close(files);
    (policy, sorted.findings)
}

impl Open {
    /// The policy, unless something that was found refuses it, and all that was found.
    #[must_use]
    pub fn close(self, files: &[Source]) -> (Option<Policy>, Sorted) {
        let Self { policy, mut findings, parsed: _, known } = self;
        if !findings.has_mistakes() {
            super::lints::note_stale(&mut findings, known);
        }
        let sound = !findings.has_errors();
        (policy.filter(|_| sound), findings.into_all(files))
    }
}

/// A place in a file, kept for a later finding.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub path: Arc<Path>,
    pub span: Range<usize>,
}

/// Whether nothing that may define a name was left out.
fn defines_what_is_written<T>(partly: &yaml::Partly<T>) -> bool {
    let defines_nothing = ["resources", "authentication", "posture", "lints", "assertions", "tests"];
    partly.value.is_some()
        && partly.left_out.iter().all(|out| defines_nothing.contains(&out.section.as_str()))
}

/// Everything that is known while the files are read.
pub(super) struct Resolver<'a> {
    files: &'a [Source],
    /// The path of each file, and how it is shown.
    paths: Vec<(Arc<Path>, String)>,
    /// Where the lines of each file start.
    lines: Vec<Vec<usize>>,
    pub findings: Findings,
    /// Every definition could be read: a name that is not found is not defined.
    pub complete: bool,
    pub groups: Names,
    pub networks: Names,
    pub services: Names,
    pub resources: Names,
    pub known: Option<Known<'a>>,
    /// The resource that is being read.
    pub current: Option<String>,
    /// The resources that lints name.
    pub named_by_lints: Vec<NamedByLint>,
    /// The upstreams that the configuration knows.
    upstreams: Option<&'a [String]>,
    weight: usize,
}

impl<'a> Resolver<'a> {
    fn new(files: &'a [Source], upstreams: Option<&'a [String]>, known: Option<Known<'a>>) -> Self {
        Self {
            files,
            paths: files.iter().map(|it| (it.path.as_path().into(), it.path.display().to_string())).collect(),
            lines: Vec::new(),
            findings: Findings::default(),
            complete: true,
            groups: Names::new(GROUP),
            networks: Names::new(NETWORK),
            services: Names::new(SERVICE),
            resources: Names::new(RESOURCE),
            known,
            current: None,
            named_by_lints: Vec::new(),
            upstreams,
            weight: 0,
        }
    }

    fn open(mut self, mut parsed: Parsed) -> Open {
        let policy = self.policy(&mut parsed);
        let policy = if self.findings.has_mistakes() { None } else { policy };
        Open { policy, findings: self.findings, parsed, known: self.known.is_some() }
    }

    fn policy(&mut self, parsed: &mut Parsed) -> Option<Policy> {
        let Some(first) = self.files.first() else {
            let message = "there is no policy file, so nobody could reach anything";
            self.findings.push(Diagnostic::error("P0101", Path::new("policies"), 0..0, message));
            return None;
        };
        if self.files.iter().map(|file| file.text.len()).sum::<usize>() > MAX_BYTES {
            let message = format!("the policy files are larger than {} MiB in all", MAX_BYTES >> 20);
            self.findings.push(Diagnostic::error("Y0106", &first.path, 0..0, message));
            return None;
        }
        let raw = parsed.read(self.files);
        self.complete = raw.iter().all(defines_what_is_written);
        self.lines = self.files.iter().map(|file| Position::line_starts(&file.text)).collect();

        let mut read = Vec::with_capacity(raw.len());
        for (file, partly) in raw.into_iter().enumerate() {
            let yaml::Partly { value, mistakes, left_out } = partly;
            for mistake in mistakes {
                self.findings.push(mistake);
            }
            self.findings.without(left_out);
            if let Some(mut raw) = value {
                self.lints(file, std::mem::take(&mut raw.lints));
                read.push((file, raw));
            }
        }
        let mut definitions = Definitions::default();
        let (mut authentication, mut postures) = (Vec::new(), Vec::new());
        let mut resources = Vec::new();
        let (mut promised, mut tried) = (Vec::new(), Vec::new());
        for (file, raw) in read {
            // Destructured without `..`: see `raw`. The lints were taken out above.
            let raw::File {
                version,
                groups,
                networks,
                services,
                posture,
                authentication: auth,
                resources: list,
                lints: _,
                assertions,
                tests,
            } = raw;
            self.version(file, version);
            self.define_groups(file, groups, &mut definitions);
            self.define_networks(file, networks, &mut definitions);
            self.define_services(file, services, &mut definitions);
            postures.extend(posture.0.map(|posture| (file, posture)));
            if let Some(auth) = auth.0 {
                authentication.push((file, auth));
            }
            if let Some(list) = self.list(file, list, "resources") {
                // As they are: there may be so many that moving them is most of the work.
                resources.push((file, list));
            }
            let assertions = self.list(file, assertions, "assertions").unwrap_or_default();
            promised.extend(assertions.into_iter().map(|assertion| (file, assertion)));
            let tests = self.list(file, tests, "tests").unwrap_or_default();
            tried.extend(tests.into_iter().map(|test| (file, test)));
        }
        // References only now: a name may be used before, and in another file than, its definition.
        let authentication = self.authentication(authentication);
        let postures = self.postures(postures);
        let (resources, hosts, upstreams) = self.all_resources(resources, &definitions);
        self.follow_lints();
        let assertions = self.assertions(promised, &definitions);
        let trials = self.trials(tried);
        self.warn_unused(&resources);
        let Definitions { groups, memberships, networks, services, spiffe } = definitions;
        let named = self.networks.iter().map(str::to_owned);
        let networks =
            named.zip(networks).map(|(name, addresses)| NamedNetwork { name, addresses }).collect();
        Some(Policy {
            groups,
            services,
            postures,
            authentication,
            resources,
            upstreams,
            memberships,
            spiffe,
            hosts,
            networks,
            assertions,
            trials,
            ..Policy::empty()
        })
    }

    fn warn_unused(&mut self, resources: &[Resource]) {
        // Behind a mistake a name may look unused only because the reference to it is misspelt.
        if self.findings.has_mistakes() {
            return;
        }
        self.groups.warn_unused(&mut self.findings);
        self.networks.warn_unused(&mut self.findings);
        self.services.warn_unused(&mut self.findings);
        if let Some(first) = self.files.first().filter(|_| resources.is_empty()) {
            let message = "no resource is defined, so nobody can reach anything";
            self.findings.push(Diagnostic::new(Severity::Warning, "P0204", &first.path, 0..0, message));
        }
    }

    fn version(&mut self, file: usize, version: yaml::Key<String>) {
        match version.0 {
            None => {
                let message = "missing key `version`";
                let finding = Diagnostic::error("Y0105", &self.place(file, 0..0).path, 0..0, message);
                self.findings.push(finding.label("start the file with `version: 1`"));
            }
            Some(version) if version.value == "1" => {}
            Some(version) => {
                let message = format!("version `{}` is not known", super::names::shorten(&version.value));
                self.error(file, "Y0109", version.span, message, "this tiergate reads `version: 1`");
            }
        }
    }

    /// A place in a file.
    pub fn place(&self, file: usize, span: Range<usize>) -> Place {
        let path = self.paths.get(file).map_or_else(|| Path::new("").into(), |(path, _)| Arc::clone(path));
        Place { path, span }
    }

    /// The text of a file at some bytes.
    pub fn origin(&self, file: usize, span: &Range<usize>) -> Origin {
        let path = self.paths.get(file).map_or("", |(_, shown)| shown);
        let line = self.lines.get(file).map_or(1, |starts| Position::line_of(starts, span.start));
        Origin(format!("{path}:{line}").into())
    }

    /// Reports a mistake.
    pub fn error(
        &mut self,
        file: usize,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.report(Severity::Error, file, code, span, message, label);
    }

    /// Reports anything.
    pub fn report(
        &mut self,
        severity: Severity,
        file: usize,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        let Place { path, span } = self.place(file, span);
        let finding = Diagnostic::new(severity, code, &path, span, message).label(label);
        self.findings.push(finding.about(self.current.as_deref()));
    }

    /// The index of an upstream among those that resources name.
    pub fn upstream(&mut self, file: usize, name: &yaml::At<String>, named: &mut Vec<String>) -> usize {
        let known = self.upstreams.is_none_or(|known| known.contains(&name.value));
        if !known {
            let known = self.upstreams.filter(|_| self.findings.has_room()).unwrap_or_default();
            let meant = did_you_mean(&name.value, known.iter().map(String::as_str));
            let label = meant.map_or_else(
                || "`tiergate.yaml` has no such upstream".to_owned(),
                |meant| format!("no such upstream; {meant}"),
            );
            let message = format!("unknown upstream `{}`", super::names::shorten(&name.value));
            self.error(file, "P0105", name.span.clone(), message, label);
        }
        named.iter().position(|other| *other == name.value).unwrap_or_else(|| {
            named.push(name.value.clone());
            named.len() - 1
        })
    }

    /// Counts what rules take in memory; false, with an error once, where it is too much.
    pub fn weigh(&mut self, file: usize, span: &Range<usize>, weight: usize) -> bool {
        let before = self.weight;
        self.weight = self.weight.saturating_add(weight);
        if before <= MAX_WEIGHT && self.weight > MAX_WEIGHT {
            let message = "the rules are too many once paths have inherited theirs";
            self.error(
                file,
                "P0116",
                span.clone(),
                message,
                "from here on; use fewer paths, rules or networks",
            );
        }
        self.weight <= MAX_WEIGHT
    }
}
