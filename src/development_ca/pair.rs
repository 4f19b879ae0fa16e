//! A certificate with its key, and what they sign.

use super::CaError;
use super::certificate::{Leaf, Made, Root};
use super::serial::Serial;
use p12_keystore::{Certificate as P12Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{Issuer, KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;

/// A certificate and its private key (ECDSA P-256).
///
/// INVARIANT: the certificate is of this key.
pub(crate) struct Pair {
    pub(crate) made: Made,
    key: KeyPair,
}

impl Pair {
    /// `None` where one of them cannot be read, or the certificate is another key's.
    pub(crate) fn read(certificate: &str, key: &str) -> Option<Self> {
        Self::new(Made::read(certificate)?, KeyPair::from_pem(key).ok()?)
    }

    fn new(made: Made, key: KeyPair) -> Option<Self> {
        (made.public_key == key.subject_public_key_info()).then_some(Self { made, key })
    }

    /// A new authority, self-signed.
    pub(crate) fn root(root: &Root<'_>) -> Result<Self, CaError> {
        let key = KeyPair::generate()?;
        let params = root.params(&serial()?)?;
        Self::fresh(params.self_signed(&key)?.der(), key)
    }

    /// A new leaf of this authority.
    pub(crate) fn sign(&self, leaf: &Leaf<'_>) -> Result<Self, CaError> {
        let key = KeyPair::generate()?;
        let params = leaf.params(&serial()?)?;
        Self::fresh(params.signed_by(&key, &self.issuer()?)?.der(), key)
    }

    fn fresh(der: &CertificateDer<'_>, key: KeyPair) -> Result<Self, CaError> {
        let pair = Made::new(der).and_then(|made| Self::new(made, key));
        pair.ok_or(CaError::Make(rcgen::Error::CouldNotParseCertificate))
    }

    /// The authority as rcgen takes it.
    pub(crate) fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, CaError> {
        Ok(Issuer::from_ca_cert_der(&self.made.der, &self.key)?)
    }

    /// The key, PKCS #8 in PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(crate) fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.made.der)
    }

    /// The key and the chain for a browser's or a system's key store, in the algorithms that NSS,
    /// OpenSSL 3 and Windows all read: PBES2 with AES-256, and a SHA-256 MAC.
    pub(crate) fn pkcs12(&self, name: &str, authority: &Self, password: &str) -> Result<Vec<u8>, CaError> {
        let failed = |error: p12_keystore::error::Error| CaError::P12(error.to_string());
        let key = PrivateKey::from_der(self.key.serialized_der()).map_err(failed)?;
        let chain = [
            P12Certificate::from_der(&self.made.der).map_err(failed)?,
            P12Certificate::from_der(&authority.made.der).map_err(failed)?,
        ];
        let mut store = KeyStore::new();
        store.add_entry(name, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(name, key, chain)));
        store.writer(password).write().map_err(failed)
    }
}

fn serial() -> Result<Serial, CaError> {
    Serial::random().map_err(|_| CaError::Random)
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
