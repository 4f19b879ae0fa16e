//! `tiergate schema`: what an editor needs to complete and check the files that people write.

use crate::{config, policy};
use clap::{Args, ValueEnum};
use std::io::{self, Write};
use std::process::ExitCode;

/// Print the JSON Schema (draft 2020-12) of a kind of file, for editors.
///
/// A file that begins with `# yaml-language-server: $schema=PATH` is completed and checked by editors that
/// use yaml-language-server. `tiergate check` finds what a schema cannot.
#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(value_enum)]
    pub file: File,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum File {
    /// The files of the policy folder.
    Policy,
    /// `tiergate.yaml`.
    Config,
}

/// Runs the command: the schema on stdout.
#[must_use]
pub fn run(args: &SchemaArgs) -> ExitCode {
    let text = match args.file {
        File::Policy => policy::schema(),
        File::Config => config::schema(),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that goes away has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the schema cannot be written: {error}");
            ExitCode::from(super::UNUSABLE)
        }
    }
}
