//! The folder of the demo: configuration, policies, users and the certificates.

use super::pki::Pki;
use crate::access::{Tier, Timestamp};
use crate::development_ca::CaError;
use crate::files::{self, Readers};
use crate::identity::users_file::{self, NewUser};
use crate::{config, policy};
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// The hosts of the demo and their tiers.
pub const HOSTS: [(&str, Tier); 3] =
    [("wiki.localhost", Tier::Open), ("tickets.localhost", Tier::Low), ("payroll.localhost", Tier::High)];
/// Where people sign in.
pub const LOGIN_HOST: &str = "login.localhost";
/// The users of the demo and their groups.
pub const USERS: [(&str, &[&str]); 4] = [
    ("employee@corp.example", &["employees"]),
    ("finance@corp.example", &["employees", "finance"]),
    ("contractor@corp.example", &["contractors"]),
    ("admin@corp.example", &["employees", "admins"]),
];

const CONFIG: &str = include_str!("tiergate.yaml");
const INVENTORY: &str = include_str!("inventory.yaml");
/// The sample policies, by file name.
const POLICIES: &[(&str, &str)] = &[
    ("groups.yaml", include_str!("../../policies/groups.yaml")),
    ("resources.yaml", include_str!("../../policies/resources.yaml")),
    ("promises.yaml", include_str!("../../policies/promises.yaml")),
];

/// The ends of the lines in `tiergate.yaml` that the demo owns.
const LISTEN_MARK: &str = "# demo: --listen";
const ADMIN_MARK: &str = "# demo: --admin";
const UPSTREAM_MARK: &str = "# demo: its upstream";

/// Where the demo is and where it listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder.
    pub folder: PathBuf,
    /// The proxy.
    pub listen: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
}

/// A working estate, ready to be served.
#[derive(Debug)]
pub struct Estate {
    /// Where it is.
    pub folder: PathBuf,
    /// `tiergate.yaml`.
    pub config: PathBuf,
    /// The certificates.
    pub pki: Pki,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// Where the admin listener listens.
    pub admin: SocketAddr,
    /// The demo service's socket, bound already; it is the address in `tiergate.yaml`.
    pub upstream: TcpListener,
}

/// Why the demo cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EstateError {
    /// The demo's secrets are no secrets: it must not be reachable from outside.
    #[error("`{0}` is not a loopback address: the demo is for this machine only")]
    NotLoopback(SocketAddr),
    /// A file cannot be read or written.
    #[error("`{0}` cannot be read or written")]
    File(PathBuf, #[source] io::Error),
    /// No port is left for the demo service.
    #[error("no port for the demo service")]
    Upstream(#[source] io::Error),
    /// The certificates cannot be made.
    #[error(transparent)]
    Pki(#[from] CaError),
    /// A password cannot be hashed.
    #[error("a password cannot be hashed: {0}")]
    Hash(String),
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl Estate {
    /// Makes what is missing of the estate and renews what wears out; keeps the rest.
    ///
    /// # Errors
    ///
    /// Where an address is not loopback, or a file cannot be read or written.
    pub fn prepare(options: &Options, now: Timestamp) -> Result<Self, EstateError> {
        let Options { folder, listen, admin } = options;
        for address in [listen, admin] {
            if !address.ip().is_loopback() {
                return Err(EstateError::NotLoopback(*address));
            }
        }
        for part in ["", "policies", "schema", "state", "audit"] {
            let path = folder.join(part);
            files::private_folder(&path).map_err(|error| EstateError::File(path, error))?;
        }
        let mut names = HOSTS.map(|(host, _)| host).to_vec();
        names.extend([LOGIN_HOST, "localhost"]);
        let pki = Pki::prepare(&folder.join("certs"), &names, now)?;
        for (name, text) in POLICIES {
            keep_or_write(&folder.join("policies").join(name), text, Readers::Anybody)?;
        }
        keep_or_write(&folder.join("inventory.yaml"), INVENTORY, Readers::Anybody)?;
        // Not kept as they are: they belong to the program, and a newer one knows more keys.
        for (name, text) in [("policy.json", policy::schema()), ("tiergate.json", config::schema())] {
            renew(&folder.join("schema").join(name), &text)?;
        }
        users(folder)?;
        keep_or_write(&folder.join("admin.token"), &format!("{}\n", word()?), Readers::Owner)?;
        let config = folder.join("tiergate.yaml");
        let upstream = configure(&config, *listen, *admin)?;
        Ok(Self { folder: folder.clone(), config, pki, listen: *listen, admin: *admin, upstream })
    }

    /// The password of a user, from `passwords.txt`.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn password(&self, user: &str) -> Result<Option<String>, EstateError> {
        let text = read(&self.folder.join("passwords.txt"))?.unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        Ok(lines.find(|(name, _)| *name == user).map(|(_, password)| password.trim().to_owned()))
    }
}

/// `users.yaml` and the passwords of its users, which stand nowhere else: both or neither.
fn users(folder: &Path) -> Result<(), EstateError> {
    let (users_path, passwords_path) = (folder.join("users.yaml"), folder.join("passwords.txt"));
    if read(&users_path)?.is_some() && read(&passwords_path)?.is_some() {
        return Ok(());
    }
    let mut users = Vec::new();
    let mut passwords = String::new();
    for (name, groups) in USERS {
        let password = word()?;
        users.push(NewUser {
            name: name.to_owned(),
            password: users_file::hash_password(&password).map_err(EstateError::Hash)?,
            email: Some(name.to_owned()),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..NewUser::default()
        });
        let _ = writeln!(passwords, "{name} {password}");
    }
    // The passwords last: without them the next run makes both anew.
    write(&users_path, &users_file::render(&users), Readers::Owner)?;
    write(&passwords_path, &passwords, Readers::Owner)
}

/// Binds the demo service where the configuration says, or anew where that is taken, and writes the
/// three addresses into the configuration.
fn configure(path: &Path, listen: SocketAddr, admin: SocketAddr) -> Result<TcpListener, EstateError> {
    let before = read(path)?;
    let text = before.clone().unwrap_or_else(|| CONFIG.to_owned());
    let wanted = marked_address(&text, UPSTREAM_MARK).filter(|address| address.ip().is_loopback());
    let anew = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let upstream = TcpListener::bind(wanted.unwrap_or(anew))
        .or_else(|_| TcpListener::bind(anew))
        .map_err(EstateError::Upstream)?;
    let address = upstream.local_addr().map_err(EstateError::Upstream)?;
    let after = rewrite(&text, &[(LISTEN_MARK, listen), (ADMIN_MARK, admin), (UPSTREAM_MARK, address)]);
    if before.as_deref() != Some(after.as_str()) {
        write(path, &after, Readers::Anybody)?;
    }
    Ok(upstream)
}

/// The address between the quotes of the line that ends with `mark`.
fn marked_address(text: &str, mark: &str) -> Option<SocketAddr> {
    let line = text.lines().find(|line| line.trim_end().ends_with(mark))?;
    line.split('"').nth(1)?.parse().ok()
}

/// Puts addresses between the quotes of the marked lines; a line somebody took the mark from is theirs.
fn rewrite(text: &str, addresses: &[(&str, SocketAddr)]) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let new = addresses.iter().find(|(mark, _)| line.trim_end().ends_with(mark));
        let parts = line.splitn(3, '"').collect::<Vec<_>>();
        match (new, parts.as_slice()) {
            (Some((_, address)), [before, _, after]) => {
                let _ = write!(out, "{before}\"{address}\"{after}");
            }
            _ => out.push_str(line),
        }
    }
    out
}

fn word() -> Result<String, EstateError> {
    files::random_word().map_err(|_| EstateError::Random)
}

fn keep_or_write(path: &Path, text: &str, readers: Readers) -> Result<(), EstateError> {
    match read(path)? {
        Some(_) => Ok(()),
        None => write(path, text, readers),
    }
}

/// Writes a file unless it says that already.
fn renew(path: &Path, text: &str) -> Result<(), EstateError> {
    if read(path)?.as_deref() == Some(text) {
        return Ok(());
    }
    write(path, text, Readers::Anybody)
}

fn read(path: &Path) -> Result<Option<String>, EstateError> {
    files::read(path).map_err(|error| EstateError::File(path.to_owned(), error))
}

fn write(path: &Path, text: &str, readers: Readers) -> Result<(), EstateError> {
    files::write(path, text.as_bytes(), readers).map_err(|error| EstateError::File(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = 1_800_000_000;

    fn options(folder: &Path, listen: &str, admin: &str) -> Options {
        Options {
            folder: folder.join("demo"),
            listen: listen.parse().unwrap(),
            admin: admin.parse().unwrap(),
        }
    }

    #[test]
    fn a_second_run_keeps_what_was_edited_and_only_moves_its_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let first =
            Estate::prepare(&options(folder.path(), "127.0.0.1:8443", "127.0.0.1:9901"), NOW).unwrap();
        let address = first.upstream.local_addr().unwrap();
        let at = |name: &str| first.folder.join(name);
        let text = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        let (users, passwords, token) = (text("users.yaml"), text("passwords.txt"), text("admin.token"));
        assert_eq!(passwords.lines().count(), 4);
        assert_eq!(first.password("admin@corp.example").unwrap().unwrap().len(), 23);
        assert_eq!(first.password("nobody").unwrap(), None);
        std::fs::write(at("policies/resources.yaml"), "mine").unwrap();
        std::fs::write(at("schema/policy.json"), "of an older version").unwrap();
        std::fs::write(at("tiergate.yaml"), text("tiergate.yaml").replace("30m", "5m")).unwrap();

        // The port is taken by the first, so the second finds another.
        let second = Estate::prepare(&options(folder.path(), "127.0.0.1:18443", "[::1]:9902"), NOW).unwrap();
        let config = text("tiergate.yaml");
        assert_eq!(text("policies/resources.yaml"), "mine");
        assert_eq!(text("schema/policy.json"), policy::schema());
        assert_eq!(
            (users, passwords, token),
            (text("users.yaml"), text("passwords.txt"), text("admin.token"))
        );
        assert!(
            config.contains("5m")
                && config.contains("\"127.0.0.1:18443\"")
                && config.contains("\"[::1]:9902\"")
        );
        let moved = second.upstream.local_addr().unwrap();
        assert_ne!(moved, address);
        assert!(config.contains(&format!("\"{moved}\"")) && !config.contains(&format!("\"{address}\"")));
        drop((first.upstream, second.upstream));

        // And a third keeps that.
        let third = Estate::prepare(&options(folder.path(), "127.0.0.1:18443", "[::1]:9902"), NOW).unwrap();
        assert_eq!(third.upstream.local_addr().unwrap(), moved);
        assert_eq!(std::fs::read_to_string(third.config).unwrap(), config);
    }

    #[test]
    fn an_unmarked_line_is_left_alone() {
        let text = "a: \"1.2.3.4:5\" # mine\nb: \"127.0.0.1:1\" # demo: --listen\nc # demo: --admin\n";
        let address = "127.0.0.1:7".parse().unwrap();
        assert_eq!(
            rewrite(text, &[(LISTEN_MARK, address), (ADMIN_MARK, address)]),
            "a: \"1.2.3.4:5\" # mine\nb: \"127.0.0.1:7\" # demo: --listen\nc # demo: --admin\n"
        );
    }

    #[test]
    fn nothing_but_loopback_is_listened_on() {
        let folder = tempfile::tempdir().unwrap();
        for (listen, admin) in
            [("0.0.0.0:1", "127.0.0.1:2"), ("127.0.0.1:1", "10.0.0.1:2"), ("[::]:1", "127.0.0.1:2")]
        {
            let result = Estate::prepare(&options(folder.path(), listen, admin), NOW);
            assert!(matches!(result, Err(EstateError::NotLoopback(_))), "{listen} {admin}");
        }
        assert!(!folder.path().join("demo").exists());
    }

    #[test]
    fn secrets_are_their_owners_only() {
        let folder = tempfile::tempdir().unwrap();
        let estate = Estate::prepare(&options(folder.path(), "127.0.0.1:1", "127.0.0.1:2"), NOW).unwrap();
        for (name, mode) in [
            ("", 0o700),
            ("state", 0o700),
            ("admin.token", 0o600),
            ("passwords.txt", 0o600),
            ("users.yaml", 0o600),
            ("tiergate.yaml", 0o644),
        ] {
            let found = std::fs::metadata(estate.folder.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{name}");
        }
    }
}
