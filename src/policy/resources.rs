//! Resources: names, hosts, upstreams; what their paths and traffic keys say is beside this file.

use super::definitions::Definitions;
use super::hosts::HostsSeen;
use super::locate::Hosts;
use super::resolve::Resolver;
use super::rules::List;
use super::{RateLimitBy, Resource, Section, raw};
use crate::access::Tier;
use crate::text::yaml::At;

impl Resolver<'_> {
    /// All resources, by host, and the upstreams that they name.
    pub fn all_resources(
        &mut self,
        files: Vec<(usize, Vec<At<raw::Resource>>)>,
        definitions: &Definitions,
    ) -> (Vec<Resource>, Hosts, Vec<String>) {
        let count = files.iter().map(|(_, list)| list.len()).sum();
        let mut seen = HostsSeen::for_about(count);
        self.resources.make_room(count);
        let mut upstreams = Vec::new();
        let mut resources = Vec::with_capacity(count);
        for (file, list) in files {
            for raw in list {
                let index = resources.len();
                resources.push(self.resource(file, index, raw, definitions, &mut seen, &mut upstreams));
            }
        }
        self.current = None;
        self.also_covered(&resources, &seen);
        (resources, seen.into_hosts(), upstreams)
    }

    fn resource(
        &mut self,
        file: usize,
        index: usize,
        raw: At<raw::Resource>,
        definitions: &Definitions,
        seen: &mut HostsSeen,
        upstreams: &mut Vec<String>,
    ) -> Resource {
        // Destructured without `..`: see `raw`.
        let At {
            value:
                raw::Resource { name, tier, hosts, upstream, allow, deny, paths, services, rate_limit, cors },
            span,
        } = raw;
        let name = self.needed(file, name, "name", &span);
        if let Some(name) = &name {
            let place = self.place(file, name.span.clone());
            self.resources.define(&name.value, place, &mut self.findings);
        }
        let place = name.as_ref().map_or_else(|| span.clone(), |name| name.span.clone());
        let origin = self.origin(file, &place);
        let name = name.map_or_else(String::new, |name| name.value);
        self.current = Some(name.clone());

        let tier = self.needed(file, tier, "tier", &place).and_then(|tier| self.tier(file, &tier));
        let hosts = self.needed(file, hosts, "hosts", &place);
        let hosts = self.list(file, crate::text::yaml::Key(hosts), "hosts").unwrap_or_default();
        for host in &hosts {
            self.host(file, index, host, &name, seen);
        }
        let upstream = self.needed(file, upstream, "upstream", &place);
        let upstream = upstream.map_or(0, |upstream| self.upstream(file, &upstream, upstreams));

        let allow = self.rules(file, allow, List::Allow, definitions).unwrap_or_default();
        let deny = self.rules(file, deny, List::Deny, definitions).unwrap_or_default();
        let deny: Vec<_> = deny.into_iter().map(|rule| rule.value).collect();
        self.overridden(file, &allow, &deny);
        let root = Section {
            prefix: String::new(),
            parent: None,
            // What is refused needs a tier all the same; the strictest says least.
            tier: tier.unwrap_or(Tier::High),
            allow: allow.into_iter().map(|rule| rule.value).collect(),
            deny,
            origin: origin.clone(),
        };
        let paths = self.paths(file, paths, &root, definitions);
        let services = self.service_entries(file, services);
        let (address_limits, subject_limits) =
            self.rate_limits(file, rate_limit).into_iter().partition(|limit| match limit.per {
                RateLimitBy::Address => true,
                RateLimitBy::User | RateLimitBy::Device => false,
            });
        let cors = cors.0.and_then(|cors| self.cors(file, cors));
        let hosts = hosts.into_iter().map(|host| host.value).collect();
        Resource {
            name: name.into(),
            hosts,
            upstream,
            root,
            paths,
            services,
            cors,
            address_limits,
            subject_limits,
            origin,
            written: self.written(file, place),
        }
    }
}
