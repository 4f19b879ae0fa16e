//! `tiergate device`: what the running process knows of devices, and what the API says of them.

use super::UNUSABLE;
use super::admin_client::{AdminClient, Answer, ClientError};
use super::device_words::{Told, imported, now, row};
use super::inspect::{self, InspectArgs};
use super::policies::{CommandError, Format, finish, json as pretty};
use crate::access::{DeviceTrust, Ownership, State};
use crate::admin::Comment;
use crate::audit;
use crate::diagnostic::causes;
use crate::inventory::MOST_LINE_BYTES;
use crate::text::name::{DEVICE_ID_RULE, is_device_id};
use clap::{Args, Subcommand, ValueEnum};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// List and change what the running process knows of devices.
///
/// Exits 0 when it was done, 1 when it was refused or the device is not known, 2 when the process could not
/// be asked.
#[derive(Args, Debug)]
pub struct DeviceArgs {
    /// The configuration that the process runs with
    #[arg(long, global = true, value_name = "FILE", default_value = "tiergate.yaml")]
    config: PathBuf,
    /// For people, or as one JSON document
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Call(Call),
    /// Say what tiergate would make of a certificate, without a running process
    Inspect(InspectArgs),
}

/// What the running process is asked for.
#[derive(Debug, Subcommand)]
enum Call {
    /// List the devices that are known: id, state, ownership, most trust and owner, separated by tabs
    List {
        /// In this state only; a device of which nothing is said is active
        #[arg(long, value_parser = state)]
        state: Option<State>,
        /// With this as the most that it is trusted, ownership included
        #[arg(long, value_parser = trust)]
        trust: Option<DeviceTrust>,
        /// In these hands only
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
    },
    /// Show what is known of a device, and what each source says
    Show {
        /// The device, as its certificate names it
        #[arg(value_parser = device)]
        id: String,
    },
    /// Have the API say something of a device; what the other sources say counts too
    Set {
        /// The device, as its certificate names it
        #[arg(value_parser = device)]
        id: String,
        #[command(flatten)]
        said: Said,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: Option<Comment>,
    },
    /// Have the API say what these records say: all of them or none
    Import {
        /// One JSON object a line, or a JSON list of them; `-` is standard input
        file: PathBuf,
        /// Take the other lines where some have mistakes
        #[arg(long)]
        skip_bad_lines: bool,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: Option<Comment>,
    },
    /// Refuse a device at every tier from now on: its state is `retired`, or stays `lost`
    Revoke {
        /// The device, as its certificate names it
        #[arg(value_parser = device)]
        id: String,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: Option<Comment>,
    },
}

/// What the API shall say.
#[derive(Args, Clone, Debug, Default)]
#[group(required = true, multiple = true)]
struct Said {
    /// active, quarantined, retired or lost
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// corporate or personal
    #[arg(long, value_parser = ownership)]
    ownership: Option<Ownership>,
    /// Whose hands it is in: a user name or an e-mail address
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// The most that it is trusted: none, enrolled or issued
    #[arg(long, value_parser = trust)]
    trust: Option<DeviceTrust>,
    /// Anything worth knowing
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
    /// Take back what the API said of this; may be given again
    #[arg(long, value_enum, value_name = "KEY")]
    unset: Vec<Unset>,
}

/// What can be taken back.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Unset {
    State,
    Ownership,
    Owner,
    Trust,
    Notes,
}

impl Unset {
    const fn key(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Ownership => "ownership",
            Self::Owner => "owner",
            Self::Trust => "trust",
            Self::Notes => "notes",
        }
    }
}

impl Said {
    /// As a merge patch (RFC 7396).
    fn patch(&self) -> Map<String, Value> {
        let Self { state, ownership, owner, trust, notes, unset } = self;
        let taken_back = unset.iter().map(|unset| (unset.key(), Some(Value::Null)));
        let said = [
            ("state", state.map(|it| it.as_str().into())),
            ("ownership", ownership.map(|it| it.as_str().into())),
            ("owner", owner.as_deref().map(Into::into)),
            ("trust", trust.map(|it| it.as_str().into())),
            ("notes", notes.as_deref().map(Into::into)),
        ];
        let all = taken_back.chain(said);
        all.filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

fn one_of<T: Copy>(text: &str, words: impl Iterator<Item = (&'static str, T)> + Clone) -> Result<T, String> {
    let found = words.clone().find(|(word, _)| *word == text).map(|(_, value)| value);
    found.ok_or_else(|| format!("one of {}", words.map(|(word, _)| word).collect::<Vec<_>>().join(", ")))
}

fn state(text: &str) -> Result<State, String> {
    one_of(text, State::ALL.iter().map(|it| (it.as_str(), *it)))
}

fn ownership(text: &str) -> Result<Ownership, String> {
    one_of(text, Ownership::ALL.iter().map(|it| (it.as_str(), *it)))
}

fn trust(text: &str) -> Result<DeviceTrust, String> {
    one_of(text, DeviceTrust::ALL.into_iter().map(|it| (it.as_str(), it)))
}

fn device(text: &str) -> Result<String, String> {
    match text {
        // No address can name them: these stand for the folder and the one above, encoded or not.
        "." | ".." => Err("such a device is changed with `import` only".to_owned()),
        _ if is_device_id(text) => Ok(text.to_owned()),
        _ => Err(DEVICE_ID_RULE.to_owned()),
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum DeviceError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Answer(#[from] CommandError),
    #[error("cannot read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{path}` has more than {} MiB", MOST_LINE_BYTES >> 20)]
    TooLarge { path: PathBuf },
    #[error("`{path}` is neither JSON objects, one a line, nor a JSON list of them")]
    NotJson {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// Runs the command: the answer on stdout, everything else on stderr.
#[must_use]
pub fn run(args: &DeviceArgs) -> ExitCode {
    let call = match &args.command {
        Command::Call(call) => call,
        Command::Inspect(inspected) => {
            return finish(inspect::run(inspected, &args.config, args.format, audit::now()));
        }
    };
    match answer(args, call) {
        Ok(Told { text, code }) => {
            // A refusal is an answer too, for programs. A reader that goes away has read enough; the exit code
            // is still the answer.
            drop(match (code, args.format) {
                (0, _) | (1, Format::Json) => std::io::stdout().lock().write_all(text.as_bytes()),
                (_, _) => std::io::stderr().lock().write_all(text.as_bytes()),
            });
            ExitCode::from(code)
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "error: {}", causes(&error).trim_end());
            ExitCode::from(UNUSABLE)
        }
    }
}

fn answer(args: &DeviceArgs, call: &Call) -> Result<Told, DeviceError> {
    let client = AdminClient::of_config(&args.config)?;
    let format = args.format;
    match call {
        Call::List { state, trust, owner } => {
            let wanted = [
                ("state", state.map(State::as_str)),
                ("trust", trust.map(DeviceTrust::as_str)),
                ("owner", owner.as_deref()),
            ];
            list(&client, &wanted, format)
        }
        Call::Show { id } => {
            let answer = client.call(&Method::GET, &path(id, None), None)?;
            told(&answer, format, |body| {
                let body = pretty(body);
                body.unwrap_or_default()
            })
        }
        Call::Set { id, said, reason } => {
            let patch = said.patch();
            let keys: Vec<String> = patch.keys().cloned().collect();
            let answer = client.call(&Method::PATCH, &path(id, reason.as_ref()), Some(&patch.into()))?;
            told(&answer, format, |body| now(id, body, &keys))
        }
        Call::Revoke { id, reason } => {
            let before = client.call(&Method::GET, &path(id, None), None)?;
            let lost = before.body.pointer("/sources/api/state").is_some_and(|state| *state == "lost");
            // What is lost must not become merely retired.
            let state = if lost { State::Lost } else { State::Retired };
            let patch = json!({ "state": state.as_str() });
            let answer = client.call(&Method::PATCH, &path(id, reason.as_ref()), Some(&patch))?;
            told(&answer, format, |body| {
                let line = now(id, body, &[]);
                format!("{}; refused at every tier from now on\n", line.trim_end())
            })
        }
        Call::Import { file, skip_bad_lines, reason } => {
            let lines = read(file)?;
            let mut query = Query::default();
            query.add("skip_bad_lines", skip_bad_lines.then_some("true"));
            query.add("reason", reason.as_ref().map(Comment::as_str));
            let answer = client.send_lines(&format!("/api/v1/devices/import{}", query.0), lines)?;
            told(&answer, format, imported)
        }
    }
}

/// Every page of the list.
fn list(client: &AdminClient, wanted: &[(&str, Option<&str>)], format: Format) -> Result<Told, DeviceError> {
    let mut devices = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = Query::default();
        query.add("limit", Some("1000"));
        query.add("after", after.as_deref());
        for (key, value) in wanted {
            query.add(key, *value);
        }
        let Answer { status, mut body } =
            client.call(&Method::GET, &format!("/api/v1/devices{}", query.0), None)?;
        if status != 200 {
            return told(&Answer { status, body }, format, |_| String::new());
        }
        if let Some(Value::Array(page)) = body.get_mut("devices") {
            devices.append(page);
        }
        match body.get("next").and_then(Value::as_str) {
            Some(next) if after.as_deref() != Some(next) => after = Some(next.to_owned()),
            Some(_) | None => break,
        }
    }
    let text = match format {
        Format::Human => devices.iter().map(row).collect(),
        Format::Json => pretty(&devices)?,
    };
    Ok(Told { text, code: 0 })
}

fn told(answer: &Answer, format: Format, human: impl FnOnce(&Value) -> String) -> Result<Told, DeviceError> {
    Ok(match (answer.status, format) {
        (200, Format::Human) => Told { text: human(&answer.body), code: 0 },
        (200, Format::Json) => Told { text: pretty(&answer.body)?, code: 0 },
        (_, Format::Human) => Told::refused(answer),
        (_, Format::Json) => Told { text: pretty(&answer.body)?, ..Told::refused(answer) },
    })
}

/// What stands behind a path.
#[derive(Default)]
struct Query(String);

impl Query {
    fn add(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(key);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
}

fn path(id: &str, reason: Option<&Comment>) -> String {
    let mut query = Query::default();
    query.add("reason", reason.map(Comment::as_str));
    format!("/api/v1/devices/{}{}", utf8_percent_encode(id, NON_ALPHANUMERIC), query.0)
}

/// The records of a file, one a line.
fn read(file: &Path) -> Result<Vec<u8>, DeviceError> {
    let failed = |source| DeviceError::Read { path: file.to_owned(), source };
    let most = u64::try_from(MOST_LINE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let open = std::fs::File::open(file).map_err(failed)?;
        open.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() > MOST_LINE_BYTES {
        return Err(DeviceError::TooLarge { path: file.to_owned() });
    }
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Ok(bytes);
    }
    let list: Vec<&RawValue> = serde_json::from_slice(&bytes)
        .map_err(|source| DeviceError::NotJson { path: file.to_owned(), source })?;
    let mut lines = Vec::with_capacity(bytes.len());
    for record in list {
        // JSON has line ends between its tokens only.
        lines
            .extend(record.get().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
        lines.push(b'\n');
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
