//! A small pair of device authorities for people who try tiergate without a PKI of their own.
//!
//! Invariants:
//! * Every subject says that it is not for production, and nothing else is overwritten.
//! * What a revocation list says is never lost: it is read back before it is written anew.
//! * Private keys are readable by their owner only.

mod certificate;
mod device_authority;
mod device_name;
mod folder;
mod operations;
mod pair;
mod revocation_list;
mod serial;

pub(crate) use certificate::{BACKDATE, DAY, Leaf, Purpose, Root};
pub(crate) use pair::Pair;
pub(crate) use revocation_list::RevocationList;

pub use certificate::{DescribeError, NOT_FOR_PRODUCTION};
pub use device_authority::DeviceAuthority;
pub use device_name::{DeviceName, DeviceNameError, is_path};
pub use folder::Folder;
pub use operations::{Issued, Listed, Lives, Order, Revoked, Revoking};
pub use serial::{Serial, SerialError};

use std::io;
use std::path::PathBuf;

/// Why nothing, or not everything, was made.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file cannot be read or written.
    #[error("`{0}` cannot be read or written")]
    File(PathBuf, #[source] io::Error),
    /// A certificate cannot be described.
    #[error(transparent)]
    Describe(#[from] DescribeError),
    /// A key or certificate cannot be made.
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// A `.p12` file cannot be made.
    #[error("a PKCS #12 file cannot be made: {0}")]
    P12(String),
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The files are there.
    #[error("`{0}` is there already; `--force` replaces it")]
    Exists(PathBuf),
    /// The files may be somebody's real ones.
    #[error("`{0}` does not say that it was made for development: it is left alone, move it away yourself")]
    Foreign(PathBuf),
    /// There is nothing to sign with.
    #[error(
        "there is no development authority in `{0}`: `.pem` and `.key` are missing, or do not belong together; \
         `tiergate ca init` makes one"
    )]
    NoAuthority(PathBuf),
    /// The authority's own certificate is over.
    #[error("the certificate `{0}` is over; `tiergate ca init --force` makes a new authority")]
    Ended(PathBuf),
    /// The revocation list is missing, garbage or another authority's.
    #[error(
        "`{0}` is not the revocation list of its authority: what was revoked stands nowhere else, so no new one \
         is begun; put it back, or start over with `tiergate ca init --force`"
    )]
    NoList(PathBuf),
    /// There is no such certificate.
    #[error("`{0}` holds no certificate")]
    NoCertificate(PathBuf),
    /// The certificate is another authority's.
    #[error("`{0}` was issued by neither of the authorities here")]
    Stranger(PathBuf),
}
