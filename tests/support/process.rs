//! Processes beside the one that an [`Estate`] starts: the same folder once more, and other commands.

use super::estate::poll;
use super::{DEADLINE, Estate};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Instant;

/// Sends a signal (`TERM`) to a process of this test's own.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap();
    assert!(status.success(), "kill -{name} {pid}");
}

/// A running tiergate. Dropping it ends it.
pub struct Process {
    child: Child,
    words: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- its own words ---\n{}", self.words());
        }
    }
}

impl Process {
    /// Runs tiergate with what it says in a file.
    pub fn start(arguments: &[&str], words: &Path) -> Self {
        Self::spawn(&mut tiergate(arguments), words)
    }

    fn spawn(command: &mut Command, words: &Path) -> Self {
        let output = std::fs::File::create(words).unwrap();
        let child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
        Self { child, words: words.to_owned() }
    }

    /// Kills the process of an estate as a crash would, and starts it again where it was.
    pub async fn after_crash(estate: &Estate) -> Self {
        Self::after_crash_with(estate, &[]).await
    }

    /// The same, with these environment variables.
    pub async fn after_crash_with(estate: &Estate, environment: &[(&str, &str)]) -> Self {
        signal(estate.pid(), "KILL");
        poll("the process is gone", || std::net::TcpStream::connect(estate.address()).err()).await;
        let (listen, admin) = (estate.address().to_string(), format!("127.0.0.1:{}", estate.admin));
        let folder = estate.at("").display().to_string();
        let mut command = tiergate(&["demo", "--dir", &folder, "--listen", &listen, "--admin", &admin]);
        let mut process = Self::spawn(command.envs(environment.iter().copied()), &estate.at("again.log"));
        poll("it is ready again", || {
            assert!(process.child.try_wait().unwrap().is_none(), "it ended:\n{}", process.words());
            admin_get(estate.admin, "/readyz").filter(|answer| answer.starts_with("HTTP/1.1 200"))
        })
        .await;
        process
    }

    /// What it wrote to its outputs.
    pub fn words(&self) -> String {
        std::fs::read_to_string(&self.words).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        poll("the process ends", || self.child.try_wait().unwrap()).await
    }

    /// How it ended, if it did.
    pub fn exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

/// The command, without anything of the surroundings that would change what it does.
pub fn tiergate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiergate"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
pub fn run(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        text
    });
    let deadline = Instant::now() + 6 * DEADLINE;
    let watched = child.id();
    let watch = std::thread::spawn(move || {
        while Instant::now() < deadline {
            match child.try_wait().unwrap() {
                Some(status) => return status,
                None => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("the command {watched} did not end");
    });
    let mut text = Vec::new();
    let _ = stdout.read_to_end(&mut text);
    Output { status: watch.join().unwrap(), stdout: text, stderr: reader.join().unwrap() }
}

/// A `GET` on an admin listener, without a token; the answer as it came.
pub fn admin_get(port: u16, path: &str) -> Option<String> {
    admin_call(port, &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"))
}

/// Bytes to an admin listener; the answer as it came.
pub fn admin_call(port: u16, request: &str) -> Option<String> {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

impl Estate {
    /// Changes a text file, as somebody with an editor does.
    pub fn rewrite(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "`{from}` is not in {name}:\n{text}");
        self.put(name, &text.replacen(from, to, 1));
    }

    /// Replaces a file as a whole; who may read it stays as it was.
    pub fn put(&self, name: &str, text: &str) {
        let (path, beside) = (self.at(name), self.at("being-put"));
        std::fs::write(&beside, text).unwrap();
        let mode = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.permissions(),
            Err(_) => std::fs::Permissions::from_mode(if name.ends_with(".key") { 0o600 } else { 0o644 }),
        };
        std::fs::set_permissions(&beside, mode).unwrap();
        std::fs::rename(&beside, path).unwrap();
    }

    /// Adds a line below a user's name in `users.yaml`, however that is quoted.
    pub fn add_to_user(&self, user: &str, line: &str) {
        let text = self.read("users.yaml");
        let is_name = |line: &&str| line.trim().trim_end_matches(':').trim_matches(['"', '\'']) == user;
        let name = text.lines().find(is_name).unwrap_or_else(|| panic!("{user} is not in\n{text}"));
        self.rewrite("users.yaml", &format!("{name}\n"), &format!("{name}\n{line}"));
    }
}
