//! What tiergate would make of a certificate, and why: for people who look at one by itself.

use super::certificate::{self, EvidenceError};
use super::{Evidence, Judgement, Presented, TrustStore};
use crate::access::{DeviceTrust, Reason, Timestamp};
use crate::config;
use crate::diagnostic::Diagnostic;
use crate::text::date;
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use std::fmt::Write as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;

/// A certificate and what is made of it.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Whom it names.
    pub subject: String,
    /// Who issued it, by its own account.
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// When it begins to be valid (RFC 3339).
    pub not_before: String,
    /// When it ends.
    pub not_after: String,
    /// The kind and size of its key.
    pub key: String,
    /// SHA-256 of the certificate, hexadecimal.
    pub sha256: String,
    /// What it calls the device, by place, in the order that counts where an authority says no other.
    pub names: Vec<Name>,
    /// What each authority makes of it.
    pub authorities: Vec<Verdict>,
    /// What comes of all of them.
    pub judged: Verdict,
}

/// What one place in a certificate calls the device.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Name {
    /// The place, as `identity` of an authority names it.
    pub place: &'static str,
    /// The name; `None` where it is double or malformed.
    pub name: Option<String>,
}

/// What is made of a certificate.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// The authority or trust domain that issued it; `None` where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// `device`, `workload` or `nothing`.
    pub kind: &'static str,
    /// The device's identity, or the workload's SPIFFE ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How far the device is trusted.
    pub trust: DeviceTrust,
    /// Why it is not trusted further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl From<&Judgement> for Verdict {
    fn from(judgement: &Judgement) -> Self {
        Self {
            authority: judgement.authority.as_deref().map(str::to_owned),
            kind: match judgement.kind {
                Presented::Nothing => "nothing",
                Presented::Device => "device",
                Presented::Workload => "workload",
            },
            id: judgement.id.as_deref().map(str::to_owned),
            trust: judgement.trust,
            reason: judgement.lowered,
        }
    }
}

/// Why a certificate cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It is no certificate that anything can be said of. A handshake with it ends.
    #[error("a handshake with it ends: {0}")]
    Certificate(#[from] EvidenceError),
    /// An authority's files cannot be used.
    #[error("the authorities cannot be used")]
    Authorities(Vec<Diagnostic>),
}

/// Inspects a chain, leaf first, at a moment. Reads the files that the authorities name.
///
/// # Errors
/// The leaf is no certificate, or the authorities' files cannot be used.
pub fn inspect(
    chain: &[CertificateDer<'_>],
    authorities: &[config::Authority],
    domains: &[config::TrustDomain],
    now: Timestamp,
) -> Result<Inspection, InspectError> {
    let judge = |authorities: &[config::Authority], domains: &[config::TrustDomain]| {
        // Nobody is asked: this is what the files say.
        let offline = |authority: &config::Authority| config::Authority { ocsp: None, ..authority.clone() };
        let authorities = authorities.iter().map(offline).collect::<Vec<_>>();
        let trust = TrustStore::load(&authorities, domains, 0).map_err(InspectError::Authorities)?;
        Ok::<_, InspectError>(Evidence::parse(chain)?.judge(&trust, now))
    };
    let judged = Verdict::from(&judge(authorities, domains)?);
    let each = authorities.iter().map(|authority| {
        let verdict = Verdict::from(&judge(std::slice::from_ref(authority), &[])?);
        Ok(Verdict { authority: Some(authority.name.clone()), ..verdict })
    });
    let domains = domains.iter().map(|domain| {
        let verdict = Verdict::from(&judge(&[], std::slice::from_ref(domain))?);
        Ok(Verdict { authority: Some(domain.name.clone()), ..verdict })
    });
    let authorities = each.chain(domains).collect::<Result<Vec<_>, InspectError>>()?;
    let der = chain.first().ok_or(EvidenceError::Empty)?;
    let leaf = certificate::parse(der)?;
    let validity = certificate::validity(&leaf);
    Ok(Inspection {
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        serial: hexadecimal(leaf.raw_serial()),
        not_before: date::show(validity.from),
        not_after: date::show(validity.until),
        key: key(&leaf),
        sha256: hexadecimal(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref()),
        names: names(&leaf),
        authorities,
        judged,
    })
}

fn names(leaf: &X509Certificate<'_>) -> Vec<Name> {
    let read = super::identity::DeviceNames::read(leaf);
    let all = config::IdentityKind::ALL.into_iter().filter_map(|(place, kind)| match read.at(kind) {
        Ok(None) => None,
        Ok(Some(name)) => Some(Name { place, name: Some(name.clone()) }),
        Err(_) => Some(Name { place, name: None }),
    });
    all.collect()
}

fn key(leaf: &X509Certificate<'_>) -> String {
    match leaf.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA, {} bits", key.key_size()),
        Ok(PublicKey::EC(key)) => format!("elliptic curve, {} bits", key.key_size()),
        Ok(
            PublicKey::DSA(_)
            | PublicKey::GostR3410(_)
            | PublicKey::GostR3410_2012(_)
            | PublicKey::Unknown(_),
        )
        | Err(_) => format!("of kind {}", leaf.public_key().algorithm.algorithm),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
