//! The processes of a measurement: pinned to processors, in a group of their own, and ended with the value
//! that started them. What they use is read from `/proc`.

use crate::Result;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// `/proc` counts processor time in hundredths of a second, whatever the kernel does.
const TICKS: f64 = 100.0;
/// How long a process that was asked to end may take.
const GRACE: Duration = Duration::from_secs(3);

/// The processors that a process may use, as `taskset` reads them: `0`, `0-3`, `1,3`.
#[derive(Clone, Debug)]
pub struct Processors(pub String);

impl Processors {
    /// One for the proxy, and for everything else those that share nothing with it, as far as there are any.
    pub fn split() -> Result<(Self, Self)> {
        let all = allowed()?;
        let first = all[0];
        let siblings = format!("/sys/devices/system/cpu/cpu{first}/topology/thread_siblings_list");
        let siblings = fs::read_to_string(siblings).map_or_else(|_| Vec::new(), |list| numbers(&list));
        let others = |apart: &[usize]| all.iter().copied().filter(|one| !apart.contains(one)).collect();
        let choices: [Vec<usize>; 3] = [others(&siblings), others(&[first]), all.clone()];
        let rest = choices.iter().find(|choice| !choice.is_empty() && *choice != &all).unwrap_or(&all);
        Ok((Self::of(&[first]), Self::of(rest)))
    }

    /// The first ones for so many workers, and the upper half for everything else. They overlap where there are too
    /// few.
    pub fn shared(workers: usize) -> Result<(Self, Self)> {
        let all = allowed()?;
        Ok((Self::of(&all[..workers.min(all.len())]), Self::of(&all[all.len() / 2..])))
    }

    fn of(numbers: &[usize]) -> Self {
        Self(numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }

    fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &self.0]).arg(program).process_group(0);
        command
    }
}

/// Those that this program may use, at least one.
fn allowed() -> Result<Vec<usize>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let all = numbers(list.unwrap_or_default());
    if all.is_empty() { Err("the system does not say which processors there are".into()) } else { Ok(all) }
}

/// The numbers of a list as the kernel writes it: `0,4`, `0-1`.
fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse::<usize>().ok()?..=to.parse::<usize>().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// A process and those that it started. Dropping it ends them all.
pub struct Process {
    child: Child,
    group: u32,
}

impl Process {
    /// Starts a server, with what it says in a file.
    pub fn start(
        on: &Processors,
        program: &OsStr,
        setting: impl FnOnce(&mut Command),
        words: &Path,
    ) -> Result<Self> {
        let words = fs::File::create(words)?;
        let mut command = on.command(program);
        setting(&mut command);
        let child = command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words).spawn()?;
        Self::of(child)
    }

    fn of(child: Child) -> Result<Self> {
        let group = child.id().ok_or("it ended at once")?;
        Ok(Self { child, group })
    }

    /// Whether it ended by itself.
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The processor time that all of them took until now, in seconds.
    pub fn processor_time(&self) -> f64 {
        let spent = |pid: &u32| {
            let fields = stat(*pid)?;
            Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
        };
        members(self.group).iter().filter_map(spent).sum::<f64>() / TICKS
    }

    /// The memory of all of them, shared pages counted in proportion, in KiB.
    pub fn memory(&self) -> f64 {
        self.rolled_up("Pss:")
    }

    /// The part of it that comes from no file, and so does not depend on what else runs from the same.
    pub fn own_memory(&self) -> f64 {
        self.rolled_up("Pss_Anon:")
    }

    fn rolled_up(&self, name: &str) -> f64 {
        let of = |pid: &u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()
        };
        members(self.group).iter().filter_map(of).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        signal(self.group, "TERM");
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            let _ = self.child.try_wait();
            if members(self.group).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        signal(self.group, "KILL");
        let _ = self.child.try_wait();
    }
}

/// Signals a group that was started here.
fn signal(group: u32, name: &str) {
    // The shell's own command, since a small machine has no other.
    let words = ["-c", "kill -s \"$1\" -- \"-$2\" 2>/dev/null", "kill", name, &group.to_string()];
    let _ = std::process::Command::new("bash").args(words).status();
}

/// The processes of a group that still run.
fn members(group: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let belongs =
        |pid: &u32| stat(*pid).is_some_and(|fields| fields[0] != "Z" && fields[2].parse() == Ok(group));
    pids.filter(belongs).collect()
}

/// The fields of `/proc/PID/stat` after the name: state, parent, group, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<String> = text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
    (fields.len() > 12).then_some(fields)
}

/// Another part of this program, which is talked to line by line.
pub struct Part {
    /// Ends it when dropped.
    _process: Process,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Part {
    pub fn start(on: &Processors, arguments: &[&str]) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = on.command(program.as_os_str());
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        Ok(Self { _process: Process::of(child)?, input, output })
    }

    /// The next line that it prints.
    pub async fn line(&mut self, patience: Duration) -> Result<String> {
        let line = tokio::time::timeout(patience, self.output.next_line()).await;
        let line = line.map_err(|_| format!("waited {} s in vain", patience.as_secs()))??;
        line.ok_or_else(|| "a part of this program ended early".into())
    }

    /// Lets it go on.
    pub async fn go(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"go\n").await?)
    }
}
