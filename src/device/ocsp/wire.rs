//! Questions and answers as bytes (RFC 6960 §4): what a question says, and what an answer is worth.

use crate::access::Timestamp;
use crate::device::certificate::{self, Window};
use crate::device::signature;
use aws_lc_rs::digest;
use der::asn1::{Any, BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Enumerated, Sequence, Tag, TagNumber};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// How far a responder's clock may be ahead, in seconds.
const SKEW: i64 = 5 * 60;
/// How long an answer counts that does not say, in seconds.
const LONGEST_WITHOUT_END: i64 = 7 * 86_400;
/// Certificates of responders that are looked at in an answer.
const MAX_RESPONDERS: usize = 4;

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// `CertStatus`, a choice by its tag.
const GOOD: Tag = Tag::ContextSpecific { number: TagNumber(0), constructed: false };
const REVOKED: Tag = Tag::ContextSpecific { number: TagNumber(1), constructed: true };
const UNKNOWN: Tag = Tag::ContextSpecific { number: TagNumber(2), constructed: false };

/// Which certificate a question is about, and who must sign the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::device) struct Asked {
    /// The issuer's name, a DER `Name`.
    pub(in crate::device) issuer: Vec<u8>,
    /// The issuer's `SubjectPublicKeyInfo`.
    pub(in crate::device) issuer_key: Vec<u8>,
    /// The content of the serial number.
    pub(in crate::device) serial: Vec<u8>,
}

/// What an answer that counts says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::device) struct Answer {
    pub(super) status: Status,
    /// `thisUpdate`.
    pub(super) made: Timestamp,
    /// When it counts.
    pub(super) window: Window,
}

/// What a responder says of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::device) enum Status {
    Good,
    Revoked,
    /// It does not know the certificate.
    Unknown,
}

/// Why an answer does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::device) enum AnswerError {
    #[error("the answer cannot be parsed")]
    Malformed,
    #[error("the responder refused: status {0}")]
    Refused(u8),
    #[error("the answer is of a type that is not known")]
    Type,
    #[error("the answer has a critical extension that is not understood")]
    CriticalExtension,
    #[error("neither the certificate's issuer nor a responder of its signed the answer")]
    Signature,
    #[error("the answer is about another certificate")]
    Other,
    #[error("the answer is of the future")]
    NotYet,
    #[error("the answer has expired")]
    Expired,
}

#[derive(Sequence)]
struct OcspRequest {
    tbs: TbsRequest,
}

#[derive(Sequence)]
struct TbsRequest {
    list: Vec<Request>,
}

#[derive(Sequence)]
struct Request {
    id: CertId,
}

#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
pub(super) struct CertId {
    pub(super) algorithm: Algorithm,
    pub(super) name_hash: OctetString,
    pub(super) key_hash: OctetString,
    pub(super) serial: Any,
}

#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
pub(super) struct Algorithm {
    pub(super) oid: ObjectIdentifier,
    #[asn1(optional = "true")]
    pub(super) parameters: Option<Any>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Enumerated)]
#[repr(u8)]
pub(super) enum ResponseStatus {
    Successful = 0,
    MalformedRequest = 1,
    InternalError = 2,
    TryLater = 3,
    SigRequired = 5,
    Unauthorized = 6,
}

#[derive(Sequence)]
pub(super) struct OcspResponse {
    pub(super) status: ResponseStatus,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) bytes: Option<ResponseBytes>,
}

#[derive(Sequence)]
pub(super) struct ResponseBytes {
    pub(super) kind: ObjectIdentifier,
    pub(super) response: OctetString,
}

#[derive(Sequence)]
pub(super) struct BasicResponse {
    /// `ResponseData`, as the bytes that were signed.
    pub(super) data: Any,
    pub(super) algorithm: Algorithm,
    pub(super) signature: BitString,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) certificates: Option<Vec<Any>>,
}

#[derive(Sequence)]
pub(super) struct ResponseData {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) version: Option<u8>,
    /// By name or by key; who signed is found by the signature.
    pub(super) responder: Any,
    pub(super) produced_at: GeneralizedTime,
    pub(super) responses: Vec<SingleResponse>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<Extension>>,
}

#[derive(Sequence)]
pub(super) struct SingleResponse {
    pub(super) id: CertId,
    /// `[0]` good, `[1]` revoked, `[2]` unknown.
    pub(super) status: Any,
    pub(super) this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) next_update: Option<GeneralizedTime>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<Extension>>,
}

#[derive(Sequence)]
pub(super) struct Extension {
    pub(super) oid: ObjectIdentifier,
    #[asn1(default = "no")]
    pub(super) critical: bool,
    pub(super) value: OctetString,
}

const fn no() -> bool {
    false
}

impl Asked {
    /// The identifier by one hash; `None` where the issuer's key is none.
    pub(super) fn id(&self, hash: &'static digest::Algorithm, oid: ObjectIdentifier) -> Option<CertId> {
        let (_, key) = SubjectPublicKeyInfo::from_der(&self.issuer_key).ok()?;
        let hashed = |bytes: &[u8]| OctetString::new(digest::digest(hash, bytes).as_ref().to_vec()).ok();
        Some(CertId {
            algorithm: Algorithm { oid, parameters: Some(Any::from(Null)) },
            name_hash: hashed(&self.issuer)?,
            key_hash: hashed(&key.subject_public_key.data)?,
            serial: Any::new(Tag::Integer, self.serial.clone()).ok()?,
        })
    }

    /// The identifier that every responder understands: names are found by SHA-1, nothing is proved by it.
    pub(super) fn sha1_id(&self) -> Option<CertId> {
        self.id(&digest::SHA1_FOR_LEGACY_USE_ONLY, SHA1)
    }

    fn is_about(&self, id: &CertId) -> bool {
        let ours = if id.algorithm.oid == SHA256 { self.id(&digest::SHA256, SHA256) } else { self.sha1_id() };
        // Parameters are left out by some and null with others.
        ours.is_some_and(|ours| {
            (ours.algorithm.oid, ours.name_hash, ours.key_hash, ours.serial)
                == (id.algorithm.oid, id.name_hash.clone(), id.key_hash.clone(), id.serial.clone())
        })
    }

    /// The question, DER (RFC 5019 §2.1: one certificate, no nonce, so that answers can be cached).
    pub(super) fn question(&self) -> Option<Vec<u8>> {
        let id = self.sha1_id()?;
        OcspRequest { tbs: TbsRequest { list: vec![Request { id }] } }.to_der().ok()
    }

    /// What an answer to it is worth at `now`.
    pub(in crate::device) fn read(&self, der: &[u8], now: Timestamp) -> Result<Answer, AnswerError> {
        let response = OcspResponse::from_der(der).map_err(|_| AnswerError::Malformed)?;
        if response.status != ResponseStatus::Successful {
            return Err(AnswerError::Refused(response.status as u8));
        }
        let bytes = response.bytes.ok_or(AnswerError::Malformed)?;
        if bytes.kind != BASIC {
            return Err(AnswerError::Type);
        }
        let basic = BasicResponse::from_der(bytes.response.as_bytes()).map_err(|_| AnswerError::Malformed)?;
        let signed = basic.data.to_der().map_err(|_| AnswerError::Malformed)?;
        if !self.signed(&basic, &signed, now) {
            return Err(AnswerError::Signature);
        }
        // Only now is anything in it looked at.
        let data = ResponseData::from_der(&signed).map_err(|_| AnswerError::Malformed)?;
        if data.version.is_some_and(|version| version != 0) {
            return Err(AnswerError::Type);
        }
        understood(data.extensions.as_deref())?;
        if seconds(&data.produced_at) > now.saturating_add(SKEW) {
            return Err(AnswerError::NotYet);
        }
        let mut found = None;
        for single in data.responses.iter().filter(|single| self.is_about(&single.id)) {
            let answer = single.read(now)?;
            // Of several the one that revokes counts, then the first.
            if answer.status == Status::Revoked {
                return Ok(answer);
            }
            found.get_or_insert(answer);
        }
        found.ok_or(AnswerError::Other)
    }

    /// Whether the issuer signed it, or a responder that the issuer certified for this (RFC 6960 §4.2.2.2).
    fn signed(&self, basic: &BasicResponse, signed: &[u8], now: Timestamp) -> bool {
        let Some(signature) = basic.signature.as_bytes() else { return false };
        let by = |key: &[u8]| signature::is_by(key, basic.algorithm.oid.as_bytes(), signed, signature);
        if by(&self.issuer_key) {
            return true;
        }
        let responders = basic.certificates.iter().flatten().take(MAX_RESPONDERS);
        responders
            .filter_map(|certificate| certificate.to_der().ok())
            .any(|der| self.responder_key(&der, now).is_some_and(|key| by(&key)))
    }

    /// The key of a responder that this issuer delegated.
    fn responder_key(&self, der: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let parsed = certificate::parse(der).ok()?;
        let certificate = CertificateDer::from(der);
        // Refuses what it does not understand, critical extensions above all.
        EndEntityCert::try_from(&certificate).ok()?;
        let signs = match parsed.key_usage() {
            Ok(usage) => usage.is_none_or(|usage| usage.value.digital_signature()),
            Err(_) => false,
        };
        let for_this =
            matches!(parsed.extended_key_usage(), Ok(Some(purposes)) if purposes.value.ocsp_signing);
        let by_issuer = parsed.issuer().as_raw() == self.issuer
            && signature::is_by(
                &self.issuer_key,
                parsed.signature_algorithm.algorithm.as_bytes(),
                parsed.tbs_certificate.as_ref(),
                &parsed.signature_value.data,
            );
        let counts = signs && for_this && by_issuer && certificate::validity(&parsed).contains(now);
        counts.then(|| parsed.public_key().raw.to_vec())
    }
}

impl SingleResponse {
    fn read(&self, now: Timestamp) -> Result<Answer, AnswerError> {
        understood(self.extensions.as_deref())?;
        let made = seconds(&self.this_update);
        if made > now.saturating_add(SKEW) {
            return Err(AnswerError::NotYet);
        }
        let status = match (self.status.header().tag(), self.status.value().is_empty()) {
            (GOOD, true) => Status::Good,
            (REVOKED, false) => Status::Revoked,
            (UNKNOWN, true) => Status::Unknown,
            (_, true | false) => return Err(AnswerError::Malformed),
        };
        let until = self.next_update.as_ref().map_or(made.saturating_add(LONGEST_WITHOUT_END), seconds);
        if status != Status::Revoked && now > until {
            return Err(AnswerError::Expired);
        }
        // What the responder's clock is ahead is no reason to believe it later.
        Ok(Answer { status, made, window: Window { from: made.saturating_sub(SKEW), until } })
    }
}

fn understood(extensions: Option<&[Extension]>) -> Result<(), AnswerError> {
    let critical = extensions.into_iter().flatten().any(|extension| extension.critical);
    if critical { Err(AnswerError::CriticalExtension) } else { Ok(()) }
}

fn seconds(time: &GeneralizedTime) -> Timestamp {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}
