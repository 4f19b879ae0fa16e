//! `tiergate reload`: has the running process load its files anew, and says what became of it.

use super::UNUSABLE;
use super::admin_client::{AdminClient, Answer, ClientError};
use super::policies::Format;
use crate::admin::Comment;
use crate::diagnostic::causes;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Load the configuration and the policies anew, in the process that runs with them.
///
/// Exits 0 when they were loaded, 1 when they were refused and the last good state stays, 2 when the
/// process could not be asked.
#[derive(Args, Debug)]
pub struct ReloadArgs {
    /// The configuration that the process runs with
    #[arg(long, value_name = "FILE", default_value = "tiergate.yaml")]
    pub config: PathBuf,
    /// Load even what `reload_guard` would hold back; never what has mistakes
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// Why it is forced, for the audit log
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub reason: Option<Comment>,
    /// For people, or the answer as one JSON document
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Runs the command: what became of it on stdout, everything else on stderr.
#[must_use]
pub fn run(args: &ReloadArgs) -> ExitCode {
    match ask(args) {
        Ok(answer) => {
            let outcome = Outcome::of(&answer);
            let text = match args.format {
                Format::Human => outcome.human(),
                Format::Json => format!("{}\n", answer.body),
            };
            let done = match outcome {
                Outcome::Loaded(_) | Outcome::Refused(_) => {
                    std::io::stdout().lock().write_all(text.as_bytes())
                }
                Outcome::NotAsked(_) => std::io::stderr().lock().write_all(text.as_bytes()),
            };
            // A reader that goes away has read enough; the exit code is still the answer.
            drop(done);
            ExitCode::from(outcome.code())
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "error: {}", causes(&error).trim_end());
            ExitCode::from(UNUSABLE)
        }
    }
}

fn ask(args: &ReloadArgs) -> Result<Answer, ClientError> {
    let client = AdminClient::of_config(&args.config)?;
    let body = args.reason.as_ref().map(|reason| json!({ "force": args.force, "reason": reason.as_str() }));
    client.call(&Method::POST, "/api/v1/reload", body.as_ref())
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
enum Outcome<'a> {
    /// Loaded: the new generation.
    Loaded(u64),
    /// Refused, by mistakes or by the guard: the problem document.
    Refused(&'a Value),
    /// Not even tried: the token was wrong, or the process is in trouble.
    NotAsked(&'a Value),
}

impl<'a> Outcome<'a> {
    fn of(answer: &'a Answer) -> Self {
        match (answer.status, answer.body.get("generation").and_then(Value::as_u64)) {
            (200, Some(generation)) => Self::Loaded(generation),
            (409 | 422, _) => Self::Refused(&answer.body),
            _ => Self::NotAsked(&answer.body),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Loaded(_) => 0,
            Self::Refused(_) => 1,
            Self::NotAsked(_) => UNUSABLE,
        }
    }

    fn human(self) -> String {
        let text =
            |body: &Value, key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        match self {
            Self::Loaded(generation) => format!("loaded: generation {generation}\n"),
            Self::Refused(body) => {
                let found = text(body, "diagnostics");
                format!("{}\nrefused: {}\n", found.trim_end(), text(body, "detail"))
            }
            Self::NotAsked(body) => format!("error: {}\n", text(body, "detail")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_loaded_refused_or_not_tried() {
        let problem = |status: u16| json!({ "status": status, "detail": "why", "diagnostics": "error: x\n" });
        for (status, body, code, says) in [
            (200, json!({ "generation": 7 }), 0, "loaded: generation 7\n"),
            (422, problem(422), 1, "error: x\nrefused: why\n"),
            (409, problem(409), 1, "error: x\nrefused: why\n"),
            (401, problem(401), 2, "error: why\n"),
            (503, problem(503), 2, "error: why\n"),
            (200, json!({}), 2, "error: \n"),
        ] {
            let answer = Answer { status, body };
            let outcome = Outcome::of(&answer);
            assert_eq!((outcome.code(), outcome.human().as_str()), (code, says), "{status}");
        }
    }
}
