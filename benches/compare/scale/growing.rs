//! What is made larger: the files and the state that a tiergate reads at its start.

use super::estate::Estate;
use crate::Result;
use serde::Serialize;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use std::fmt::Write as _;

/// Resources of one file, as of one team.
const A_FILE: usize = 100;

/// What there is more of.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Growing {
    /// Resources of the policy.
    Resources,
    /// People who are signed in.
    Sessions,
    /// Users of the file of local users.
    Users,
    /// Devices of the inventory.
    Devices,
}

impl Growing {
    pub const ALL: [Self; 4] = [Self::Resources, Self::Sessions, Self::Users, Self::Devices];

    pub fn name(self) -> &'static str {
        match self {
            Self::Resources => "resources",
            Self::Sessions => "sessions",
            Self::Users => "local users",
            Self::Devices => "devices",
        }
    }

    /// Makes an estate that large. What requests are about is there already, or in the middle of it.
    pub async fn grow(self, estate: &Estate, size: usize) -> Result<()> {
        match self {
            Self::Resources => resources(estate, size),
            Self::Sessions => sessions(estate, size).await,
            Self::Users => users(estate, size),
            Self::Devices => devices(estate, size),
        }
    }
}

fn resources(estate: &Estate, size: usize) -> Result<()> {
    let all: Vec<usize> = (1..size).collect();
    for (file, numbers) in all.chunks(A_FILE).enumerate() {
        let mut text = "version: 1\nresources:\n".to_owned();
        for n in numbers {
            let of = format!("name: r{n}, tier: high, hosts: [r{n}.app.test], upstream: app");
            let rules = "allow: [{ groups: [staff] }], deny: [{ groups: [staff], methods: [DELETE] }]";
            writeln!(text, "  - {{ {of}, {rules} }}")?;
        }
        std::fs::write(estate.folder.join(format!("policies/more-{file}.yaml")), text)?;
    }
    Ok(())
}

/// Written as tiergate writes them, but all at once: a million of its own would take an hour.
async fn sessions(estate: &Estate, size: usize) -> Result<()> {
    let file = estate.folder.join("state/tiergate.db");
    let mut state = SqliteConnectOptions::new().filename(file).connect().await?;
    let one = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO sessions (id, provider, subject, user, email, name, groups, amr, mfa, auth_time, started, last_seen)
         SELECT randomblob(16), 'local', 'user-' || i, 'user-' || i, 'user-' || i || '@example.test', 'User ' || i,
                '[\"staff\",\"site-' || (i % 50) || '\"]', '[\"pwd\"]', 0, unixepoch(), unixepoch(), unixepoch() FROM n";
    let more = i64::try_from(size.saturating_sub(1))?;
    if more > 0 {
        sqlx::query(one).bind(more).execute(&mut state).await?;
    }
    state.close().await?;
    Ok(())
}

/// Users with the password of the one who is there.
fn users(estate: &Estate, size: usize) -> Result<()> {
    estate.change("users.yaml", |text| {
        let hash = text.lines().find_map(|line| line.trim().strip_prefix("password:"));
        let hash = hash.unwrap_or_default().trim();
        let more = (1..size).map(|n| format!("  user-{n}: {{ password: {hash}, groups: [staff] }}\n"));
        text.trim_end().to_owned() + "\n" + &more.collect::<String>()
    })
}

fn devices(estate: &Estate, size: usize) -> Result<()> {
    let record = |id: String| {
        serde_json::json!({
            "id": id, "ownership": "corporate", "state": "active", "platform": "macos", "os_version": "15.1",
            "last_checkin": "2026-11-25T08:00:00Z", "posture": { "disk_encrypted": true, "firewall": true },
        })
        .to_string()
    };
    let mut lines: Vec<String> = (1..size).map(|n| record(format!("laptop-{n:07}"))).collect();
    lines.insert(lines.len() / 2, record("device-0001".to_owned()));
    std::fs::write(estate.folder.join("inventory.ndjson"), lines.join("\n") + "\n")?;
    estate.change("tiergate.yaml", |text| {
        text.replacen("devices:\n", "devices:\n  inventory: { file: inventory.ndjson }\n", 1)
    })
}
