//! Revocation lists: read once, asked on every verification.
//!
//! A list is believed only if a configured certificate of its authority that may sign lists signed
//! it. Nothing is fetched: a list is a file that somebody keeps fresh.

use super::certificate::Window;
use super::signature;
use super::trust_store::CaCertificate;
use crate::access::Timestamp;
use rustls::pki_types::pem::{PemObject, SectionKind};
use webpki::{
    CertRevocationList, Error, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// No authority has more lists.
pub(super) const MAX_LISTS: usize = 256;

/// A revocation list whose signature was verified.
#[derive(Debug)]
pub(super) struct Crl {
    list: CertRevocationList<'static>,
    /// The `SubjectPublicKeyInfo` of the certificate that signed it.
    signer: Vec<u8>,
    /// From `thisUpdate` to `nextUpdate`.
    pub(super) fresh: Window,
}

/// Whether a path is revoked, by lists and by responders alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Revocation {
    /// No list is configured and no responder asked: nobody revokes.
    Unchecked,
    /// On no list, or good by its responder, for as long as that is fresh.
    Good(Window),
    /// Nothing fresh speaks of some certificate of the path; from when to when that holds.
    Stale(Window),
    /// On a list, or revoked by its responder.
    Revoked,
}

impl Revocation {
    /// Not revoked, by evidence that counts for so long.
    pub(super) fn within(fresh: Window, now: Timestamp) -> Self {
        if fresh.contains(now) {
            Self::Good(fresh)
        } else if now > fresh.until {
            Self::Stale(Window { from: fresh.until.saturating_add(1), until: Timestamp::MAX })
        } else {
            Self::Stale(Window { from: Timestamp::MIN, until: fresh.from.saturating_sub(1) })
        }
    }

    /// What two sources say together: the worse, for as long as both hold.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Revoked, _) | (_, Self::Revoked) => Self::Revoked,
            (Self::Unchecked, other) | (other, Self::Unchecked) => other,
            (Self::Good(one), Self::Good(two)) => Self::Good(one.and(two)),
            (Self::Stale(one), Self::Good(two) | Self::Stale(two)) | (Self::Good(one), Self::Stale(two)) => {
                Self::Stale(one.and(two))
            }
        }
    }
}

/// Why a revocation list is not believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum CrlError {
    #[error("is neither a DER nor a PEM revocation list")]
    Malformed,
    #[error("holds no revocation list")]
    Empty,
    #[error("holds something that is no revocation list")]
    Foreign,
    #[error("cannot be used: {0}")]
    Unsupported(String),
    #[error("was signed by none of the authority's certificates")]
    UnknownSigner,
    #[error("was signed by a certificate that may not sign revocation lists")]
    SignerMayNot,
}

/// Reads the lists of a file, PEM or DER, and verifies each signature.
pub(super) fn parse(bytes: &[u8], authority: &[CaCertificate]) -> Result<Vec<Crl>, CrlError> {
    if bytes.first() == Some(&0x30) {
        return Ok(vec![parse_der(bytes, authority)?]);
    }
    let mut lists = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = section.map_err(|_| CrlError::Malformed)?;
        if kind != SectionKind::Crl {
            return Err(CrlError::Foreign);
        }
        lists.push(parse_der(&der, authority)?);
    }
    if lists.is_empty() {
        return Err(CrlError::Empty);
    }
    Ok(lists)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors are open, and each says what it is")]
fn parse_der(der: &[u8], authority: &[CaCertificate]) -> Result<Crl, CrlError> {
    let list = OwnedCertRevocationList::from_der(der).map_err(|error| match error {
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => CrlError::Malformed,
        other => CrlError::Unsupported(format!("{other:?}")),
    })?;
    let (_, parsed) = CertificateRevocationList::from_der(der).map_err(|_| CrlError::Malformed)?;
    let next_update =
        parsed.next_update().ok_or_else(|| CrlError::Unsupported("no nextUpdate".to_owned()))?;
    let issued = |certificate: &&CaCertificate| {
        certificate.subject == parsed.issuer().as_raw()
            && signature::is_by(
                &certificate.spki,
                parsed.signature_algorithm.algorithm.as_bytes(),
                parsed.tbs_cert_list.as_ref(),
                &parsed.signature_value.data,
            )
    };
    let signers = authority.iter().filter(issued).collect::<Vec<_>>();
    if signers.is_empty() {
        return Err(CrlError::UnknownSigner);
    }
    let signer =
        signers.into_iter().find(|certificate| certificate.signs_crls).ok_or(CrlError::SignerMayNot)?;
    Ok(Crl {
        list: list.into(),
        signer: signer.spki.clone(),
        fresh: Window { from: parsed.last_update().timestamp(), until: next_update.timestamp() },
    })
}

/// Of several lists of one signer and scope only the newest counts: an older one may lack a
/// certificate that was revoked since, and webpki would stop at the first.
pub(super) fn newest(mut lists: Vec<Crl>) -> Vec<Crl> {
    lists.sort_by_key(|crl| std::cmp::Reverse(crl.fresh.from));
    let mut kept: Vec<Crl> = Vec::new();
    for crl in lists {
        let scope = crl.list.issuing_distribution_point();
        let superseded = kept
            .iter()
            .any(|newer| newer.signer == crl.signer && newer.list.issuing_distribution_point() == scope);
        if !superseded {
            kept.push(crl);
        }
    }
    kept
}

/// Whether a certificate of the path is revoked: `covered` verifies the path once more, with lists.
///
/// A certificate on any list of its issuer is revoked. That it is on none counts only where webpki
/// finds a list that speaks of it.
pub(super) fn revocation(
    lists: &[Crl],
    path: &VerifiedPath<'_>,
    now: Timestamp,
    covered: impl Fn(RevocationOptions<'_>) -> Result<(), Error>,
) -> Revocation {
    if lists.is_empty() {
        return Revocation::Unchecked;
    }
    let mut signers =
        path.intermediate_certificates().map(webpki::Cert::subject_public_key_info).collect::<Vec<_>>();
    signers.push(webpki::spki_for_anchor(path.anchor()));
    let relevant = lists
        .iter()
        .filter(|crl| signers.iter().any(|signer| signer.as_ref() == crl.signer))
        .collect::<Vec<_>>();
    let leaf = path.end_entity();
    let certificates = std::iter::once((leaf.issuer(), leaf.serial())).chain(
        path.intermediate_certificates().map(|certificate| (certificate.issuer(), certificate.serial())),
    );
    for (issuer, serial) in certificates {
        for crl in relevant.iter().filter(|crl| crl.list.issuer() == issuer) {
            // An entry that cannot be read could be this one.
            if !matches!(crl.list.find_serial(serial), Ok(None)) {
                return Revocation::Revoked;
            }
        }
    }
    let borrowed = relevant.iter().map(|crl| &crl.list).collect::<Vec<_>>();
    let Ok(options) = RevocationOptionsBuilder::new(&borrowed) else {
        return Revocation::Stale(Window::ALWAYS);
    };
    let options =
        options.with_depth(RevocationCheckDepth::Chain).with_status_policy(UnknownStatusPolicy::Deny).build();
    match covered(options) {
        Ok(()) => {}
        Err(Error::CertRevoked) => return Revocation::Revoked,
        Err(_) => return Revocation::Stale(Window::ALWAYS),
    }
    let fresh = relevant.iter().fold(Window::ALWAYS, |window, crl| window.and(crl.fresh));
    Revocation::within(fresh, now)
}
