//! What a service is spoken to with: a secret, and the authorities of its TLS.

use crate::config::{Secret, SecretSource};
use std::path::Path;

/// Bytes of a secret.
const MAX_SECRET: usize = 4096;
/// Bytes of a PEM file with authorities.
const MAX_CA_FILE: usize = 1024 * 1024;

/// Why there is no secret. It shows nothing of one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// The file or the variable is not there, or may not be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Nothing, or more than any secret has.
    #[error("it is empty or too long")]
    Unfit,
}

/// Why there are no authorities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthoritiesError {
    /// The file is not there, or may not be read.
    #[error("the authorities cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It is something else.
    #[error("the file has no PEM certificates, or more than are read")]
    Unfit,
}

/// Reads a secret from where it is kept.
pub(crate) fn secret(source: &SecretSource) -> Result<Secret, SecretError> {
    let text = match source {
        SecretSource::File(path) => std::fs::read_to_string(path).map_err(|error| error.to_string()),
        SecretSource::Env(variable) => {
            std::env::var(variable).map_err(|_| format!("`{variable}` is not set in the environment"))
        }
    };
    let secret = Secret::new(&text.map_err(SecretError::Unreadable)?);
    if secret.expose().is_empty() || secret.expose().len() > MAX_SECRET {
        return Err(SecretError::Unfit);
    }
    Ok(secret)
}

/// Reads a PEM file of authorities.
pub(crate) fn authorities(path: &Path) -> Result<Vec<u8>, AuthoritiesError> {
    let pem = std::fs::read(path).map_err(AuthoritiesError::Unreadable)?;
    let certificates = pem.len() <= MAX_CA_FILE
        && reqwest::Certificate::from_pem_bundle(&pem).is_ok_and(|certificates| !certificates.is_empty());
    if certificates { Ok(pem) } else { Err(AuthoritiesError::Unfit) }
}
