use super::*;
use crate::diagnostic::render;
use proptest::prelude::*;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    name: Key<String>,
    count: Key<u64>,
    flag: Key<bool>,
    items: Key<Vec<At<String>>>,
    named: Key<Entries<Inner>>,
    many: Key<OneOrMany<At<String>>>,
    inner: Key<Inner>,
    inners: Key<Vec<At<Inner>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Inner {
    value: Key<String>,
}

fn source(text: &str) -> Source {
    Source { path: PathBuf::from("a.yaml"), text: text.to_owned() }
}

fn mistake(text: &str) -> String {
    let source = source(text);
    match load::<Raw>(&source) {
        Ok(raw) => format!("{raw:?}"),
        Err(finding) => render(&finding, &[source], false),
    }
}

/// The start of what is said: the code, or the value.
fn code(text: &str) -> String {
    let said = mistake(text);
    said.strip_prefix("error[").and_then(|rest| rest.split(']').next()).map_or(said.clone(), str::to_owned)
}

#[test]
fn a_key_without_a_value_is_not_a_key_left_out() {
    for text in
        ["name:", "items:", "items: ~", "named:", "named: { a: }", "inner:", "many: null", "items: [~]"]
    {
        assert_eq!(code(text), "Y0108", "{text}");
    }
    for text in ["inners: [~]", "inners:\n- "] {
        assert_eq!(code(text), "Y0104", "{text}");
    }
}

#[test]
fn what_other_readers_turn_into_something_else_is_text_or_an_error() {
    for (text, want) in [
        ("no", "no"),
        ("on", "on"),
        ("012", "012"),
        ("1e3", "1e3"),
        ("0x10", "0x10"),
        ("2026-01-01", "2026-01-01"),
    ] {
        let raw: Raw = load(&source(&format!("name: {text}"))).unwrap();
        assert_eq!(raw.name.0.unwrap().value, want);
    }
    for text in [
        "flag: no",
        "flag: on",
        "flag: y",
        "%YAML 1.1\n---\nflag: yes",
        "count: 012",
        "count: 1e3",
        "count: -1",
        "count: 1.0",
        "many: 5",
        "name: !foo x",
    ] {
        assert!(matches!(code(text).as_str(), "Y0104" | "Y0101"), "{text}: {}", mistake(text));
    }
}

#[test]
fn form_is_strict() {
    for (text, want) in [
        ("nam: x", "Y0102"),
        ("inner: { valu: x }", "Y0102"),
        ("name: a\nname: b", "Y0103"),
        ("named: { a: {}, a: {} }", "Y0103"),
        ("items: x", "Y0104"),
        ("named: [a]", "Y0104"),
        ("name: {a: b}", "Y0104"),
        ("[a]", "Y0104"),
        ("x", "Y0104"),
        ("<<: {name: b}", "Y0107"),
        ("name: a\n---\nname: b", "Y0106"),
        ("name: a\n  b: c", "Y0101"),
        ("name:\n\t- a", "Y0101"),
        ("items: [a, b", "Y0101"),
        ("name: \"a", "Y0101"),
        ("items: [*b]", "Y0101"),
        ("items: &a [*a]", "Y0101"),
        ("name: @x", "Y0101"),
        ("\0", "Y0101"),
    ] {
        assert_eq!(code(text), want, "{text}: {}", mistake(text));
    }
}

#[test]
fn places_are_bytes_of_the_file_whatever_is_before_them() {
    let text = "\u{feff}items: [é, b]\r\nname: c";
    let raw: Raw = load(&source(text)).unwrap();
    let items = raw.items.0.unwrap().value;
    assert_eq!(text.get(items[0].span.clone()), Some("é"));
    assert_eq!(text.get(items[1].span.clone()), Some("b"));
    assert_eq!(text.get(raw.name.0.unwrap().span), Some("c"));
    let text = "inner: &a { value: x }\ninners: [*a]";
    let raw: Raw = load(&source(text)).unwrap();
    assert_eq!(
        text.get(raw.inners.0.unwrap().value[0].span.clone()),
        Some("*a"),
        "the alias, not its anchor"
    );
    let many: Raw = load(&source("many: xyz")).unwrap();
    assert_eq!(many.many.0.unwrap().places()[0].span, 6..9);
}

#[test]
fn depth_aliases_and_size_are_bounded() {
    assert_eq!(code(&format!("items: {}", "[".repeat(100_000))), "Y0106");
    let block: Vec<_> = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(mistake(&block.concat()).starts_with("error"));
    let bomb = format!("inners:\n- &a0 {{ value: x }}\n{}", "- *a0\n".repeat(2999));
    assert_eq!(code(&bomb), "Y0106");
    assert_eq!(code(&"#".repeat((1 << 20) + 1)), "Y0106");
}

proptest! {
    #[test]
    fn no_text_panics_the_parser(text in "\\PC*|[a-z:\\[\\]{},&*!|>'\"#% \t\r\n-]{0,60}|(name|items|named|inner): [^\n]{0,20}\n") {
        let _ = mistake(&text);
    }
}

#[test]
fn the_line_of_a_secret_is_hidden_however_it_is_laid_out_and_its_neighbours_are_shown() {
    for (text, word, hidden) in [
        ("password: hunter2\n", "hunter2", true),
        ("a: { totp: hunter2, x: y }\n", "x", true),
        ("password:\n  hunter2\n", "hunter2", true),
        ("password: |\n  some\n\n  hunter2\n", "hunter2", true),
        ("password: \"some\nhunter2\"\n", "hunter2", true),
        ("client_secret:\n  - hunter2\n", "hunter2", true),
        ("password: x\ngruops: [a]\n", "gruops", false),
        ("  ann:\n    password: x\n    gruops: [a]\n", "gruops", false),
        ("client_secret: { file: /run/oidc }\nx: y\n", "/run", false),
        ("client_secret:\n  file: /run/oidc\n", "/run", false),
    ] {
        let source = source(text);
        let at = text.find(word).unwrap();
        let finding = crate::diagnostic::Diagnostic::error("Y0104", &source.path, at..at + 1, "no");
        assert_eq!(without_secrets(finding, &source).private, hidden, "{text}");
    }
}
