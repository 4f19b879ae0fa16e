//! Signatures of what is no certificate of a path: revocation lists and OCSP answers.

use rustls::pki_types::SubjectPublicKeyInfoDer;
use webpki::RawPublicKeyEntity;

/// Whether this key (a DER `SubjectPublicKeyInfo`) signed the message, by an algorithm that is also good
/// enough for certificates; `algorithm` is the content of its object identifier.
pub(super) fn is_by(key: &[u8], algorithm: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = SubjectPublicKeyInfoDer::from(key);
    let Ok(signer) = RawPublicKeyEntity::try_from(&key) else { return false };
    webpki::ALL_VERIFICATION_ALGS.iter().any(|candidate| {
        // The identifier begins with the object identifier: tag, length, bytes.
        let named = candidate.signature_alg_id();
        named.as_ref().get(2..).is_some_and(|rest| rest.starts_with(algorithm))
            && signer.verify_signature(*candidate, message, signature).is_ok()
    })
}
