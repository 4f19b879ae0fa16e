//! Audit logs, read line by line in constant memory.

use super::policies::CommandError;
use crate::access::DeviceTrust;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A longer line is not tiergate's.
const LONGEST_LINE: u64 = 1 << 20;
/// How much of a file is read at once.
const READ_BYTES: usize = 256 << 10;

/// A text that is borrowed from its line where JSON escapes nothing in it.
#[derive(Clone, Debug, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// What matters of one event; the rest is passed over.
#[derive(Debug, Deserialize)]
pub struct Line<'a> {
    /// What happened.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// When, RFC 3339.
    #[serde(borrow)]
    pub time: Option<Text<'a>>,
    /// See `docs/audit.md` for these.
    #[serde(borrow)]
    pub request_id: Option<Text<'a>>,
    /// What a denial page shows.
    #[serde(borrow)]
    pub code: Option<Text<'a>>,
    /// `allow`, `deny` or `challenge`.
    #[serde(borrow)]
    pub decision: Option<Text<'a>>,
    /// A reason code.
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    /// The resource.
    #[serde(borrow)]
    pub resource: Option<Text<'a>>,
    /// Its tier.
    #[serde(borrow)]
    pub tier: Option<Text<'a>>,
    /// The rule that decided.
    #[serde(borrow)]
    pub rule: Option<Text<'a>>,
    /// The generation of the policy.
    pub policy: Option<u64>,
    /// The user or service.
    #[serde(borrow)]
    pub subject: Option<Text<'a>>,
    /// The policy's groups that the user was in.
    #[serde(borrow)]
    pub groups: Option<&'a RawValue>,
    /// More than one factor was used.
    #[serde(default)]
    pub mfa: bool,
    /// Seconds since the user last proved who they are.
    #[serde(default)]
    pub auth_age: u64,
    /// The device's id.
    #[serde(borrow)]
    pub device: Option<Text<'a>>,
    /// How far the device was trusted.
    #[serde(default)]
    pub device_trust: DeviceTrust,
    /// What lowered it.
    #[serde(borrow)]
    pub device_reason: Option<Text<'a>>,
    /// The method.
    #[serde(borrow)]
    pub method: Option<Text<'a>>,
    /// The canonical host.
    #[serde(borrow)]
    pub host: Option<Text<'a>>,
    /// The canonical path.
    #[serde(borrow)]
    pub path: Option<Text<'a>>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// What the shadow policy decided.
    #[serde(borrow)]
    pub shadow: Option<Shadow<'a>>,
}

/// What the shadow policy decided.
#[derive(Debug, Deserialize)]
pub struct Shadow<'a> {
    /// `allow`, `deny` or `challenge`.
    #[serde(borrow)]
    pub decision: Text<'a>,
    /// A reason code.
    #[serde(borrow)]
    pub reason: Text<'a>,
    /// The rule that decided.
    #[serde(borrow)]
    pub rule: Option<Text<'a>>,
}

/// A text, where there is one.
#[must_use]
pub fn text<'a>(text: Option<&'a Text<'_>>) -> Option<&'a str> {
    text.map(|text| text.0.as_ref())
}

/// The names in the JSON text of an event's groups.
#[must_use]
pub fn group_names(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

/// Reads every event of these files and folders (`*.jsonl`, by name), oldest first, and answers how
/// many lines were none.
///
/// # Errors
/// A file cannot be read.
pub fn each(paths: &[PathBuf], mut see: impl FnMut(&Line<'_>)) -> Result<u64, CommandError> {
    let mut unreadable = 0;
    for path in paths {
        for file in files(path)? {
            let failed = |source| CommandError::Log { path: file.clone(), source };
            let mut reader = BufReader::with_capacity(READ_BYTES, File::open(&file).map_err(failed)?);
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(failed)?;
                if read == 0 {
                    break;
                }
                match serde_json::from_slice::<Line<'_>>(&line) {
                    Ok(event) => see(&event),
                    // A crash tears the last line; the next start ends it.
                    Err(_) => unreadable += 1,
                }
            }
        }
    }
    Ok(unreadable)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let failed = |source| CommandError::Log { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
