use super::*;
use crate::diagnostic::{Diagnostic, Source, render_all};
use crate::policy::Policy;

mod compared;
mod exhaustive;
mod promises;

/// What `check` makes of one file.
pub(super) fn checked(text: &str) -> (Option<Policy>, Vec<Diagnostic>, String) {
    let files = [Source { path: "policies/test.yaml".into(), text: format!("version: 1\n{text}") }];
    let (policy, findings) = load(&files, None);
    let said = render_all(&findings, &files, false);
    (policy, findings, said)
}
