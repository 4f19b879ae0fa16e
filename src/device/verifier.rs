//! The verifier that TLS asks: it wants a certificate, requires none, and judges none.
//!
//! A chain that parses is accepted here and judged by [`super::Evidence`] on every request, so that
//! the page can say what is wrong with it. That its owner holds the key is proved all the same.
//!
//! Invariant: what does not parse ends the handshake. Everything behind relies on it.

use super::certificate;
use super::evidence::Evidence;
use super::known_chains::KnownChains;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;
use webpki::{EndEntityCert, RawPublicKeyEntity};

const BAD_ENCODING: Error = Error::InvalidCertificate(CertificateError::BadEncoding);

/// What TLS 1.2 signs with, where the library has no function for a bare key.
const TLS12_SCHEMES: [SignatureScheme; 10] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// Asks for a client certificate and never requires one.
#[derive(Debug)]
pub struct DeviceVerifier {
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
    known: Arc<KnownChains>,
}

impl DeviceVerifier {
    /// A verifier that names these issuers ([`super::TrustStore::hints`]); made anew with every
    /// `ServerConfig`, hence with every load of the trust store.
    #[must_use]
    pub fn new(
        hints: Vec<DistinguishedName>,
        provider: Arc<CryptoProvider>,
        known: Arc<KnownChains>,
    ) -> Self {
        Self { hints, provider, known }
    }
}

impl ClientCertVerifier for DeviceVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // What was parsed once parses again.
        if self.known.knows(std::iter::once(end_entity).chain(intermediates)) {
            return Ok(ClientCertVerified::assertion());
        }
        let chain = std::iter::once(end_entity).chain(intermediates).cloned().collect::<Vec<_>>();
        match Evidence::parse(&chain) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(_) => Err(BAD_ENCODING),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        if EndEntityCert::try_from(cert).is_ok() {
            return verify_tls12_signature(message, cert, dss, algorithms);
        }
        let key = public_key(cert)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| BAD_ENCODING)?;
        let possible = algorithms.mapping.iter().filter(|(scheme, _)| TLS12_SCHEMES.contains(scheme));
        possible
            .filter(|(scheme, _)| *scheme == dss.scheme)
            .flat_map(|(_, algorithms)| *algorithms)
            .find(|algorithm| key.verify_signature(**algorithm, message, dss.signature()).is_ok())
            .map(|_| HandshakeSignatureValid::assertion())
            .ok_or(Error::InvalidCertificate(CertificateError::BadSignature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        if EndEntityCert::try_from(cert).is_ok() {
            return verify_tls13_signature(message, cert, dss, algorithms);
        }
        verify_tls13_signature_with_raw_key(message, &public_key(cert)?, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        false
    }
}

/// The bare key of a certificate that the library does not take, such as one with a critical extension
/// that nobody knows: whoever holds the key proves it all the same, and is then told what is wrong.
fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let parsed = certificate::parse(certificate).map_err(|_| BAD_ENCODING)?;
    Ok(SubjectPublicKeyInfoDer::from(parsed.public_key().raw.to_vec()))
}
