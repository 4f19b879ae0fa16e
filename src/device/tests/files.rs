//! Authority files and revocation lists.

use super::*;
use crate::config::{EvidenceLimits, Freshness};

fn evidence_of(root: &Made) -> Evidence {
    Evidence::parse(&[root.leaf("laptop", |_| {}).der]).unwrap()
}

#[test]
fn revocation_lists_revoke_and_their_absence_closes_only_the_highest_class() {
    let root = Made::root("corporate", |_| {});
    let middle = root.intermediate("middle", |p| p.serial_number = Some(SerialNumber::from(70)));
    let direct = root.leaf("laptop", |_| {}).der;
    let below = middle.leaf("laptop", |_| {}).der;
    let old = |p: &mut rcgen::CertificateRevocationListParams| {
        (p.this_update, p.next_update) = (at(NOW - 9 * DAY), at(NOW - 1));
    };
    let (fresh, revoking) = (root.crl(&[8], |_| {}), root.crl(&[7], |_| {}));
    let (stale, stale_revoking) = (root.crl(&[8], old), root.crl(&[7], old));
    let future = root.crl(&[8], |p| p.this_update = at(NOW + 1));
    let (revoking_middle, of_middle) = (root.crl(&[70], |_| {}), middle.crl(&[8], |_| {}));
    let middle_revoking = middle.crl(&[7], |_| {});
    let no_list: &[&[u8]] = &[];
    let ok = "issued laptop corporate";
    let revoked = "none device_revoked laptop corporate";
    let lowered = "enrolled evidence_stale laptop corporate";
    for (name, lists, chain, want) in [
        ("none configured", no_list, vec![&direct], ok),
        ("fresh", &[&fresh], vec![&direct], ok),
        ("CERT-24 revoked", &[&revoking], vec![&direct], revoked),
        ("CERT-24 stale", &[&stale], vec![&direct], lowered),
        ("stale, but it revokes", &[&stale_revoking], vec![&direct], revoked),
        ("not yet", &[&future], vec![&direct], lowered),
        ("the newer of two counts", &[&stale_revoking, &fresh], vec![&direct], ok),
        ("in any order", &[&revoking, &stale], vec![&direct], revoked),
        ("the intermediate has no list", &[&fresh], vec![&below, &middle.der], lowered),
        ("both have", &[&fresh, &of_middle], vec![&below, &middle.der], ok),
        ("the intermediate is revoked", &[&revoking_middle, &of_middle], vec![&below, &middle.der], revoked),
        ("revoked by the intermediate", &[&fresh, &middle_revoking], vec![&below, &middle.der], revoked),
        ("the root's list says nothing of it", &[&revoking, &of_middle], vec![&below, &middle.der], ok),
    ] {
        let estate = Estate::new().authority("corporate", DeviceTrust::Issued, &[&root, &middle], lists);
        assert_eq!(judge(&estate.trust(), &chain, NOW), want, "{name}");
    }
    let mdm = Estate::new().authority("mdm", DeviceTrust::Enrolled, &[&root], &[&stale]).trust();
    assert_eq!(judge(&mdm, &[&direct], NOW), "enrolled laptop mdm", "what is not lowered has no reason");

    // The same connection, as its list grows old.
    let trust = Estate::new().authority("corporate", DeviceTrust::Issued, &[&root], &[&fresh]).trust();
    let evidence = Evidence::parse(&[direct]).unwrap();
    for (now, want) in [(NOW, ok), (NOW + DAY, ok), (NOW + DAY + 1, lowered), (NOW, ok)] {
        assert_eq!(say(&evidence.judge(&trust, now)), want);
    }
    // And within the ages that are said for each tier.
    let closed = "none evidence_stale laptop corporate";
    let hours = |hours| Some(std::time::Duration::from_hours(hours));
    let limits = Freshness { low: hours(40), high: hours(25), allow_stale: false };
    let hour = 3600;
    for (limits, steps) in [
        (
            limits,
            [
                (0, ok),
                (hour, ok),
                (hour + 1, lowered),
                (16 * hour, lowered),
                (16 * hour + 1, closed),
                (0, ok),
            ],
        ),
        (
            Freshness { allow_stale: true, ..limits },
            [(0, ok), (hour + 1, ok), (16 * hour + 1, ok), (DAY, ok), (DAY + 1, ok), (0, ok)],
        ),
        (
            Freshness { high: None, ..limits },
            [(0, ok), (hour + 1, ok), (16 * hour, ok), (16 * hour + 1, closed), (2 * DAY, closed), (0, ok)],
        ),
    ] {
        let within = EvidenceLimits { crl: limits, ..EvidenceLimits::default() };
        let trust = Estate::new()
            .authority("corporate", DeviceTrust::Issued, &[&root], &[&fresh])
            .trust()
            .within(within);
        for (later, want) in steps {
            assert_eq!(say(&evidence_of(&root).judge(&trust, NOW + later)), want, "{limits:?} +{later}");
        }
        // The same connection all along.
        let evidence = evidence_of(&root);
        for (later, want) in steps {
            assert_eq!(say(&evidence.judge(&trust, NOW + later)), want, "{limits:?} +{later}, kept");
        }
    }
    assert_eq!(
        trust.lists().map(|list| (list.authority, NOW - list.since)).collect::<Vec<_>>(),
        [("corporate", DAY)]
    );
    assert_eq!(
        trust.expiries().collect::<Vec<_>>(),
        [("authority", "corporate", NOW + 100 * DAY), ("crl", "corporate", NOW + DAY)]
    );
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_refused_whole() {
    let root = Made::root("root", |_| {});
    let no_crl_sign = Made::root("root", |p| p.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    let stranger = Made::root("root", |_| {});
    let crl_list = root.crl(&[7], |_| {});
    let plain = Made::root("plain", |p| p.key_usages.clear());
    let critical = Made::root("critical", |p| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        unknown.set_criticality(true);
        p.custom_extensions.push(unknown);
    });
    // What rcgen refuses to sign: made by a twin that may.
    let twin = Made {
        params: root.params.clone(),
        key: KeyPair::from_pem(&no_crl_sign.key.serialize_pem()).unwrap(),
        der: no_crl_sign.der.clone(),
    };
    let estate = Estate::new();
    let good = estate.file("good.pem", root.pem());
    let list = estate.file("good.crl", &crl_list);
    let file = |name: &str, content: &[u8]| estate.file(name, content);
    let scoped = root.crl(&[7], |p| {
        p.issuing_distribution_point = Some(rcgen::CrlIssuingDistributionPoint {
            distribution_point: rcgen::CrlDistributionPoint { uris: vec!["http://crl.example/a".to_owned()] },
            scope: Some(rcgen::CrlScope::CaCertsOnly),
        });
    });
    for (name, ca, crl, want) in [
        ("good", good.clone(), Some(list.clone()), None),
        (
            "good, PEM list",
            good.clone(),
            Some(file("pem.crl", zoo::pem("X509 CRL", &crl_list).repeat(2).as_bytes())),
            None,
        ),
        (
            "an authority and a list of one that names no key usage",
            file("plain.pem", plain.pem().as_bytes()),
            Some(file("plain.crl", &plain.crl(&[7], |_| {}))),
            None,
        ),
        ("a list for some", good.clone(), Some(file("idp.crl", &scoped)), None),
        ("TLS-08 missing", "/nonexistent.pem".into(), None, Some("cannot be read")),
        ("TLS-08 folder", std::env::temp_dir(), None, Some("cannot be read")),
        ("TLS-08 empty", file("empty.pem", b""), None, Some("holds no certificate")),
        ("TLS-08 garbage", file("garbage.pem", &[0x30, 0xff, 0]), None, Some("holds no certificate")),
        ("TLS-08 torn", file("torn.pem", &root.pem().as_bytes()[..200]), None, Some("is not PEM")),
        (
            "TLS-08 a key",
            file("key.pem", [root.pem(), root.key.serialize_pem()].concat().as_bytes()),
            None,
            Some("private key"),
        ),
        (
            "a leaf",
            file("leaf.pem", root.leaf("laptop", |_| {}).pem().as_bytes()),
            None,
            Some("not an authority's"),
        ),
        (
            "may not sign",
            file(
                "nosign.pem",
                Made::root("x", |p| p.key_usages = vec![KeyUsagePurpose::CrlSign]).pem().as_bytes(),
            ),
            None,
            Some("keyCertSign"),
        ),
        (
            "for servers",
            file(
                "servers.pem",
                Made::root("x", |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])
                    .pem()
                    .as_bytes(),
            ),
            None,
            Some("clientAuth"),
        ),
        (
            "CERT-19 a critical extension that nobody knows",
            file("critical.pem", critical.pem().as_bytes()),
            None,
            Some("not understood"),
        ),
        (
            "CERT-24 no reasons at all",
            good.clone(),
            Some(file("reasons.crl", &root.patched_crl(&scoped, &[0x82, 1, 0xff], &[0x83, 1, 0]))),
            Some("cannot be used"),
        ),
        (
            "CERT-24 malformed reasons",
            good.clone(),
            Some(file("reasons2.crl", &root.patched_crl(&scoped, &[0x82, 1, 0xff], &[0x83, 1, 0xff]))),
            Some("revocation list"),
        ),
        (
            "CERT-24 indirect",
            good.clone(),
            Some(file("indirect.crl", &root.patched_crl(&scoped, &[0x82, 1, 0xff], &[0x84, 1, 0xff]))),
            Some("cannot be used"),
        ),
        ("CERT-24 list missing", good.clone(), Some("/nonexistent.crl".into()), Some("cannot be read")),
        (
            "CERT-24 list garbage",
            good.clone(),
            Some(file("garbage.crl", &[0x30, 3, 1, 1, 1])),
            Some("neither a DER nor a PEM"),
        ),
        ("list empty", good.clone(), Some(file("empty.crl", b"")), Some("no revocation list")),
        ("list with a certificate", good.clone(), Some(good.clone()), Some("no revocation list")),
        (
            "CERT-24 list of another issuer",
            good.clone(),
            Some(file("stranger.crl", &stranger.crl(&[7], |_| {}))),
            Some("signed by none"),
        ),
        (
            "CERT-24 list of one that may not",
            file("nocrl.pem", no_crl_sign.pem().as_bytes()),
            Some(file("nocrl.crl", &twin.crl(&[7], |_| {}))),
            Some("may not sign revocation lists"),
        ),
    ] {
        let result = Estate::new().raw_authority(vec![ca], crl.into_iter().collect()).load(1);
        match (result, want) {
            (Ok(_), None) => {}
            (Err(mistakes), Some(want)) => {
                assert_eq!(mistakes.len(), 1, "{name}");
                assert!(mistakes[0].message.contains(want), "{name}: {}", mistakes[0].message);
            }
            (got, want) => panic!("{name}: {got:?}, not {want:?}"),
        }
    }
}

#[test]
fn a_list_for_some_certificates_speaks_of_those_that_point_at_it() {
    let root = Made::root("corporate", |_| {});
    let point = |uri: &str| rcgen::CrlDistributionPoint { uris: vec![format!("http://crl.example/{uri}")] };
    let list = |uri: &'static str, revoked: &[u8]| {
        root.crl(revoked, |p| {
            let (distribution_point, scope) = (point(uri), None);
            p.issuing_distribution_point =
                Some(rcgen::CrlIssuingDistributionPoint { distribution_point, scope });
        })
    };
    let (ok, lowered) = ("issued laptop corporate", "enrolled evidence_stale laptop corporate");
    for (name, points, list, want) in [
        ("the second of two points", vec!["a", "b"], list("b", &[8]), ok),
        (
            "CERT-24 revoked by the second",
            vec!["a", "b"],
            list("b", &[7]),
            "none device_revoked laptop corporate",
        ),
        ("another point", vec!["a", "b"], list("c", &[8]), lowered),
        ("another point, but listed", vec!["a"], list("c", &[7]), "none device_revoked laptop corporate"),
    ] {
        let leaf =
            root.leaf("laptop", |p| p.crl_distribution_points = points.into_iter().map(point).collect()).der;
        let trust = Estate::new().authority("corporate", DeviceTrust::Issued, &[&root], &[&list]).trust();
        assert_eq!(judge(&trust, &[&leaf], NOW), want, "{name}");
    }
}
