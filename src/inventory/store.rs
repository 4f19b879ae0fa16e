//! The records of all sources, and what they come to.

use super::file::FileRecords;
use super::known::Known;
use super::merge::merged;
use crate::access::{Record, Timestamp};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::atomic::{self, AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who says what is known of a device, in the order in which they are asked.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// The admin API; kept in `state`.
    Api,
    /// The device management.
    Sync,
    /// A file.
    File,
}

impl Source {
    /// Every source, the one that is asked first first.
    pub const ALL: [Self; 3] = [Self::Api, Self::Sync, Self::File];

    /// The word for it in answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Sync => "sync",
            Self::File => "file",
        }
    }
}

/// So long ago that it is too old for everything.
const NEVER: Timestamp = 1;

/// A record that is found and ordered by its id.
#[derive(Clone, Debug)]
struct ById(Arc<Record>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ById {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

/// Something else is known of a device than was.
#[derive(Clone, Debug)]
pub struct Change {
    /// What was known.
    pub before: Option<Arc<Record>>,
    /// What is known now.
    pub after: Option<Arc<Record>>,
}

/// What the organisation knows of its devices. One value a process.
#[derive(Debug, Default)]
pub struct Inventory {
    /// What all sources come to.
    known: Known,
    /// What each source says. Also held while `known` is brought up to date.
    said: Mutex<BTreeMap<Source, BTreeSet<ById>>>,
    epoch: AtomicU64,
    /// As of when the sources that can grow old say what they say; 0 where there is none.
    synced: AtomicI64,
    written: AtomicI64,
}

impl Inventory {
    /// What is known of a device.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Record>> {
        self.known.get(id)
    }

    /// How many devices are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As of when the inventory is known: the last sync, where a device management is asked; otherwise the
    /// last change of the file. `None` where neither is configured: nothing there can grow old.
    #[must_use]
    pub fn as_of(&self) -> Option<Timestamp> {
        [&self.synced, &self.written]
            .into_iter()
            .map(|at| at.load(atomic::Ordering::Relaxed))
            .find(|at| *at != 0)
    }

    /// A source is known as of this moment; `None` where it is not configured.
    pub fn set_as_of(&self, source: Source, at: Option<Timestamp>) {
        let of = match source {
            Source::Sync => &self.synced,
            Source::File => &self.written,
            // What somebody says by hand is so until they say something else.
            Source::Api => return,
        };
        of.store(at.unwrap_or(0), atomic::Ordering::Relaxed);
    }

    /// A device management is asked from now on. What it says is too old for everything, until it has said
    /// something.
    pub fn expect_sync(&self) {
        // Where it was asked before, the inventory is as old as it is.
        let _asked_before =
            self.synced.compare_exchange(0, NEVER, atomic::Ordering::Relaxed, atomic::Ordering::Relaxed);
    }

    /// Another number whenever something was changed.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(atomic::Ordering::Acquire)
    }

    /// What each source says of a device, in the order in which they are asked.
    #[must_use]
    pub fn said_of(&self, id: &str) -> Vec<(Source, Arc<Record>)> {
        let said = self.lock();
        said.iter().filter_map(|(source, records)| Some((*source, Arc::clone(&records.get(id)?.0)))).collect()
    }

    /// What one source says of a device.
    #[must_use]
    pub fn said_by(&self, source: Source, id: &str) -> Option<Arc<Record>> {
        Some(Arc::clone(&self.lock().get(&source)?.get(id)?.0))
    }

    /// Of how many devices a source says something.
    #[must_use]
    pub fn count(&self, source: Source) -> usize {
        self.lock().get(&source).map_or(0, BTreeSet::len)
    }

    /// What is known of the devices whose ids come behind this one, by id and at most so many.
    #[must_use]
    pub fn page(&self, after: Option<&str>, most: usize) -> Vec<Arc<Record>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let said = self.lock();
        let behind =
            said.values().flat_map(|records| records.range::<str, _>((from, Bound::Unbounded)).take(most));
        let ids: BTreeSet<&str> = behind.map(|record| &*record.0.id).collect();
        ids.into_iter().take(most).filter_map(|id| self.get(id)).collect()
    }

    /// Has the file say this, as of its last change.
    pub fn take_file(&self, FileRecords { records, changed }: FileRecords) -> Vec<Change> {
        self.set_as_of(Source::File, changed);
        self.replace(Source::File, records)
    }

    /// A source says this of one device, instead of what it said of it; `None` takes that back.
    pub fn put(&self, source: Source, id: &str, record: Option<Arc<Record>>) -> Option<Change> {
        let mut said = self.lock();
        let records = said.entry(source).or_default();
        match record {
            Some(record) => _ = records.replace(ById(record)),
            None => _ = records.take(id),
        }
        let changed = self.follow(&said, id);
        if changed.is_some() {
            self.epoch.fetch_add(1, atomic::Ordering::Release);
        }
        changed
    }

    /// A source says this, instead of everything that it said; of several records of one device the last.
    pub fn replace(&self, source: Source, records: impl IntoIterator<Item = Arc<Record>>) -> Vec<Change> {
        let mut said = self.lock();
        let old = said.remove(&source).unwrap_or_default();
        // What is said as before is kept as it was, so that it is not in memory twice.
        let kept = |record: ById| match old.get(&*record.0.id) {
            Some(before) if before.0 == record.0 => before.clone(),
            Some(_) | None => record,
        };
        let new: BTreeSet<ById> = records.into_iter().map(|record| kept(ById(record))).collect();
        said.insert(source, new);
        let Some(new) = said.get(&source) else { return Vec::new() };
        let unsaid = old.iter().filter(|record| !new.contains(*record));
        let differs =
            |record: &&ById| old.get(&*record.0.id).is_none_or(|before| !Arc::ptr_eq(&before.0, &record.0));
        let ids = unsaid.chain(new.iter().filter(differs)).map(|record| &*record.0.id);
        let changed: Vec<Change> = ids.filter_map(|id| self.follow(&said, id)).collect();
        if !changed.is_empty() {
            self.epoch.fetch_add(1, atomic::Ordering::Release);
        }
        changed
    }

    /// How many of the devices of a source are not among these, and how many it has.
    #[must_use]
    pub fn would_drop(&self, source: Source, these: &HashSet<&str>) -> (usize, usize) {
        let said = self.lock();
        let Some(records) = said.get(&source) else { return (0, 0) };
        (records.iter().filter(|record| !these.contains(&*record.0.id)).count(), records.len())
    }

    /// Brings what is known of a device up to date with what is said of it.
    fn follow(&self, said: &BTreeMap<Source, BTreeSet<ById>>, id: &str) -> Option<Change> {
        let after = merged(said.values().filter_map(|records| records.get(id)).map(|record| &record.0));
        let before = self.known.get(id);
        if before == after {
            return None;
        }
        self.known.set(id, after.clone());
        Some(Change { before, after })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Source, BTreeSet<ById>>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Ownership, State};

    fn record(id: &str, state: State) -> Arc<Record> {
        Arc::new(Record { state: Some(state), ..Record::new(id) })
    }

    fn state(inventory: &Inventory, id: &str) -> Option<State> {
        inventory.get(id)?.state
    }

    #[test]
    fn what_is_known_follows_what_is_said() {
        let inventory = Inventory::default();
        assert_eq!(
            inventory.replace(Source::File, [record("a", State::Active), record("b", State::Active)]).len(),
            2
        );
        let first = inventory.epoch();
        let change = inventory.put(Source::Api, "a", Some(record("a", State::Lost))).unwrap();
        assert_eq!(change.before.unwrap().state, Some(State::Active));
        assert_eq!(change.after.unwrap().state, Some(State::Lost));
        assert_eq!(state(&inventory, "a"), Some(State::Lost));
        assert_ne!(inventory.epoch(), first);
        // The file says what it said: nothing is known differently, and nothing is kept twice.
        let second = inventory.epoch();
        let kept = inventory.said_by(Source::File, "b").unwrap();
        let same = [record("a", State::Active), record("b", State::Active)];
        assert_eq!((inventory.replace(Source::File, same).len(), inventory.epoch()), (0, second));
        assert!(Arc::ptr_eq(&kept, &inventory.said_by(Source::File, "b").unwrap()));
        // A device that one source drops is known by the other still.
        assert_eq!(inventory.replace(Source::File, [record("c", State::Retired)]).len(), 2);
        assert_eq!(state(&inventory, "a"), Some(State::Lost));
        assert_eq!((inventory.get("b"), state(&inventory, "c")), (None, Some(State::Retired)));
        assert!(
            inventory.put(Source::Api, "a", None).is_some()
                && inventory.put(Source::Api, "a", None).is_none()
        );
        assert_eq!((inventory.get("a"), inventory.len()), (None, 1));
        let said: Vec<_> = inventory.said_of("c").into_iter().map(|(source, _)| source).collect();
        assert_eq!(said, [Source::File]);
    }

    #[test]
    fn of_several_records_of_one_device_the_last_counts() {
        let inventory = Inventory::default();
        let personal = Record { ownership: Some(Ownership::Personal), ..Record::new("a") };
        inventory.replace(Source::Sync, [record("a", State::Lost), Arc::new(personal)]);
        assert_eq!(inventory.len(), 1);
        assert_eq!(state(&inventory, "a"), None);
        assert_eq!(inventory.get("a").unwrap().ownership, Some(Ownership::Personal));
    }

    #[test]
    fn pages_follow_the_ids_over_all_sources() {
        let inventory = Inventory::default();
        inventory.replace(Source::File, ["d", "b", "e"].map(|id| record(id, State::Active)));
        inventory.replace(Source::Api, ["a", "b", "c"].map(|id| record(id, State::Lost)));
        for (after, most, want) in [
            (None, 3, "abc"),
            (Some("b"), 2, "cd"),
            (Some("bb"), 9, "cde"),
            (Some("e"), 9, ""),
            (None, 0, ""),
        ] {
            let page = inventory.page(after, most);
            let ids: String = page.iter().map(|record| &*record.id).collect();
            assert_eq!(ids, want, "{after:?} {most}");
            assert!(page.iter().all(|it| (it.state == Some(State::Lost)) == (&*it.id <= "c")));
        }
        assert_eq!((inventory.count(Source::File), inventory.count(Source::Sync)), (3, 0));
        assert_eq!(inventory.said_by(Source::File, "b").unwrap().state, Some(State::Active));
        assert!(inventory.said_by(Source::File, "a").is_none());
    }
}
