//! What the commands of the workbench share: a folder of policies, read and resolved.

use crate::diagnostic::causes;
use crate::diagnostic::{Severity, Source, render_all};
use crate::policy::{Policy, resolve};
use crate::policy_files::{self, ReadError};
use clap::ValueEnum;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// How a command answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// Why a command could not answer.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The folder or a file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The policies have mistakes.
    #[error("the policies have mistakes:\n{0}")]
    Policy(String),
    /// What was asked makes no sense with these policies.
    #[error("{0}")]
    Usage(String),
    /// A log cannot be read.
    #[error("cannot read `{path}`")]
    Log {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The answer cannot be written as JSON or CSV.
    #[error("the answer cannot be written: {0}")]
    Answer(String),
}

/// The policies of a folder, without asking whether they keep their promises: what breaks them can
/// be looked into.
///
/// # Errors
/// The folder cannot be read, or the policies have mistakes.
pub fn read(folder: &Path) -> Result<Policy, CommandError> {
    let sources: Vec<Source> = policy_files::read(folder)?;
    let (policy, findings) = resolve(&sources, None);
    policy.ok_or_else(|| {
        let errors: Vec<_> =
            findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
        CommandError::Policy(render_all(&errors, &sources, io::stderr().is_terminal()))
    })
}

/// Prints an answer on stdout and ends with its code, or the error on stderr and ends with 2.
#[must_use]
pub fn finish(answer: Result<(String, u8), CommandError>) -> ExitCode {
    match answer {
        Ok((text, code)) => {
            // A reader that goes away has read enough; the exit code is still the answer.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            ExitCode::from(code)
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "error: {}", causes(&error));
            ExitCode::from(2)
        }
    }
}

/// A document as JSON, indented, with a line end.
///
/// # Errors
/// It holds what JSON cannot say.
pub fn json(document: &impl serde::Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(document);
    text.map(|text| text + "\n").map_err(|error| CommandError::Answer(error.to_string()))
}
