//! What a certificate of the development authorities says, and what is read from one.

use super::serial::Serial;
use crate::access::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{
    Any, Class, Header, Length, Oid, Sequence, SerializeError, Tag, ToDer, Utf8String, oid,
};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

/// The organisation in every subject and issuer.
pub const NOT_FOR_PRODUCTION: &str = "tiergate development, not for production";
/// What earlier versions wrote there.
const BEFORE: &str = "tiergate demo";

/// Seconds of a day.
pub(crate) const DAY: Timestamp = 24 * 60 * 60;
/// Everything began a little earlier, for clocks that are behind.
pub(crate) const BACKDATE: Timestamp = 60 * 60;
/// No common name is longer (RFC 5280 appendix A.1, ub-common-name).
const MAX_COMMON_NAME: usize = 64;
/// `permanentIdentifier` (RFC 4043).
const PERMANENT_IDENTIFIER: Oid<'static> = oid!(1.3.6.1.5.5.7.8.3);
/// `subjectAltName` (RFC 5280 §4.2.1.6).
const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];

/// What a leaf is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose<'a> {
    /// The proxy's own certificate, naming each host.
    Server(&'a [&'a str]),
    /// A device; its id is the leaf's name.
    Device,
    /// A workload with this SPIFFE ID.
    Workload(&'a str),
}

/// A leaf that is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf<'a> {
    pub(crate) name: &'a str,
    pub(crate) purpose: Purpose<'a>,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// An authority that is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root<'a> {
    pub(crate) name: &'a str,
    /// Bound to `localhost`, so that a browser may be told to believe it.
    pub(crate) local_only: bool,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// Why a certificate cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// The clock is out of the range of dates.
    #[error("the date is out of range")]
    Date(#[from] time::error::ComponentRange),
    /// A name is no name.
    #[error("a name cannot be written into a certificate")]
    Name(#[from] rcgen::Error),
    /// A device's name is no name.
    #[error("a device's name cannot be written into a certificate")]
    Device(#[from] SerializeError),
}

impl Root<'_> {
    pub(crate) fn params(&self, serial: &Serial) -> Result<CertificateParams, DescribeError> {
        let Self { name, local_only, from, until } = *self;
        let mut params = named(name, serial, from, until)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if local_only {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![
                    GeneralSubtree::DnsName("localhost".to_owned()),
                    GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
                ],
                excluded_subtrees: Vec::new(),
            });
        }
        Ok(params)
    }
}

impl Leaf<'_> {
    pub(crate) fn params(&self, serial: &Serial) -> Result<CertificateParams, DescribeError> {
        let Self { name, purpose, from, until } = *self;
        let mut params = named(name, serial, from, until)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match purpose {
            Purpose::Server(_) => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Device | Purpose::Workload(_) => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        match purpose {
            Purpose::Server(hosts) => {
                // Each host by its name: clients built on OpenSSL refuse `*.localhost`.
                for host in hosts {
                    params.subject_alt_names.push(SanType::DnsName((*host).try_into()?));
                }
                params.subject_alt_names.push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
            }
            Purpose::Device => params
                .custom_extensions
                .push(CustomExtension::from_oid_content(&SUBJECT_ALT_NAME, permanent_identifier(name)?)),
            Purpose::Workload(id) => params.subject_alt_names.push(SanType::URI(id.try_into()?)),
        }
        Ok(params)
    }
}

fn named(
    name: &str,
    serial: &Serial,
    from: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams, DescribeError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, NOT_FOR_PRODUCTION);
    if name.len() <= MAX_COMMON_NAME {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.serial_number = Some(SerialNumber::from_slice(serial.bytes()));
    params.not_before = moment(from)?;
    params.not_after = moment(until)?;
    Ok(params)
}

/// A `subjectAltName` with one `permanentIdentifier`, where ACME `device-attest-01` issuers put it too.
fn permanent_identifier(name: &str) -> Result<Vec<u8>, SerializeError> {
    let value = Sequence::new(Utf8String::new(name).to_der_vec()?.into()).to_der_vec()?;
    let other_name = [PERMANENT_IDENTIFIER.to_der_vec()?, context_0(&value)?].concat();
    Sequence::new(context_0(&other_name)?.into()).to_der_vec()
}

/// `[0]` around this content, constructed.
fn context_0(content: &[u8]) -> Result<Vec<u8>, SerializeError> {
    let header = Header::new(Class::ContextSpecific, true, Tag(0), Length::Definite(content.len()));
    Any::new(header, content).to_der_vec()
}

/// A timestamp as a date.
pub(crate) fn moment(timestamp: Timestamp) -> Result<OffsetDateTime, DescribeError> {
    Ok(OffsetDateTime::from_unix_timestamp(timestamp)?)
}

/// What counts of a certificate that was made earlier.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) serial: Serial,
    /// The `SubjectPublicKeyInfo`, DER.
    pub(crate) public_key: Vec<u8>,
    /// Key identifiers: of its own key, and of the key that signed it.
    pub(crate) own_key: Option<Vec<u8>>,
    pub(crate) issuer_key: Option<Vec<u8>>,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    /// Its subject says that it is for development.
    pub(crate) is_marked: bool,
}

impl Made {
    /// The first certificate of a PEM text; `None` where there is none that can be read.
    pub(crate) fn read(pem: &str) -> Option<Self> {
        Self::new(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
    }

    /// `None` where the certificate cannot be read.
    pub(crate) fn new(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let (mut own_key, mut issuer_key) = (None, None);
        for extension in parsed.iter_extensions() {
            if let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() {
                own_key = Some(id.0.to_vec());
            }
            if let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() {
                issuer_key = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
        }
        let mut organizations = parsed.subject().iter_organization();
        let is_marked = organizations
            .any(|name| name.as_str().is_ok_and(|name| [NOT_FOR_PRODUCTION, BEFORE].contains(&name)));
        let serial = Serial::new(parsed.raw_serial());
        let public_key = parsed.public_key().raw.to_vec();
        let validity = parsed.validity();
        let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let der = der.clone().into_owned();
        Some(Self { der, serial, public_key, own_key, issuer_key, from, until, is_marked })
    }

    /// Whether this authority signed it, by the identifier of the key.
    pub(crate) fn is_of(&self, authority: &Self) -> bool {
        self.issuer_key.is_some() && self.issuer_key == authority.own_key
    }

    pub(crate) fn wears_out(&self, now: Timestamp) -> bool {
        wears_out(self.from, self.until, now)
    }
}

/// Whether less than a third of a life is left.
pub(crate) fn wears_out(from: Timestamp, until: Timestamp, now: Timestamp) -> bool {
    now < from || until.saturating_sub(now) < until.saturating_sub(from) / 3
}
