//! Places in a text, as editors and other programs count them.

use super::{Source, floor};
use std::ops::Range;
use std::path::Path;

/// A place as editors count: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Position {
    /// The place of a byte in a text; an offset beyond its end is the end.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let offset = floor(text, offset);
        let before = text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Self {
            line: 1 + before.bytes().filter(|byte| *byte == b'\n').count(),
            column: 1 + in_line.chars().filter(|c| *c != '\u{feff}').count(),
        }
    }

    /// The starts of a text's lines, so that many places are found quickly.
    #[must_use]
    pub fn line_starts(text: &str) -> Vec<usize> {
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
    }

    /// The line (from 1) of an offset, by [`Position::line_starts`].
    #[must_use]
    pub fn line_of(starts: &[usize], offset: usize) -> usize {
        starts.partition_point(|start| *start <= offset).max(1)
    }
}

/// A stretch of a text.
///
/// INVARIANT: `end` is behind `start`, and is the place of the first character that is not meant any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Region {
    /// The first character.
    pub start: Position,
    /// Behind the last character.
    pub end: Position,
}

impl Region {
    /// The stretch of these bytes; nothing where the whole file is meant, or the file is not among these.
    #[must_use]
    pub fn of(sources: &[Source], path: &Path, span: &Range<usize>) -> Option<Self> {
        if span.is_empty() {
            return None;
        }
        let text = &sources.iter().find(|source| source.path == path)?.text;
        let from = floor(text, span.start);
        let meant = text.get(from..floor(text, span.end)).unwrap_or_default();
        // A block ends with its last line, not where the next one begins.
        let until = from + meant.trim_end().len();
        let region = Self { start: Position::of(text, from), end: Position::of(text, until) };
        Some(if region.end > region.start { region } else { region.beginning() })
    }

    /// Its first character only.
    #[must_use]
    pub const fn beginning(self) -> Self {
        let Position { line, column } = self.start;
        Self { start: self.start, end: Position { line, column: column + 1 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(text: &str, span: Range<usize>) -> Option<String> {
        let source = Source { path: "a".into(), text: text.to_owned() };
        let Region { start, end } = Region::of(&[source], Path::new("a"), &span)?;
        Some(format!("{}:{}-{}:{}", start.line, start.column, end.line, end.column))
    }

    #[test]
    fn a_region_ends_behind_its_last_character() {
        for (text, span, want) in [
            ("a: bcd", 3..6, Some("1:4-1:7")),
            ("a: \u{1f600}é\r\n", 3..9, Some("1:4-1:6")),
            ("\u{feff}a: b", 3..4, Some("1:1-1:2")),
            ("a: |\n  b\n  c\nd: e", 3..13, Some("1:4-3:4")),
            ("a:\n", 2..3, Some("1:3-1:4")),
            ("a: b", 90..99, Some("1:5-1:6")),
            ("a: b", 0..0, None),
        ] {
            assert_eq!(region(text, span).as_deref(), want, "{text}");
        }
        assert_eq!(Region::of(&[], Path::new("a"), &(0..1)), None);
    }

    proptest! {
        #[test]
        fn a_region_is_never_empty(text in "[ \r\né:a]{0,20}", start in 0usize..40, length in 1usize..40) {
            let source = Source { path: "a".into(), text };
            let region = Region::of(&[source], Path::new("a"), &(start..start + length)).unwrap();
            prop_assert!(region.start < region.end && region.start.column > 0);
        }
    }
}
