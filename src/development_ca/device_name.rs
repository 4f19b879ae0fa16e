//! Names of devices: the identity in the certificate, and the name of its files.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// No device's identity is longer.
const MAX_BYTES: usize = 128;
/// Other files of such a folder, also where a file system does not tell cases apart.
const TAKEN: [&str; 6] = ["ca", "corporate-ca", "mdm-ca", "server", "service", "workload-ca"];

/// The name of a device.
///
/// INVARIANT: a plain file name of 1 to 128 printable ASCII characters that is none of the folder's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceName(String);

/// Why a text is no name of a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DeviceNameError {
    /// It cannot be an identity and a file name.
    #[error(
        "a name has 1 to 128 printable ASCII characters, no `/` or `\\`, no space at either end, and starts with \
         neither `.` nor `-`"
    )]
    Form,
    /// It would be taken for the path of a file.
    #[error("a name does not end with `.pem`: that is the file")]
    File,
    /// It names another file of the folder.
    #[error("this is the name of another file beside the authorities")]
    Taken,
}

impl DeviceName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DeviceName {
    type Err = DeviceNameError;

    fn from_str(text: &str) -> Result<Self, DeviceNameError> {
        let plain = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && !matches!(byte, b'/' | b'\\');
        if !(1..=MAX_BYTES).contains(&text.len())
            || !text.bytes().all(plain)
            || text.trim() != text
            || text.starts_with(['.', '-'])
        {
            return Err(DeviceNameError::Form);
        }
        if is_path(text) {
            Err(DeviceNameError::File)
        } else if TAKEN.contains(&text.to_ascii_lowercase().as_str()) {
            Err(DeviceNameError::Taken)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// Whether a text stands for the file of a certificate and not for a device.
#[must_use]
pub fn is_path(text: &str) -> bool {
    text.contains('/') || Path::new(text).extension().is_some_and(|kind| kind.eq_ignore_ascii_case("pem"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_identity_and_a_file_name_at_once() {
        let long = "x".repeat(129);
        for (text, want) in [
            ("ann-laptop", Ok(())),
            ("C02XL0GSJGH5", Ok(())),
            ("Ann's laptop, 2nd", Ok(())),
            ("7f9c0f1e:4@x", Ok(())),
            ("corporate", Ok(())),
            (&long[..128], Ok(())),
            (&long, Err(DeviceNameError::Form)),
            ("", Err(DeviceNameError::Form)),
            ("a/b", Err(DeviceNameError::Form)),
            ("a\\b", Err(DeviceNameError::Form)),
            ("..", Err(DeviceNameError::Form)),
            (".hidden", Err(DeviceNameError::Form)),
            ("-rf", Err(DeviceNameError::Form)),
            (" a", Err(DeviceNameError::Form)),
            ("a ", Err(DeviceNameError::Form)),
            ("a\n", Err(DeviceNameError::Form)),
            ("a\0", Err(DeviceNameError::Form)),
            ("é", Err(DeviceNameError::Form)),
            ("a.pem", Err(DeviceNameError::File)),
            ("A.PEM", Err(DeviceNameError::File)),
            ("Corporate-CA", Err(DeviceNameError::Taken)),
            ("server", Err(DeviceNameError::Taken)),
        ] {
            assert_eq!(text.parse::<DeviceName>().map(|_| ()), want, "{text:?}");
        }
    }
}
