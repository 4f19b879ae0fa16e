//! The prover held against `decide`: random policies and claims, and every request there could be.

use crate::access::{DeviceTrust, GroupSet};
use crate::diagnostic::Source;
use crate::policy::{Claim, Policy, Promise, ServiceId, Services, Who, resolve, within};
use crate::text::prefix::covers;
use crate::workbench::*;
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;

const SOURCES: [&str; 3] = ["idp:x", "idp:y", "idp:z"];
const PATHS: [&str; 7] = ["/", "/a", "/a/b", "/a/b/c", "/a/x", "/ab", "/c"];
const METHODS: [&str; 3] = ["GET", "POST", "PATCH"];
const CLIENTS: [&str; 4] = ["203.0.113.9", "198.51.100.3", "198.51.100.200", "2001:db8::7"];
const AGES: [u64; 3] = [0, 900, 901];

/// Some of these, as a list in YAML.
fn some(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::subsequence(of.to_vec(), 1..=of.len()).prop_map(|list| format!("[{}]", list.join(", ")))
}

fn key(name: &'static str, of: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    proptest::option::weighted(0.4, some(of).prop_map(move |list| format!("{name}: {list}")))
}

fn rule(deny: bool) -> impl Strategy<Value = String> {
    let asked = prop_oneof![Just("mfa: required"), Just("max_auth_age: 15m")].prop_map(str::to_owned);
    let sign_in = proptest::option::weighted(0.3, asked).prop_map(move |asked| asked.filter(|_| !deny));
    let keys = (
        key("groups", &["a", "b", "c"]),
        key("methods", &["GET", "POST"]),
        key("networks", &["wide", "narrow", "six"]),
        sign_in,
    );
    keys.prop_filter_map("asks about nothing", |(groups, methods, networks, sign_in)| {
        let keys: Vec<_> = [groups, methods, networks, sign_in].into_iter().flatten().collect();
        (!keys.is_empty()).then(|| format!("{{ {} }}", keys.join(", ")))
    })
}

fn rules(name: &'static str) -> impl Strategy<Value = String> {
    proptest::collection::vec(rule(name == "deny"), 0..3).prop_map(move |rules| {
        if rules.is_empty() { String::new() } else { format!("{name}: [{}], ", rules.join(", ")) }
    })
}

fn tier() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("open"), Just("low"), Just("high")]
}

fn path(prefix: &'static str) -> impl Strategy<Value = Option<String>> {
    let stated = (tier(), rules("allow"), rules("deny"))
        .prop_map(move |(tier, allow, deny)| format!("{{ {allow}{deny}tier: {tier}, prefix: {prefix} }}"));
    proptest::option::of(stated)
}

fn policies() -> impl Strategy<Value = String> {
    let resource = (tier(), rules("allow"), rules("deny"), path("/a"), path("/a/b"));
    let authentication =
        proptest::option::of(proptest::collection::vec((some(&["a", "b", "c"]), any::<bool>()), 0..3));
    let service = proptest::option::of((key("methods", &["GET", "POST"]), key("paths", &["/a", "/c"])));
    (resource, authentication, service, any::<bool>()).prop_map(
        |((tier, allow, deny, a, ab), authentication, service, last)| {
            let paths: Vec<_> = [a, ab].into_iter().flatten().collect();
            let paths = if paths.is_empty() { String::new() } else { format!("paths: [{}], ", paths.join(", ")) };
            let authentication = authentication.map_or_else(String::new, |entries| {
                let entry = |(groups, mfa): &(String, bool)| {
                    let asks = if *mfa { "mfa: required" } else { "max_age: 12h" };
                    format!("{{ for: {{ groups: {groups} }}, {asks} }}")
                };
                let mut entries: Vec<_> = entries.iter().map(entry).collect();
                entries.push(if last { "{ mfa: required }".into() } else { "{ max_age: 12h }".to_owned() });
                format!("authentication: [{}]\n", entries.join(", "))
            });
            let service = service.map_or_else(String::new, |(methods, paths)| {
                let keys: Vec<_> = [methods, paths].into_iter().flatten().map(|key| format!(", {key}")).collect();
                format!("services: [{{ name: s{} }}], ", keys.concat())
            });
            format!(
                "groups: {{ a: {{ any_of: ['idp:x'] }}, b: {{ any_of: ['idp:x', 'idp:y'] }}, c: {{ any_of: ['idp:z'] }} }}
networks: {{ wide: [198.51.100.0/24], narrow: [198.51.100.0/25], six: ['2001:db8::/32'] }}
services: {{ s: {{ spiffe: 'spiffe://e/s' }} }}
{authentication}resources: [{{ {allow}{deny}{paths}{service}name: r, tier: {tier}, hosts: [r.example], upstream: u }}]
"
            )
        },
    )
}

fn claims() -> impl Strategy<Value = (Promise, String)> {
    let of_users = (
        key("device", &["none", "enrolled", "issued"]),
        key("groups", &["a", "b", "c"]),
        proptest::option::weighted(0.3, any::<bool>()),
        proptest::option::weighted(0.3, prop_oneof![Just("15m"), Just("901s")]),
    );
    let of_all = (
        key("tier", &["open", "low", "high"]),
        key("methods", &["GET", "POST"]),
        key("paths", &["/a", "/a/b/c", "/c"]),
        key("networks", &["wide", "narrow", "six"]),
    );
    (of_users, of_all, any::<bool>(), 0_u8..4).prop_map(|(users, all, never, service)| {
        let (device, groups, mfa, age) = users;
        let (tier, methods, paths, networks) = all;
        let mfa = mfa.map(|mfa| format!("mfa: {mfa}"));
        let age = age.map(|age| format!("auth_age: {age}"));
        let mut keys = vec![tier, methods, paths, networks];
        if service == 0 {
            keys.push(Some("service: any".to_owned()));
        } else {
            keys.extend([device, groups, mfa, age]);
        }
        let mut keys: Vec<_> = keys.into_iter().flatten().collect();
        if keys.is_empty() {
            keys.push("resource: r".to_owned());
        }
        (if never { Promise::Never } else { Promise::Always }, keys.join(", "))
    })
}

/// Every request that the claim speaks of.
fn requests<'a>(policy: &'a Policy, claim: &'a Claim) -> impl Iterator<Item = Hypothetical> + 'a {
    let places = PATHS.iter().flat_map(|path| METHODS.iter().map(move |method| (*path, *method)));
    let places = places.flat_map(|(path, method)| {
        CLIENTS.iter().map(move |client| (path, method, client.parse::<IpAddr>().unwrap()))
    });
    let spoken = |(path, method, client): &(&str, &str, IpAddr)| {
        let place = policy.locate("r.example", path).unwrap();
        claim.tiers.as_ref().is_none_or(|tiers| tiers.contains(&place.section().tier))
            && claim.paths.as_ref().is_none_or(|paths| paths.iter().any(|prefix| covers(prefix, path)))
            && claim.methods.as_ref().is_none_or(|methods| methods.contain(method))
            && claim.networks.as_ref().is_none_or(|networks| within(*client, networks))
    };
    let who = whoever(policy, claim);
    places.filter(move |place| spoken(place)).flat_map(move |(path, method, client)| {
        who.clone().into_iter().map(move |(who, device)| Hypothetical {
            method: method.to_owned(),
            host: "r.example".to_owned(),
            path: path.to_owned(),
            who,
            device,
            client,
            time: NOON,
            circumstances: Circumstances::NONE,
        })
    })
}

/// Everybody whom the claim speaks of.
fn whoever(policy: &Policy, claim: &Claim) -> Vec<(Who, DeviceTrust)> {
    if let Some(services) = &claim.services {
        assert_eq!(*services, Services::Any);
        return vec![(Who::Service(Some(ServiceId(0))), DeviceTrust::None)];
    }
    let mut all = Vec::new();
    for person in 0..8_usize {
        let has =
            SOURCES.iter().enumerate().filter(|(at, _)| person & (1 << at) != 0).map(|(_, source)| *source);
        let groups: GroupSet = policy.group_set(has);
        if claim.groups.as_ref().is_some_and(|claimed| !claimed.intersects(&groups)) {
            continue;
        }
        for device in DeviceTrust::ALL {
            for mfa in [false, true] {
                for age in AGES.map(Duration::from_secs) {
                    let spoken = claim.devices.as_ref().is_none_or(|devices| devices.contains(&device))
                        && claim.mfa.is_none_or(|claimed| claimed == mfa)
                        && claim.auth_age.is_none_or(|claimed| claimed == age);
                    if spoken {
                        all.push((Who::User { groups: groups.clone(), mfa, auth_age: age }, device));
                    }
                }
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn a_proof_is_what_trying_every_request_says(text in policies(), (promise, claim) in claims()) {
        let word = if promise == Promise::Never { "never" } else { "always" };
        // Resolved and not proved yet. A rule that can never be reached refuses a draw: it says nothing.
        let text = format!("version: 1\n{text}assertions: [{{ name: it, {word}: {{ {claim} }} }}]\n");
        let files = [Source { path: "policies/test.yaml".into(), text: text.clone() }];
        let (Some(policy), _) = resolve(&files, None) else { return Ok(()) };
        let claimed = &policy.assertions()[0].claim;
        let breaks = |request: &Hypothetical| {
            (request.decided(&policy).verdict == Verdict::Allow) == (promise == Promise::Never)
        };
        let (mut any, mut broken) = (false, None);
        for request in requests(&policy, claimed) {
            any = true;
            if breaks(&request) {
                broken = Some(request);
                break;
            }
        }
        match Prover::new(&policy).prove(promise, claimed) {
            Proof::Holds => prop_assert!(broken.is_none(), "{text}\n{word} {claim}\nproved, and broken by {broken:?}"),
            Proof::SpeaksOfNothing => prop_assert!(!any, "{text}\n{word} {claim}"),
            Proof::TooLarge => prop_assert!(false, "too large"),
            Proof::Broken(found) => {
                prop_assert!(broken.is_some(), "{text}\n{word} {claim}\nholds, and yet {found:?}");
                prop_assert!(breaks(&found.request), "{text}\n{word} {claim}\n{found:?}");
                prop_assert_eq!(found.request.decided(&policy), found.outcome);
            }
        }
    }
}
