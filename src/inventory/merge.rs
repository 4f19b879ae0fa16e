//! Several sources' records of one device, made one.

use crate::access::Record;
use std::sync::Arc;

/// What all of these records say, the source that is asked first standing first. `None` where there is none.
pub(super) fn merged<'a>(records: impl Iterator<Item = &'a Arc<Record>>) -> Option<Arc<Record>> {
    let mut records = records;
    let first = Arc::clone(records.next()?);
    Some(records.fold(first, |first, second| Arc::new(both(&first, second))))
}

/// The most restrictive of what both say of trust; of the rest, what the first says before the second.
fn both(first: &Record, second: &Record) -> Record {
    // Destructured without `..`: what becomes of a new field is said here.
    let Record { id, trust, ownership, state, owner, platform, os_version, last_checkin, posture, notes } =
        first.clone();
    // A version without its platform, or with another's, would say nothing; how a device is kept is known
    // as of its check-in. So what is measured comes from one source.
    let measured = |record: &Record| {
        record.platform.is_some() || record.last_checkin.is_some() || record.posture.is_some()
    };
    let (platform, os_version, last_checkin, posture) =
        if platform.is_some() || last_checkin.is_some() || posture.is_some() || !measured(second) {
            (platform, os_version, last_checkin, posture)
        } else {
            let Record { platform, os_version, last_checkin, posture, .. } = second.clone();
            (platform, os_version, last_checkin, posture)
        };
    Record {
        id,
        trust: least(trust, second.trust),
        ownership: ownership.max(second.ownership),
        state: state.max(second.state),
        owner: owner.or_else(|| second.owner.clone()),
        platform,
        os_version,
        last_checkin,
        posture,
        notes: notes.or_else(|| second.notes.clone()),
    }
}

/// The lesser of what is said.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{DeviceTrust, Ownership, State};

    #[test]
    fn the_most_restrictive_counts_whoever_says_it() {
        let say = |state, ownership, trust| Record { state, ownership, trust, ..Record::new("laptop") };
        for (first, second, want) in [
            (
                say(Some(State::Active), None, None),
                say(Some(State::Lost), Some(Ownership::Personal), Some(DeviceTrust::Enrolled)),
                say(Some(State::Lost), Some(Ownership::Personal), Some(DeviceTrust::Enrolled)),
            ),
            (
                say(Some(State::Retired), Some(Ownership::Personal), Some(DeviceTrust::None)),
                say(Some(State::Active), Some(Ownership::Corporate), Some(DeviceTrust::Issued)),
                say(Some(State::Retired), Some(Ownership::Personal), Some(DeviceTrust::None)),
            ),
            (say(None, None, None), say(None, None, None), say(None, None, None)),
        ] {
            let records = [Arc::new(first), Arc::new(second)];
            assert_eq!(*merged(records.iter()).unwrap(), want);
            assert_eq!(*merged(records.iter().rev()).unwrap(), want, "in the other order");
        }
        assert!(merged([].iter()).is_none());
    }

    #[test]
    fn what_is_measured_comes_from_one_source_and_who_owns_it_from_the_first_that_says() {
        let api = Record { owner: Some("ann".into()), ..Record::new("laptop") };
        let managed = Record {
            owner: Some("bob".into()),
            platform: Some("macos".into()),
            last_checkin: Some(7),
            ..Record::new("laptop")
        };
        let file = Record {
            platform: Some("windows".into()),
            os_version: Some(Arc::new("10".parse().unwrap())),
            notes: Some("spare".into()),
            ..Record::new("laptop")
        };
        let records = [api, managed, file].map(Arc::new);
        let record = merged(records.iter()).unwrap();
        assert_eq!(record.owner.as_deref(), Some("ann"));
        assert_eq!((record.platform.as_deref(), record.last_checkin), (Some("macos"), Some(7)));
        assert_eq!(record.os_version, None, "the version of another platform");
        assert_eq!(record.notes.as_deref(), Some("spare"));
    }
}
