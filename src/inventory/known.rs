//! What all sources come to, found by id.
//!
//! Half a million records do not fit into a processor's caches, so a lookup costs as much as the places in
//! memory that it visits: the entry, which holds the id, and the record.

use super::key::Key;
use crate::access::Record;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Parts with a lock each: a change holds up the lookups of one of them, and for no longer than it takes.
const PARTS: usize = 64;

type Part = HashMap<Key, Arc<Record>>;

/// The records, by id.
#[derive(Debug)]
pub(super) struct Known([RwLock<Part>; PARTS]);

impl Default for Known {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }
}

impl Known {
    pub(super) fn get(&self, id: &str) -> Option<Arc<Record>> {
        self.read(id).and_then(|part| part.get(id.as_bytes()).cloned())
    }

    /// Puts a record in the place of what was known, or takes that away.
    pub(super) fn set(&self, id: &str, record: Option<Arc<Record>>) {
        let Some(mut part) = self.write(id) else { return };
        match record {
            Some(record) => _ = part.insert(Key::new(id), record),
            None => _ = part.remove(id.as_bytes()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|part| part.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn read(&self, id: &str) -> Option<RwLockReadGuard<'_, Part>> {
        Some(self.0.get(part_of(id))?.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, id: &str) -> Option<RwLockWriteGuard<'_, Part>> {
        Some(self.0.get(part_of(id))?.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Which part an id is in. It need not be spread well: each part has a hash of its own.
fn part_of(id: &str) -> usize {
    let mixed =
        id.bytes().fold(0_usize, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(usize::from(byte)));
    mixed % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_in_whichever_part_it_is() {
        let known = Known::default();
        let ids: Vec<String> = (0..1000).map(|n| format!("C02X{n}")).collect();
        for id in &ids {
            known.set(id, Some(Arc::new(Record::new(id))));
        }
        assert_eq!(known.len(), 1000);
        assert!(ids.iter().all(|id| *known.get(id).unwrap().id == **id) && known.get("C02X1000").is_none());
        known.set("C02X7", None);
        known.set("C02X7", None);
        assert_eq!((known.get("C02X7"), known.len()), (None, 999));
        let parts: std::collections::HashSet<_> = ids.iter().map(|id| part_of(id)).collect();
        assert!(parts.len() > PARTS / 2, "{}", parts.len());
    }
}
