//! `tiergate user`: changes the users file of a local provider.
//!
//! Invariants: a password is typed, read from standard input or made here, and never an argument,
//! which every process of the machine could read; a weak one is refused.

use crate::config::{self, Config, ProviderKind};
use crate::diagnostic::{Diagnostic, Source, render_all};
use crate::identity::totp::TotpSecret;
use crate::identity::users_edit::{EditError, describe, replace, with_user};
use crate::identity::users_file::{self, MAX_PASSWORD, NewUser, generate_password, hash_password};
use crate::text::yaml;
use clap::{Args, Subcommand};
use std::error::Error as _;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Add and change local users.
#[derive(Args, Debug)]
pub struct UserArgs {
    /// The configuration that names the users file.
    #[arg(long, global = true, value_name = "FILE", default_value = "tiergate.yaml")]
    config: PathBuf,
    /// The local provider, where the configuration has more than one.
    #[arg(long, global = true, value_name = "NAME")]
    provider: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a user.
    Add {
        /// The name they sign in with, such as `ann@corp.example`.
        name: String,
        /// The e-mail address; the name, where that is one.
        #[arg(long)]
        email: Option<String>,
        /// The name people call them by.
        #[arg(long = "name", value_name = "NAME")]
        display_name: Option<String>,
        /// A group; may be given again.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// Ask for one-time codes too, and print the secret to enrol.
        #[arg(long)]
        totp: bool,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Give a user another password.
    Passwd {
        /// The user.
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Give a user a new secret for one-time codes, and print it to enrol.
    Totp {
        /// The user.
        name: String,
        /// Ask them for codes no more.
        #[arg(long)]
        remove: bool,
    },
    /// List the users.
    List,
}

/// Where a password comes from; a prompt, where nothing is said.
#[derive(Args, Clone, Copy, Debug)]
#[group(multiple = false)]
struct PasswordFrom {
    /// Read it from standard input, up to the end of the line.
    #[arg(long)]
    password_stdin: bool,
    /// Make one and print it.
    #[arg(long)]
    generate: bool,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
enum UserError {
    #[error("the configuration has mistakes")]
    Config(Vec<Diagnostic>),
    #[error("cannot read `{path}`")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the configuration has no local provider{0}")]
    NoProvider(String),
    #[error("the configuration has several local providers; choose one with `--provider`: {0}")]
    WhichProvider(String),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("there is a user `{0}` already; `tiergate user passwd` changes the password")]
    Exists(String),
    #[error("there is no user `{0}`")]
    Unknown(String),
    #[error("{0}")]
    Password(String),
    #[error("cannot read the password")]
    Prompt(#[source] std::io::Error),
    #[error("{0}")]
    Totp(#[from] crate::identity::totp::TotpError),
    #[error("the users file was changed by somebody else meanwhile; try again")]
    Raced,
}

impl UserError {
    /// 1 where what was asked for is wrong, 2 where it could not be tried.
    fn code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Exists(_)
            | Self::Unknown(_)
            | Self::Password(_)
            | Self::Totp(_)
            | Self::Raced
            | Self::Edit(EditError::Invalid(_) | EditError::Refused(_)) => 1,
            Self::Edit(EditError::Io { .. })
            | Self::Read { .. }
            | Self::NoProvider(_)
            | Self::WhichProvider(_)
            | Self::Prompt(_) => 2,
        }
    }

    fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Config(list) | Self::Edit(EditError::Invalid(list) | EditError::Refused(list)) => list,
            Self::Edit(EditError::Io { .. })
            | Self::Read { .. }
            | Self::NoProvider(_)
            | Self::WhichProvider(_)
            | Self::Exists(_)
            | Self::Unknown(_)
            | Self::Password(_)
            | Self::Prompt(_)
            | Self::Totp(_)
            | Self::Raced => &[],
        }
    }
}

/// Runs the command.
#[must_use]
pub fn run(args: UserArgs) -> ExitCode {
    match execute(args) {
        Ok(told) => {
            print!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprintln!("  because: {source}");
                cause = source.source();
            }
            eprint!("{}", mistakes(&error));
            ExitCode::from(error.code())
        }
    }
}

/// The mistakes of the files that were read, with their lines.
fn mistakes(error: &UserError) -> String {
    let findings = error.diagnostics();
    // The places of what was refused are those of a text that was never written.
    let unwritten = matches!(error, UserError::Edit(EditError::Refused(_)));
    let read = |finding: &Diagnostic| read(&finding.path).ok().filter(|_| !unwritten);
    let sources: Vec<Source> = findings.iter().filter_map(read).collect();
    let shown: Vec<Diagnostic> = findings
        .iter()
        .map(|finding| match sources.iter().find(|source| source.path == finding.path) {
            Some(source) => yaml::without_secrets(finding.clone(), source),
            None => finding.clone(),
        })
        .collect();
    render_all(&shown, &sources, std::io::stderr().is_terminal())
}

fn execute(args: UserArgs) -> Result<String, UserError> {
    let UserArgs { config, provider, command } = args;
    let config = config::resolve(&read(&config)?).map_err(UserError::Config)?;
    change(users_path(&config, provider.as_deref())?, command, &mut ask)
}

fn change(path: PathBuf, command: Command, ask: AskFor<'_>) -> Result<String, UserError> {
    let before = match read(&path) {
        Ok(source) => source,
        // The first user makes the file.
        Err(UserError::Read { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound && matches!(command, Command::Add { .. }) =>
        {
            Source { path: path.clone(), text: String::new() }
        }
        Err(error) => return Err(error),
    };
    let start = match before.text.as_str() {
        "" => Source { path, text: users_file::render(&[]) },
        _ => before.clone(),
    };
    let (after, told) = apply(&start, command, ask)?;
    match after {
        Some(after) if !replace(&before, &after)? => Err(UserError::Raced),
        Some(_) | None => Ok(told),
    }
}

fn read(path: &Path) -> Result<Source, UserError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| UserError::Read { path: path.display().to_string(), source })?;
    Ok(Source { path: path.to_owned(), text })
}

fn users_path(config: &Config, wanted: Option<&str>) -> Result<PathBuf, UserError> {
    let local: Vec<(&str, &PathBuf)> = config
        .identity
        .providers
        .iter()
        .filter(|provider| wanted.is_none_or(|wanted| provider.name == wanted))
        .filter_map(|provider| match &provider.kind {
            ProviderKind::Local { users } => Some((provider.name.as_str(), users)),
            ProviderKind::Oidc(_) => None,
        })
        .collect();
    match local.as_slice() {
        [] => Err(UserError::NoProvider(wanted.map(|name| format!(" `{name}`")).unwrap_or_default())),
        [(_, users)] => Ok((*users).clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
            Err(UserError::WhichProvider(names.join(", ")))
        }
    }
}

/// Where a password comes from, for tests to say.
type AskFor<'a> = &'a mut dyn FnMut(PasswordFrom) -> Result<Zeroizing<String>, UserError>;

/// The new file, where the command changes it, and what is printed.
fn apply(source: &Source, command: Command, ask: AskFor<'_>) -> Result<(Option<Source>, String), UserError> {
    let users = describe(source)?;
    let find = |name: &str| {
        let lower = name.to_ascii_lowercase();
        users.iter().find(|user| user.name == lower).cloned()
    };
    let (user, told) = match command {
        Command::List => return Ok((None, users.iter().map(row).collect())),
        Command::Add { name, email, display_name, groups, totp, password } => {
            if find(&name).is_some() {
                return Err(UserError::Exists(name));
            }
            let email = email.or_else(|| name.contains('@').then(|| name.clone()));
            let mut user = NewUser { name, email, display_name, groups, ..NewUser::default() };
            let mut told = set_password(&mut user, password, ask)?;
            if totp {
                told.push_str(&enrol(&mut user)?);
            }
            (user, told)
        }
        Command::Passwd { name, password } => {
            let mut user = find(&name).ok_or(UserError::Unknown(name))?;
            let told = set_password(&mut user, password, ask)?;
            (user, told)
        }
        Command::Totp { name, remove } => {
            let mut user = find(&name).ok_or(UserError::Unknown(name))?;
            let told = if remove {
                user.totp = None;
                String::new()
            } else {
                enrol(&mut user)?
            };
            (user, told)
        }
    };
    Ok((Some(with_user(source, &user)?), told))
}

/// A user's line in the list; nothing secret.
fn row(user: &NewUser) -> String {
    let NewUser { name, password: _, email, display_name: _, groups, totp, disabled } = user;
    let email = email.as_deref().unwrap_or("-");
    let groups = if groups.is_empty() { "-".to_owned() } else { groups.join(",") };
    let codes = if totp.is_some() { "password+totp" } else { "password" };
    let state = if *disabled { "disabled" } else { "active" };
    format!("{name}\t{email}\t{groups}\t{codes}\t{state}\n")
}

fn enrol(user: &mut NewUser) -> Result<String, UserError> {
    let secret = TotpSecret::generate(&user.name)?;
    let told = format!("totp secret: {}\n{}\n", secret.base32(), secret.url()?);
    user.totp = Some(secret.base32());
    Ok(told)
}

fn set_password(user: &mut NewUser, from: PasswordFrom, ask: AskFor<'_>) -> Result<String, UserError> {
    let (password, told) = if from.generate {
        let password = Zeroizing::new(generate_password().map_err(UserError::Password)?);
        let told = format!("password: {}\n", *password);
        (password, told)
    } else {
        (ask(from)?, String::new())
    };
    strong(&password, user).map_err(UserError::Password)?;
    user.password = hash_password(&password).map_err(UserError::Password)?;
    Ok(told)
}

/// Refuses what is guessed in less than some 10^10 tries, with advice.
fn strong(password: &str, user: &NewUser) -> Result<(), String> {
    if password.len() > MAX_PASSWORD {
        return Err(format!("a password has at most {MAX_PASSWORD} bytes"));
    }
    let known = [Some(&user.name), user.email.as_ref(), user.display_name.as_ref()];
    let mut known: Vec<&str> = known
        .into_iter()
        .flatten()
        .flat_map(|text| text.split(['@', '.', ' ']).chain([text.as_str()]))
        .collect();
    known.push("tiergate");
    let found = zxcvbn::zxcvbn(password, &known);
    if found.score() >= zxcvbn::Score::Three {
        return Ok(());
    }
    let mut advice = String::from("the password is too easy to guess");
    if let Some(feedback) = found.feedback() {
        let warning = feedback.warning().map(|warning| warning.to_string());
        for told in warning.into_iter().chain(feedback.suggestions().iter().map(ToString::to_string)) {
            advice.push_str("\n  ");
            advice.push_str(&told);
        }
    }
    Err(advice)
}

/// From standard input, or typed twice on the terminal.
fn ask(from: PasswordFrom) -> Result<Zeroizing<String>, UserError> {
    if from.password_stdin {
        let mut text = Zeroizing::new(String::new());
        let limit = u64::try_from(MAX_PASSWORD).unwrap_or(u64::MAX).saturating_add(2);
        std::io::stdin().lock().take(limit).read_to_string(&mut text).map_err(UserError::Prompt)?;
        return Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()));
    }
    let first = Zeroizing::new(rpassword::prompt_password("Password: ").map_err(UserError::Prompt)?);
    let again = Zeroizing::new(rpassword::prompt_password("Again: ").map_err(UserError::Prompt)?);
    if first == again { Ok(first) } else { Err(UserError::Password("the two passwords differ".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: UserArgs,
    }

    fn run_on(source: &Source, password: &str, line: &str) -> Result<(Option<Source>, String), String> {
        let words = std::iter::once("user").chain(line.split(' '));
        let args = Line::try_parse_from(words).map_err(|error| error.kind().to_string())?.args;
        let mut ask = |_| Ok(Zeroizing::new(password.to_owned()));
        apply(source, args.command, &mut ask).map_err(|error| format!("{} {error}", error.code()))
    }

    fn empty() -> Source {
        Source { path: "users.yaml".into(), text: users_file::render(&[]) }
    }

    #[test]
    fn users_are_added_changed_and_listed() {
        let good = "entirely-unguessable-7-words";
        let (after, told) =
            run_on(&empty(), good, "add Ann@corp.example --group staff --group hr --totp").unwrap();
        let ann = after.unwrap();
        assert!(told.starts_with("totp secret: ") && told.contains("otpauth://totp/"), "{told}");
        assert!(!ann.text.contains(good));
        let (_, list) = run_on(&ann, "", "list").unwrap();
        assert_eq!(list, "ann@corp.example\tAnn@corp.example\tstaff,hr\tpassword+totp\tactive\n");
        let (after, told) = run_on(&ann, "", "passwd ann@corp.example --generate").unwrap();
        let after = after.unwrap();
        assert!(told.starts_with("password: "), "{told}");
        assert_ne!(after.text, ann.text);
        let (after, _) = run_on(&after, "", "totp ann@corp.example --remove").unwrap();
        let (_, list) = run_on(&after.unwrap(), "", "list").unwrap();
        assert_eq!(list, "ann@corp.example\tAnn@corp.example\tstaff,hr\tpassword\tactive\n");
    }

    #[test]
    fn a_mistake_in_a_file_is_shown_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tiergate.yaml");
        std::fs::write(&config, "version: 1\nlisten: { https: ['127.0.0.1:0'], htp: [] }\n").unwrap();
        let words = ["user", "list", "--config", config.to_str().unwrap()];
        let error = execute(Line::try_parse_from(words).unwrap().args).unwrap_err();
        let told = mistakes(&error);
        assert!(told.contains("tiergate.yaml:2:35") && told.contains("^^^"), "{told}");
    }

    #[test]
    fn the_first_user_makes_the_file_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.yaml");
        let run_in = |line: &str| {
            let words = std::iter::once("user").chain(line.split(' '));
            let args = Line::try_parse_from(words).unwrap().args;
            let mut ask = |_| Ok(Zeroizing::new("entirely-unguessable-7-words".to_owned()));
            change(path.clone(), args.command, &mut ask).map_err(|error| error.code())
        };
        assert_eq!(run_in("list"), Err(2));
        assert_eq!(run_in("passwd ann"), Err(2));
        assert!(!path.exists());
        assert_eq!(run_in("add ann").as_deref(), Ok(""));
        assert_eq!(run_in("add bob --group hr").as_deref(), Ok(""));
        assert_eq!(run_in("add bob"), Err(1));
        let list = run_in("list").unwrap();
        assert_eq!(list, "ann\t-\t-\tpassword\tactive\nbob\t-\thr\tpassword\tactive\n");
        std::fs::write(&path, "version: 1\nusers: [ann]\n").unwrap();
        assert_eq!(run_in("add eve"), Err(1));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "version: 1\nusers: [ann]\n");
    }

    #[test]
    fn what_is_wrong_changes_nothing_and_has_its_exit_code() {
        let (after, _) = run_on(&empty(), "entirely-unguessable-7-words", "add ann").unwrap();
        let ann = after.unwrap();
        for (line, password, want) in [
            ("add ANN", "entirely-unguessable-7-words", "1 there is a user `ANN` already"),
            ("add bob", "password1", "1 the password is too easy to guess\n"),
            ("add bob.builder@corp.example", "bob.builder", "1 the password is too easy to guess\n"),
            ("add bob", "", "1 the password is too easy to guess"),
            ("add a,b", "entirely-unguessable-7-words", "1 the change is not accepted"),
            ("add bob --email b@b@b", "entirely-unguessable-7-words", "1 the change is not accepted"),
            ("passwd bob", "entirely-unguessable-7-words", "1 there is no user `bob`"),
            ("totp bob", "", "1 there is no user `bob`"),
            ("add bob --generate --password-stdin", "", "one or more"),
            ("add bob --password hunter2", "", "unexpected argument"),
            ("drop bob", "", "unrecognized subcommand"),
        ] {
            let got = run_on(&ann, password, line).unwrap_err();
            assert!(got.contains(want), "{line}: {got}");
        }
    }

    #[test]
    fn advice_goes_with_a_weak_password() {
        let error = run_on(&empty(), "qwerty123", "add ann").unwrap_err();
        assert!(error.lines().count() > 1, "{error}");
    }
}
