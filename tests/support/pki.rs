//! Certificates beside those of the demo, signed by its authorities or by nobody.

use super::Estate;
use super::client::provider;
use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    SanType, SigningKey,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// A leaf for a client, valid now.
pub fn client_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::hours(1);
    params.not_after = now + time::Duration::days(30);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

/// These bytes as a certificate, shown with this key.
pub fn shown(der: Vec<u8>, key: &KeyPair) -> CertifiedKey {
    shown_with_chain(vec![der], key)
}

pub fn shown_with_chain(chain: Vec<Vec<u8>>, key: &KeyPair) -> CertifiedKey {
    let secret = PrivatePkcs8KeyDer::from(key.serialize_der());
    let key = provider().key_provider.load_private_key(secret.into()).unwrap();
    CertifiedKey::new(chain.into_iter().map(CertificateDer::from).collect(), key)
}

/// A certificate with its key, able to issue others.
pub struct Ca {
    pub params: CertificateParams,
    pub key: KeyPair,
    pub der: Vec<u8>,
}

impl Ca {
    /// A self-signed authority.
    pub fn root(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::root_with(name, KeyPair::generate().unwrap(), change)
    }

    pub fn root_with(name: &str, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    /// An authority below this one.
    pub fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    pub fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// A certificate for this key.
    pub fn sign(&self, params: &CertificateParams, key: &impl rcgen::PublicKeyData) -> Vec<u8> {
        params.signed_by(key, &self.issuer()).unwrap().der().to_vec()
    }

    /// The certificate with this in place of that in its signed part, signed anew.
    pub fn patched(&self, certificate: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let whole = items(content(certificate));
        assert!(super::find(whole[0], from).is_some() && from.len() == to.len());
        let signed = super::replace(whole[0], from, to);
        let algorithm = super::replace(whole[1], from, to);
        let signature = [vec![0], self.key.sign(&signed).unwrap()].concat();
        der(0x30, &[signed, algorithm, der(0x03, &signature)].concat())
    }

    /// A revocation list with these serial numbers, from and until so many days from now.
    pub fn crl(&self, revoked: &[u64], days: std::ops::Range<i64>, point: Option<&str>) -> Vec<u8> {
        let now = time::OffsetDateTime::now_utc();
        let entry = |serial: &u64| rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from(*serial),
            revocation_time: now - time::Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = rcgen::CertificateRevocationListParams {
            this_update: now + time::Duration::days(days.start),
            next_update: now + time::Duration::days(days.end),
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: point.map(|uri| rcgen::CrlIssuingDistributionPoint {
                distribution_point: rcgen::CrlDistributionPoint { uris: vec![uri.to_owned()] },
                scope: None,
            }),
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer()).unwrap().der().to_vec()
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = client_params(name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages.clear();
    params.use_authority_key_identifier_extension = false;
    params
}

impl Estate {
    /// Writes certificates of an authority to `certs/<name>.pem`; the file as `tiergate.yaml` names it.
    pub fn authority_file(&self, name: &str, certificates: &[&[u8]]) -> String {
        use base64::Engine as _;
        let pem = |der: &&[u8]| {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            let lines = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap());
            format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                lines.collect::<Vec<_>>().join("\n")
            )
        };
        let file = format!("certs/{name}.pem");
        self.write(&file, &certificates.iter().map(pem).collect::<String>());
        file
    }

    /// The key of the demo's issued device.
    pub fn device_key(&self) -> KeyPair {
        KeyPair::from_pem(&self.read("certs/issued.key")).unwrap()
    }

    /// An authority of the demo, such as `corporate-ca`.
    pub fn issuer(&self, file: &str) -> Issuer<'static, KeyPair> {
        let key = KeyPair::from_pem(&self.read(&format!("certs/{file}.key"))).unwrap();
        Issuer::from_ca_cert_pem(&self.read(&format!("certs/{file}.pem")), key).unwrap()
    }

    /// A certificate signed by an authority of the demo.
    pub fn issue(&self, authority: &str, params: &CertificateParams) -> CertifiedKey {
        let key = KeyPair::generate().unwrap();
        shown(params.signed_by(&key, &self.issuer(authority)).unwrap().der().to_vec(), &key)
    }

    /// A server certificate for these hosts in `certs/<file>`, believed by every client here.
    pub fn issue_server(&self, file: &str, hosts: &[&str]) {
        let mut params = client_params(file);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names =
            hosts.iter().map(|host| SanType::DnsName((*host).try_into().unwrap())).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer("ca")).unwrap();
        self.write(&format!("certs/{file}.pem"), &certificate.pem());
        self.write(&format!("certs/{file}.key"), &key.serialize_pem());
        use std::os::unix::fs::PermissionsExt;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.at(&format!("certs/{file}.key")), private).unwrap();
    }
}

/// An extension nobody knows.
pub fn unknown_extension(content: Vec<u8>, critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 7], content);
    extension.set_criticality(critical);
    extension
}

/// A certificate of X.509 version 1: one of version 3 without its version and extensions, signed anew.
pub fn version_1(estate: &Estate, authority: &str) -> CertifiedKey {
    let key = KeyPair::generate().unwrap();
    let issuer = estate.issuer(authority);
    let version_3 = client_params("v1").signed_by(&key, &issuer).unwrap();
    let whole = items(content(version_3.der()));
    let kept: Vec<u8> = items(content(whole[0]))
        .into_iter()
        // `[0]` is the version, `[3]` the extensions.
        .filter(|item| item[0] != 0xa0 && item[0] != 0xa3)
        .flatten()
        .copied()
        .collect();
    let to_be_signed = der(0x30, &kept);
    let signature = issuer.key().sign(&to_be_signed).unwrap();
    let bits = der(0x03, &[&[0], &signature[..]].concat());
    shown(der(0x30, &[&to_be_signed, whole[1], &bits].concat()), &key)
}

/// The content of a DER item.
pub fn content(item: &[u8]) -> &[u8] {
    let (_, length, start) = header(item);
    &item[start..start + length]
}

/// The DER items in a row, each whole.
fn items(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (_, length, start) = header(bytes);
        let (item, rest) = bytes.split_at(start + length);
        items.push(item);
        bytes = rest;
    }
    items
}

fn header(bytes: &[u8]) -> (u8, usize, usize) {
    let first = usize::from(bytes[1]);
    if first < 0x80 {
        return (bytes[0], first, 2);
    }
    let count = first & 0x7f;
    let length = bytes[2..2 + count].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    (bytes[0], length, 2 + count)
}

pub fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    match length {
        0..0x80 => out.push(u8::try_from(length).unwrap()),
        0x80..0x100 => out.extend([0x81, u8::try_from(length).unwrap()]),
        _ => {
            out.push(0x82);
            out.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}
