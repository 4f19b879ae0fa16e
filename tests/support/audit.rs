//! The audit log as somebody else reads it.

use super::estate::{Estate, poll};
use serde_json::Value;
use std::path::Path;

/// A place in the log: what is written after it is new; by default the beginning.
#[derive(Default)]
pub struct Mark(usize);

impl Estate {
    /// Every whole line of the log.
    pub fn audit(&self) -> Vec<Value> {
        events(&self.at("audit"))
    }

    /// The decisions in the log.
    pub fn decisions(&self) -> Vec<Value> {
        decisions(&self.at("audit"))
    }

    /// The end of the log as it is now.
    pub fn mark(&self) -> Mark {
        Mark(self.decisions().len())
    }

    /// The decisions after a mark.
    pub fn decisions_after(&self, mark: &Mark) -> Vec<Value> {
        self.decisions().split_off(mark.0)
    }

    /// The decisions after a mark, once there are at least so many.
    pub async fn decisions_since(&self, mark: &Mark, at_least: usize) -> Vec<Value> {
        let what = format!("{at_least} audit events");
        poll(&what, || {
            let new = self.decisions().split_off(mark.0);
            (new.len() >= at_least).then_some(new)
        })
        .await
    }

    /// The first decision after a mark that is as wanted.
    pub async fn decision_since(&self, mark: &Mark, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        poll(what, || self.decisions().split_off(mark.0).into_iter().find(|event| wanted(event))).await
    }
}

/// Every whole line of the log in a folder.
pub fn events(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let mut events = Vec::new();
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        events.extend(lines.map(|line| {
            serde_json::from_slice::<Value>(line)
                .unwrap_or_else(|error| panic!("no JSON: {error}: {}", line.escape_ascii()))
        }));
    }
    events
}

/// The decisions in the log in a folder.
pub fn decisions(folder: &Path) -> Vec<Value> {
    let mut events = events(folder);
    events.retain(|event| event["kind"] == "decision");
    events
}

/// A decision's reason.
pub fn reason(event: &Value) -> &str {
    event["reason"].as_str().unwrap_or_default()
}
