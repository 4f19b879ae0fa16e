//! Gauges whose set of labels is replaced as a whole, so that what a reload removed disappears.

use prometheus::{GaugeVec, Opts, Registry};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// A family of gauges, and the label values it has now.
pub(super) struct Series<const LABELS: usize> {
    gauges: GaugeVec,
    known: Mutex<HashSet<[String; LABELS]>>,
}

impl<const LABELS: usize> Series<LABELS> {
    pub(super) fn register(
        registry: &Registry,
        name: &str,
        help: &str,
        labels: [&str; LABELS],
    ) -> Result<Self, prometheus::Error> {
        let gauges = GaugeVec::new(Opts::new(name, help), &labels)?;
        registry.register(Box::new(gauges.clone()))?;
        Ok(Self { gauges, known: Mutex::new(HashSet::new()) })
    }

    /// Sets one gauge.
    pub(super) fn set(&self, labels: [&str; LABELS], value: f64) {
        // The lock is held while the child is made, so that `replace` cannot miss it.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauges.with_label_values(&labels).set(value);
        known.insert(labels.map(str::to_owned));
    }

    /// Sets these gauges and removes all others.
    pub(super) fn replace<'a>(&self, entries: impl IntoIterator<Item = ([&'a str; LABELS], f64)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = HashSet::new();
        for (labels, value) in entries {
            self.gauges.with_label_values(&labels).set(value);
            next.insert(labels.map(str::to_owned));
        }
        for gone in known.difference(&next) {
            // It fails only where there is no such child, which is what is wanted.
            let _ = self.gauges.remove_label_values(gone);
        }
        *known = next;
    }

    /// Removes the gauges that are not to be kept.
    pub(super) fn retain(&self, keep: impl Fn(&[String; LABELS]) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|labels| {
            let kept = keep(labels);
            if !kept {
                let _ = self.gauges.remove_label_values(labels);
            }
            kept
        });
    }
}
