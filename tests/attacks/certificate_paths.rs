//! CERT, row by row: what is wrong above a leaf, on a list or with a responder, and what it is then worth.

use super::certificate_table::{ENROLLED, ISSUED, STALE, STALE_HARD, Table, in_days, leaf, named, none};
use super::scene::Scene;
use crate::support::ocsp::{Responder, Says};
use crate::support::pki::Ca;
use crate::support::raw::exchange;
use crate::support::{Browser, Device, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair,
    NameConstraints, SanType, SerialNumber,
};
use serde_json::json;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn every_path_and_every_list_is_worth_what_its_row_says_on_both_tiers_and_both_versions_of_tls() {
    let root = Ca::root("table", |_| {});
    let over = |p: &mut CertificateParams| (p.not_before, p.not_after) = (in_days(-9), in_days(-1));
    let outdated = Ca::root("outdated", over);
    let bound = Ca::root("bound", |p| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("corp.example".to_owned())],
            excluded_subtrees: vec![],
        });
    });
    let (one, two) = (Ca::root("one", |_| {}), Ca::root("two", |_| {}));
    let lists: Vec<(&str, Ca, Vec<u8>)> = [
        ("listed", &[8_u64][..], -1..1, None),
        ("revoking", &[7], -1..1, None),
        ("stale", &[8], -9..-1, None),
        ("stale-revoking", &[7], -9..-1, None),
        ("early", &[8], 1..2, None),
        ("second-point", &[8], -1..1, Some("http://crl.example/b")),
        ("second-point-revoking", &[7], -1..1, Some("http://crl.example/b")),
    ]
    .map(|(name, revoked, days, point)| {
        let ca = Ca::root(name, |_| {});
        let list = ca.crl(revoked, days, point);
        (name, ca, list)
    })
    .into();
    let folder = tempfile::tempdir().unwrap();
    let mut authorities = vec![
        ("table", vec![&root.der[..]], json!({})),
        ("outdated", vec![&outdated.der[..]], json!({})),
        ("bound", vec![&bound.der[..]], json!({})),
        ("one", vec![&one.der[..]], json!({})),
        ("two", vec![&two.der[..]], json!({ "grants": "enrolled" })),
    ];
    for (name, ca, list) in &lists {
        let file = folder.path().join(format!("{name}.crl"));
        std::fs::write(&file, list).unwrap();
        authorities.push((*name, vec![&ca.der[..]], json!({ "crl": file })));
    }
    let mut table = Table::start(authorities).await;
    let t = &mut table;

    let middle = root.below("middle", |_| {});
    t.row("with its intermediate", &t.show_below(&middle, &[&middle], |_| {}), ISSUED).await;
    t.row("CERT-11 without", &t.show(&middle, |_| {}), none("device_untrusted")).await;
    let a_leaf = {
        let key = KeyPair::generate().unwrap();
        let params = leaf(|p| named(p, "deputy"));
        let der = root.sign(&params, &key);
        Ca { params, key, der }
    };
    t.row("CERT-12 by a leaf", &t.show_below(&a_leaf, &[&a_leaf], |_| {}), none("device_untrusted")).await;
    let narrow = root.below("narrow", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    t.row("as deep as may be", &t.show_below(&narrow, &[&narrow], |_| {}), ISSUED).await;
    let deep = narrow.below("deep", |_| {});
    t.row("CERT-13 too deep", &t.show_below(&deep, &[&deep, &narrow], |_| {}), none("device_untrusted"))
        .await;
    let old = root.below("old", over);
    let why = "device_authority_expired";
    t.row("CERT-13 expired intermediate", &t.show_below(&old, &[&old], |_| {}), none(why)).await;
    let servers =
        root.below("servers", |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let shown_ = t.show_below(&servers, &[&servers], |_| {});
    t.row("CERT-13 intermediate for servers", &shown_, none("device_no_client_auth")).await;
    let mut deepest: Vec<Ca> = vec![root.below("i0", |_| {})];
    for n in 1..7 {
        deepest.push(deepest[n - 1].below(&format!("i{n}"), |_| {}));
    }
    let between: Vec<&Ca> = deepest.iter().rev().collect();
    t.row("CERT-16 six between", &t.show_below(&deepest[5], &between[1..], |_| {}), ISSUED).await;
    t.row("CERT-16 seven", &t.show_below(&deepest[6], &between, |_| {}), none("device_chain_too_long")).await;

    let dns = |name: &'static str| {
        move |p: &mut CertificateParams| {
            p.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
            p.subject_alt_names.push(SanType::URI("urn:device:1".try_into().unwrap()));
        }
    };
    t.row("within its names", &t.show(&bound, dns("a.corp.example")), ISSUED).await;
    t.row("CERT-14 outside", &t.show(&bound, dns("evil.example")), none("device_untrusted")).await;
    t.row("CERT-15 only a subject", &t.show(&bound, |_| {}), none("device_unnamed")).await;
    t.row("CERT-29 expired root", &t.show(&outdated, |_| {}), none("device_authority_expired")).await;

    let shared = one.below("shared", |_| {});
    let crossed = Ca {
        der: two.sign(&shared.params, &shared.key),
        params: shared.params.clone(),
        key: KeyPair::from_pem(&shared.key.serialize_pem()).unwrap(),
    };
    t.row("CERT-23 of one", &t.show_below(&shared, &[&shared], |_| {}), ISSUED).await;
    t.row("CERT-23 of the other", &t.show_below(&shared, &[&crossed], |_| {}), ENROLLED).await;
    t.row("CERT-23 of both", &t.show_below(&shared, &[&shared, &crossed], |_| {}), ENROLLED).await;

    let seven = |p: &mut CertificateParams| p.serial_number = Some(SerialNumber::from(7_u64));
    let two_points = |p: &mut CertificateParams| {
        seven(p);
        p.crl_distribution_points = ["a", "b"]
            .map(|point| rcgen::CrlDistributionPoint { uris: vec![format!("http://crl.example/{point}")] })
            .into();
    };
    for (name, ca, _) in &lists {
        let (shown, want) = match *name {
            "listed" => (t.show(ca, seven), ISSUED),
            "revoking" | "stale-revoking" => (t.show(ca, seven), none("device_revoked")),
            "second-point" => (t.show(ca, two_points), ISSUED),
            "second-point-revoking" => (t.show(ca, two_points), none("device_revoked")),
            _ => (t.show(ca, seven), STALE),
        };
        t.row(&format!("CERT-24 {name}"), &shown, want).await;
    }
    let (_, listed, _) = &lists[0];
    let unlisted = listed.below("unlisted", |_| {});
    t.row("CERT-24 an intermediate without a list", &t.show_below(&unlisted, &[&unlisted], seven), STALE)
        .await;

    // Lists that are none are refused with the reload, and what was loaded goes on.
    let stranger = Ca::root("listed", |_| {}).crl(&[8], -1..1, None);
    let good = t.show(listed, seven);
    for (id, list) in [
        ("CERT-24 garbage", Some(&b"0\x03\x01\x01\x01"[..])),
        ("CERT-24 of a stranger", Some(&stranger)),
        ("CERT-24 gone", None),
    ] {
        let file = folder.path().join("listed.crl");
        match list {
            Some(list) => std::fs::write(&file, list).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let (status, body) = t.scene.estate.try_reload();
        t.failures.check(id, status != 200 && body.contains("listed.crl"), || format!("{status} {body}"));
        t.row(id, &good, ISSUED).await;
    }
    table.failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_a_responder_is_worth_what_its_row_says_and_a_revocation_counts_at_once() {
    let rows = [
        ("good", Says::Good, "hard", ISSUED),
        ("good-soft", Says::Good, "soft", ISSUED),
        ("revoked", Says::Revoked, "hard", none("device_revoked")),
        ("revoked-soft", Says::Revoked, "soft", none("device_revoked")),
        ("unknown", Says::Unknown, "hard", STALE_HARD),
        ("unknown-soft", Says::Unknown, "soft", STALE),
        ("forged", Says::Forged, "hard", STALE_HARD),
        ("old", Says::Old, "soft", STALE),
        ("broken", Says::Broken, "hard", STALE_HARD),
        ("broken-soft", Says::Broken, "soft", STALE),
    ];
    let mut responders = Vec::new();
    for (name, says, mode, want) in rows {
        let ca = Ca::root(name, |_| {});
        let responder = Responder::start(&ca.key, says, 3600).await;
        responders.push((name, ca, responder, mode, want));
    }
    let turning = Ca::root("turning", |_| {});
    let turn = Responder::start(&turning.key, Says::Good, 4).await;
    let mut authorities: Vec<_> = responders
        .iter()
        .map(|(name, ca, responder, mode, _)| {
            (*name, vec![&ca.der[..]], json!({ "ocsp": mode, "ocsp_url": responder.url }))
        })
        .collect();
    // Nobody listens on port 9.
    let silent = Ca::root("silent", |_| {});
    let nowhere = json!({ "ocsp": "hard", "ocsp_url": "http://127.0.0.1:9/" });
    authorities.push(("silent", vec![&silent.der[..]], nowhere));
    authorities.push(("turning", vec![&turning.der[..]], json!({ "ocsp": "hard", "ocsp_url": turn.url })));
    let mut table = Table::start(authorities).await;
    let t = &mut table;
    for (name, ca, _responder, _, want) in &responders {
        let shown = t.show(ca, |_| {});
        t.row_in_time(&format!("CERT-25 {name}"), &shown, *want).await;
    }
    t.row("CERT-25 unreachable", &t.show(&silent, |_| {}), STALE_HARD).await;

    let shown = t.show(&turning, |_| {});
    t.row_in_time("CERT-25 before it turns", &shown, ISSUED).await;
    turn.say(Says::Revoked);
    t.row_in_time("CERT-25 turned", &shown, none("device_revoked")).await;
    turn.say(Says::Good);
    t.row_in_time("CERT-25 turned back", &shown, ISSUED).await;
    table.failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_from_two_addresses_is_let_in_and_both_are_in_the_audit() {
    let scene = Scene::start().await;
    let estate = &scene.estate;
    let browser = Browser::signed_in(estate, Device::Issued, "employee", &["app.localhost"]).await;
    let cookie = browser.cookie("app.localhost").unwrap();
    let request = format!(
        "GET /high/x HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n",
        scene.authority("app.localhost")
    );
    let mut told = Vec::new();
    for from in ["127.0.0.1", "127.0.0.2"] {
        let mark = scene.clear();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let tcp = socket.connect(estate.address()).await.unwrap();
        let config = Arc::new(estate.tls(Device::Issued, Tls::H1));
        let name = rustls::pki_types::ServerName::try_from("app.localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.unwrap();
        assert_eq!(exchange(stream, request.as_bytes(), 1).await.status(), 200, "CERT-32 {from}");
        let event = scene.decisions(&mark, 1).await.remove(0);
        told.push((event["client"].clone(), event["device"].clone()));
    }
    assert_ne!(told[0].0, told[1].0, "CERT-32");
    assert_eq!(told[0].1, told[1].1, "CERT-32");
}
