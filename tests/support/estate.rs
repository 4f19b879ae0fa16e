//! A running estate: `tiergate demo` in a folder of its own.

use super::DEADLINE;
use super::port::free_port;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running proxy and its folder. Dropping it ends both.
pub struct Estate {
    folder: tempfile::TempDir,
    pub port: u16,
    pub admin: u16,
    child: Child,
}

impl Drop for Estate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the proxy's own words ---\n{}", self.words());
        }
    }
}

impl Estate {
    /// Starts `tiergate demo` and waits until it is ready.
    pub fn start() -> Self {
        Self::serve_with(Path::new(env!("CARGO_BIN_EXE_tiergate")))
    }

    /// The same with another program that takes the arguments of `tiergate demo`.
    pub fn serve_with(program: &Path) -> Self {
        let mut folder =
            tempfile::Builder::new().prefix("tiergate-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for _ in 0..3 {
            // Another process may take a free port before the proxy does.
            let (port, admin) = (free_port(), free_port());
            let child = spawn(program, folder.path(), port, admin);
            let mut estate = Self { folder, port, admin, child };
            if estate.wait_ready() {
                return estate;
            }
            let words = estate.words();
            assert!(words.contains("in use"), "the proxy did not start:\n{words}");
            folder = std::mem::replace(&mut estate.folder, tempfile::tempdir().unwrap());
        }
        panic!("no free port in three tries");
    }

    fn wait_ready(&mut self) -> bool {
        // A debug build on a busy machine hashes passwords slowly.
        let deadline = Instant::now() + 3 * DEADLINE;
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if matches!(self.admin_call("GET", "/readyz", false), Ok((200, _))) {
                // It was this process that answered, not another in its place.
                return self.child.try_wait().unwrap().is_none();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the proxy is not ready:\n{}", self.words());
    }

    /// What the proxy wrote to its outputs.
    pub fn words(&self) -> String {
        std::fs::read_to_string(self.at("output.log")).unwrap_or_default()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.port)
    }

    /// The full name and the password of a user.
    pub fn password(&self, user: &str) -> (String, String) {
        let text = self.read("passwords.txt");
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let is_user = |name: &str| name == user || name.split('@').next() == Some(user);
        let (name, password) = lines.find(|(name, _)| is_user(name)).unwrap();
        (name.to_owned(), password.trim().to_owned())
    }

    /// The policy files, by name.
    pub fn policies(&self) -> Vec<(String, Value)> {
        let files = std::fs::read_dir(self.at("policies")).unwrap().map(|entry| entry.unwrap());
        let name = |entry: &std::fs::DirEntry| format!("policies/{}", entry.file_name().to_string_lossy());
        files.map(|entry| (name(&entry), self.yaml(&name(&entry)))).collect()
    }

    pub fn yaml(&self, name: &str) -> Value {
        serde_yaml::from_str(&self.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Changes a YAML file. It is written as JSON, which is YAML; nothing sees half of it.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value = self.yaml(name);
        change(&mut value);
        self.write(name, &serde_json::to_string_pretty(&value).unwrap());
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        // Not beside it: the folder of policies is read as a whole.
        let beside = self.folder.path().join("being-written");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, path).unwrap();
    }

    /// Loads the files now; the answer of the admin listener.
    pub fn try_reload(&self) -> (u16, String) {
        self.admin_call("POST", "/api/v1/reload", true).unwrap()
    }

    /// Loads the files now, which must be in order.
    pub fn reload(&self) {
        let (status, body) = self.try_reload();
        assert_eq!(status, 200, "{body}");
    }

    pub fn metrics(&self) -> String {
        self.admin_call("GET", "/metrics", false).unwrap().1
    }

    /// The sum of a metric's series whose labels contain all of these.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics();
        let series = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let matching = series.filter(|line| labels.iter().all(|label| line.contains(label)));
        matching.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn admin_call(&self, method: &str, path: &str, token: bool) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let token = if token {
            format!("Authorization: Bearer {}\r\n", self.read("admin.token").trim())
        } else {
            String::new()
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{token}Content-Length: 0\r\nConnection: close\r\n\r\n",
            self.admin
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        Ok((status, body))
    }

    /// Resident memory of the proxy's process, bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
    }
}

fn spawn(program: &Path, folder: &Path, port: u16, admin: u16) -> Child {
    let output = std::fs::File::create(folder.join("output.log")).unwrap();
    Command::new(program)
        .arg("demo")
        .arg("--dir")
        .arg(folder)
        .args(["--listen", &format!("127.0.0.1:{port}"), "--admin", &format!("127.0.0.1:{admin}")])
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap()
}

/// Waits until something is there.
pub async fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
