//! The thread that encodes events and writes them, a batch at a time.
//!
//! Invariant: a batch that cannot be written is kept and tried again, at the byte where it stopped, so that
//! an event that was taken from the queue is neither lost nor written twice; only a file that was replaced
//! meanwhile begins with the whole of the event that was cut.

use super::event::{Event, Kind};
use super::file::{DayFile, make_folder, path_of};
use super::{AuditError, Shared};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use time::{Date, OffsetDateTime, UtcOffset};
use tokio::sync::oneshot;

/// What travels through the queue.
#[expect(
    clippy::large_enum_variant,
    reason = "almost everything is an event, and the queue's places are made once: recording asks for no memory"
)]
pub(super) enum Message {
    Event(Event),
    /// Answer when everything before is on the disk.
    Flush(oneshot::Sender<bool>),
}

/// The bounds of the writer, and its clock.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// Events that wait.
    pub(super) queue: usize,
    /// Bytes after which a batch is written.
    pub(super) batch: usize,
    /// Between two attempts to write to a log that cannot be written.
    pub(super) retry: Duration,
    /// How long a written batch may wait for the disk.
    pub(super) sync: Duration,
    /// How long events gather after a batch, so that whoever records one need not wake this thread.
    pub(super) gather: Duration,
    pub(super) now: fn() -> OffsetDateTime,
}

impl Settings {
    pub(super) const DEFAULT: Self = Self {
        queue: 8192,
        batch: 256 * 1024,
        retry: Duration::from_secs(1),
        sync: Duration::from_secs(1),
        gather: Duration::from_millis(5),
        now: super::now,
    };
}

pub(super) struct Writer {
    folder: PathBuf,
    file: Option<DayFile>,
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
    settings: Settings,
    /// Encoded lines, all of `day`.
    batch: Vec<u8>,
    /// How much of the batch is written.
    written: usize,
    /// Events in the batch.
    events: u64,
    day: Date,
    /// Since when there is something that is written and not synced.
    dirty: Option<Instant>,
    /// The failure was logged; it is told once, not with every attempt.
    failing: bool,
}

impl Writer {
    pub(super) fn open(
        folder: &Path,
        receiver: Receiver<Message>,
        shared: Arc<Shared>,
        settings: Settings,
    ) -> Result<Self, AuditError> {
        make_folder(folder)?;
        let day = date((settings.now)());
        let file = DayFile::open(folder, day)
            .map_err(|source| AuditError::File { path: path_of(folder, day), source })?;
        Ok(Self {
            folder: folder.to_owned(),
            file: Some(file),
            receiver,
            shared,
            settings,
            batch: Vec::new(),
            written: 0,
            events: 0,
            day,
            dirty: None,
            failing: false,
        })
    }

    /// Writes until the recorder is gone and the queue is empty.
    pub(super) fn run(mut self) {
        loop {
            let wait = self.dirty.map(|since| self.settings.sync.saturating_sub(since.elapsed()));
            let received = match wait {
                Some(wait) => self.receiver.recv_timeout(wait),
                None => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let step = match received {
                Ok(message) => {
                    let step = self.take(message);
                    std::thread::sleep(self.settings.gather);
                    step
                }
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Err(RecvTimeoutError::Disconnected) => ControlFlow::Break(()),
            };
            if step.is_break() {
                break;
            }
        }
        let _ = self.write();
        if let Some(file) = &self.file {
            let _ = file.sync();
        }
    }

    /// Takes a message and whatever waits behind it, and writes.
    fn take(&mut self, first: Message) -> ControlFlow<()> {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Event(event) => {
                    self.shared.metrics.audit_queue.dec();
                    self.add(&event)?;
                }
                Message::Flush(reply) => {
                    self.write()?;
                    self.sync()?;
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(!self.failing);
                }
            }
            next = self.receiver.try_recv().ok();
        }
        self.write()
    }

    fn add(&mut self, event: &Event) -> ControlFlow<()> {
        let day = date(event.time);
        if day != self.day || self.batch.len() >= self.settings.batch {
            self.write()?;
            self.day = day;
        }
        if event.encode(&mut self.batch).is_ok() {
            self.events += 1;
        } else {
            self.shared.lose();
        }
        ControlFlow::Continue(())
    }

    /// Writes the batch, however long it takes, and opens the log again where it could not be written.
    fn write(&mut self) -> ControlFlow<()> {
        self.insist()?;
        let lost = self.shared.lost.swap(0, Ordering::AcqRel);
        if lost > 0 {
            let time = (self.settings.now)();
            let gap = Event { lost: Some(lost), ..Event::new(Kind::Gap, time) };
            self.day = date(time);
            if gap.encode(&mut self.batch).is_ok() {
                self.events += 1;
            }
            tracing::warn!(lost, "audit events were lost");
            self.insist()?;
        }
        if self.failing {
            tracing::info!("the audit log is written again");
            self.failing = false;
        }
        self.shared.set_available(true);
        // What was lost meanwhile made it unavailable. It stays so until that is told: the queue was full
        // then, so another batch follows.
        if self.shared.lost.load(Ordering::Acquire) > 0 {
            self.shared.set_available(false);
        }
        // Here too: under a steady stream of events, waiting for the next never takes long enough.
        if self.dirty.is_some_and(|since| since.elapsed() >= self.settings.sync) {
            return self.sync();
        }
        ControlFlow::Continue(())
    }

    /// Tries until the batch is written; gives up only when the recorder is gone.
    fn insist(&mut self) -> ControlFlow<()> {
        while let Err(error) = self.attempt() {
            self.failed(&error);
            if self.shared.closing.load(Ordering::Acquire) {
                return ControlFlow::Break(());
            }
            std::thread::sleep(self.settings.retry);
        }
        ControlFlow::Continue(())
    }

    /// One attempt to write the rest of the batch.
    fn attempt(&mut self) -> io::Result<()> {
        if self.written == self.batch.len() {
            self.finish();
            return Ok(());
        }
        if self.file.as_ref().is_some_and(|file| file.day() != self.day || !file.in_place()) {
            if let Some(old) = self.file.take() {
                // Best effort: the file is full, moved away or of yesterday.
                let _ = old.sync();
            }
            // Another file does not have the first half of the line that was cut.
            let head = self.batch.get(..self.written).unwrap_or_default();
            self.written = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => DayFile::open(&self.folder, self.day).or_else(|error| self.remake(error))?,
        };
        let (written, result) = file.append(self.batch.get(self.written..).unwrap_or_default());
        self.file = Some(file);
        self.written += written;
        if written > 0 && self.dirty.is_none() {
            self.dirty = Some(Instant::now());
        }
        result?;
        self.finish();
        Ok(())
    }

    /// Opens the file in a folder that was removed meanwhile.
    fn remake(&self, error: io::Error) -> io::Result<DayFile> {
        if error.kind() != io::ErrorKind::NotFound || make_folder(&self.folder).is_err() {
            return Err(error);
        }
        DayFile::open(&self.folder, self.day)
    }

    fn finish(&mut self) {
        self.shared.metrics.audit_events.inc_by(self.events);
        self.events = 0;
        self.batch.clear();
        self.batch.shrink_to(self.settings.batch.saturating_mul(2));
        self.written = 0;
    }

    fn failed(&mut self, error: &io::Error) {
        self.shared.set_available(false);
        self.shared.metrics.audit_failures.inc();
        if !self.failing {
            self.failing = true;
            tracing::error!(%error, folder = %self.folder.display(), "the audit log cannot be written");
        }
    }

    /// Brings what is written to the disk.
    fn sync(&mut self) -> ControlFlow<()> {
        self.dirty = None;
        let Some(file) = &self.file else { return ControlFlow::Continue(()) };
        if let Err(error) = file.sync() {
            // What was not synced cannot be known; the next write that succeeds makes it available again.
            self.failed(&error);
        }
        ControlFlow::Continue(())
    }
}

fn date(time: OffsetDateTime) -> Date {
    time.to_offset(UtcOffset::UTC).date()
}
