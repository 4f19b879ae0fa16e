//! What the admin API says of devices, on disk: written at each change, read once at the start.

use super::{State, StateError};
use crate::access::Record;
use crate::inventory::{Interner, Written, from_json};
use futures::TryStreamExt as _;
use std::sync::Arc;

/// Records that are written with one statement.
const AT_ONCE: usize = 1000;

impl State {
    /// Every record that is kept. One that cannot be read may say that a device is lost, so it is an error.
    pub(crate) async fn devices(&self) -> Result<Vec<Arc<Record>>, StateError> {
        let mut interner = Interner::default();
        let mut records = Vec::new();
        let mut rows =
            sqlx::query_as::<_, (String, String)>("SELECT id, record FROM devices").fetch(&self.pool);
        while let Some((id, record)) = rows.try_next().await? {
            match from_json(record.as_bytes(), &mut interner) {
                Ok(record) if *record.id == *id => records.push(Arc::new(record)),
                Ok(_) | Err(_) => return Err(StateError::Corrupt("devices")),
            }
        }
        Ok(records)
    }

    /// Keeps these instead of what is kept of the same devices, all or none.
    pub(crate) async fn put_devices(&self, records: &[Arc<Record>]) -> Result<(), StateError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for some in records.chunks(AT_ONCE) {
            let some: Vec<_> = some.iter().map(|record| Written(record)).collect();
            let list = serde_json::to_string(&some).map_err(|_| StateError::Corrupt("devices"))?;
            sqlx::query(
                "INSERT INTO devices (id, record)
                 SELECT json_extract(value, '$.id'), value FROM json_each(?) WHERE true
                 ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            )
            .bind(list)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps nothing of a device any more.
    pub(crate) async fn drop_device(&self, id: &str) -> Result<(), StateError> {
        sqlx::query("DELETE FROM devices WHERE id = ?").bind(id).execute(&self.pool).await?;
        Ok(())
    }
}
