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

impl Estate {
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
fn content(item: &[u8]) -> &[u8] {
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

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
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
