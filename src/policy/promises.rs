//! `assertions` and `tests` of policy files: every name followed, every request made canonical.

use super::claims::{Assertion, Claim, Expected, Given, Promise, Services, Trial, Who, Written};
use super::definitions::Definitions;
use super::names::shorten;
use super::resolve::Resolver;
use super::{ServiceId, raw};
use crate::access::{DeviceTrust, GroupSet, Reason};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::text::canonical::{self, Target};
use crate::text::method;
use crate::text::yaml::{At, Key};
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The word that stands for every service.
const ANY: &str = "any";

impl Resolver<'_> {
    /// All assertions, in the order of the files.
    pub fn assertions(
        &mut self,
        list: Vec<(usize, At<raw::Assertion>)>,
        definitions: &Definitions,
    ) -> Vec<Assertion> {
        let mut names = HashMap::new();
        list.into_iter()
            .filter_map(|(file, raw)| self.assertion(file, raw, definitions, &mut names))
            .collect()
    }

    fn assertion(
        &mut self,
        file: usize,
        raw: At<raw::Assertion>,
        definitions: &Definitions,
        names: &mut HashMap<String, Written>,
    ) -> Option<Assertion> {
        // Destructured without `..`: see `raw`.
        let At { value: raw::Assertion { name, never, always }, span } = raw;
        let name = self.needed(file, name, "name", &span);
        if let Some(name) = &name {
            self.once(file, name, "assertion", names);
        }
        let (promise, claim) = match (never.0, always.0) {
            (Some(claim), None) => (Promise::Never, claim),
            (None, Some(claim)) => (Promise::Always, claim),
            (None, None) => {
                let label = "write `never` or `always`, and of which requests";
                self.error(file, "P0402", span, "this assertion promises nothing", label);
                return None;
            }
            (Some(_), Some(always)) => {
                let label = "write it as a second assertion";
                self.error(file, "P0402", always.span, "one assertion promises one thing", label);
                return None;
            }
        };
        let place = name.as_ref().map_or_else(|| claim.span.clone(), |name| name.span.clone());
        let claim = self.claim(file, claim, definitions);
        Some(Assertion {
            name: name?.value,
            promise,
            claim,
            origin: self.origin(file, &place),
            written: self.written(file, place),
        })
    }

    fn claim(&mut self, file: usize, claim: At<raw::Claim>, definitions: &Definitions) -> Claim {
        let At {
            value:
                raw::Claim { tier, resource, device, groups, service, methods, paths, networks, mfa, auth_age },
            span,
        } = claim;
        let of_users =
            [device.is_stated(), groups.is_stated(), mfa.is_stated(), auth_age.is_stated()].contains(&true);
        let stated = of_users
            || [
                tier.is_stated(),
                resource.is_stated(),
                service.is_stated(),
                methods.is_stated(),
                paths.is_stated(),
                networks.is_stated(),
            ]
            .contains(&true);
        if !stated {
            let label = "say which requests it speaks of, such as `{ tier: high, device: [none, enrolled] }`";
            self.error(file, "P0402", span.clone(), "this assertion speaks of every request", label);
        }
        if service.is_stated() && of_users {
            let label = "a service has no device, groups or sign-in; write an assertion for each";
            let message = "this assertion speaks of services and of users";
            self.error(file, "P0402", span, message, label);
        }
        let tiers = self.several(file, tier, "tier");
        let resources = self.several(file, resource, "resource");
        let devices = self.several(file, device, "device");
        let groups = self.several(file, groups, "groups");
        let services = self.several(file, service, "service");
        let methods = self.several(file, methods, "methods");
        let paths = self.several(file, paths, "paths");
        let networks = self.several(file, networks, "networks");
        for prefix in paths.iter().flatten() {
            self.prefix(file, prefix);
        }
        Claim {
            tiers: tiers.map(|list| list.iter().filter_map(|tier| self.tier(file, tier)).collect()),
            resources: resources
                .map(|list| list.iter().filter_map(|it| self.resource_named(file, it)).collect()),
            devices: devices.map(|list| list.iter().filter_map(|it| self.device(file, it)).collect()),
            groups: groups.map(|list| {
                let indices = self.group_indices(file, &list);
                GroupSet::new(self.groups.len(), indices)
            }),
            services: services.map(|list| self.services_claimed(file, &list)),
            methods: self.methods(file, Key(methods.map(|value| At { value, span: 0..0 })), false),
            paths: paths.map(|list| list.into_iter().map(|prefix| prefix.value).collect()),
            networks: networks.map(|list| self.networks_named(file, &list, definitions)),
            mfa: mfa.0.map(|mfa| mfa.value),
            auth_age: self.seconds(file, auth_age),
        }
    }

    /// One text or several; a list that is stated is not empty.
    fn several(&mut self, file: usize, key: raw::Several, name: &str) -> Option<Vec<At<String>>> {
        let key = key.0?;
        let list = At { span: key.span.clone(), value: key.places() };
        self.list(file, Key(Some(list)), name)
    }

    fn resource_named(&mut self, file: usize, name: &At<String>) -> Option<usize> {
        let place = self.place(file, name.span.clone());
        self.resources.find(name, place, self.complete, &mut self.findings)
    }

    fn service_named(&mut self, file: usize, name: &At<String>) -> Option<ServiceId> {
        let place = self.place(file, name.span.clone());
        self.services.find(name, place, self.complete, &mut self.findings).map(ServiceId)
    }

    fn services_claimed(&mut self, file: usize, list: &[At<String>]) -> Services {
        let named = |list: &[At<String>]| list.iter().any(|name| name.value == ANY);
        if !named(list) {
            return Services::Named(list.iter().filter_map(|name| self.service_named(file, name)).collect());
        }
        if let Some(other) = list.iter().find(|name| name.value != ANY) {
            let label = "`any` is each of them already";
            self.error(file, "P0402", other.span.clone(), "`any` stands beside a name", label);
        }
        Services::Any
    }

    fn device(&mut self, file: usize, text: &At<String>) -> Option<DeviceTrust> {
        self.word(file, text, "device", &DeviceTrust::ALL.map(|trust| (trust.as_str(), trust)))
    }

    fn once(&mut self, file: usize, name: &At<String>, word: &str, seen: &mut HashMap<String, Written>) {
        let written = self.written(file, name.span.clone());
        if let Some(first) = seen.get(&name.value) {
            let message = format!("{word} `{}` stands twice", shorten(&name.value));
            let finding = Diagnostic::error("Y0116", &written.path, written.span, message)
                .label("a report says which one it means by its name")
                .also(&first.path, first.span.clone(), "first stated here");
            self.findings.push(finding);
            return;
        }
        seen.insert(name.value.clone(), written);
    }

    /// A place that is kept with what stands there.
    pub fn written(&self, file: usize, span: Range<usize>) -> Written {
        let super::resolve::Place { path, span } = self.place(file, span);
        Written { path, span }
    }

    /// All tests, in the order of the files.
    pub fn trials(&mut self, list: Vec<(usize, At<raw::Test>)>) -> Vec<Trial> {
        let mut names = HashMap::new();
        list.into_iter().filter_map(|(file, raw)| self.trial(file, raw, &mut names)).collect()
    }

    fn trial(
        &mut self,
        file: usize,
        raw: At<raw::Test>,
        names: &mut HashMap<String, Written>,
    ) -> Option<Trial> {
        let At { value: raw::Test { name, given, request, expect }, span } = raw;
        let name = self.needed(file, name, "name", &span);
        if let Some(name) = &name {
            self.once(file, name, "test", names);
        }
        let given = given.0.map_or_else(|| Some(Given::nobody()), |given| self.given(file, given));
        let request = self.needed(file, request, "request", &span);
        let request = request.and_then(|request| self.request_line(file, &request));
        let expect = self.needed(file, expect, "expect", &span);
        let expect = expect.and_then(|expect| self.expected(file, &expect));
        let (method, host, path) = request?;
        let name = name?;
        Some(Trial {
            given: given?,
            method,
            host,
            path,
            expect: expect?,
            origin: self.origin(file, &name.span),
            written: self.written(file, name.span),
            name: name.value,
        })
    }

    fn given(&mut self, file: usize, given: At<raw::Given>) -> Option<Given> {
        let At { value: raw::Given { user, groups, service, device, mfa, auth_age, from, time }, span } =
            given;
        let signed_in = user.is_stated() || groups.is_stated();
        let of_users = [signed_in, device.is_stated(), mfa.is_stated(), auth_age.is_stated()].contains(&true);
        if service.is_stated() && of_users {
            let label = "a service has no device, groups or sign-in";
            self.error(file, "P0404", span, "this test is of a service and of a user", label);
            return None;
        }
        let groups = self.several(file, groups, "groups").unwrap_or_default();
        let groups = self.group_indices(file, &groups);
        let auth_age = self.seconds(file, auth_age).unwrap_or(Duration::ZERO);
        let mfa = mfa.0.is_some_and(|mfa| mfa.value);
        let who = match service.0 {
            Some(service) => Who::Service(self.service_named(file, &service)),
            None if signed_in => {
                Who::User { groups: GroupSet::new(self.groups.len(), groups), mfa, auth_age }
            }
            None => Who::Nobody,
        };
        let device = device.0.and_then(|device| self.device(file, &device)).unwrap_or_default();
        Some(Given { who, device, from: self.address(file, from), time: self.moment(file, time) })
    }

    fn address(&mut self, file: usize, key: Key<String>) -> Option<std::net::IpAddr> {
        let text = key.0?;
        let address = text.value.parse().ok();
        if address.is_none() {
            let message = format!("`{}` is not an address", shorten(&text.value));
            self.error(file, "Y0112", text.span, message, "one IP address, such as `198.51.100.7`");
        }
        address
    }

    fn moment(&mut self, file: usize, key: Key<String>) -> Option<i64> {
        let text = key.0?;
        let moment = OffsetDateTime::parse(&text.value, &Rfc3339).ok();
        if moment.is_none() {
            let message = format!("`{}` is not a time", shorten(&text.value));
            self.error(file, "Y0110", text.span, message, "such as `2026-11-25T09:00:00Z`");
        }
        moment.map(OffsetDateTime::unix_timestamp)
    }

    fn request_line(&mut self, file: usize, text: &At<String>) -> Option<(String, String, String)> {
        match request_line(&text.value) {
            Ok((method, host, path)) => Some((method.to_owned(), host, path)),
            Err(problem) => {
                let message = format!("`{}` is not a request", shorten(&text.value));
                self.error(file, "P0404", text.span.clone(), message, problem.to_string());
                None
            }
        }
    }

    fn expected(&mut self, file: usize, text: &At<String>) -> Option<Expected> {
        let words =
            [("allow", Expected::Allow), ("deny", Expected::Deny), ("challenge", Expected::Challenge)];
        if let Some((_, expected)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*expected);
        }
        if let Some(reason) = Reason::ALL.iter().find(|reason| reason.code() == text.value) {
            return Some(Expected::Reason(*reason));
        }
        let names = words.iter().map(|(word, _)| *word).chain(Reason::ALL.iter().map(|reason| reason.code()));
        let label = did_you_mean(&text.value, names)
            .unwrap_or_else(|| "`allow`, `deny`, `challenge` or the code of a reason".to_owned());
        let message = format!("`{}` is nothing that a decision says", shorten(&text.value));
        self.error(file, "P0404", text.span.clone(), message, label);
        None
    }
}

impl Given {
    /// Nobody, from no device that is known.
    #[must_use]
    pub const fn nobody() -> Self {
        Self { who: Who::Nobody, device: DeviceTrust::None, from: None, time: None }
    }
}

/// Why a text is not a request that could be decided.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// Not a method and an address.
    #[error("a method and an address, such as `GET https://tickets.corp.example/browse/42`")]
    Form,
    /// Not over TLS.
    #[error("an address begins with `https://`")]
    Scheme,
    /// A method that is never forwarded.
    #[error(transparent)]
    Method(#[from] method::MethodError),
    /// Refused before it is decided.
    #[error("refused as `ambiguous_request` before it is decided")]
    Ambiguous,
    /// It has a canonical form, to which clients are sent first.
    #[error("write the path in its canonical form: `{0}`")]
    Canonical(String),
}

/// Reads `METHOD https://host[:port]/path[?query]`: the method, the canonical host and path.
///
/// # Errors
/// It is no request that could be decided.
pub fn request_line(text: &str) -> Result<(&str, String, String), RequestError> {
    let (method, address) = text.split_once(' ').ok_or(RequestError::Form)?;
    let (host, path) = address_of(address.trim_start())?;
    method::check(method)?;
    Ok((method, host, path))
}

/// Reads `https://host[:port]/path[?query]`: the canonical host and path.
///
/// # Errors
/// It is no address that a request could have.
pub fn address_of(address: &str) -> Result<(String, String), RequestError> {
    let rest = address.strip_prefix("https://").ok_or(RequestError::Scheme)?;
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(at).ok_or(RequestError::Form)?;
    let authority = canonical::authority(authority).map_err(|_| RequestError::Ambiguous)?;
    let target = if target.is_empty() { "/" } else { target };
    match canonical::target(target).map_err(|_| RequestError::Ambiguous)? {
        Target::Canonical { path, query: _ } => Ok((authority.host.into_owned(), path.into_owned())),
        Target::Elsewhere { path, query: _ } => Err(RequestError::Canonical(path)),
    }
}
