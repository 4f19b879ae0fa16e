//! `tiergate demo --check`: every tier with every device, as a real client would, against the tier rule.

use super::browser::{Browser, BrowserError, Credentials};
use super::estate::{Estate, EstateError, HOSTS, LOGIN_HOST};
use crate::access::{DeviceTrust, Tier};
use crate::diagnostic::causes;
use reqwest::tls::Version;
use std::fmt::Write as _;
use std::path::PathBuf;
use url::Url;

/// The user who may reach all three, so that only the device decides.
const USER: &str = "admin@corp.example";

/// The devices that are tried: the name of the files, and the trust each deserves.
const DEVICES: [(Option<&str>, DeviceTrust); 5] = [
    (None, DeviceTrust::None),
    (Some("enrolled"), DeviceTrust::Enrolled),
    (Some("issued"), DeviceTrust::Issued),
    (Some("revoked"), DeviceTrust::None),
    (Some("expired"), DeviceTrust::None),
];
const VERSIONS: [(Version, &str); 2] = [(Version::TLS_1_2, "1.2"), (Version::TLS_1_3, "1.3")];
/// The workload that a policy lists on payroll, and nowhere else.
const SERVICE: &str = "service";

/// What one client saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// The name of the certificate's files, or `none`.
    pub device: &'static str,
    /// The TLS version.
    pub version: &'static str,
    /// By tier, in the order of [`HOSTS`]: what was seen, and what the rule says.
    pub cells: [Cell; 3],
}

/// One request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cell {
    /// The status in the end, or what went wrong.
    pub seen: Result<u16, String>,
    /// What the tier rule demands.
    pub expected: u16,
}

impl Cell {
    /// Whether the rule was kept.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.seen.as_ref().is_ok_and(|status| *status == self.expected)
    }
}

/// Why the check cannot be made at all.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file of the estate is missing.
    #[error("`{0}` cannot be read")]
    File(PathBuf, #[source] std::io::Error),
    /// `passwords.txt` does not know the user.
    #[error("no password for `{USER}` in `passwords.txt`")]
    Password,
    /// A certificate of the estate is of no use.
    #[error(transparent)]
    Browser(#[from] BrowserError),
    /// The estate is incomplete.
    #[error(transparent)]
    Estate(#[from] EstateError),
    /// A host of the demo cannot be written as a URL.
    #[error("a host of the demo is no host")]
    Url(#[from] url::ParseError),
}

/// What the tier rule says of a signed-in user.
fn expected(tier: Tier, trust: DeviceTrust) -> u16 {
    if trust >= tier.required_trust() { 200 } else { 403 }
}

/// Walks every tier with every device, on both TLS versions.
///
/// # Errors
///
/// Where there is nothing to check with; what is seen of the proxy, failures included, is in the rows.
pub async fn walk(estate: &Estate) -> Result<Vec<Row>, CheckError> {
    let password = estate.password(USER)?.ok_or(CheckError::Password)?;
    let credentials = Credentials { user: USER.to_owned(), password };
    let mut rows = Vec::new();
    for (version, version_name) in VERSIONS {
        for (device, trust) in DEVICES {
            let mut browser = browser(estate, device, version, Some(credentials.clone()))?;
            let mut cells = Vec::new();
            for (host, tier) in HOSTS {
                let url = url(estate, host, "/headers")?;
                cells.push(Cell { seen: visit(&mut browser, &url).await, expected: expected(tier, trust) });
            }
            rows.extend(row(device.unwrap_or("none"), version_name, cells));
        }
        let mut browser = browser(estate, Some(SERVICE), version, None)?;
        let mut cells = Vec::new();
        for (host, tier) in HOSTS {
            let url = url(estate, host, "/headers")?;
            // A service meets no tier: it gets in where a resource lists it.
            let expected = if tier == Tier::High { 200 } else { 403 };
            cells.push(Cell { seen: visit(&mut browser, &url).await, expected });
        }
        rows.extend(row(SERVICE, version_name, cells));
    }
    Ok(rows)
}

fn row(device: &'static str, version: &'static str, cells: Vec<Cell>) -> Option<Row> {
    Some(Row { device, version, cells: cells.try_into().ok()? })
}

fn browser(
    estate: &Estate,
    device: Option<&str>,
    version: Version,
    user: Option<Credentials>,
) -> Result<Browser, CheckError> {
    let read = |name: &str| {
        let path = estate.pki.folder.join(name);
        std::fs::read(&path).map_err(|error| CheckError::File(path, error))
    };
    let identity = match device {
        Some(name) => Some([read(&format!("{name}.pem"))?, read(&format!("{name}.key"))?].concat()),
        None => None,
    };
    let mut hosts = HOSTS.map(|(host, _)| host).to_vec();
    hosts.push(LOGIN_HOST);
    Ok(Browser::new(&read("ca.pem")?, identity.as_deref(), version, &hosts, estate.listen, user)?)
}

fn url(estate: &Estate, host: &str, path: &str) -> Result<Url, CheckError> {
    Ok(Url::parse(&format!("https://{host}:{}{path}", estate.listen.port()))?)
}

/// The status in the end; a success counts only if the demo service itself answered, at that host.
async fn visit(browser: &mut Browser, url: &Url) -> Result<u16, String> {
    let page = browser.open(url).await.map_err(|error| causes(&error))?;
    if page.status.is_success() {
        let answered = serde_json::from_str::<serde_json::Value>(&page.body)
            .is_ok_and(|seen| seen.get("path").and_then(serde_json::Value::as_str) == Some(url.path()));
        if page.url != *url || !answered {
            return Err(format!("ended at {}", page.url.path()));
        }
    }
    Ok(page.status.as_u16())
}

/// The rows as a table, one line each, and what differs from the rule below it.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<10}{:<6}", "device", "TLS");
    for (host, tier) in HOSTS {
        let _ = write!(text, "{:<28}", format!("{tier} ({host})"));
    }
    let mut wrong = String::new();
    for Row { device, version, cells } in rows {
        let _ = write!(text, "\n{device:<10}{version:<6}");
        for (cell, (host, _)) in cells.iter().zip(HOSTS) {
            let seen = match &cell.seen {
                Ok(status) => format!("{status} {}", word(*status)),
                Err(_) => "failed".to_owned(),
            };
            let mark = if cell.holds() { "" } else { "  <-- wrong" };
            let _ = write!(text, "{:<28}", format!("{seen}{mark}"));
            if !cell.holds() {
                let seen = cell.seen.as_ref().map_or_else(Clone::clone, ToString::to_string);
                let _ = write!(
                    wrong,
                    "\n{device} on TLS {version} at {host}: {seen}; the rule says {}",
                    cell.expected
                );
            }
        }
    }
    let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    format!("{text}\n{wrong}{}", if wrong.is_empty() { "" } else { "\n" })
}

fn word(status: u16) -> &'static str {
    match status {
        200 => "allowed",
        403 => "denied",
        401 => "not signed in",
        _ => "",
    }
}

/// Whether every cell is as the rule says, and there are all of them.
#[must_use]
pub fn holds(rows: &[Row]) -> bool {
    rows.len() == VERSIONS.len() * (DEVICES.len() + 1)
        && rows.iter().all(|row| row.cells.iter().all(Cell::holds))
}

#[cfg(test)]
mod tests;
