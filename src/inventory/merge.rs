//! Several sources' records of one device, made one.

use crate::access::{DeviceTrust, Ownership, Record, State};
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

/// Whether what is said now takes something of what was said, and gives nothing.
#[must_use]
pub fn restricts(before: Option<&Record>, after: Option<&Record>) -> bool {
    let said = |record: Option<&Record>| {
        let state = record.and_then(|record| record.state).unwrap_or(State::Active);
        let ownership = record.and_then(|record| record.ownership).unwrap_or(Ownership::Corporate);
        (state, ownership, record.and_then(|record| record.trust).unwrap_or(DeviceTrust::Issued))
    };
    let (before, after) = (said(before), said(after));
    before != after && after.0 >= before.0 && after.1 >= before.1 && after.2 <= before.2
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

    #[test]
    fn taking_is_told_from_giving() {
        use DeviceTrust::{Enrolled, Issued};
        use State::{Active, Lost, Retired};
        let say = |state, trust| Some(Record { state: Some(state), trust, ..Record::new("laptop") });
        for (before, after, want) in [
            (None, say(Lost, None), true),
            (say(Active, None), say(Lost, None), true),
            (None, say(Active, Some(Enrolled)), true),
            (say(Lost, None), None, false),
            (say(Lost, None), say(Retired, None), false),
            (say(Active, Some(Enrolled)), say(Lost, Some(Issued)), false),
            (None, say(Active, Some(Issued)), false),
            (None, None, false),
        ] {
            assert_eq!(restricts(before.as_ref(), after.as_ref()), want, "{before:?} {after:?}");
        }
    }
}
