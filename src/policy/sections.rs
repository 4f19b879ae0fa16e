//! The paths of a resource: canonical, sorted, and with everything inherited worked out.
//!
//! A path inherits what it does not state from the path that encloses it, and the outermost ones from
//! the resource: so `/admin/export` without a tier of its own is as sensitive as `/admin`.

use super::definitions::Definitions;
use super::locate::by_segments;
use super::names::shorten;
use super::resolve::Resolver;
use super::rules::{List, equivalent, weight};
use super::{Rule, Section, raw};
use crate::access::Tier;
use crate::diagnostic::{Diagnostic, Severity};
use crate::text::prefix;
use crate::text::yaml::{At, Key};

/// A path as written, before it inherits.
struct Own {
    prefix: At<String>,
    tier: Option<At<Tier>>,
    allow: Option<Vec<At<Rule>>>,
    deny: Vec<At<Rule>>,
}

impl Resolver<'_> {
    /// The sections of a resource, sorted, each with its parent.
    pub fn paths(
        &mut self,
        file: usize,
        key: Key<Vec<At<raw::Path>>>,
        root: &Section,
        definitions: &Definitions,
    ) -> Vec<Section> {
        let list = self.list(file, key, "paths").unwrap_or_default();
        let mut owns: Vec<_> =
            list.into_iter().filter_map(|path| self.own(file, path, definitions)).collect();
        owns.sort_by(|a, b| by_segments(&a.prefix.value, &b.prefix.value));

        let mut sections: Vec<Section> = Vec::with_capacity(owns.len());
        let mut places: Vec<std::ops::Range<usize>> = Vec::with_capacity(owns.len());
        for own in owns {
            let before = sections.len().checked_sub(1);
            if let Some(same) =
                before.filter(|before| sections.get(*before).is_some_and(|s| s.prefix == own.prefix.value))
            {
                let place = self.place(file, own.prefix.span.clone());
                let first = places.get(same).cloned().unwrap_or_default();
                let message =
                    format!("path `{}` stands twice in the same resource", shorten(&own.prefix.value));
                self.findings.push(
                    Diagnostic::error("Y0116", &place.path, place.span, message).label("join the two").also(
                        &place.path,
                        first,
                        "first stated here",
                    ),
                );
                continue;
            }
            let mut parent = before;
            while let Some(section) = parent.and_then(|index| sections.get(index)) {
                if prefix::covers(&section.prefix, &own.prefix.value) {
                    break;
                }
                parent = section.parent;
            }
            let from = parent.and_then(|index| sections.get(index)).unwrap_or(root);
            places.push(own.prefix.span.clone());
            match self.section(file, own, from, parent) {
                Some(section) => sections.push(section),
                None => break,
            }
        }
        sections
    }

    fn own(&mut self, file: usize, path: At<raw::Path>, definitions: &Definitions) -> Option<Own> {
        let At { value: raw::Path { prefix, tier, allow, deny }, span } = path;
        if !tier.is_stated() && !allow.is_stated() && !deny.is_stated() {
            let label = "write `tier`, `allow` or `deny`, or leave the path out";
            self.error(file, "P0111", span.clone(), "this path states nothing of its own", label);
        }
        let tier = tier.0.and_then(|text| self.tier(file, &text).map(|tier| text.with(tier)));
        let allow = self.rules(file, allow, List::Allow, definitions);
        let deny = self.rules(file, deny, List::Deny, definitions).unwrap_or_default();
        let prefix = self.needed(file, prefix, "prefix", &span)?;
        self.prefix(file, &prefix);
        if prefix.value == "/" {
            let label = "`/` is the whole resource: state it there";
            self.error(
                file,
                "P0107",
                prefix.span.clone(),
                "this path replaces the resource's own rules",
                label,
            );
        }
        Some(Own { prefix, tier, allow, deny })
    }

    /// Checks that a prefix is canonical.
    pub fn prefix(&mut self, file: usize, text: &At<String>) {
        if let Err(error) = prefix::check(&text.value) {
            let message = format!("`{}` is not a canonical path", shorten(&text.value));
            self.error(file, "P0107", text.span.clone(), message, error.to_string());
        }
        if prefix::covers(prefix::RESERVED, &text.value) {
            let message = format!("`{}` is tiergate's own", shorten(&text.value));
            let label = "tiergate answers there itself on every host, and no rule has a say";
            self.error(file, "P0122", text.span.clone(), message, label);
        }
    }

    fn section(&mut self, file: usize, own: Own, from: &Section, parent: Option<usize>) -> Option<Section> {
        let Own { prefix, tier, allow, deny: own_deny } = own;
        let inherited = if allow.is_none() { from.allow.iter() } else { [].iter() };
        let weighs: usize = inherited.chain(&from.deny).map(weight).sum();
        if !self.weigh(file, &prefix.span, weighs + size_of::<Section>()) {
            return None;
        }
        let inside =
            if from.prefix.is_empty() { "the resource".to_owned() } else { format!("`{}`", from.prefix) };
        if let Some(tier) = tier.as_ref().filter(|tier| tier.value < from.tier) {
            let message =
                format!("path `{}` lowers the tier from `{}` to `{}`", prefix.value, from.tier, tier.value);
            let label = format!("{inside} is `{}`", from.tier);
            self.report(Severity::Warning, file, "P0201", tier.span.clone(), message, label);
        }
        // That it states nothing at all is another mistake, and behind one what it inherits is not known.
        let states = (tier.is_some() || allow.is_some()) && !self.findings.has_mistakes();
        let as_inherited = own_deny.is_empty()
            && tier.as_ref().is_none_or(|tier| tier.value == from.tier)
            && allow.as_ref().is_none_or(|allow| equivalent(allow, &from.allow));
        if states && as_inherited {
            let message = format!("path `{}` changes nothing", prefix.value);
            let label = format!("what it states is what it would inherit from {inside}; leave the path out");
            self.report(Severity::Warning, file, "P0210", prefix.span.clone(), message, label);
        }
        self.inherited_already(file, &own_deny, &from.deny);
        let mut deny = from.deny.clone();
        deny.extend(own_deny.into_iter().map(|rule| rule.value));
        if let Some(allow) = &allow {
            self.overridden(file, allow, &deny);
        }
        Some(Section {
            origin: self.origin(file, &prefix.span),
            prefix: prefix.value,
            parent,
            tier: tier.map_or(from.tier, |tier| tier.value),
            allow: allow
                .map_or_else(|| from.allow.clone(), |own| own.into_iter().map(|rule| rule.value).collect()),
            deny,
        })
    }
}
