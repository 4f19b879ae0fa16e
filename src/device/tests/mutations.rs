//! Everything that is parsed before it is believed, broken by a seeded generator: nothing panics, and
//! nothing whose bytes changed is trusted.
//!
//! `TIERGATE_MUTATIONS` is how many rounds; `TIERGATE_SEED` is where they begin.

use super::*;
use crate::device::crl;
use crate::device::ocsp::Asked;
use crate::device::ocsp::responder::{Reply, revoked};
use crate::device::trust_store::ca_certificate;

/// SplitMix64: the same seed breaks the same bytes.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next() & 0xff).unwrap()
    }

    /// Breaks bytes in one place, or in up to four.
    fn broken(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let more = if self.below(2) == 0 { 0 } else { self.below(4) };
        for _ in 0..=more {
            let at = self.below(bytes.len());
            let to = (at + 1 + self.below(24)).min(bytes.len());
            match self.below(8) {
                0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                2 if !bytes.is_empty() => bytes[at] = self.byte(),
                3 => bytes.insert(at, self.byte()),
                4 if !bytes.is_empty() => drop(bytes.drain(at..to)),
                5 => {
                    let twice = bytes[at.min(bytes.len())..to].to_vec();
                    bytes.splice(at..at, twice);
                }
                // Lengths, where parsers trust what they read: 0x7f, 0x80, 0x84 and all ones.
                6 if !bytes.is_empty() => bytes[at] = [0, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff][self.below(7)],
                _ => bytes.truncate(bytes.len() - self.below(bytes.len().min(32))),
            }
        }
        bytes
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

#[test]
fn nothing_that_was_changed_is_trusted_and_nothing_panics() {
    let rounds = number("TIERGATE_MUTATIONS", 6000);
    let mut dice = Dice(number("TIERGATE_SEED", 1));
    let root = Made::root("root", |_| {});
    let middle = root.intermediate("middle", |_| {});
    let workloads = Made::root("workloads", |_| {});
    let list = root.crl(&[9], |_| {});
    let trust = Estate::new()
        .authority("root", DeviceTrust::Issued, &[&root], &[&list])
        .but(|authority| {
            authority.eku = vec!["1.3.6.1.4.1.99999.2".parse().unwrap()];
            authority.require_extension = vec![crate::config::RequiredExtension {
                oid: "1.3.6.1.4.1.99999.1".parse().unwrap(),
                value: Some("corp".to_owned()),
            }];
        })
        .domain("corp.example", &workloads)
        .trust();
    let attested = |p: &mut CertificateParams| {
        p.extended_key_usages.push(ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 99_999, 2]));
        let oid = [1, 3, 6, 1, 4, 1, 99_999, 1];
        p.custom_extensions.push(CustomExtension::from_oid_content(&oid, tlv(0x0c, b"corp")));
    };
    let mut module = tlv(0x06, &[0x2b, 6, 1]);
    module.extend(tlv(0x04, b"H1"));
    let names: Vec<Vec<CustomExtension>> = vec![
        vec![],
        vec![other_name(PERMANENT, &permanent("P1"))],
        vec![other_name(MODULE, &tlv(0x30, &module))],
        vec![CustomExtension::from_oid_content(&[1, 2, 840, 113_635, 100, 8, 9, 1], b"C02XK1".to_vec())],
        vec![CustomExtension::from_oid_content(&[1, 2, 840, 113_635, 100, 8, 9, 2], tlv(0x13, b"00-1"))],
    ];
    let mut chains: Vec<Vec<CertificateDer<'static>>> = names
        .into_iter()
        .map(|extensions| {
            let leaf = root.leaf("laptop", |p| {
                attested(p);
                p.custom_extensions.extend(extensions);
            });
            vec![leaf.der]
        })
        .collect();
    // The list does not speak of the intermediate's leaves, so these are at most enrolled.
    chains.push(vec![middle.leaf("laptop", attested).der, middle.der.clone()]);
    let sync = |p: &mut CertificateParams| p.subject_alt_names = vec![uri("spiffe://corp.example/a")];
    chains.push(vec![workloads.leaf("sync", sync).der]);
    for chain in &chains {
        let judged = Evidence::parse(chain).unwrap().judge(&trust, NOW);
        assert!(judged.trust > DeviceTrust::None || judged.kind == Presented::Workload, "{}", say(&judged));
    }
    let authority = vec![ca_certificate(&root.der).unwrap()];
    assert!(crl::parse(&list, &authority).is_ok());
    let (_, parsed) = x509_parser::parse_x509_certificate(&root.der).unwrap();
    let asked = Asked {
        issuer: parsed.subject().as_raw().to_vec(),
        issuer_key: parsed.public_key().raw.to_vec(),
        serial: vec![7],
    };
    let delegate =
        root.leaf("responder", |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning]);
    let answers = [
        Reply::default().signed_by(&asked, &root),
        Reply { status: revoked(), ..Reply::default() }.signed_by(&asked, &root),
        Reply { certificates: vec![delegate.der.to_vec()], ..Reply::default() }.signed_by(&asked, &delegate),
    ];
    let says = answers.each_ref().map(|der| asked.read(der, NOW).unwrap());

    let (mut parsed, mut signed) = (0_u64, 0_u64);
    for round in 0..rounds {
        match dice.below(8) {
            0 => {
                let broken = dice.broken(&list);
                let read = crl::parse(&broken, &authority);
                assert!(read.is_err() || broken == list, "round {round}: a changed list is believed");
            }
            1 => {
                let nth = dice.below(answers.len());
                // What is not signed may differ, such as parameters nobody reads: what it says may not.
                if let Ok(answer) = asked.read(&dice.broken(&answers[nth]), NOW) {
                    assert_eq!(answer, says[nth], "round {round}: a changed answer says something else");
                }
            }
            2 => drop(ca_certificate(&dice.broken(&root.der))),
            3 | 4 => {
                // As a careless authority may sign it: what is then believed is at least plain text.
                let good = &chains[dice.below(chains.len())][0];
                let (_, certificate) = x509_parser::parse_x509_certificate(good).unwrap();
                let broken = dice.broken(certificate.tbs_certificate.as_ref());
                let der = CertificateDer::from(root.signed(&broken, &[]));
                let Ok(evidence) = Evidence::parse(&[der]) else { continue };
                let judged = evidence.judge(&trust, NOW);
                signed += u64::from(judged.kind == Presented::Device);
                let plain = |id: &str| id.len() <= 128 && id.bytes().all(|byte| (0x20..0x7f).contains(&byte));
                assert!(judged.id.as_deref().is_none_or(plain), "round {round}: {}", say(&judged));
            }
            _ => {
                let mut chain = chains[dice.below(chains.len())].clone();
                let nth = dice.below(chain.len());
                let good = chain[nth].clone();
                chain[nth] = CertificateDer::from(dice.broken(&good));
                let Ok(evidence) = Evidence::parse(&chain) else { continue };
                parsed += 1;
                if chain[nth] == good {
                    continue;
                }
                let judged = evidence.judge(&trust, NOW);
                assert!(
                    judged.trust == DeviceTrust::None && judged.kind != Presented::Workload,
                    "round {round}: a changed certificate is trusted: {}",
                    say(&judged)
                );
            }
        }
    }
    eprintln!(
        "mutations: {rounds} rounds, {parsed} changed chains parsed, {signed} signed anew led to the authority"
    );
}
