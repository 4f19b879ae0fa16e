//! The last pull, kept in the state folder: a restart knows what was known, and how old it is.
//!
//! One line of JSON that says what follows, then one record a line. What cannot be read, or was read in
//! another way than is configured now, counts as nothing.

use super::super::form::{self, Written};
use super::super::intern::Interner;
use crate::access::{Record, Timestamp};
use crate::config::SyncConfig;
use crate::files::{self, Readers};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// The form of the file.
const VERSION: u32 = 1;
/// Bytes of a line.
const MOST_LINE: u64 = 64 * 1024;

/// The last pull.
#[derive(Debug)]
pub(super) struct Kept {
    /// When it began, Unix seconds.
    pub as_of: Timestamp,
    pub records: Vec<Arc<Record>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    as_of: Timestamp,
    /// How the list was read.
    read_as: String,
    devices: usize,
}

/// Keeps a pull instead of the one before.
pub(super) fn save(
    path: &Path,
    config: &SyncConfig,
    as_of: Timestamp,
    records: &[Arc<Record>],
) -> io::Result<()> {
    let head = Head { version: VERSION, as_of, read_as: read_as(config), devices: records.len() };
    files::write_by(path, Readers::Owner, |file| {
        serde_json::to_writer(&mut *file, &head)?;
        file.write_all(b"\n")?;
        for record in records {
            serde_json::to_writer(&mut *file, &Written(record))?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })
}

/// The pull that was kept; `None` where there is none of this configuration.
pub(super) fn load(path: &Path, config: &SyncConfig) -> io::Result<Option<Kept>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    if !next(&mut file, &mut line)? {
        return Err(broken());
    }
    let head: Head = serde_json::from_slice(&line)?;
    if head.version != VERSION || head.read_as != read_as(config) {
        return Ok(None);
    }
    let mut interner = Interner::default();
    let mut records = Vec::new();
    while next(&mut file, &mut line)? {
        records.push(Arc::new(form::from_json(&line, &mut interner).map_err(|_| broken())?));
        if records.len() > head.devices {
            return Err(broken());
        }
    }
    if records.len() == head.devices { Ok(Some(Kept { as_of: head.as_of, records })) } else { Err(broken()) }
}

/// Keeps nothing any more.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads the next line; `false` at the end.
fn next(file: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = file.take(MOST_LINE).read_until(b'\n', line)?;
    if read > 0 && line.pop() != Some(b'\n') {
        return Err(broken());
    }
    Ok(read > 0)
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not what tiergate wrote")
}

/// Tells apart what is read differently. Another version may find the same different, and pulls once more.
fn read_as(config: &SyncConfig) -> String {
    let SyncConfig { first, paging, items, map, credentials: _, interval: _, timeout: _, ca: _, max_drop: _ } =
        config;
    let said = format!("{first} {paging:?} {items:?} {map:?}");
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, said.as_bytes()))
}
