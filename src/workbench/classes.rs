//! The finite classes that a policy can tell requests apart by, each with one request that stands for it.
//!
//! What holds for the representative holds for its whole class: rules ask only whether a path is below a
//! prefix, whether a method is listed, whether an address is in a network.

use crate::policy::{Policy, Resource, Rule, Section};
use crate::text::method;
use crate::text::prefix::{RESERVED, covers};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Addresses that stand for the outside where no network has them: nobody's own (RFC 5737, RFC 3849).
const OUTSIDE: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9)),
];

/// A host that leads to this resource: one that is written out, or one that its star stands for.
#[must_use]
pub fn host(policy: &Policy, resource: &Resource) -> Option<String> {
    let exact = resource.hosts.iter().find(|host| !host.starts_with("*."));
    if let Some(host) = exact {
        return Some(host.clone());
    }
    let suffix = resource.hosts.iter().find_map(|host| host.strip_prefix("*."))?;
    // The exact hosts beside it are fewer than these.
    let labels =
        std::iter::once("any".to_owned()).chain((0..=policy.resources().len()).map(|n| format!("any-{n}")));
    let leads_here = |host: &String| {
        policy.locate(host, "/").is_some_and(|place| std::ptr::eq(place.resource(), resource))
    };
    labels.map(|label| format!("{label}.{suffix}")).find(leads_here)
}

/// Every path that must be looked at: each prefix stands for what is below it and below no other one.
/// Those of services matter to services only.
pub fn paths<'a>(
    resource: &'a Resource,
    of_services: bool,
    also: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let own = resource.sections().map(|section| section.prefix.as_str());
    let services = resource.services.iter().filter(|_| of_services);
    let services = services.flat_map(|entry| entry.paths.iter().flatten());
    let all = own.chain(services.map(String::as_str)).chain(also);
    let paths: BTreeSet<&str> = all.map(|prefix| if prefix.is_empty() { "/" } else { prefix }).collect();
    paths.into_iter().filter(|path| !covers(RESERVED, path)).collect()
}

/// One method for each class: those that are named, and one that stands for all others; `GET` first.
pub fn methods<'a>(named: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let named: BTreeSet<&str> = named.into_iter().collect();
    let forwarded = method::FORWARDED;
    let other = forwarded.iter().copied().find(|method| !named.contains(method));
    let named = named.into_iter().filter(|method| forwarded.contains(method));
    let mut all: Vec<&str> = other.into_iter().chain(named).collect();
    all.sort_by_key(|method| forwarded.iter().position(|known| known == method));
    all
}

/// Older than any `max_auth_age` can ask for.
pub const AGES_AGO: Duration = Duration::from_hours(4000 * 24);

/// The ages of a sign-in that the rules of these sections can tell apart, youngest first.
pub fn ages<'a>(sections: impl IntoIterator<Item = &'a Section>) -> Vec<Duration> {
    let limits = sections.into_iter().flat_map(|section| &section.allow).filter_map(|rule| rule.max_auth_age);
    let mut ages: BTreeSet<Duration> = limits.map(|age| age + Duration::from_secs(1)).collect();
    ages.insert(Duration::ZERO);
    ages.into_iter().collect()
}

/// The methods that the rules of a section and the services of its resource name.
pub fn named_methods<'p>(resource: &'p Resource, section: &'p Section) -> impl Iterator<Item = &'p str> {
    let rules = rules(section).filter_map(|rule| rule.methods.as_ref());
    let services = resource.services.iter().filter_map(|entry| entry.methods.as_ref());
    rules.chain(services).flat_map(|methods| methods.0.iter().map(String::as_str))
}

/// How much work it is to look at the rules of a section once: a list of networks is read to its end.
#[must_use]
pub fn cost(section: &Section) -> usize {
    let of = |rule: &Rule| {
        let networks = rule.networks.as_ref().map_or(0, Vec::len);
        1 + networks + rule.methods.as_ref().map_or(0, |methods| methods.0.len())
    };
    1 + rules(section).map(of).sum::<usize>()
}

/// The networks that the rules of a section name.
pub fn named_networks(section: &Section) -> impl Iterator<Item = IpNet> + '_ {
    rules(section).flat_map(|rule| rule.networks.iter().flatten().copied())
}

fn rules(section: &Section) -> impl Iterator<Item = &Rule> {
    section.allow.iter().chain(&section.deny)
}

/// One address for each class that these networks can tell apart, the outside of all of them first.
pub fn addresses(networks: impl IntoIterator<Item = IpNet>) -> Vec<IpAddr> {
    let networks: BTreeSet<IpNet> = networks.into_iter().map(|network| network.trunc()).collect();
    let networks: Vec<IpNet> = networks.into_iter().collect();
    let mut all: Vec<IpAddr> = outside(&networks).into_iter().collect();
    // In their order a network stands right before all that lie inside it.
    for (at, network) in networks.iter().enumerate() {
        let behind = networks.iter().skip(at + 1);
        let inner: Vec<IpNet> = behind.take_while(|other| network.contains(*other)).copied().collect();
        all.extend(free(*network, &inner));
    }
    all
}

/// An address that none of these networks has; `None` where there is none.
#[must_use]
pub fn outside(networks: &[IpNet]) -> Option<IpAddr> {
    let within = |address: &IpAddr| networks.iter().any(|network| network.contains(address));
    let v4 = IpNet::from(ipnet::Ipv4Net::default());
    let v6 = IpNet::from(ipnet::Ipv6Net::default());
    let known = OUTSIDE.into_iter().find(|address| !within(address));
    known.or_else(|| free(v4, networks)).or_else(|| free(v6, networks))
}

/// An address of a network that is in none of `taken`.
fn free(network: IpNet, taken: &[IpNet]) -> Option<IpAddr> {
    // IPv4 addresses in IPv6 form are matched as IPv4, so they are no IPv6 addresses.
    let mapped = IpNet::from(ipnet::Ipv6Net::new_assert(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), 96));
    let mut taken: Vec<IpNet> = taken.to_vec();
    taken.push(mapped);
    search(network, &taken)
}

fn search(network: IpNet, taken: &[IpNet]) -> Option<IpAddr> {
    let inner: Vec<IpNet> =
        taken.iter().filter(|other| network.contains(*other) || other.contains(&network)).copied().collect();
    if inner.is_empty() {
        // The first address of a network is often not a host's.
        let mut hosts = network.hosts();
        return hosts.next().or(Some(network.addr()));
    }
    if inner.iter().any(|other| other.contains(&network)) {
        return None;
    }
    let halves = network.subnets(network.prefix_len() + 1).ok()?;
    halves.into_iter().find_map(|half| search(half, &inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::policy;
    use crate::policy::within;
    use proptest::prelude::*;

    #[test]
    fn a_star_is_stood_for_by_a_host_of_nobody_else() {
        let policy = policy(
            "resources:
  - { name: any, tier: low, hosts: ['*.corp.example'], upstream: u }
  - { name: one, tier: low, hosts: [any.corp.example], upstream: u }
  - { name: two, tier: low, hosts: ['*.two.example', two.example], upstream: u }
",
        );
        let hosts: Vec<_> =
            policy.resources().iter().map(|resource| host(&policy, resource).unwrap()).collect();
        assert_eq!(hosts, ["any-0.corp.example", "any.corp.example", "two.example"]);
    }

    #[test]
    fn methods_that_nothing_names_are_one_class() {
        assert_eq!(methods([]), ["GET"]);
        assert_eq!(methods(["POST"]), ["GET", "POST"]);
        assert_eq!(methods(["GET", "DELETE"]), ["GET", "HEAD", "DELETE"]);
        assert_eq!(methods(method::FORWARDED.iter().copied()).len(), method::FORWARDED.len());
    }

    #[test]
    fn an_address_outside_of_all_networks_is_found_where_there_is_one() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
        for (networks, want) in [
            (vec![], Some("203.0.113.9")),
            (vec!["203.0.113.0/24"], Some("198.51.100.9")),
            (vec!["128.0.0.0/1"], Some("2001:db8::9")),
            (vec!["128.0.0.0/1", "2001:db8::/32"], Some("0.0.0.1")),
            (vec!["0.0.0.0/0", "2001:db8::/32", "::/1"], Some("8000::")),
            (vec!["0.0.0.0/0", "::/0"], None),
        ] {
            let found = outside(&nets(&networks)).map(|address| address.to_string());
            assert_eq!(found.as_deref(), want, "{networks:?}");
        }
    }

    fn network() -> impl Strategy<Value = IpNet> {
        prop_oneof![
            (0_u8..4, 0_u8..=4).prop_map(|(bits, length)| {
                IpNet::new(IpAddr::V4(Ipv4Addr::new(bits << 6, 0, 0, 0)), length.min(2)).unwrap().trunc()
            }),
            (any::<u8>(), 24_u8..=32).prop_map(|(last, length)| {
                IpNet::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), length).unwrap().trunc()
            }),
            (0_u16..8, 125_u8..=128).prop_map(|(last, length)| {
                IpNet::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)), length)
                    .unwrap()
                    .trunc()
            }),
        ]
    }

    proptest! {
        #[test]
        fn every_address_has_a_representative_that_is_in_the_same_networks(
            networks in proptest::collection::vec(network(), 0..6),
            v4 in prop_oneof![any::<u32>(), 0x0a00_0000_u32..0x0a00_0100],
            v6 in 0_u16..10,
            six in any::<bool>(),
        ) {
            let address = if six {
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, v6))
            } else {
                IpAddr::V4(Ipv4Addr::from(v4))
            };
            let seen = |address: IpAddr| networks.iter().map(|net| within(address, &[*net])).collect::<Vec<_>>();
            let classes = addresses(networks.iter().copied());
            prop_assert!(classes.iter().any(|other| seen(*other) == seen(address)));
        }
    }
}
