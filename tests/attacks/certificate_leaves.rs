//! CERT, row by row: what is wrong with a leaf, and what it is then worth.

use super::certificate_table::{
    ANOTHER_DEVICE, ENROLLED, ISSUED, Table, Want, class, in_days, leaf, named, none, purposes,
};
use crate::support::pki::{Ca, content, der, shown, shown_with_chain, unknown_extension, version_1};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use rustls::sign::CertifiedKey;
use serde_json::json;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

#[tokio::test(flavor = "multi_thread")]
async fn every_leaf_is_worth_what_its_row_says_on_both_tiers_and_both_versions_of_tls() {
    use ExtendedKeyUsagePurpose::{Any, ServerAuth};
    let root = Ca::root("table", |_| {});
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let rsa = Ca::root_with("rsa", rsa, |_| {});
    let mdm = Ca::root("managed", |_| {});
    let attested = json!({
        "require_extension": [{ "oid": "1.3.6.1.4.1.99999.1", "value": "corporate" }],
        "max_lifetime": "90d",
    });
    let strict = Ca::root("attested", |_| {});
    let mut table = Table::start(vec![
        ("table", vec![&root.der], json!({})),
        ("rsa", vec![&rsa.der], json!({})),
        ("managed", vec![&mdm.der], json!({ "grants": "enrolled" })),
        ("attested", vec![&strict.der], attested),
    ])
    .await;
    let t = &mut table;
    let good = t.show(&root, |_| {});
    let plain = good.cert[0].to_vec();
    t.row("CERT-01 good", &good, ISSUED).await;
    let over = t.show(&root, |p| p.not_after = OffsetDateTime::now_utc() - Duration::seconds(1));
    t.row("CERT-02 over", &over, none("device_expired")).await;
    t.row("CERT-02 not yet", &t.show(&root, |p| p.not_before = in_days(1)), none("device_expired")).await;
    t.row("CERT-03 for servers", &t.show(&root, purposes(vec![ServerAuth])), none("device_no_client_auth"))
        .await;
    t.row("CERT-04 no purpose", &t.show(&root, purposes(vec![])), none("device_no_client_auth")).await;
    t.row("CERT-05 any purpose", &t.show(&root, purposes(vec![Any])), none("device_no_client_auth")).await;
    let mute = t.show(&root, |p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    t.row("CERT-06 no digitalSignature", &mute, none("device_no_digital_signature")).await;
    let ca = t.show(&root, |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    t.row("CERT-07 an authority", &ca, none("device_unfit")).await;
    let own = shown(leaf(|_| {}).self_signed(&t.key).unwrap().der().to_vec(), &t.key);
    t.row("CERT-08 self-signed", &own, none("device_untrusted")).await;
    let own = shown(leaf(|p| named(p, "table")).self_signed(&t.key).unwrap().der().to_vec(), &t.key);
    t.row("CERT-09 self-signed with the authority's name", &own, none("device_untrusted")).await;
    let rogue = Ca::root("table", |_| {});
    t.row("CERT-10 a rogue of the same name", &t.show(&rogue, |_| {}), none("device_untrusted")).await;
    t.row("CERT-10 with its root", &t.show_below(&rogue, &[&rogue], |_| {}), none("device_untrusted")).await;

    let long = |length: usize| CertifiedKey::new(vec![plain.clone().into(); length], Arc::clone(&good.key));
    t.row("CERT-16 eight", &long(8), ISSUED).await;
    t.row("CERT-16 nine", &long(9), none("device_chain_too_long")).await;
    t.row("CERT-16 sixty", &long(60), none("device_chain_too_long")).await;
    let strangers = (0..60).map(|n| Ca::root(&format!("s{n}"), |_| {}).der);
    let strangers = std::iter::once(plain.clone()).chain(strangers).collect();
    t.row("CERT-16 sixty strangers", &shown_with_chain(strangers, &t.key), none("device_chain_too_long"))
        .await;

    // What cannot be proved in the handshake: keys that TLS does not take.
    let p192 = root.patched(
        &plain,
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1],
    );
    t.row("CERT-17 P-192", &shown(p192, &t.key), Want::NoHandshake).await;
    let ecdsa = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let sha224 = root.patched(&plain, &ecdsa, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1]);
    t.row("CERT-17 SHA-224", &shown(sha224, &t.key), none("device_weak_signature")).await;
    let by_rsa = t.show(&rsa, |_| {});
    t.row("an RSA authority", &by_rsa, ISSUED).await;
    for (id, last) in [("CERT-17 SHA-1", 5), ("CERT-17 MD5", 4), ("CERT-17 MD2", 2)] {
        let from = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b];
        let mut to = from;
        to[8] = last;
        let weak = rsa.patched(&by_rsa.cert[0], &from, &to);
        t.row(id, &shown(weak, &t.key), none("device_weak_signature")).await;
    }
    for (id, key) in [
        ("CERT-18 P-384", KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)),
        ("CERT-18 P-521", KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512)),
        ("CERT-18 Ed25519", KeyPair::generate_for(&rcgen::PKCS_ED25519)),
        ("CERT-18 RSA-2048", KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)),
    ] {
        let key = key.unwrap();
        t.row(id, &shown(root.sign(&leaf(|_| {}), &key), &key), ANOTHER_DEVICE).await;
    }
    let critical = t.show(&root, |p| p.custom_extensions = vec![unknown_extension(vec![5, 0], true)]);
    t.row("CERT-19 unknown and critical", &critical, none("device_critical_extension")).await;
    let other = KeyPair::generate().unwrap();
    t.row("CERT-19 with another's key", &shown(critical.cert[0].to_vec(), &other), Want::NoHandshake).await;
    let harmless = t.show(&root, |p| p.custom_extensions = vec![unknown_extension(vec![5, 0], false)]);
    t.row("CERT-19 unknown", &harmless, ISSUED).await;

    let corporate = class(b"corporate");
    t.row("CERT-20 there", &t.show(&strict, |p| p.custom_extensions = vec![corporate.clone()]), ISSUED).await;
    t.row("CERT-20 missing", &t.show(&strict, |_| {}), none("device_extension_missing")).await;
    for (id, extensions, want) in [
        ("CERT-21 DER", vec![class(&der(0x0c, b"corporate"))], ISSUED),
        ("CERT-21 duplicated", vec![corporate.clone(), corporate], none("device_unfit")),
        ("CERT-21 wrong tag", vec![class(&der(0x04, b"corporate"))], none("device_extension_missing")),
        ("CERT-21 trailing", vec![class(b"\x0c\x09corporate\0")], none("device_extension_missing")),
        ("CERT-21 not UTF-8", vec![class(b"\xff\xfe")], none("device_extension_missing")),
        ("CERT-21 NUL", vec![class(b"mdm\0corporate")], none("device_extension_missing")),
        ("CERT-21 8 KiB", vec![class(&[b'c'; 8192])], none("device_extension_missing")),
        ("CERT-21 60 KB", vec![class(&[b'c'; 60_000])], Want::NoHandshake),
    ] {
        t.row(id, &t.show(&strict, |p| p.custom_extensions = extensions), want).await;
    }
    let claims = t.show(&mdm, |p| p.custom_extensions = vec![class(b"corporate")]);
    t.row("CERT-22 a managed device that claims more", &claims, ENROLLED).await;
    t.row("CERT-26 another's certificate", &shown(root.sign(&leaf(|_| {}), &other), &other), ANOTHER_DEVICE)
        .await;
    for (id, name) in [
        ("CERT-27 NUL", "laptop\0-1"),
        ("CERT-27 newline", "laptop\n-1"),
        ("CERT-27 right to left", "laptop\u{202e}-1"),
        ("CERT-27 4 KB", &*"x".repeat(4096)),
    ] {
        t.row(id, &t.show(&root, |p| named(p, name)), none("device_unnamed")).await;
    }
    t.row("CERT-27 60 KB", &t.show(&root, |p| named(p, &"x".repeat(60_000))), Want::NoHandshake).await;
    t.row("CERT-28 version 1", &version_1(&t.scene.estate, "corporate-ca"), Want::NoHandshake).await;
    let nobody = t.show(&root, |p| p.distinguished_name.remove(DnType::CommonName).then_some(()).unwrap());
    t.row("CERT-28 empty subject", &nobody, none("device_unnamed")).await;
    let zero = t.show(&root, |p| p.serial_number = Some(SerialNumber::from(0_u64)));
    t.row("CERT-28 serial 0", &zero, ISSUED).await;
    let ten_years = |p: &mut CertificateParams| p.not_after = in_days(3650);
    t.row("CERT-28 ten years", &t.show(&root, ten_years), ISSUED).await;
    let held = t.show(&strict, |p| {
        p.custom_extensions = vec![class(b"corporate")];
        ten_years(p);
    });
    t.row("CERT-28 ten years, where 90 days are the most", &held, none("device_lifetime")).await;
    t.row("CERT-31 another's key", &shown(plain.clone(), &other), Want::NoHandshake).await;
    for (id, bytes) in [
        ("CERT random", vec![0xa5; 900]),
        ("CERT empty", Vec::new()),
        ("CERT cut", plain[..plain.len() - 1].to_vec()),
        ("CERT more behind it", [&plain[..], b"more"].concat()),
        ("CERT a part of it", content(&plain).to_vec()),
    ] {
        t.row(id, &shown(bytes, &t.key), Want::NoHandshake).await;
    }
    table.failures.none();
}
