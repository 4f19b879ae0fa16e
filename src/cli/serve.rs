//! `tiergate serve`: runs the proxy until a signal ends it.

use super::UNUSABLE;
use std::path::Path;
use std::process::ExitCode;

/// Runs the proxy. Exit code 2 where it could not start; then nothing was listening.
#[must_use]
pub fn run(config: &Path) -> ExitCode {
    match crate::server::serve(config, None) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            let text = text.trim_end();
            let lead = if text.starts_with("error") { "" } else { "error: " };
            eprintln!("{lead}{text}");
            ExitCode::from(UNUSABLE)
        }
    }
}
