//! When the device management is asked, and what becomes of its answers.

use super::super::store::{Change, Inventory, Source};
use super::kept::{self, Kept};
use super::pause::{chance, pause};
use super::pull::{Pages, PullError, Pulled, pull};
use crate::access::Timestamp;
use crate::config::{AtMost, SyncConfig};
use crate::diagnostic::causes;
use crate::telemetry::{Metrics, SyncResult};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked whether another configuration was loaded.
const LOOK: Duration = Duration::from_secs(1);
/// A kept pull that lies further ahead, seconds, was kept under another clock.
const SKEW: i64 = 300;

type Configured = Box<dyn Fn() -> Option<Arc<SyncConfig>> + Send + Sync>;
type Now = Box<dyn Fn() -> Timestamp + Send + Sync>;
type Changed = Box<dyn Fn(&[Change]) + Send + Sync>;

/// What the pulls work with.
pub struct Parts {
    /// Where the records go.
    pub inventory: Arc<Inventory>,
    /// Where pulls are counted.
    pub metrics: Arc<Metrics>,
    /// The state folder.
    pub state: PathBuf,
    /// What is configured now.
    pub configured: Configured,
    /// Called with everything that is known differently after a pull, where anything is.
    pub changed: Changed,
    /// The wall clock.
    pub now: Now,
}

/// The device management that is asked regularly. One value a process; one pull at a time.
pub struct DeviceSync {
    parts: Parts,
    file: PathBuf,
    course: tokio::sync::Mutex<Course>,
    last_failure: Mutex<Option<String>>,
}

/// How far it is.
struct Course {
    config: Option<Arc<SyncConfig>>,
    pages: Pages,
    /// What is known was read as it is read now, so that both can be compared.
    comparable: bool,
    due: Instant,
    failures: u32,
    /// Until when the service wants to be left alone.
    left_alone: Instant,
    /// What was told last of what cannot be read.
    told: String,
}

impl DeviceSync {
    /// Takes up where the process left off: the inventory holds the last pull, and is as old as that.
    pub async fn open(parts: Parts) -> Arc<Self> {
        let file = parts.state.join("sync.ndjson");
        let course = Course {
            config: None,
            pages: Pages::default(),
            comparable: false,
            due: Instant::now(),
            failures: 0,
            left_alone: Instant::now(),
            told: String::new(),
        };
        let sync =
            Self { parts, file, course: tokio::sync::Mutex::new(course), last_failure: Mutex::default() };
        {
            let mut course = sync.course.lock().await;
            if let Some(config) = (sync.parts.configured)() {
                sync.take_up(&mut course, config).await;
            }
        }
        Arc::new(sync)
    }

    /// Why the last pull failed; `None` where it did not, or nothing is asked.
    #[must_use]
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Pulls whenever it is time, for as long as the process lives, and follows the configuration.
    pub async fn run(self: Arc<Self>) {
        let mut course = self.course.lock().await;
        loop {
            self.step(&mut course).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn step(&self, course: &mut Course) {
        self.follow(course, (self.parts.configured)()).await;
        let Some(config) = course.config.clone() else { return };
        if Instant::now() < course.due {
            return;
        }
        let began = (self.parts.now)();
        let pulled = tokio::select! {
            pulled = pull(&config, &course.pages, began) => pulled,
            // What was asked of another configuration counts no more.
            () = self.another_than(&config) => return,
        };
        let taken = match pulled {
            Ok(pulled) => self.take(course, &config, pulled, began).await,
            Err(error) => Err(error),
        };
        let asked = match taken {
            Ok(()) => {
                course.failures = 0;
                self.tell_failure(None);
                None
            }
            Err(error) => {
                course.failures = course.failures.saturating_add(1);
                self.fail(&error);
                error.wait()
            }
        };
        let wait = pause(course.failures, config.interval, asked, chance());
        course.due = Instant::now() + wait;
        course.left_alone = Instant::now() + asked.unwrap_or_default();
    }

    /// Returns when something else is configured.
    async fn another_than(&self, config: &SyncConfig) {
        while (self.parts.configured)().as_deref() == Some(config) {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn follow(&self, course: &mut Course, configured: Option<Arc<SyncConfig>>) {
        match (course.config.take(), configured) {
            (None, None) => {}
            (None, Some(new)) => self.take_up(course, new).await,
            (Some(_), None) => self.give_up(course),
            (Some(old), Some(new)) => {
                // After a load something may be mended that cannot be seen here, such as a secret's file.
                let mended = course.failures > 0 && !Arc::ptr_eq(&old, &new);
                if *old != *new {
                    course.due = Instant::now();
                } else if mended {
                    course.due = course.due.min(course.left_alone.max(Instant::now()));
                }
                if !new.reads_as(&old) {
                    course.pages = Pages::default();
                    course.comparable = false;
                }
                course.config = Some(new);
            }
        }
    }

    /// Begins to ask, with what was kept of the last time.
    async fn take_up(&self, course: &mut Course, config: Arc<SyncConfig>) {
        let (file, read_as, latest) = (self.file.clone(), Arc::clone(&config), (self.parts.now)() + SKEW);
        let kept = tokio::task::spawn_blocking(move || kept::load(&file, &read_as)).await;
        let kept = match kept {
            Ok(Ok(kept)) => kept.filter(|kept| kept.as_of <= latest),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the last pull of devices cannot be read; nothing is known of it");
                None
            }
            Err(_) => None,
        };
        let inventory = &self.parts.inventory;
        course.comparable = kept.is_some();
        match kept {
            Some(Kept { as_of, records }) => {
                tracing::info!(devices = records.len(), "the devices of the last pull are known");
                inventory.set_as_of(Source::Sync, Some(as_of));
                inventory.replace(Source::Sync, records);
            }
            None => inventory.expect_sync(),
        }
        (course.pages, course.failures, course.due) = (Pages::default(), 0, Instant::now());
        course.left_alone = course.due;
        course.config = Some(config);
    }

    /// Nobody is asked any more, and nothing of it counts.
    fn give_up(&self, course: &mut Course) {
        course.pages = Pages::default();
        course.told.clear();
        self.tell_failure(None);
        if let Err(error) = kept::remove(&self.file) {
            tracing::error!(%error, "the last pull of devices cannot be removed");
        }
        self.tell_changes(&self.parts.inventory.replace(Source::Sync, []));
        self.parts.inventory.set_as_of(Source::Sync, None);
        tracing::info!("no device management is asked any more");
    }

    /// Takes a list into the inventory, whole.
    async fn take(
        &self,
        course: &mut Course,
        config: &Arc<SyncConfig>,
        pulled: Pulled,
        began: Timestamp,
    ) -> Result<(), PullError> {
        let Pulled { records, pages, unread, twice } = pulled;
        if records.is_empty() && config.max_drop != AtMost::Percent(100) {
            return Err(PullError::Empty);
        }
        if course.comparable {
            let ids: HashSet<&str> = records.iter().map(|record| &*record.id).collect();
            let (dropped, known) = self.parts.inventory.would_drop(Source::Sync, &ids);
            if config.max_drop.is_exceeded(dropped, known) {
                return Err(PullError::Dropped { dropped, known });
            }
        }
        let devices = records.len();
        let (inventory, file, read_as) =
            (Arc::clone(&self.parts.inventory), self.file.clone(), Arc::clone(config));
        let work = move || {
            let changes = inventory.replace(Source::Sync, records.iter().map(Arc::clone));
            inventory.set_as_of(Source::Sync, Some(began));
            (changes, kept::save(&file, &read_as, began, &records))
        };
        let (changes, saved) = tokio::task::spawn_blocking(work).await.map_err(|_| PullError::Stopped)?;
        self.tell_changes(&changes);
        if let Err(error) = saved {
            tracing::error!(%error, "the pull of devices cannot be kept; a restart will not know it");
        }
        let differing = changes.len();
        (course.pages, course.comparable) = (pages, true);
        self.parts.metrics.synced(if differing > 0 { SyncResult::Changed } else { SyncResult::Unchanged });
        let told = format!("{unread}; {twice} twice");
        if differing > 0 || told != course.told {
            tracing::info!(devices, changed = differing, left_out = %unread, twice, "the devices were pulled");
        }
        course.told = told;
        Ok(())
    }

    fn fail(&self, error: &PullError) {
        let said = causes(error);
        if error.is_disbelief() {
            self.parts.metrics.synced(SyncResult::Refused);
            tracing::error!(error = said, "a pull of devices is not believed, and what was known stays");
        } else {
            self.parts.metrics.synced(SyncResult::Failed);
            tracing::warn!(error = said, "the devices could not be pulled, and what was known stays");
        }
        self.tell_failure(Some(said));
    }

    fn tell_changes(&self, changes: &[Change]) {
        if !changes.is_empty() {
            (self.parts.changed)(changes);
        }
    }

    fn tell_failure(&self, said: Option<String>) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }
}

#[cfg(test)]
mod tests;
