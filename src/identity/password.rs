//! Argon2id, bounded: what a hash in a file may cost, and how many are computed at once.
//!
//! Invariants: a try costs the same whether the user exists, is disabled or mistyped; a password that
//! was not looked at is neither right nor wrong.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Bytes of a password.
pub const MAX_PASSWORD: usize = 1024;
/// Hashes computed at once: each takes a core and tens of megabytes.
const MOST_COMPUTING: usize = 2;
/// Sign-ins computing or waiting to.
const MOST_WAITING: usize = 64;
/// A sign-in waits no longer for its turn: whoever sent it is better told to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// KiB of memory that a hash may ask for.
const MEMORY: std::ops::RangeInclusive<u32> = 7 * 1024..=256 * 1024;
/// Passes over it.
const PASSES: std::ops::RangeInclusive<u32> = 1..=10;
/// Lanes.
const LANES: std::ops::RangeInclusive<u32> = 1..=8;

/// A password's hash that was found to be within bounds. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct Hash {
    parsed: PasswordHash,
    cost: u64,
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash(…)")
    }
}

impl Hash {
    /// Parses a PHC string such as `$argon2id$v=19$m=19456,t=2,p=1$…$…`.
    ///
    /// # Errors
    ///
    /// In words for whoever edits the file; never with the hash in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed = PasswordHash::new(text)
            .map_err(|_| "not a password hash; `tiergate user passwd` makes one".to_owned())?;
        if parsed.algorithm.as_str() != "argon2id" {
            return Err("only `argon2id` hashes are accepted".to_owned());
        }
        if parsed.version != Some(19) {
            return Err("only version 19 of argon2id is accepted".to_owned());
        }
        let params = Params::try_from(&parsed).map_err(|_| "its parameters are not argon2id's".to_owned())?;
        let within = MEMORY.contains(&params.m_cost())
            && PASSES.contains(&params.t_cost())
            && LANES.contains(&params.p_cost());
        if !within {
            return Err(format!(
                "its cost is out of bounds: m {} to {}, t {} to {}, p {} to {}",
                MEMORY.start(),
                MEMORY.end(),
                PASSES.start(),
                PASSES.end(),
                LANES.start(),
                LANES.end(),
            ));
        }
        if parsed.salt.is_none() || parsed.hash.as_ref().is_none_or(|hash| hash.len() < 16) {
            return Err("its salt or hash is missing or short".to_owned());
        }
        let cost = u64::from(params.m_cost()) * u64::from(params.t_cost());
        Ok(Self { parsed, cost })
    }

    /// How long it takes, roughly.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// The PHC string, for writing the file again.
    pub fn text(&self) -> String {
        self.parsed.to_string()
    }

    fn verify(&self, password: &str) -> bool {
        Argon2::default().verify_password(password.as_bytes(), &self.parsed).is_ok()
    }
}

/// Hashes a password with Argon2id at the crate's parameters (19 MiB, two passes: OWASP's).
///
/// # Errors
///
/// When it is empty or too long, or no salt can be made.
pub fn hash_password(password: &str) -> Result<String, String> {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(format!("a password has 1 to {MAX_PASSWORD} bytes"));
    }
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| format!("cannot hash the password: {error}"))?;
    Ok(hash.to_string())
}

/// A password of 125 random bits, in groups that can be read out: `abcde-fghij-…`.
///
/// # Errors
///
/// When no random numbers can be had.
pub fn generate_password() -> Result<String, String> {
    // Without `l` and `o`, which are read as `1` and `0`.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; 25];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no random numbers can be had".to_owned())?;
    let letters: Vec<char> = bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)).copied().map(char::from))
        .collect();
    Ok(letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

/// Why a password was not looked at: nothing is known of it then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Untried {
    /// More passwords than can be checked in time are waiting.
    #[error("too many passwords are being checked at once")]
    TooMany,
    /// The computation broke off.
    #[error("the password could not be checked")]
    Broken,
}

/// Where passwords are checked.
struct Room {
    /// Sign-ins that are being looked at, or wait to be.
    places: Semaphore,
    turns: Arc<Semaphore>,
}

static ROOM: LazyLock<Room> = LazyLock::new(|| Room::new(MOST_WAITING));

/// Whether the password is the hash's, worked out off the async threads.
///
/// # Errors
///
/// Where that was not worked out.
pub async fn verify(hash: Hash, password: &str) -> Result<bool, Untried> {
    ROOM.verify(hash, password).await
}

impl Room {
    fn new(places: usize) -> Self {
        Self { places: Semaphore::new(places), turns: Arc::new(Semaphore::new(MOST_COMPUTING)) }
    }

    async fn verify(&self, hash: Hash, password: &str) -> Result<bool, Untried> {
        let _place = self.places.try_acquire().map_err(|_| Untried::TooMany)?;
        let turn = timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Untried::TooMany)?.map_err(|_| Untried::Broken)?;
        let password = Zeroizing::new(password.to_owned());
        let computing = tokio::task::spawn_blocking(move || {
            // Held to the end, also where nobody waits for the answer any more.
            let _turn = turn;
            hash.verify(&password)
        });
        computing.await.map_err(|_| Untried::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_outside_of_the_bounds_is_refused_before_it_costs_anything() {
        let made = hash_password("correct horse").unwrap();
        assert!(Hash::parse(&made).unwrap().verify("correct horse"));
        assert!(!Hash::parse(&made).unwrap().verify("correct horsf"));
        for (from, to, want) in [
            ("m=19456", "m=4194304", Some("its cost")),
            ("m=19456", "m=8", Some("its cost")),
            ("m=19456", "m=4294967295", Some("its cost")),
            ("t=2", "t=1000", Some("its cost")),
            ("p=1", "p=100", Some("its cost")),
            ("argon2id", "argon2i", Some("only `argon2id`")),
            ("argon2id", "scrypt", Some("only `argon2id`")),
            ("v=19", "v=16", Some("only version 19")),
            ("m=19456", "m=19457", None),
        ] {
            let got = Hash::parse(&made.replace(from, to)).err();
            assert_eq!(got.is_some(), want.is_some(), "{from} {to} {got:?}");
            assert!(got.unwrap_or_default().starts_with(want.unwrap_or_default()), "{from} {to}");
        }
        assert!(Hash::parse("hunter2").is_err());
        assert!(Hash::parse("").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_finds_no_room_is_neither_right_nor_wrong() {
        let hash = Hash::parse(&hash_password("right").unwrap()).unwrap();
        let room = Room::new(1);
        for (password, want) in [("right", Ok(true)), ("wrong", Ok(false))] {
            assert_eq!(room.verify(hash.clone(), password).await, want);
        }
        let place = room.places.acquire().await.unwrap();
        assert_eq!(room.verify(hash.clone(), "right").await, Err(Untried::TooMany), "no place");
        drop(place);
        let turns = room.turns.acquire_many(2).await.unwrap();
        assert_eq!(room.verify(hash.clone(), "right").await, Err(Untried::TooMany), "no turn in time");
        drop(turns);
        assert_eq!(room.verify(hash, "right").await, Ok(true), "room again");
    }

    #[test]
    fn a_password_has_a_length() {
        assert!(hash_password("").is_err());
        assert!(hash_password(&"x".repeat(1025)).is_err());
        let made = generate_password().unwrap();
        assert_eq!(made.len(), 29, "{made}");
        assert_ne!(made, generate_password().unwrap());
    }
}
