//! A zoo of certificates for the tests: one good pattern, and a way to spoil it.

use super::TrustStore;
use crate::access::{DeviceTrust, Timestamp};
use crate::{config, diagnostic::Diagnostic};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, SigningKey,
};
use rustls::pki_types::CertificateDer;
use std::path::PathBuf;
use time::OffsetDateTime;

/// The present, in every test.
pub(super) const NOW: Timestamp = 1_800_000_000;
pub(super) const DAY: Timestamp = 86_400;

pub(super) fn at(timestamp: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(timestamp).unwrap()
}

/// A certificate with its key, able to issue others.
pub(super) struct Made {
    pub(super) params: CertificateParams,
    pub(super) key: KeyPair,
    pub(super) der: CertificateDer<'static>,
}

impl Made {
    pub(super) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    pub(super) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// A self-signed authority.
    pub(super) fn root(name: &str, spoil: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        spoil(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    /// An authority below this one.
    pub(super) fn intermediate(&self, name: &str, spoil: impl FnOnce(&mut CertificateParams)) -> Self {
        self.issue(ca_params(name), spoil)
    }

    /// A leaf as it should be, but for `spoil`.
    pub(super) fn leaf(&self, name: &str, spoil: impl FnOnce(&mut CertificateParams)) -> Self {
        self.issue(leaf_params(name), spoil)
    }

    fn issue(&self, mut params: CertificateParams, spoil: impl FnOnce(&mut CertificateParams)) -> Self {
        spoil(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().clone();
        Self { params, key, der }
    }

    /// A leaf in whose signed part `to` replaces `from`, signed anew.
    pub(super) fn patched(&self, from: &[u8], to: &[u8]) -> CertificateDer<'static> {
        let good = self.leaf("patched", |_| {}).der;
        let (_, parsed) = x509_parser::parse_x509_certificate(&good).unwrap();
        self.signed(&replaced(parsed.tbs_certificate.as_ref(), from, to), to).into()
    }

    /// A revocation list in whose signed part `to` replaces `from`, signed anew.
    pub(super) fn patched_crl(&self, list: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let (_, parsed) = x509_parser::parse_x509_crl(list).unwrap();
        self.signed(&replaced(parsed.tbs_cert_list.as_ref(), from, to), to)
    }

    pub(super) fn signed(&self, tbs: &[u8], patch: &[u8]) -> Vec<u8> {
        let algorithm = if patch.starts_with(&ECDSA_SHA224[..7]) { patch } else { ECDSA_SHA256 };
        let bits = [vec![0], SigningKey::sign(&self.key, tbs).unwrap()].concat();
        tlv(0x30, &[tbs.to_vec(), tlv(0x30, &tlv(0x06, algorithm)), tlv(0x03, &bits)].concat())
    }

    /// This authority's revocation list.
    pub(super) fn crl(
        &self,
        revoked: &[u8],
        spoil: impl FnOnce(&mut CertificateRevocationListParams),
    ) -> Vec<u8> {
        let mut params = CertificateRevocationListParams {
            this_update: at(NOW - DAY),
            next_update: at(NOW + DAY),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from(u64::from(*serial)),
                    revocation_time: at(NOW - DAY),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        spoil(&mut params);
        params.signed_by(&self.issuer()).unwrap().der().to_vec()
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let places =
        (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect::<Vec<_>>();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + from.len()].copy_from_slice(to);
    }
    bytes
}

pub(super) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
pub(super) const ECDSA_SHA224: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x01];

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap());
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.collect::<Vec<_>>().join("\n"))
}

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u16::try_from(content.len()).ok() {
        Some(n) if n < 0x80 => out.push(u8::try_from(n).unwrap()),
        Some(n) if n < 0x100 => out.extend([0x81, u8::try_from(n).unwrap()]),
        Some(n) => out.extend([&[0x82][..], &n.to_be_bytes()].concat()),
        None => out.extend([&[0x84][..], &u32::try_from(content.len()).unwrap().to_be_bytes()].concat()),
    }
    out.extend(content);
    out
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (at(NOW - 100 * DAY), at(NOW + 100 * DAY));
    params
}

fn leaf_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.serial_number = Some(SerialNumber::from(7));
    (params.not_before, params.not_after) = (at(NOW - 10 * DAY), at(NOW + 10 * DAY));
    params
}

/// Files of authorities, in a folder that ends with the test.
pub(super) struct Estate {
    folder: tempfile::TempDir,
    authorities: Vec<config::Authority>,
    domains: Vec<config::TrustDomain>,
}

impl Estate {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), authorities: Vec::new(), domains: Vec::new() }
    }

    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn authority(mut self, name: &str, grants: DeviceTrust, ca: &[&Made], crl: &[&[u8]]) -> Self {
        let pems = ca.iter().map(|made| made.pem()).collect::<String>();
        let ca = vec![self.file(&format!("{name}.pem"), pems)];
        let crl = crl.iter().enumerate().map(|(n, der)| self.file(&format!("{name}-{n}.crl"), der)).collect();
        let name = name.to_owned();
        self.authorities.push(config::Authority { name, ca, grants, crl, ..config::Authority::default() });
        self
    }

    /// The authority added last, but for `change`.
    pub(super) fn but(mut self, change: impl FnOnce(&mut config::Authority)) -> Self {
        change(self.authorities.last_mut().unwrap());
        self
    }

    pub(super) fn raw_authority(mut self, ca: Vec<PathBuf>, crl: Vec<PathBuf>) -> Self {
        self.authorities.push(config::Authority {
            name: "raw".to_owned(),
            ca,
            grants: DeviceTrust::Issued,
            crl,
            ..config::Authority::default()
        });
        self
    }

    pub(super) fn domain(mut self, name: &str, ca: &Made) -> Self {
        let bundle = self.file(&format!("{name}.bundle.pem"), ca.pem());
        self.domains.push(config::TrustDomain { name: name.to_owned(), bundle });
        self
    }

    pub(super) fn load(&self, generation: u64) -> Result<TrustStore, Vec<Diagnostic>> {
        TrustStore::load(&self.authorities, &self.domains, generation)
    }

    pub(super) fn trust(&self) -> TrustStore {
        self.load(1).unwrap()
    }
}

/// Public halves only; nobody has the private ones.
pub(super) const RSA_1024: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDg5cfaMYCnAzlEBlN2wC8wLdRd
bqtatHvkVYCz3noJRyKTLvHMAkxUupdsCuh9a9wRKlaCd56pJBVNY2TLPgL+L/n0
8mbmsWjxsAatG5KddqIEYfcDGWptKcIiltBw9+ZOgV//8Ljhc9P6mg7bpTjurG0f
8PqMQEaxzKChbL6StQIDAQAB
-----END PUBLIC KEY-----
";
pub(super) const RSA_2048: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAnc2bEyEg7OFIo5AZG8fU
gYH991gkQ/tkSrHtrH8hptmm4OHgyqhc6qn/uhgxK1rCxQ8Ml6eudvKigCW/Ab/b
+I/ulJy5nbSq8uNzx6fSpvRSqBLd7bIAHbv/7AlHTpiDkBV0lsmalBn86EVD6hhN
HOF1IVFLlmIDjzqijEFMD/8uycMjhHirbqRXcUoO6gFkPDo07bfTPqjxMiZeHYje
ntS/tL3KlenxNQVUWwWYQaVzpZ7bbkGhmVqkMGvZOfczc8WgBIedwdL3LyHxGCQ6
KAKb4pAg+zykBx6gGMAjMd81k5N2DV4+bl0rYHGvaeskB7LQBAtoKaZSVTDqH/VM
AQIDAQAB
-----END PUBLIC KEY-----
";
