use super::*;
use proptest::prelude::*;

mod formats;

fn shown(text: &str, span: Range<usize>) -> String {
    let source = Source { path: PathBuf::from("policies/tickets.yaml"), text: text.to_owned() };
    let finding = Diagnostic::error("P0102", &source.path, span, "unknown group `enginering`")
        .label("no such group; did you mean `engineering`?");
    render(&finding, &[source], false)
}

#[test]
fn a_finding_shows_place_line_caret_and_what_was_meant() {
    insta::assert_snapshot!(shown("a: 1\n- { groups: [enginering] }\n", 17..27), @r#"
    error[P0102]: unknown group `enginering`
     --> policies/tickets.yaml:2:13
      |
    2 | - { groups: [enginering] }
      |             ^^^^^^^^^^ no such group; did you mean `engineering`?
    "#);
}

#[test]
fn a_finding_without_a_place_names_the_file_only() {
    insta::assert_snapshot!(shown("a: 1\n", 0..0), @r#"
    error[P0102]: unknown group `enginering`
    --> policies/tickets.yaml
     = help: no such group; did you mean `engineering`?
    "#);
}

#[test]
fn tabs_line_ends_and_other_scripts_do_not_move_the_caret() {
    for (text, span, want) in [
        ("a:\tb\r\nc: d\r\n", 6..7, ":2:1"),
        ("a: é\nü: \u{1f600} x", 15..16, ":2:6"),
        ("\u{feff}a: b", 3..4, ":1:1"),
        ("a: b", 3..4, ":1:4"),
        ("a: b\n", 4..9, ":1:5"),
        ("a: b", 400..900, ":1:5"),
    ] {
        let text = shown(text, span);
        assert!(text.contains(&format!("tickets.yaml{want}\n")), "{want}\n{text}");
    }
}

#[test]
fn a_file_of_a_hundred_megabytes_on_one_line_is_named_not_printed() {
    let text = shown(&"x".repeat(100 << 20), 50..60);
    assert!(text.contains("policies/tickets.yaml:1:51"), "{text}");
    assert!(text.len() < 1000);
}

#[test]
fn escape_sequences_do_not_reach_the_terminal() {
    assert!(!shown("a: \u{1b}[31mred\n", 3..8).contains('\u{1b}'));
}

#[test]
fn the_nearest_name_is_suggested_only_where_it_is_near() {
    let names = ["engineering", "finance", "on"];
    for (word, want) in [
        ("enginering", Some("engineering")),
        ("Engineering", Some("engineering")),
        ("no", Some("on")),
        ("legal", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, names), want, "{word}");
    }
}

#[test]
fn an_error_is_never_crowded_out_by_warnings() {
    let path = PathBuf::from("p");
    let mut findings = Findings::default();
    for _ in 0..2000 {
        findings.push(Diagnostic::new(Severity::Warning, "W", &path, 0..1, "w"));
    }
    findings.push(Diagnostic::error("E", &path, 0..1, "e"));
    assert!(findings.has_errors());
    assert_eq!(findings.len(), 2001);
    let list = findings.into_sorted(&[]);
    assert!(list.len() < 1000 && list.iter().any(|finding| finding.code == "E"));
}

proptest! {
    #[test]
    fn no_text_and_no_span_panics(text in "\\PC*|[ \t\r\n:é\u{feff}-]{0,40}", start in 0usize..60, len in 0usize..60) {
        let _ = shown(&text, start..start + len);
    }
}

#[test]
fn a_line_that_may_hold_a_secret_is_placed_and_not_shown() {
    let source = Source { path: PathBuf::from("users.yaml"), text: "a: 1\npassword: hunter2\n".to_owned() };
    let finding = Diagnostic::error("I0106", &source.path, 15..22, "the password hash is not accepted")
        .label("not a PHC string")
        .in_private();
    insta::assert_snapshot!(render(&finding, std::slice::from_ref(&source), false), @r#"
    error[I0106]: the password hash is not accepted
    --> users.yaml:2:11
     = note: the line may hold a secret and is not shown
     = help: not a PHC string
    "#);
}
