//! Sessions on disk: written when they begin, change or end; read once, at the start.

use super::{State, StateError};
use crate::access::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// A session as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct StoredSession {
    pub(crate) id: [u8; 16],
    pub(crate) provider: String,
    pub(crate) subject: String,
    pub(crate) user: String,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) amr: Vec<String>,
    pub(crate) mfa: bool,
    pub(crate) auth_time: Timestamp,
    pub(crate) started: Timestamp,
    pub(crate) last_seen: Timestamp,
    pub(crate) ended: bool,
}

impl State {
    /// Keeps a new session.
    pub(crate) async fn put_session(&self, session: &StoredSession) -> Result<(), StateError> {
        sqlx::query(
            "INSERT INTO sessions (id, provider, subject, user, email, name, groups, amr, mfa,
                                   auth_time, started, last_seen, ended)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(session.id.as_slice())
        .bind(&session.provider)
        .bind(&session.subject)
        .bind(&session.user)
        .bind(&session.email)
        .bind(&session.name)
        .bind(json(&session.groups)?)
        .bind(json(&session.amr)?)
        .bind(session.mfa)
        .bind(session.auth_time)
        .bind(session.started)
        .bind(session.last_seen)
        .bind(session.ended)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Keeps what a new proof of identity changed; `false` where the session is ended or gone.
    pub(crate) async fn update_session(&self, session: &StoredSession) -> Result<bool, StateError> {
        let done = sqlx::query(
            "UPDATE sessions SET user = ?, email = ?, name = ?, groups = ?, amr = ?, mfa = ?,
                                 auth_time = ?
             WHERE id = ? AND ended = 0",
        )
        .bind(&session.user)
        .bind(&session.email)
        .bind(&session.name)
        .bind(json(&session.groups)?)
        .bind(json(&session.amr)?)
        .bind(session.mfa)
        .bind(session.auth_time)
        .bind(session.id.as_slice())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Every session that is kept, ended ones included.
    pub(crate) async fn sessions(&self) -> Result<Vec<StoredSession>, StateError> {
        let rows = sqlx::query(
            "SELECT id, provider, subject, user, email, name, groups, amr, mfa, auth_time,
                    started, last_seen, ended
             FROM sessions ORDER BY started, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(stored).collect()
    }

    /// Marks these sessions as ended, all or none.
    pub(crate) async fn end_sessions(&self, ids: &[[u8; 16]]) -> Result<(), StateError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for id in ids {
            sqlx::query("UPDATE sessions SET ended = 1 WHERE id = ?")
                .bind(id.as_slice())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes when sessions were last used, all or none.
    pub(crate) async fn seen(&self, seen: &[([u8; 16], Timestamp)]) -> Result<(), StateError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (id, at) in seen {
            sqlx::query("UPDATE sessions SET last_seen = ? WHERE id = ?")
                .bind(at)
                .bind(id.as_slice())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets the sessions that began before this.
    pub(crate) async fn forget_sessions(&self, before: Timestamp) -> Result<(), StateError> {
        sqlx::query("DELETE FROM sessions WHERE started < ?").bind(before).execute(&self.pool).await?;
        Ok(())
    }
}

fn json(list: &[String]) -> Result<String, StateError> {
    serde_json::to_string(list).map_err(|_| StateError::Corrupt("sessions"))
}

fn stored(row: &SqliteRow) -> Result<StoredSession, StateError> {
    let list = |column: &str| -> Result<Vec<String>, StateError> {
        serde_json::from_str(row.try_get::<&str, _>(column)?).map_err(|_| StateError::Corrupt("sessions"))
    };
    let id: &[u8] = row.try_get("id")?;
    Ok(StoredSession {
        id: id.try_into().map_err(|_| StateError::Corrupt("sessions"))?,
        provider: row.try_get("provider")?,
        subject: row.try_get("subject")?,
        user: row.try_get("user")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        groups: list("groups")?,
        amr: list("amr")?,
        mfa: row.try_get("mfa")?,
        auth_time: row.try_get("auth_time")?,
        started: row.try_get("started")?,
        last_seen: row.try_get("last_seen")?,
        ended: row.try_get("ended")?,
    })
}
