//! One pull: every page of the list, or an error.

use super::super::intern::Interner;
use super::super::merge::merged;
use super::ask::{Answer, Asking};
use super::map::{self, Unread};
use crate::access::{Record, Timestamp};
use crate::config::{Paging, SyncConfig};
use crate::fetch::FetchError;
use crate::fetch::credentials::{AuthoritiesError, SecretError};
use reqwest::header::HeaderValue;
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Pages of a list.
const MOST_PAGES: usize = 10_000;
/// Devices of a list.
const MOST_DEVICES: usize = 1_000_000;
/// All pages together take no longer.
const PATIENCE: Duration = Duration::from_hours(1);

/// Why there is no list. It shows no secret, and no address, which may have one in its query.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    /// The token or the secret of the client.
    #[error("the token or the client secret cannot be had")]
    Secret(#[from] SecretError),
    /// The authorities of its TLS.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// The token endpoint gave none.
    #[error("no token was given out")]
    Token(#[source] FetchError),
    /// What was given out, or is kept, cannot be sent.
    #[error("the token is not one that can be sent")]
    NoToken,
    /// A page cannot be had.
    #[error("a page cannot be had")]
    Page(#[from] FetchError),
    /// A status that brings no page.
    #[error("the answer has status {status}")]
    Refused {
        /// The status.
        status: u16,
        /// How long to wait, where the answer says so.
        wait: Option<Duration>,
    },
    /// No list where it should be.
    #[error("there is no list where `items` says")]
    NoList,
    /// The address of the next page is none, or of another origin.
    #[error("the next page is not an address of the same origin")]
    Link,
    /// A page leads back.
    #[error("the pages lead in a circle, or are more than {MOST_PAGES}")]
    Circle,
    /// More than is kept.
    #[error("there are more than {MOST_DEVICES} devices")]
    TooMany,
    /// The pages do not add up.
    #[error("the list changed while it was read")]
    Moved,
    /// Each answer came in time, but not all together.
    #[error("the pages took more than {} min", PATIENCE.as_secs() / 60)]
    Late,
    /// Nothing, or nothing that has an identity.
    #[error("the list has no device whose identity can be read")]
    Empty,
    /// Too many are gone.
    #[error("{dropped} of {known} devices are missing, which is more than `max_drop`")]
    Dropped {
        /// How many.
        dropped: usize,
        /// Of how many.
        known: usize,
    },
    /// The process ends.
    #[error("it was cut short")]
    Stopped,
}

impl PullError {
    /// How long to wait before the next pull, where somebody asked for that.
    pub(super) const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Refused { wait, .. } => *wait,
            Self::Secret(_)
            | Self::Authorities(_)
            | Self::Token(_)
            | Self::NoToken
            | Self::Page(_)
            | Self::NoList
            | Self::Link
            | Self::Circle
            | Self::TooMany
            | Self::Moved
            | Self::Late
            | Self::Empty
            | Self::Dropped { .. }
            | Self::Stopped => None,
        }
    }

    /// Whether there was a list, and it is not believed.
    pub(super) const fn is_disbelief(&self) -> bool {
        matches!(self, Self::Empty | Self::Dropped { .. })
    }
}

/// A page as it was read.
#[derive(Debug)]
struct Page {
    tag: Option<HeaderValue>,
    records: Vec<Arc<Record>>,
    /// Devices, those without identity included.
    devices: usize,
    next: Option<String>,
    total: Option<u64>,
    unread: Unread,
}

/// The pages of the last pull that have a tag: one that did not change is not sent again.
#[derive(Debug, Default)]
pub(super) struct Pages(HashMap<Url, Arc<Page>>);

/// A whole list.
#[derive(Debug)]
pub(super) struct Pulled {
    pub records: Vec<Arc<Record>>,
    pub pages: Pages,
    pub unread: Unread,
    /// Devices that the list names more than once.
    pub twice: usize,
}

/// Reads the whole list.
pub(super) async fn pull(
    config: &Arc<SyncConfig>,
    before: &Pages,
    now: Timestamp,
) -> Result<Pulled, PullError> {
    tokio::time::timeout(PATIENCE, every_page(config, before, now)).await.map_err(|_| PullError::Late)?
}

async fn every_page(config: &Arc<SyncConfig>, before: &Pages, now: Timestamp) -> Result<Pulled, PullError> {
    let mut asking = Asking::new(config, now).await?;
    let mut interner = Interner::default();
    let mut pages: HashMap<Url, Arc<Page>> = HashMap::new();
    let mut in_order = Vec::new();
    let (mut devices, mut total) = (0_usize, None);
    let mut next = Some(config.first.clone());
    while let Some(url) = next.take() {
        if pages.len() == MOST_PAGES || pages.contains_key(&url) {
            return Err(PullError::Circle);
        }
        let known = before.0.get(&url);
        let page = match asking.page(&url, known.and_then(|page| page.tag.as_ref())).await? {
            Answer::Unchanged => Arc::clone(known.ok_or(PullError::NoList)?),
            Answer::New(body, tag) => {
                let config = Arc::clone(config);
                let work = move || {
                    let page = read(&body, tag, &config, &mut interner);
                    (page, interner)
                };
                let (page, used) = tokio::task::spawn_blocking(work).await.map_err(|_| PullError::Stopped)?;
                interner = used;
                Arc::new(page?)
            }
        };
        devices = devices.saturating_add(page.devices);
        if devices > MOST_DEVICES {
            return Err(PullError::TooMany);
        }
        next = match &config.paging {
            Paging::One => None,
            Paging::Link(_) => page.next.as_deref().map(|text| asking.next(&url, text)).transpose()?,
            Paging::Numbered { key, total: said } => {
                let over = if said.is_some() {
                    let all = page.total.ok_or(PullError::NoList)?;
                    let same = *total.get_or_insert(all) == all;
                    let have = u64::try_from(devices).unwrap_or(u64::MAX);
                    if !same || have > all || (page.devices == 0 && have < all) {
                        return Err(PullError::Moved);
                    }
                    have == all
                } else {
                    page.devices == 0
                };
                (!over).then(|| numbered(&config.first, key, pages.len() + 1))
            }
        };
        in_order.push(Arc::clone(&page));
        pages.insert(url, page);
    }
    pages.retain(|_, page| page.tag.is_some());
    Ok(together(&in_order, Pages(pages)))
}

/// The list of all pages. Of several entries of one device the most restrictive counts, as among sources; what
/// was measured is taken from the one that was heard of last.
fn together(in_order: &[Arc<Page>], pages: Pages) -> Pulled {
    let (mut unread, mut twice) = (Unread::default(), 0);
    let mut records: HashMap<Box<str>, Arc<Record>> = HashMap::new();
    for page in in_order {
        unread.add(&page.unread);
        for record in &page.records {
            match records.entry(record.id.clone()) {
                Entry::Vacant(entry) => _ = entry.insert(Arc::clone(record)),
                Entry::Occupied(mut entry) => {
                    twice += 1;
                    let mut both = [Arc::clone(entry.get()), Arc::clone(record)];
                    both.sort_by_key(|record| std::cmp::Reverse(record.last_checkin));
                    if let Some(one) = merged(both.iter()) {
                        entry.insert(one);
                    }
                }
            }
        }
    }
    Pulled { records: records.into_values().collect(), pages, unread, twice }
}

/// The page of this number.
fn numbered(first: &Url, key: &str, number: usize) -> Url {
    let mut url = first.clone();
    let others: Vec<_> = first.query_pairs().into_owned().filter(|(name, _)| name != key).collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(key, &number.to_string());
    url
}

fn read(
    body: &[u8],
    tag: Option<HeaderValue>,
    config: &SyncConfig,
    interner: &mut Interner,
) -> Result<Page, PullError> {
    let document: Value = serde_json::from_slice(body).map_err(|_| FetchError::NotJson)?;
    let list = document.pointer(config.items.as_str()).and_then(Value::as_array).ok_or(PullError::NoList)?;
    let mut unread = Unread::default();
    let records = list
        .iter()
        .filter_map(|device| map::record(&config.map, device, interner, &mut unread))
        .map(Arc::new)
        .collect();
    let (next, total) = match &config.paging {
        Paging::One => (None, None),
        Paging::Link(at) => match document.pointer(at.as_str()) {
            None | Some(Value::Null) => (None, None),
            Some(Value::String(text)) if text.is_empty() => (None, None),
            Some(Value::String(text)) => (Some(text.clone()), None),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                return Err(PullError::Link);
            }
        },
        Paging::Numbered { key: _, total } => {
            (None, total.as_ref().and_then(|at| document.pointer(at.as_str())).and_then(Value::as_u64))
        }
    };
    Ok(Page { tag, records, devices: list.len(), next, total, unread })
}
