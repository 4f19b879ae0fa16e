//! A tiergate that somebody is signed in at, and copies of it that are made larger.

use crate::Result;
use crate::load::{Connecting, Order};
use crate::peers::{self, Place};
use crate::process::{Process, Processors};
use crate::scenarios;
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long it may take to read what it is given. A binary that was built for debugging is slow.
const START: Duration = Duration::from_secs(300);

/// The folder of a tiergate that does not run, and what a client needs.
pub struct Estate {
    pub folder: PathBuf,
    pki: PathBuf,
    cookie: String,
    port: u16,
    admin: u16,
}

/// A tiergate that is ready. Dropping it ends it.
pub struct Served {
    pub process: Process,
    /// Seconds from its start until it was ready.
    pub start: f64,
}

impl Estate {
    /// Signs somebody in, through the adapter that the comparison uses too.
    pub async fn signed_in(place: &Place<'_>, on: &Processors) -> Result<Self> {
        let scenario = scenarios::named(&["decide".to_owned()])?[0];
        let tiergate = peers::named(&["tiergate".to_owned()])?[0];
        let running = tiergate.start(&scenario, place, on).await?;
        let cookie = std::fs::read_to_string(running.folder.join("cookie"))?.trim().to_owned();
        let [port, admin, _] = running.ports;
        let estate = Self { folder: running.folder.clone(), pki: place.pki.to_owned(), cookie, port, admin };
        std::fs::write(estate.folder.join("admin.token"), "measured-on-loopback-and-thrown-away")?;
        estate.change("tiergate.yaml", |text| text + "admin: { token: { file: admin.token } }\n")?;
        Ok(estate)
    }

    /// Another one like it, on ports of its own.
    pub fn copy(&self, name: &str) -> Result<Self> {
        let folder = self.folder.with_file_name(name);
        copy(&self.folder, &folder)?;
        let [port, admin, _] = peers::free_ports()?;
        let estate = Self { folder, pki: self.pki.clone(), cookie: self.cookie.clone(), port, admin };
        let moved = |text: String, from: u16, to: u16| {
            text.replace(&format!("127.0.0.1:{from}\""), &format!("127.0.0.1:{to}\""))
        };
        estate.change("tiergate.yaml", |text| moved(moved(text, self.port, port), self.admin, admin))?;
        Ok(estate)
    }

    /// Changes a file.
    pub fn change(&self, name: &str, how: impl FnOnce(String) -> String) -> Result<()> {
        let path = self.folder.join(name);
        Ok(std::fs::write(&path, how(std::fs::read_to_string(&path)?))?)
    }

    /// Runs it with so many workers.
    pub async fn serve(&self, on: &Processors, workers: usize) -> Result<Served> {
        self.change("tiergate.yaml", |text| {
            text.replacen("listen: { ", &format!("listen: {{ workers: {workers}, "), 1)
        })?;
        let began = Instant::now();
        let setting = |command: &mut tokio::process::Command| {
            command.args(["serve", "--config", "tiergate.yaml"]).current_dir(&self.folder);
            command.env_remove("RUST_LOG");
        };
        let words = self.folder.join("words");
        let mut process = Process::start(on, peers::tiergate().as_os_str(), setting, &words)?;
        while !self.is_ready() {
            if process.ended() || began.elapsed() > START {
                return Err(format!("tiergate did not start: {}", peers::last_words(&words)).into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(Served { process, start: began.elapsed().as_secs_f64() })
    }

    fn is_ready(&self) -> bool {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            let host = format!("127.0.0.1:{}", self.admin);
            write!(stream, "GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        asked().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Has it load its files anew, and waits until it has.
    pub async fn reload(&self) -> Result<()> {
        let mut command = tokio::process::Command::new(peers::tiergate());
        command.args(["reload", "--config", "tiergate.yaml"]).current_dir(&self.folder).kill_on_drop(true);
        let done = tokio::time::timeout(START, command.output()).await??;
        if done.status.success() {
            return Ok(());
        }
        let words = [done.stdout, done.stderr].concat();
        Err(format!("it was not reloaded: {}", String::from_utf8_lossy(&words)).into())
    }

    /// Small requests on connections that are kept, each decided.
    pub fn order(&self, seconds: Option<f64>) -> Order {
        Order {
            port: self.port,
            pki: self.pki.clone(),
            device: Some("device".to_owned()),
            cookie: Some(self.cookie.clone()),
            path: "/".to_owned(),
            http2: false,
            connections: 64,
            streams: 1,
            connecting: Connecting::Once,
            seconds,
            rate: None,
        }
    }
}

/// Copies a folder, with who may read its files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let (entry, target) = (entry?, to);
        let target = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
            std::fs::set_permissions(&target, entry.metadata()?.permissions())?;
        } else if entry.file_name() != OsStr::new("words") {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
