//! The records of all sources, and what they come to.

use super::merge::merged;
use crate::access::{Record, Timestamp};
use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
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

/// A record that is found by its id.
#[derive(Clone, Debug)]
struct ById(Arc<Record>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.0.id).hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

/// What the organisation knows of its devices. One value a process; read without a lock.
#[derive(Debug, Default)]
pub struct Inventory {
    /// What all sources come to.
    known: papaya::HashMap<Box<str>, Arc<Record>>,
    /// What each source says. Also held while `known` is brought up to date.
    said: Mutex<BTreeMap<Source, HashSet<ById>>>,
    epoch: AtomicU64,
    /// As of when the sources that can grow old say what they say; 0 where there is none.
    synced: AtomicI64,
    written: AtomicI64,
}

impl Inventory {
    /// What is known of a device.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Record>> {
        self.known.pin().get(id).cloned()
    }

    /// How many devices are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// As of when the inventory is known: the last sync, where a device management is asked; otherwise the
    /// last change of the file. `None` where neither is configured: nothing there can grow old.
    #[must_use]
    pub fn as_of(&self) -> Option<Timestamp> {
        [&self.synced, &self.written].into_iter().map(|at| at.load(Ordering::Relaxed)).find(|at| *at != 0)
    }

    /// A source is known as of this moment; `None` where it is not configured.
    pub fn set_as_of(&self, source: Source, at: Option<Timestamp>) {
        let of = match source {
            Source::Sync => &self.synced,
            Source::File => &self.written,
            // What somebody says by hand is so until they say something else.
            Source::Api => return,
        };
        of.store(at.unwrap_or(0), Ordering::Relaxed);
    }

    /// Another number whenever something was changed.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What each source says of a device, in the order in which they are asked.
    #[must_use]
    pub fn said_of(&self, id: &str) -> Vec<(Source, Arc<Record>)> {
        let said = self.lock();
        said.iter().filter_map(|(source, records)| Some((*source, Arc::clone(&records.get(id)?.0)))).collect()
    }

    /// A source says this of one device, instead of what it said of it; `None` takes that back. Answers
    /// whether anything is known differently now.
    pub fn put(&self, source: Source, id: &str, record: Option<Arc<Record>>) -> bool {
        let mut said = self.lock();
        let records = said.entry(source).or_default();
        match record {
            Some(record) => _ = records.replace(ById(record)),
            None => _ = records.take(id),
        }
        let changed = self.follow(&said, id);
        if changed {
            self.epoch.fetch_add(1, Ordering::Release);
        }
        changed
    }

    /// A source says this, instead of everything that it said; of several records of one device the last.
    /// Answers of how many devices something else is known now.
    pub fn replace(&self, source: Source, records: impl IntoIterator<Item = Arc<Record>>) -> usize {
        let mut said = self.lock();
        let mut new = HashSet::new();
        for record in records {
            new.replace(ById(record));
        }
        let old = said.insert(source, new).unwrap_or_default();
        let new = said.get(&source);
        let unsaid = old.iter().filter(|record| new.is_none_or(|new| !new.contains(*record)));
        let ids = unsaid.chain(
            new.into_iter()
                .flatten()
                .filter(|record| old.get(&*record.0.id).is_none_or(|before| before.0 != record.0)),
        );
        let changed = ids.filter(|record| self.follow(&said, &record.0.id)).count();
        if changed > 0 {
            self.epoch.fetch_add(1, Ordering::Release);
        }
        changed
    }

    /// Everything that is known, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Record>> {
        self.known.pin().values().cloned().collect()
    }

    /// Brings what is known of a device up to date with what is said of it.
    fn follow(&self, said: &BTreeMap<Source, HashSet<ById>>, id: &str) -> bool {
        let known = self.known.pin();
        match merged(said.values().filter_map(|records| records.get(id)).map(|record| &record.0)) {
            Some(record) if known.get(id) == Some(&record) => false,
            Some(record) => {
                known.insert(id.into(), record);
                true
            }
            None => known.remove(id).is_some(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Source, HashSet<ById>>> {
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
            inventory.replace(Source::File, [record("a", State::Active), record("b", State::Active)]),
            2
        );
        let first = inventory.epoch();
        assert!(inventory.put(Source::Api, "a", Some(record("a", State::Lost))));
        assert_eq!(state(&inventory, "a"), Some(State::Lost));
        assert_ne!(inventory.epoch(), first);
        // The file says what it said: nothing is known differently.
        let second = inventory.epoch();
        let same = [record("a", State::Active), record("b", State::Active)];
        assert_eq!((inventory.replace(Source::File, same), inventory.epoch()), (0, second));
        // A device that one source drops is known by the other still.
        assert_eq!(inventory.replace(Source::File, [record("c", State::Retired)]), 2);
        assert_eq!(state(&inventory, "a"), Some(State::Lost));
        assert_eq!((inventory.get("b"), state(&inventory, "c")), (None, Some(State::Retired)));
        assert!(inventory.put(Source::Api, "a", None) && !inventory.put(Source::Api, "a", None));
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
}
