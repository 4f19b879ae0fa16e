//! The shapes of values: with a place, required to be something, one or many, in order.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor, value};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// A value and the bytes of the file that it was written in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands; where an alias stands for it, the alias.
    pub span: Range<usize>,
}

impl<T> At<T> {
    /// Another value at the same place.
    pub fn with<U>(&self, value: U) -> At<U> {
        At { value, span: self.span.clone() }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_yaml::Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, span: span_of(spanned.referenced) })
    }
}

/// The bytes of a location; a mapping or list, which begins where its first key does, is at least one.
pub(super) fn span_of(location: serde_yaml::Location) -> Range<usize> {
    let span = location.span();
    let (Some(start), Some(len)) = (span.byte_offset(), span.byte_len()) else { return 0..0 };
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let len = usize::try_from(len).unwrap_or(0).max(1);
    start..start.saturating_add(len)
}

/// The value of a key that may be left out. Unlike an `Option`, a key that is written without a value
/// is not left out: `allow:` with nothing behind it must not read as no `allow` at all.
#[derive(Clone, Debug)]
pub struct Key<T>(pub Option<At<T>>);

impl<T> Default for Key<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NotNull::<At<T>>::deserialize(deserializer).map(|value| Self(Some(value.0)))
    }
}

impl<T> Key<T> {
    /// Whether the key was written.
    pub fn is_stated(&self) -> bool {
        self.0.is_some()
    }
}

/// A value that is not null.
struct NotNull<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for NotNull<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer)?.map(Self).ok_or_else(|| {
            D::Error::custom(
                "nothing is written here; leave the key out, or give it a value (indented deeper)",
            )
        })
    }
}

/// A mapping in the order of the file, with the places of its keys.
#[derive(Clone, Debug)]
pub struct Entries<V>(pub Vec<(At<String>, At<V>)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Each<V> {
            type Value = Entries<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from names")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<At<String>>()? {
                    entries.push((key, map.next_value::<NotNull<At<V>>>()?.0));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Each(PhantomData))
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub struct OneOrMany<T>(pub Vec<T>);

/// A value that can be made from a lone string or mapping.
pub trait One: Sized {
    /// From a lone string.
    ///
    /// # Errors
    ///
    /// Where a string is not enough.
    fn from_text<E: Error>(text: &str) -> Result<Self, E>;
}

impl One for String {
    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        Ok(text.to_owned())
    }
}

impl<'de, T: Deserialize<'de> + One> Deserialize<'de> for OneOrMany<At<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + One> Visitor<'de> for Each<T> {
            type Value = OneOrMany<At<T>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value or a list of them")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                // The place of a lone value is the place of the whole key: see `places`.
                Ok(OneOrMany(vec![At { value: T::from_text(text)?, span: 0..0 }]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = seq.next_element::<NotNull<At<T>>>()? {
                    list.push(value.0);
                }
                Ok(OneOrMany(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let value = T::deserialize(value::MapAccessDeserializer::new(map))?;
                Ok(OneOrMany(vec![At { value, span: 0..0 }]))
            }
        }
        deserializer.deserialize_any(Each(PhantomData))
    }
}

impl<T> At<OneOrMany<At<T>>> {
    /// The values, each with its place.
    #[must_use]
    pub fn places(self) -> Vec<At<T>> {
        let Self { value: OneOrMany(list), span } = self;
        list.into_iter()
            .map(|at| if at.span.is_empty() { At { value: at.value, span: span.clone() } } else { at })
            .collect()
    }
}
