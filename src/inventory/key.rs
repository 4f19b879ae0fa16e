//! The id of a device as the inventory finds it by: most are short, and one that is kept in place costs no
//! visit of memory more than the entry itself.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

/// Bytes that are kept in place.
const SHORT: usize = 22;

/// An id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Key {
    /// One that fits, filled up with zeros.
    Short { length: u8, bytes: [u8; SHORT] },
    /// One that does not.
    Long(Box<[u8]>),
}

impl Key {
    pub(super) fn new(id: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (u8::try_from(id.len()), bytes.get_mut(..id.len())) {
            (Ok(length), Some(place)) => {
                place.copy_from_slice(id.as_bytes());
                Self::Short { length, bytes }
            }
            (_, _) => Self::Long(id.as_bytes().into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

/// It is found by its bytes, which is what it hashes and compares as.
impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn an_id_is_found_whatever_its_length_and_nothing_else_is() {
        assert_eq!(size_of::<Key>(), 24);
        let hasher = std::hash::RandomState::new();
        for length in [0, 1, 21, 22, 23, 128] {
            let id = "a".repeat(length);
            let key = Key::new(&id);
            assert_eq!(Borrow::<[u8]>::borrow(&key), id.as_bytes());
            assert_eq!(hasher.hash_one(&key), hasher.hash_one(id.as_bytes()), "{length}");
            for other in [format!("{id}\0"), format!("{id}b")] {
                assert_ne!(Key::new(&other), key, "{length}");
            }
            assert_eq!(Key::new(&id), key);
        }
    }
}
