//! The development PKI in `certs/`: made once, kept, and renewed when a third of a life is left.
//!
//! Keys are written before certificates, and every pair is checked before it is kept, so a run that
//! was interrupted leaves nothing that the next one believes by mistake.

use super::files::{self, Readers};
use super::leaf::{self, AUTHORITIES, AuthoritySpec, LeafError, LeafSpec, Purpose};
use crate::access::Timestamp;
use p12_keystore::{Certificate as P12Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, PublicKeyData, RevocationReason,
    RevokedCertParams, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io;
use std::path::{Path, PathBuf};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// The certificates of the demo.
#[derive(Clone, Debug)]
pub struct Pki {
    /// Where they are.
    pub folder: PathBuf,
    /// The password of the `.p12` files.
    pub p12_password: String,
}

/// Why the development PKI cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("`{0}` cannot be read or written")]
    File(PathBuf, #[source] io::Error),
    /// A certificate cannot be described.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// A key or certificate cannot be made.
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// A `.p12` file cannot be made.
    #[error("a PKCS #12 file cannot be made: {0}")]
    P12(String),
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl Pki {
    /// Makes what is missing or close to its end in `folder`; the server's certificate names `hosts`.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read or written, or a certificate not be made.
    pub fn prepare(folder: &Path, hosts: &[&str], now: Timestamp) -> Result<Self, PkiError> {
        files::private_folder(folder).map_err(|error| PkiError::File(folder.to_owned(), error))?;
        let password_file = folder.join("p12-password.txt");
        let p12_password = if let Some(text) = read(&password_file)? {
            text.trim().to_owned()
        } else {
            let word = files::random_word().map_err(|_| PkiError::Random)?;
            write(&password_file, format!("{word}\n").as_bytes(), Readers::Owner)?;
            word
        };
        let pki = Self { folder: folder.to_owned(), p12_password };
        for spec in AUTHORITIES {
            pki.authority(spec, hosts, now)?;
        }
        Ok(pki)
    }

    fn path(&self, file: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{file}.{extension}"))
    }

    fn authority(&self, spec: &AuthoritySpec, hosts: &[&str], now: Timestamp) -> Result<(), PkiError> {
        let ca = match self.pair(spec.file)? {
            Some(pair) if !pair.wears_out(now) => pair,
            Some(_) | None => {
                let key = KeyPair::generate()?;
                let params = leaf::authority_params(spec, serial()?, now)?;
                let der = params.self_signed(&key)?.der().clone();
                self.store(spec.file, key, der)?
            }
        };
        let issuer = Issuer::from_ca_cert_der(&ca.der, &ca.key)?;
        let mut revoked = Vec::new();
        for leaf in spec.leaves {
            let pair = self.leaf(leaf, &ca, &issuer, hosts, now)?;
            if leaf.revoked {
                revoked.push(pair.serial);
            }
        }
        match spec.crl {
            Some(file) => self.crl(file, &ca, &issuer, &revoked, now),
            None => Ok(()),
        }
    }

    fn leaf(
        &self,
        spec: &LeafSpec,
        ca: &Pair,
        issuer: &Issuer<'_, &KeyPair>,
        hosts: &[&str],
        now: Timestamp,
    ) -> Result<Pair, PkiError> {
        let kept = self.pair(spec.file)?.filter(|pair| {
            // The expired one is meant to be.
            pair.issuer_key == ca.own_key && (spec.purpose == Purpose::ExpiredDevice || !pair.wears_out(now))
        });
        let fresh = kept.is_none();
        let pair = if let Some(pair) = kept {
            pair
        } else {
            let key = KeyPair::generate()?;
            let params = leaf::leaf_params(spec, hosts, serial()?, now)?;
            let der = params.signed_by(&key, issuer)?.der().clone();
            self.store(spec.file, key, der)?
        };
        let p12 = self.path(spec.file, "p12");
        if spec.p12 && (fresh || !p12.exists()) {
            write(&p12, &self.pkcs12(spec.file, &pair, ca)?, Readers::Owner)?;
        }
        Ok(pair)
    }

    /// Both files, if they are there and belong to each other.
    fn pair(&self, file: &str) -> Result<Option<Pair>, PkiError> {
        let (Some(pem), Some(key)) = (read(&self.path(file, "pem"))?, read(&self.path(file, "key"))?) else {
            return Ok(None);
        };
        let (Ok(der), Ok(key)) = (CertificateDer::from_pem_slice(pem.as_bytes()), KeyPair::from_pem(&key))
        else {
            return Ok(None);
        };
        Ok(Pair::new(key, der))
    }

    fn store(&self, file: &str, key: KeyPair, der: CertificateDer<'static>) -> Result<Pair, PkiError> {
        write(&self.path(file, "key"), key.serialize_pem().as_bytes(), Readers::Owner)?;
        write(&self.path(file, "pem"), pem("CERTIFICATE", &der).as_bytes(), Readers::Anybody)?;
        Pair::new(key, der).ok_or(PkiError::Make(rcgen::Error::CouldNotParseCertificate))
    }

    /// The key and the chain for a browser's or a system's key store, in the algorithms that NSS,
    /// OpenSSL 3 and Windows all read: PBES2 with AES-256, and a SHA-256 MAC.
    fn pkcs12(&self, name: &str, pair: &Pair, ca: &Pair) -> Result<Vec<u8>, PkiError> {
        let failed = |error: p12_keystore::error::Error| PkiError::P12(error.to_string());
        let key = PrivateKey::from_der(pair.key.serialized_der()).map_err(failed)?;
        let chain = [
            P12Certificate::from_der(&pair.der).map_err(failed)?,
            P12Certificate::from_der(&ca.der).map_err(failed)?,
        ];
        let mut store = KeyStore::new();
        store.add_entry(name, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(name, key, chain)));
        store.writer(&self.p12_password).write().map_err(failed)
    }

    /// The revocation list, made anew where it is not this authority's, lacks a certificate or wears out.
    fn crl(
        &self,
        file: &str,
        ca: &Pair,
        issuer: &Issuer<'_, &KeyPair>,
        revoked: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<(), PkiError> {
        let path = self.folder.join(file);
        if read(&path)?.is_some_and(|text| crl_is_good(&text, ca, revoked, now)) {
            return Ok(());
        }
        let at = leaf::moment(now)?;
        let list = CertificateRevocationListParams {
            this_update: leaf::moment(now - 60)?,
            next_update: leaf::moment(now + leaf::CRL_LIFE)?,
            // Ever growing, as the standard asks.
            crl_number: SerialNumber::from(u64::try_from(now).unwrap_or(1)),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from_slice(serial),
                    revocation_time: at,
                    reason_code: Some(RevocationReason::KeyCompromise),
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        write(&path, list.signed_by(issuer)?.pem()?.as_bytes(), Readers::Anybody)
    }
}

/// A certificate with its key.
struct Pair {
    key: KeyPair,
    der: CertificateDer<'static>,
    serial: Vec<u8>,
    /// Key identifiers: of its own key, and of the key that signed it.
    own_key: Option<Vec<u8>>,
    issuer_key: Option<Vec<u8>>,
    from: Timestamp,
    until: Timestamp,
}

impl Pair {
    /// `None` where the certificate cannot be read or is another key's.
    fn new(key: KeyPair, der: CertificateDer<'static>) -> Option<Self> {
        let (serial, own_key, issuer_key, from, until) = {
            let (_, parsed) = X509Certificate::from_der(&der).ok()?;
            if parsed.public_key().raw != key.subject_public_key_info() {
                return None;
            }
            let mut own_key = None;
            let mut issuer_key = None;
            for extension in parsed.iter_extensions() {
                if let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() {
                    own_key = Some(id.0.to_vec());
                }
                if let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() {
                    issuer_key = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
            }
            let validity = parsed.validity();
            let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
            (parsed.raw_serial().to_vec(), own_key, issuer_key, from, until)
        };
        Some(Self { key, der, serial, own_key, issuer_key, from, until })
    }

    fn wears_out(&self, now: Timestamp) -> bool {
        wears_out(self.from, self.until, now)
    }
}

/// Whether less than a third of a life is left.
fn wears_out(from: Timestamp, until: Timestamp, now: Timestamp) -> bool {
    now < from || until.saturating_sub(now) < until.saturating_sub(from) / 3
}

fn crl_is_good(text: &str, ca: &Pair, revoked: &[Vec<u8>], now: Timestamp) -> bool {
    let Ok(der) = rustls::pki_types::CertificateRevocationListDer::from_pem_slice(text.as_bytes()) else {
        return false;
    };
    let Ok((_, list)) = CertificateRevocationList::from_der(&der) else { return false };
    let signer = list.extensions().iter().find_map(|extension| {
        let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() else { return None };
        id.key_identifier.as_ref().map(|id| id.0.to_vec())
    });
    let fresh = list
        .next_update()
        .is_some_and(|next| !wears_out(list.last_update().timestamp(), next.timestamp(), now));
    let listed = |serial: &Vec<u8>| {
        list.iter_revoked_certificates().any(|entry| entry.raw_serial() == serial.as_slice())
    };
    signer.is_some() && signer == ca.own_key && fresh && revoked.iter().all(listed)
}

/// 127 random bits, positive, never zero in front.
fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| PkiError::Random)?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            out.push('\n');
        }
        out.push(letter);
    }
    out + &format!("\n-----END {label}-----\n")
}

fn read(path: &Path) -> Result<Option<String>, PkiError> {
    files::read(path).map_err(|error| PkiError::File(path.to_owned(), error))
}

fn write(path: &Path, content: &[u8], readers: Readers) -> Result<(), PkiError> {
    files::write(path, content, readers).map_err(|error| PkiError::File(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::DeviceTrust;
    use crate::config::{Authority, TrustDomain};
    use crate::device::{Evidence, Presented, TrustStore};
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = 1_800_000_000;
    const DAY: i64 = 86_400;

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
