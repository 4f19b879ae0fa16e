//! The words, and the documentation that repeats them.

use crate::access::Reason;
use crate::pages::{Explanation, explain, step};
use std::collections::BTreeSet;

#[test]
fn the_words_are_whole_sentences_and_no_two_reasons_share_a_title() {
    let mut titles = BTreeSet::new();
    for reason in Reason::ALL {
        let Explanation { title, happened, remedy, security } = explain(*reason);
        for text in [happened, remedy, security] {
            assert!(text.ends_with('.') && text.len() > 12, "{reason}: {text}");
        }
        // What people read has no code in it, but for the two values a program has to send.
        let allowed = ["`100-continue`", "`CONNECT`", "`TRACE`", "`Expect`"];
        let plain = allowed.iter().fold(format!("{happened} {remedy}"), |s, word| s.replace(word, ""));
        assert!(!plain.contains('`') && !plain.contains('_'), "{reason}: {plain}");
        assert!(!title.ends_with('.'), "{reason}");
        assert!(titles.insert(*title), "{reason}: {title}");
        assert!(!step(*reason).ends_with('.'), "{reason}");
    }
}

#[test]
fn the_documentation_has_every_reason_in_the_same_words() {
    let docs = include_str!("../../../docs/reasons.md");
    for reason in Reason::ALL {
        let section = section(*reason);
        assert!(docs.contains(&section), "docs/reasons.md must hold:\n{section}");
    }
    assert_eq!(docs.matches("\n## `").count(), Reason::ALL.len(), "a section of no reason");
}

/// What `docs/reasons.md` must hold of a reason.
pub(super) fn section(reason: Reason) -> String {
    let Explanation { title, happened, remedy, security } = explain(reason);
    format!(
        "\n## `{reason}`\n\n*{title}.*\n\n**What happened.** {happened}\n\n\
         **What the user does.** {remedy}\n\n**What the security team looks at.** {security}\n"
    )
}
