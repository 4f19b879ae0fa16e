//! `tiergate demo`: makes the estate, serves it in the foreground, and says what to try.

use crate::access::Timestamp;
use crate::demo::{Estate, HOSTS, Options, check, upstream};
use crate::diagnostic::causes;
use clap::Args;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// How long the check waits for the proxy to answer.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Make a working estate in one folder and serve it on loopback.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// The folder; what is there is kept.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    pub dir: PathBuf,
    /// Where the proxy listens; loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// Where health, metrics and API listen; loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    pub admin: SocketAddr,
    /// Walk every tier with every device, print what was seen, and exit 0 if it is the tier rule.
    #[arg(long)]
    pub check: bool,
}

/// Runs the demo until a signal ends it, or the check until it is done.
///
/// Exits 0; 1 where the check saw something else than the rule; 2 where there was nothing to run.
#[must_use]
pub fn run(args: DemoArgs) -> ExitCode {
    let DemoArgs { dir, listen, admin, check } = args;
    for address in [listen, admin] {
        // Before anything is written: a demo that runs already reads the same files.
        if address.ip().is_loopback()
            && let Err(error) = TcpListener::bind(address)
        {
            let text = format!(
                "`{address}` cannot be listened on: {error}; beside a demo that runs already, another one needs \
                 `--dir`, `--listen` and `--admin` of its own"
            );
            return fail_with(&text);
        }
    }
    let options = Options { folder: dir, listen, admin };
    let estate = match Estate::prepare(&options, now()) {
        Ok(estate) => estate,
        Err(error) => return fail(&error),
    };
    if let Err(error) = serve_upstream(&estate) {
        return fail(&error);
    }
    if check { run_check(&estate) } else { run_demo(&estate) }
}

fn run_demo(estate: &Estate) -> ExitCode {
    let text = welcome(estate);
    let ready = Box::new(move || say(&text));
    match crate::server::serve(&estate.config, Some(ready)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run_check(estate: &Estate) -> ExitCode {
    let (started, wait) = mpsc::channel::<Result<(), String>>();
    let config = estate.config.clone();
    let ready = started.clone();
    // It ends with the process: the check is over when the answer is known.
    std::thread::spawn(move || {
        let on_ready = Box::new(move || drop(ready.send(Ok(()))));
        let ended = match crate::server::serve(&config, Some(on_ready)) {
            Ok(()) => "the proxy stopped".to_owned(),
            Err(error) => causes(&error),
        };
        drop(started.send(Err(ended)));
    });
    match wait.recv_timeout(START_TIMEOUT) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return fail_with(&error),
        Err(_) => return fail_with("the proxy did not start in time"),
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(check::walk(estate)) {
        Ok(rows) => {
            say(&check::table(&rows));
            if check::holds(&rows) {
                say("This is the tier rule.\n");
                ExitCode::SUCCESS
            } else {
                say("This is not the tier rule.\n");
                ExitCode::FAILURE
            }
        }
        Err(error) => fail(&error),
    }
}

/// The demo service, on a thread and a runtime of its own, until the process ends.
fn serve_upstream(estate: &Estate) -> std::io::Result<()> {
    let listener = estate.upstream.try_clone()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    std::thread::Builder::new().name("demo-upstream".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(upstream::serve(listener)) {
            tracing::error!(%error, "the demo service stopped");
        }
    })?;
    Ok(())
}

/// What to open and what to try.
fn welcome(estate: &Estate) -> String {
    let Estate { folder, listen, admin, pki, .. } = estate;
    let (port, folder_shown) = (listen.port(), folder.display());
    let certs = format!("{folder_shown}/certs");
    let file = |name: &str| quoted(&format!("{certs}/{name}"));
    let mut text = String::from("\ntiergate demo\n\n");
    for (host, tier) in HOSTS {
        let _ = writeln!(text, "  {:<5} https://{host}:{port}/", tier.as_str());
    }
    let _ = write!(
        text,
        "  admin http://{admin}/readyz (the API's token is in {folder_shown}/admin.token)\n\n\
         Users and passwords: {folder_shown}/passwords.txt\n\
         For a browser: believe {certs}/ca.pem, import {certs}/issued.p12 or enrolled.p12;\n\
         their password: {}\n\nThree commands to try:\n\n",
        pki.p12_password
    );
    let curl = |host: &str, device: Option<&str>| {
        let device = device.map_or(String::new(), |name| {
            format!(" --cert {} --key {}", file(&format!("{name}.pem")), file(&format!("{name}.key")))
        });
        let address = listen.ip();
        let address = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        format!(
            "curl --cacert {} --resolve {host}:{port}:{address}{device} https://{host}:{port}/headers",
            file("ca.pem")
        )
    };
    for (what, command) in [
        (
            "a service that a rule lists: 200, with what the upstream was told",
            curl("payroll.localhost", Some("service")),
        ),
        ("the same service where no rule lists it: 403", curl("tickets.localhost", Some("service"))),
        ("a company-issued device, but nobody signed in: 401", curl("payroll.localhost", Some("issued"))),
    ] {
        let _ = writeln!(text, "  # {what}\n  {command}\n");
    }
    text.push_str("Ctrl-C ends it; run again, it keeps what is there.\n");
    text
}

/// A path as a shell takes it for one word.
pub(super) fn quoted(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@%".contains(&byte);
    if path.bytes().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// The clock is read here and handed on.
#[expect(clippy::disallowed_methods, reason = "a command is the edge, where clocks are read")]
fn now() -> Timestamp {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

/// Standard output may be closed: then nobody reads it, and that is no failure of the demo.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

fn fail(error: &dyn Error) -> ExitCode {
    fail_with(&causes(error))
}

fn fail_with(text: &str) -> ExitCode {
    let mut err = std::io::stderr().lock();
    drop(writeln!(err, "error: {text}"));
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        demo: DemoArgs,
    }

    #[test]
    fn the_defaults_are_those_that_are_documented() {
        let DemoArgs { dir, listen, admin, check } = Cli::parse_from(["demo"]).demo;
        assert_eq!((dir.to_str(), check), (Some("target/demo"), false));
        assert_eq!(
            (listen.to_string(), admin.to_string()),
            ("127.0.0.1:8443".to_owned(), "127.0.0.1:9901".to_owned())
        );
    }

    #[test]
    fn a_second_demo_beside_a_running_one_touches_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let running = TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = folder.path().join("demo");
        let args = DemoArgs {
            dir: dir.clone(),
            listen: running.local_addr().unwrap(),
            admin: "127.0.0.1:0".parse().unwrap(),
            check: true,
        };
        assert_eq!(format!("{:?}", run(args)), format!("{:?}", ExitCode::from(2)));
        assert!(!dir.exists());
    }

    #[test]
    fn a_path_stays_one_word() {
        for (path, want) in
            [("target/demo", "target/demo"), ("/a b", "'/a b'"), ("/it's", "'/it'\\''s'"), ("/$x", "'/$x'")]
        {
            assert_eq!(quoted(path), want);
        }
    }

    #[test]
    fn it_says_what_to_open_and_what_to_try_and_no_password_of_a_person() {
        let folder = tempfile::tempdir().unwrap();
        let address = |text: &str| text.parse().unwrap();
        let options = Options {
            folder: folder.path().to_owned(),
            listen: address("[::1]:8443"),
            admin: address("127.0.0.1:9901"),
        };
        let estate = Estate::prepare(&options, 1_800_000_000).unwrap();
        let text = welcome(&estate);
        assert_eq!(text.matches("  curl --cacert").count(), 3, "{text}");
        assert!(text.contains("https://wiki.localhost:8443/") && text.contains(&estate.pki.p12_password));
        assert!(text.contains("--resolve payroll.localhost:8443:[::1] --cert"));
        assert!(!text.contains(&estate.password("admin@corp.example").unwrap().unwrap()));
    }
}
