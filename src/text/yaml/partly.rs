//! Reading on behind a mistake in a file's form: the entry with the mistake is left out, and the rest
//! is read once more, so that a person hears of every mistake at once.
//!
//! INVARIANT: what is read so is for finding more mistakes only. The one that came first is an error
//! whatever comes after it, and nothing that was left out is ever taken for unwritten.

use super::shape::At;
use super::{error, options, within_size};
use crate::diagnostic::{Diagnostic, LeftOut, MAX_FILE_BYTES, Source};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::ops::Range;

/// Entries of one file that are left out at most.
const MOST: usize = 20;
/// How much is read in all, bytes: each entry that is left out costs another reading.
const MOST_BYTES: usize = 4 << 20;

/// What could be read of a file.
pub struct Partly<T> {
    /// What was read without the entries that are left out; `None` where nothing could be.
    pub value: Option<T>,
    /// Each mistake in the form. Where there is one, the value is not the file's.
    pub mistakes: Vec<Diagnostic>,
    /// What was left out for them.
    pub left_out: Vec<LeftOut>,
}

/// Reads one file as far as it can be read.
#[must_use]
pub fn load_partly<T: DeserializeOwned>(source: &Source) -> Partly<T> {
    let mut partly = Partly { value: None, mistakes: Vec::new(), left_out: Vec::new() };
    if let Err(finding) = within_size(source, MAX_FILE_BYTES) {
        partly.mistakes.push(finding);
        return partly;
    }
    let mut text = source.text.clone();
    for _ in 0..MOST.min(MOST_BYTES / text.len().max(1)) {
        let failed = match serde_yaml::from_str_with_options::<T>(&text, options()) {
            Ok(value) => {
                partly.value = Some(value);
                break;
            }
            Err(failed) => error::to_diagnostic(&failed, source),
        };
        let of_form = matches!(failed.code, "Y0102" | "Y0103" | "Y0104" | "Y0108");
        // What is no YAML behind an entry that was left out may be so because of that.
        let known = partly.mistakes.iter().any(|mistake| mistake.span == failed.span);
        if known || !(of_form || partly.mistakes.is_empty()) {
            break;
        }
        let of_key = matches!(failed.code, "Y0102" | "Y0103");
        let out = of_form.then(|| leave_out(&mut text, failed.span.start, of_key)).flatten();
        let meant = failed.label.clone();
        partly.mistakes.push(failed);
        let Some((section, key)) = out else { break };
        partly.left_out.push(LeftOut { path: source.path.clone(), section, key, meant });
    }
    partly
}

/// Blanks the innermost entry with this byte in its value, or with `of_key` at its key, so that every other byte keeps its place: the section
/// that it is in, and its key. `None` where that would leave something else than was written.
fn leave_out(text: &mut String, at: usize, of_key: bool) -> Option<(String, String)> {
    let mut options = options();
    // A key that stands twice is one of the mistakes that are read past.
    options.duplicate_keys = serde_yaml::options::DuplicateKeyPolicy::PassThrough;
    let whole: Node = serde_yaml::from_str_with_options(text, options).ok()?;
    let mut path = Vec::new();
    let entry = whole.innermost(text, at, of_key, &mut path)?;
    let section = path.first()?.clone();
    let key = path.pop()?;
    let blank: String = text.get(entry.clone())?.chars().flat_map(blank).collect();
    text.replace_range(entry, &blank);
    Some((section, key))
}

/// As many bytes of nothing, on as many lines.
fn blank(letter: char) -> impl Iterator<Item = char> {
    let kept = matches!(letter, '\n' | '\r');
    std::iter::repeat_n(if kept { letter } else { ' ' }, letter.len_utf8())
}

/// A value of any type, with the places of what is in it.
enum Node {
    /// Nothing is written, so its place is that of something else.
    Null,
    Leaf,
    List(Vec<At<Node>>),
    Map(Vec<(At<String>, At<Node>)>),
}

impl Node {
    /// The bytes of the innermost entry with `at` in its value, or at its key, and the keys that lead to
    /// it. A mapping begins where its first key does, so a place alone does not tell which is meant.
    fn innermost(&self, text: &str, at: usize, of_key: bool, path: &mut Vec<String>) -> Option<Range<usize>> {
        match self {
            Self::Null | Self::Leaf => None,
            Self::List(items) => items.iter().find_map(|item| item.value.innermost(text, at, of_key, path)),
            Self::Map(entries) => entries.iter().find_map(|(key, value)| {
                let range = extent(text, key, &value.value, &value.span)?;
                if !range.contains(&at) || (!of_key && at < key.span.end) {
                    return None;
                }
                path.push(key.value.clone());
                let depth = path.len();
                if let Some(inner) = value.value.innermost(text, at, of_key, path) {
                    return Some(inner);
                }
                path.truncate(depth);
                // A mapping without its only entry is nothing at all, which is another mistake.
                if entries.len() > 1 { with_comma(text, range) } else { None }
            }),
        }
    }

    /// Whatever is written as text in it, in order.
    fn leaves(&self, own: &Range<usize>, into: &mut Vec<Range<usize>>) {
        match self {
            Self::Null => {}
            Self::Leaf => into.push(own.clone()),
            Self::List(items) => items.iter().for_each(|item| item.value.leaves(&item.span, into)),
            Self::Map(entries) => {
                for (key, value) in entries {
                    into.push(key.span.clone());
                    value.value.leaves(&value.span, into);
                }
            }
        }
    }
}

/// From the first byte of a key to the last one of its value, brackets included.
fn extent(text: &str, key: &At<String>, value: &Node, own: &Range<usize>) -> Option<Range<usize>> {
    let mut leaves = Vec::new();
    value.leaves(own, &mut leaves);
    leaves.retain(|leaf| leaf.start >= key.span.end);
    // A list or mapping without text in it is its brackets, or dashes with nothing behind them.
    let mut bracket = leaves.is_empty() && matches!(value, Node::List(_) | Node::Map(_));
    let mut leaves = leaves.into_iter().peekable();
    let (mut at, mut depth, mut colon) = (key.span.end, 0_usize, false);
    let bytes = text.as_bytes();
    while !colon || bracket || depth > 0 || leaves.peek().is_some() {
        if let Some(leaf) = leaves.next_if(|leaf| leaf.start <= at) {
            at = at.max(leaf.end);
            continue;
        }
        // Between the texts there is nothing but structure and comments.
        match bytes.get(at)? {
            b'#' => at += text.get(at..)?.find('\n').unwrap_or(text.len() - at),
            b'[' | b'{' => (depth, bracket) = (depth + 1, false),
            b']' | b'}' => depth = depth.checked_sub(1)?,
            b':' => colon = true,
            _ => {}
        }
        at += 1;
    }
    Some(key.span.start..at.min(text.len()))
}

/// The same with the comma that divides it from its neighbour.
fn with_comma(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let behind = text.get(range.end..)?;
    let next = behind.len() - behind.trim_start().len();
    if behind.get(next..)?.starts_with(',') {
        return Some(range.start..range.end + next + 1);
    }
    if behind.get(next..)?.starts_with('}') {
        let before = text.get(..range.start)?.trim_end();
        return Some(if before.ends_with(',') { before.len() - 1 } else { range.start }..range.end);
    }
    Some(range)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_str<E>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Map(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
