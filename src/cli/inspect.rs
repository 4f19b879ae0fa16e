//! `tiergate device inspect`: what tiergate would make of a certificate, without a running process.

use super::policies::{CommandError, Format, json};
use crate::config;
use crate::device::{InspectError, Inspection, Verdict, inspect};
use crate::diagnostic::causes;
use crate::diagnostic::render_all;
use crate::pages::explain;
use crate::policy_files;
use crate::text::date;
use clap::Args;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

/// No file with a chain is larger.
const MOST_BYTES: u64 = 1024 * 1024;

/// Say what tiergate would make of a certificate, and why.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The certificate, and behind it the intermediates that the client sends: PEM or DER, `-` for standard input.
    #[arg(value_name = "CERT")]
    certificate: PathBuf,
    /// When, such as `2027-01-31T09:00:00Z`. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// Runs the command: 0 where the certificate is believed, 1 where it is not.
///
/// # Errors
/// The certificate, the configuration or a file that it names cannot be read.
pub fn run(
    arguments: &InspectArgs,
    config: &Path,
    format: Format,
    now: OffsetDateTime,
) -> Result<(String, u8), CommandError> {
    let now = match &arguments.at {
        None => now.unix_timestamp(),
        Some(text) => {
            date::parse_time(text).map_err(|error| CommandError::Usage(format!("--at: {error}")))?
        }
    };
    let chain = chain(&arguments.certificate)?;
    let source = policy_files::read_file(config.to_owned())?;
    let findings = |found: &[crate::diagnostic::Diagnostic]| {
        CommandError::Usage(render_all(found, std::slice::from_ref(&source), false))
    };
    let config = config::resolve(&source).map_err(|found| findings(&found))?;
    let inspection = inspect(&chain, &config.authorities, &config.trust_domains, now);
    let inspection = match inspection {
        Ok(inspection) => inspection,
        Err(InspectError::Authorities(found)) => return Err(findings(&found)),
        Err(error @ InspectError::Certificate(_)) => {
            let text = match format {
                Format::Human => format!("{}\n", causes(&error)),
                Format::Json => json(&serde_json::json!({ "error": causes(&error) }))?,
            };
            return Ok((text, 1));
        }
    };
    let believed = inspection.judged.reason.is_none() && inspection.judged.kind != "nothing";
    let text = match format {
        Format::Human => human(&inspection),
        Format::Json => json(&inspection)?,
    };
    Ok((text, u8::from(!believed)))
}

/// Reads the certificates of a file. A private key beside them is passed over.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CommandError> {
    let failed = |source| CommandError::Log { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let reading: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    reading.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.first() == Some(&0x30) {
        return Ok(vec![CertificateDer::from(bytes)]);
    }
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) | Err(_) => {
            Err(CommandError::Usage(format!("`{}` holds no certificate, PEM or DER", path.display())))
        }
    }
}

fn human(inspection: &Inspection) -> String {
    let Inspection {
        subject,
        issuer,
        serial,
        not_before,
        not_after,
        key,
        sha256,
        names,
        authorities,
        judged,
    } = inspection;
    let mut text = String::new();
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("{} {}", name.place, name.name.as_deref().unwrap_or("(double or malformed)")))
        .collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let facts = [
        ("subject", subject),
        ("issuer", issuer),
        ("serial", serial),
        ("valid", &format!("{not_before} to {not_after}")),
        ("key", key),
        ("sha256", sha256),
        ("names", &names),
    ];
    for (name, value) in facts {
        let _ = writeln!(text, "{name:<8} {value}");
    }
    text.push('\n');
    for verdict in authorities {
        let authority = verdict.authority.as_deref().unwrap_or_default();
        let _ = writeln!(text, "{authority}: {}", said(verdict));
    }
    let by = match &judged.authority {
        Some(authority) => format!(", by `{authority}`"),
        None => String::new(),
    };
    let _ = writeln!(text, "\nin all: {}{by}", said(judged));
    if let Some(reason) = judged.reason {
        let words = explain(reason);
        let _ = writeln!(text, "{}. {}", words.title, words.security);
    }
    text
}

fn said(verdict: &Verdict) -> String {
    let named = verdict.id.as_deref().map_or_else(String::new, |id| format!(" `{id}`"));
    match (verdict.kind, verdict.reason) {
        ("workload", _) => format!("the workload{named}"),
        ("nothing", Some(reason)) => format!("not believed: {reason}"),
        ("nothing", None) => "not believed".to_owned(),
        (_, None) => format!("the device{named}, trusted as `{}`", verdict.trust),
        (_, Some(reason)) => format!("the device{named}, trusted as `{}`: {reason}", verdict.trust),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Estate, Options};

    /// What the command says of a file of a demo's, and its exit code.
    fn inspected(folder: &Path, file: &str, at: Option<&str>, format: Format) -> (String, u8) {
        let arguments = InspectArgs { certificate: folder.join(file), at: at.map(str::to_owned) };
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        match run(&arguments, &folder.join("tiergate.yaml"), format, now) {
            Ok(answer) => answer,
            Err(error) => (error.to_string(), 2),
        }
    }

    #[test]
    fn a_certificate_is_told_with_what_each_authority_makes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("demo");
        let (listen, admin) = ("127.0.0.1:8443".parse().unwrap(), "127.0.0.1:9901".parse().unwrap());
        Estate::prepare(&Options { folder: dir.clone(), listen, admin }, 1_800_000_000).unwrap();
        std::fs::write(dir.join("certs/junk.pem"), "no certificate").unwrap();
        std::fs::write(dir.join("certs/junk.der"), [0x30, 0x03, 1, 1, 1]).unwrap();
        for (file, at, code, says) in [
            (
                "issued.pem",
                None,
                0,
                &[
                    "corporate: the device `issued`, trusted as `issued`",
                    "mdm: not believed: device_untrusted",
                    "in all: the device `issued`, trusted as `issued`, by `corporate`",
                ][..],
            ),
            ("enrolled.pem", None, 0, &["in all: the device `enrolled`, trusted as `enrolled`, by `mdm`"]),
            ("revoked.pem", None, 1, &["trusted as `none`: device_revoked", "no longer trusted"]),
            ("expired.pem", None, 1, &["trusted as `none`: device_expired"]),
            ("issued.pem", Some("2126-01-01T00:00:00Z"), 1, &["device_expired"]),
            ("service.pem", None, 0, &["the workload `spiffe://"]),
            ("server.pem", None, 1, &["in all: not believed: device_no_client_auth"]),
            ("issued.key", None, 2, &["holds no certificate"]),
            ("junk.pem", None, 2, &["holds no certificate"]),
            ("junk.der", None, 1, &["a handshake with it ends: a certificate cannot be parsed"]),
            ("nothing.pem", None, 2, &["cannot read"]),
            ("issued.pem", Some("tomorrow"), 2, &["--at"]),
        ] {
            let (text, got) = inspected(&dir, &format!("certs/{file}"), at, Format::Human);
            assert_eq!(got, code, "{file}: {text}");
            for said in says {
                assert!(text.contains(said), "{file}: `{said}` is missing:\n{text}");
            }
        }
        let (text, _) = inspected(&dir, "certs/revoked.pem", None, Format::Json);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["judged"]["reason"], "device_revoked");
        assert_eq!(document["judged"]["trust"], "none");
        assert_eq!(document["names"][0]["name"], "revoked");
    }
}
