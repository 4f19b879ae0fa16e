//! From a device as a management describes it to its record.

use super::super::form::{Facts, Form};
use super::super::intern::Interner;
use super::written;
use crate::access::Record;
use crate::config::{FieldMap, Reading};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What was left out because it could not be read: how often, by the key of the record. Devices without a
/// readable identity are under `id`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Unread(BTreeMap<&'static str, usize>);

impl Unread {
    fn note(&mut self, key: &'static str) {
        *self.0.entry(key).or_default() += 1;
    }

    /// With what another page left out.
    pub(super) fn add(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            *self.0.entry(key).or_default() += count;
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.0.iter().map(|(key, count)| format!("{key} {count}")).collect();
        f.write_str(if each.is_empty() { "nothing" } else { "" })?;
        f.write_str(&each.join(", "))
    }
}

/// The record of a device; `None` where it has no identity that can be read.
pub(super) fn record(
    map: &FieldMap,
    device: &Value,
    interner: &mut Interner,
    unread: &mut Unread,
) -> Option<Record> {
    // Destructured without `..`: a place that is configured is looked at.
    let FieldMap { id, owner, platform, os_version, last_checkin, ownership, state, trust, posture } = map;
    let mut text = |key: &'static str, readings: &[Reading], means: fn(String) -> Option<String>| {
        let said = match found(readings, device)? {
            Found::Text(text) => means(text),
            Found::Flag(_) | Found::Something => None,
        };
        if said.is_none() {
            unread.note(key);
        }
        said
    };
    let mut form = Form {
        id: text("id", id, Some),
        trust: text("trust", trust, Some),
        ownership: text("ownership", ownership, Some),
        state: text("state", state, Some),
        owner: text("owner", owner, Some),
        platform: text("platform", platform, |text| Some(text.to_ascii_lowercase())),
        os_version: text("os_version", os_version, |text| written::version(&text).map(str::to_owned)),
        last_checkin: text("last_checkin", last_checkin, |text| written::time(&text)),
        posture: None,
        notes: None,
    };
    let mut facts = Vec::new();
    for (name, readings) in posture {
        match found(readings, device) {
            Some(Found::Flag(holds)) => facts.push((name.clone(), holds)),
            Some(Found::Text(_) | Found::Something) => unread.note("posture"),
            None => {}
        }
    }
    form.posture = (!facts.is_empty()).then_some(Facts(facts));
    if form.id.is_none() {
        if found(id, device).is_none() {
            unread.note("id");
        }
        return None;
    }
    let wrong = match form.clone().record(interner) {
        Ok(record) => return Some(record),
        Err(wrong) => wrong,
    };
    for error in wrong {
        unread.note(error.key);
        leave_out(&mut form, error.key);
    }
    form.record(interner).ok()
}

/// What stands where a value may be.
enum Found {
    /// A text or a number.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A list or an object.
    Something,
}

/// What the first place says where anything stands; `None` where nothing does, or it means nothing.
fn found(readings: &[Reading], device: &Value) -> Option<Found> {
    let there = |reading: &Reading| match device.pointer(reading.at.as_str())? {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(Found::Text(text.trim().to_owned())),
        Value::Number(number) => Some(Found::Text(number.to_string())),
        Value::Bool(flag) => Some(Found::Flag(*flag)),
        Value::Array(_) | Value::Object(_) => Some(Found::Something),
    };
    let (reading, found) = readings.iter().find_map(|reading| Some((reading, there(reading)?)))?;
    let Some(values) = &reading.values else { return Some(found) };
    let said = match &found {
        Found::Text(text) => text.as_str(),
        Found::Flag(true) => "true",
        Found::Flag(false) => "false",
        Found::Something => return Some(found),
    };
    match values.get(said)?.as_str() {
        "true" => Some(Found::Flag(true)),
        "false" => Some(Found::Flag(false)),
        meaning => Some(Found::Text(meaning.to_owned())),
    }
}

/// Takes out of a form what it cannot hold.
fn leave_out(form: &mut Form, key: &str) {
    // Destructured without `..`: a new field can be left out too.
    let Form { id, trust, ownership, state, owner, platform, os_version, last_checkin, posture, notes } =
        form;
    match key {
        "trust" => *trust = None,
        "ownership" => *ownership = None,
        "state" => *state = None,
        "owner" => *owner = None,
        "platform" => *platform = None,
        "os_version" => *os_version = None,
        "last_checkin" => *last_checkin = None,
        "posture" => *posture = None,
        "notes" => *notes = None,
        // A device without its identity is none.
        _ => *id = None,
    }
}
