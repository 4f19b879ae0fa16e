//! A responder for the tests: answers written by hand, so that what reads them is not asked by itself.

use super::wire::Asked;
use crate::access::Timestamp;
use crate::device::zoo::{DAY, Made, NOW, at, tlv};
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use rcgen::SigningKey;
use time::macros::format_description;

pub(in crate::device) const GOOD: &[u8] = &[0x80, 0];
pub(in crate::device) const UNKNOWN: &[u8] = &[0x82, 0];

/// `[1] RevokedInfo`.
pub(in crate::device) fn revoked() -> Vec<u8> {
    tlv(0xa1, &moment(NOW - DAY))
}

/// What an answer says; the default is a good one.
pub(in crate::device) struct Reply {
    pub(in crate::device) status: Vec<u8>,
    pub(in crate::device) produced: Timestamp,
    pub(in crate::device) this: Timestamp,
    pub(in crate::device) next: Option<Timestamp>,
    pub(in crate::device) hash: &'static digest::Algorithm,
    /// In the answer as a whole, and about the certificate.
    pub(in crate::device) extensions: [Vec<u8>; 2],
    /// Single responses before this one.
    pub(in crate::device) before: Vec<Vec<u8>>,
    /// Certificates of responders.
    pub(in crate::device) certificates: Vec<Vec<u8>>,
}

impl Default for Reply {
    fn default() -> Self {
        Self {
            status: GOOD.to_vec(),
            produced: NOW - 60,
            this: NOW - 60,
            next: Some(NOW + 3600),
            hash: &SHA1_FOR_LEGACY_USE_ONLY,
            extensions: [Vec::new(), Vec::new()],
            before: Vec::new(),
            certificates: Vec::new(),
        }
    }
}

impl Reply {
    /// `SingleResponse` about a certificate.
    pub(in crate::device) fn single(&self, asked: &Asked) -> Vec<u8> {
        let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&asked.issuer_key).unwrap();
        let oid: &[u8] = if self.hash == &SHA256 {
            &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]
        } else {
            &[0x2b, 0x0e, 3, 2, 0x1a]
        };
        let hashed = |bytes: &[u8]| tlv(0x04, digest::digest(self.hash, bytes).as_ref());
        let id = [
            tlv(0x30, &[tlv(0x06, oid), tlv(0x05, &[])].concat()),
            hashed(&asked.issuer),
            hashed(&key.subject_public_key.data),
            tlv(0x02, &asked.serial),
        ];
        let next = self.next.map_or(Vec::new(), |next| tlv(0xa0, &moment(next)));
        let parts = [
            tlv(0x30, &id.concat()),
            self.status.clone(),
            moment(self.this),
            next,
            wrapped(&self.extensions[1]),
        ];
        tlv(0x30, &parts.concat())
    }

    /// The whole answer, signed by this key.
    pub(in crate::device) fn signed_by(&self, asked: &Asked, signer: &Made) -> Vec<u8> {
        let singles = [self.before.concat(), self.single(asked)].concat();
        let data = [
            tlv(0xa2, &tlv(0x04, &[7; 20])),
            moment(self.produced),
            tlv(0x30, &singles),
            wrapped(&self.extensions[0]),
        ];
        let data = tlv(0x30, &data.concat());
        let signature = [vec![0], SigningKey::sign(&signer.key, &data).unwrap()].concat();
        let certificates = match self.certificates.concat() {
            none if none.is_empty() => none,
            some => tlv(0xa0, &tlv(0x30, &some)),
        };
        let algorithm = tlv(0x30, &tlv(0x06, crate::device::zoo::ECDSA_SHA256));
        let basic = tlv(0x30, &[data, algorithm, tlv(0x03, &signature), certificates].concat());
        let kind = tlv(0x06, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]);
        let bytes = tlv(0xa0, &tlv(0x30, &[kind, tlv(0x04, &basic)].concat()));
        tlv(0x30, &[vec![0x0a, 1, 0], bytes].concat())
    }
}

use x509_parser::prelude::FromDer as _;

/// `GeneralizedTime`.
fn moment(timestamp: Timestamp) -> Vec<u8> {
    let format = format_description!("[year][month][day][hour][minute][second]Z");
    tlv(0x18, at(timestamp).format(format).unwrap().as_bytes())
}

fn wrapped(extensions: &[u8]) -> Vec<u8> {
    if extensions.is_empty() { Vec::new() } else { tlv(0xa1, &tlv(0x30, extensions)) }
}
