//! One certificate, parsed: what matters of it for trust, owned, so that nothing is parsed twice.

use super::identity::DeviceNames;
use super::workload::{self, SpiffeId};
use crate::access::{Reason, Timestamp};
use crate::config::is_responder;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, KeyUsage, ParsedExtension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKIX_ACCESS_DESCRIPTOR_OCSP, OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

/// No certificate of a chain is larger.
pub(super) const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;
/// No chain is longer, the leaf included.
pub(super) const MAX_CHAIN: usize = 8;
/// RSA beyond this only burns time.
const MAX_RSA_BITS: usize = 8192;
const MIN_RSA_BITS: usize = 2048;

/// Why what a peer presented cannot even be judged. The handshake ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EvidenceError {
    /// No certificate at all.
    #[error("the chain is empty")]
    Empty,
    /// A certificate is too large.
    #[error("a certificate is larger than {MAX_CERTIFICATE_BYTES} bytes")]
    TooLarge,
    /// A certificate is not one.
    #[error("a certificate cannot be parsed")]
    Malformed,
    /// Version 1 and 2 have no extensions, so nothing says what they are for.
    #[error("a certificate is not of version 3")]
    NotVersion3,
}

/// From when to when something holds, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Window {
    pub(super) const ALWAYS: Self = Self { from: Timestamp::MIN, until: Timestamp::MAX };

    pub(super) fn contains(self, now: Timestamp) -> bool {
        self.from <= now && now <= self.until
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// A moment only.
    pub(super) fn at(now: Timestamp) -> Self {
        Self { from: now, until: now }
    }
}

/// What matters of a leaf.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) validity: Window,
    /// Why its extensions or its key make it unfit to identify a client by a signature, where they do.
    pub(super) fault: Option<Reason>,
    /// What it calls the device, in every place that can name one.
    pub(super) names: DeviceNames,
    /// The workload it names, where it names one.
    pub(super) workload: Option<SpiffeId>,
    pub(super) key_digest: [u8; 32],
}

/// Parses one certificate strictly: bounded, version 3, nothing behind it.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, EvidenceError> {
    if der.len() > MAX_CERTIFICATE_BYTES {
        return Err(EvidenceError::TooLarge);
    }
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| EvidenceError::Malformed)?;
    if !rest.is_empty() {
        return Err(EvidenceError::Malformed);
    }
    if certificate.version() != X509Version::V3 {
        return Err(EvidenceError::NotVersion3);
    }
    Ok(certificate)
}

/// The validity as timestamps.
pub(super) fn validity(certificate: &X509Certificate<'_>) -> Window {
    let validity = certificate.validity();
    Window { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() }
}

/// Reads what matters of a leaf.
pub(super) fn leaf(certificate: &X509Certificate<'_>) -> Leaf {
    let uris = uris(certificate);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.public_key().raw);
    let mut key_digest = [0; 32];
    for (to, from) in key_digest.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    Leaf {
        validity: validity(certificate),
        fault: fault(certificate),
        names: DeviceNames::read(certificate),
        workload: workload::svid_id(&uris),
        key_digest,
    }
}

/// Who answers questions about the certificate (RFC 5280 §4.2.2.1): the first that can be asked.
pub(super) fn responder<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    certificate.iter_extensions().find_map(|extension| {
        let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else { return None };
        let responders =
            access.accessdescs.iter().filter(|it| it.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP);
        responders.filter_map(|it| uri(&it.access_location)).find(|uri| is_responder(uri))
    })
}

fn uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    if let GeneralName::URI(uri) = name { Some(*uri) } else { None }
}

fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a str> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    names.value.general_names.iter().filter_map(uri).collect()
}

/// Why a leaf may not identify a client, if it may not: it must say `clientAuth` and `digitalSignature`,
/// not merely not deny them; it is no authority; its key is strong enough; every extension can be read.
///
/// webpki checks none of the first two where the extension is missing.
fn fault(certificate: &X509Certificate<'_>) -> Option<Reason> {
    let readable = certificate.extensions_map().is_ok()
        && certificate
            .iter_extensions()
            .all(|extension| !matches!(extension.parsed_extension(), ParsedExtension::ParseError { .. }));
    let usage = certificate.key_usage().ok().flatten().map(|usage| usage.value);
    if !readable || certificate.is_ca() || usage.is_some_and(KeyUsage::key_cert_sign) {
        return Some(Reason::DeviceUnfit);
    }
    // `client_auth` is set by that purpose alone; `anyExtendedKeyUsage` is a flag of its own.
    if !matches!(certificate.extended_key_usage(), Ok(Some(purposes)) if purposes.value.client_auth) {
        return Some(Reason::DeviceNoClientAuth);
    }
    if !usage.is_some_and(KeyUsage::digital_signature) {
        return Some(Reason::DeviceNoDigitalSignature);
    }
    (!is_strong(certificate.public_key())).then_some(Reason::DeviceWeakKey)
}

/// At least P-256 or RSA-2048; P-384, P-521 and Ed25519 beside them.
fn is_strong(key: &SubjectPublicKeyInfo<'_>) -> bool {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return key.subject_public_key.data.len() == 32;
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return curve.is_some_and(|curve| [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&curve));
    }
    match key.parsed() {
        Ok(PublicKey::RSA(key)) => (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&modulus_bits(key.modulus)),
        Ok(
            PublicKey::EC(_)
            | PublicKey::DSA(_)
            | PublicKey::GostR3410(_)
            | PublicKey::GostR3410_2012(_)
            | PublicKey::Unknown(_),
        )
        | Err(_) => false,
    }
}

/// The bits of a big-endian number, without leading zeros.
fn modulus_bits(bytes: &[u8]) -> usize {
    let mut significant = bytes.iter().skip_while(|byte| **byte == 0);
    significant.next().map_or(0, |first| {
        let top = usize::try_from(8 - first.leading_zeros()).unwrap_or(0);
        top + 8 * significant.count()
    })
}
