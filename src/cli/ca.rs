//! `tiergate ca`: a development authority pair, for people who try tiergate without a PKI of their own.

use super::UNUSABLE;
use super::demo::quoted;
use super::policies::{CommandError, Format, json};
use crate::access::Timestamp;
use crate::development_ca::{
    CaError, DeviceAuthority, DeviceName, Folder, Issued, Listed, Lives, NOT_FOR_PRODUCTION, Order, Revoked,
    Revoking, Serial, is_path,
};
use crate::diagnostic::causes;
use crate::text::date;
use clap::builder::TypedValueParser as _;
use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Args, Subcommand};
use serde_json::{Value, json as document};
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What every answer says.
const NOTICE: &str = "This is a development authority: its private keys lie beside its certificates, in plain files. \
                      Never let a production tiergate trust it.";
/// A password is no longer, nor shorter.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=128;

/// A small pair of device authorities for DEVELOPMENT, not for production.
///
/// `corporate` stands for the authority of devices that the company issued (`grants: issued`), `mdm` for
/// that of an MDM (`grants: enrolled`). Their private keys are plain files in the folder, and every
/// certificate says "tiergate development, not for production" in its subject. docs/devices.md tells how
/// real devices get real certificates.
///
/// Exits 0 when it is done, 1 when what was asked for is refused, 2 when it could not be tried.
#[derive(Args, Debug)]
#[command(after_help = NOTICE)]
pub struct CaArgs {
    /// The folder of the certificates, such as that of a demo: `target/demo/certs`
    #[arg(long, global = true, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// For people, or the answer as one JSON document
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make both authorities, with an empty revocation list each
    #[command(after_help = NOTICE)]
    Init {
        /// For how many days the authorities are good
        #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = days(3650))]
        days: u16,
        /// For how many days the revocation lists are good
        #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = days(365))]
        crl_days: u16,
        /// Replace the authorities that are there: whatever they issued is worth nothing then
        #[arg(long)]
        force: bool,
    },
    /// Issue a certificate to a device: NAME.pem, NAME.key, and NAME.p12 for browsers
    #[command(after_help = NOTICE)]
    Issue {
        /// The device's id, and the name of the files
        name: DeviceName,
        /// Who issues it, and so how far the device is trusted
        #[arg(long, value_name = "AUTHORITY", value_parser = authority())]
        authority: DeviceAuthority,
        /// For how many days it is good; never longer than its authority
        #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = days(825))]
        days: u16,
        /// The file whose first line is the password of NAME.p12; otherwise one is made and printed once
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Replace what was issued under this name; that stays good until it ends or is revoked
        #[arg(long)]
        force: bool,
    },
    /// Put a certificate on its authority's revocation list; again changes nothing
    #[command(after_help = NOTICE)]
    Revoke {
        /// The device whose NAME.pem is in the folder, or the certificate as a file
        #[arg(value_name = "NAME|FILE.pem", required_unless_present = "serial", conflicts_with_all = ["serial", "authority"])]
        what: Option<String>,
        /// The certificate's serial number in hexadecimal, where there is no file of it any more
        #[arg(long, value_name = "HEX", requires = "authority")]
        serial: Option<Serial>,
        /// The authority that issued this serial number
        #[arg(long, value_name = "AUTHORITY", requires = "serial", value_parser = authority())]
        authority: Option<DeviceAuthority>,
        /// For how many days the new list is good
        #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = days(365))]
        crl_days: u16,
    },
    /// Write both revocation lists anew, with what is on them and a later end
    #[command(after_help = NOTICE)]
    Crl {
        /// For how many days they are good
        #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = days(365))]
        days: u16,
    },
}

fn days(most: i64) -> ValueParser {
    clap::value_parser!(u16).range(1..=most).into()
}

fn authority() -> ValueParser {
    let names = PossibleValuesParser::new(DeviceAuthority::ALL.map(DeviceAuthority::name));
    names.try_map(|name| DeviceAuthority::by_name(&name).ok_or("no such authority")).into()
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error("{0}")]
    Usage(String),
    #[error("cannot read `{0}`")]
    Password(PathBuf, #[source] io::Error),
    #[error("the first line of `{0}` is no password: it has 8 to 128 printable ASCII characters")]
    WeakPassword(PathBuf),
    #[error(transparent)]
    Answer(#[from] CommandError),
}

impl RunError {
    const fn code(&self) -> u8 {
        match self {
            Self::Ca(
                CaError::Exists(_)
                | CaError::Foreign(_)
                | CaError::NoAuthority(_)
                | CaError::Ended(_)
                | CaError::NoList(_)
                | CaError::NoCertificate(_)
                | CaError::Stranger(_),
            )
            | Self::WeakPassword(_) => 1,
            Self::Ca(
                CaError::File(..)
                | CaError::Describe(_)
                | CaError::Make(_)
                | CaError::P12(_)
                | CaError::Random,
            )
            | Self::Usage(_)
            | Self::Password(..)
            | Self::Answer(_) => UNUSABLE,
        }
    }
}

/// Runs the command: what was made on stdout, errors on stderr.
#[must_use]
pub fn run(args: &CaArgs) -> ExitCode {
    match answer(args, now()) {
        Ok(text) => {
            // A reader that goes away has read enough; what was asked for is done.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "error: {}", causes(&error));
            ExitCode::from(error.code())
        }
    }
}

fn answer(args: &CaArgs, now: Timestamp) -> Result<String, RunError> {
    let CaArgs { dir, format, command } = args;
    let (human, machine) = match command {
        Command::Init { days, crl_days, force } => {
            let lives = Lives { authority: *days, list: *crl_days };
            let until = Folder::make(dir)?.init(lives, *force, now)?;
            tell_init(dir, until)
        }
        Command::Issue { name, authority, days, password_file, force } => {
            let given = password_file.as_deref().map(password).transpose()?;
            let order = Order {
                name,
                authority: *authority,
                days: *days,
                password: given.as_deref(),
                replace: *force,
            };
            tell_issued(dir, &order, &Folder::open(dir)?.issue(&order, now)?)
        }
        Command::Revoke { what, serial, authority, crl_days } => {
            let what = revoking(what.as_deref(), serial.as_ref(), *authority)?;
            tell_revoked(&Folder::open(dir)?.revoke(&what, *crl_days, now)?)
        }
        Command::Crl { days } => tell_lists(&Folder::open(dir)?.renew_lists(*days, now)?),
    };
    match format {
        Format::Human => Ok(format!("{human}\n{NOTICE}\n")),
        Format::Json => Ok(json(&with_notice(machine))?),
    }
}

fn with_notice(mut machine: Value) -> Value {
    if let Some(object) = machine.as_object_mut() {
        object.insert("notice".to_owned(), NOT_FOR_PRODUCTION.into());
    }
    machine
}

fn tell_init(dir: &Path, until: Timestamp) -> (String, Value) {
    let mut text = String::new();
    let mut rows = Vec::new();
    let mut lines = String::from("devices:\n  authorities:\n");
    for authority in DeviceAuthority::ALL {
        let (name, grants) = (authority.name(), authority.grants().as_str());
        let file = |file: &str| dir.join(file).display().to_string();
        let (ca, key) =
            (file(&format!("{}.pem", authority.file())), file(&format!("{}.key", authority.file())));
        let crl = file(authority.crl());
        let _ = writeln!(text, "{ca}, {key}, {crl}");
        let _ = writeln!(
            lines,
            "    - {{ name: {name}, ca: {}, grants: {grants}, crl: {} }}",
            in_yaml(&ca),
            in_yaml(&crl)
        );
        rows.push(document!({ "name": name, "grants": grants, "ca": ca, "key": key, "crl": crl }));
    }
    let _ = write!(
        text,
        "Good until {}. In tiergate.yaml, where paths count from the file's own folder:\n\n{lines}\n\
         Next: tiergate ca issue NAME --authority corporate --dir {}\n",
        date::show(until),
        quoted(&dir.display().to_string())
    );
    let machine = document!({ "authorities": rows, "until": date::show(until), "configuration": lines });
    (text, machine)
}

fn tell_issued(dir: &Path, order: &Order<'_>, issued: &Issued) -> (String, Value) {
    let Order { name, authority, .. } = order;
    let Issued { serial, until, certificate, key, p12, made_password, replaced } = issued;
    let (grants, until) = (authority.grants().as_str(), date::show(*until));
    let [certificate, key, p12] = [certificate, key, p12].map(|path| path.display().to_string());
    let password = match made_password {
        Some(password) => format!("its password, shown this once: {password}"),
        None => "its password is the one that you gave".to_owned(),
    };
    let mut text = format!(
        "{name}: {grants}, by {}, serial {serial}, good until {until}\n{certificate}, {key}\n\
         {p12} for browsers; {password}\n",
        authority.name()
    );
    if let Some((serial, issuer)) = replaced {
        let _ = writeln!(
            text,
            "The certificate that it replaces stays good until it ends, or:\n\
             tiergate ca revoke --serial {serial} --authority {} --dir {}",
            issuer.name(),
            quoted(&dir.display().to_string())
        );
    }
    let machine = document!({
        "device": name.as_str(),
        "authority": authority.name(),
        "grants": grants,
        "serial": serial.to_string(),
        "until": until,
        "certificate": certificate,
        "key": key,
        "p12": p12,
        "p12_password": made_password,
        "replaced": replaced.as_ref().map(|(serial, issuer)| {
            document!({ "serial": serial.to_string(), "authority": issuer.name() })
        }),
    });
    (text, machine)
}

fn tell_revoked(revoked: &Revoked) -> (String, Value) {
    let Revoked { serial, before, list } = revoked;
    let mut text = match before {
        Some(since) => {
            format!("Serial {serial} was revoked before, {}: nothing is changed\n", date::show(*since))
        }
        None => format!("Serial {serial} is revoked\n"),
    };
    text.push_str(&line(list));
    text.push_str("A running tiergate whose configuration names this list sees it within 2 s.\n");
    let machine = document!({
        "serial": serial.to_string(),
        "revoked_before": before.map(date::show),
        "list": row(list),
    });
    (text, machine)
}

fn tell_lists(lists: &[Listed]) -> (String, Value) {
    let rows: Vec<Value> = lists.iter().map(row).collect();
    (lists.iter().map(line).collect(), document!({ "lists": rows }))
}

fn line(list: &Listed) -> String {
    let Listed { authority: _, path, number, entries, until } = list;
    let what = if *entries == 1 { "certificate" } else { "certificates" };
    let until = date::show(*until);
    format!("{}: {entries} {what}, number {number}, good until {until}\n", path.display())
}

fn row(list: &Listed) -> Value {
    let Listed { authority, path, number, entries, until } = list;
    document!({
        "authority": authority.name(),
        "crl": path.display().to_string(),
        "number": number,
        "entries": entries,
        "until": date::show(*until),
    })
}

fn revoking(
    what: Option<&str>,
    serial: Option<&Serial>,
    authority: Option<DeviceAuthority>,
) -> Result<Revoking, RunError> {
    match (what, serial, authority) {
        (None, Some(serial), Some(authority)) => Ok(Revoking::Serial(serial.clone(), authority)),
        (Some(text), None, None) if is_path(text) => Ok(Revoking::File(PathBuf::from(text))),
        (Some(text), None, None) => {
            let name = text.parse::<DeviceName>();
            name.map(Revoking::Device).map_err(|error| RunError::Usage(format!("`{text}`: {error}")))
        }
        (Some(_) | None, _, _) => {
            Err(RunError::Usage("name a device, a file, or a serial number with its authority".to_owned()))
        }
    }
}

/// The first line of a file, as a password that every key store takes.
fn password(path: &Path) -> Result<String, RunError> {
    let mut text = String::new();
    let most = u64::try_from(*PASSWORD_BYTES.end()).unwrap_or(u64::MAX).saturating_add(2);
    std::fs::File::open(path)
        .and_then(|file| file.take(most).read_to_string(&mut text))
        .map_err(|error| RunError::Password(path.to_owned(), error))?;
    let first = text.lines().next().unwrap_or_default();
    let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if PASSWORD_BYTES.contains(&first.len()) && first.bytes().all(plain) {
        Ok(first.to_owned())
    } else {
        Err(RunError::WeakPassword(path.to_owned()))
    }
}

/// A path as YAML takes it in a flow mapping.
fn in_yaml(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if path.bytes().all(plain) && !path.starts_with('-') {
        path.to_owned()
    } else {
        Value::from(path).to_string()
    }
}

/// The clock is read here and handed on.
#[expect(clippy::disallowed_methods, reason = "a command is the edge, where clocks are read")]
fn now() -> Timestamp {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

#[cfg(test)]
#[path = "ca_tests.rs"]
mod tests;
