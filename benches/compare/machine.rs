//! What it was measured on: figures mean nothing without.

use crate::Result;
use serde::Serialize;
use std::fmt;

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    processors: usize,
    model: String,
    kernel: String,
    /// Of the last minute, before anything began: other work on the machine disturbs.
    load_average: String,
}

impl Machine {
    pub fn look() -> Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
        let info = read("/proc/cpuinfo")?;
        let model = info.lines().find(|line| line.starts_with("model name"));
        let model =
            model.and_then(|line| line.split_once(": ")).map_or("processor unknown", |(_, name)| name);
        Ok(Self {
            processors: std::thread::available_parallelism()?.get(),
            model: model.to_owned(),
            kernel: read("/proc/sys/kernel/osrelease")?,
            load_average: read("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_owned(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processors, model, kernel, load_average } = self;
        write!(f, "{model}, {processors} processors, Linux {kernel}, load average {load_average} before")
    }
}
