//! Versions of operating systems as people write them: `14.6`, `10.0.22631`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Numbers of a version; what stands behind is another build of the same.
const MOST_NUMBERS: usize = 6;
/// No version is longer.
const MOST_BYTES: usize = 32;

/// A version: numbers with dots between them. Those that are left out are 0, so `14` and `14.0` are one.
#[derive(Clone, Debug)]
pub struct OsVersion {
    text: Box<str>,
    numbers: [u32; MOST_NUMBERS],
}

/// Why a text is not a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write numbers with dots between them, such as `14.6` or `10.0.22631`")]
pub struct VersionError;

impl FromStr for OsVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text.len() > MOST_BYTES {
            return Err(VersionError);
        }
        let mut numbers = [0; MOST_NUMBERS];
        let mut parts = text.split('.');
        for (number, part) in numbers.iter_mut().zip(parts.by_ref()) {
            if !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(VersionError);
            }
            *number = part.parse().map_err(|_| VersionError)?;
        }
        if parts.next().is_some() {
            return Err(VersionError);
        }
        Ok(Self { text: text.into(), numbers })
    }
}

impl fmt::Display for OsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for OsVersion {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for OsVersion {}

impl PartialOrd for OsVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OsVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_number_by_number() {
        let version = |text: &str| text.parse::<OsVersion>().unwrap();
        for (less, more) in [
            ("14.2", "14.6"),
            ("14.6", "14.10"),
            ("9", "10.0.22631"),
            ("10.0.19045", "10.0.22631.1"),
            ("14.6", "14.6.1"),
        ] {
            assert!(version(less) < version(more), "{less} {more}");
        }
        assert_eq!(version("14"), version("14.0.0"));
        assert_eq!(version("014.06"), version("14.6"));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in
            ["", ".", "14.", ".6", "14..6", "14.6b", "v14", "14 6", "-1", "+1", "1.2.3.4.5.6.7", "4294967296"]
        {
            assert_eq!(text.parse::<OsVersion>().err(), Some(VersionError), "{text}");
        }
        assert!("1".repeat(33).parse::<OsVersion>().is_err());
    }
}
