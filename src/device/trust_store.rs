//! Whose certificates are believed: authorities, trust domains and revocation lists, read from files.

use super::certificate::{self, Window};
use super::chain::{Anchor, Issuers};
use super::crl;
use super::demands::Demands;
use super::ocsp::Answers;
use super::workload;
use crate::access::{DeviceTrust, Timestamp};
use crate::config::{self, EvidenceLimits, IdentityKind};
use crate::diagnostic::Diagnostic;
use rustls::DistinguishedName;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use webpki::EndEntityCert;

/// No file of certificates is larger, nor holds more of them.
const MAX_CA_BYTES: u64 = 4 * 1024 * 1024;
const MAX_CA_CERTIFICATES: usize = 256;
/// No file of revocation lists is larger.
const MAX_CRL_BYTES: u64 = 64 * 1024 * 1024;

/// Whose certificates are believed, and how far. Made whole by [`TrustStore::load`] or not at all.
#[derive(Debug)]
pub struct TrustStore {
    pub(super) authorities: Vec<Authority>,
    pub(super) domains: Vec<Domain>,
    hints: Vec<DistinguishedName>,
    expiries: Vec<(&'static str, Arc<str>, Timestamp)>,
    answers: Arc<Answers>,
    pub(super) limits: EvidenceLimits,
    generation: u64,
}

/// From when to when the revocation lists of an authority hold.
#[derive(Clone, Copy, Debug)]
pub struct ListDates<'a> {
    /// The authority.
    pub authority: &'a str,
    /// The earliest `thisUpdate` of its lists.
    pub since: Timestamp,
    /// The earliest `nextUpdate` of its lists.
    pub until: Timestamp,
}

/// A device authority.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) name: Arc<str>,
    pub(super) grants: DeviceTrust,
    pub(super) issuers: Issuers,
    pub(super) demands: Demands,
    /// Where its certificates name the device, in order.
    pub(super) identity: Vec<IdentityKind>,
    pub(super) ocsp: Option<config::Ocsp>,
    /// A device that the inventory does not know is not trusted.
    pub(super) must_be_recorded: bool,
}

/// A SPIFFE trust domain.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) name: Arc<str>,
    pub(super) issuers: Issuers,
}

/// A certificate of an authority, with what is asked of it while loading.
#[derive(Debug)]
pub(super) struct CaCertificate {
    pub(super) der: CertificateDer<'static>,
    pub(super) subject: Vec<u8>,
    issuer: Vec<u8>,
    pub(super) spki: Vec<u8>,
    validity: Window,
    path_len: Option<u32>,
    pub(super) signs_crls: bool,
}

impl TrustStore {
    /// Reads every file that the configuration names. One that is missing, empty, garbage or not
    /// what it should be is an error: there is no state in which less is checked than was asked for.
    ///
    /// # Errors
    ///
    /// Every mistake, by file.
    pub fn load(
        authorities: &[config::Authority],
        domains: &[config::TrustDomain],
        generation: u64,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut loading = Loading::default();
        let authorities = authorities.iter().map(|raw| loading.authority(raw)).collect();
        let domains = domains.iter().map(|raw| loading.domain(raw)).collect();
        if !loading.mistakes.is_empty() {
            return Err(loading.mistakes);
        }
        let Loading { hints, expiries, .. } = loading;
        Ok(Self {
            authorities,
            domains,
            hints,
            expiries,
            answers: Arc::default(),
            limits: EvidenceLimits::default(),
            generation,
        })
    }

    /// The same, with how old what it believes may be.
    #[must_use]
    pub fn within(self, limits: EvidenceLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same, with what responders told the one before.
    #[must_use]
    pub fn keeping_answers_of(self, previous: &Self) -> Self {
        Self { answers: Arc::clone(&previous.answers), ..self }
    }

    /// What OCSP responders said of certificates.
    #[must_use]
    pub fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }

    /// The names a client is told, so that it offers only a certificate that fits: all authorities,
    /// intermediates and bundles.
    #[must_use]
    pub fn hints(&self) -> &[DistinguishedName] {
        &self.hints
    }

    /// When what was loaded ends: kind (`authority`, `trust_domain`, `crl`), name, last second. The
    /// earliest of each kind and name.
    pub fn expiries(&self) -> impl Iterator<Item = (&'static str, &str, Timestamp)> {
        self.expiries.iter().map(|(kind, name, until)| (*kind, name.as_ref(), *until))
    }

    /// The revocation lists of each authority that has any: from when the oldest is, and until when all hold.
    pub fn lists(&self) -> impl Iterator<Item = ListDates<'_>> {
        self.authorities.iter().filter_map(|authority| {
            let dates = authority.issuers.crls.iter().map(|crl| crl.fresh);
            let all = dates.reduce(|one, other| Window {
                from: one.from.min(other.from),
                until: one.until.min(other.until),
            })?;
            Some(ListDates { authority: &authority.name, since: all.from, until: all.until })
        })
    }

    /// Which load this is; verdicts of another are not believed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// What loading gathers on the way.
#[derive(Default)]
struct Loading {
    mistakes: Vec<Diagnostic>,
    hints: Vec<DistinguishedName>,
    expiries: Vec<(&'static str, Arc<str>, Timestamp)>,
}

impl Loading {
    fn authority(&mut self, raw: &config::Authority) -> Authority {
        // Destructured without `..`: a new key does not compile until it means something here.
        let config::Authority {
            name,
            ca,
            grants,
            crl,
            eku,
            require_extension,
            max_lifetime,
            identity,
            must_be_recorded,
            ocsp,
        } = raw;
        let name: Arc<str> = name.as_str().into();
        let certificates = ca.iter().flat_map(|path| self.certificates(path)).collect::<Vec<_>>();
        let mut lists = Vec::new();
        for path in crl {
            match read(path, MAX_CRL_BYTES).and_then(|bytes| Ok(crl::parse(&bytes, &certificates)?)) {
                Ok(found) => lists.extend(found),
                // Without its authority's certificates no list can be verified: one mistake, told once.
                Err(_) if certificates.is_empty() => {}
                Err(error) => self.mistake("D0201", path, "revocation list", &error.to_string()),
            }
        }
        if lists.len() > crl::MAX_LISTS {
            let path = crl.first().map_or(Path::new(""), |path| path);
            let label = format!("more than {} lists", crl::MAX_LISTS);
            self.mistake("D0201", path, "revocation list", &label);
        }
        let lists = crl::newest(lists);
        self.expiry("authority", &name, certificates.iter().map(|certificate| certificate.validity.until));
        self.expiry("crl", &name, lists.iter().map(|crl| crl.fresh.until));
        let mut issuers = self.issuers(&certificates);
        issuers.crls = lists;
        let demands = Demands {
            purposes: eku.clone(),
            extensions: require_extension.clone(),
            max_lifetime: max_lifetime.map(|most| i64::try_from(most.as_secs()).unwrap_or(i64::MAX)),
        };
        let (identity, ocsp) = (identity.0.clone(), ocsp.clone());
        Authority {
            name,
            grants: *grants,
            issuers,
            demands,
            identity,
            must_be_recorded: *must_be_recorded,
            ocsp,
        }
    }

    fn domain(&mut self, raw: &config::TrustDomain) -> Domain {
        let config::TrustDomain { name, bundle } = raw;
        if !workload::is_trust_domain(name) {
            self.mistake(
                "D0102",
                bundle,
                &format!("trust domain `{name}`"),
                "is not a SPIFFE trust domain name",
            );
        }
        let name: Arc<str> = name.as_str().into();
        let certificates = self.certificates(bundle);
        self.expiry("trust_domain", &name, certificates.iter().map(|certificate| certificate.validity.until));
        Domain { name, issuers: self.issuers(&certificates) }
    }

    /// Roots are where paths end; so is an intermediate that comes without its issuer, which is how
    /// a single subordinate authority is believed.
    fn issuers(&mut self, certificates: &[CaCertificate]) -> Issuers {
        let mut issuers = Issuers::default();
        for certificate in certificates {
            let hint = DistinguishedName::from(certificate.subject.clone());
            if !self.hints.iter().any(|known| known.as_ref() == hint.as_ref()) {
                self.hints.push(hint);
            }
            let below_another = certificate.issuer != certificate.subject
                && certificates.iter().any(|other| other.subject == certificate.issuer);
            if below_another {
                issuers.intermediates.push(certificate.der.clone());
            } else if let Ok(anchor) = webpki::anchor_from_trusted_cert(&certificate.der) {
                let CaCertificate { validity, path_len, .. } = certificate;
                let (trust, validity, path_len) = (anchor.to_owned(), *validity, *path_len);
                issuers.anchors.push(Anchor { trust, validity, path_len });
            }
        }
        issuers
    }

    fn certificates(&mut self, path: &Path) -> Vec<CaCertificate> {
        match read(path, MAX_CA_BYTES).and_then(|bytes| ca_certificates(&bytes)) {
            Ok(certificates) => certificates,
            Err(error) => {
                self.mistake("D0101", path, "authority file", &error.to_string());
                Vec::new()
            }
        }
    }

    fn expiry(&mut self, kind: &'static str, name: &Arc<str>, ends: impl Iterator<Item = Timestamp>) {
        if let Some(first) = ends.min() {
            self.expiries.push((kind, Arc::clone(name), first));
        }
    }

    fn mistake(&mut self, code: &'static str, path: &Path, what: &str, label: &str) {
        self.mistakes.push(Diagnostic::error(code, path, 0..0, format!("{what} {label}")));
    }
}

/// Why a file of an authority is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    #[error("is not PEM")]
    NotPem,
    #[error("holds no certificate")]
    Empty,
    #[error("holds more than {MAX_CA_CERTIFICATES} certificates")]
    TooMany,
    #[error("holds a private key, which does not belong here")]
    PrivateKey,
    #[error("holds something that is no certificate")]
    Foreign,
    #[error("holds a certificate that cannot be used: {0}")]
    Certificate(&'static str),
    #[error(transparent)]
    Crl(#[from] crl::CrlError),
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(LoadError::TooLarge(most));
    }
    Ok(bytes)
}

fn ca_certificates(bytes: &[u8]) -> Result<Vec<CaCertificate>, LoadError> {
    let mut certificates = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        match section.map_err(|_| LoadError::NotPem)? {
            (SectionKind::Certificate, der) => certificates.push(ca_certificate(&der)?),
            (SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _) => {
                return Err(LoadError::PrivateKey);
            }
            _ => return Err(LoadError::Foreign),
        }
        if certificates.len() > MAX_CA_CERTIFICATES {
            return Err(LoadError::TooMany);
        }
    }
    if certificates.is_empty() {
        return Err(LoadError::Empty);
    }
    Ok(certificates)
}

/// A certificate that may issue client certificates. An expired one loads, so that one old root
/// does not keep tiergate from starting; nothing verifies with it.
pub(super) fn ca_certificate(der: &[u8]) -> Result<CaCertificate, LoadError> {
    let parsed = certificate::parse(der).map_err(|error| {
        LoadError::Certificate(match error {
            certificate::EvidenceError::NotVersion3 => "it is not of version 3",
            certificate::EvidenceError::TooLarge => "it is too large",
            certificate::EvidenceError::Empty | certificate::EvidenceError::Malformed => {
                "it cannot be parsed"
            }
        })
    })?;
    let path_len = match parsed.basic_constraints() {
        Ok(Some(basic)) if basic.value.ca => basic.value.path_len_constraint,
        Ok(_) | Err(_) => return Err(LoadError::Certificate("it is not an authority's")),
    };
    let signs_crls = match parsed.key_usage() {
        // Where it names no usage, it may do both (RFC 5280 §6.1.4 (n), §6.3.3 (f)): many roots are made so.
        Ok(None) => true,
        Ok(Some(usage)) if usage.value.key_cert_sign() => usage.value.crl_sign(),
        Ok(Some(_)) | Err(_) => {
            return Err(LoadError::Certificate("it may not sign certificates (`keyCertSign`)"));
        }
    };
    match parsed.extended_key_usage() {
        Ok(None) => {}
        Ok(Some(purposes)) if purposes.value.client_auth || purposes.value.any => {}
        Ok(Some(_)) | Err(_) => return Err(LoadError::Certificate("it may not issue for `clientAuth`")),
    }
    let certificate = CaCertificate {
        subject: parsed.subject().as_raw().to_vec(),
        issuer: parsed.issuer().as_raw().to_vec(),
        spki: parsed.public_key().raw.to_vec(),
        validity: certificate::validity(&parsed),
        path_len,
        signs_crls,
        der: CertificateDer::from(der.to_owned()),
    };
    // An anchor is taken as it is; as a certificate it must be understood, critical extensions above all.
    let understood = EndEntityCert::try_from(&certificate.der).is_ok();
    if !understood || webpki::anchor_from_trusted_cert(&certificate.der).is_err() {
        return Err(LoadError::Certificate("it has an extension that is not understood"));
    }
    Ok(certificate)
}
