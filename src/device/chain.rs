//! Whether a leaf leads to the certificates of one issuer: the rules of a path.
//!
//! webpki builds and verifies paths; what it leaves to its caller is done here: the dates, path
//! length and key usage of trust anchors and intermediates.

use super::certificate::{self, Window};
use super::crl::{self, Crl, Revocation};
use super::signature::ALGORITHMS;
use crate::access::{Reason, Timestamp};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, Error, KeyUsage, RevocationOptions, VerifiedPath};

/// The certificates of one authority or trust domain.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    pub(super) anchors: Vec<Anchor>,
    /// Used beside those that the peer presents.
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    pub(super) crls: Vec<Crl>,
}

/// A certificate at which a path ends, with what webpki forgets of it.
#[derive(Debug)]
pub(super) struct Anchor {
    pub(super) trust: TrustAnchor<'static>,
    pub(super) validity: Window,
    /// How many intermediates may follow.
    pub(super) path_len: Option<u32>,
}

/// What one issuer says of a chain.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It issued it, and every date holds.
    Verified(Path),
    /// It issued it, but some date does not hold.
    Outdated(Path),
    /// It did not issue it, or not for this; whether another moment could change that.
    Refused { reason: Reason, timed: bool },
}

/// A verified path.
#[derive(Debug)]
pub(super) struct Path {
    /// When every certificate of it is valid.
    pub(super) window: Window,
    /// The key that signed the leaf, a DER `SubjectPublicKeyInfo`.
    pub(super) issuer_key: Vec<u8>,
    /// A certificate of it bounds the names below it.
    pub(super) constrained: bool,
    pub(super) revocation: Revocation,
}

impl Issuers {
    /// Whether `leaf`, a client's and valid for `validity`, leads to these issuers at `now`.
    pub(super) fn verify(
        &self,
        leaf: &EndEntityCert<'_>,
        presented: &[CertificateDer<'_>],
        validity: Window,
        now: Timestamp,
    ) -> Outcome {
        self.verify_for(KeyUsage::client_auth(), leaf, presented, validity, now)
    }

    /// The same for another purpose.
    pub(super) fn verify_for(
        &self,
        purpose: KeyUsage,
        leaf: &EndEntityCert<'_>,
        presented: &[CertificateDer<'_>],
        validity: Window,
        now: Timestamp,
    ) -> Outcome {
        let anchors = self.anchors.iter().filter(|anchor| anchor.validity.contains(now)).collect::<Vec<_>>();
        let error = match self.path(purpose, &anchors, leaf, presented, validity, now) {
            Ok(path) => return Outcome::Verified(path),
            Err(error) => error,
        };
        // Why not? Perhaps only for the dates: look once more, at a moment when the leaf was valid.
        let all = self.anchors.iter().collect::<Vec<_>>();
        let then = now.clamp(validity.from, validity.until.max(validity.from));
        if (then != now || all.len() != anchors.len())
            && let Ok(path) = self.path(purpose, &all, leaf, presented, validity, then)
        {
            return Outcome::Outdated(path);
        }
        if matches!(error, Error::CertExpired { .. } | Error::CertNotValidYet { .. }) {
            // The leaf is valid, so it is an intermediate that is not. And nobody vouches for a leaf
            // that would not verify even while it was valid.
            let reason = if then == now { Reason::DeviceAuthorityExpired } else { Reason::DeviceUntrusted };
            return Outcome::Refused { reason, timed: true };
        }
        Outcome::Refused { reason: reason(&error), timed: false }
    }

    fn path(
        &self,
        purpose: KeyUsage,
        anchors: &[&Anchor],
        leaf: &EndEntityCert<'_>,
        presented: &[CertificateDer<'_>],
        validity: Window,
        now: Timestamp,
    ) -> Result<Path, Error> {
        let trusted = anchors.iter().map(|anchor| anchor.trust.clone()).collect::<Vec<_>>();
        let intermediates =
            presented.iter().chain(&self.intermediates).map(|der| CertificateDer::from(der.as_ref()));
        let intermediates = intermediates.collect::<Vec<_>>();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
        let check = |path: &VerifiedPath<'_>| check_path(path, anchors);
        let verify = |revocation: Option<RevocationOptions<'_>>| {
            leaf.verify_for_usage(
                ALGORITHMS,
                &trusted,
                &intermediates,
                time,
                purpose,
                revocation,
                Some(&check),
            )
        };
        let path = verify(None)?;
        let mut window = validity;
        let mut constrained = path.anchor().name_constraints.is_some();
        for certificate in path.intermediate_certificates() {
            let der = certificate.der();
            let parsed = certificate::parse(&der).map_err(|_| Error::BadDer)?;
            window = window.and(certificate::validity(&parsed));
            constrained |= !matches!(parsed.name_constraints(), Ok(None));
        }
        if let Some(anchor) = anchor_of(&path, anchors) {
            window = window.and(anchor.validity);
        }
        let revocation = crl::revocation(&self.crls, &path, now, |options| verify(Some(options)).map(|_| ()));
        let issuer_key = path.issuer_spki().to_vec();
        Ok(Path { window, issuer_key, constrained, revocation })
    }
}

fn anchor_of<'a>(path: &VerifiedPath<'_>, anchors: &[&'a Anchor]) -> Option<&'a Anchor> {
    anchors.iter().find(|candidate| candidate.trust == *path.anchor()).copied()
}

/// What webpki does not look at: the anchor's path length, and `keyCertSign` of intermediates.
fn check_path(path: &VerifiedPath<'_>, anchors: &[&Anchor]) -> Result<(), Error> {
    let anchor = anchor_of(path, anchors).ok_or(Error::UnknownIssuer)?;
    let mut depth = 0_u32;
    for certificate in path.intermediate_certificates() {
        let der = certificate.der();
        let parsed = certificate::parse(&der).map_err(|_| Error::BadDer)?;
        match parsed.key_usage() {
            Ok(Some(usage)) if usage.value.key_cert_sign() => {}
            Ok(_) | Err(_) => return Err(Error::EndEntityUsedAsCa),
        }
        // A self-issued certificate (a key rollover) does not count (RFC 5280 §4.2.1.9).
        if certificate.subject() != certificate.issuer() {
            depth = depth.saturating_add(1);
        }
    }
    if anchor.path_len.is_some_and(|most| depth > most) {
        return Err(Error::PathLenConstraintViolated);
    }
    Ok(())
}

/// What a failure of webpki means for the person with the device.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors are open, and most mean the same")]
pub(super) fn reason(error: &Error) -> Reason {
    match error {
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Reason::DeviceNoClientAuth,
        Error::CaUsedAsEndEntity | Error::InvalidCertValidity => Reason::DeviceUnfit,
        Error::UnsupportedCriticalExtension => Reason::DeviceCriticalExtension,
        Error::UnsupportedSignatureAlgorithmContext(_) => Reason::DeviceWeakSignature,
        // The algorithm is known, and not for a key like the issuer's.
        Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Reason::DeviceWeakKey,
        Error::MaximumPathDepthExceeded => Reason::DeviceChainTooLong,
        _ => Reason::DeviceUntrusted,
    }
}
