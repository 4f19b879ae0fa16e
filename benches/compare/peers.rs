//! The proxies. Each is started by an adapter, a script that writes its configuration from the environment:
//! adapter.sh says what it is told.

use crate::Result;
use crate::process::{Process, Processors};
use crate::scenarios::{Scenario, Work};
use serde::Serialize;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// How long a proxy may take until it accepts connections. Tiergate signs somebody in before, which is slow
/// where it was built for debugging.
const START: Duration = Duration::from_secs(60);

/// A proxy that takes part.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Peer {
    pub name: &'static str,
    /// Under `benches/compare`.
    adapter: &'static str,
    pub judges: Judges,
    /// Whether it is the same as another one where nothing is decided, and so takes no part there.
    pub only_where_asked: bool,
    pub about: &'static str,
}

/// Whether a proxy looks at sessions.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Judges {
    /// Always: it has nothing that lets everybody in.
    Always,
    /// Where the scenario asks for a decision.
    WhereAsked,
    /// Never: it is there to be compared with.
    Never,
}

/// What every ratio is to.
pub const REFERENCE: &str = "nginx";

const ALL: [Peer; 7] = [
    Peer {
        name: "tiergate",
        adapter: "tiergate.sh",
        judges: Judges::Always,
        only_where_asked: false,
        about: "decides in every scenario, with its audit log and metrics on",
    },
    Peer {
        name: REFERENCE,
        adapter: "peers/nginx.sh",
        judges: Judges::Never,
        only_where_asked: false,
        about: "decides nothing, also where the others decide",
    },
    Peer {
        name: "nginx-auth-request",
        adapter: "peers/nginx-auth-request.sh",
        judges: Judges::Never,
        only_where_asked: true,
        about: "asks a second nginx that says yes to everything: what asking costs, without a decision",
    },
    Peer {
        name: "nginx-auth-request-jwt",
        adapter: "peers/nginx-auth-request-jwt.sh",
        judges: Judges::WhereAsked,
        only_where_asked: true,
        about: "asks a haproxy that verifies the session's signature, end and issuer, and the device's tier",
    },
    Peer {
        name: "haproxy",
        adapter: "peers/haproxy.sh",
        judges: Judges::WhereAsked,
        only_where_asked: false,
        about: "verifies the same itself, with jwt_verify",
    },
    Peer {
        name: "envoy",
        adapter: "peers/envoy.sh",
        judges: Judges::WhereAsked,
        only_where_asked: false,
        about: "verifies the same itself, with jwt_authn and rbac",
    },
    Peer {
        name: "envoy-jwt-cache",
        adapter: "peers/envoy-jwt-cache.sh",
        judges: Judges::WhereAsked,
        only_where_asked: true,
        about: "the same, and keeps the sessions that it verified",
    },
];

/// The proxies of these names, all of them where there are none.
pub fn named(names: &[String]) -> Result<Vec<Peer>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let find = |name: &String| ALL.iter().find(|peer| peer.name == name).copied();
    let known = ALL.map(|peer| peer.name).join(", ");
    let unknown = |name: &String| format!("no proxy `{name}`; there are {known}").into();
    names.iter().map(|name| find(name).ok_or_else(|| unknown(name))).collect()
}

/// Where things are, for every proxy alike.
pub struct Place<'a> {
    pub folder: &'a Path,
    pub pki: &'a Path,
    pub upstream: u16,
}

/// A proxy that accepts connections. Dropping it ends it.
pub struct Running {
    pub peer: Peer,
    pub process: Process,
    /// `PORT`, `AUX_PORT` and `AUTH_PORT`.
    pub ports: [u16; 3],
    pub folder: PathBuf,
}

impl Running {
    /// Where it accepts TLS.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }
}

impl Peer {
    /// Whether it is to take part.
    pub fn asked(&self, scenario: &Scenario) -> bool {
        scenario.decide || !self.only_where_asked
    }

    /// Whether it is here and can do this.
    async fn supports(&self, scenario: &Scenario) -> Result<bool> {
        let mut command = Command::new("bash");
        self.tell(&mut command, scenario, "supports");
        Ok(command.output().await?.status.success())
    }

    /// What it calls itself.
    pub async fn version(&self, scenario: &Scenario) -> Result<String> {
        let mut command = Command::new("bash");
        self.tell(&mut command, scenario, "version");
        let output = command.output().await?;
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned())
    }

    /// Starts it, and waits until it accepts connections.
    pub async fn start(&self, scenario: &Scenario, place: &Place<'_>, on: &Processors) -> Result<Running> {
        if !self.supports(scenario).await? {
            return Err("it is not installed".into());
        }
        let folder = place.folder.join(format!("{}-{}", scenario.name, self.name));
        std::fs::create_dir_all(&folder)?;
        let ports = free_ports()?;
        let setting = |command: &mut Command| {
            self.tell(command, scenario, "run");
            command.current_dir(&folder).env("RUN", &folder).env("PKI", place.pki);
            command.env("UPSTREAM_PORT", place.upstream.to_string());
            for (name, port) in ["PORT", "AUX_PORT", "AUTH_PORT"].iter().zip(ports) {
                command.env(name, port.to_string());
            }
        };
        let words = folder.join("words");
        let process = Process::start(on, "bash".as_ref(), setting, &words)?;
        let mut running = Running { peer: *self, process, ports, folder };
        let deadline = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, running.port())).is_err() {
            if running.process.ended() || Instant::now() > deadline {
                return Err(format!("it did not start: {}", last_words(&words)).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // One that serves what it is not ready for yet would fail its checks.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(running)
    }

    fn tell(&self, command: &mut Command, scenario: &Scenario, action: &str) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare");
        command.arg(here.join(self.adapter)).arg(action).env("BENCH_LIB", here.join("adapter.sh"));
        let flag = |yes: bool| if yes { "1" } else { "0" };
        command
            .env("TIERGATE", tiergate())
            .env("MTLS", flag(scenario.device))
            .env("H2", flag(scenario.http2));
        command.env("DECIDE", flag(scenario.decide));
        command.env("IDLE", flag(matches!(scenario.work, Work::Hold))).env_remove("RUST_LOG");
    }

    /// Whether it refuses who has no session in this scenario.
    pub fn judges(&self, scenario: &Scenario) -> bool {
        match self.judges {
            Judges::Always => true,
            Judges::WhereAsked => scenario.decide,
            Judges::Never => false,
        }
    }
}

/// The binary that is measured.
pub fn tiergate() -> PathBuf {
    std::env::var_os("TIERGATE").map_or_else(|| env!("CARGO_BIN_EXE_tiergate").into(), PathBuf::from)
}

/// The last that a process said, in one line.
pub fn last_words(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    if lines.is_empty() {
        return "it said nothing".to_owned();
    }
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}

/// Three ports that nothing listens on.
pub fn free_ports() -> Result<[u16; 3]> {
    // All are held until the last is found, so that no two are the same.
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    }
    let port = |at: usize| held[at].local_addr().map(|address| address.port());
    Ok([port(0)?, port(1)?, port(2)?])
}
