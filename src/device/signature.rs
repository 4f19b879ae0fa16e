//! Signatures: by which algorithms, and those of what is no certificate of a path (revocation lists and OCSP answers).

use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{RawPublicKeyEntity, aws_lc_rs};

/// The algorithms of certificates, lists and answers. By name, because the library's own list begins with those
/// of another, slower implementation wherever a dependency switches that on.
pub(super) static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    aws_lc_rs::ECDSA_P256_SHA256,
    aws_lc_rs::ECDSA_P256_SHA384,
    aws_lc_rs::ECDSA_P256_SHA512,
    aws_lc_rs::ECDSA_P384_SHA256,
    aws_lc_rs::ECDSA_P384_SHA384,
    aws_lc_rs::ECDSA_P384_SHA512,
    aws_lc_rs::ECDSA_P521_SHA256,
    aws_lc_rs::ECDSA_P521_SHA384,
    aws_lc_rs::ECDSA_P521_SHA512,
    aws_lc_rs::ED25519,
    aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    aws_lc_rs::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    aws_lc_rs::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    aws_lc_rs::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    aws_lc_rs::RSA_PKCS1_3072_8192_SHA384,
    aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    aws_lc_rs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    aws_lc_rs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    aws_lc_rs::ML_DSA_44,
    aws_lc_rs::ML_DSA_65,
    aws_lc_rs::ML_DSA_87,
];

/// Whether this key (a DER `SubjectPublicKeyInfo`) signed the message, by an algorithm that is also good
/// enough for certificates; `algorithm` is the content of its object identifier.
pub(super) fn is_by(key: &[u8], algorithm: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = SubjectPublicKeyInfoDer::from(key);
    let Ok(signer) = RawPublicKeyEntity::try_from(&key) else { return false };
    ALGORITHMS.iter().any(|candidate| {
        // The identifier begins with the object identifier: tag, length, bytes.
        let named = candidate.signature_alg_id();
        named.as_ref().get(2..).is_some_and(|rest| rest.starts_with(algorithm))
            && signer.verify_signature(*candidate, message, signature).is_ok()
    })
}
