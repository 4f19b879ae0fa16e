//! Every sample: its schema takes it, and its line for editors leads to the schema.

use super::{KINDS, parsed, printed, root, seen, told, validator};
use std::path::{Path, PathBuf};
use tiergate::demo;

/// The files of a folder that end so.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

/// A sample, and the schema that its first line leads to.
fn check_sample(kind: &str, path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let first = text.lines().next().unwrap_or_default();
    let schema = first
        .strip_prefix("# yaml-language-server: $schema=")
        .unwrap_or_else(|| panic!("{}", path.display()));
    let schema = std::fs::read_to_string(path.parent().unwrap().join(schema)).unwrap();
    assert!(schema == printed(kind), "{}", path.display());
    assert_eq!(told(&validator(kind), &seen(&text).unwrap()), Vec::<String>::new(), "{}", path.display());
}

#[test]
fn every_sample_names_its_schema_and_keeps_to_it() {
    for path in files(&root("policies"), ".yaml") {
        check_sample("policy", &path);
    }
    check_sample("config", &root("deploy/tiergate.yaml"));
}

#[test]
fn what_the_demo_makes_names_the_schema_beside_it_and_keeps_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = demo::Options {
        folder: folder.path().join("demo"),
        listen: "127.0.0.1:8443".parse().unwrap(),
        admin: "127.0.0.1:9901".parse().unwrap(),
    };
    let estate = demo::Estate::prepare(&options, 1_800_000_000).unwrap();
    for path in files(&estate.folder.join("policies"), "yaml") {
        check_sample("policy", &path);
    }
    check_sample("config", &estate.config);
    // A schema is no policy: the folder with the policies is read as it was.
    let names: Vec<_> = files(&estate.folder.join("policies"), "");
    assert!(names.iter().all(|path| path.extension().is_some_and(|end| end == "yaml")), "{names:?}");
}

/// The YAML in a page of the documentation.
fn examples(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut blocks = text.split("\n```yaml\n");
    blocks.next();
    blocks.map(|block| block.split("\n```").next().unwrap_or_default().to_owned() + "\n").collect()
}

#[test]
fn the_examples_of_the_documentation_keep_to_the_schemas() {
    let mut pages = files(&root("docs"), ".md");
    pages.push(root("README.md"));
    let schemas = KINDS.map(|(kind, _)| (kind, validator(kind)));
    let mut seen_of = [0, 0];
    for page in pages {
        for example in examples(&page) {
            let value = seen(&example).unwrap();
            // The file of local users, which a command changes, and what is read by another program.
            if ["users", "jobs"].iter().any(|key| value.get(key).is_some()) {
                continue;
            }
            // The inventory has no schema; its reader is asked.
            if value.get("devices").is_some_and(serde_json::Value::is_array) {
                let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
                std::fs::write(file.path(), &example).unwrap();
                assert!(tiergate::inventory::read(file.path()).is_ok(), "{}:\n{example}", page.display());
                continue;
            }
            let policy = ["groups", "resources", "networks", "posture", "lints", "assertions", "tests"];
            let of = usize::from(!policy.iter().any(|key| value.get(key).is_some()));
            let (kind, schema) = &schemas[of];
            seen_of[of] += 1;
            let mut told = told(schema, &value);
            // A part of a file says nothing of the keys that it leaves out.
            if value.get("version").is_none() {
                told.retain(|error| !(error.starts_with(':') && error.contains("is a required property")));
            } else {
                let mut codes = parsed(kind, &example);
                // What it names may stand in another file.
                codes.retain(|code| !["P0100", "P0102", "P0103", "P0104"].contains(code));
                assert_eq!(codes, Vec::<&str>::new(), "{}:\n{example}", page.display());
            }
            assert_eq!(told, Vec::<String>::new(), "{} ({kind}):\n{example}", page.display());
        }
    }
    assert!(seen_of[0] >= 2 && seen_of[1] >= 3, "{seen_of:?}");
}
