//! What the inventory knows of a device.

use super::{DeviceTrust, Timestamp};
use crate::text::version::OsVersion;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the inventory knows of one device. What no source says is `None`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The device's identity, as its certificate names it.
    pub id: Box<str>,
    /// The most that the device is trusted.
    pub trust: Option<DeviceTrust>,
    /// Whose property it is.
    pub ownership: Option<Ownership>,
    /// Whether it is in use; nothing said is active.
    pub state: Option<State>,
    /// Whose hands it is in: a user name or an e-mail address.
    pub owner: Option<Box<str>>,
    /// Its operating system, lower case: `macos`.
    pub platform: Option<Arc<str>>,
    /// The version of that.
    pub os_version: Option<Arc<OsVersion>>,
    /// When the management last heard of it.
    pub last_checkin: Option<Timestamp>,
    /// What holds for it and what does not.
    pub posture: Option<Arc<PostureFacts>>,
    /// What somebody wrote about it.
    pub notes: Option<Box<str>>,
}

impl Record {
    /// A record that says nothing.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            trust: None,
            ownership: None,
            state: None,
            owner: None,
            platform: None,
            os_version: None,
            last_checkin: None,
            posture: None,
            notes: None,
        }
    }

    /// Whether the device may be used at all.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state.is_none_or(|state| state == State::Active)
    }

    /// The most that the record leaves of a trust. It never gives any.
    #[must_use]
    pub fn ceiling(&self) -> DeviceTrust {
        let by_ownership = match self.ownership {
            Some(Ownership::Personal) => DeviceTrust::Enrolled,
            Some(Ownership::Corporate) | None => DeviceTrust::Issued,
        };
        self.trust.map_or(by_ownership, |trust| trust.min(by_ownership))
    }
}

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$word_about:meta])* $word:ident => $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$word_about])* $word,)+ }

        impl $name {
            /// Every one, least restrictive first.
            pub const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// The word used in files and by the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Whose property a device is.
    Ownership {
        /// The organisation's.
        Corporate => "corporate",
        /// Somebody's own: never trusted further than enrolled.
        Personal => "personal",
    }
}

words! {
    /// Whether a device is in use. All but active are refused at every tier.
    State {
        /// In use.
        Active => "active",
        /// Held back until somebody has looked at it.
        Quarantined => "quarantined",
        /// Not used any more.
        Retired => "retired",
        /// Nobody knows in whose hands.
        Lost => "lost",
    }
}

/// What holds for a device and what does not, by name: `disk_encrypted`.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct PostureFacts(Box<[(Box<str>, bool)]>);

impl PostureFacts {
    /// Whether this is said to hold. What nobody said does not.
    #[must_use]
    pub fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|(known, holds)| &**known == name && *holds)
    }

    /// Everything that is said, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0.iter().map(|(name, holds)| (&**name, *holds))
    }
}

impl<T: Into<Box<str>>> FromIterator<(T, bool)> for PostureFacts {
    fn from_iter<I: IntoIterator<Item = (T, bool)>>(facts: I) -> Self {
        let facts: std::collections::BTreeMap<Box<str>, bool> =
            facts.into_iter().map(|(name, holds)| (name.into(), holds)).collect();
        Self(facts.into_iter().collect())
    }
}

/// Where a device stands with the inventory, as a decision is told of it.
#[derive(Clone, Copy, Debug, Default)]
pub enum Standing<'a> {
    /// The inventory knows nothing of it, or there is no device.
    #[default]
    Unrecorded,
    /// The inventory knows this.
    Recorded(&'a Record),
    /// For requests that nobody makes: it is in order, or it is not for this reason.
    Assumed(Option<super::Reason>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_only_lowers() {
        use DeviceTrust::{Enrolled, Issued, None as Nothing};
        for (trust, ownership, want) in [
            (None, None, Issued),
            (None, Some(Ownership::Corporate), Issued),
            (None, Some(Ownership::Personal), Enrolled),
            (Some(Issued), Some(Ownership::Personal), Enrolled),
            (Some(Enrolled), Some(Ownership::Corporate), Enrolled),
            (Some(Nothing), Some(Ownership::Personal), Nothing),
        ] {
            let record = Record { trust, ownership, ..Record::new("laptop") };
            assert_eq!(record.ceiling(), want, "{trust:?} {ownership:?}");
        }
        for state in State::ALL {
            let record = Record { state: Some(*state), ..Record::new("laptop") };
            assert_eq!(record.is_active(), *state == State::Active, "{state}");
        }
        assert!(Record::new("laptop").is_active());
    }

    #[test]
    fn what_nobody_said_does_not_hold() {
        let facts: PostureFacts = [("disk_encrypted", true), ("screen_lock", false)].into_iter().collect();
        assert!(facts.holds("disk_encrypted") && !facts.holds("screen_lock") && !facts.holds("firewall"));
    }
}
