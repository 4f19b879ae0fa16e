//! CERT, row by row: what a certificate is worth on a low and on a high resource, over both versions of
//! TLS. The session is of the very key that each certificate is for, so that nothing but the certificate
//! is missing.

use super::scene::{Failures, Scene};
use crate::support::ocsp::{Responder, Says};
use crate::support::pki::{
    Ca, client_params, content, der, shown, shown_with_chain, unknown_extension, version_1,
};
use crate::support::raw::exchange;
use crate::support::{Browser, Device, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use time::{Duration, OffsetDateTime};

/// What must be seen: statuses and reasons on the low and the high resource, and what the audit says of
/// the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Want {
    /// The handshake ends: nobody's key was proved, or nothing can be parsed.
    NoHandshake,
    Seen {
        low: (u16, &'static str),
        high: (u16, &'static str),
        trust: &'static str,
        why: Option<&'static str>,
    },
}

/// It counts as none, for this reason.
const fn none(why: &'static str) -> Want {
    Want::Seen { low: (403, why), high: (403, why), trust: "none", why: Some(why) }
}

const ISSUED: Want = Want::Seen { low: (200, "allowed"), high: (200, "allowed"), trust: "issued", why: None };
const ENROLLED: Want =
    Want::Seen { low: (200, "allowed"), high: (403, "device_not_issued"), trust: "enrolled", why: None };
/// Its evidence is old: the high tier closes, the low one stays open.
const STALE: Want = Want::Seen {
    low: (200, "allowed"),
    high: (503, "evidence_stale"),
    trust: "enrolled",
    why: Some("evidence_stale"),
};
/// The same where the authority's responder must have answered.
const STALE_HARD: Want = Want::Seen {
    low: (503, "evidence_stale"),
    high: (503, "evidence_stale"),
    trust: "none",
    why: Some("evidence_stale"),
};
/// A device of its own: trusted, and the session is of another.
const ANOTHER_DEVICE: Want = Want::Seen {
    low: (401, "session_device_changed"),
    high: (401, "session_device_changed"),
    trust: "issued",
    why: None,
};

/// Status and reason; the device's trust and why it is not more.
type Asked = ((u16, &'static str), (&'static str, Option<&'static str>));

struct Table {
    scene: Scene,
    /// The key of every certificate, and of the session.
    key: KeyPair,
    cookie: String,
    failures: Failures,
}

impl Table {
    async fn start(authorities: Vec<(&str, Vec<&[u8]>, Value)>) -> Self {
        let scene = Scene::start().await;
        let estate = &scene.estate;
        let mut listed = Vec::new();
        for (name, certificates, options) in authorities {
            let mut authority = options;
            authority["name"] = json!(name);
            authority["ca"] = json!(estate.authority_file(name, &certificates));
            authority["grants"] = authority.get("grants").cloned().unwrap_or(json!("issued"));
            listed.push(authority);
        }
        estate.edit("tiergate.yaml", |config| {
            config["devices"]["authorities"].as_array_mut().unwrap().extend(listed);
        });
        estate.reload();
        let key = estate.device_key();
        let browser = Browser::signed_in(estate, Device::Issued, "employee", &["app.localhost"]).await;
        let cookie = browser.cookie("app.localhost").unwrap();
        Self { scene, key, cookie, failures: Failures::default() }
    }

    async fn row(&mut self, id: &str, shown: &CertifiedKey, want: Want) {
        for tls in [Tls::H1, Tls::H1_OVER_12] {
            let seen = self.seen(shown, tls).await;
            let held = match seen {
                Ok(seen) if seen == want => Ok(()),
                Ok(seen) => Err(format!("wanted {want:?}, saw {seen:?}")),
                Err(what) => Err(format!("wanted {want:?}: {what}")),
            };
            self.failures.note(&format!("{id} {:?}", tls.version), held);
        }
    }

    /// Asks for a low and a high resource, each on a connection of its own.
    async fn seen(&self, shown: &CertifiedKey, tls: Tls) -> Result<Want, String> {
        let (low, high) = (self.asked(shown, tls, "/low/x").await?, self.asked(shown, tls, "/high/x").await?);
        match (low, high) {
            (None, None) => Ok(Want::NoHandshake),
            (Some((low, of_low)), Some((high, of_high))) if of_low == of_high => {
                Ok(Want::Seen { low, high, trust: of_high.0, why: of_high.1 })
            }
            (low, high) => Err(format!("{low:?} and {high:?}")),
        }
    }

    /// Status and reason, and the device's trust and reason in the audit; `None` where the handshake ends.
    async fn asked(&self, shown: &CertifiedKey, tls: Tls, path: &str) -> Result<Option<Asked>, String> {
        let mark = self.scene.clear();
        let estate = &self.scene.estate;
        let config = Arc::new(estate.tls_showing(Some(shown.clone()), tls));
        let host = self.scene.authority("app.localhost");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {}\r\n\r\n", self.cookie);
        // With TLS 1.3 the client is done before the server has looked at its certificate.
        let statuses = match estate.try_connect("app.localhost", &config).await {
            Ok(stream) => exchange(stream, request.as_bytes(), 1).await.statuses(),
            Err(_) => Vec::new(),
        };
        let events = self.scene.decisions(&mark, statuses.len()).await;
        let reached = self.scene.upstream.requests().len();
        // To compare with words of the table.
        let word = |value: &Value| value.as_str().map(|text| &*text.to_owned().leak());
        match (&statuses[..], &events[..]) {
            ([], []) if reached == 0 => Ok(None),
            ([status], [event]) if reached == usize::from(*status == 200) => {
                let trust = word(&event["device_trust"]).unwrap_or("none");
                let reason = word(&event["reason"]).unwrap_or("");
                Ok(Some(((*status, reason), (trust, word(&event["device_reason"])))))
            }
            _ => {
                Err(format!("{path}: {statuses:?}, {reached} reached the upstream, {} events", events.len()))
            }
        }
    }

    /// The same, for a certificate about which somebody has to be asked first.
    async fn row_in_time(&mut self, id: &str, shown: &CertifiedKey, want: Want) {
        for tls in [Tls::H1, Tls::H1_OVER_12] {
            let deadline = Instant::now() + crate::support::DEADLINE;
            while self.seen(shown, tls).await != Ok(want) && Instant::now() < deadline {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        self.row(id, shown, want).await;
    }

    fn show(&self, authority: &Ca, change: impl FnOnce(&mut CertificateParams)) -> CertifiedKey {
        shown(authority.sign(&leaf(change), &self.key), &self.key)
    }

    fn show_below(
        &self,
        authority: &Ca,
        between: &[&Ca],
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertifiedKey {
        let mut chain = vec![authority.sign(&leaf(change), &self.key)];
        chain.extend(between.iter().map(|ca| ca.der.clone()));
        shown_with_chain(chain, &self.key)
    }
}

fn leaf(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = client_params("laptop-1");
    change(&mut params);
    params
}

fn named(params: &mut CertificateParams, name: &str) {
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
}

fn in_days(days: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(days)
}

/// The attestation extension of the authority `attested`.
fn class(value: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], value.to_vec())
}

fn purposes(purposes: Vec<ExtendedKeyUsagePurpose>) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.extended_key_usages = purposes
}

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

#[tokio::test(flavor = "multi_thread")]
async fn every_path_and_every_list_is_worth_what_its_row_says_on_both_tiers_and_both_versions_of_tls() {
    let root = Ca::root("table", |_| {});
    let outdated = Ca::root("outdated", |p| p.not_after = in_days(-1));
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
    let old = root.below("old", |p| p.not_after = in_days(-1));
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
        let responder = Responder::start(&ca, says, 3600).await;
        responders.push((name, ca, responder, mode, want));
    }
    let turning = Ca::root("turning", |_| {});
    let turn = Responder::start(&turning, Says::Good, 4).await;
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
    let age = t.scene.estate.metrics();
    assert!(
        age.contains("tiergate_evidence_age_seconds{source=\"ocsp\"}") || !age.contains("source=\"crl\"")
    );

    let shown = t.show(&turning, |_| {});
    t.row_in_time("CERT-25 before it turns", &shown, ISSUED).await;
    // A connection that is open, and a new one.
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
