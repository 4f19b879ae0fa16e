//! A part of a text that several hold: cutting one out and handing it on copies nothing.

use serde::{Serialize, Serializer};
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A part of a shared text.
#[derive(Clone)]
pub struct Part {
    whole: Arc<str>,
    /// INVARIANT: on boundaries of characters of `whole`.
    range: Range<usize>,
}

impl Part {
    /// This range of the text; nothing of it where the range does not fit.
    #[must_use]
    pub fn of(whole: &Arc<str>, range: Range<usize>) -> Self {
        let range = if whole.get(range.clone()).is_some() { range } else { 0..0 };
        Self { whole: Arc::clone(whole), range }
    }

    /// The same, cut to at most so many bytes, between two characters.
    #[must_use]
    pub fn cut(self, most: usize) -> Self {
        let length = self.floor_char_boundary(most.min(self.len()));
        Self { range: self.range.start..self.range.start + length, whole: self.whole }
    }
}

impl Deref for Part {
    type Target = str;

    fn deref(&self) -> &str {
        self.whole.get(self.range.clone()).unwrap_or_default()
    }
}

impl<T: Into<Arc<str>>> From<T> for Part {
    fn from(text: T) -> Self {
        let whole = text.into();
        Self { range: 0..whole.len(), whole }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_cut_between_characters_and_never_out_of_bounds() {
        let whole: Arc<str> = "wiki.test/é".into();
        assert_eq!(&*Part::of(&whole, 0..9), "wiki.test");
        let path = Part::of(&whole, 9..whole.len());
        assert_eq!(&*path, "/é");
        assert_eq!(&*path.clone().cut(2), "/");
        assert_eq!(&*path.cut(100), "/é");
        assert_eq!(&*Part::of(&whole, 0..100), "");
        assert_eq!(&*Part::of(&whole, 11..12), "", "in the middle of a character");
        assert_eq!(&*Part::from("a"), "a");
    }
}
