//! `inventory.yaml`, or the same as NDJSON: from a file to records.
//!
//! ```yaml
//! version: 1
//! devices:
//!   - { id: C02XL0AAJGH5, ownership: corporate, state: active, owner: ann@corp.example }
//! ```

use super::form::{Form, FormError};
use super::intern::Interner;
use super::lines::{Lines, MOST_LINE_BYTES, MOST_RECORDS, Mistake};
use crate::access::{Record, Timestamp};
use crate::diagnostic::{Diagnostic, Source};
use crate::policy_files::{self, ReadError};
use crate::text::yaml::{self, At, Entries, Key};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::io::Read as _;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

/// The most bytes of a YAML file: its values are all in memory before the first is a record.
const MOST_YAML: usize = 32 << 20;
/// Mistakes that are told.
const MOST_MISTAKES: usize = 100;

/// What a file says; nothing where there is none.
#[derive(Debug, Default)]
pub struct FileRecords {
    /// Each device once.
    pub records: Vec<Arc<Record>>,
    /// When the file was changed last; `None` where there is none.
    pub changed: Option<Timestamp>,
}

/// Why a file is not an inventory.
#[derive(Debug)]
pub struct Unread {
    /// Everything that is wrong, bounded.
    pub findings: Vec<Diagnostic>,
    /// The file, where its lines can be shown.
    pub source: Option<Source>,
}

impl Unread {
    fn whole(path: &Path, error: &ReadError) -> Self {
        let why = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
        Self { findings: vec![Diagnostic::error("D0301", path, 0..0, format!("{error}{why}"))], source: None }
    }
}

/// Reads a file: NDJSON where its name ends with `.ndjson` or `.jsonl`, otherwise YAML. Blocking.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(path: &Path) -> Result<FileRecords, Unread> {
    // Looked at first: what changes while it is read is not counted as newer than it is.
    let changed = std::fs::metadata(path).map(|metadata| metadata.mtime()).ok();
    Ok(FileRecords { records: records(path)?, changed })
}

fn records(path: &Path) -> Result<Vec<Arc<Record>>, Unread> {
    if path.extension().is_some_and(|it| it == "ndjson" || it == "jsonl") {
        return read_lines(path);
    }
    let source = policy_files::read_at_most(path.to_owned(), MOST_YAML)
        .map_err(|error| Unread::whole(path, &error))?;
    parse(&source).map_err(|findings| Unread { findings, source: Some(source) })
}

fn read_lines(path: &Path) -> Result<Vec<Arc<Record>>, Unread> {
    let unread = |error| Unread::whole(path, &error);
    let mut file = policy_files::open_at_most(path, MOST_LINE_BYTES).map_err(unread)?;
    let mut lines = Lines::default();
    let mut chunk = vec![0; 64 << 10];
    let mut room = MOST_LINE_BYTES;
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            // It may grow while it is read.
            Ok(count) if count > room => {
                return Err(unread(ReadError::TooLarge { path: path.to_owned(), most: MOST_LINE_BYTES }));
            }
            Ok(count) => {
                room -= count;
                lines.feed(chunk.get(..count).unwrap_or_default());
            }
            Err(source) => return Err(unread(ReadError::File { path: path.to_owned(), source })),
        }
    }
    let read = lines.finish();
    if read.bad_lines == 0 {
        return Ok(read.records);
    }
    let finding = |Mistake { line: _, span, error }: Mistake| {
        Diagnostic::error(error.code, path, span, error.message).label(error.rule)
    };
    let findings = read.mistakes.into_iter().map(finding).collect();
    // Read once more for the lines that are shown; without it, their numbers are missing.
    Err(Unread { findings, source: policy_files::read_at_most(path.to_owned(), MOST_LINE_BYTES).ok() })
}

/// The file as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    version: Key<String>,
    devices: Key<Vec<At<Form>>>,
}

/// The places of every value in it; asked for only where there is a mistake.
#[derive(Deserialize)]
struct Places {
    devices: Vec<Entries<IgnoredAny>>,
}

fn parse(source: &Source) -> Result<Vec<Arc<Record>>, Vec<Diagnostic>> {
    let File { version, devices } = yaml::load_large(source, MOST_YAML).map_err(|mistake| vec![mistake])?;
    let whole = |code, span: Range<usize>, message: &str, label: &str| {
        Diagnostic::error(code, &source.path, span, message).label(label)
    };
    let mut findings = Vec::new();
    match version.0 {
        None => {
            findings.push(whole("Y0105", 0..0, "missing key `version`", "start the file with `version: 1`"));
        }
        Some(version) if version.value == "1" => {}
        Some(version) => {
            findings.push(whole("Y0109", version.span, "this version is not known", "only `1`"));
        }
    }
    // `devices: []` is an inventory that knows of none.
    let Some(devices) = devices.0 else {
        findings.push(whole("Y0105", 0..0, "missing key `devices`", "a list of records"));
        return Err(findings);
    };
    if devices.value.len() > MOST_RECORDS {
        findings.push(whole("Y0106", devices.span, "too many devices", &format!("at most {MOST_RECORDS}")));
        return Err(findings);
    }
    let mut interner = Interner::default();
    let mut seen: HashMap<Box<str>, usize> = HashMap::new();
    let mut records = Vec::with_capacity(devices.value.len());
    let mut mistakes: Vec<(usize, FormError, Option<usize>)> = Vec::new();
    let mut spans = Vec::with_capacity(devices.value.len());
    for (at, At { value: form, span }) in devices.value.into_iter().enumerate() {
        spans.push(span);
        match form.record(&mut interner) {
            Ok(record) => {
                if let Some(first) = seen.insert(record.id.clone(), at) {
                    let message = format!("device `{}` stands twice", record.id);
                    let rule = "each is named once".to_owned();
                    mistakes.push((at, FormError { key: "id", code: "Y0116", message, rule }, Some(first)));
                }
                records.push(Arc::new(record));
            }
            Err(errors) => mistakes.extend(errors.into_iter().map(|error| (at, error, None))),
        }
        if mistakes.len() > MOST_MISTAKES {
            break;
        }
    }
    if mistakes.is_empty() && findings.is_empty() {
        return Ok(records);
    }
    let places = if mistakes.is_empty() { None } else { yaml::load_large::<Places>(source, MOST_YAML).ok() };
    let place = |at: usize, key: &str| -> Range<usize> {
        let entries = places.as_ref().and_then(|places| places.devices.get(at));
        let value = entries.and_then(|Entries(entries)| entries.iter().find(|(name, _)| name.value == key));
        value.map(|(_, value)| value.span.clone()).or_else(|| spans.get(at).cloned()).unwrap_or(0..0)
    };
    findings.extend(mistakes.into_iter().map(|(at, error, first)| {
        let FormError { key, code, message, rule } = error;
        let finding = Diagnostic::error(code, &source.path, place(at, key), message).label(rule);
        match first {
            Some(first) => finding.also(&source.path, place(first, key), "first stated here"),
            None => finding,
        }
    }));
    findings.sort_by_key(|finding| finding.span.start);
    Err(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::render_all;

    fn written(name: &str, text: &str) -> Result<Vec<Arc<Record>>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        records(&folder.path().join(name)).map_err(|Unread { mut findings, source }| {
            let mut sources: Vec<Source> = source.into_iter().collect();
            sources.iter_mut().for_each(|source| source.path = name.into());
            findings.iter_mut().for_each(|finding| finding.path = name.into());
            findings.iter_mut().filter_map(|it| it.related.as_mut()).for_each(|it| it.path = name.into());
            render_all(&findings, &sources, false)
        })
    }

    fn ids(name: &str, text: &str) -> String {
        let records = written(name, text).unwrap();
        records.iter().map(|record| &*record.id).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_file_of_either_form_is_its_records() {
        let yaml = "version: 1\ndevices:\n  - { id: a, os_version: 14.6, posture: { x: true } }\n  - id: 012\n    state: lost\n";
        assert_eq!(ids("inventory.yaml", yaml), "a 012");
        assert_eq!(ids("inventory.yaml", "version: 1\ndevices: []\n"), "");
        assert_eq!(ids("inventory.ndjson", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n"), "a b");
        assert_eq!(ids("inventory.jsonl", ""), "");
    }

    #[test]
    fn every_mistake_has_its_place() {
        let yaml = "version: 1
devices:
  - { id: a, state: retird }
  - id: b
    posture: { 'x y': true }
    last_checkin: yesterday
  - { state: lost }
  - { id: c }
  - { id: c, state: lost }
";
        insta::assert_snapshot!(written("inventory.yaml", yaml).unwrap_err(), @r#"
        error[Y0115]: unknown state `retird`
         --> inventory.yaml:3:21
          |
        3 |   - { id: a, state: retird }
          |                     ^^^^^^ did you mean `retired`?

        error[Y0113]: `x y` is not the name of something that holds
         --> inventory.yaml:5:14
          |
        5 |     posture: { 'x y': true }
          |              ^ letters, digits, `-`, `_` and `.`, at most 64, starting with a letter or digit

        error[Y0117]: `yesterday` is not a time
         --> inventory.yaml:6:19
          |
        6 |     last_checkin: yesterday
          |                   ^^^^^^^^^ write a time such as `2026-12-01T18:00:00Z`

        error[Y0105]: missing key `id`
         --> inventory.yaml:7:5
          |
        7 |   - { state: lost }
          |     ^ a record is of one device

        error[Y0116]: device `c` stands twice
         --> inventory.yaml:9:11
          |
        9 |   - { id: c, state: lost }
          |           ^ each is named once
          |
        note: first stated here
         --> inventory.yaml:8:11
          |
        8 |   - { id: c }
          |           ^
        "#);
        let lines = "{\"id\":\"a\"}\n\n{\"id\":\"b\",\"trust\":\"high\"}\n{\"id\":\"a\"}\n";
        insta::assert_snapshot!(written("inventory.ndjson", lines).unwrap_err(), @r#"
        error[Y0115]: unknown trust `high`
         --> inventory.ndjson:3:1
          |
        3 | {"id":"b","trust":"high"}
          | ^^^^^^^^^^^^^^^^^^^^^^^^^ one of `none`, `enrolled`, `issued`

        error[Y0116]: device `a` stands twice
         --> inventory.ndjson:4:1
          |
        4 | {"id":"a"}
          | ^^^^^^^^^^ first stated in line 1
        "#);
    }

    #[test]
    fn what_is_not_the_form_is_refused() {
        for (text, want) in [
            ("", "Y0105"),
            ("version: 1\n", "Y0105"),
            ("devices: []\n", "Y0105"),
            ("version: 2\ndevices: []\n", "Y0109"),
            ("version: 1\ndevices:\n", "Y0108"),
            ("version: 1\ndevices: { a: { state: lost } }\n", "Y0104"),
            ("version: 1\ndevices: [a]\n", "Y0104"),
            ("version: 1\ndevices: [[a, issued]]\n", "Y0104"),
            ("version: 1\ndevices: [{ id: a, stat: lost }]\n", "Y0102"),
            ("version: 1\ndevices: [{ id: a, state: lost, state: active }]\n", "Y0103"),
            ("version: 1\ndevices: [{ id: a, state: }]\n", "Y0108"),
            ("version: 1\ndevices: [{ id: a, state: ~ }]\n", "Y0108"),
            ("version: 1\ndevices: [{ id: a, posture: { x: yes } }]\n", "Y0104"),
            ("version: 1\ndevices: [{ id: a, posture: [x] }]\n", "Y0104"),
            ("version: 1\ndevices: []\ndevice: []\n", "Y0102"),
        ] {
            let told = written("inventory.yaml", text).unwrap_err();
            assert!(told.contains(want), "{text}: {told}");
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["none.yaml", "none.ndjson", ""] {
            let unread = read(&folder.path().join(name)).unwrap_err();
            assert_eq!(unread.findings[0].code, "D0301", "{name}");
        }
    }
}
