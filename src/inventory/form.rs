//! A device's record as it is written: by people into a file, by programs to the API, by tiergate into
//! `state`.
//!
//! ```yaml
//! { id: C02XL0AAJGH5, trust: issued, ownership: corporate, state: active, owner: ann@corp.example,
//!   platform: macos, os_version: "14.6", last_checkin: 2026-11-25T08:00:00Z,
//!   posture: { disk_encrypted: true }, notes: spare }
//! ```
//!
//! INVARIANT: what is unknown, null, stated twice or beyond its bound is an error; a [`Record`] that was
//! written reads back as itself.

use super::intern::Interner;
use crate::access::{DeviceTrust, Ownership, PostureFacts, Record, State};
use crate::diagnostic::did_you_mean;
use crate::text::date;
use crate::text::name::{DEVICE_ID_RULE, NAME_RULE, is_device_id, is_name, shorten};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// Characters of an owner.
const MOST_OWNER: usize = 256;
/// Characters of notes.
pub const MOST_NOTES: usize = 1000;
/// Names of a posture.
const MOST_POSTURE: usize = 64;

/// The keys of a record, in the order in which they are written.
pub const KEYS: [&str; 10] = [
    "id",
    "trust",
    "ownership",
    "state",
    "owner",
    "platform",
    "os_version",
    "last_checkin",
    "posture",
    "notes",
];

/// One record, with nothing but its shape known.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Form {
    /// The device's identity; needed.
    #[serde(deserialize_with = "said")]
    pub id: Option<String>,
    /// A device trust.
    #[serde(deserialize_with = "said")]
    pub trust: Option<String>,
    /// An ownership.
    #[serde(deserialize_with = "said")]
    pub ownership: Option<String>,
    /// A state.
    #[serde(deserialize_with = "said")]
    pub state: Option<String>,
    /// A user name or an e-mail address.
    #[serde(deserialize_with = "said")]
    pub owner: Option<String>,
    /// A name in lower case.
    #[serde(deserialize_with = "said")]
    pub platform: Option<String>,
    /// Numbers with dots between them.
    #[serde(deserialize_with = "said")]
    pub os_version: Option<String>,
    /// RFC 3339.
    #[serde(deserialize_with = "said")]
    pub last_checkin: Option<String>,
    /// What holds and what does not, by name.
    #[serde(deserialize_with = "said")]
    pub posture: Option<Facts>,
    /// Anything.
    #[serde(deserialize_with = "said")]
    pub notes: Option<String>,
}

/// A key that is written has a value: null would read as not written.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What holds and what does not, each name once.
#[derive(Clone, Debug, Default)]
pub struct Facts(pub Vec<(String, bool)>);

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Facts;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping from names to `true` or `false`")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Facts, A::Error> {
                let mut facts: Vec<(String, bool)> = Vec::new();
                while let Some((name, holds)) = map.next_entry::<String, bool>()? {
                    if facts.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("duplicate key `{}`", shorten(&name))));
                    }
                    if facts.len() == MOST_POSTURE {
                        return Err(A::Error::custom(format!("more than {MOST_POSTURE} names in `posture`")));
                    }
                    facts.push((name, holds));
                }
                Ok(Facts(facts))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// What is wrong with one value of a record, or with the record.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}: {rule}")]
pub struct FormError {
    /// The key of the value; empty where the record as a whole is meant.
    pub key: &'static str,
    /// As in `docs/diagnostics.md`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub rule: String,
}

impl Form {
    /// The record; or everything that is wrong with it.
    ///
    /// # Errors
    /// At least one.
    pub fn record(self, interner: &mut Interner) -> Result<Record, Vec<FormError>> {
        // Destructured without `..`: what is written of a device is said here.
        let Self { id, trust, ownership, state, owner, platform, os_version, last_checkin, posture, notes } =
            self;
        let mut wrong = Wrong(Vec::new());
        match &id {
            None => wrong.note("id", "Y0105", "missing key `id`".to_owned(), "a record is of one device"),
            Some(id) if is_device_id(id) => {}
            Some(id) => wrong.not("id", "Y0113", id, "the id of a device", DEVICE_ID_RULE),
        }
        let trusts = DeviceTrust::ALL.map(|trust| (trust.as_str(), trust));
        let trust = wrong.word("trust", trust, &trusts);
        let ownerships: Vec<_> = Ownership::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        let ownership = wrong.word("ownership", ownership, &ownerships);
        let states: Vec<_> = State::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        let state = wrong.word("state", state, &states);
        if let Some(platform) = platform.as_deref().filter(|platform| !is_platform(platform)) {
            wrong.not("platform", "Y0113", platform, "a platform", "lower case, such as `macos`");
        }
        let version = os_version.map(|text| {
            let version = interner.version(&text);
            version.map_err(|why| wrong.not("os_version", "Y0118", &text, "a version", &why.to_string())).ok()
        });
        let seen = last_checkin.map(|text| {
            let seen = date::parse_time(&text);
            seen.map_err(|why| wrong.not("last_checkin", "Y0117", &text, "a time", &why.to_string())).ok()
        });
        let Facts(facts) = posture.clone().unwrap_or_default();
        for (name, _) in facts.iter().filter(|(name, _)| !is_name(name)) {
            wrong.not("posture", "Y0113", name, "the name of something that holds", NAME_RULE);
        }
        if facts.len() > MOST_POSTURE {
            let message = format!("more than {MOST_POSTURE} names in `posture`");
            wrong.note("posture", "D0302", message, "leave out what no tier asks for");
        }
        wrong.bounded("owner", owner.as_deref(), MOST_OWNER);
        wrong.bounded("notes", notes.as_deref(), MOST_NOTES);
        let (Some(id), true) = (id, wrong.0.is_empty()) else { return Err(wrong.0) };
        Ok(Record {
            id: id.into(),
            trust,
            ownership,
            state,
            owner: owner.map(Into::into),
            platform: platform.map(|platform| interner.text(&platform)),
            os_version: version.flatten(),
            last_checkin: seen.flatten(),
            posture: posture.map(|_| interner.posture(facts.into_iter().collect::<PostureFacts>())),
            notes: notes.map(Into::into),
        })
    }
}

fn is_platform(text: &str) -> bool {
    is_name(text) && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Everything that was found wrong.
struct Wrong(Vec<FormError>);

impl Wrong {
    fn note(&mut self, key: &'static str, code: &'static str, message: String, rule: impl Into<String>) {
        self.0.push(FormError { key, code, message, rule: rule.into() });
    }

    fn not(&mut self, key: &'static str, code: &'static str, text: &str, what: &str, rule: &str) {
        self.note(key, code, format!("`{}` is not {what}", shorten(&plain(text))), rule);
    }

    fn word<T: Copy>(&mut self, key: &'static str, text: Option<String>, words: &[(&str, T)]) -> Option<T> {
        let text = text?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all = || words.iter().map(|(word, _)| *word);
            let listed = || all().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            let rule = did_you_mean(&text, all()).unwrap_or_else(|| format!("one of {}", listed()));
            self.note(key, "Y0115", format!("unknown {key} `{}`", shorten(&plain(&text))), rule);
        }
        found
    }

    fn bounded(&mut self, key: &'static str, text: Option<&str>, most: usize) {
        let Some(text) = text else { return };
        if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
            let message = format!("`{key}` cannot be kept");
            self.note(key, "D0302", message, format!("1 to {most} characters on one line"));
        }
    }
}

/// Nothing that a terminal would act on.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '·' } else { letter }).collect()
}

/// Reads a record from JSON.
///
/// # Errors
/// Everything that is wrong with it; only the first where the form itself is.
pub fn from_json(text: &[u8], interner: &mut Interner) -> Result<Record, Vec<FormError>> {
    parsed(text)?.record(interner)
}

/// Reads the record of this device from JSON; its id may be left out.
///
/// # Errors
/// As of [`from_json`], or another device's id.
pub fn from_json_of(id: &str, text: &[u8], interner: &mut Interner) -> Result<Record, Vec<FormError>> {
    let mut form = parsed(text)?;
    form.id.get_or_insert_with(|| id.to_owned());
    of_device(id, form.record(interner)?)
}

fn parsed(text: &[u8]) -> Result<Form, Vec<FormError>> {
    // A list would be read as the values without their names.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(vec![malformed("not a JSON object".to_owned())]);
    }
    serde_json::from_slice(text).map_err(|error| vec![unreadable(&error)])
}

fn of_device(id: &str, record: Record) -> Result<Record, Vec<FormError>> {
    if *record.id == *id {
        return Ok(record);
    }
    let message = format!("`{}` is another device", shorten(&record.id));
    Err(vec![FormError { key: "id", code: "Y0113", message, rule: "a device keeps its id".to_owned() }])
}

/// What a record comes to when a patch is merged into what is said of the device so far (RFC 7396): null
/// takes back.
///
/// # Errors
/// Everything that is wrong with the outcome.
pub fn patched(
    id: &str,
    before: Option<&Record>,
    patch: &Value,
    interner: &mut Interner,
) -> Result<Record, Vec<FormError>> {
    if !patch.is_object() {
        return Err(vec![malformed("not a JSON object".to_owned())]);
    }
    let before = before.and_then(|record| serde_json::to_value(Written(record)).ok());
    let mut whole = before.unwrap_or_else(|| serde_json::json!({ "id": id }));
    merge(&mut whole, patch);
    let form: Form = serde_json::from_value(whole).map_err(|error| vec![unreadable(&error)])?;
    of_device(id, form.record(interner)?)
}

/// `MergePatch` of RFC 7396 §2. As deep as the patch, which the reader of JSON bounds.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

fn malformed(message: String) -> FormError {
    FormError { key: "", code: "Y0104", message, rule: "write `{ \"id\": …, … }`".to_owned() }
}

fn unreadable(error: &serde_json::Error) -> FormError {
    let said = error.to_string();
    let (message, _) = said.split_once(" at line ").unwrap_or((&said, ""));
    malformed(shorten(&plain(message)))
}

/// A record as JSON: what is not said is not written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a>(pub &'a Record);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Destructured without `..`: a new field is not forgotten on the way to `state`.
        let Record { id, trust, ownership, state, owner, platform, os_version, last_checkin, posture, notes } =
            self.0;
        let mut map = serializer.serialize_map(None)?;
        let mut text = |key: &str, value: Option<&str>| -> Result<(), S::Error> {
            value.map_or(Ok(()), |value| map.serialize_entry(key, value))
        };
        text("id", Some(id))?;
        text("trust", trust.map(DeviceTrust::as_str))?;
        text("ownership", ownership.map(Ownership::as_str))?;
        text("state", state.map(State::as_str))?;
        text("owner", owner.as_deref())?;
        text("platform", platform.as_deref())?;
        text("os_version", os_version.as_ref().map(ToString::to_string).as_deref())?;
        text("last_checkin", last_checkin.map(date::show).as_deref())?;
        if let Some(posture) = posture {
            let facts: std::collections::BTreeMap<&str, bool> = posture.iter().collect();
            map.serialize_entry("posture", &facts)?;
        }
        if let Some(notes) = notes {
            map.serialize_entry("notes", notes)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
