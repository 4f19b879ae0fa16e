//! Logs on stderr, as text or JSON lines.
//!
//! Records of the `log` crate, which the proxy framework writes, arrive in the same stream.

use crate::config::Logs;
use std::io::{self, IsTerminal};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The environment variable whose filter goes before the one in `tiergate.yaml`.
pub const FILTER_VARIABLE: &str = "TIERGATE_LOG";

/// Logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter does not parse.
    #[error("`{filter}` is no log filter such as `info` or `info,tiergate=debug`")]
    Filter {
        /// The filter as it was written.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Logs are set up already.
    #[error("logs are set up already")]
    Twice(#[source] TryInitError),
}

/// Sends what `tracing` and `log` record to stderr from now on. Once a process.
///
/// # Errors
/// A filter that does not parse, or a second call.
pub fn init(logs: &Logs) -> Result<(), LogsError> {
    let filter = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| logs.filter.clone());
    let filter = parse(&filter)?;
    let colours = io::stderr().is_terminal();
    let subscriber =
        tracing_subscriber::registry().with(layer(logs.json, colours, io::stderr).with_filter(filter));
    subscriber.try_init().map_err(LogsError::Twice)
}

fn parse(filter: &str) -> Result<EnvFilter, LogsError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LogsError::Filter { filter: filter.to_owned(), source })
}

fn layer<S, W>(json: bool, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Internal errors would be reported with `eprintln!`, which panics where stderr is closed.
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours && !json)
        .log_internal_errors(false);
    if json {
        layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        layer.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A stderr that was closed.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn written(json: bool, what: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::registry().with(layer(json, false, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, what);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_a_client_sent_stays_in_one_line() {
        let hostile = "a\nb\r\u{1b}[31m\"c";
        for json in [true, false] {
            let text = written(json, || tracing::warn!(path = hostile, "refused"));
            assert_eq!(text.lines().count(), 1, "{text:?}");
            assert!(!text.contains('\u{1b}'), "{text:?}");
            if json {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["path"], hostile);
                assert_eq!(value["message"], "refused");
                assert_eq!(value["level"], "WARN");
            }
        }
    }

    #[test]
    fn a_closed_stderr_costs_nothing_but_the_line() {
        for json in [true, false] {
            let subscriber = tracing_subscriber::registry().with(layer(json, false, || Closed));
            tracing::subscriber::with_default(subscriber, || tracing::error!("nobody reads this"));
        }
    }

    #[test]
    fn a_filter_parses_or_is_named_in_the_error() {
        for (filter, good) in
            [("info", true), ("info,tiergate=debug", true), ("tiergate=loud", false), ("=,=", false)]
        {
            assert_eq!(parse(filter).is_ok(), good, "{filter}");
        }
        let error = parse("tiergate=loud").unwrap_err().to_string();
        assert!(error.contains("`tiergate=loud`"), "{error}");
    }
}
