//! What a tier asks of a device beside its trust: how lately it was seen, how it is kept, whose it is.

use super::names::shorten;
use super::resolve::Resolver;
use super::{Origin, older_than, raw};
use crate::access::{Reason, Record, Standing, Tier, Timestamp};
use crate::diagnostic::{Diagnostic, Severity};
use crate::text::duration;
use crate::text::name::{NAME_RULE, is_name};
use crate::text::version::OsVersion;
use crate::text::yaml::{At, Key};
use std::time::Duration;

/// Clocks of others may be ahead of ours by this, seconds.
const SKEW: i64 = 300;
/// Names that `require` may list.
const MOST_REQUIRED: usize = 64;

/// What a tier asks of a device.
#[derive(Clone, Debug)]
pub struct Posture {
    /// The management heard of it within this time.
    pub max_checkin_age: Option<Duration>,
    /// These hold.
    pub require: Vec<String>,
    /// By platform, the oldest version of its operating system.
    pub min_os: Vec<(&'static str, OsVersion)>,
    /// It is in the hands of its owner.
    pub owner_must_match: bool,
    /// Where it stands.
    pub origin: Origin,
}

/// Something that a tier asks of a device and does not find.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unmet<'a> {
    /// The inventory has no record of it.
    NoRecord,
    /// The management never heard of it, or at a time that is yet to come.
    NeverSeen {
        /// It must have, within this time.
        most: Duration,
    },
    /// The management heard of it too long ago.
    SeenLongAgo {
        /// So long.
        age: Duration,
        /// It must have, within this time.
        most: Duration,
    },
    /// This does not hold.
    Missing {
        /// Its name in `require`.
        what: &'a str,
    },
    /// Nobody says what its operating system is.
    PlatformUnknown,
    /// Nobody says what version its operating system has.
    VersionUnknown {
        /// Its operating system.
        platform: &'a str,
        /// The oldest version that will do.
        need: &'a OsVersion,
    },
    /// Its operating system is too old.
    Outdated {
        /// Its operating system.
        platform: &'a str,
        /// The version that it has.
        have: &'a OsVersion,
        /// The oldest version that will do.
        need: &'a OsVersion,
    },
    /// It is nobody's, or somebody else's than the user's.
    NotOwner,
    /// For requests that nobody makes: this.
    Assumed(Reason),
}

impl Unmet<'_> {
    /// The reason to refuse with.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::NoRecord => Reason::DeviceUnknown,
            Self::NeverSeen { .. } | Self::SeenLongAgo { .. } => Reason::PostureStale,
            Self::Missing { .. }
            | Self::PlatformUnknown
            | Self::VersionUnknown { .. }
            | Self::Outdated { .. } => Reason::PostureFailed,
            Self::NotOwner => Reason::DeviceNotOwned,
            Self::Assumed(reason) => reason,
        }
    }
}

impl Posture {
    /// Everything that a device in the hands of a user with these names lacks at `now`: how lately it was seen, then how it
    /// is kept, then whose it is. Allocates nothing.
    pub fn unmet<'a>(
        &'a self,
        standing: Standing<'a>,
        names: [Option<&'a str>; 2],
        now: Timestamp,
    ) -> impl Iterator<Item = Unmet<'a>> + use<'a> {
        let (record, early) = match standing {
            Standing::Recorded(record) => (Some(record), None),
            Standing::Unrecorded => (None, Some(Unmet::NoRecord)),
            Standing::Assumed(reason) => (None, reason.map(Unmet::Assumed)),
        };
        let known = record.into_iter().flat_map(move |record| {
            let missing = self
                .require
                .iter()
                .filter(move |what| !record.posture.as_ref().is_some_and(|posture| posture.holds(what)))
                .map(|what| Unmet::Missing { what });
            let owned = record.owner.as_deref().is_some_and(|owner| {
                names.iter().flatten().any(|name| !name.is_empty() && name.eq_ignore_ascii_case(owner))
            });
            self.seen(record, now)
                .into_iter()
                .chain(missing)
                .chain(self.version(record))
                .chain((self.owner_must_match && !owned).then_some(Unmet::NotOwner))
        });
        early.into_iter().chain(known)
    }

    fn seen(&self, record: &Record, now: Timestamp) -> Option<Unmet<'static>> {
        let most = self.max_checkin_age?;
        match record.last_checkin {
            Some(seen) if seen <= now.saturating_add(SKEW) => older_than(seen, now, most).then(|| {
                let age = u64::try_from(now.saturating_sub(seen)).unwrap_or(0);
                Unmet::SeenLongAgo { age: Duration::from_secs(age), most }
            }),
            Some(_) | None => Some(Unmet::NeverSeen { most }),
        }
    }

    fn version<'a>(&'a self, record: &'a Record) -> Option<Unmet<'a>> {
        if self.min_os.is_empty() {
            return None;
        }
        let Some(platform) = record.platform.as_deref() else { return Some(Unmet::PlatformUnknown) };
        let (_, need) = self.min_os.iter().find(|(name, _)| *name == platform)?;
        match record.os_version.as_deref() {
            None => Some(Unmet::VersionUnknown { platform, need }),
            Some(have) => (have < need).then_some(Unmet::Outdated { platform, have, need }),
        }
    }

    /// Whether it asks for everything that `other` asks for, and no less of it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let lately =
            other.max_checkin_age.is_none_or(|most| self.max_checkin_age.is_some_and(|own| own <= most));
        let versions = other.min_os.iter().all(|(platform, need)| {
            self.min_os.iter().any(|(own, version)| own == platform && version >= need)
        });
        lately
            && versions
            && other.require.iter().all(|what| self.require.contains(what))
            && (self.owner_must_match || !other.owner_must_match)
    }
}

impl std::fmt::Display for Posture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut asked = Vec::new();
        asked.extend(self.max_checkin_age.map(|most| format!("max_checkin_age {}", duration::write(most))));
        if !self.require.is_empty() {
            asked.push(format!("require {}", self.require.join("+")));
        }
        asked.extend(self.min_os.iter().map(|(platform, version)| format!("{platform} {version}")));
        if self.owner_must_match {
            asked.push("owner must_match".to_owned());
        }
        f.write_str(&asked.join(", "))
    }
}

/// What each tier asks of devices. The open tier asks for none, so it asks nothing of one.
#[derive(Clone, Debug, Default)]
pub struct Postures {
    pub(super) low: Option<Posture>,
    pub(super) high: Option<Posture>,
}

impl Postures {
    /// What this tier asks. One that states nothing asks what the tier below it asks.
    #[must_use]
    pub fn of(&self, tier: Tier) -> Option<&Posture> {
        match tier {
            Tier::Open => None,
            Tier::Low => self.low.as_ref(),
            Tier::High => self.high.as_ref().or(self.low.as_ref()),
        }
    }
}

impl Resolver<'_> {
    /// Reads `posture`, which stands in one file only.
    pub fn postures(&mut self, stated: Vec<(usize, At<raw::Postures>)>) -> Postures {
        let mut stated = stated.into_iter();
        let Some((file, At { value: raw::Postures { low, high }, span })) = stated.next() else {
            return Postures::default();
        };
        for (other, second) in stated {
            let place = self.place(other, second.span);
            let first = self.place(file, span.clone());
            self.findings.push(
                Diagnostic::error("Y0116", &place.path, place.span, "`posture` stands in two files")
                    .label("join the two")
                    .also(&first.path, first.span, "first stated here"),
            );
        }
        if !low.is_stated() && !high.is_stated() {
            self.error(file, "Y0108", span, "`posture` is empty", "state `low`, `high` or both");
        }
        let high_place = high.0.as_ref().map(|high| high.span.clone());
        let low = low.0.map(|posture| self.posture(file, posture));
        let high = high.0.map(|posture| self.posture(file, posture));
        if let (Some(low), Some(high), Some(place)) = (&low, &high, high_place)
            && !high.covers(low)
            && !self.findings.has_mistakes()
        {
            let message = "the posture of `high` asks for less than that of `low`";
            let label = "a tier that states its own posture asks nothing of the tier below it";
            self.report(Severity::Warning, file, "P0212", place, message, label);
        }
        Postures { low, high }
    }

    fn posture(&mut self, file: usize, posture: At<raw::Posture>) -> Posture {
        let At { value: raw::Posture { max_checkin_age, require, min_os, owner }, span } = posture;
        let stated =
            [max_checkin_age.is_stated(), require.is_stated(), min_os.is_stated(), owner.is_stated()];
        if !stated.contains(&true) {
            self.error(
                file,
                "Y0108",
                span.clone(),
                "this posture asks nothing",
                "state `max_checkin_age`, `require`, `min_os` or `owner`",
            );
        }
        let require = self.list(file, require, "require").unwrap_or_default();
        if let Some(first) = require.get(MOST_REQUIRED) {
            let message = format!("more than {MOST_REQUIRED} names in `require`");
            self.error(file, "P0116", first.span.clone(), message, "the first too many");
        }
        for name in &require {
            if !is_name(&name.value) {
                let message = format!("`{}` is not the name of something required", shorten(&name.value));
                self.error(file, "Y0113", name.span.clone(), message, NAME_RULE);
            }
        }
        let owner =
            owner.0.and_then(|text| self.word(file, &text, "value for `owner`", &[("must_match", ())]));
        Posture {
            max_checkin_age: self.seconds(file, max_checkin_age),
            require: require.into_iter().map(|name| name.value).collect(),
            min_os: self.min_os(file, min_os),
            owner_must_match: owner.is_some(),
            origin: self.origin(file, &span),
        }
    }

    fn min_os(&mut self, file: usize, key: Key<raw::MinOs>) -> Vec<(&'static str, OsVersion)> {
        let Some(At { value, span }) = key.0 else { return Vec::new() };
        // Destructured without `..`: see `raw`.
        let raw::MinOs { android, chromeos, ios, ipados, linux, macos, windows } = value;
        let platforms = [
            ("android", android),
            ("chromeos", chromeos),
            ("ios", ios),
            ("ipados", ipados),
            ("linux", linux),
            ("macos", macos),
            ("windows", windows),
        ];
        if platforms.iter().all(|(_, version)| !version.is_stated()) {
            self.error(file, "Y0108", span, "`min_os` is empty", "name a platform and its oldest version");
        }
        let mut versions = Vec::new();
        for (platform, version) in platforms {
            let Some(text) = version.0 else { continue };
            match text.value.parse() {
                Ok(version) => versions.push((platform, version)),
                Err(error) => {
                    let message = format!("`{}` is not a version", shorten(&text.value));
                    let why: crate::text::version::VersionError = error;
                    self.error(file, "Y0118", text.span, message, why.to_string());
                }
            }
        }
        versions
    }
}

#[cfg(test)]
mod tests;
