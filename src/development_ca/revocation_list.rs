//! An authority's revocation list (RFC 5280 §5): the one place that says what it revoked.
//!
//! Invariants: a list that is written anew keeps every entry of the one before, and its number rises.

use super::CaError;
use super::certificate::{Made, moment, wears_out};
use super::pair::Pair;
use super::serial::Serial;
use crate::access::Timestamp;
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::ReasonCode;

/// A list is valid from a minute ago, for clocks that are behind.
const BACKDATE: Timestamp = 60;

/// What an authority revoked, and how old the list is.
#[derive(Debug, Default)]
pub(crate) struct RevocationList {
    entries: Vec<Entry>,
    pub(crate) number: u64,
    from: Timestamp,
    pub(crate) until: Timestamp,
    /// The identifier of the key that signed it.
    signer: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Entry {
    serial: Serial,
    at: Timestamp,
    reason: Option<RevocationReason>,
}

impl RevocationList {
    /// The list of a PEM text; `None` where it is none, or says what such a list does not say.
    pub(crate) fn read(pem: &str) -> Option<Self> {
        let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (_, list) = CertificateRevocationList::from_der(&der).ok()?;
        let signer = list.extensions().iter().find_map(|extension| {
            let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() else {
                return None;
            };
            id.key_identifier.as_ref().map(|id| id.0.to_vec())
        });
        let entries = list.iter_revoked_certificates().map(|entry| Entry {
            serial: Serial::new(entry.raw_serial()),
            at: entry.revocation_date.timestamp(),
            reason: entry.reason_code().and_then(|(_, code)| reason(code)),
        });
        let number = list.crl_number().map_or(Some(0), |number| u64::try_from(number).ok())?;
        Some(Self {
            entries: entries.collect(),
            number,
            from: list.last_update().timestamp(),
            until: list.next_update()?.timestamp(),
            signer,
        })
    }

    /// Whether this authority signed it, by the identifier of the key.
    pub(crate) fn is_of(&self, authority: &Made) -> bool {
        self.signer.is_some() && self.signer == authority.own_key
    }

    pub(crate) fn wears_out(&self, now: Timestamp) -> bool {
        wears_out(self.from, self.until, now)
    }

    /// How many certificates are on it.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Since when a certificate is on it.
    pub(crate) fn since(&self, serial: &Serial) -> Option<Timestamp> {
        self.entries.iter().find(|entry| entry.serial == *serial).map(|entry| entry.at)
    }

    /// Adds a certificate that is not on it yet.
    pub(crate) fn add(&mut self, serial: &Serial, at: Timestamp, reason: Option<RevocationReason>) {
        if self.since(serial).is_none() {
            self.entries.push(Entry { serial: serial.clone(), at, reason });
        }
    }

    /// The list anew, good for `life` seconds, as PEM; its number and dates are the new ones.
    pub(crate) fn renew(
        &mut self,
        authority: &Pair,
        now: Timestamp,
        life: Timestamp,
    ) -> Result<String, CaError> {
        // The time, as long as it runs forward: a list that was lost begins no lower than it was.
        self.number = self.number.saturating_add(1).max(u64::try_from(now).unwrap_or(1));
        (self.from, self.until) = (now - BACKDATE, now + life);
        let revoked_certs = self.entries.iter().map(|Entry { serial, at, reason }| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(serial.bytes()),
                revocation_time: moment(*at)?,
                reason_code: *reason,
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update: moment(self.from)?,
            next_update: moment(self.until)?,
            crl_number: SerialNumber::from(self.number),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect::<Result<_, CaError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&authority.issuer()?)?.pem()?)
    }
}

/// RFC 5280 §5.3.1; `unspecified` is better left out.
const fn reason(code: ReasonCode) -> Option<RevocationReason> {
    match code.0 {
        1 => Some(RevocationReason::KeyCompromise),
        2 => Some(RevocationReason::CaCompromise),
        3 => Some(RevocationReason::AffiliationChanged),
        4 => Some(RevocationReason::Superseded),
        5 => Some(RevocationReason::CessationOfOperation),
        6 => Some(RevocationReason::CertificateHold),
        9 => Some(RevocationReason::PrivilegeWithdrawn),
        10 => Some(RevocationReason::AaCompromise),
        _ => None,
    }
}
