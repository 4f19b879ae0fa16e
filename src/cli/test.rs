//! `tiergate test`: the tests of a policy, and the rules that none of them reached.

use super::policies::{self, CommandError, Format};
use crate::workbench::{Decider, Tried, try_all, unreached};
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Try the tests of a policy folder, and name the rules that no test reached.
///
/// Exits 0 when all pass, 1 when one fails, 2 when the policies cannot be read.
#[derive(Args, Debug)]
pub struct TestArgs {
    /// The folder with the policies
    #[arg(default_value = "policies")]
    pub dir: PathBuf,
    /// For people, or one JSON document
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Runs the command.
#[must_use]
pub fn run(args: &TestArgs) -> ExitCode {
    policies::finish(test(args))
}

fn test(args: &TestArgs) -> Result<(String, u8), CommandError> {
    let policy = policies::read(&args.dir)?;
    let tried = try_all(&policy);
    let missed = unreached(&policy, &tried);
    let failed = tried.iter().filter(|tried| !tried.passed()).count();
    let text = match args.format {
        Format::Human => human(&tried, &missed),
        Format::Json => policies::json(&json!({
            "passed": tried.len() - failed,
            "failed": failed,
            "tests": tried.iter().map(|tried| json!({
                "name": tried.trial.name,
                "at": tried.trial.origin.0,
                "request": tried.request.line(),
                "passed": tried.passed(),
                "expected": tried.expected(),
                "decision": tried.outcome.verdict.as_str(),
                "reason": tried.outcome.reason.code(),
                "rule": tried.outcome.rule.as_ref().map(|rule| &rule.0),
            })).collect::<Vec<_>>(),
            "unreached": missed.iter().map(|rule| json!({ "at": rule.place, "rule": rule.what })).collect::<Vec<_>>(),
        }))?,
    };
    Ok((text, u8::from(failed > 0)))
}

fn human(tried: &[Tried<'_>], missed: &[Decider]) -> String {
    let mut text = String::new();
    for tried in tried {
        let word = if tried.passed() { "ok    " } else { "FAILED" };
        let _ = writeln!(text, "{word} {}", tried.trial.name);
        if !tried.passed() {
            let _ = writeln!(
                text,
                "       {}: {}\n       expected {}, decided {}",
                tried.trial.origin.0,
                tried.request.line(),
                tried.expected(),
                tried.outcome
            );
        }
    }
    if !missed.is_empty() {
        text.push_str("\nrules that decided no test:\n");
        for rule in missed {
            let _ = writeln!(text, "  {}  {}", rule.place, rule.what);
        }
    }
    let failed = tried.iter().filter(|tried| !tried.passed()).count();
    let _ = writeln!(
        text,
        "\n{} passed, {failed} failed; {} rule{} not reached",
        tried.len() - failed,
        missed.len(),
        if missed.len() == 1 { "" } else { "s" }
    );
    text
}
