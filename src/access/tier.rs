//! How sensitive a resource is, and how far a device is trusted.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How sensitive a resource is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Any signed-in user.
    Open,
    /// A signed-in user on a trusted corporate device, company-issued or enrolled.
    Low,
    /// A signed-in user on a company-issued device.
    High,
}

impl Tier {
    /// Every tier, least sensitive first.
    pub const ALL: [Self; 3] = [Self::Open, Self::Low, Self::High];

    /// The least device trust that meets this tier.
    #[must_use]
    pub const fn required_trust(self) -> DeviceTrust {
        match self {
            Self::Open => DeviceTrust::None,
            Self::Low => DeviceTrust::Enrolled,
            Self::High => DeviceTrust::Issued,
        }
    }

    /// The name used in files, logs, metrics and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Low => "low",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a device is trusted: `none` < `enrolled` < `issued`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceTrust {
    /// No device certificate, or none that is believed.
    #[default]
    None,
    /// Managed by the mobile device management.
    Enrolled,
    /// Company-issued and managed.
    Issued,
}

impl DeviceTrust {
    /// Every trust, least first.
    pub const ALL: [Self; 3] = [Self::None, Self::Enrolled, Self::Issued];

    /// The name used in files, logs, metrics and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Enrolled => "enrolled",
            Self::Issued => "issued",
        }
    }
}

impl fmt::Display for DeviceTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
