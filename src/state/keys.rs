//! The keys that tiergate makes for itself, and when new ones are due.
//!
//! Invariants: the newest key of a purpose is the one that seals or signs; a key is kept for as
//! long as something it made may still be shown; `Debug` shows no secret.

use super::{State, StateError};
use crate::access::Timestamp;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use std::fmt;
use std::fmt::Write as _;
use zeroize::Zeroize;

const DAY: Timestamp = 86_400;
/// A new cookie key seals from this age of the last one on.
const COOKIE_KEY_SEALS: Timestamp = 10 * DAY;
/// A cookie key opens until this age, so a cookie can be read for at least 20 days.
const COOKIE_KEY_OPENS: Timestamp = 30 * DAY;
/// A new assertion key signs from this age of the last one on.
const ASSERTION_KEY_SIGNS: Timestamp = 30 * DAY;
/// The one that signs and the one before it are published.
const ASSERTION_KEYS: usize = 2;

const COOKIE: &str = "cookie";
const ASSERTION: &str = "assertion";

/// A key that signs what upstreams are told, ES256.
#[derive(Clone)]
pub struct AssertionKey {
    /// Its name in the JWT's header and in the published key set.
    pub kid: String,
    /// The private key, PKCS#8 DER.
    pub pkcs8: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
}

impl Drop for AssertionKey {
    fn drop(&mut self) {
        self.pkcs8.zeroize();
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Every key that is in use.
#[derive(Clone)]
pub struct KeyRing {
    /// What cookies, tickets and tokens are sealed with: newest first; the newest seals, all open.
    pub cookies: Vec<[u8; 32]>,
    /// What assertions are signed with: newest first; the newest signs, all are published.
    pub assertion_pkcs8: Vec<AssertionKey>,
    newest_cookie: Timestamp,
    oldest_cookie: Timestamp,
    newest_assertion: Timestamp,
}

impl KeyRing {
    /// Whether [`State::keys`] would make or drop a key at `now`.
    #[must_use]
    pub fn rotate_due(&self, now: Timestamp) -> bool {
        age(self.newest_cookie, now) >= COOKIE_KEY_SEALS
            || age(self.oldest_cookie, now) >= COOKIE_KEY_OPENS
            || age(self.newest_assertion, now) >= ASSERTION_KEY_SIGNS
    }
}

impl Drop for KeyRing {
    fn drop(&mut self) {
        self.cookies.zeroize();
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("cookies", &self.cookies.len())
            .field("assertion_pkcs8", &self.assertion_pkcs8)
            .finish_non_exhaustive()
    }
}

fn age(created: Timestamp, now: Timestamp) -> Timestamp {
    now.saturating_sub(created)
}

struct Row {
    kid: String,
    secret: Vec<u8>,
    created: Timestamp,
}

impl State {
    /// The keys to use at `now`: makes the first ones, makes new ones when they are due, and drops
    /// those that nothing needs any more.
    ///
    /// # Errors
    ///
    /// Where the database or the random source fails.
    pub async fn keys(&self, now: Timestamp) -> Result<KeyRing, StateError> {
        // One writer at a time: two processes that start together end up with the same keys.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;

        let mut cookies = rows(&mut transaction, COOKIE).await?;
        // A key from the future (the clock was set back) counts as new.
        if cookies.first().is_none_or(|newest| age(newest.created, now) >= COOKIE_KEY_SEALS) {
            let mut secret = vec![0; 32];
            aws_lc_rs::rand::fill(&mut secret).map_err(|_| StateError::Key)?;
            cookies.insert(0, add(&mut transaction, COOKIE, secret, now).await?);
        }
        let expired = cookies
            .split_off(cookies.iter().take_while(|key| age(key.created, now) < COOKIE_KEY_OPENS).count());

        let mut assertions = rows(&mut transaction, ASSERTION).await?;
        if assertions.first().is_none_or(|newest| age(newest.created, now) >= ASSERTION_KEY_SIGNS) {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| StateError::Key)?;
            let row = add(&mut transaction, ASSERTION, pkcs8.as_ref().to_vec(), now).await?;
            assertions.insert(0, row);
        }
        let superseded = assertions.split_off(assertions.len().min(ASSERTION_KEYS));

        for (purpose, row) in
            expired.iter().map(|row| (COOKIE, row)).chain(superseded.iter().map(|row| (ASSERTION, row)))
        {
            sqlx::query("DELETE FROM keys WHERE purpose = ? AND kid = ?")
                .bind(purpose)
                .bind(&row.kid)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        ring(cookies, assertions)
    }
}

fn ring(cookies: Vec<Row>, assertions: Vec<Row>) -> Result<KeyRing, StateError> {
    let (Some(newest), Some(oldest), Some(signing)) = (cookies.first(), cookies.last(), assertions.first())
    else {
        return Err(StateError::Corrupt("keys"));
    };
    Ok(KeyRing {
        newest_cookie: newest.created,
        oldest_cookie: oldest.created,
        newest_assertion: signing.created,
        cookies: cookies
            .into_iter()
            .map(|row| row.secret.try_into().map_err(|_| StateError::Corrupt("keys")))
            .collect::<Result<_, _>>()?,
        assertion_pkcs8: assertions
            .into_iter()
            .map(|Row { kid, secret, created }| AssertionKey { kid, pkcs8: secret, created })
            .collect(),
    })
}

/// The keys of a purpose, newest first.
async fn rows(connection: &mut sqlx::SqliteConnection, purpose: &str) -> Result<Vec<Row>, StateError> {
    let rows: Vec<(String, Vec<u8>, i64)> =
        sqlx::query_as("SELECT kid, secret, created FROM keys WHERE purpose = ? ORDER BY created DESC, kid")
            .bind(purpose)
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|(kid, secret, created)| Row { kid, secret, created }).collect())
}

async fn add(
    connection: &mut sqlx::SqliteConnection,
    purpose: &str,
    secret: Vec<u8>,
    now: Timestamp,
) -> Result<Row, StateError> {
    let mut name = [0_u8; 8];
    aws_lc_rs::rand::fill(&mut name).map_err(|_| StateError::Key)?;
    let kid = name.iter().fold(String::new(), |mut kid, byte| {
        let _ = write!(kid, "{byte:02x}");
        kid
    });
    sqlx::query("INSERT INTO keys (purpose, kid, secret, created) VALUES (?, ?, ?, ?)")
        .bind(purpose)
        .bind(&kid)
        .bind(&secret)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(Row { kid, secret, created: now })
}
