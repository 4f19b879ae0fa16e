//! What the operating system knows of this process, read from `/proc` when metrics are scraped.

use prometheus::{Gauge, Registry};
use std::fs;

/// What `/proc/self/stat` counts time in: `USER_HZ`, which is 100 on every platform that is built for.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) struct Process {
    resident: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    cpu: prometheus::Counter,
    threads: Gauge,
}

impl Process {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| -> Result<Gauge, prometheus::Error> {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let cpu = prometheus::Counter::new("process_cpu_seconds_total", "User and system CPU time spent.")?;
        registry.register(Box::new(cpu.clone()))?;
        let process = Self {
            resident: gauge("process_resident_memory_bytes", "Resident memory.")?,
            open_fds: gauge("process_open_fds", "Open file descriptors.")?,
            max_fds: gauge("process_max_fds", "How many file descriptors may be open.")?,
            cpu,
            threads: gauge("process_threads", "Threads of this process.")?,
        };
        let start = gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since the Unix epoch.",
        )?;
        if let Some(at) = started() {
            start.set(at);
        }
        Ok(process)
    }

    /// Reads the values anew; one that cannot be read keeps its last value.
    pub(super) fn refresh(&self) {
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            if let Some(kib) = field(&status, "VmRSS:") {
                self.resident.set(kib * 1024.0);
            }
            if let Some(threads) = field(&status, "Threads:") {
                self.threads.set(threads);
            }
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // The listing itself holds one.
            let open = u32::try_from(entries.count().saturating_sub(1)).unwrap_or(u32::MAX);
            self.open_fds.set(f64::from(open));
        }
        if let Ok(limits) = fs::read_to_string("/proc/self/limits")
            && let Some(max) = field(&limits, "Max open files")
        {
            self.max_fds.set(max);
        }
        if let Some(spent) = cpu_seconds() {
            self.cpu.inc_by((spent - self.cpu.get()).max(0.0));
        }
    }
}

/// The number behind a line's beginning.
fn field(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The fields of `/proc/self/stat` behind the command's name, which may hold anything.
fn stat(at: usize) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    // The first field behind the name is the third of proc(5).
    fields.split_whitespace().nth(at.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    Some((stat(14)? + stat(15)?) / TICKS_PER_SECOND)
}

fn started() -> Option<f64> {
    let boot = field(&fs::read_to_string("/proc/stat").ok()?, "btime")?;
    Some(boot + stat(22)? / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_number_behind_its_name() {
        for (text, name, want) in [
            ("VmRSS:\t  1234 kB\n", "VmRSS:", Some(1234.0)),
            ("Max open files            1024       4096    files\n", "Max open files", Some(1024.0)),
            ("Max open files            unlimited  unlimited files\n", "Max open files", None),
            ("VmSize: 1 kB\n", "VmRSS:", None),
            ("", "VmRSS:", None),
        ] {
            assert_eq!(field(text, name), want, "{text:?}");
        }
    }
}
