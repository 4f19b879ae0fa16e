//! The development PKI in `certs/`: made once, kept, and renewed when a third of a life is left.
//!
//! Invariant: what was revoked stays so, also where `tiergate ca` did it, for as long as its authority.

use crate::access::Timestamp;
use crate::development_ca::{
    BACKDATE, CaError, DAY, DeviceAuthority, Folder, Leaf, Pair, Purpose, RevocationList, Root, Serial,
};
use crate::files::{self, Readers};
use rcgen::RevocationReason;
use std::path::{Path, PathBuf};

/// An authority lives for a year, a leaf for 90 days, a revocation list for 30.
const CA_LIFE: Timestamp = 365 * DAY;
const LEAF_LIFE: Timestamp = 90 * DAY;
const CRL_LIFE: Timestamp = 30 * DAY;

/// The certificates of the demo.
#[derive(Clone, Debug)]
pub struct Pki {
    /// Where they are.
    pub folder: PathBuf,
    /// The password of the `.p12` files.
    pub p12_password: String,
}

/// An authority: its file is `<file>.pem`.
struct AuthoritySpec {
    file: &'static str,
    name: &'static str,
    local_only: bool,
    crl: Option<&'static str>,
    leaves: &'static [LeafSpec],
}

/// A leaf: its files are `<file>.pem` and `<file>.key`.
struct LeafSpec {
    file: &'static str,
    kind: Kind,
}

/// What a leaf shows.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Server,
    /// With a `.p12` file, for browsers.
    Device,
    Revoked,
    Expired,
    Workload(&'static str),
}

/// Everything that is made.
const AUTHORITIES: &[AuthoritySpec] = &[
    AuthoritySpec {
        file: "ca",
        name: "tiergate demo server CA",
        local_only: true,
        crl: None,
        leaves: &[LeafSpec { file: "server", kind: Kind::Server }],
    },
    devices(
        DeviceAuthority::Corporate,
        &[
            LeafSpec { file: "issued", kind: Kind::Device },
            LeafSpec { file: "revoked", kind: Kind::Revoked },
            LeafSpec { file: "expired", kind: Kind::Expired },
        ],
    ),
    devices(DeviceAuthority::Mdm, &[LeafSpec { file: "enrolled", kind: Kind::Device }]),
    AuthoritySpec {
        file: "workload-ca",
        name: "tiergate demo workload CA",
        local_only: false,
        crl: None,
        leaves: &[LeafSpec {
            file: "service",
            kind: Kind::Workload("spiffe://corp.example/ns/billing/sa/sync"),
        }],
    },
];

const fn devices(authority: DeviceAuthority, leaves: &'static [LeafSpec]) -> AuthoritySpec {
    AuthoritySpec {
        file: authority.file(),
        name: authority.common_name(),
        local_only: false,
        crl: Some(authority.crl()),
        leaves,
    }
}

impl Pki {
    /// Makes what is missing or close to its end in `folder`; the server's certificate names `hosts`.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read or written, or a certificate not be made.
    pub fn prepare(folder: &Path, hosts: &[&str], now: Timestamp) -> Result<Self, CaError> {
        let certs = Folder::make(folder)?;
        let p12_password = if let Some(text) = certs.read("p12-password.txt")? {
            text.trim().to_owned()
        } else {
            let word = files::random_word().map_err(|_| CaError::Random)?;
            certs.write("p12-password.txt", format!("{word}\n").as_bytes(), Readers::Owner)?;
            word
        };
        let pki = Self { folder: folder.to_owned(), p12_password };
        for spec in AUTHORITIES {
            pki.authority(&certs, spec, hosts, now)?;
        }
        Ok(pki)
    }

    fn authority(
        &self,
        certs: &Folder,
        spec: &AuthoritySpec,
        hosts: &[&str],
        now: Timestamp,
    ) -> Result<(), CaError> {
        let AuthoritySpec { file, name, local_only, crl, leaves } = *spec;
        let ca = match certs.pair(file)? {
            Some(pair) if !pair.made.wears_out(now) => pair,
            Some(_) | None => {
                let root = Root { name, local_only, from: now - BACKDATE, until: now + CA_LIFE };
                let pair = Pair::root(&root)?;
                certs.store(file, &pair)?;
                pair
            }
        };
        let mut revoked = Vec::new();
        for leaf in leaves {
            let pair = self.leaf(certs, leaf, &ca, hosts, now)?;
            if leaf.kind == Kind::Revoked {
                revoked.push(pair.made.serial);
            }
        }
        crl.map_or(Ok(()), |crl| list(certs, crl, &ca, &revoked, now))
    }

    fn leaf(
        &self,
        certs: &Folder,
        spec: &LeafSpec,
        ca: &Pair,
        hosts: &[&str],
        now: Timestamp,
    ) -> Result<Pair, CaError> {
        let LeafSpec { file, kind } = *spec;
        let kept = certs.pair(file)?.filter(|pair| {
            // The expired one is meant to be.
            pair.made.is_of(&ca.made) && (kind == Kind::Expired || !pair.made.wears_out(now))
        });
        let fresh = kept.is_none();
        let pair = if let Some(pair) = kept {
            pair
        } else {
            let pair = ca.sign(&describe(spec, hosts, now))?;
            certs.store(file, &pair)?;
            pair
        };
        let p12 = format!("{file}.p12");
        if kind == Kind::Device && (fresh || !certs.has(&p12)) {
            certs.write(&p12, &pair.pkcs12(file, ca, &self.p12_password)?, Readers::Owner)?;
        }
        Ok(pair)
    }
}

fn describe<'a>(spec: &LeafSpec, hosts: &'a [&'a str], now: Timestamp) -> Leaf<'a> {
    let LeafSpec { file, kind } = *spec;
    let (purpose, from, until) = match kind {
        Kind::Server => (Purpose::Server(hosts), now - BACKDATE, now + LEAF_LIFE),
        Kind::Device | Kind::Revoked => (Purpose::Device, now - BACKDATE, now + LEAF_LIFE),
        Kind::Expired => (Purpose::Device, now - LEAF_LIFE, now - DAY),
        Kind::Workload(id) => (Purpose::Workload(id), now - BACKDATE, now + LEAF_LIFE),
    };
    Leaf { name: file, purpose, from, until }
}

/// The revocation list, made anew where it is not this authority's, lacks a certificate or wears out.
fn list(certs: &Folder, file: &str, ca: &Pair, revoked: &[Serial], now: Timestamp) -> Result<(), CaError> {
    let kept = certs.read(file)?.and_then(|text| RevocationList::read(&text));
    let kept = kept.filter(|list| list.is_of(&ca.made));
    if kept
        .as_ref()
        .is_some_and(|list| !list.wears_out(now) && revoked.iter().all(|serial| list.since(serial).is_some()))
    {
        return Ok(());
    }
    let mut list = kept.unwrap_or_default();
    for serial in revoked {
        list.add(serial, now, Some(RevocationReason::KeyCompromise));
    }
    certs.write(file, list.renew(ca, now, CRL_LIFE)?.as_bytes(), Readers::Anybody)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::DeviceTrust;
    use crate::config::{Authority, TrustDomain};
    use crate::development_ca::Revoking;
    use crate::device::{Evidence, Presented, TrustStore};
    use p12_keystore::KeyStore;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = 1_800_000_000;

    fn everything(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let mut files = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())
            })
            .collect::<Vec<_>>();
        files.sort();
        files
    }

    fn trust(folder: &Path, generation: u64) -> TrustStore {
        let authority = |name: &str, grants| Authority {
            name: name.to_owned(),
            ca: vec![folder.join(format!("{name}-ca.pem"))],
            grants,
            crl: vec![folder.join(format!("{name}.crl"))],
            ..Authority::default()
        };
        TrustStore::load(
            &[authority("corporate", DeviceTrust::Issued), authority("mdm", DeviceTrust::Enrolled)],
            &[TrustDomain { name: "corp.example".to_owned(), bundle: folder.join("workload-ca.pem") }],
            generation,
        )
        .unwrap()
    }

    fn judge(folder: &Path, file: &str, now: Timestamp) -> (Presented, DeviceTrust, String, String) {
        let pem = std::fs::read(folder.join(format!("{file}.pem"))).unwrap();
        let evidence = Evidence::parse(&[CertificateDer::from_pem_slice(&pem).unwrap()]).unwrap();
        let got = evidence.judge(&trust(folder, 1), now);
        let lowered = got.lowered.map_or("", |reason| reason.code());
        (got.kind, got.trust, lowered.to_owned(), got.id.as_deref().unwrap_or("-").to_owned())
    }

    #[test]
    fn every_certificate_is_judged_as_its_file_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        Pki::prepare(folder, &["wiki.localhost"], NOW).unwrap();
        for later in [0, 29 * DAY, 61 * DAY, 400 * DAY] {
            // As on a machine where the demo is run now and then.
            Pki::prepare(folder, &["wiki.localhost"], NOW + later).unwrap();
            for (file, kind, trust, lowered, id) in [
                ("issued", Presented::Device, DeviceTrust::Issued, "", "issued"),
                ("enrolled", Presented::Device, DeviceTrust::Enrolled, "", "enrolled"),
                ("revoked", Presented::Device, DeviceTrust::None, "device_revoked", "revoked"),
                ("expired", Presented::Device, DeviceTrust::None, "device_expired", "expired"),
                (
                    "service",
                    Presented::Workload,
                    DeviceTrust::None,
                    "",
                    "spiffe://corp.example/ns/billing/sa/sync",
                ),
                ("server", Presented::Nothing, DeviceTrust::None, "device_no_client_auth", "-"),
            ] {
                let want = (kind, trust, lowered.to_owned(), id.to_owned());
                assert_eq!(judge(folder, file, NOW + later), want, "{file} after {later}");
            }
        }
    }

    #[test]
    fn a_second_run_keeps_every_file_and_one_much_later_renews_what_wears_out() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        Pki::prepare(folder, &["wiki.localhost"], NOW).unwrap();
        let first = everything(folder);
        Pki::prepare(folder, &["wiki.localhost"], NOW + 10 * DAY).unwrap();
        assert_eq!(first, everything(folder));
        Pki::prepare(folder, &["wiki.localhost"], NOW + 21 * DAY).unwrap();
        let changed = |then: &[(String, Vec<u8>)]| {
            let now = everything(folder);
            let names = then.iter().zip(&now).filter(|(a, b)| a != b).map(|(a, _)| a.0.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(changed(&first), ["corporate.crl", "mdm.crl"]);
        Pki::prepare(folder, &["wiki.localhost"], NOW + 61 * DAY).unwrap();
        let kept = ["ca.key", "ca.pem", "corporate-ca.key", "expired.key", "mdm-ca.pem", "p12-password.txt"];
        let renewed = changed(&first);
        assert!(renewed.contains(&"issued.p12".to_owned()) && renewed.contains(&"server.pem".to_owned()));
        assert!(kept.iter().all(|name| !renewed.contains(&(*name).to_owned())), "{renewed:?}");
    }

    #[test]
    fn a_p12_file_holds_the_key_and_the_chain_and_opens_with_its_password_only() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let password = Pki::prepare(folder, &[], NOW).unwrap().p12_password;
        let open = |password: &str| {
            let data = std::fs::read(folder.join("issued.p12")).unwrap();
            KeyStore::from_pkcs12(&data, password, p12_keystore::Pkcs12ImportPolicy::Strict)
        };
        let store = open(&password).unwrap();
        let (name, chain) = store.private_key_chain().unwrap();
        assert_eq!((name, chain.certs().len()), ("issued", 2));
        assert!(open("guess").is_err());
    }

    #[test]
    fn what_was_revoked_by_hand_stays_revoked_when_the_list_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        Pki::prepare(folder, &[], NOW).unwrap();
        let issued = Revoking::Device("issued".parse().unwrap());
        Folder::open(folder).unwrap().revoke(&issued, 30, NOW).unwrap();
        let list = std::fs::read(folder.join("corporate.crl")).unwrap();
        for later in [0, 21 * DAY] {
            Pki::prepare(folder, &[], NOW + later).unwrap();
            for file in ["issued", "revoked"] {
                assert_eq!(judge(folder, file, NOW + later).2, "device_revoked", "{file} after {later}");
            }
        }
        assert_ne!(list, std::fs::read(folder.join("corporate.crl")).unwrap(), "it was renewed");
    }

    #[test]
    fn the_authorities_and_certificates_of_an_earlier_version_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let earlier = |name: &str| {
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::OrganizationName, "tiergate demo");
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.not_before = time::OffsetDateTime::from_unix_timestamp(NOW - 60).unwrap();
            params.not_after = time::OffsetDateTime::from_unix_timestamp(NOW + 90 * DAY).unwrap();
            params.use_authority_key_identifier_extension = true;
            params
        };
        let [ca_key, key] = [(); 2].map(|()| rcgen::KeyPair::generate().unwrap());
        let mut ca = earlier("tiergate demo corporate device CA");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let mut leaf = earlier("issued");
        leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = ca.self_signed(&ca_key).unwrap();
        let leaf = leaf.signed_by(&key, &rcgen::Issuer::from_params(&ca, &ca_key)).unwrap();
        for (name, text) in [
            ("corporate-ca.pem", certificate.pem()),
            ("corporate-ca.key", ca_key.serialize_pem()),
            ("issued.pem", leaf.pem()),
            ("issued.key", key.serialize_pem()),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Pki::prepare(folder, &[], NOW).unwrap();
        for (name, text) in [("corporate-ca.pem", certificate.pem()), ("issued.pem", leaf.pem())] {
            assert_eq!(std::fs::read_to_string(folder.join(name)).unwrap(), text, "{name}");
        }
        assert_eq!(judge(folder, "issued", NOW).1, DeviceTrust::Issued);
        // And what manages such a folder takes them for what they are.
        let issued = Revoking::Device("issued".parse().unwrap());
        Folder::open(folder).unwrap().revoke(&issued, 30, NOW).unwrap();
        assert_eq!(judge(folder, "issued", NOW).2, "device_revoked");
    }

    #[test]
    fn half_a_pair_is_no_pair() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        Pki::prepare(folder, &[], NOW).unwrap();
        std::fs::copy(folder.join("enrolled.key"), folder.join("issued.key")).unwrap();
        std::fs::remove_file(folder.join("mdm-ca.key")).unwrap();
        Pki::prepare(folder, &[], NOW).unwrap();
        assert_eq!(judge(folder, "issued", NOW).1, DeviceTrust::Issued);
        assert_eq!(judge(folder, "enrolled", NOW).1, DeviceTrust::Enrolled);
    }

    #[test]
    fn secrets_are_their_owners_only() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("certs");
        Pki::prepare(&folder, &[], NOW).unwrap();
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for (name, content) in everything(&folder) {
            let kind = name.rsplit('.').next().unwrap();
            let secret = ["key", "p12", "txt"].contains(&kind);
            let mode = std::fs::metadata(folder.join(&name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, if secret { 0o600 } else { 0o644 }, "{name}");
            assert_eq!(kind == "key", String::from_utf8_lossy(&content).contains("PRIVATE KEY"), "{name}");
        }
    }
}
