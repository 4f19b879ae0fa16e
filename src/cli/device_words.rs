//! What `tiergate device` says of the process's answers.

use super::UNUSABLE;
use super::admin_client::Answer;
use serde_json::Value;
use std::fmt::Write as _;

/// What is printed and with which code the command ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Told {
    /// With its line end.
    pub text: String,
    /// 0 done, 1 refused, 2 the process could not do it.
    pub code: u8,
}

impl Told {
    /// A problem document (RFC 9457).
    pub(super) fn refused(answer: &Answer) -> Self {
        let code = if matches!(answer.status, 404 | 409 | 413 | 422) { 1 } else { UNUSABLE };
        let mut text = mistakes(&answer.body);
        if let Some(found) = answer.body.get("diagnostics").and_then(Value::as_str) {
            let _ = writeln!(text, "{}", found.trim_end());
        }
        let _ = writeln!(text, "error: {}", word(&answer.body, "detail"));
        Self { text, code }
    }
}

/// The lines of an import that have mistakes.
fn mistakes(body: &Value) -> String {
    let list = body.get("mistakes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut text = String::new();
    for mistake in list {
        let _ = writeln!(text, "line {}: {}", number(mistake, "line"), word(mistake, "message"));
    }
    let count = u64::try_from(list.len()).unwrap_or(u64::MAX);
    if number(body, "bad_lines") > count {
        let _ = writeln!(text, "{} lines have mistakes in all", number(body, "bad_lines"));
    }
    text
}

/// What became of an import.
pub(super) fn imported(body: &Value) -> String {
    let count = |key| number(body, key);
    let skipped = match count("bad_lines") {
        0 => String::new(),
        lines => format!(", {lines} skipped"),
    };
    let (records, changed) = (count("records"), count("changed"));
    format!("{}{records} imported, {changed} known differently{skipped}\n", mistakes(body))
}

/// A device's line in the list.
pub(super) fn row(device: &Value) -> String {
    let or = |key, default| match word(device, key) {
        "" => default,
        text => text,
    };
    let (id, state) = (word(device, "id"), or("state", "active"));
    format!("{id}\t{state}\t{}\t{}\t{}\n", or("ownership", "-"), ceiling(device), or("owner", "-"))
}

/// The most that a record leaves of its trust.
fn ceiling(device: &Value) -> &str {
    match (word(device, "trust"), word(device, "ownership")) {
        ("issued" | "", "personal") => "enrolled",
        ("", _) => "issued",
        (trust, _) => trust,
    }
}

/// What is known of a device now; and of these keys, which the API was told, where another source still
/// counts for more.
pub(super) fn now(id: &str, body: &Value, keys: &[String]) -> String {
    let device = body.get("device").unwrap_or(&Value::Null);
    let or = |key, default| match word(device, key) {
        "" => default,
        text => text,
    };
    let mut text = format!(
        "{id}: {}, {}, trusted at most {}, owner {}\n",
        or("state", "active"),
        or("ownership", "ownership not said"),
        ceiling(device),
        or("owner", "not said")
    );
    let sources = body.get("sources").and_then(Value::as_object);
    let said =
        |source: &str, key: &str| sources.and_then(|all| all.get(source)).map_or("", |it| word(it, key));
    for key in keys {
        let known = word(device, key);
        if known == said("api", key) {
            continue;
        }
        let other = [("sync", "the device management"), ("file", "the file")];
        if let Some((_, who)) =
            other.iter().find(|(source, _)| !known.is_empty() && said(source, key) == known)
        {
            let _ = writeln!(text, "still {key} {known}: {who} says so");
        }
    }
    text
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_another_source_says_for_more_is_said() {
        let keys = ["state".to_owned(), "owner".to_owned()];
        for (device, sources, want) in [
            (
                json!({ "id": "a", "state": "lost", "owner": "ann" }),
                json!({ "api": { "state": "active", "owner": "ann" }, "file": { "state": "lost" } }),
                "a: lost, ownership not said, trusted at most issued, owner ann\nstill state lost: the file says so\n",
            ),
            (
                json!({ "id": "a", "ownership": "personal" }),
                json!({ "api": {}, "file": { "ownership": "personal" } }),
                "a: active, personal, trusted at most enrolled, owner not said\n",
            ),
            (
                json!({ "id": "a", "state": "retired", "trust": "none" }),
                json!({ "api": {}, "sync": { "state": "retired" } }),
                "a: retired, ownership not said, trusted at most none, owner not said\nstill state retired: the device management says so\n",
            ),
        ] {
            assert_eq!(now("a", &json!({ "device": device, "sources": sources }), &keys), want);
        }
    }

    #[test]
    fn a_refusal_has_its_code_and_what_is_wrong() {
        let mistakes = json!([{ "line": 3, "message": "unknown state" }]);
        for (status, body, code, text) in [
            (404, json!({ "detail": "not known" }), 1, "error: not known\n"),
            (422, json!({ "detail": "no", "diagnostics": "a\nb" }), 1, "a\nb\nerror: no\n"),
            (
                422,
                json!({ "detail": "no", "mistakes": mistakes, "bad_lines": 2 }),
                1,
                "line 3: unknown state\n2 lines have mistakes in all\nerror: no\n",
            ),
            (401, json!({ "detail": "token" }), 2, "error: token\n"),
            (503, json!({ "detail": "disk" }), 2, "error: disk\n"),
        ] {
            assert_eq!(Told::refused(&Answer { status, body }), Told { text: text.to_owned(), code });
        }
        let done = json!({ "records": 2, "changed": 1, "bad_lines": 1, "mistakes": mistakes });
        assert_eq!(imported(&done), "line 3: unknown state\n2 imported, 1 known differently, 1 skipped\n");
    }
}
