//! `tiergate check` as a CI job runs it: exit codes, what is written where, and files that are meant to hurt.

mod support;

use std::path::Path;
use std::process::Command;
use support::process::{run, tiergate};

const CLEAN: &str = "version: 1\nresources: [{ name: a, tier: low, hosts: [a.example], upstream: app }]\n";
const LOWERED: &str = "version: 1
resources:
  - name: a
    tier: high
    hosts: [a.example]
    upstream: app
    paths: [{ prefix: /p, tier: low }]
";

/// A repository with these files below `policies`.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join("policies").join(name), text).unwrap();
    }
    folder
}

/// The exit code, stdout and stderr of `check` at the root of a repository.
fn check(repository: &Path, arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<_> = ["check"].iter().chain(arguments).copied().collect();
    let output = run(tiergate(&arguments).current_dir(repository));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_format_has_the_paths_of_the_repository_and_the_same_exit_code() {
    let silenced = format!("{LOWERED}lints: [{{ code: P0201, level: off, resource: a, reason: a demo }}]\n");
    for (text, code, human, json, github, sarif) in [
        (CLEAN, 0, "ok: 1 file\n", "\"ok\":true", "ok: 1 file\n", "\"results\":[]"),
        (
            LOWERED,
            1,
            " --> policies/a.yaml:7:33\n",
            "\"file\":\"policies/a.yaml\",\"line\":7,\"column\":33,\"end_line\":7,\"end_column\":36",
            "::warning file=policies/a.yaml,line=7,col=33,endLine=7,endColumn=36,title=P0201::",
            "\"artifactLocation\":{\"uri\":\"policies/a.yaml\"}",
        ),
        (
            &*silenced,
            0,
            "ok: 1 file (1 silenced)\n",
            "\"reason\":\"a demo\"",
            "ok: 1 file (1 silenced)\n",
            "\"justification\":\"a demo\"",
        ),
    ] {
        let repository = repository(&[("a.yaml", text)]);
        for (format, want) in [("human", human), ("json", json), ("github", github), ("sarif", sarif)] {
            let (got, out, err) = check(repository.path(), &["policies", "--format", format]);
            assert_eq!((got, &*err), (code, ""), "{format}: {out}");
            assert!(out.contains(want) && out.ends_with('\n'), "{format}: {out}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_said_on_stderr_and_leaves_no_document_behind() {
    let repository = repository(&[]);
    for format in ["human", "json", "github", "sarif"] {
        let (code, out, err) = check(repository.path(), &["--format", format]);
        assert_eq!((code, &*out), (2, ""), "{err}");
        assert!(err.starts_with("error: there is no `*.yaml` in `policies`"), "{err}");
    }
}

#[test]
fn a_code_is_explained() {
    let repository = repository(&[]);
    let (code, out, _) = check(repository.path(), &["--explain", "P0201"]);
    assert!(code == 0 && out.contains("lowers the tier"), "{code} {out}");
    let (code, out, err) = check(repository.path(), &["--explain", "P9201"]);
    assert_eq!(
        (code, &*out, &*err),
        (2, "", "error: no finding has the code `P9201`; did you mean `P0201`?\n")
    );
    assert_eq!(check(repository.path(), &["policies", "--explain", "P0201"]).0, 2);
}

/// The exit code and the words of `check` with so much address space.
fn check_within(memory: usize, repository: &Path) -> (i32, String) {
    let script = format!("ulimit -v {} && exec \"$0\" check policies", memory >> 10);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_tiergate")]).current_dir(repository);
    let output = run(&mut command);
    let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    // None where a signal ended it.
    (output.status.code().unwrap_or(-1), words)
}

#[test]
fn no_file_is_too_large_too_deep_or_too_many_to_be_refused() {
    const MEMORY: usize = 1 << 30;
    const RESOURCE: &str = "version: 1\nresources:\n  - name: NAME\n    tier: low\n    hosts: [NAME.example]\n    upstream: app\n";
    let rules = |count: usize| format!("{RESOURCE}    deny:\n{}", "    - {methods: [GET]}\n".repeat(count));
    let hosts: String = (0..1000).map(|at| format!("h{at}.example, ")).collect();
    // Nine times nine times nine: half a gigabyte if it were written out.
    let bomb = "networks:\n  a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &('b'..='i')
            .zip('a'..='h')
            .map(|(name, of)| format!("  {name}: &{name} [{}]\n", format!("*{of}, ").repeat(9)))
            .collect::<String>();
    for (what, text, copies, code, says) in [
        ("a hundred megabytes", "#".repeat(100 << 20), 1, 2, "is larger than 1024 KiB"),
        (
            "a hundred megabytes in all",
            format!("#{}", "#".repeat((1 << 20) - 2)),
            100,
            1,
            "larger than 16 MiB in all",
        ),
        ("a million rules", rules(1_000_000), 1, 2, "is larger than 1024 KiB"),
        ("many rules", rules(20_000), 2, 1, "error[P0106]: this rule is never reached"),
        // Refused where it is too deep, or before that because nothing of this kind stands there.
        ("lists in lists", format!("networks: {{ a: {}", "[".repeat(100_000)), 1, 1, "nested too deeply"),
        (
            "lists in lists in a column",
            format!("networks:\n  a:\n    {}", "- ".repeat(100_000)),
            1,
            1,
            "expected text",
        ),
        (
            "mappings in mappings",
            format!("networks: {{ a: {}", "{a: ".repeat(100_000)),
            1,
            1,
            "expected a list",
        ),
        ("lists of lists of lists", bomb, 1, 1, "error[Y0104]: expected text"),
        (
            "a large resource again and again",
            format!("version: 1\nresources:\n  - &a {{ hosts: [{hosts}] }}\n{}", "  - *a\n".repeat(999)),
            1,
            1,
            "too many aliases",
        ),
        ("an alias of itself", "groups: &a { a: *a }\n".to_owned(), 1, 1, "error[Y0101]"),
    ] {
        let repository = repository(&[]);
        for copy in 0..copies {
            let path = repository.path().join(format!("policies/{copy}.yaml"));
            std::fs::write(path, text.replace("NAME", &format!("n{copy}"))).unwrap();
        }
        let (got, words) = check_within(MEMORY, repository.path());
        let shown: String = words.chars().take(2000).collect();
        assert_eq!(got, code, "{what}: {shown}");
        assert!(words.contains(says), "{what}: {shown}");
        assert!(words.len() < 1 << 20, "{what}");
    }
}
