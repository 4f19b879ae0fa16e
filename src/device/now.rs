//! How a device stands at one moment: its certificate, the inventory and the age of both, together.

use super::{Evidence, Judgement, Presented, TrustStore};
use crate::access::{DeviceTrust, Timestamp};
use crate::config::Freshness;
use crate::inventory::Inventory;

/// What a certificate comes to at `now`, with what the inventory knows of the device. `most` says how old
/// the inventory may be. Asked on every request: what did not change is looked up and not worked out.
#[must_use]
pub fn judge(
    evidence: &Evidence,
    trust: &TrustStore,
    inventory: &Inventory,
    most: &Freshness,
    now: Timestamp,
) -> Judgement {
    let judged = evidence.judge(trust, now);
    match (judged.kind, &judged.id) {
        (Presented::Device, Some(id)) => {
            let record = evidence.record(inventory, id);
            let left = inventory.as_of().map(|since| most.ceiling(since, false, now));
            judged.recorded(record).aged(left.unwrap_or(DeviceTrust::Issued))
        }
        (Presented::Device | Presented::Nothing | Presented::Workload, _) => judged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Reason, Record, State};
    use crate::device::zoo::{Estate, Made, NOW};
    use crate::inventory::Source;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_record_and_its_age_count_at_once_on_a_connection_that_stays() {
        let root = Made::root("corporate", |_| {});
        let trust = Estate::new().authority("corporate", DeviceTrust::Issued, &[&root], &[]).trust();
        let evidence = Evidence::parse(&[root.leaf("laptop", |_| {}).der]).unwrap();
        let inventory = Inventory::default();
        let most = Freshness { high: Some(Duration::from_secs(60)), ..Freshness::default() };
        let said = |inventory: &Inventory, now| {
            let judged = judge(&evidence, &trust, inventory, &most, now);
            let active = judged.record.as_ref().map(|record| record.is_active());
            (judged.trust, judged.lowered, active)
        };
        assert_eq!(said(&inventory, NOW), (DeviceTrust::Issued, None, None));
        let record = |state| Some(Arc::new(Record { state: Some(state), ..Record::new("laptop") }));
        inventory.put(Source::Api, "laptop", record(State::Lost));
        assert_eq!(said(&inventory, NOW), (DeviceTrust::Issued, None, Some(false)));
        inventory.put(Source::Api, "laptop", record(State::Active));
        inventory.put(Source::Api, "another", record(State::Lost));
        assert_eq!(said(&inventory, NOW), (DeviceTrust::Issued, None, Some(true)));
        // Nothing can grow old until there is a source that can.
        inventory.set_as_of(Source::Api, Some(NOW - 1000));
        assert_eq!(said(&inventory, NOW).0, DeviceTrust::Issued);
        inventory.set_as_of(Source::Sync, Some(NOW));
        assert_eq!(said(&inventory, NOW + 60).0, DeviceTrust::Issued);
        let stale = (DeviceTrust::Enrolled, Some(Reason::EvidenceStale), Some(true));
        assert_eq!(said(&inventory, NOW + 61), stale);
        inventory.set_as_of(Source::Sync, None);
        inventory.set_as_of(Source::File, Some(NOW - 61));
        assert_eq!(said(&inventory, NOW), stale);
        inventory.set_as_of(Source::File, None);
        assert_eq!(said(&inventory, NOW).0, DeviceTrust::Issued);
    }
}
