//! The certificate table: every row beside the nearest that is let in.

mod files;
mod known;
mod limbo;
mod mutations;
mod naming;

use super::zoo::{self, DAY, Estate, Made, NOW, at, tlv};
use super::*;
use crate::access::{DeviceTrust, Reason, Timestamp};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;

/// `issued laptop corporate`, `none device_expired - corporate`, `workload spiffe://… corp.example` …
pub(super) fn say(judgement: &Judgement) -> String {
    let id = judgement.id.as_deref().unwrap_or("-");
    let authority = judgement.authority.as_deref().unwrap_or("-");
    let lowered = judgement.lowered.map_or(String::new(), |reason| format!(" {reason}"));
    match judgement.kind {
        Presented::Nothing => format!("nothing{lowered}"),
        Presented::Device => format!("{}{lowered} {id} {authority}", judgement.trust),
        Presented::Workload => format!("workload{lowered} {id} {authority}"),
    }
}

fn judge(trust: &TrustStore, chain: &[&CertificateDer<'static>], now: Timestamp) -> String {
    let chain = chain.iter().map(|der| (*der).clone()).collect::<Vec<_>>();
    match Evidence::parse(&chain) {
        Ok(evidence) => {
            let first = evidence.judge(trust, now);
            assert_eq!(first, evidence.judge(trust, now), "what is remembered is what was verified");
            say(&first)
        }
        Err(error) => format!("refused: {error}"),
    }
}

fn other_name(oid: &[u64], value: &[u8]) -> CustomExtension {
    san(&[other_name_entry(oid, value)])
}

fn other_name_entry(oid: &[u64], value: &[u8]) -> Vec<u8> {
    // 1.3.6.1.5.5.7.8.n
    let mut body = tlv(0x06, &[0x2b, 6, 1, 5, 5, 7, 8, u8::try_from(oid[8]).unwrap()]);
    body.extend(tlv(0xa0, value));
    tlv(0xa0, &body)
}

fn san(entries: &[Vec<u8>]) -> CustomExtension {
    CustomExtension::from_oid_content(&[2, 5, 29, 17], tlv(0x30, &entries.concat()))
}

const PERMANENT: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 3];
const MODULE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 4];

fn permanent(id: &str) -> Vec<u8> {
    tlv(0x30, &tlv(0x0c, id.as_bytes()))
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

type Spoil = Box<dyn FnOnce(&mut CertificateParams)>;

fn spoil(how: impl FnOnce(&mut CertificateParams) + 'static) -> Spoil {
    Box::new(how)
}

#[test]
fn a_leaf_is_believed_only_if_it_is_fit_to_identify_a_client() {
    let corporate = Made::root("corporate", |_| {});
    let trust = Estate::new().authority("corporate", DeviceTrust::Issued, &[&corporate], &[]).trust();
    let unfit = "none device_unfit - corporate";
    for (name, spoil, want) in [
        ("CERT-01 good", spoil(|_| {}), "issued laptop corporate"),
        (
            "CERT-03 serverAuth only",
            spoil(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            "nothing device_no_client_auth",
        ),
        (
            "both purposes",
            spoil(|p| p.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth)),
            "issued laptop corporate",
        ),
        (
            "CERT-04 no EKU",
            spoil(|p| p.extended_key_usages.clear()),
            "none device_no_client_auth - corporate",
        ),
        (
            "CERT-05 any purpose",
            spoil(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
            "nothing device_no_client_auth",
        ),
        (
            "CERT-06 KU without digitalSignature",
            spoil(|p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
            "none device_no_digital_signature - corporate",
        ),
        ("no KU", spoil(|p| p.key_usages.clear()), "none device_no_digital_signature - corporate"),
        ("KU keyCertSign", spoil(|p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)), unfit),
        (
            "CERT-07 an authority as leaf",
            spoil(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "nothing device_unfit",
        ),
        ("explicitly no authority", spoil(|p| p.is_ca = IsCa::ExplicitNoCa), "issued laptop corporate"),
        (
            "CERT-19 unknown critical extension",
            spoil(|p| {
                let mut unknown =
                    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
                unknown.set_criticality(true);
                p.custom_extensions.push(unknown);
            }),
            "nothing device_critical_extension",
        ),
        (
            "unknown extension that is not critical",
            spoil(|p| {
                p.custom_extensions
                    .push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]));
            }),
            "issued laptop corporate",
        ),
        (
            "CERT-22 claims another class",
            spoil(|p| p.distinguished_name.push(DnType::OrganizationalUnitName, "mdm")),
            "issued laptop corporate",
        ),
        (
            "CERT-28 serial 0",
            spoil(|p| p.serial_number = Some(SerialNumber::from(0))),
            "issued laptop corporate",
        ),
        (
            "CERT-28 empty subject",
            spoil(|p| {
                p.distinguished_name.remove(DnType::CommonName);
            }),
            "none device_unnamed - corporate",
        ),
    ] {
        let leaf = corporate.leaf("laptop", spoil);
        assert_eq!(judge(&trust, &[&leaf.der], NOW), want, "{name}");
    }
}

#[test]
fn dates_are_inclusive_and_without_skew_for_every_certificate_of_the_path() {
    let issued = "issued laptop corporate";
    let expired = "none device_expired laptop corporate";
    let far =
        |p: &mut CertificateParams| (p.not_before, p.not_after) = (at(NOW - 50 * DAY), at(NOW + 50 * DAY));
    let short = |p: &mut CertificateParams| (p.not_before, p.not_after) = (at(NOW - DAY), at(NOW + DAY));
    let row = |name: &str, root: &Made, middle: &Made, leaf: &Made, outside: &str| {
        let trust = Estate::new().authority("corporate", DeviceTrust::Issued, &[root], &[]).trust();
        for (now, want) in [
            (NOW, issued),
            (NOW - DAY, issued),
            (NOW - DAY - 1, outside),
            (NOW + DAY, issued),
            (NOW + DAY + 1, outside),
        ] {
            assert_eq!(judge(&trust, &[&leaf.der, &middle.der], now), want, "{name} at {}", now - NOW);
        }
    };
    let root = Made::root("root", |_| {});
    let middle = root.intermediate("middle", far);
    row("CERT-02 leaf", &root, &middle, &middle.leaf("laptop", short), expired);
    let middle = root.intermediate("middle", short);
    row(
        "CERT-13 intermediate",
        &root,
        &middle,
        &middle.leaf("laptop", far),
        "nothing device_authority_expired",
    );
    let root = Made::root("root", short);
    let middle = root.intermediate("middle", far);
    let over = "none device_authority_expired laptop corporate";
    row("CERT-29 trust anchor", &root, &middle, &middle.leaf("laptop", far), over);
}

#[test]
fn one_connection_is_judged_anew_as_time_passes_and_as_authorities_change() {
    let corporate = Made::root("corporate", |_| {});
    let leaf = corporate.leaf("laptop", |_| {});
    let estate = Estate::new().authority("corporate", DeviceTrust::Issued, &[&corporate], &[]);
    let evidence = Evidence::parse(std::slice::from_ref(&leaf.der)).unwrap();
    let trust = estate.trust();
    for (now, want) in [
        (NOW, "issued laptop corporate"),
        (NOW + 10 * DAY, "issued laptop corporate"),
        (NOW + 10 * DAY + 1, "none device_expired laptop corporate"),
        (NOW + 11 * DAY, "none device_expired laptop corporate"),
        (NOW, "issued laptop corporate"),
        (NOW - 11 * DAY, "none device_expired laptop corporate"),
    ] {
        assert_eq!(say(&evidence.judge(&trust, now)), want, "TLS-07 {}", now - NOW);
    }
    let other = Made::root("other", |_| {});
    let removed = Estate::new().authority("other", DeviceTrust::Issued, &[&other], &[]).load(2).unwrap();
    assert_eq!(say(&evidence.judge(&removed, NOW)), "nothing device_untrusted", "TLS-06");
    let crl = corporate.crl(&[7], |_| {});
    let revoked =
        Estate::new().authority("corporate", DeviceTrust::Issued, &[&corporate], &[&crl]).load(3).unwrap();
    assert_eq!(say(&evidence.judge(&revoked, NOW)), "none device_revoked laptop corporate", "TLS-05");
}

#[test]
fn only_a_path_of_authorities_to_the_configured_one_is_believed() {
    let root = Made::root("corporate", |_| {});
    let trust = Estate::new().authority("corporate", DeviceTrust::Issued, &[&root], &[]).trust();
    let untrusted = "nothing device_untrusted";
    let ok = "issued laptop corporate";
    let check = |name: &str, chain: &[&Made], want: &str| {
        let chain = chain.iter().map(|made| &made.der).collect::<Vec<_>>();
        assert_eq!(judge(&trust, &chain, NOW), want, "{name}");
    };
    let own = |name: &str| {
        Made::root(name, |p| {
            p.is_ca = IsCa::NoCa;
            p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    };
    check("CERT-08 self-signed", &[&own("laptop")], untrusted);
    check("CERT-09 self-signed with the authority's name", &[&own("corporate")], untrusted);
    let rogue = Made::root("corporate", |_| {});
    check("CERT-10 rogue authority of the same name", &[&rogue.leaf("laptop", |_| {})], untrusted);
    check("CERT-10 and its certificate", &[&rogue.leaf("laptop", |_| {}), &rogue], untrusted);

    let middle = root.intermediate("middle", |_| {});
    let leaf = middle.leaf("laptop", |_| {});
    check("with its intermediate", &[&leaf, &middle], ok);
    check("CERT-11 without", &[&leaf], untrusted);
    let below = leaf.leaf("deeper", |_| {});
    check("CERT-12 issued by a leaf", &[&below, &leaf, &middle], untrusted);
    let narrow = root.intermediate("narrow", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    check("path length kept", &[&narrow.leaf("laptop", |_| {}), &narrow], ok);
    let too_deep = narrow.intermediate("too deep", |_| {});
    check("CERT-13 path length", &[&too_deep.leaf("laptop", |_| {}), &too_deep, &narrow], untrusted);
    let servers =
        root.intermediate("servers", |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    check(
        "CERT-13 intermediate for servers",
        &[&servers.leaf("laptop", |_| {}), &servers],
        "nothing device_no_client_auth",
    );
    let no_sign = root.intermediate("no sign", |p| p.key_usages = vec![KeyUsagePurpose::CrlSign]);
    check("intermediate without keyCertSign", &[&no_sign.leaf("laptop", |_| {}), &no_sign], untrusted);

    let plain = Made::root("plain", |p| p.key_usages.clear());
    let trust = Estate::new().authority("plain", DeviceTrust::Issued, &[&plain], &[]).trust();
    assert_eq!(
        judge(&trust, &[&plain.leaf("laptop", |_| {}).der], NOW),
        "issued laptop plain",
        "a root that names no key usage (RFC 5280 section 6.1.4 (n))"
    );
    let root = Made::root("short", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let trust = Estate::new().authority("short", DeviceTrust::Issued, &[&root], &[]).trust();
    let middle = root.intermediate("middle", |_| {});
    assert_eq!(
        judge(&trust, &[&middle.leaf("laptop", |_| {}).der, &middle.der], NOW),
        untrusted,
        "path length of the anchor"
    );
    assert_eq!(judge(&trust, &[&root.leaf("laptop", |_| {}).der], NOW), "issued laptop short");
}

#[test]
fn configured_intermediates_complete_a_path_and_a_lone_one_is_where_it_ends() {
    let root = Made::root("root", |_| {});
    let middle = root.intermediate("middle", |_| {});
    let leaf = middle.leaf("laptop", |_| {});
    let sibling = root.leaf("sibling", |_| {});
    for (name, ca, leaf, want) in [
        ("root and intermediate", vec![&root, &middle], &leaf, "issued laptop a"),
        ("root alone", vec![&root], &leaf, "nothing device_untrusted"),
        ("intermediate alone", vec![&middle], &leaf, "issued laptop a"),
        ("intermediate alone, leaf of the root", vec![&middle], &sibling, "nothing device_untrusted"),
    ] {
        let trust = Estate::new().authority("a", DeviceTrust::Issued, &ca, &[]).trust();
        assert_eq!(judge(&trust, &[&leaf.der], NOW), want, "{name}");
    }
}

#[test]
fn the_issuer_decides_the_class_and_two_issuers_decide_for_the_lower() {
    let corporate = Made::root("corporate", |_| {});
    let mdm = Made::root("mdm", |_| {});
    // The same key and name, certified by both.
    let by_corporate = corporate.intermediate("shared", |_| {});
    let by_mdm = by_corporate.params.signed_by(&by_corporate.key, &mdm.issuer()).unwrap().der().clone();
    let crossed = by_corporate.leaf("crossed", |_| {}).der;
    let crl = mdm.crl(&[9], |_| {});
    let trust = Estate::new()
        .authority("corporate", DeviceTrust::Issued, &[&corporate], &[])
        .authority("mdm", DeviceTrust::Enrolled, &[&mdm], &[&crl])
        .trust();
    assert_eq!(judge(&trust, &[&corporate.leaf("a", |_| {}).der], NOW), "issued a corporate");
    assert_eq!(judge(&trust, &[&mdm.leaf("a", |_| {}).der], NOW), "enrolled a mdm", "CERT-23");
    assert_eq!(judge(&trust, &[&crossed, &by_corporate.der], NOW), "issued crossed corporate");
    assert_eq!(
        judge(&trust, &[&crossed, &by_corporate.der, &by_mdm], NOW),
        "enrolled crossed mdm",
        "CERT-23 both"
    );
    let revoked = mdm.leaf("b", |p| p.serial_number = Some(SerialNumber::from(9)));
    assert_eq!(judge(&trust, &[&revoked.der], NOW), "none device_revoked b mdm");
}

#[test]
fn chains_and_certificates_are_bounded() {
    let root = Made::root("root", |_| {});
    let trust = Estate::new().authority("root", DeviceTrust::Issued, &[&root], &[]).trust();
    let mut chain = vec![root.intermediate("i0", |_| {})];
    for n in 1..8 {
        let next = chain[n - 1].intermediate(&format!("i{n}"), |_| {});
        chain.push(next);
    }
    let leaf = chain[7].leaf("laptop", |_| {}).der;
    let all = std::iter::once(&leaf).chain(chain.iter().rev().map(|made| &made.der)).collect::<Vec<_>>();
    assert_eq!(judge(&trust, &all, NOW), "nothing device_chain_too_long", "CERT-16");
    assert_eq!(judge(&trust, &all[..8], NOW), "nothing device_chain_too_long", "CERT-16");
    let strangers = (0..7).map(|n| Made::root(&format!("s{n}"), |_| {})).collect::<Vec<_>>();
    let beside = std::iter::once(&leaf).chain(strangers.iter().map(|made| &made.der)).collect::<Vec<_>>();
    assert_eq!(judge(&trust, &beside, NOW), "nothing device_untrusted", "CERT-16 unrelated");
    assert_eq!(judge(&trust, &[], NOW), "refused: the chain is empty");
    let deep = chain[5].leaf("laptop", |_| {}).der;
    let fits =
        std::iter::once(&deep).chain(chain[..6].iter().rev().map(|made| &made.der)).collect::<Vec<_>>();
    assert_eq!(judge(&trust, &fits, NOW), "issued laptop root", "six intermediates are the most");

    // As many paths as seven look-alikes make, with and without the authority's name at the end.
    for issuer in ["root", "twin"] {
        let twins =
            (0..7).map(|_| Made::root(issuer, |_| {}).intermediate("twin", |_| {})).collect::<Vec<_>>();
        let leaf = Made::root("twin", |_| {}).leaf("laptop", |_| {}).der;
        let all = std::iter::once(&leaf).chain(twins.iter().map(|made| &made.der)).collect::<Vec<_>>();
        let started = std::time::Instant::now();
        assert_eq!(judge(&trust, &all, NOW), "nothing device_untrusted", "CERT-16 look-alikes");
        let took = started.elapsed();
        eprintln!("look-alikes {issuer}: {took:?}");
        assert!(took.as_secs() < 2, "CERT-16 look-alikes of {issuer}: {took:?}");
    }

    let huge = root.leaf(&"x".repeat(64 * 1024), |_| {}).der;
    assert_eq!(judge(&trust, &[&huge], NOW), "refused: a certificate is larger than 16384 bytes", "CERT-27");
    let mut trailing = root.leaf("laptop", |_| {}).der.to_vec();
    trailing.push(0);
    assert_eq!(judge(&trust, &[&trailing.into()], NOW), "refused: a certificate cannot be parsed");
    let version_2 = root.patched(&[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 1]);
    assert_eq!(judge(&trust, &[&version_2], NOW), "refused: a certificate is not of version 3", "CERT-28");
}

#[test]
fn weak_keys_and_hashes_are_refused_and_strong_ones_are_not() {
    let root = Made::root("root", |_| {});
    let trust = Estate::new().authority("root", DeviceTrust::Issued, &[&root], &[]).trust();
    let p256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let p192 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1];
    assert_eq!(judge(&trust, &[&root.patched(&p256, &p256)], NOW), "issued patched root");
    assert_eq!(
        judge(&trust, &[&root.patched(&p256, &p192)], NOW),
        "none device_weak_key - root",
        "CERT-17 P-192"
    );
    let weak_hash = root.patched(zoo::ECDSA_SHA256, zoo::ECDSA_SHA224);
    assert_eq!(judge(&trust, &[&weak_hash], NOW), "nothing device_weak_signature", "CERT-17 hash");
    for (name, algorithm) in [
        ("P-384", &rcgen::PKCS_ECDSA_P384_SHA384),
        ("CERT-18 P-521", &rcgen::PKCS_ECDSA_P521_SHA512),
        ("CERT-18 Ed25519", &rcgen::PKCS_ED25519),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = root.leaf("laptop", |_| {}).params.signed_by(&key, &root.issuer()).unwrap().der().clone();
        assert_eq!(judge(&trust, &[&leaf], NOW), "issued laptop root", "{name}");
    }
    for (name, key, want) in [
        ("CERT-18 RSA-2048", zoo::RSA_2048, "issued laptop root"),
        ("CERT-17 RSA-1024", zoo::RSA_1024, "none device_weak_key - root"),
    ] {
        let key = rcgen::SubjectPublicKeyInfo::from_pem(key).unwrap();
        let leaf = root.leaf("laptop", |_| {}).params.signed_by(&key, &root.issuer()).unwrap().der().clone();
        assert_eq!(judge(&trust, &[&leaf], NOW), want, "{name}");
    }
}

#[test]
fn a_workload_is_what_a_trust_domain_issued_and_nothing_else() {
    let corporate = Made::root("corporate", |_| {});
    let workloads = Made::root("workloads", |_| {});
    let trust = Estate::new()
        .authority("corporate", DeviceTrust::Issued, &[&corporate], &[])
        .authority("careless", DeviceTrust::Issued, &[&workloads], &[])
        .domain("corp.example", &workloads)
        .trust();
    let sync = "spiffe://corp.example/ns/billing/sa/sync";
    for (name, issuer, uris, now, want) in [
        (
            "an SVID",
            &workloads,
            vec![sync],
            NOW,
            "workload spiffe://corp.example/ns/billing/sa/sync corp.example",
        ),
        ("expired", &workloads, vec![sync], NOW + 11 * DAY, "nothing device_expired"),
        ("of another trust domain", &workloads, vec!["spiffe://evil.example/a"], NOW, "nothing device_unfit"),
        ("two URIs", &workloads, vec![sync, "spiffe://corp.example/b"], NOW, "nothing device_unfit"),
        ("an SVID and another URI", &workloads, vec![sync, "urn:a"], NOW, "nothing device_unfit"),
        ("no path", &workloads, vec!["spiffe://corp.example"], NOW, "nothing device_unfit"),
        ("no URI: not a device either", &workloads, vec![], NOW, "nothing device_unfit"),
        ("a device's own claim", &corporate, vec![sync], NOW, "issued laptop corporate"),
    ] {
        let leaf = issuer.leaf("laptop", |p| p.subject_alt_names = uris.into_iter().map(uri).collect());
        assert_eq!(judge(&trust, &[&leaf.der], now), want, "{name}");
    }
    let no_purpose = workloads.leaf("x", |p| {
        p.subject_alt_names = vec![uri(sync)];
        p.extended_key_usages.clear();
    });
    assert_eq!(judge(&trust, &[&no_purpose.der], NOW), "nothing device_no_client_auth");
    assert!(trust.hints().len() == 2, "each issuer is named once");
}

#[test]
fn the_verifier_asks_never_requires_and_refuses_only_what_does_not_parse() {
    use rustls::server::danger::ClientCertVerifier;
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let root = Made::root("root", |_| {});
    let trust = Estate::new().authority("root", DeviceTrust::Issued, &[&root], &[]).trust();
    let verifier = DeviceVerifier::new(trust.hints().to_vec(), provider, std::sync::Arc::default());
    assert!(verifier.offer_client_auth() && !verifier.client_auth_mandatory());
    assert_eq!(verifier.root_hint_subjects().len(), 1);
    let now =
        rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW.unsigned_abs()));
    let stranger = Made::root("stranger", |_| {}).leaf("laptop", |_| {}).der;
    assert!(verifier.verify_client_cert(&stranger, &[], now).is_ok(), "judged later");
    // Of a chain that is too long only the leaf is looked at.
    let junk = vec![CertificateDer::from(vec![0x30, 0]); 59];
    assert!(verifier.verify_client_cert(&stranger, &junk, now).is_ok(), "CERT-16");
    assert_eq!(
        judge(&trust, &std::iter::once(&stranger).chain(&junk).collect::<Vec<_>>(), NOW),
        "nothing device_chain_too_long"
    );
    for bad in [CertificateDer::from(vec![0x30, 0]), root.patched(&[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 1])] {
        assert!(verifier.verify_client_cert(&bad, &[], now).is_err());
        assert!(verifier.verify_client_cert(&stranger, &[bad], now).is_err());
    }
}

#[test]
fn a_remembered_verdict_costs_next_to_nothing() {
    let root = Made::root("root", |_| {});
    let trust =
        Estate::new().authority("root", DeviceTrust::Issued, &[&root], &[&root.crl(&[], |_| {})]).trust();
    let evidence = Evidence::parse(&[root.leaf("laptop", |_| {}).der]).unwrap();
    let started = std::time::Instant::now();
    for _ in 0..100_000 {
        assert_eq!(evidence.judge(&trust, NOW).trust, DeviceTrust::Issued);
    }
    let each = started.elapsed() / 100_000;
    assert!(each.as_micros() < 20, "verified every time: {each:?}");
    eprintln!("judge: {each:?}");
}

#[test]
fn only_a_trusted_device_is_a_device_to_the_decision() {
    assert_eq!(Judgement::nothing().device().trust, DeviceTrust::None);
    let workload = Judgement {
        must_be_recorded: false,
        record: None,
        kind: Presented::Workload,
        trust: DeviceTrust::Issued,
        id: Some("x".into()),
        lowered: Some(Reason::DeviceExpired),
        authority: None,
    };
    assert_eq!(workload.device().trust, DeviceTrust::None);
    assert_eq!(workload.device().id, None);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = Evidence::parse(&[CertificateDer::from(bytes)]);
    }

    #[test]
    fn no_change_of_a_good_certificate_makes_it_issued(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        thread_local!(static GOOD: (TrustStore, Vec<u8>) = {
            let root = Made::root("root", |_| {});
            let leaf = root.leaf("laptop", |p| p.custom_extensions.push(other_name(PERMANENT, &permanent("P1")))).der.to_vec();
            (Estate::new().authority("root", DeviceTrust::Issued, &[&root], &[]).trust(), leaf)
        });
        GOOD.with(|(trust, leaf)| {
            let mut bytes = leaf.clone();
            bytes[at.index(leaf.len())] ^= 1 << bit;
            if let Ok(evidence) = Evidence::parse(&[CertificateDer::from(bytes)]) {
                assert_eq!(evidence.judge(trust, NOW).trust, DeviceTrust::None);
            }
        });
    }
}

#[test]
fn the_inventory_lowers_trust_and_an_authority_may_demand_a_record() {
    use crate::access::{Ownership, Record};
    use DeviceTrust::{Enrolled, Issued, None as Nothing};
    use std::sync::Arc;
    let root = Made::root("corp", |_| {});
    let leaf = root.leaf("laptop", |_| {});
    let judged = |required: bool| {
        let zoo = Estate::new()
            .authority("corp", Issued, &[&root], &[])
            .but(|authority| authority.must_be_recorded = required);
        Evidence::parse(std::slice::from_ref(&leaf.der)).unwrap().judge(&zoo.trust(), NOW)
    };
    let record = |trust, ownership| Some(Arc::new(Record { trust, ownership, ..Record::new("laptop") }));
    for (required, record, want) in [
        (false, None, (Issued, None)),
        (true, None, (Nothing, Some(Reason::DeviceUnknown))),
        (true, record(None, None), (Issued, None)),
        (false, record(None, Some(Ownership::Personal)), (Enrolled, Some(Reason::DeviceNotIssued))),
        (false, record(Some(Enrolled), None), (Enrolled, Some(Reason::DeviceNotIssued))),
        (false, record(Some(Nothing), None), (Nothing, Some(Reason::DeviceRequired))),
        (false, record(Some(Issued), Some(Ownership::Corporate)), (Issued, None)),
    ] {
        let judgement = judged(required).recorded(record.clone());
        assert_eq!((judgement.trust, judgement.lowered), want, "{required} {record:?}");
        let aged = judgement.clone().aged(Enrolled);
        assert_eq!(aged.trust, want.0.min(Enrolled));
        assert_eq!(aged.lowered, if want.0 > Enrolled { Some(Reason::EvidenceStale) } else { want.1 });
    }
}
