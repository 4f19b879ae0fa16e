//! How old what is known of devices may be, for each source and tier.

use super::raw;
use super::resolve::Reader;
use crate::access::{DeviceTrust, Timestamp};
use crate::policy::older_than;
use crate::text::yaml::{At, Key};
use std::time::Duration;

/// How old what is known of devices may be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EvidenceLimits {
    /// Revocation lists, from `thisUpdate`.
    pub crl: Freshness,
    /// Answers of OCSP responders, from `thisUpdate`.
    pub ocsp: Freshness,
    /// The inventory, from the last sync, or where there is none from the last change of the file.
    pub inventory: Freshness,
}

/// How old one source may be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Freshness {
    /// For the tier `low`; `None` does not ask.
    pub low: Option<Duration>,
    /// For the tier `high`; `None` asks for what has not ended by its own account.
    pub high: Option<Duration>,
    /// What is stale is only shown, and nobody is denied for it.
    pub allow_stale: bool,
}

impl Freshness {
    /// The most trust that evidence of this age leaves. `over`: by its own account it holds no more.
    #[must_use]
    pub fn ceiling(&self, since: Timestamp, over: bool, now: Timestamp) -> DeviceTrust {
        let older = |most: Option<Duration>| most.is_some_and(|most| older_than(since, now, most));
        match self {
            Self { allow_stale: true, .. } => DeviceTrust::Issued,
            Self { low, .. } if older(*low) => DeviceTrust::None,
            Self { high, .. } if over || older(*high) => DeviceTrust::Enrolled,
            Self { .. } => DeviceTrust::Issued,
        }
    }
}

impl Freshness {
    /// From when to when evidence of this age is as stale or as fresh as it is at `now`, both included.
    #[must_use]
    pub fn unchanged(&self, since: Timestamp, now: Timestamp) -> (Timestamp, Timestamp) {
        let ends = [self.low, self.high]
            .into_iter()
            .flatten()
            .map(|most| since.saturating_add(i64::try_from(most.as_secs()).unwrap_or(i64::MAX)));
        let (mut from, mut until) = (Timestamp::MIN, Timestamp::MAX);
        for end in ends {
            if now <= end {
                until = until.min(end);
            } else {
                from = from.max(end.saturating_add(1));
            }
        }
        (from, until)
    }
}

impl Reader<'_> {
    pub(super) fn evidence(&mut self, key: Key<raw::Evidence>) -> EvidenceLimits {
        let Some(At { value: raw::Evidence { crl, ocsp, inventory }, span }) = key.0 else {
            return EvidenceLimits::default();
        };
        if !crl.is_stated() && !ocsp.is_stated() && !inventory.is_stated() {
            self.error("Y0108", span, "`evidence` is empty", "state `crl`, `ocsp` or `inventory`");
        }
        EvidenceLimits {
            crl: self.freshness(crl),
            ocsp: self.freshness(ocsp),
            inventory: self.freshness(inventory),
        }
    }

    fn freshness(&mut self, key: Key<raw::Freshness>) -> Freshness {
        let Some(At { value: raw::Freshness { max_age, on_stale }, span }) = key.0 else {
            return Freshness::default();
        };
        if !max_age.is_stated() && !on_stale.is_stated() {
            self.error("Y0105", span, "nothing is said of its age", "state `max_age`, `on_stale` or both");
        }
        let (mut low, mut high) = (None, None);
        if let Some(At { value: raw::MaxAge { low: of_low, high: of_high }, span }) = max_age.0 {
            if !of_low.is_stated() && !of_high.is_stated() {
                self.error("Y0108", span.clone(), "`max_age` is empty", "state `low`, `high` or both");
            }
            low = of_low.0.and_then(|text| self.duration(&text));
            // What is too old for the lower tier is too old for the higher one.
            high = of_high.0.and_then(|text| self.duration(&text)).or(low);
            if low.zip(high).is_some_and(|(low, high)| high > low) {
                let label = "state at most what `low` says for `high`";
                self.error("C0107", span, "`high` may be older here than `low`", label);
            }
        }
        let words = [("deny", false), ("allow", true)];
        let allow_stale = on_stale.0.and_then(|text| self.word(&text, "value for `on_stale`", &words));
        Freshness { low, high, allow_stale: allow_stale.unwrap_or(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{SMALL, codes, config};

    fn with(line: &str) -> String {
        format!("{SMALL}devices: {{ evidence: {line} }}\n")
    }

    #[test]
    fn each_source_has_an_age_for_each_tier() {
        let evidence = config(&with("{ crl: { max_age: { high: 24h, low: 7d } }, inventory: { max_age: { low: 1h }, on_stale: allow } }")).evidence;
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        assert_eq!(evidence.crl, Freshness { low: Some(7 * day), high: Some(day), allow_stale: false });
        assert_eq!(evidence.inventory, Freshness { low: Some(hour), high: Some(hour), allow_stale: true });
        assert_eq!(evidence.ocsp, Freshness::default());
        for (line, code) in [
            ("{}", "Y0108"),
            ("{ crl: {} }", "Y0105"),
            ("{ crl: { max_age: {} } }", "Y0108"),
            ("{ crl: { max_age: { open: 1h } } }", "Y0102"),
            ("{ crl: { max_age: 24h } }", "Y0104"),
            ("{ crl: { max_age: { high: 24 } } }", "Y0110"),
            ("{ crl: { max_age: { high: 2h, low: 1h } } }", "C0107"),
            ("{ crl: { on_stale: ignore } }", "Y0115"),
            ("{ jwks: { on_stale: deny } }", "Y0102"),
        ] {
            assert_eq!(codes(&with(line)), [code], "{line}");
        }
    }

    #[test]
    fn what_is_stale_leaves_the_tiers_that_may_use_it() {
        use DeviceTrust::{Enrolled, Issued, None as Nothing};
        let limits = Freshness {
            low: Some(Duration::from_secs(100)),
            high: Some(Duration::from_secs(10)),
            allow_stale: false,
        };
        let none = Freshness::default();
        for (freshness, age, over, want) in [
            (limits, 10, false, Issued),
            (limits, 11, false, Enrolled),
            (limits, 100, true, Enrolled),
            (limits, 101, false, Nothing),
            (limits, -5, false, Issued),
            (limits, 0, true, Enrolled),
            (Freshness { allow_stale: true, ..limits }, 1000, true, Issued),
            (none, 1_000_000_000, false, Issued),
            (none, 1, true, Enrolled),
        ] {
            assert_eq!(freshness.ceiling(1000 - age, over, 1000), want, "{freshness:?} {age} {over}");
            // For as long as is said, and not a second longer.
            let (from, until) = freshness.unchanged(1000 - age, 1000);
            for moment in [from, until].into_iter().filter(|moment| (0..2000).contains(moment)) {
                assert_eq!(freshness.ceiling(1000 - age, over, moment), want, "{freshness:?} at {moment}");
            }
            if until < 2000 {
                assert_ne!(freshness.unchanged(1000 - age, until + 1), (from, until));
            }
        }
    }
}
