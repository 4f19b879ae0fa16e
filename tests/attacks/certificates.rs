//! CERT: client certificates that are none, or not what they say.

use super::scene::{Failures, Scene};
use crate::support::pki::{client_params, shown, shown_with_chain, unknown_extension, version_1};
use crate::support::raw::exchange;
use crate::support::{Browser, Device, Tls};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// What must become of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Want {
    /// The handshake ends.
    NoHandshake,
    /// The handshake comes about; it counts as none, with this reason.
    None(&'static str),
    /// It is a device of this trust: the row beside those that are refused.
    Trusted(&'static str),
}

/// Shows a certificate and asks for what needs a device; the session is that of an issued device, so
/// nothing but the certificate is missing.
async fn check(scene: &Scene, key: &CertifiedKey, tls: Tls, want: Want) -> Result<(), String> {
    let mark = scene.clear();
    let config = Arc::new(scene.estate.tls_showing(Some(key.clone()), tls));
    let request = scene.fill(b"GET /high/x HTTP/1.1\r\nHost: {h}\r\n\r\n");
    // With TLS 1.3 the client is done before the server has looked at its certificate.
    let seen = match scene.estate.try_connect("app.localhost", &config).await {
        Ok(stream) => exchange(stream, &request, 1).await.statuses(),
        Err(_) => Vec::new(),
    };
    if !scene.upstream.bytes().is_empty() {
        return Err("something reached the upstream".to_owned());
    }
    let events = scene.decisions(&mark, usize::from(!seen.is_empty())).await;
    let told: Vec<_> =
        events.iter().map(|event| (event["device_trust"].clone(), event["device_reason"].clone())).collect();
    let holds = match want {
        Want::NoHandshake => seen.is_empty() && events.is_empty(),
        // Nobody is signed in, which comes first; what the device is, is in the audit.
        Want::None(reason) => seen == [401] && told.len() == 1 && told[0].0 == "none" && told[0].1 == reason,
        Want::Trusted(trust) => seen == [401] && told.len() == 1 && told[0].0 == trust,
    };
    if holds { Ok(()) } else { Err(format!("wanted {want:?}, saw {seen:?}, audit {told:?}")) }
}

fn with(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = client_params("laptop-1");
    change(&mut params);
    params
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_plain_and_signed_or_counts_for_nothing() {
    let scene = Scene::start().await;
    let estate = &scene.estate;
    let mut failures = Failures::default();
    let corporate = |change: fn(&mut CertificateParams)| estate.issue("corporate-ca", &with(change));
    let key = KeyPair::generate().unwrap();
    let random = |length: usize| {
        let mut bytes = vec![0; length];
        aws_lc_rs::rand::fill(&mut bytes).unwrap();
        bytes
    };
    let good = corporate(|_| {});
    let plain = good.cert[0].to_vec();
    let imposter = {
        // Everything is the authority's, its key's identifier included, but for the key.
        let authority = estate.read("certs/corporate-ca.pem");
        let issuer = Issuer::from_ca_cert_pem(&authority, KeyPair::generate().unwrap()).unwrap();
        shown(with(|_| {}).signed_by(&key, &issuer).unwrap().der().to_vec(), &key)
    };
    let by_a_leaf = {
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = with(|_| {}).signed_by(&leaf_key, &estate.issuer("corporate-ca")).unwrap();
        let issuer = Issuer::from_ca_cert_der(leaf.der(), leaf_key).unwrap();
        let der = with(|_| {}).signed_by(&key, &issuer).unwrap().der().to_vec();
        shown_with_chain(vec![der, leaf.der().to_vec()], &key)
    };
    let serve = estate.certified("server");
    let wrong_key = shown(plain.clone(), &key);
    let long_chain = |key: &CertifiedKey, length: usize| {
        CertifiedKey::new(vec![key.cert[0].clone(); length], Arc::clone(&key.key))
    };
    let rows: Vec<(&str, CertifiedKey, Want)> = vec![
        ("CERT-16 eight in a chain", long_chain(&good, 8), Want::Trusted("issued")),
        ("CERT-16 nine in a chain", long_chain(&good, 9), Want::None("device_chain_too_long")),
        ("CERT-01 a good one", good.clone(), Want::Trusted("issued")),
        ("CERT random bytes", shown(random(900), &key), Want::NoHandshake),
        ("CERT one byte", shown(vec![0x30], &key), Want::NoHandshake),
        ("CERT nothing", shown(Vec::new(), &key), Want::NoHandshake),
        ("CERT 60 000 random bytes", shown(random(60_000), &key), Want::NoHandshake),
        (
            "CERT an extension of 60 000 bytes",
            corporate(|params| params.custom_extensions.push(unknown_extension(vec![0x04; 60_000], false))),
            Want::NoHandshake,
        ),
        ("CERT bytes behind it", shown([&plain[..], b"more"].concat(), &key), Want::NoHandshake),
        ("CERT cut", shown(plain[..plain.len() - 1].to_vec(), &key), Want::NoHandshake),
        (
            "CERT-16 nine in a chain, and another's key",
            shown_with_chain(vec![plain.clone(); 9], &key),
            Want::NoHandshake,
        ),
        ("CERT-16 sixty in a chain", long_chain(&good, 60), Want::None("device_chain_too_long")),
        ("CERT-28 version 1", version_1(estate, "corporate-ca"), Want::NoHandshake),
        ("CERT-31 another's key", wrong_key, Want::NoHandshake),
        (
            "CERT-19 an unknown critical extension",
            corporate(|params| params.custom_extensions.push(unknown_extension(vec![5, 0], true))),
            Want::None("device_critical_extension"),
        ),
        (
            "CERT an unknown extension",
            corporate(|params| params.custom_extensions.push(unknown_extension(vec![5, 0], false))),
            Want::Trusted("issued"),
        ),
        (
            "CERT-03 for servers",
            corporate(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            Want::None("device_no_client_auth"),
        ),
        (
            "CERT-04 for nothing said",
            corporate(|params| params.extended_key_usages.clear()),
            Want::None("device_no_client_auth"),
        ),
        (
            "CERT-05 for anything",
            corporate(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
            Want::None("device_no_client_auth"),
        ),
        (
            "CERT-06 no signatures",
            corporate(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
            Want::None("device_no_digital_signature"),
        ),
        (
            "CERT-08 self-signed",
            shown(with(|_| {}).self_signed(&key).unwrap().der().to_vec(), &key),
            Want::None("device_untrusted"),
        ),
        ("CERT-10 a rogue authority of the same name", imposter, Want::None("device_untrusted")),
        ("CERT-12 by a leaf", by_a_leaf, Want::None("device_untrusted")),
        ("CERT-22 the server's", serve, Want::None("device_no_client_auth")),
        (
            "CERT-02 not yet",
            corporate(|params| params.not_before = time::OffsetDateTime::now_utc() + time::Duration::days(1)),
            Want::None("device_expired"),
        ),
        ("CERT-02 expired", estate.certified("expired"), Want::None("device_expired")),
        ("CERT-24 revoked", estate.certified("revoked"), Want::None("device_revoked")),
    ];
    for (id, key, want) in &rows {
        for tls in [Tls::H1, Tls::H1_OVER_12] {
            failures.note(&format!("{id} {:?}", tls.version), check(&scene, key, tls, *want).await);
        }
    }
    // The server still serves.
    let browser = Browser::signed_in(estate, Device::Issued, "employee", &["app.localhost"]).await;
    assert_eq!(browser.get(&estate.url("app.localhost", "/high/x")).await.status(), 200);
    failures.none();
}

/// The refusals again, with a session of the same key: not even then does it meet a tier.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_counts_for_nothing_meets_no_tier_with_a_session() {
    let scene = Scene::start().await;
    for device in [Device::Revoked, Device::Expired] {
        let browser = Browser::signed_in(&scene.estate, device, "employee", &["app.localhost"]).await;
        for (path, want) in [("/open/x", 200), ("/low/x", 403), ("/high/x", 403)] {
            let mark = scene.clear();
            let status = browser.get(&scene.estate.url("app.localhost", path)).await.status();
            assert_eq!(status, want, "{device:?} {path}");
            let events = scene.decisions(&mark, 1).await;
            let reason = if device == Device::Revoked { "device_revoked" } else { "device_expired" };
            assert_eq!(events[0]["device_reason"], reason, "{device:?} {path}");
            assert_eq!(
                events[0]["reason"],
                if want == 200 { "allowed" } else { reason },
                "{device:?} {path}"
            );
        }
    }
}
