//! `tiergate check`: what is wrong with a policy, before it is used.

use crate::config;
use crate::diagnostic::{Diagnostic, Position, Severity, Source, render};
use crate::policy::{Known, resolve, resolve_known};
use crate::policy_files::{self, ReadError};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Check a policy folder: every mistake, with its place and what was probably meant.
///
/// Exits 0 when it is clean, 1 when there are errors or warnings, 2 when it cannot be read.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The folder with the policies
    #[arg(default_value = "policies")]
    pub dir: PathBuf,
    /// The `tiergate.yaml` that they run with: checked too, and what the policies name in it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For people, or one JSON document
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// With the lines they speak of.
    Human,
    /// One document.
    Json,
}

/// What was found, with the files it was found in.
struct Checked {
    sources: Vec<Source>,
    findings: Vec<Diagnostic>,
}

/// Runs the command: findings on stdout, everything else on stderr.
#[must_use]
pub fn run(args: &CheckArgs) -> ExitCode {
    let styled = args.format == Format::Human && io::stdout().is_terminal();
    match check(args) {
        Ok(checked) => {
            let text = match args.format {
                Format::Human => human(&checked, styled),
                Format::Json => json(&checked),
            };
            // A reader that goes away has read enough; the exit code is still the answer.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            ExitCode::from(u8::from(worth_an_exit_code(&checked.findings)))
        }
        Err(error) => {
            let mut text = format!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                let _ = write!(text, ": {error}");
                cause = error.source();
            }
            let _ = writeln!(io::stderr().lock(), "{text}");
            ExitCode::from(2)
        }
    }
}

fn check(args: &CheckArgs) -> Result<Checked, ReadError> {
    let policies = policy_files::read(&args.dir)?;
    let Some(path) = &args.config else {
        let (_, findings) = resolve(&policies, None);
        return Ok(Checked { sources: policies, findings });
    };
    let file = policy_files::read_file(path.clone())?;
    let mut checked = match config::resolve(&file) {
        Ok(config) => {
            let upstreams: Vec<_> = config.upstreams.into_keys().collect();
            let providers: Vec<_> =
                config.identity.providers.into_iter().map(|provider| provider.name).collect();
            let login_host = config.identity.login_host;
            let known = Known { upstreams: &upstreams, providers: &providers, login_host: &login_host };
            let (_, findings) = resolve_known(&policies, known);
            Checked { sources: policies, findings }
        }
        // The policies' own mistakes are said all the same; what they name in it is not known.
        Err(mut findings) => {
            findings.extend(resolve(&policies, None).1);
            Checked { sources: policies, findings }
        }
    };
    checked.sources.push(file);
    Ok(checked)
}

fn worth_an_exit_code(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|finding| finding.severity > Severity::Note)
}

fn human(checked: &Checked, styled: bool) -> String {
    let Checked { sources, findings } = checked;
    let mut text = String::new();
    for finding in findings {
        text.push_str(&render(finding, sources, styled));
        text.push('\n');
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")]
        .map(|(severity, word)| (count(severity), word))
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect::<Vec<_>>();
    let files = sources.len();
    let of = format!("{files} file{}", if files == 1 { "" } else { "s" });
    let what = if counts.is_empty() { format!("ok: {of}") } else { format!("{} in {of}", counts.join(", ")) };
    text.push_str(&what);
    text.push('\n');
    text
}

/// One finding as machines read it.
#[derive(Serialize)]
struct Finding<'a> {
    severity: &'static str,
    code: &'static str,
    message: &'a str,
    label: &'a str,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

fn json(checked: &Checked) -> String {
    let each = |finding: &Diagnostic| {
        let position = finding.position(&checked.sources);
        serde_json::to_value(Finding {
            severity: finding.severity.as_str(),
            code: finding.code,
            message: &finding.message,
            label: &finding.label,
            file: finding.path.display().to_string(),
            line: position.map(|Position { line, column: _ }| line),
            column: position.map(|Position { line: _, column }| column),
        })
    };
    // Strings and numbers only, so this cannot fail.
    let findings: Vec<_> = checked.findings.iter().filter_map(|finding| each(finding).ok()).collect();
    format!("{}\n", serde_json::json!({ "ok": !worth_an_exit_code(&checked.findings), "findings": findings }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const GOOD: &str = "version: 1\nresources: [{ name: a, tier: low, hosts: [a.example], upstream: app }]\n";
    const CONFIG: &str = "version: 1
listen: { https: 127.0.0.1:8443 }
tls: { certificates: [{ cert: a.pem, key: a.key }] }
identity: { login_host: login.example, providers: [{ name: local, type: local, users: users.yaml }] }
upstreams: { app: { addresses: [127.0.0.1:80] } }
";

    fn outcome(policy: Option<&str>, config: Option<&str>) -> (String, String) {
        let dir = tempfile::tempdir().unwrap();
        if let Some(policy) = policy {
            fs::write(dir.path().join("a.yaml"), policy).unwrap();
        }
        let path = dir.path().join("tiergate.yml.config");
        if let Some(config) = config {
            fs::write(&path, config).unwrap();
        }
        let args =
            CheckArgs { dir: dir.path().to_path_buf(), config: config.map(|_| path), format: Format::Human };
        let code = format!("{:?}", run(&args));
        match check(&args) {
            Ok(checked) => (code, human(&checked, false) + &json(&checked)),
            Err(error) => (code, error.to_string()),
        }
    }

    #[test]
    fn the_exit_code_says_clean_findings_or_unreadable() {
        let exit = |code: u8| format!("{:?}", ExitCode::from(code));
        for (policy, config, code, says) in [
            (Some(GOOD), None, 0, "ok: 1 file"),
            (Some(GOOD), Some(CONFIG), 0, "\"ok\":true"),
            (Some(&*GOOD.replace("low", "lo")), None, 1, "did you mean `low`?"),
            (Some(&*GOOD.replace("upstream: app", "upstream: ap")), Some(CONFIG), 1, "did you mean `app`?"),
            (Some(GOOD), Some(&*CONFIG.replace("8443", "84430")), 1, "C0101"),
            (Some("version: 1\n"), None, 1, "1 warning in 1 file"),
            (None, None, 2, "there is no `*.yaml`"),
        ] {
            let (got, text) = outcome(policy, config);
            assert_eq!(got, exit(code), "{text}");
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn a_note_is_said_and_is_clean() {
        let (code, text) =
            outcome(Some(&GOOD.replace("upstream: app", "upstream: app, deny: [{ methods: [GET] }]")), None);
        assert_eq!(code, format!("{:?}", ExitCode::SUCCESS));
        assert!(text.contains("note[P0301]") && text.contains("1 note in 1 file"), "{text}");
    }
}
