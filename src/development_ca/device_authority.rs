//! The two device authorities, by name.

use crate::access::DeviceTrust;

/// One of the two device authorities.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceAuthority {
    /// Of devices that the company issued.
    Corporate,
    /// Of devices that an MDM enrolled.
    Mdm,
}

impl DeviceAuthority {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Corporate, Self::Mdm];

    /// Its name in `devices.authorities`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Corporate => "corporate",
            Self::Mdm => "mdm",
        }
    }

    /// The authority of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|authority| authority.name() == name)
    }

    /// How far its devices are trusted.
    #[must_use]
    pub const fn grants(self) -> DeviceTrust {
        match self {
            Self::Corporate => DeviceTrust::Issued,
            Self::Mdm => DeviceTrust::Enrolled,
        }
    }

    /// Its files are `<file>.pem` and `<file>.key`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Corporate => "corporate-ca",
            Self::Mdm => "mdm-ca",
        }
    }

    /// The file of its revocation list.
    #[must_use]
    pub const fn crl(self) -> &'static str {
        match self {
            Self::Corporate => "corporate.crl",
            Self::Mdm => "mdm.crl",
        }
    }

    pub(crate) const fn common_name(self) -> &'static str {
        match self {
            Self::Corporate => "tiergate development corporate device CA",
            Self::Mdm => "tiergate development MDM CA",
        }
    }
}
