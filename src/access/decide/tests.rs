use super::*;
use crate::access::{Device, DeviceTrust, GroupSet, Tier};
use crate::policy::tests::policy;
use proptest::prelude::*;
use std::net::IpAddr;

const POLICY: &str = "
groups:
  engineering: { any_of: [idp:eng] }
  contractors: { any_of: [idp:contractor] }
  finance: { any_of: [idp:fin] }
networks: { offices: [198.51.100.0/24, 2001:db8:10::/48] }
services:
  sync: { spiffe: spiffe://corp.example/sync }
  other: { spiffe: spiffe://corp.example/other }
authentication:
  - { for: { groups: [contractors] }, idle_timeout: 15m, max_age: 8h, mfa: required }
  - { idle_timeout: 30m }
resources:
  - { name: wiki, tier: open, hosts: [wiki.corp], upstream: u }
  - name: tickets
    tier: low
    hosts: [tickets.corp]
    upstream: u
    allow: [{ groups: [engineering, contractors] }]
    deny: [{ groups: [contractors], methods: [DELETE] }]
    paths:
      - prefix: /admin
        tier: high
        allow: [{ groups: [engineering], mfa: required, max_auth_age: 15m, networks: [offices] }]
      - prefix: /fresh
        allow: [{ groups: [engineering], mfa: required, max_auth_age: 15m }, { groups: [engineering], max_auth_age: 10m }]
    services: [{ name: sync, methods: [POST], paths: [/api/import] }]
    rate_limit: [{ per: user, requests: 5, window: 1s }, { per: address, requests: 9, window: 1s }]
  - name: payroll
    tier: high
    hosts: [payroll.corp]
    upstream: u
    allow: [{ groups: [finance] }]
    deny: [{ networks: [offices], methods: [PUT] }]
    services: [{ name: sync }]
";

const NOW: i64 = 1_000_000;
const HOME: &str = "203.0.113.9";
const OFFICE: &str = "198.51.100.9";

/// One request: who it is, and everything else as most requests are.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what a request is, field by field")]
struct Case {
    who: Who,
    groups: Vec<&'static str>,
    active: bool,
    session: Session,
    trust: DeviceTrust,
    lowered: Option<Reason>,
    method: &'static str,
    host: &'static str,
    path: &'static str,
    client: &'static str,
    address_limited: bool,
    cross_origin: bool,
    audit_available: bool,
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Nobody(Absent),
    User,
    Service(&'static str),
}

fn request(groups: &[&'static str], trust: DeviceTrust, url: &'static str) -> Case {
    let (host, path) = url.split_at(url.find('/').unwrap());
    Case {
        who: Who::User,
        groups: groups.to_vec(),
        active: true,
        session: Session { started: NOW - 60, last_seen: NOW - 60, auth_time: NOW - 60, mfa: false },
        trust,
        lowered: None,
        method: "GET",
        host,
        path,
        client: HOME,
        address_limited: false,
        cross_origin: false,
        audit_available: true,
    }
}

fn check(policy: &Policy, case: &Case) -> String {
    let groups: GroupSet = policy.group_set(case.groups.iter().copied());
    let facts = Facts {
        place: policy.locate(case.host, case.path),
        method: case.method,
        path: case.path,
        client: case.client.parse::<IpAddr>().unwrap(),
        now: NOW,
        address_limited: case.address_limited,
        cross_origin: case.cross_origin,
        audit_available: case.audit_available,
        subject: match case.who {
            Who::Nobody(absent) => Subject::Nobody(absent),
            Who::User => Subject::User(User {
                active: case.active,
                groups: &groups,
                session: case.session,
                name: "",
                email: None,
            }),
            Who::Service(id) => Subject::Service(policy.service_by_spiffe(id)),
        },
        device: Device { trust: case.trust, lowered: case.lowered, ..Device::default() },
    };
    // The facts borrow the groups for as long as the decision lives.
    match decide(policy, &facts) {
        Decision::Allow(permit) => format!("allow {}", permit.place().resource().name),
        Decision::Deny(denial) => format!("deny: {}", denial.reason),
        Decision::Challenge(Step::SignIn, denial) => format!("sign-in: {}", denial.reason),
        Decision::Challenge(Step::StepUp, denial) => format!("step-up: {}", denial.reason),
        Decision::Challenge(Step::Reauthenticate { max_auth_age }, denial) => {
            format!("reauth {max_auth_age}: {}", denial.reason)
        }
    }
}

const NONE: DeviceTrust = DeviceTrust::None;
const ENROLLED: DeviceTrust = DeviceTrust::Enrolled;
const ISSUED: DeviceTrust = DeviceTrust::Issued;
const ENG: &[&str] = &["idp:eng"];
const CON: &[&str] = &["idp:contractor"];
const FIN: &[&str] = &["idp:fin"];

#[test]
fn the_tier_rule_holds_for_users() {
    let policy = policy(POLICY);
    for (groups, device, url, want) in [
        (&[][..], NONE, "wiki.corp/", "allow wiki"),
        (ENG, ISSUED, "wiki.corp/", "allow wiki"),
        (ENG, NONE, "tickets.corp/", "deny: device_required"),
        (ENG, ENROLLED, "tickets.corp/", "allow tickets"),
        (ENG, ISSUED, "tickets.corp/", "allow tickets"),
        (FIN, ISSUED, "tickets.corp/", "deny: not_allowed"),
        (FIN, NONE, "payroll.corp/", "deny: device_required"),
        (FIN, ENROLLED, "payroll.corp/", "deny: device_not_issued"),
        (FIN, ISSUED, "payroll.corp/", "allow payroll"),
        (ENG, ISSUED, "payroll.corp/", "deny: not_allowed"),
        (&[], ISSUED, "payroll.corp/", "deny: not_allowed"),
        (ENG, ISSUED, "unknown.corp/", "deny: no_route"),
        (ENG, ENROLLED, "tickets.corp/administer", "allow tickets"),
        (ENG, ENROLLED, "tickets.corp/admin", "deny: device_not_issued"),
        (ENG, ENROLLED, "tickets.corp/admin/x", "deny: device_not_issued"),
    ] {
        assert_eq!(check(&policy, &request(groups, device, url)), want, "{groups:?} {device} {url}");
    }
}

#[test]
fn whoever_is_nobody_is_told_why() {
    let policy = policy(POLICY);
    for (absent, want) in [
        (Absent::NotSignedIn, "sign-in: not_signed_in"),
        (Absent::SessionRevoked, "sign-in: session_revoked"),
        (Absent::SessionExpired, "sign-in: session_expired"),
        (Absent::DeviceChanged, "sign-in: session_device_changed"),
    ] {
        let case = Case { who: Who::Nobody(absent), ..request(&[], ISSUED, "wiki.corp/") };
        assert_eq!(check(&policy, &case), want);
    }
    let nowhere = Case { who: Who::Nobody(Absent::NotSignedIn), ..request(&[], ISSUED, "x.corp/") };
    assert_eq!(check(&policy, &nowhere), "deny: no_route");
}

#[test]
fn a_session_is_within_its_limits() {
    let policy = policy(POLICY)
        .with_session_defaults(std::time::Duration::from_hours(12), std::time::Duration::from_hours(1));
    let with = |groups, started: i64, last_seen: i64, mfa| {
        let session = Session { started: NOW - started, last_seen: NOW - last_seen, auth_time: NOW, mfa };
        check(&policy, &Case { session, ..request(groups, ISSUED, "wiki.corp/") })
    };
    assert_eq!(with(ENG, 12 * 3600, 1800, false), "allow wiki");
    assert_eq!(with(ENG, 12 * 3600 + 1, 0, false), "sign-in: session_expired");
    assert_eq!(with(ENG, 3600, 1801, false), "sign-in: session_idle");
    assert_eq!(with(CON, 8 * 3600, 900, true), "allow wiki");
    assert_eq!(with(CON, 8 * 3600 + 1, 0, true), "sign-in: session_expired");
    assert_eq!(with(CON, 0, 901, true), "sign-in: session_idle");
    assert_eq!(with(CON, 0, 0, false), "step-up: mfa_required");
    assert_eq!(with(ENG, -500, -500, false), "allow wiki", "a clock that was set back ends no session");
}

#[test]
fn each_step_refuses_before_those_behind_it() {
    let policy = policy(POLICY);
    let mut case = request(CON, NONE, "tickets.corp/");
    case.method = "DELETE";
    case.address_limited = true;
    case.active = false;
    case.cross_origin = true;
    case.audit_available = false;
    case.session.last_seen = 0;
    let mut seen = Vec::new();
    let steps: [fn(&mut Case); 8] = [
        |case| case.address_limited = false,
        |case| case.active = true,
        |case| case.session.last_seen = NOW,
        |case| case.cross_origin = false,
        |case| case.method = "GET",
        |case| case.trust = ENROLLED,
        |case| case.session.mfa = true,
        |case| case.audit_available = true,
    ];
    for fix in steps {
        seen.push(check(&policy, &case));
        fix(&mut case);
    }
    seen.push(check(&policy, &case));
    assert_eq!(
        seen,
        [
            "deny: rate_limited",
            "deny: account_disabled",
            "sign-in: session_idle",
            "deny: cross_origin",
            "deny: denied_by_rule",
            "deny: device_required",
            "step-up: mfa_required",
            "deny: audit_unavailable",
            "allow tickets",
        ]
    );
}

#[test]
fn strength_and_age_of_a_sign_in_are_challenges_only_where_the_rule_matches_otherwise() {
    let policy = policy(POLICY);
    let at = |groups, url, client, mfa, age: i64| {
        let mut case = Case { client, ..request(groups, ISSUED, url) };
        case.session.mfa = mfa;
        case.session.auth_time = NOW - age;
        check(&policy, &case)
    };
    for (groups, url, client, mfa, age, want) in [
        (ENG, "tickets.corp/admin", OFFICE, true, 900, "allow tickets"),
        (ENG, "tickets.corp/admin", "::ffff:198.51.100.9", true, 900, "allow tickets"),
        (ENG, "tickets.corp/admin", "2001:db8:10::1", true, 0, "allow tickets"),
        (ENG, "tickets.corp/admin", OFFICE, true, 901, "reauth 900: reauth_required"),
        (ENG, "tickets.corp/admin", OFFICE, false, 900, "step-up: mfa_required"),
        (ENG, "tickets.corp/admin", OFFICE, false, 901, "step-up: mfa_required"),
        (ENG, "tickets.corp/admin", HOME, true, 0, "deny: not_allowed"),
        (FIN, "tickets.corp/admin", OFFICE, true, 0, "deny: not_allowed"),
        (ENG, "tickets.corp/fresh", HOME, false, 600, "allow tickets"),
        (ENG, "tickets.corp/fresh", HOME, true, 900, "allow tickets"),
        (ENG, "tickets.corp/fresh", HOME, false, 901, "reauth 600: reauth_required"),
    ] {
        assert_eq!(at(groups, url, client, mfa, age), want, "{url} {client} {mfa} {age}");
    }
}

#[test]
fn what_lowered_a_device_is_the_reason() {
    let policy = policy(POLICY);
    for (trust, lowered, url, want) in [
        (NONE, Some(Reason::DeviceRevoked), "payroll.corp/", "deny: device_revoked"),
        (NONE, Some(Reason::EvidenceStale), "payroll.corp/", "deny: evidence_stale"),
        (ENROLLED, Some(Reason::EvidenceStale), "payroll.corp/", "deny: evidence_stale"),
        (ENROLLED, None, "payroll.corp/", "deny: device_not_issued"),
        (NONE, Some(Reason::DeviceExpired), "wiki.corp/", "allow wiki"),
    ] {
        let case = Case { lowered, ..request(FIN, trust, url) };
        assert_eq!(check(&policy, &case), want, "{trust} {lowered:?} {url}");
    }
}

#[test]
fn a_service_gets_in_only_where_it_is_listed() {
    let policy = policy(POLICY);
    let sync = "spiffe://corp.example/sync";
    for (id, method, url, client, want) in [
        (sync, "POST", "tickets.corp/api/import", HOME, "allow tickets"),
        (sync, "POST", "tickets.corp/api/import/1", HOME, "allow tickets"),
        (sync, "GET", "tickets.corp/api/import", HOME, "deny: service_not_listed"),
        (sync, "POST", "tickets.corp/api/imports", HOME, "deny: service_not_listed"),
        (sync, "POST", "tickets.corp/admin", HOME, "deny: service_not_listed"),
        (sync, "GET", "wiki.corp/", HOME, "deny: service_not_listed"),
        (sync, "PUT", "payroll.corp/x", HOME, "allow payroll"),
        (sync, "PUT", "payroll.corp/x", OFFICE, "deny: denied_by_rule"),
        ("spiffe://corp.example/other", "PUT", "payroll.corp/x", HOME, "deny: service_not_listed"),
        ("spiffe://corp.example/stranger", "PUT", "payroll.corp/x", HOME, "deny: service_not_listed"),
    ] {
        let case = Case { who: Who::Service(id), method, client, ..request(&[], NONE, url) };
        assert_eq!(check(&policy, &case), want, "{id} {method} {url} {client}");
        let audit = Case { audit_available: false, ..case };
        let refused = if want.starts_with("allow") { "deny: audit_unavailable" } else { want };
        assert_eq!(check(&policy, &audit), refused);
    }
}

#[test]
fn a_permit_carries_the_limits_of_whoever_is_known_and_the_rule() {
    let policy = policy(POLICY);
    let groups = policy.group_set(["idp:eng"]);
    let session = Session { started: NOW, last_seen: NOW, auth_time: NOW, mfa: false };
    let facts = Facts {
        place: policy.locate("tickets.corp", "/"),
        method: "GET",
        path: "/",
        client: HOME.parse().unwrap(),
        now: NOW,
        address_limited: false,
        cross_origin: false,
        audit_available: true,
        subject: Subject::User(User { active: true, groups: &groups, session, name: "", email: None }),
        device: Device { trust: ISSUED, ..Device::default() },
    };
    let Decision::Allow(permit) = decide(&policy, &facts) else { panic!("refused") };
    let Obligations { limits } = permit.obligations();
    assert_eq!(limits.len(), 1);
    assert_eq!(permit.place().resource().address_limits.len(), 1);
    assert!(permit.rule().unwrap().0.starts_with("policies/test.yaml:"));
}

const WITH_POSTURE: &str = "
posture: { low: { max_checkin_age: 7d }, high: { require: [disk_encrypted], owner: must_match } }
groups: { eng: { any_of: [idp:eng] } }
resources:
  - { name: wiki, tier: open, hosts: [wiki.corp], upstream: u }
  - { name: tickets, tier: low, hosts: [tickets.corp], upstream: u, allow: [{ groups: [eng] }] }
  - { name: payroll, tier: high, hosts: [payroll.corp], upstream: u, deny: [{ methods: [DELETE] }] }
";

/// What the three tiers say to a user of `groups` on a device with this record.
fn tiers(groups: &[&str], trust: DeviceTrust, record: Option<&crate::access::Record>) -> String {
    let policy = policy(WITH_POSTURE);
    let groups = policy.group_set(groups.iter().copied());
    let session = Session { started: NOW, last_seen: NOW, auth_time: NOW, mfa: false };
    let said = ["wiki.corp", "tickets.corp", "payroll.corp"].map(|host| {
        let facts = Facts {
            place: policy.locate(host, "/"),
            method: "GET",
            path: "/",
            client: HOME.parse().unwrap(),
            now: NOW,
            address_limited: false,
            cross_origin: false,
            audit_available: true,
            subject: Subject::User(User {
                active: true,
                groups: &groups,
                session,
                name: "ann",
                email: Some("ann@corp.example"),
            }),
            device: Device {
                trust,
                lowered: None,
                id: Some("laptop"),
                standing: record.map_or(Standing::Unrecorded, Standing::Recorded),
            },
        };
        match decide(&policy, &facts) {
            Decision::Allow(_) => "allow".to_owned(),
            Decision::Deny(Denial { reason, rule }) => match rule {
                Some(rule) => format!("{reason} by {}", rule.0),
                None => reason.to_string(),
            },
            Decision::Challenge(_, denial) => format!("challenge: {}", denial.reason),
        }
    });
    said.join(", ")
}

#[test]
fn what_the_inventory_says_is_asked_after_trust_and_before_the_allow_rules() {
    use crate::access::{PostureFacts, Record, State};
    let good = Record {
        owner: Some("ANN@corp.example".into()),
        last_checkin: Some(NOW - 60),
        posture: Some(std::sync::Arc::new([("disk_encrypted", true)].into_iter().collect::<PostureFacts>())),
        ..Record::new("laptop")
    };
    let (low, high) = (" by policies/test.yaml:3", " by policies/test.yaml:3");
    for (what, groups, trust, record, want) in [
        ("in order", ENG, ISSUED, Some(good.clone()), "allow, allow, allow".to_owned()),
        ("not allowed", FIN, ISSUED, Some(good.clone()), "allow, not_allowed, allow".to_owned()),
        (
            "trusted less than the tier asks: told before its posture",
            ENG,
            ENROLLED,
            Some(Record { posture: None, ..good.clone() }),
            "allow, allow, device_not_issued".to_owned(),
        ),
        ("unknown", FIN, ISSUED, None, format!("allow, device_unknown{low}, device_unknown{high}")),
        (
            "not seen lately",
            FIN,
            ISSUED,
            Some(Record { last_checkin: Some(NOW - 8 * 86_400), ..good.clone() }),
            format!("allow, posture_stale{low}, allow"),
        ),
        (
            "somebody else's",
            ENG,
            ISSUED,
            Some(Record { owner: Some("bob".into()), ..good.clone() }),
            format!("allow, allow, device_not_owned{high}"),
        ),
    ] {
        assert_eq!(tiers(groups, trust, record.as_ref()), want, "{what}");
    }
    for state in [State::Lost, State::Retired, State::Quarantined] {
        let record = Record { state: Some(state), ..good.clone() };
        let want = "device_inactive, device_inactive, device_inactive";
        for trust in DeviceTrust::ALL {
            assert_eq!(tiers(ENG, trust, Some(&record)), want, "{state} {trust}");
        }
    }
}

// A policy of one resource with rules from a small alphabet, and any request to it.

fn rule() -> impl Strategy<Value = String> {
    (
        proptest::option::of(prop_oneof![Just("groups: [a]"), Just("groups: [b]"), Just("groups: [a, b]")]),
        proptest::option::of(prop_oneof![Just("methods: [GET]"), Just("methods: [POST, PUT]")]),
        proptest::option::of(Just("networks: [n]")),
    )
        .prop_filter_map("asks about nothing", |(groups, methods, networks)| {
            let keys: Vec<_> = [groups, methods, networks].into_iter().flatten().collect();
            (!keys.is_empty()).then(|| format!("{{ {} }}", keys.join(", ")))
        })
}

fn text(tier: Tier, allow: &[String], deny: &[String]) -> String {
    let list = |name: &str, rules: &[String]| {
        if rules.is_empty() { String::new() } else { format!("    {name}: [{}]\n", rules.join(", ")) }
    };
    format!(
        "version: 1\ngroups: {{ a: {{ any_of: [local:a] }}, b: {{ any_of: [local:b] }} }}\nnetworks: {{ n: [198.51.100.0/24] }}
services: {{ s: {{ spiffe: 'spiffe://e/s' }} }}\nresources:
  - name: r\n    tier: {tier}\n    hosts: [r.example]\n    upstream: u\n    services: [{{ name: s }}]\n{}{}",
        list("allow", allow),
        list("deny", deny),
    )
}

/// A rule that can never be reached refuses the file: such a draw says nothing.
fn parse(text: &str) -> Option<Policy> {
    let source = crate::diagnostic::Source { path: "p".into(), text: text.to_owned() };
    crate::policy::resolve(&[source], None).0
}

fn any_case() -> impl Strategy<Value = Case> {
    let groups = proptest::sample::subsequence(vec!["local:a", "local:b"], 0..=2);
    let who = prop_oneof![
        Just(Who::User),
        Just(Who::User),
        Just(Who::Service("spiffe://e/s")),
        Just(Who::Nobody(Absent::NotSignedIn))
    ];
    let method = prop_oneof![Just("GET"), Just("POST"), Just("HEAD")];
    (who, groups, method, any::<bool>(), 0_usize..3, 0_u8..20).prop_map(
        |(who, groups, method, office, trust, flags)| Case {
            who,
            method,
            client: if office { OFFICE } else { HOME },
            active: flags != 1,
            cross_origin: flags == 2,
            audit_available: flags != 3,
            address_limited: flags == 4,
            ..request(&groups, DeviceTrust::ALL[trust], "r.example/x")
        },
    )
}

fn allows(answer: &str) -> bool {
    answer.starts_with("allow")
}

proptest! {
    #[test]
    fn an_empty_policy_denies_everything(case in any_case()) {
        prop_assert_eq!(check(&Policy::empty(), &case), "deny: no_route");
    }

    #[test]
    fn adding_a_deny_never_turns_a_deny_into_an_allow(
        allow in proptest::collection::vec(rule(), 0..3),
        deny in proptest::collection::vec(rule(), 0..3),
        more in rule(),
        case in any_case(),
    ) {
        let mut stricter = deny.clone();
        stricter.push(more);
        let (Some(before), Some(after)) = (parse(&text(Tier::Low, &allow, &deny)), parse(&text(Tier::Low, &allow, &stricter)))
            else { return Ok(()) };
        prop_assert!(!allows(&check(&after, &case)) || allows(&check(&before, &case)));
    }

    #[test]
    fn raising_trust_and_lowering_a_tier_never_take_access_away(
        allow in proptest::collection::vec(rule(), 0..3),
        deny in proptest::collection::vec(rule(), 0..3),
        tier in 1_usize..3,
        case in any_case(),
    ) {
        let Some(policy) = parse(&text(Tier::ALL[tier], &allow, &deny)) else { return Ok(()) };
        let before = check(&policy, &case);
        let better = Case { trust: ISSUED, ..case.clone() };
        prop_assert!(!allows(&before) || allows(&check(&policy, &better)));
        let lower = parse(&text(Tier::ALL[tier - 1], &allow, &deny)).unwrap();
        prop_assert!(!allows(&before) || allows(&check(&lower, &case)));
    }

    #[test]
    fn nothing_is_allowed_that_a_step_refuses(
        allow in proptest::collection::vec(rule(), 0..3),
        case in any_case(),
    ) {
        let Some(policy) = parse(&text(Tier::High, &allow, &[])) else { return Ok(()) };
        if allows(&check(&policy, &case)) {
            prop_assert!(case.audit_available && !case.address_limited);
            match case.who {
                Who::Nobody(_) => prop_assert!(false),
                Who::Service(_) => {}
                Who::User => prop_assert!(case.active && !case.cross_origin && case.trust == ISSUED),
            }
        }
    }
}
