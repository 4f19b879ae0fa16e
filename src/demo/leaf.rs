//! The certificates of the development PKI: what each one is for, and how long it lives.

use crate::access::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use time::OffsetDateTime;

const DAY: i64 = 24 * 60 * 60;
/// An authority lives for a year, a leaf for 90 days, a revocation list for 30.
pub(super) const CA_LIFE: i64 = 365 * DAY;
pub(super) const LEAF_LIFE: i64 = 90 * DAY;
pub(super) const CRL_LIFE: i64 = 30 * DAY;
/// Everything began a little earlier, for clocks that are behind.
const BACKDATE: i64 = 60 * 60;

/// What a leaf is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// The proxy's own certificate, naming each host.
    Server,
    /// A device; its id is the name of its file.
    Device,
    /// A device whose certificate is over already.
    ExpiredDevice,
    /// A workload with this SPIFFE ID.
    Workload(&'static str),
}

/// An authority: its file is `<file>.pem`.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuthoritySpec {
    pub(super) file: &'static str,
    pub(super) name: &'static str,
    /// Bound to `localhost`, so that a browser may be told to believe it.
    pub(super) local_only: bool,
    pub(super) crl: Option<&'static str>,
    pub(super) leaves: &'static [LeafSpec],
}

/// A leaf: its files are `<file>.pem` and `<file>.key`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeafSpec {
    pub(super) file: &'static str,
    pub(super) purpose: Purpose,
    pub(super) p12: bool,
    pub(super) revoked: bool,
}

const fn device(file: &'static str) -> LeafSpec {
    LeafSpec { file, purpose: Purpose::Device, p12: true, revoked: false }
}

/// Everything that is made.
pub(super) const AUTHORITIES: &[AuthoritySpec] = &[
    AuthoritySpec {
        file: "ca",
        name: "tiergate demo server CA",
        local_only: true,
        crl: None,
        leaves: &[LeafSpec { file: "server", purpose: Purpose::Server, p12: false, revoked: false }],
    },
    AuthoritySpec {
        file: "corporate-ca",
        name: "tiergate demo corporate device CA",
        local_only: false,
        crl: Some("corporate.crl"),
        leaves: &[
            device("issued"),
            LeafSpec { file: "revoked", purpose: Purpose::Device, p12: false, revoked: true },
            LeafSpec { file: "expired", purpose: Purpose::ExpiredDevice, p12: false, revoked: false },
        ],
    },
    AuthoritySpec {
        file: "mdm-ca",
        name: "tiergate demo MDM CA",
        local_only: false,
        crl: Some("mdm.crl"),
        leaves: &[device("enrolled")],
    },
    AuthoritySpec {
        file: "workload-ca",
        name: "tiergate demo workload CA",
        local_only: false,
        crl: None,
        leaves: &[LeafSpec {
            file: "service",
            purpose: Purpose::Workload("spiffe://corp.example/ns/billing/sa/sync"),
            p12: false,
            revoked: false,
        }],
    },
];

/// What an authority's certificate says.
pub(super) fn authority_params(
    spec: &AuthoritySpec,
    serial: SerialNumber,
    now: Timestamp,
) -> Result<CertificateParams, LeafError> {
    let mut params = named(spec.name, serial, now - BACKDATE, now + CA_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if spec.local_only {
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

/// What a leaf's certificate says.
pub(super) fn leaf_params(
    spec: &LeafSpec,
    hosts: &[&str],
    serial: SerialNumber,
    now: Timestamp,
) -> Result<CertificateParams, LeafError> {
    let (from, until) = match spec.purpose {
        Purpose::ExpiredDevice => (now - LEAF_LIFE, now - DAY),
        Purpose::Server | Purpose::Device | Purpose::Workload(_) => (now - BACKDATE, now + LEAF_LIFE),
    };
    let mut params = named(spec.file, serial, from, until)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match spec.purpose {
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::Device | Purpose::ExpiredDevice | Purpose::Workload(_) => {
            ExtendedKeyUsagePurpose::ClientAuth
        }
    }];
    match spec.purpose {
        Purpose::Server => {
            // Each host by its name: clients built on OpenSSL refuse `*.localhost`.
            for host in hosts {
                params.subject_alt_names.push(SanType::DnsName((*host).try_into()?));
            }
            params.subject_alt_names.push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
        }
        Purpose::Device | Purpose::ExpiredDevice => {}
        Purpose::Workload(id) => params.subject_alt_names.push(SanType::URI(id.try_into()?)),
    }
    Ok(params)
}

fn named(
    name: &str,
    serial: SerialNumber,
    from: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams, LeafError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, "tiergate demo");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial);
    params.not_before = moment(from)?;
    params.not_after = moment(until)?;
    Ok(params)
}

/// A timestamp as a date.
pub(super) fn moment(timestamp: Timestamp) -> Result<OffsetDateTime, LeafError> {
    Ok(OffsetDateTime::from_unix_timestamp(timestamp)?)
}

/// Why a certificate cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// The clock is out of the range of dates.
    #[error("the date is out of range")]
    Date(#[from] time::error::ComponentRange),
    /// A name is no name.
    #[error("a name cannot be written into a certificate")]
    Name(#[from] rcgen::Error),
}
