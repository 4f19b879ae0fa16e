//! What went wrong in the framework, in the words of the reasons.

use super::scope::Scope;
use crate::access::Reason;
use pingora::{Error, ErrorSource, ErrorType};
use std::sync::atomic::Ordering;

/// What a fault of the framework's means to people.
pub(super) fn reason(error: &Error, scope: Option<&Scope>) -> Reason {
    let late = matches!(
        error.etype(),
        ErrorType::ConnectTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::TLSHandshakeTimedout
    );
    let broken = scope.is_some_and(|scope| scope.connection.broken_framing.load(Ordering::Relaxed));
    if broken {
        return Reason::AmbiguousRequest;
    }
    match error.esource() {
        ErrorSource::Upstream if late => Reason::UpstreamTimeout,
        ErrorSource::Upstream => Reason::UpstreamUnavailable,
        ErrorSource::Downstream if *error.etype() == ErrorType::ReadTimedout => Reason::RequestTimeout,
        ErrorSource::Downstream if *error.etype() == ErrorType::InvalidHTTPHeader => Reason::AmbiguousRequest,
        ErrorSource::Downstream => Reason::ClientAborted,
        ErrorSource::Internal | ErrorSource::Unset => Reason::InternalError,
    }
}
