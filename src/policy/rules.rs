//! `allow` and `deny` entries: what they ask about, and which of them can never decide.

use super::definitions::Definitions;
use super::names::shorten;
use super::resolve::Resolver;
use super::{Methods, Rule, raw};
use crate::access::GroupSet;
use crate::diagnostic::Severity;
use crate::text::method;
use crate::text::yaml::{At, Key};
use ipnet::IpNet;

/// Rules are compared with so many before them: the cost is the product.
pub(super) const COMPARED: usize = 64;

/// Which list a rule stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum List {
    Allow,
    Deny,
}

impl List {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Resolver<'_> {
    /// The rules of one list; `None` where it is not stated.
    pub fn rules(
        &mut self,
        file: usize,
        key: Key<Vec<At<raw::Rule>>>,
        which: List,
        definitions: &Definitions,
    ) -> Option<Vec<At<Rule>>> {
        let list = self.list(file, key, which.as_str())?;
        let mut rules: Vec<At<Rule>> = Vec::with_capacity(list.len());
        for raw in list {
            let span = raw.span.clone();
            let rule = self.rule(file, raw, which, definitions);
            if !self.weigh(file, &span, weight(&rule)) {
                break;
            }
            let earlier = rules.iter().take(COMPARED).find(|earlier| covers(&earlier.value, &rule));
            if let Some(earlier) = earlier {
                let label = format!("the rule at {} matches whatever this one does", earlier.value.origin.0);
                self.error(file, "P0106", span.clone(), "this rule is never reached", label);
            }
            rules.push(At { value: rule, span });
        }
        Some(rules)
    }

    fn rule(&mut self, file: usize, raw: At<raw::Rule>, which: List, definitions: &Definitions) -> Rule {
        let At { value: raw::Rule { groups, methods, networks, mfa, max_auth_age }, span } = raw;
        let stated = [
            groups.is_stated(),
            methods.is_stated(),
            networks.is_stated(),
            mfa.is_stated(),
            max_auth_age.is_stated(),
        ];
        if !stated.contains(&true) {
            let label = match which {
                List::Allow => "would admit everybody; leave out `allow` for that",
                List::Deny => "would refuse everybody; remove the resource for that",
            };
            self.error(file, "P0111", span.clone(), "this rule asks about nothing", label);
        }
        if which == List::Deny {
            self.deny_asks_who(file, &mfa);
            self.deny_asks_who(file, &max_auth_age);
        }
        let groups = self.list(file, groups, "groups").map(|names| self.group_indices(file, &names));
        Rule {
            groups: groups.map(|groups| GroupSet::new(self.groups.len(), groups)),
            methods: self.methods(file, methods, which == List::Deny),
            networks: self
                .list(file, networks, "networks")
                .map(|names| self.networks_named(file, &names, definitions)),
            mfa: self.mfa(file, mfa),
            max_auth_age: self.seconds(file, max_auth_age),
            origin: self.origin(file, &span),
        }
    }

    fn deny_asks_who(&mut self, file: usize, key: &Key<String>) {
        if let Some(text) = &key.0 {
            let message = "a `deny` does not ask about the strength or age of a sign-in";
            let label = "would let the weaker sign-in through; put it into `allow`";
            self.error(file, "P0112", text.span.clone(), message, label);
        }
    }

    pub fn networks_named(
        &mut self,
        file: usize,
        names: &[At<String>],
        definitions: &Definitions,
    ) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for name in names {
            let place = self.place(file, name.span.clone());
            let found = self.networks.find(name, place, self.complete, &mut self.findings);
            let found = found.and_then(|index| definitions.networks.get(index));
            if let Some(found) = found
                && self.weigh(file, &name.span, size_of_val(found.as_slice()))
            {
                networks.extend_from_slice(found);
            }
        }
        networks
    }

    /// The methods of a list. `denies`: it refuses them, so one that is forgotten gets through.
    pub fn methods(&mut self, file: usize, key: raw::Texts, denies: bool) -> Option<Methods> {
        let list = self.list(file, key, "methods")?;
        for text in &list {
            let written = shorten(&text.value);
            if let Err(error) = method::check(&text.value) {
                let message = format!("unknown method `{written}`");
                self.error(file, "Y0114", text.span.clone(), message, error.to_string());
            }
        }
        let has = |method: &str| list.iter().any(|text| text.value == method);
        if denies && has("GET") && !has("HEAD") {
            let span = list.first().map_or(0..0, |text| text.span.clone());
            let label = "`HEAD` is another method; add it if it is meant too";
            self.report(
                Severity::Note,
                file,
                "P0301",
                span,
                "this `deny` of `GET` does not refuse `HEAD`",
                label,
            );
        }
        Some(Methods(list.into_iter().map(|text| text.value).collect()))
    }

    /// Own `deny` rules that one which the path inherits makes needless.
    pub fn inherited_already(&mut self, file: usize, own: &[At<Rule>], inherited: &[Rule]) {
        for rule in own {
            if let Some(by) = inherited.iter().take(COMPARED).find(|by| covers(by, &rule.value)) {
                let label = format!(
                    "the path inherits the `deny` at {}, which matches whatever this one does",
                    by.origin.0
                );
                self.error(file, "P0106", rule.span.clone(), "this rule is never reached", label);
            }
        }
    }

    /// Own `allow` rules that a `deny` always overrides.
    pub fn overridden(&mut self, file: usize, allow: &[At<Rule>], deny: &[Rule]) {
        for rule in allow {
            if let Some(by) = deny.iter().take(COMPARED).find(|deny| covers(deny, &rule.value)) {
                let label = format!("the `deny` at {} refuses whomever this admits", by.origin.0);
                self.error(file, "P0106", rule.span.clone(), "this `allow` is never reached", label);
            }
        }
    }
}

/// Whether two lists of rules say the same, in whatever order.
pub(super) fn equivalent(own: &[At<Rule>], other: &[Rule]) -> bool {
    let same = |a: &Rule, b: &Rule| covers(a, b) && covers(b, a);
    own.len() == other.len()
        && own.len() <= COMPARED
        && own.iter().all(|own| other.iter().any(|other| same(&own.value, other)))
        && other.iter().all(|other| own.iter().any(|own| same(&own.value, other)))
}

/// About how many bytes a rule takes.
pub(super) fn weight(rule: &Rule) -> usize {
    let groups = rule.groups.as_ref().map_or(0, GroupSet::size);
    let methods = rule.methods.as_ref().map_or(0, |methods| methods.0.iter().map(|m| m.len() + 24).sum());
    let networks = rule.networks.as_ref().map_or(0, |networks| size_of_val(networks.as_slice()));
    size_of::<Rule>() + groups + methods + networks + rule.origin.0.len()
}

/// Whether `broad` matches whenever `narrow` does.
fn covers(broad: &Rule, narrow: &Rule) -> bool {
    fn all<T>(broad: Option<&T>, narrow: Option<&T>, within: impl Fn(&T, &T) -> bool) -> bool {
        match (broad, narrow) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(broad), Some(narrow)) => within(broad, narrow),
        }
    }
    // A list that holds nothing because its names are unknown covers nothing and is covered by nothing.
    let known = |rule: &Rule| {
        rule.groups.as_ref().is_none_or(|groups| !groups.is_empty())
            && rule.networks.as_ref().is_none_or(|networks| !networks.is_empty())
    };
    known(broad)
        && known(narrow)
        && (!broad.mfa || narrow.mfa)
        && all(broad.max_auth_age.as_ref(), narrow.max_auth_age.as_ref(), |broad, narrow| broad >= narrow)
        && all(broad.groups.as_ref(), narrow.groups.as_ref(), GroupSet::covers)
        && all(broad.methods.as_ref(), narrow.methods.as_ref(), |broad, narrow| {
            narrow.0.iter().all(|method| broad.contain(method))
        })
        && all(broad.networks.as_ref(), narrow.networks.as_ref(), |broad, narrow| {
            narrow.len() <= COMPARED
                && broad.len() <= COMPARED
                && narrow.iter().all(|narrow| broad.iter().any(|broad| broad.contains(narrow)))
        })
}
