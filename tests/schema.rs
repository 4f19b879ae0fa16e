//! The schemas for editors: what `tiergate schema` prints, that it is what is committed, and that it
//! agrees with the parser about the files that people write.

#[path = "schema/configurations.rs"]
mod configurations;
#[path = "schema/corpus.rs"]
mod corpus;
#[path = "schema/policies.rs"]
mod policies;
#[path = "schema/samples.rs"]
mod samples;

use jsonschema::Validator;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tiergate::diagnostic::{Diagnostic, Severity, Source};

/// What a kind of file is called on the command line, and where its schema is committed.
const KINDS: [(&str, &str); 2] = [("policy", "schema/policy.json"), ("config", "schema/tiergate.json")];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn tiergate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tiergate")).args(arguments).output().unwrap()
}

fn printed(kind: &str) -> String {
    let output = tiergate(&["schema", kind]);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    String::from_utf8(output.stdout).unwrap()
}

fn validator(kind: &str) -> Validator {
    let schema: Value = serde_json::from_str(&printed(kind)).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// A file as an editor sees it: YAML 1.2, without what only the parser asks for.
fn seen(text: &str) -> Result<Value, String> {
    let options = serde_yaml::options! { strict_booleans: true, legacy_octal_numbers: false };
    serde_yaml::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// What the schema objects to.
fn told(schema: &Validator, value: &Value) -> Vec<String> {
    schema.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The codes of what the parser objects to. Warnings are for those who have the whole policy.
fn parsed(kind: &str, text: &str) -> Vec<&'static str> {
    let source = Source { path: PathBuf::from("a.yaml"), text: text.to_owned() };
    let findings: Vec<Diagnostic> = match kind {
        "policy" => tiergate::policy::resolve(&[source], None).1,
        _ => tiergate::config::resolve(&source).err().unwrap_or_default(),
    };
    findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.code)
        .collect()
}

#[test]
fn what_is_committed_is_what_the_command_prints() {
    for (kind, path) in KINDS {
        let committed = std::fs::read_to_string(root(path)).unwrap_or_default();
        assert!(
            committed == printed(kind),
            "{path} is not what `tiergate schema {kind}` prints: run `cargo run -- schema {kind} > {path}`"
        );
    }
}

#[test]
fn a_schema_is_one_of_draft_2020_12_and_describes_every_key() {
    fn look(at: &str, schema: &Value, bare: &mut Vec<String>) {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            // `false` is a key of another type of provider.
            let described = value["description"].as_str().is_some_and(|text| text.len() > 8);
            if !described && !value.is_boolean() && value.get("const").is_none() && value.get("not").is_none()
            {
                bare.push(format!("{at}.{key}"));
            }
            look(&format!("{at}.{key}"), value, bare);
        }
    }
    for (kind, _) in KINDS {
        let schema: Value = serde_json::from_str(&printed(kind)).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        let mut bare = Vec::new();
        look("", &schema, &mut bare);
        for (name, part) in schema["$defs"].as_object().unwrap() {
            look(name, part, &mut bare);
            assert_eq!(part["additionalProperties"], false, "{name} takes keys that it does not know");
        }
        assert_eq!(bare, Vec::<String>::new());
    }
}

#[test]
fn the_command_asks_which_file_and_knows_no_other() {
    for arguments in [&["schema"][..], &["schema", "users"], &["schema", "policy", "more"]] {
        let output = tiergate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}
