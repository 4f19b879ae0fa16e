//! Many records, one JSON object a line (NDJSON): a large file, or what is sent to be imported. They arrive
//! in chunks of any size, and no more than one line is held beside the records.

use super::form::{FormError, from_json};
use super::intern::Interner;
use crate::access::Record;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

/// The most records of one source.
pub const MOST_RECORDS: usize = 500_000;
/// The most bytes of records that are written one a line.
pub const MOST_LINE_BYTES: usize = 256 << 20;
/// The most bytes of one line: a record with every value at its bound.
const MOST_LINE: usize = 16 << 10;
/// Mistakes that are told; the others are counted.
const MOST_MISTAKES: usize = 100;

/// What is wrong with one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// Its bytes in all that was read, without the line end.
    pub span: Range<usize>,
    /// What is wrong.
    pub error: FormError,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// The records, each device once.
    pub records: Vec<Arc<Record>>,
    /// The first mistakes, in the order of the lines.
    pub mistakes: Vec<Mistake>,
    /// How many lines have one.
    pub bad_lines: usize,
}

/// Records that are being read.
#[derive(Debug, Default)]
pub struct Lines {
    read: Read,
    interner: Interner,
    /// The line in which each device stands.
    seen: HashMap<Box<str>, usize>,
    /// The beginning of the line whose end has not come yet; too much of it is not kept.
    begun: Vec<u8>,
    too_long: bool,
    line: usize,
    /// Where that line begins.
    start: usize,
    /// Where the next chunk begins.
    offset: usize,
}

impl Lines {
    /// Takes what comes next.
    pub fn feed(&mut self, mut chunk: &[u8]) {
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = chunk.split_at(end);
            self.keep(line);
            self.end_line();
            self.offset += 1;
            self.start = self.offset;
            chunk = rest.get(1..).unwrap_or_default();
        }
        self.keep(chunk);
    }

    /// What was read when nothing comes any more.
    #[must_use]
    pub fn finish(mut self) -> Read {
        self.end_line();
        self.read
    }

    fn keep(&mut self, part: &[u8]) {
        self.offset = self.offset.saturating_add(part.len());
        if self.begun.len().saturating_add(part.len()) > MOST_LINE {
            self.too_long = true;
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn end_line(&mut self) {
        self.line += 1;
        let line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.too_long) {
            self.wrong(
                "D0302",
                "the line is too long".to_owned(),
                format!("at most {} KiB", MOST_LINE >> 10),
            );
        } else if !line.trim_ascii().is_empty() {
            self.record(&line);
        }
        self.begun = line;
        self.begun.clear();
    }

    fn record(&mut self, line: &[u8]) {
        let record = match from_json(line, &mut self.interner) {
            Ok(record) => record,
            Err(errors) => return self.mistaken(errors),
        };
        if self.read.records.len() == MOST_RECORDS {
            let message = format!("more than {MOST_RECORDS} records");
            return self.wrong("Y0106", message, "leave out devices that are gone for good".to_owned());
        }
        match self.seen.entry(record.id.clone()) {
            Entry::Occupied(first) => {
                let message = format!("device `{}` stands twice", record.id);
                let first = *first.get();
                self.wrong("Y0116", message, format!("first stated in line {first}"));
            }
            Entry::Vacant(new) => {
                new.insert(self.line);
                self.read.records.push(Arc::new(record));
            }
        }
    }

    fn wrong(&mut self, code: &'static str, message: String, rule: String) {
        self.mistaken(vec![FormError { key: "", code, message, rule }]);
    }

    fn mistaken(&mut self, errors: Vec<FormError>) {
        self.read.bad_lines += 1;
        let room = MOST_MISTAKES.saturating_sub(self.read.mistakes.len());
        let (line, span) = (self.line, self.start..self.offset);
        let told = errors.into_iter().take(room);
        self.read.mistakes.extend(told.map(|error| Mistake { line, span: span.clone(), error }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, chunk: usize) -> (String, Vec<String>) {
        let mut lines = Lines::default();
        for part in text.as_bytes().chunks(chunk) {
            lines.feed(part);
        }
        let read = lines.finish();
        let told = |mistake: &Mistake| {
            format!("{} {} {}", mistake.line, mistake.error.code, &text[mistake.span.clone()])
        };
        let ids: Vec<&str> = read.records.iter().map(|record| &*record.id).collect();
        (ids.join(" "), read.mistakes.iter().map(told).collect())
    }

    #[test]
    fn every_line_is_a_record_or_a_mistake_with_its_number() {
        let text =
            "{\"id\":\"a\"}\r\n\n  \n{\"id\":\"b\",\"state\":\"x\"}\n{\"id\":\"a\"}\nno\n{\"id\":\"c\"}";
        for chunk in [1, 3, 7, 1000] {
            let (ids, mistakes) = read(text, chunk);
            assert_eq!(ids, "a c");
            assert_eq!(
                mistakes,
                ["4 Y0115 {\"id\":\"b\",\"state\":\"x\"}", "5 Y0116 {\"id\":\"a\"}", "6 Y0104 no"]
            );
        }
        assert_eq!(read("", 1), (String::new(), vec![]));
    }

    #[test]
    fn lines_and_what_is_told_of_them_are_bounded() {
        let long = format!("{{\"id\":\"a\",\"notes\":\"{}\"}}", "x".repeat(MOST_LINE));
        let mut lines = Lines::default();
        lines.feed(long.as_bytes());
        assert!(lines.begun.len() <= MOST_LINE);
        lines.feed(b"\n{\"id\":\"b\"}\n");
        let read = lines.finish();
        assert_eq!((read.records.len(), read.bad_lines, read.mistakes[0].line), (1, 1, 1));
        let mut lines = Lines::default();
        lines.feed("x\n".repeat(MOST_MISTAKES + 5).as_bytes());
        let read = lines.finish();
        assert_eq!((read.mistakes.len(), read.bad_lines), (MOST_MISTAKES, MOST_MISTAKES + 5));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(text in "([a-z{}\":\n]|\\{\"id\":\"[ab]\"\\}\n){0,40}", chunk in 1_usize..9) {
            prop_assert_eq!(read(&text, chunk), read(&text, 10_000));
        }
    }
}
