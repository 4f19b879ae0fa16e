//! What people read: the pages, the problem documents and the words in both.
//!
//! Every page is a struct whose `render` cannot fail. All share one layout (`templates/base.html`):
//! no JavaScript, nothing from another host, readable in light and dark, on paper and 320 pixels
//! wide.
//!
//! Invariants: whatever comes from outside is escaped by askama or passes [`href`]; the only inline
//! style is [`STYLE`], which [`csp`] names by its hash; a page tells of the policy no more than the
//! person needs to act.

mod denial;
mod explain;
mod my_access;
mod posture;
mod problem;
mod sign_in;
#[cfg(test)]
mod tests;
mod words;

pub use denial::{Action, DenialPage, DeviceView};
pub use explain::{Explanation, explain, step};
pub use my_access::{Lacking, MyAccess, RecordView, Row, RowState, SessionView};
pub use posture::{out_of_use, remedy, system};
pub use problem::problem;
pub use sign_in::{
    LocalUsersOf, LogoutConfirm, Problem, ProviderButton, SignIn, SignedIn, SignedOut, StepUp, StepUpMode,
    Totp,
};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::sync::LazyLock;

/// The one style sheet, inlined into every page.
pub const STYLE: &str = include_str!("../../templates/style.css");

/// Shown where a template fails: it never should, and a person still gets an answer.
const PLAIN: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <title>Something went wrong · tiergate</title></head><body><main><h1>Something went wrong</h1>\
    <p>The page could not be shown. Nothing was forwarded. Please try again.</p></main></body></html>";

static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| BASE64_STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes())));

/// The `Content-Security-Policy` of every page: nothing but our own style, and forms that post to
/// this host.
///
/// A browser applies `form-action` to the redirect after a POST as well, so a page whose form ends
/// on other hosts names their origins (`https://tickets.corp.example`) here. What is not an https
/// origin is left out: it could otherwise end the directive and start another.
#[must_use]
pub fn csp(form_targets: &[&str]) -> String {
    let mut policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'self'",
        *STYLE_HASH
    );
    for target in form_targets.iter().filter(|target| is_origin(target)) {
        policy.push(' ');
        policy.push_str(target);
    }
    policy
}

/// `https://` and a host, with or without a port.
fn is_origin(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|host| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b))
    })
}

/// A link that is safe to show: a path on this host, an https address or a mail address.
/// Anything else, such as `javascript:`, becomes `#`.
#[must_use]
pub fn href(link: &str) -> &str {
    // A browser drops tabs and line ends inside an address and takes `\` for `/`, so `/\t/host`
    // and `/\host` would leave this host.
    let odd = link.bytes().any(|b| b.is_ascii_control() || b == b'\\');
    let here = link.starts_with('/') && !link.starts_with("//");
    if !odd && (here || link.starts_with("https://") || link.starts_with("mailto:")) { link } else { "#" }
}

/// The page, or the plain one where the template failed.
fn finish(rendered: askama::Result<String>) -> String {
    rendered.unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be rendered");
        PLAIN.to_owned()
    })
}
