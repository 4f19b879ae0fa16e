//! Tests of the guard: who counts as shut out, and when that is too much.

use super::*;
use crate::access::DeviceTrust;
use crate::config::AtMost;
use crate::diagnostic::Source;
use crate::identity::{Identified, Kind, LocalUsers, Provider, Providers, users_file};
use crate::policy::tests::policy;
use crate::session::{Sessions, Visit};
use crate::state::State;
use crate::text::yaml::At;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const NOW: Timestamp = 1_800_000_000;
const GROUPS: &str = "groups:
  finance: { any_of: [local:finance] }
  admins: { any_of: [local:admins] }
";
const RUNNING: &str = "resources:
  - { name: wiki, tier: open, hosts: [wiki.example], upstream: u }
  - { name: payroll, tier: low, hosts: [payroll.example], upstream: u, allow: [{ groups: [finance, admins] }] }
";

/// A snapshot with the demo's users and this policy.
fn snapshot(text: &str, guard: Option<ReloadGuard>) -> Snapshot {
    Snapshot::for_tests(|snapshot| {
        let config = Arc::make_mut(&mut snapshot.config);
        config.reload_guard = guard;
        let policy = policy(&format!("{GROUPS}{text}"));
        let limits = config.sessions;
        snapshot.policy = Arc::new(policy.with_session_defaults(limits.max_age, limits.idle_timeout));
    })
}

fn protecting(groups: &[&str]) -> ReloadGuard {
    let at = |group: &&str| At { value: (*group).to_owned(), span: 0..1 };
    ReloadGuard { most: None, protect: groups.iter().map(at).collect() }
}

fn at_most(most: AtMost) -> ReloadGuard {
    ReloadGuard { most: Some(most), protect: Vec::new() }
}

/// A visit to a resource, from a device that meets its tier.
fn visit<'a>(resource: &'a str, host: &'a str) -> Visit<'a> {
    Visit {
        resource,
        section: "",
        host,
        path: "/a/b",
        method: "GET",
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        device: None,
        trust: DeviceTrust::Enrolled,
        lowered: None,
    }
}

const WIKI: (&str, &str) = ("wiki", "wiki.example");
const PAYROLL: (&str, &str) = ("payroll", "payroll.example");

/// Sessions of these users of the demo, each let into these places just now.
async fn at_work(users: &[(&str, &[(&str, &str)])]) -> Vec<Arc<LiveSession>> {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(folder.path()).await.unwrap());
    let sessions = Sessions::open(state, Duration::from_hours(12), NOW).await.unwrap();
    let mut begun = Vec::new();
    for (user, places) in users {
        let name = format!("{user}@corp.example");
        let who = Identified {
            provider: "local".to_owned(),
            subject: name.clone(),
            user: name,
            email: None,
            name: None,
            groups: Vec::new(),
            amr: vec!["pwd".to_owned()],
            mfa: false,
            auth_time: NOW,
        };
        let session = sessions.begin(&who, NOW).await.unwrap();
        for (resource, host) in *places {
            session.reached(&visit(resource, host), NOW);
        }
        begun.push(session);
    }
    begun
}

/// What the guard says, one person a line; empty where it lets the reload go on.
fn said(running: &Snapshot, next: &Snapshot, sessions: &[Arc<LiveSession>], now: Timestamp) -> String {
    let shut_out = forbids(running, next, sessions.iter().map(Arc::clone), now);
    shut_out.map_or_else(String::new, |it| told(&it, running.config.reload_guard.as_ref()))
}

#[tokio::test]
async fn what_somebody_at_work_would_lose_is_told_with_the_reason() {
    let sessions = at_work(&[
        ("finance", &[WIKI, PAYROLL]),
        ("finance", &[PAYROLL]),
        ("admin", &[PAYROLL]),
        ("employee", &[WIKI]),
    ])
    .await;
    let running =
        snapshot(RUNNING, Some(ReloadGuard { most: Some(AtMost::Percent(5)), ..protecting(&["finance"]) }));
    let next =
        snapshot(&RUNNING.replace("[finance, admins]", "[admins]").replace("tier: open", "tier: high"), None);
    insta::assert_snapshot!(said(&running, &next, &sessions, NOW + 60), @r"
    the reload was refused by `reload_guard`: it would shut out 3 of 4 active sessions (the limit is 5%), people of the protected group `finance` among them
      finance@corp.example of local, 2 sessions: payroll (not_allowed), wiki (device_not_issued)
      employee@corp.example of local, 1 session: wiki (device_not_issued)
    to load it all the same: `tiergate reload --force --reason TEXT`
    ");
    assert_eq!(said(&running, &running, &sessions, NOW + 60), "", "a reload that changes nothing");
}

#[tokio::test]
async fn only_a_denial_that_is_new_is_held_against_a_reload() {
    let sessions = at_work(&[("finance", &[WIKI, PAYROLL])]).await;
    let idle = NOW + 31 * 60;
    let mfa = "authentication: [{ mfa: required }]\n";
    let short = "authentication: [{ max_age: 1m, idle_timeout: 1m }]\n";
    for (what, next, now, want) in [
        ("nothing", RUNNING.to_owned(), NOW, ""),
        ("a higher tier", RUNNING.replace("tier: low", "tier: high"), NOW, "payroll (device_not_issued)"),
        (
            "a rule that leaves out",
            RUNNING.replace("[finance, admins]", "[admins]"),
            NOW,
            "payroll (not_allowed)",
        ),
        (
            "a rule that denies",
            RUNNING.replace("hosts: [wiki", "deny: [{ groups: [finance] }], hosts: [wiki"),
            NOW,
            "wiki (denied_by_rule)",
        ),
        (
            "another method",
            RUNNING.replace("hosts: [wiki", "deny: [{ methods: [POST] }], hosts: [wiki"),
            NOW,
            "",
        ),
        (
            "a path that is closed",
            RUNNING.replace("hosts: [wiki", "paths: [{ prefix: /a, tier: high }], hosts: [wiki"),
            NOW,
            "wiki (device_not_issued)",
        ),
        (
            "another path",
            RUNNING.replace("hosts: [wiki", "paths: [{ prefix: /c, tier: high }], hosts: [wiki"),
            NOW,
            "",
        ),
        (
            "a network",
            RUNNING.replace("hosts: [wiki", "allow: [{ networks: [far] }], hosts: [wiki")
                + "networks: { far: [192.0.2.0/24] }\n",
            NOW,
            "wiki (not_allowed)",
        ),
        ("a resource that is gone", RUNNING.replace("wiki.example", "other.example"), NOW, "wiki (no_route)"),
        ("a second factor", format!("{RUNNING}{mfa}"), NOW, ""),
        ("a shorter session", format!("{RUNNING}{short}"), NOW + 120, ""),
        ("a session that is idle", RUNNING.replace("[finance, admins]", "[admins]"), idle, ""),
    ] {
        let running = snapshot(RUNNING, Some(at_most(AtMost::Number(0))));
        let said = said(&running, &snapshot(&next, None), &sessions, now);
        assert_eq!(said.is_empty(), want.is_empty(), "{what}: {said}");
        assert!(said.contains(want), "{what}: {said}");
    }
}

#[tokio::test]
async fn what_is_denied_already_is_not_held_against_a_reload() {
    let sessions = at_work(&[("employee", &[PAYROLL])]).await;
    let running = snapshot(RUNNING, Some(at_most(AtMost::Number(0))));
    let gone = snapshot(&RUNNING.replace("payroll.example", "other.example"), None);
    assert_eq!(said(&running, &gone, &sessions, NOW), "", "an employee is not let into payroll now");
    let finance = at_work(&[("finance", &[PAYROLL])]).await;
    assert!(said(&running, &gone, &finance, NOW).contains("payroll (no_route)"));
}

#[tokio::test]
async fn an_account_that_leaves_is_revoked_and_a_provider_that_is_gone_shuts_out() {
    let sessions = at_work(&[("finance", &[WIKI])]).await;
    let running = snapshot(RUNNING, Some(protecting(&["finance"])));
    let mut next = snapshot(RUNNING, None);
    let source = Source { path: "users.yaml".into(), text: users_file::render(&[]) };
    let kind = Kind::Local(Arc::new(LocalUsers::parse(&source).unwrap()));
    let provider = Provider { name: "local".to_owned(), title: "Password".to_owned(), kind };
    next.providers = Arc::new(Providers::new(vec![provider]));
    assert_eq!(said(&running, &next, &sessions, NOW), "", "who leaves must not wait for a force");
    next.providers = Arc::new(Providers::new(Vec::new()));
    assert!(said(&running, &next, &sessions, NOW).contains("wiki (account_disabled)"));
}

#[tokio::test]
async fn the_guard_counts_sessions_and_watches_groups() {
    let sessions = at_work(&[
        ("finance", &[PAYROLL]),
        ("admin", &[PAYROLL]),
        ("employee", &[WIKI]),
        ("contractor", &[]),
    ])
    .await;
    let closed = snapshot(&RUNNING.replace("[finance, admins]", "[admins]"), None);
    let shut = snapshot(&RUNNING.replace("payroll.example", "other.example"), None);
    for (what, guard, next, refused) in [
        ("one of four", Some(at_most(AtMost::Percent(25))), &closed, false),
        ("two of four", Some(at_most(AtMost::Percent(25))), &shut, true),
        ("one", Some(at_most(AtMost::Number(1))), &closed, false),
        ("two", Some(at_most(AtMost::Number(1))), &shut, true),
        ("one of the protected", Some(protecting(&["finance"])), &closed, true),
        ("nobody of the protected", Some(protecting(&["admins"])), &closed, false),
        ("a group that only the next policy has", Some(protecting(&["later"])), &shut, false),
        ("no guard", None, &shut, false),
    ] {
        let running = snapshot(RUNNING, guard);
        let said = said(&running, next, &sessions, NOW);
        assert_eq!(!said.is_empty(), refused, "{what}: {said}");
    }
}

#[tokio::test]
async fn a_candidate_that_was_refused_leaves_nothing_behind() {
    let sessions = at_work(&[("finance", &[PAYROLL])]).await;
    let running = snapshot(RUNNING, Some(protecting(&["finance"])));
    let mut refused = snapshot(&RUNNING.replace("[finance, admins]", "[admins]"), None);
    // Its groups have other numbers, and the next candidate the same generation.
    refused.policy = Arc::new(policy("groups: { a: { any_of: [local:x] } }"));
    refused.generation = running.generation + 1;
    assert!(!said(&running, &refused, &sessions, NOW).is_empty());
    let mut taken = snapshot(RUNNING, None);
    taken.generation = running.generation + 1;
    assert!(known(&sessions[0], &taken).groups.names.iter().eq(["finance"]));
}

#[tokio::test]
async fn the_list_of_people_is_bounded_and_those_who_lose_most_come_first() {
    let person = |n: usize, lost: usize| Person {
        user: format!("u{n:02}"),
        provider: "idp".to_owned(),
        protected: Vec::new(),
        sessions: 1,
        lost: (0..lost).map(|n| Loss { resource: format!("r{n}"), reason: "not_allowed" }).collect(),
    };
    let people: Vec<Person> = (0..MOST_PEOPLE + 5).map(|n| person(n, n % 3)).collect();
    let shut_out = ShutOut {
        sessions_denied: people.len(),
        sessions_active: people.len(),
        protected: Vec::new(),
        people,
        more_people: 0,
    }
    .listed();
    assert_eq!((shut_out.people.len(), shut_out.more_people), (MOST_PEOPLE, 5));
    assert_eq!(shut_out.people[0].user, "u02");
    assert!(shut_out.people.is_sorted_by_key(|person| std::cmp::Reverse(person.lost.len())));
}
