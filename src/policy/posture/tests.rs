use super::*;
use crate::access::{DeviceTrust, PostureFacts};
use crate::policy::tests::policy;
use std::sync::Arc;

const POLICY: &str = "
posture:
  low: { max_checkin_age: 7d }
  high: { max_checkin_age: 24h, require: [disk_encrypted, screen_lock], min_os: { macos: 14.6, windows: '10.0.22631' }, owner: must_match }
resources: [{ name: wiki, tier: high, hosts: [wiki.corp], upstream: u }]
";
const NOW: Timestamp = 1_000_000;
const HOUR: Timestamp = 3600;

fn good() -> Record {
    Record {
        owner: Some("Ann@corp.example".into()),
        platform: Some("macos".into()),
        os_version: Some(Arc::new("14.6.1".parse().unwrap())),
        last_checkin: Some(NOW - HOUR),
        posture: Some(Arc::new(facts(true))),
        trust: Some(DeviceTrust::Issued),
        ..Record::new("laptop")
    }
}

fn facts(locks: bool) -> PostureFacts {
    [("disk_encrypted", true), ("screen_lock", locks)].into_iter().collect()
}

fn said(policy: &crate::policy::Policy, tier: Tier, standing: Standing<'_>) -> String {
    let Some(posture) = policy.posture(tier) else { return "nothing asked".into() };
    let unmet = posture
        .unmet(standing, [Some("ann"), Some("ann@corp.example")], NOW)
        .map(|unmet| unmet.reason().code());
    unmet.collect::<Vec<_>>().join(" ")
}

#[test]
fn each_thing_that_a_tier_asks_has_its_reason() {
    let policy = policy(POLICY);
    type Spoil = fn(&mut Record);
    let cases: [(&str, Spoil, &str, &str); 14] = [
        ("good", |_| (), "", ""),
        ("seen a day ago", |it| it.last_checkin = Some(NOW - 24 * HOUR), "", ""),
        ("seen longer ago", |it| it.last_checkin = Some(NOW - 24 * HOUR - 1), "", "posture_stale"),
        ("never seen", |it| it.last_checkin = None, "posture_stale", "posture_stale"),
        ("seen a little later", |it| it.last_checkin = Some(NOW + 300), "", ""),
        ("seen tomorrow", |it| it.last_checkin = Some(NOW + 301), "posture_stale", "posture_stale"),
        ("no lock", |it| it.posture = Some(Arc::new(facts(false))), "", "posture_failed"),
        ("nothing said", |it| it.posture = None, "", "posture_failed posture_failed"),
        ("no platform", |it| it.platform = None, "", "posture_failed"),
        ("no version", |it| it.os_version = None, "", "posture_failed"),
        (
            "an old version",
            |it| it.os_version = Some(Arc::new("14.2".parse().unwrap())),
            "",
            "posture_failed",
        ),
        ("another platform", |it| it.platform = Some("linux".into()), "", ""),
        ("somebody else's", |it| it.owner = Some("bob".into()), "", "device_not_owned"),
        ("nobody's", |it| it.owner = None, "", "device_not_owned"),
    ];
    for (what, spoil, low, high) in cases {
        let mut record = good();
        spoil(&mut record);
        assert_eq!(said(&policy, Tier::Low, Standing::Recorded(&record)), low, "{what}");
        assert_eq!(said(&policy, Tier::High, Standing::Recorded(&record)), high, "{what}");
        assert_eq!(said(&policy, Tier::Open, Standing::Recorded(&record)), "nothing asked");
    }
    assert_eq!(said(&policy, Tier::Low, Standing::Unrecorded), "device_unknown");
    assert_eq!(said(&policy, Tier::High, Standing::Assumed(None)), "");
    assert_eq!(said(&policy, Tier::High, Standing::Assumed(Some(Reason::PostureStale))), "posture_stale");
}

#[test]
fn a_tier_that_states_nothing_asks_what_the_tier_below_asks() {
    let policy = policy(
        "posture: { low: { require: [disk_encrypted] } }\nresources: [{ name: wiki, tier: high, hosts: [wiki.corp], upstream: u }]\n",
    );
    assert_eq!(said(&policy, Tier::High, Standing::Recorded(&Record::new("laptop"))), "posture_failed");
    let alone = crate::policy::tests::policy(
        "posture: { high: { require: [disk_encrypted] } }\nresources: [{ name: wiki, tier: high, hosts: [wiki.corp], upstream: u }]\n",
    );
    assert_eq!(said(&alone, Tier::Low, Standing::Unrecorded), "nothing asked");
}
