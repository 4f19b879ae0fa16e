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

fn load<T: serde::de::DeserializeOwned>(source: &Source) -> Result<T, crate::diagnostic::Diagnostic> {
    let Partly { value, mistakes, left_out: _ } = load_partly(source);
    mistakes.into_iter().next().map_or_else(|| Ok(value.unwrap()), Err)
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

/// Every mistake by code and what stands there, and what else was read.
fn partly(text: &str) -> String {
    let source = source(text);
    let Partly { value, mistakes, left_out } = load_partly::<Raw>(&source);
    let said =
        mistakes.iter().map(|one| format!("{} {}", one.code, text.get(one.span.clone()).unwrap_or_default()));
    let said = said.collect::<Vec<_>>().join(", ");
    let out: Vec<_> = left_out.iter().map(|out| format!("{}/{}", out.section, out.key)).collect();
    let count = value.as_ref().and_then(|raw| raw.count.0.as_ref()).map(|count| count.value);
    format!("{said}; without {}; count {count:?}", out.join(" "))
}

#[test]
fn behind_a_mistake_in_the_form_the_rest_is_read() {
    for (text, want) in [
        ("count: 1", "; without ; count Some(1)"),
        ("nam: x\ncount: 1", "Y0102 nam; without nam/nam; count Some(1)"),
        (
            "nam: [a, b] # c, d\nflag: no\ncount: 1",
            "Y0102 nam, Y0104 no; without nam/nam flag/flag; count Some(1)",
        ),
        ("count: 1\nname: a\nname: b\n", "Y0103 name; without name/name; count Some(1)"),
        ("{ nam: { a: [] }, count: 1 }", "Y0102 nam; without nam/nam; count Some(1)"),
        ("{ count: 1, nam: [a, { b: c }] }", "Y0102 nam; without nam/nam; count Some(1)"),
        ("{ count: 1, \"nam\": 'it''s, or not' }", "Y0102 \"nam\"; without nam/nam; count Some(1)"),
        ("nam: |\n  a: [\n  b\ncount: 1", "Y0102 nam; without nam/nam; count Some(1)"),
        ("nam:\ncount: 1", "Y0102 nam; without nam/nam; count Some(1)"),
        ("items:\ncount: 1", "Y0108 :; without items/items; count Some(1)"),
        (
            "inners:\n- valu: x\n  value: y\n- { value: z, vlaue: [] }\ncount: 1",
            "Y0102 valu, Y0102 vlaue; without inners/valu inners/vlaue; count Some(1)",
        ),
        // A mapping in place of something else is one mistake, not one for each of its keys.
        ("items:\n  a: b\n  c: d\ncount: 1", "Y0104 a; without items/items; count Some(1)"),
        // A mapping without its only entry would be nothing, so what it is the value of is left out.
        ("inner: { valu: x }\ncount: 1", "Y0102 valu; without inner/inner; count Some(1)"),
        ("é: [ü]\ncount: 1\nnäm: x", "Y0102 é, Y0102 näm; without é/é näm/näm; count Some(1)"),
        // Where there is nothing else, or what is left is no YAML, there is no more to say.
        ("nam: x", "Y0102 nam; without ; count None"),
        ("nam: x\ncount: [", "Y0102 nam; without ; count None"),
        ("[a]", "Y0104 [; without ; count None"),
    ] {
        assert_eq!(partly(text), want, "{text}");
    }
    let many: String = (0..100).map(|nth| format!("nam{nth}: x\n")).collect();
    let Partly { value, mistakes, .. } = load_partly::<Raw>(&source(&many));
    assert!(value.is_none() && mistakes.len() == 20, "{}", mistakes.len());
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
    fn no_text_panics_the_parser(text in "\\PC*|[a-z:\\[\\]{},&*!|>'\"#% \t\r\n-]{0,60}|((name|items|named|inner|nam|é): [^\n]{0,20}\n){1,4}") {
        let _ = partly(&text);
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
