//! What the admin API says of devices: kept, put in force, and told.
//!
//! Invariants:
//! * What was answered with success outlives a restart and is in force, for requests under way too.
//! * What gives is kept before it is in force. What only takes is in force first: a device that is lost is
//!   refused now, whatever becomes of the disk, and where it cannot be kept the answer says that it must be said
//!   again.

use crate::access::{self, DeviceTrust, Ownership, Record};
use crate::admin::{By, Devices, NotChanged, Wish};
use crate::audit::{self, Audit, Event, Kind};
use crate::gateway::scope::Heart;
use crate::inventory::{Change, Interner, Inventory, MOST_RECORDS, Source, patched, restricts};
use crate::state::{State, StateError};
use crate::telemetry::Decided;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Devices that have an event of their own when many change at once.
const MOST_TOLD: usize = 1000;

/// Changes what the API says. One value a process.
pub struct DeviceChanges {
    inventory: Arc<Inventory>,
    state: Arc<State>,
    heart: Heart,
    audit: Arc<Audit>,
    /// What is merged into a record must not be merged into an older one.
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl DeviceChanges {
    /// Puts what was kept in force.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn open(
        inventory: Arc<Inventory>,
        state: Arc<State>,
        heart: Heart,
        audit: Arc<Audit>,
    ) -> Result<Arc<Self>, StateError> {
        inventory.replace(Source::Api, state.devices().await?);
        let one_at_a_time = tokio::sync::Mutex::new(());
        Ok(Arc::new(Self { inventory, state, heart, audit, one_at_a_time }))
    }

    async fn say(&self, id: &str, wish: Wish, by: &By) -> Result<(), NotChanged> {
        let _one = self.one_at_a_time.lock().await;
        let before = self.inventory.said_by(Source::Api, id);
        let after = match wish {
            Wish::Whole(record) => Some(Arc::new(record)),
            Wish::Patch(patch) => {
                let record = patched(id, before.as_deref(), &patch, &mut Interner::default());
                Some(Arc::new(record.map_err(NotChanged::Form)?))
            }
            Wish::Nothing if before.is_none() => return Err(NotChanged::NotSaid),
            Wish::Nothing => None,
        };
        if before.is_none() && self.inventory.count(Source::Api) >= MOST_RECORDS {
            return Err(NotChanged::Full);
        }
        let enforce = || {
            let known = self.inventory.put(Source::Api, id, after.clone());
            self.heart.beat(true);
            known
        };
        // What only takes does not wait for the disk.
        let takes = restricts(before.as_deref(), after.as_deref());
        let known_at_once = if takes { enforce() } else { None };
        let kept = match &after {
            Some(record) => self.state.put_devices(std::slice::from_ref(record)).await,
            None => self.state.drop_device(id).await,
        };
        let known = if kept.is_ok() && !takes { enforce() } else { known_at_once };
        let in_force = takes || kept.is_ok();
        if in_force {
            let mut told = told(before.as_deref(), after.as_deref());
            if known.is_none() {
                told.push_str("; nothing is known differently");
            }
            let reason = if kept.is_ok() { "device_changed" } else { "device_change_not_kept" };
            self.record(id, reason, told, by);
        }
        kept.map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                in_force,
                "a change of a device cannot be kept"
            );
            NotChanged::NotKept { in_force }
        })
    }

    async fn say_all(&self, records: Vec<Arc<Record>>, by: &By) -> Result<usize, NotChanged> {
        let _one = self.one_at_a_time.lock().await;
        let api = |record: &&Arc<Record>| self.inventory.said_by(Source::Api, &record.id).is_none();
        let new = records.iter().filter(api).count();
        if self.inventory.count(Source::Api).saturating_add(new) > MOST_RECORDS {
            return Err(NotChanged::Full);
        }
        self.state.put_devices(&records).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "an import of devices cannot be kept");
            NotChanged::NotKept { in_force: false }
        })?;
        let inventory = Arc::clone(&self.inventory);
        let put = move || {
            let put = |record: Arc<Record>| {
                let id = record.id.clone();
                inventory.put(Source::Api, &id, Some(record))
            };
            records.into_iter().filter_map(put).collect::<Vec<_>>()
        };
        // Many records take a while, during which this thread could serve requests.
        let changes =
            tokio::task::spawn_blocking(put).await.map_err(|_| NotChanged::NotKept { in_force: true })?;
        self.heart.beat(true);
        tell_all(&self.audit, "device_imported", &changes, by);
        Ok(changes.len())
    }

    fn record(&self, id: &str, reason: &'static str, told: String, by: &By) {
        let mut event = event(reason, told, by);
        event.device = Some(id.into());
        self.audit.record(event);
    }
}

impl Devices for Arc<DeviceChanges> {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn change(&self, id: &str, wish: Wish, by: By) -> BoxFuture<'static, Result<(), NotChanged>> {
        let (changes, id) = (Self::clone(self), id.to_owned());
        Box::pin(async move { changes.say(&id, wish, &by).await })
    }

    fn import(&self, records: Vec<Arc<Record>>, by: By) -> BoxFuture<'static, Result<usize, NotChanged>> {
        let changes = Self::clone(self);
        Box::pin(async move { changes.say_all(records, &by).await })
    }
}

/// Writes what many changes of a source come to into the audit log: each of the first, as far as somebody
/// would ask about it, and how many there are.
pub fn tell_all(audit: &Audit, reason: &'static str, changes: &[Change], by: &By) {
    let mut own = 0;
    for Change { before, after } in changes {
        let Some(record) = after.as_ref().or(before.as_ref()) else { continue };
        let told = differences(before.as_deref(), after.as_deref());
        if told.is_empty() || own == MOST_TOLD {
            continue;
        }
        own += 1;
        let mut event = event(reason, told, by);
        event.device = Some((*record.id).into());
        audit.record(event);
    }
    let count = changes.len();
    if count > 0 {
        audit.record(event(reason, format!("{count} devices are known differently"), by));
    }
}

fn event(reason: &'static str, told: String, By { client, comment }: &By) -> Event {
    let told = match comment {
        Some(words) => format!("{told}; {}", words.as_str()),
        None => told,
    };
    Event {
        decision: Some(Decided::Allow),
        reason: Some(reason),
        client: *client,
        comment: Some(told),
        ..Event::new(Kind::Device, audit::now())
    }
}

/// What somebody would ask about, old and new; otherwise that something else differs, or nothing does.
fn told(before: Option<&Record>, after: Option<&Record>) -> String {
    let told = differences(before, after);
    match (told.is_empty(), before == after, after.is_some()) {
        (false, _, _) => told,
        (true, true, _) => "as it was".to_owned(),
        (true, false, true) => "other values".to_owned(),
        (true, false, false) => "taken back".to_owned(),
    }
}

fn differences(before: Option<&Record>, after: Option<&Record>) -> String {
    let said = |record: Option<&Record>| {
        let text = |it: Option<&str>| it.unwrap_or("-").to_owned();
        [
            ("state", text(record.and_then(|it| it.state).map(access::State::as_str))),
            ("ownership", text(record.and_then(|it| it.ownership).map(Ownership::as_str))),
            ("trust", text(record.and_then(|it| it.trust).map(DeviceTrust::as_str))),
            ("owner", text(record.and_then(|it| it.owner.as_deref()))),
        ]
    };
    let pairs = said(before).into_iter().zip(said(after));
    let told = pairs.filter(|((_, old), (_, new))| old != new);
    told.map(|((key, old), (_, new))| format!("{key} {old} → {new}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
