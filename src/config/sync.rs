//! The device management that is asked for its devices: where, how its list is paged, and what a device's
//! JSON means.

mod presets;

use super::at_most::AtMost;
use super::evidence::Freshness;
use super::resolve::Reader;
use super::{SecretSource, raw};
use crate::text::name::{NAME_RULE, is_name};
use crate::text::service_url;
use crate::text::yaml::{At, Entries, Key};
use presets::Preset;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Between two pulls, where the file does not say.
const INTERVAL: Duration = Duration::from_mins(15);
/// No service of others is asked more often.
const LEAST_INTERVAL: Duration = Duration::from_mins(1);
/// Nor one of this machine, which is somebody's test.
const LEAST_INTERVAL_ON_LOOPBACK: Duration = Duration::from_secs(1);
/// No answer is waited for longer.
const MOST_TIMEOUT: Duration = Duration::from_mins(10);
/// How old the inventory may be for `high`, where the file does not say.
const HIGH_MAX_AGE: Duration = Duration::from_hours(24);
/// Places that are looked at for one value, and values that are given a meaning.
const MOST_READINGS: usize = 64;

/// A device management that is asked regularly.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncConfig {
    /// The first page of its list.
    pub first: Url,
    /// Where the other pages are.
    pub paging: Paging,
    /// Where in a page the devices are.
    pub items: Pointer,
    /// Where in a device's JSON its record is found.
    pub map: FieldMap,
    /// What proves who asks.
    pub credentials: SyncCredentials,
    /// From one pull to the next, a tenth more or less.
    pub interval: Duration,
    /// For each answer, from the first byte sent to the last received.
    pub timeout: Duration,
    /// PEM authorities for its TLS, beside the platform's.
    pub ca: Option<PathBuf>,
    /// The most devices that a pull may miss of those that the last one knew.
    pub max_drop: AtMost,
}

impl SyncConfig {
    /// Whether another configuration reads the same devices in the same way.
    #[must_use]
    pub fn reads_as(&self, other: &Self) -> bool {
        // Destructured without `..`: whether a new key changes what is read is said here.
        let Self { first, paging, items, map, credentials: _, interval: _, timeout: _, ca: _, max_drop: _ } =
            self;
        (first, paging, items, map) == (&other.first, &other.paging, &other.items, &other.map)
    }

    /// The files that are read at each pull.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let secret = match &self.credentials {
            SyncCredentials::Token(secret) | SyncCredentials::Client { secret, .. } => secret,
        };
        let secret = match secret {
            SecretSource::File(path) => Some(path),
            SecretSource::Env(_) => None,
        };
        secret.into_iter().chain(&self.ca)
    }
}

/// Where the pages after the first one are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Paging {
    /// There are none.
    One,
    /// Each page has the address of the next here, and the last has none.
    Link(Pointer),
    /// They are numbered from 0.
    Numbered {
        /// The key of the number in the query.
        key: &'static str,
        /// Where a page says how many devices there are in all. Without it an empty page is the last.
        total: Option<Pointer>,
    },
}

/// What proves who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SyncCredentials {
    /// A bearer token.
    Token(SecretSource),
    /// A token is asked for at each pull (RFC 6749 §4.4).
    Client {
        /// Where.
        token_url: Url,
        /// The id of the client.
        id: String,
        /// Its secret.
        secret: SecretSource,
        /// The scope, where one is sent.
        scope: Option<String>,
    },
}

/// Where in a device's JSON its record is found: for each value the places, of which the first that is there
/// counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FieldMap {
    /// Its identity.
    pub id: Vec<Reading>,
    /// A user name or an e-mail address.
    pub owner: Vec<Reading>,
    /// Its operating system.
    pub platform: Vec<Reading>,
    /// The version of that.
    pub os_version: Vec<Reading>,
    /// When the management last heard of it.
    pub last_checkin: Vec<Reading>,
    /// Whose property it is.
    pub ownership: Vec<Reading>,
    /// Whether it is in use.
    pub state: Vec<Reading>,
    /// The most that it is trusted.
    pub trust: Vec<Reading>,
    /// What holds for it.
    pub posture: BTreeMap<String, Vec<Reading>>,
}

impl FieldMap {
    /// Every place.
    fn readings(&self) -> impl Iterator<Item = &Reading> {
        let Self { id, owner, platform, os_version, last_checkin, ownership, state, trust, posture } = self;
        [id, owner, platform, os_version, last_checkin, ownership, state, trust]
            .into_iter()
            .chain(posture.values())
            .flatten()
    }
}

/// Where a value is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reading {
    /// The place.
    pub at: Pointer,
    /// What each value means; one that is not listed says nothing. `None`: it means itself.
    pub values: Option<BTreeMap<String, String>>,
}

/// A JSON Pointer (RFC 6901).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pointer(String);

impl Pointer {
    /// A pointer to something below the whole document, which `Default` points to.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        (text.starts_with('/') && escapes).then(|| Self(text.to_owned()))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first key on the way; empty for the whole document.
    fn first(&self) -> String {
        self.0.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~")
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Reader<'_> {
    /// `inventory` is held to an age where a device management is asked.
    pub(super) fn sync(
        &mut self,
        sync: At<raw::DeviceSync>,
        inventory: &mut Freshness,
    ) -> Option<SyncConfig> {
        // Destructured without `..`: see `raw`.
        let At {
            value:
                raw::DeviceSync {
                    preset,
                    url,
                    token,
                    client_credentials,
                    interval,
                    timeout,
                    ca,
                    items,
                    next,
                    max_drop,
                    map,
                },
            span,
        } = sync;
        let named = preset.is_stated();
        let preset = preset.0.and_then(|text| self.word(&text, "preset", Preset::WORDS));
        let url = self.needed(url, "url", span.clone()).and_then(|text| self.service_url(&text));
        let credentials = self.credentials(token, client_credentials, span.clone());
        let interval = self.interval(interval, url.as_ref(), inventory);
        let timeout = self.timeout(timeout);
        let ca = ca.0.map(|text| self.path(&text));
        let items = self.pages_key(items, "items", named);
        let next = self.pages_key(next, "next", named);
        let max_drop = max_drop.0.map_or(Some(AtMost::Percent(50)), |text| self.at_most(&text, "devices"));
        let mut fields = preset.map(Preset::map).unwrap_or_default();
        let place = map.0.as_ref().map_or_else(|| span, |map| map.span.clone());
        if let Some(map) = map.0 {
            self.map(map, &mut fields);
        }
        if !named && fields.id.is_empty() {
            let label = "say where a device's identity is, or name a `preset`";
            self.error("Y0105", place, "missing key `id` in `map`", label);
        }
        let (first, paging, items) = match preset {
            Some(preset) => (preset.first(&url?, &fields), preset.paging(), preset.items()),
            None => (url?, next.map_or(Paging::One, Paging::Link), items.unwrap_or_default()),
        };
        Some(SyncConfig {
            first,
            paging,
            items,
            map: fields,
            credentials: credentials?,
            interval,
            timeout,
            ca,
            max_drop: max_drop?,
        })
    }

    fn service_url(&mut self, text: &At<String>) -> Option<Url> {
        service_url::parse(&text.value)
            .map_err(|error| {
                // A user or a query may be a secret: then neither it nor its place is shown.
                let (shown, span) = if text.value.contains(['@', '?', '#']) {
                    ("…", 0..0)
                } else {
                    (text.value.as_str(), text.span.clone())
                };
                let message = format!("`{shown}` is not the address of a service");
                self.error("C0115", span, message, error.to_string());
            })
            .ok()
    }

    fn credentials(
        &mut self,
        token: Key<raw::Secret>,
        client: Key<raw::ClientCredentials>,
        whole: Range<usize>,
    ) -> Option<SyncCredentials> {
        match (token.0, client.0) {
            (Some(token), None) => self.secret(token, "devices.sync.token").map(SyncCredentials::Token),
            (None, Some(At { value, span })) => {
                let raw::ClientCredentials { token_url, client_id, client_secret, scope } = value;
                let url = self.needed(token_url, "token_url", span.clone());
                let url = url.and_then(|text| self.service_url(&text));
                let id = self.needed(client_id, "client_id", span.clone());
                let secret = self.needed(client_secret, "client_secret", span);
                let secret = secret.and_then(|secret| self.secret(secret, "client_secret of devices.sync"));
                let scope = scope.0.map(|scope| scope.value);
                Some(SyncCredentials::Client { token_url: url?, id: id?.value, secret: secret?, scope })
            }
            (Some(_), Some(_)) => {
                let label = "state `token` or `client_credentials`, not both";
                self.error("C0107", whole, "two ways to prove who asks", label);
                None
            }
            (None, None) => {
                let label = "state `token` or `client_credentials`";
                self.error("Y0105", whole, "nothing proves who asks", label);
                None
            }
        }
    }

    fn interval(&mut self, key: Key<String>, url: Option<&Url>, inventory: &mut Freshness) -> Duration {
        let high = *inventory.high.get_or_insert(HIGH_MAX_AGE);
        let Some(text) = key.0 else { return INTERVAL.min(high / 2).max(LEAST_INTERVAL) };
        let Some(interval) = self.duration(&text) else { return INTERVAL };
        let least = match url.map(Url::scheme) {
            Some("http") => LEAST_INTERVAL_ON_LOOPBACK,
            Some(_) | None => LEAST_INTERVAL,
        };
        if interval < least {
            self.error(
                "C0106",
                text.span.clone(),
                "the device management would be asked too often",
                "at least `1m`",
            );
        }
        if interval > high {
            let label = "at most `evidence.inventory.max_age.high`, which is 24h where it is not stated";
            self.error(
                "C0107",
                text.span,
                "the inventory would be too old before it is asked for again",
                label,
            );
        }
        interval
    }

    fn timeout(&mut self, key: Key<String>) -> Duration {
        let place = key.0.as_ref().map_or(0..0, |text| text.span.clone());
        let timeout = self.duration_or(key, 30);
        if timeout > MOST_TIMEOUT {
            self.error("C0106", place, "no answer is waited for so long", "at most `10m`");
        }
        timeout
    }

    /// A key that says what a preset says already.
    fn pages_key(&mut self, key: Key<String>, name: &str, preset: bool) -> Option<Pointer> {
        let text = key.0?;
        if preset {
            let label = "leave it out, or leave `preset` out and say everything";
            self.error("C0107", text.span.clone(), format!("`{name}` is what the preset says"), label);
        }
        self.pointer(&text)
    }

    fn pointer(&mut self, text: &At<String>) -> Option<Pointer> {
        let pointer = Pointer::new(&text.value);
        if pointer.is_none() {
            let label = "begin each key with `/`, such as `/hardware/serialNumber`; `~1` is a `/` in a key, `~0` a `~`";
            let message = format!("`{}` is not a JSON Pointer", text.value);
            self.error("C0116", text.span.clone(), message, label);
        }
        pointer
    }

    /// What is stated replaces what the preset says.
    fn map(&mut self, map: At<raw::SyncMap>, fields: &mut FieldMap) {
        // Destructured without `..`: see `raw`.
        let raw::SyncMap { id, owner, platform, os_version, last_checkin, ownership, state, trust, posture } =
            map.value;
        let mut empty = !posture.is_stated();
        for (name, key, field) in [
            ("id", id, &mut fields.id),
            ("owner", owner, &mut fields.owner),
            ("platform", platform, &mut fields.platform),
            ("os_version", os_version, &mut fields.os_version),
            ("last_checkin", last_checkin, &mut fields.last_checkin),
            ("ownership", ownership, &mut fields.ownership),
            ("state", state, &mut fields.state),
            ("trust", trust, &mut fields.trust),
        ] {
            let Some(key) = key.0 else { continue };
            empty = false;
            let span = key.span.clone();
            *field = self.readings(At { value: key.places(), span }, name);
        }
        if empty {
            self.error("Y0108", map.span, "`map` is empty", "say where a value is, or leave the key out");
        }
        let Some(At { value: Entries(entries), span }) = posture.0 else { return };
        for (name, key) in self.not_empty(At { value: entries, span }, "posture") {
            if !is_name(&name.value) {
                let message = format!("`{}` is not the name of something that holds", name.value);
                self.error("Y0113", name.span.clone(), message, NAME_RULE);
            }
            let span = key.span.clone();
            let readings = self.readings(At { value: key.places(), span }, &name.value);
            fields.posture.insert(name.value, readings);
        }
    }

    fn readings(&mut self, list: At<Vec<At<raw::Reading>>>, name: &str) -> Vec<Reading> {
        let list = self.not_empty(list, name);
        if let Some(next) = list.get(MOST_READINGS) {
            let message = format!("more than {MOST_READINGS} places for `{name}`");
            self.error("C0106", next.span.clone(), message, "leave some out");
        }
        list.into_iter().filter_map(|reading| self.reading(reading)).collect()
    }

    fn reading(&mut self, At { value, span }: At<raw::Reading>) -> Option<Reading> {
        let raw::ReadAt { at, values } = match value {
            raw::Reading::At(text) => {
                return self.pointer(&At { value: text, span }).map(|at| Reading { at, values: None });
            }
            raw::Reading::Mapped(mapped) => mapped,
        };
        let at = self.needed(at, "at", span.clone()).and_then(|text| self.pointer(&text));
        let At { value: Entries(entries), span } = self.needed(values, "values", span)?;
        let entries = self.not_empty(At { value: entries, span }, "values");
        if let Some((next, _)) = entries.get(MOST_READINGS) {
            let message = format!("more than {MOST_READINGS} values");
            self.error("C0106", next.span.clone(), message, "leave some out");
        }
        let values = entries.into_iter().map(|(from, to)| (from.value, to.value)).collect();
        Some(Reading { at: at?, values: Some(values) })
    }
}

#[cfg(test)]
mod tests;
