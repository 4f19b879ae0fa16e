//! `tiergate check`: what is wrong with a policy, before it is used.

use super::{UNUSABLE, check_rehearsal};
use crate::diagnostic::causes;
use crate::diagnostic::{CODES, Code, Report, did_you_mean, github, human, json, sarif};
use crate::inventory::{self, Unread};
use crate::policy::Known;
use crate::policy_files::{self, ReadError};
use crate::{audit, config, workbench};
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Check a policy folder: every mistake, with its place and what was probably meant.
///
/// Exits 0 when it is clean, 1 when there are errors or warnings, 2 when it cannot be read.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The folder with the policies [default: as the `--config` says, otherwise `policies`]
    pub dir: Option<PathBuf>,
    /// The `tiergate.yaml` that they run with: checked too, and what the policies name in it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How findings are written
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Say what a code means and what to do about it, and check nothing
    #[arg(long, value_name = "CODE", conflicts_with_all = ["config", "format", "dir"])]
    pub explain: Option<String>,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people, with the lines they speak of
    Human,
    /// One JSON document
    Json,
    /// Workflow commands that GitHub Actions shows beside the lines
    Github,
    /// A SARIF 2.1.0 log, for code scanning and editors
    Sarif,
}

impl Format {
    /// A report in this form, ending with a line end.
    #[must_use]
    pub fn write(self, report: &Report, styled: bool) -> String {
        match self {
            Self::Human => human(report, styled),
            Self::Json => json(report),
            Self::Github => github(report),
            Self::Sarif => sarif(report),
        }
    }
}

/// Runs the command: findings on stdout, everything else on stderr.
#[must_use]
pub fn run(args: &CheckArgs) -> ExitCode {
    let answer = match &args.explain {
        Some(code) => explain(code).map(|text| (text, 0)),
        None => check(args).map_err(|error| causes(&error)).map(|report| {
            let styled = io::stdout().is_terminal();
            (args.format.write(&report, styled), u8::from(!report.is_clean()))
        }),
    };
    match answer {
        Ok((text, code)) => {
            // A reader that goes away has read enough; the exit code is still the answer.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            ExitCode::from(code)
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "error: {error}");
            ExitCode::from(UNUSABLE)
        }
    }
}

/// What the documentation says of a code.
fn explain(id: &str) -> Result<String, String> {
    let upper = id.to_ascii_uppercase();
    let Some(code) = Code::find(&upper) else {
        let meant = did_you_mean(&upper, CODES.iter().map(|code| code.id));
        let meant = meant.map_or_else(String::new, |meant| format!("; {meant}"));
        return Err(format!("no finding has the code `{id}`{meant}"));
    };
    let Code { id, severity, meaning, remedy } = code;
    let severity = severity.as_str();
    let level = if code.has_level() { "\nits level can be changed with `lints` in a policy" } else { "" };
    Ok(format!("{severity}[{id}]: {meaning}\nwhat to do: {remedy}{level}\nsee {}\n", code.help()))
}

fn check(args: &CheckArgs) -> Result<Report, ReadError> {
    let file = args.config.clone().map(policy_files::read_file).transpose()?;
    let configured = || file.as_ref().and_then(config::policies_folder);
    let dir = args.dir.clone().or_else(configured).unwrap_or_else(|| PathBuf::from("policies"));
    let policies = policy_files::read(&dir)?;
    let Some(file) = file else { return Ok(workbench::check(policies, None)) };
    let mut report = match config::resolve(&file) {
        Ok(config) => {
            let upstreams: Vec<_> = config.upstreams.keys().cloned().collect();
            let providers: Vec<_> =
                config.identity.providers.iter().map(|provider| provider.name.clone()).collect();
            let login_host = &config.identity.login_host;
            let known = Known { upstreams: &upstreams, providers: &providers, login_host };
            let mut report = workbench::check(policies, Some(known));
            check_rehearsal::check(&config, &file.path, known, audit::now().unix_timestamp(), &mut report)?;
            let inventory = config.inventory_file.as_deref().map(inventory::read);
            if let Some(Err(Unread { findings, source })) = inventory {
                report.findings.extend(findings);
                report.sources.extend(source);
            }
            report
        }
        // The policies' own mistakes are said all the same; what they name in it is not known.
        Err(mut findings) => {
            let mut report = workbench::check(policies, None);
            findings.append(&mut report.findings);
            Report { findings, ..report }
        }
    };
    report.sources.push(file);
    Ok(report)
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
        let args = CheckArgs {
            dir: Some(dir.path().to_path_buf()),
            config: config.map(|_| path),
            format: Format::Human,
            explain: None,
        };
        let code = format!("{:?}", run(&args));
        match check(&args) {
            Ok(report) => (code, human(&report, false) + &json(&report)),
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
    fn the_folder_is_the_one_that_the_configuration_names() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("rules")).unwrap();
        fs::write(dir.path().join("rules/a.yaml"), GOOD.replace("low", "lo")).unwrap();
        let path = dir.path().join("tiergate.yaml");
        // Where another key is wrong as well.
        for (config, found) in [(CONFIG.to_owned(), 1), (CONFIG.replace("listen", "lsten"), 2)] {
            fs::write(&path, format!("{config}policies: rules\n")).unwrap();
            let args =
                CheckArgs { dir: None, config: Some(path.clone()), format: Format::Human, explain: None };
            let report = check(&args).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(report.findings.len(), found, "{}", human(&report, false));
        }
    }

    #[test]
    fn the_shadow_and_the_protected_groups_of_the_configuration_are_checked_too() {
        let with = |line: &str| format!("{CONFIG}{line}\n");
        for (line, code, says) in [
            ("shadow: { policies: ., until: 9998-01-01 }", 0, "ok: 3 files"),
            ("shadow: { policies: ., until: 2020-01-01 }", 1, "C0201"),
            ("shadow: { policies: nowhere, until: 2020-01-01 }", 1, "C0201"),
            ("shadow: { policies: nowhere, until: 9998-01-01 }", 2, "cannot read the policy folder"),
            ("reload_guard: { protect: [staff] }", 1, "unknown group `staff`"),
        ] {
            let (got, text) = outcome(Some(GOOD), Some(&with(line)));
            assert_eq!(got, format!("{:?}", ExitCode::from(code)), "{line}: {text}");
            assert!(text.contains(says), "{line}: {text}");
        }
    }

    #[test]
    fn a_note_is_said_and_is_clean() {
        let (code, text) =
            outcome(Some(&GOOD.replace("upstream: app", "upstream: app, deny: [{ methods: [GET] }]")), None);
        assert_eq!(code, format!("{:?}", ExitCode::SUCCESS));
        assert!(text.contains("note[P0301]") && text.contains("1 note in 1 file"), "{text}");
    }

    #[test]
    fn a_code_is_explained_and_a_misspelt_one_is_corrected() {
        insta::assert_snapshot!(explain("p0201").unwrap(), @r#"
        warning[P0201]: a path lowers the tier of what is around it
        what to do: make sure it is meant; a resource of its own says it more clearly
        its level can be changed with `lints` in a policy
        see docs/diagnostics.md#policies-p
        "#);
        insta::assert_snapshot!(explain("P0301").unwrap(), @r#"
        note[P0301]: a `deny` of `GET` does not refuse `HEAD`
        what to do: add `HEAD` if it is meant
        its level can be changed with `lints` in a policy
        see docs/diagnostics.md#policies-p
        "#);
        insta::assert_snapshot!(explain("X0102").unwrap_err(), @"no finding has the code `X0102`; did you mean `Y0102`?");
        for code in CODES {
            assert!(explain(code.id).unwrap().contains(code.remedy));
        }
    }
}
