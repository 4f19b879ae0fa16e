//! The cases of C2SP/x509-limbo through the verifier: what it is given is a path, and what it makes of it
//! is compared with what the suite expects and with what webpki says of the same.
//!
//! Most leaves are servers' and state `serverAuth`, so for those cases the path is verified for that
//! purpose instead of `clientAuth`: signatures, dates, path building and length, name constraints, key
//! usages of issuers and revocation lists are then those of production. Left aside is what is asked of a
//! client's leaf alone (`fault`, its name, the demands of its authority), which has tests of its own.
//! A path counts as accepted if every date holds and nothing is revoked or unknown. The name of a server
//! is no part of a client's certificate and is not looked at.

use super::*;
use crate::device::chain::Outcome;
use crate::device::crl::Revocation;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateRevocationListDer, TrustAnchor, UnixTime};
use serde::Deserialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage, RevocationOptionsBuilder,
};

#[derive(Deserialize)]
struct Suite {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    expected_result: String,
    crls: Option<Vec<String>>,
}

impl Case {
    fn now(&self) -> Timestamp {
        let format = &time::format_description::well_known::Rfc3339;
        let time = self.validation_time.as_ref().map(|text| OffsetDateTime::parse(text, format).unwrap());
        time.map_or(NOW, OffsetDateTime::unix_timestamp)
    }

    fn purpose(&self) -> KeyUsage {
        if self.validation_kind == "CLIENT" { KeyUsage::client_auth() } else { KeyUsage::server_auth() }
    }

    fn crls(&self) -> &[String] {
        self.crls.as_deref().unwrap_or_default()
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        std::iter::once(&self.peer_certificate)
            .chain(&self.untrusted_intermediates)
            .map(|pem| der(pem))
            .collect()
    }

    /// What this verifier says, and why not.
    fn ours(&self) -> Result<(), String> {
        let estate = Estate::new();
        let ca = vec![estate.file("ca.pem", self.trusted_certs.concat())];
        let crls =
            self.crls().iter().enumerate().map(|(n, pem)| estate.file(&format!("{n}.crl"), pem)).collect();
        let trust = estate.raw_authority(ca, crls).load(1).map_err(|mistakes| {
            mistakes.iter().map(|mistake| mistake.message.clone()).collect::<Vec<_>>().join("; ")
        })?;
        let chain = self.chain();
        Evidence::parse(&chain).map_err(|error| error.to_string())?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
        let validity = crate::device::certificate::validity(&parsed);
        let leaf = EndEntityCert::try_from(&chain[0]).map_err(|error| format!("{error:?}"))?;
        let issuers = &trust.authorities[0].issuers;
        match issuers.verify_for(self.purpose(), &leaf, &chain[1..], validity, self.now()) {
            Outcome::Verified(path) => match path.revocation {
                Revocation::Unchecked | Revocation::Good(_) => Ok(()),
                Revocation::Stale(_) => Err("evidence_stale".to_owned()),
                Revocation::Revoked => Err("device_revoked".to_owned()),
            },
            Outcome::Outdated(_) => Err("outdated".to_owned()),
            Outcome::Refused { reason, .. } => Err(reason.to_string()),
        }
    }

    /// Whether the leaf is no client's, whatever it leads to.
    fn leaf_is_refused(&self) -> bool {
        let der = der(&self.peer_certificate);
        let parsed = crate::device::certificate::parse(&der).unwrap();
        crate::device::certificate::leaf(&parsed).fault.is_some()
    }

    /// What webpki says of the same, by itself.
    fn webpki(&self) -> bool {
        let roots = self.trusted_certs.iter().map(|pem| der(pem)).collect::<Vec<_>>();
        let anchors = roots
            .iter()
            .filter_map(|der| webpki::anchor_from_trusted_cert(der).ok())
            .collect::<Vec<TrustAnchor<'_>>>();
        let chain = self.chain();
        let Ok(leaf) = EndEntityCert::try_from(&chain[0]) else { return false };
        let lists = self.crls().iter().map(|pem| {
            let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap();
            BorrowedCertRevocationList::from_der(&der)
                .and_then(|list| list.to_owned())
                .map(CertRevocationList::from)
        });
        let Ok(lists) = lists.collect::<Result<Vec<_>, _>>() else { return false };
        let borrowed = lists.iter().collect::<Vec<_>>();
        let options = RevocationOptionsBuilder::new(&borrowed).ok().map(RevocationOptionsBuilder::build);
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.now().unsigned_abs()));
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        leaf.verify_for_usage(algorithms, &anchors, &chain[1..], time, self.purpose(), options, None).is_ok()
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn cert_30_no_public_case_is_accepted_that_webpki_refuses_and_every_deviation_is_known() {
    let text = include_str!("../../../tests/vectors/limbo.json");
    let suite: Suite = serde_json::from_str(text).unwrap();
    assert_eq!(suite.testcases.len(), 194);
    let known: BTreeMap<&str, Why> = DEVIATIONS.iter().copied().collect();
    assert_eq!(known.len(), DEVIATIONS.len(), "a case stands twice in the table");
    let mut wrong = Vec::new();
    let (mut as_expected, mut stricter_than_webpki) = (0, 0);
    for case in &suite.testcases {
        let (ours, expected) = (case.ours(), case.expected_result == "SUCCESS");
        let webpki = case.webpki();
        if ours.is_ok() && !webpki {
            wrong.push(format!("{}: accepted, and webpki refuses it", case.id));
        }
        stricter_than_webpki += usize::from(ours.is_err() && webpki);
        as_expected += usize::from(ours.is_ok() == expected);
        let deviates = ours.is_ok() != expected;
        match known.get(case.id.as_str()) {
            None if deviates => {
                wrong.push(format!("{}: {ours:?}, expected {expected}, webpki {webpki}", case.id))
            }
            Some(_) if !deviates => {
                wrong.push(format!("{}: as expected now; take it off the table", case.id))
            }
            // What is let in must be something that is not asked of a client's path.
            Some(Why::LeafAlone) if !case.leaf_is_refused() => {
                wrong.push(format!("{}: the leaf is fit", case.id))
            }
            Some(why) if ours.is_ok() != why.lets_in() => {
                wrong.push(format!("{}: {why:?}, and {ours:?}", case.id))
            }
            None | Some(_) => {}
        }
    }
    for id in known.keys().filter(|id| !suite.testcases.iter().any(|case| case.id == **id)) {
        wrong.push(format!("{id}: no such case"));
    }
    eprintln!(
        "limbo: {as_expected} as expected, {} deviate, {stricter_than_webpki} refused that webpki accepts",
        known.len()
    );
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Why a case is decided otherwise than the suite expects. `docs/devices.md` says more of each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Why {
    /// Let in: the name of a server is wrong, and a client has none.
    ServerName,
    /// Let in as a path: it is the leaf alone that is wrong, which is looked at behind it.
    LeafAlone,
    /// Let in: a rule of form, such as of key identifiers, criticality or serial numbers, from which
    /// nobody gains trust.
    Profile,
    /// Let in: the case sets a depth of its own; here it is six intermediates, always.
    Depth,
    /// Refused: name constraints of a kind that the library does not know.
    NameKind,
    /// Refused: an authority is no device.
    AuthorityAsLeaf,
    /// Refused: an authority that cannot be understood is refused with its whole file, used or not.
    WholeFile,
    /// Refused: the library counts certificates that a name issued to itself towards the path's length.
    SelfIssued,
}

impl Why {
    fn lets_in(self) -> bool {
        match self {
            Self::ServerName | Self::LeafAlone | Self::Profile | Self::Depth => true,
            Self::NameKind | Self::AuthorityAsLeaf | Self::WholeFile | Self::SelfIssued => false,
        }
    }
}

const DEVIATIONS: &[(&str, Why)] = &[
    ("crl::crlnumber-critical", Why::Profile),
    ("crl::crlnumber-missing", Why::Profile),
    ("pathlen::max-chain-depth-0-exhausted", Why::Depth),
    ("pathlen::max-chain-depth-1-exhausted", Why::Depth),
    ("pathlen::self-issued-certs-pathlen", Why::SelfIssued),
    ("pathlen::validation-ignores-pathlen-in-leaf", Why::AuthorityAsLeaf),
    ("rfc5280::aki::cross-signed-root-missing-aki", Why::Profile),
    ("rfc5280::aki::intermediate-missing-aki", Why::Profile),
    ("rfc5280::aki::leaf-missing-aki", Why::Profile),
    ("rfc5280::ca-as-leaf", Why::AuthorityAsLeaf),
    ("rfc5280::ca-empty-subject", Why::Profile),
    ("rfc5280::leaf-ku-keycertsign", Why::LeafAlone),
    ("rfc5280::nc::invalid-dnsname-leading-period", Why::Profile),
    ("rfc5280::nc::nc-permits-email-domain", Why::NameKind),
    ("rfc5280::nc::nc-permits-email-exact", Why::NameKind),
    ("rfc5280::nc::nc-permits-email-literal-asterisk-exact-match", Why::NameKind),
    ("rfc5280::nc::nc-permits-email-literal-double-asterisk", Why::NameKind),
    ("rfc5280::nc::nc-permits-email-literal-mid-asterisk", Why::NameKind),
    ("rfc5280::nc::not-allowed-in-ee-critical", Why::Profile),
    ("rfc5280::nc::not-allowed-in-ee-noncritical", Why::Profile),
    ("rfc5280::nc::permitted-dn-match", Why::NameKind),
    ("rfc5280::nc::permitted-dns-match-noncritical", Why::Profile),
    ("rfc5280::nc::permitted-self-issued", Why::NameKind),
    ("rfc5280::pc::ica-noncritical-pc", Why::Profile),
    ("rfc5280::root-non-critical-basic-constraints", Why::Profile),
    ("rfc5280::san::ip-in-dns", Why::Profile),
    ("rfc5280::san::noncritical-with-empty-subject", Why::Profile),
    ("rfc5280::san::underscore-dns", Why::Profile),
    ("rfc5280::serial::too-long", Why::Profile),
    ("rfc5280::serial::zero", Why::Profile),
    ("rfc5280::ski::intermediate-missing-ski", Why::Profile),
    ("rfc5280::ski::root-missing-ski", Why::Profile),
    ("rfc5280::unknown-critical-extension-unrelated-root", Why::WholeFile),
    ("webpki::aki::root-with-aki-all-fields", Why::Profile),
    ("webpki::aki::root-with-aki-authoritycertissuer", Why::Profile),
    ("webpki::aki::root-with-aki-authoritycertserialnumber", Why::Profile),
    ("webpki::aki::root-with-aki-missing-keyidentifier", Why::Profile),
    ("webpki::aki::root-with-aki-ski-mismatch", Why::Profile),
    ("webpki::cn::case-mismatch", Why::ServerName),
    ("webpki::cn::ipv4-hex-mismatch", Why::ServerName),
    ("webpki::cn::ipv4-leading-zeros-mismatch", Why::ServerName),
    ("webpki::cn::ipv6-non-rfc5952-mismatch", Why::ServerName),
    ("webpki::cn::ipv6-uncompressed-mismatch", Why::ServerName),
    ("webpki::cn::ipv6-uppercase-mismatch", Why::ServerName),
    ("webpki::cn::not-in-san", Why::ServerName),
    ("webpki::cn::punycode-not-in-san", Why::ServerName),
    ("webpki::cn::utf8-vs-punycode-mismatch", Why::ServerName),
    ("webpki::eku::ee-anyeku", Why::LeafAlone),
    ("webpki::eku::ee-critical-eku", Why::Profile),
    ("webpki::eku::ee-without-eku", Why::LeafAlone),
    ("webpki::forbidden-dsa-leaf", Why::LeafAlone),
    ("webpki::forbidden-p192-leaf", Why::LeafAlone),
    ("webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf", Why::Profile),
    ("webpki::forbidden-rsa-not-divisible-by-8-in-root", Why::Profile),
    ("webpki::forbidden-weak-rsa-in-leaf", Why::LeafAlone),
    ("webpki::malformed-aia", Why::Profile),
    ("webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences", Why::Profile),
    ("webpki::nc::intermediate-permitted-excluded-subtrees-both-null", Why::Profile),
    ("webpki::san::mismatch-apex-subdomain-san", Why::ServerName),
    ("webpki::san::mismatch-domain-san", Why::ServerName),
    ("webpki::san::mismatch-subdomain-apex-san", Why::ServerName),
    ("webpki::san::mismatch-subdomain-san", Why::ServerName),
    ("webpki::san::no-san", Why::ServerName),
    ("webpki::san::public-suffix-multi-label-wildcard-san", Why::ServerName),
    ("webpki::san::public-suffix-private-namespace-wildcard-san", Why::ServerName),
    ("webpki::san::public-suffix-wildcard-san", Why::ServerName),
    ("webpki::san::san-critical-with-nonempty-subject", Why::Profile),
    ("webpki::san::san-wildcard-only", Why::ServerName),
    ("webpki::san::san-wildcard-only-tld", Why::ServerName),
    ("webpki::san::unicode-emoji-san", Why::ServerName),
    ("webpki::san::wildcard-embedded-leftmost-san", Why::ServerName),
    ("webpki::san::wildcard-embedded-ulabel-san", Why::ServerName),
    ("webpki::san::wildcard-match-across-labels-san", Why::ServerName),
    ("webpki::san::wildcard-not-in-leftmost-san", Why::ServerName),
];
