//! Serial numbers of certificates.

use std::fmt;
use std::str::FromStr;

/// No serial number is longer (RFC 5280 §4.1.2.2).
const MAX_BYTES: usize = 20;

/// The serial number of a certificate, written in hexadecimal.
///
/// INVARIANT: no zero byte in front, so that one number has one form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Serial(Vec<u8>);

/// Why a text is no serial number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write 1 to 20 bytes in hexadecimal, such as `4a9f01` or `4A:9F:01`")]
pub struct SerialError;

impl Serial {
    /// A number from its bytes, the highest first.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Self(bytes.get(zeros..).unwrap_or_default().to_vec())
    }

    /// 126 random bits behind a bit that is set: positive, and always 16 bytes.
    pub(crate) fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut bytes = [0_u8; 16];
        aws_lc_rs::rand::fill(&mut bytes)?;
        if let Some(first) = bytes.first_mut() {
            *first = (*first & 0x7f) | 0x40;
        }
        Ok(Self::new(&bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        let digits: String = text.chars().filter(|letter| *letter != ':').collect();
        // What `from_str_radix` takes besides, a sign, is no digit.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SerialError);
        }
        let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
        let bytes: Option<Vec<u8>> = (0..digits.len())
            .step_by(2)
            .map(|at| digits.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()))
            .collect();
        let serial = Self::new(&bytes.ok_or(SerialError)?);
        if (1..=MAX_BYTES).contains(&serial.0.len()) { Ok(serial) } else { Err(SerialError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_has_one_form() {
        for (text, want) in [
            ("4a9f01", Some("4a9f01")),
            ("4A:9F:01", Some("4a9f01")),
            ("0:4a:9f:01", Some("4a9f01")),
            ("00004a9f01", Some("4a9f01")),
            ("1", Some("01")),
            (&"f".repeat(40), Some("ffffffffffffffffffffffffffffffffffffffff")),
            (&"f".repeat(41), None),
            ("0", None),
            ("", None),
            (":", None),
            ("+1", None),
            ("0x1", None),
            ("4a 9f", None),
            ("äö", None),
        ] {
            assert_eq!(text.parse::<Serial>().ok().map(|it| it.to_string()).as_deref(), want, "{text}");
        }
        assert_eq!(Serial::random().unwrap().bytes().len(), 16);
        assert_ne!(Serial::random().unwrap(), Serial::random().unwrap());
    }
}
