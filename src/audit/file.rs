//! The file of one day: opened, completed where a crash tore its last line, appended to.

use super::AuditError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use time::Date;

/// Only the owner reads the log: it says who did what.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes the folder where it does not exist. The mode of one that does is its owner's choice.
pub(super) fn make_folder(folder: &Path) -> Result<(), AuditError> {
    let failed = |source| AuditError::Folder { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed)?;
    let mode = fs::metadata(folder).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(folder = %folder.display(), "others can list the audit folder; mode 0700 is meant");
    }
    Ok(())
}

/// The file of a day.
pub(super) fn path_of(folder: &Path, day: Date) -> PathBuf {
    let (year, month, day) = day.to_calendar_date();
    folder.join(format!("audit-{year:04}-{:02}-{day:02}.jsonl", u8::from(month)))
}

/// The file of one day, open for appending.
pub(super) struct DayFile {
    day: Date,
    path: PathBuf,
    file: File,
    /// Device and inode, to see that it was moved away or replaced.
    identity: (u64, u64),
    /// Only a regular file can be synced.
    regular: bool,
}

impl DayFile {
    /// Opens the file of a day, and ends a line that a crash left torn, so that the next one stands alone.
    pub(super) fn open(folder: &Path, day: Date) -> io::Result<Self> {
        let path = path_of(folder, day);
        // Without waiting, so that a FIFO that nobody reads is an error and not a wait without end.
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
            .open(&path)?;
        let metadata = file.metadata()?;
        let regular = metadata.is_file();
        if regular && torn(&path)? {
            file.write_all(b"\n")?;
        }
        Ok(Self { day, path, file, identity: (metadata.dev(), metadata.ino()), regular })
    }

    pub(super) const fn day(&self) -> Date {
        self.day
    }

    /// Whether the path still leads to this file.
    pub(super) fn in_place(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }

    /// Appends, and says how much of it was written even where it fails.
    pub(super) fn append(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        loop {
            let rest = bytes.get(written..).unwrap_or_default();
            if rest.is_empty() {
                return (written, Ok(()));
            }
            match self.file.write(rest) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        if self.regular { self.file.sync_data() } else { Ok(()) }
    }
}

/// Whether a file ends in the middle of a line.
fn torn(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
