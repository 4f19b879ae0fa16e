//! The counters of one resource or upstream, resolved once so that a request only adds to them.

use crate::access::{Reason, Tier};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What was decided, as metrics and the audit log name it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decided {
    /// Forwarded, or answered as asked.
    Allow,
    /// Refused.
    Deny,
    /// Refused until the user does something that they can do now.
    Challenge,
}

impl Decided {
    /// The name used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Challenge => "challenge",
        }
    }
}

/// The label for what no resource was found for.
const NONE: &str = "none";

/// The classes of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The class of a status: its place in [`CLASSES`]; what is no status counts as the proxy's fault.
fn class(status: u16) -> usize {
    match status {
        100..=199 => 0,
        200..=299 => 1,
        300..=399 => 2,
        400..=499 => 3,
        _ => 4,
    }
}

/// Counters that come into being when they are first counted, so that a scrape does not carry
/// every reason of every resource.
struct Lazy<const N: usize> {
    slots: [OnceLock<IntCounter>; N],
    /// Removed by a reload: late requests must not bring the series back.
    retired: AtomicBool,
}

impl<const N: usize> Lazy<N> {
    fn new() -> Self {
        Self { slots: [const { OnceLock::new() }; N], retired: AtomicBool::new(false) }
    }

    fn increment(&self, at: usize, make: impl FnOnce() -> IntCounter) {
        let Some(slot) = self.slots.get(at) else { return };
        if let Some(counter) = slot.get() {
            counter.inc();
        } else if !self.retired.load(Ordering::Acquire) {
            slot.get_or_init(make).inc();
        }
    }

    /// The places that were ever counted; none is made after this.
    fn retire(&self) -> impl Iterator<Item = usize> + '_ {
        self.retired.store(true, Ordering::Release);
        self.slots.iter().enumerate().filter(|(_, slot)| slot.get().is_some()).map(|(at, _)| at)
    }
}

/// The families that resources are counted in.
#[derive(Clone)]
pub(super) struct ResourceFamilies {
    pub(super) requests: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) decisions: IntCounterVec,
    pub(super) decision_duration: Histogram,
    pub(super) shadow: IntCounterVec,
}

const REASONS: usize = Reason::ALL.len();

/// What can be decided, by its place here.
const DECIDED: [Decided; 3] = [Decided::Allow, Decided::Deny, Decided::Challenge];

/// Each pair of what was decided live and in shadow, with each reason.
const SHADOWS: usize = DECIDED.len() * DECIDED.len() * REASONS;

/// The counters of one resource at one tier; `none` where no resource was found.
pub struct ResourceMetrics {
    name: Option<String>,
    tier: Option<Tier>,
    families: ResourceFamilies,
    requests: Lazy<5>,
    allowed: Lazy<REASONS>,
    denied: Lazy<REASONS>,
    challenged: Lazy<REASONS>,
    /// Made when a shadow first decides: it is large, and most of the time there is none.
    shadowed: OnceLock<Box<Lazy<SHADOWS>>>,
    duration: Histogram,
}

impl ResourceMetrics {
    pub(super) fn new(families: &ResourceFamilies, resource: Option<(&str, Tier)>) -> Self {
        let name = resource.map(|(name, _)| name.to_owned());
        let duration = families.duration.with_label_values(&[name.as_deref().unwrap_or(NONE)]);
        Self {
            name,
            tier: resource.map(|(_, tier)| tier),
            families: families.clone(),
            requests: Lazy::new(),
            allowed: Lazy::new(),
            denied: Lazy::new(),
            challenged: Lazy::new(),
            shadowed: OnceLock::new(),
            duration,
        }
    }

    fn labels(&self) -> (&str, &'static str) {
        (self.name.as_deref().unwrap_or(NONE), self.tier.map_or(NONE, Tier::as_str))
    }

    /// One request that is over: its status as the client saw it (or would have), and how long it took.
    pub fn request(&self, status: u16, took: Duration) {
        let at = class(status);
        self.requests.increment(at, || {
            let (name, tier) = self.labels();
            let class = CLASSES.get(at).copied().unwrap_or(NONE);
            self.families.requests.with_label_values(&[name, tier, class])
        });
        self.duration.observe(took.as_secs_f64());
    }

    /// One decision, why, and how long it took to make.
    pub fn decision(&self, decided: Decided, reason: Reason, took: Duration) {
        self.of(decided).increment(place(reason), || {
            let (name, tier) = self.labels();
            self.families.decisions.with_label_values(&[name, tier, decided.as_str(), reason.code()])
        });
        self.families.decision_duration.observe(took.as_secs_f64());
    }

    /// One decision of the policy in shadow, and why, beside what the live one decided.
    pub fn shadow(&self, live: Decided, shadow: Decided, reason: Reason) {
        let at = (live as usize * DECIDED.len() + shadow as usize) * REASONS + place(reason);
        self.shadowed().increment(at, || {
            let (name, tier) = self.labels();
            let labels = [name, tier, live.as_str(), shadow.as_str(), reason.code()];
            self.families.shadow.with_label_values(&labels)
        });
    }

    fn shadowed(&self) -> &Lazy<SHADOWS> {
        self.shadowed.get_or_init(|| Box::new(Lazy::new()))
    }

    const fn of(&self, decided: Decided) -> &Lazy<REASONS> {
        match decided {
            Decided::Allow => &self.allowed,
            Decided::Deny => &self.denied,
            Decided::Challenge => &self.challenged,
        }
    }

    /// Takes the series out of the families. `whole` takes the histogram too, which all tiers of a
    /// resource share.
    pub(super) fn remove(&self, whole: bool) {
        let (name, tier) = self.labels();
        for at in self.requests.retire() {
            let class = CLASSES.get(at).copied().unwrap_or(NONE);
            let _ = self.families.requests.remove_label_values(&[name, tier, class]);
        }
        for decided in DECIDED {
            for at in self.of(decided).retire() {
                let code = Reason::ALL.get(at).map_or(NONE, |reason| reason.code());
                let _ = self.families.decisions.remove_label_values(&[name, tier, decided.as_str(), code]);
            }
        }
        for at in self.shadowed().retire() {
            let (pair, reason) = (at / REASONS, at % REASONS);
            let word = |at: usize| DECIDED.get(at).map_or(NONE, |decided| decided.as_str());
            let code = Reason::ALL.get(reason).map_or(NONE, |reason| reason.code());
            let (live, shadow) = (word(pair / DECIDED.len()), word(pair % DECIDED.len()));
            let _ = self.families.shadow.remove_label_values(&[name, tier, live, shadow, code]);
        }
        if whole {
            let _ = self.families.duration.remove_label_values(&[name]);
        }
    }
}

/// Where a reason stands in [`Reason::ALL`], which lists them as they are declared.
const fn place(reason: Reason) -> usize {
    reason as usize
}

/// The counters of one upstream.
pub struct UpstreamMetrics {
    name: String,
    family: IntCounterVec,
    /// The five classes, and the requests that got no answer.
    answers: Lazy<6>,
}

impl UpstreamMetrics {
    pub(super) fn new(family: &IntCounterVec, name: &str) -> Self {
        Self { name: name.to_owned(), family: family.clone(), answers: Lazy::new() }
    }

    /// The upstream answered.
    pub fn answered(&self, status: u16) {
        self.count(class(status));
    }

    /// The upstream could not be reached, broke off or was too late.
    pub fn failed(&self) {
        self.count(CLASSES.len());
    }

    fn count(&self, at: usize) {
        self.answers.increment(at, || self.family.with_label_values(&[self.name.as_str(), answer(at)]));
    }

    pub(super) fn remove(&self) {
        for at in self.answers.retire() {
            let _ = self.family.remove_label_values(&[self.name.as_str(), answer(at)]);
        }
    }
}

fn answer(at: usize) -> &'static str {
    CLASSES.get(at).copied().unwrap_or("error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_where_its_number_says() {
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(place(*reason), at, "{reason}");
        }
    }

    #[test]
    fn every_decision_stands_where_its_number_says() {
        for (at, decided) in DECIDED.into_iter().enumerate() {
            assert_eq!(decided as usize, at, "{decided:?}");
        }
    }

    #[test]
    fn a_status_counts_in_its_class() {
        for (status, want) in
            [(101, "1xx"), (200, "2xx"), (308, "3xx"), (421, "4xx"), (502, "5xx"), (0, "5xx")]
        {
            assert_eq!(CLASSES[class(status)], want, "{status}");
        }
    }
}
