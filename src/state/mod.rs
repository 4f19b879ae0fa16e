//! What must outlive a restart: keys, sessions and what the API says of devices, in one SQLite file.
//!
//! Invariants: the folder is open to nobody but its owner (0700), the file likewise (0600); a
//! write is on disk before it is reported done; a file of a newer version is refused.

mod devices;
mod keys;
mod sessions;

pub use keys::{AssertionKey, KeyRing};
pub(crate) use sessions::StoredSession;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version that the steps lead to.
const VERSION: usize = 2;
/// From each version to the next, beginning with an empty file.
static STEPS: [&str; VERSION] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];
/// Connections to the file at once: SQLite has one writer, so more would only wait.
const CONNECTIONS: u32 = 4;
/// The longest wait for a connection or for another writer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the state could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder or file cannot be made or kept from others.
    #[error("cannot use the state folder `{}`", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the state database failed")]
    Database(#[from] sqlx::Error),
    /// A file of a version that this program does not know.
    #[error("the state has version `{0}`, and this program knows version `{VERSION}`")]
    Version(i64),
    /// A row that this program cannot have written.
    #[error("the state has a row in `{0}` that cannot be read")]
    Corrupt(&'static str),
    /// The system gave no randomness, or no key could be made of it.
    #[error("no key could be made")]
    Key,
}

/// The open state folder.
#[derive(Clone, Debug)]
pub struct State {
    pool: SqlitePool,
}

impl State {
    /// Opens `dir/tiergate.db`; makes both where they are missing.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be made private, or the database cannot be opened or is not ours.
    pub async fn open(dir: &Path) -> Result<Self, StateError> {
        let file = dir.join("tiergate.db");
        prepare(dir, &file)?;
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .journal_mode(SqliteJournalMode::Wal)
            // A session that was ended must stay ended after a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await?;
        let state = Self { pool };
        state.migrate().await?;
        Ok(state)
    }

    /// Whether the database answers, for `/readyz`.
    ///
    /// # Errors
    ///
    /// Where it does not.
    pub async fn ping(&self) -> Result<(), StateError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Closes the file, so that the write-ahead log is folded into it.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn migrate(&self) -> Result<(), StateError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
        let steps = usize::try_from(version).ok().and_then(|done| STEPS.get(done..));
        for step in steps.ok_or(StateError::Version(version))? {
            sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Makes the folder and the file where they are missing, and closes them to everybody else. SQLite
/// gives its side files (`-wal`, `-shm`) the mode of the file itself.
fn prepare(dir: &Path, file: &Path) -> Result<(), StateError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| StateError::Folder { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed(dir))?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map_err(failed(file))?
        .set_permissions(Permissions::from_mode(0o600))
        .map_err(failed(file))
}

#[cfg(test)]
mod tests;
