//! Findings as a SARIF 2.1.0 log (OASIS), which code scanning and editors read.
//!
//! INVARIANT: no line of a file is in it, so none that may hold a secret.

use super::{Code, Diagnostic, Region, Report, Silenced, Source};
use aws_lc_rs::digest::{SHA256, digest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path};

/// What stays as it is in one segment of a path (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The log, one line with its end.
#[must_use]
pub fn sarif(report: &Report) -> String {
    let silenced = report.silenced.iter().map(|silenced| &silenced.finding);
    let ids: BTreeSet<_> = report.findings.iter().chain(silenced).map(|finding| finding.code).collect();
    let mut results = Results {
        sources: &report.sources,
        rules: ids.iter().enumerate().map(|(at, id)| (*id, at)).collect(),
        seen: HashMap::new(),
        list: Vec::with_capacity(report.findings.len() + report.silenced.len()),
    };
    for finding in &report.findings {
        results.add(finding, None);
    }
    for Silenced { finding, reason } in &report.silenced {
        results.add(finding, Some(reason));
    }
    let driver = json!({
        "name": "tiergate",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": ids.iter().map(|id| rule(id)).collect::<Vec<_>>(),
    });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results.list }],
    });
    format!("{log}\n")
}

fn rule(id: &str) -> Value {
    let Some(code) = Code::find(id) else { return json!({ "id": id }) };
    let Code { id, severity, meaning, remedy } = code;
    let help = format!("{remedy}\n\n`tiergate check --explain {id}`; {}", code.help());
    json!({
        "id": id,
        "shortDescription": { "text": meaning },
        "help": { "text": help },
        "defaultConfiguration": { "level": severity.as_str() },
    })
}

/// The results so far.
struct Results<'a> {
    sources: &'a [Source],
    rules: BTreeMap<&'static str, usize>,
    /// How often each fingerprint was made.
    seen: HashMap<u64, usize>,
    list: Vec<Value>,
}

impl Results<'_> {
    fn add(&mut self, finding: &Diagnostic, silenced: Option<&str>) {
        let Diagnostic { severity, code, message, path, label, related, .. } = finding;
        let text = if label.is_empty() { message.clone() } else { format!("{message}: {label}") };
        let mut result = Map::new();
        let mut set = |key: &str, value| result.insert(key.to_owned(), value);
        set("ruleId", json!(code));
        if let Some(at) = self.rules.get(code) {
            set("ruleIndex", json!(at));
        }
        // The three words are SARIF's too.
        set("level", json!(severity.as_str()));
        set("message", json!({ "text": text }));
        let places =
            location(path, finding.region(self.sources)).map(|place| json!([{ "physicalLocation": place }]));
        set("locations", places.unwrap_or_else(|| json!([])));
        if let Some(related) = related
            && let Some(place) = location(&related.path, related.region(self.sources))
        {
            let message = json!({ "text": related.message });
            set("relatedLocations", json!([{ "id": 1, "physicalLocation": place, "message": message }]));
        }
        let hash = self.fingerprint(finding);
        set("partialFingerprints", json!({ "primaryLocationLineHash": hash }));
        if let Some(reason) = silenced {
            // In the source: the files that were checked are the ones that say so.
            set(
                "suppressions",
                json!([{ "kind": "inSource", "status": "accepted", "justification": reason }]),
            );
        }
        self.list.push(Value::Object(result));
    }

    /// The same for the same finding wherever its line has moved to, told from others like it by a count.
    fn fingerprint(&mut self, finding: &Diagnostic) -> String {
        // A digest of a line that may hold a secret would let it be guessed.
        let line = if finding.private { "" } else { line_of(finding, self.sources) };
        let resource = finding.resource.as_deref().unwrap_or_default();
        let parts = [finding.code, &uri(&finding.path), resource, &finding.message, line.trim()];
        let digest = digest(&SHA256, parts.join("\0").as_bytes());
        let hash = digest.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let count = self.seen.entry(hash).or_default();
        *count += 1;
        format!("{hash:016x}:{count}")
    }
}

/// The line in which a finding begins; nothing where it is about a whole file.
fn line_of<'s>(finding: &Diagnostic, sources: &'s [Source]) -> &'s str {
    let Some(region) = finding.region(sources) else { return "" };
    let source = sources.iter().find(|source| source.path == finding.path);
    source.and_then(|source| source.text.split('\n').nth(region.start.line - 1)).unwrap_or_default()
}

/// A place, if it is in a file at all.
fn location(path: &Path, region: Option<Region>) -> Option<Value> {
    let uri = uri(path);
    if uri.is_empty() {
        return None;
    }
    let mut place = Map::new();
    place.insert("artifactLocation".to_owned(), json!({ "uri": uri }));
    if let Some(Region { start, end }) = region {
        let region = json!({
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        });
        place.insert("region".to_owned(), region);
    }
    Some(Value::Object(place))
}

/// A path as a reference (RFC 3986): relative as it was named, or `file:///…`.
fn uri(path: &Path) -> String {
    let segment = |part: Component<'_>| match part {
        Component::Normal(name) => Some(percent_encode(name.as_encoded_bytes(), UNRESERVED).to_string()),
        Component::ParentDir => Some("..".to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    let segments = path.components().filter_map(segment).collect::<Vec<_>>().join("/");
    if path.is_absolute() { format!("file:///{segments}") } else { segments }
}
