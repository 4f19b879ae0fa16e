//! Who somebody is: local users, OpenID providers and bearer tokens of their issuers.
//!
//! Invariants: a person is known by (provider, subject) and never by an e-mail address; what a
//! provider says is bounded and cleaned before it leaves this folder; no password, code or token is
//! logged or kept; whatever cannot be verified is nobody.

pub mod bearer;
mod claims;
mod discovery;
mod exchange;
mod id_token;
mod jwks;
pub mod local;
pub mod oidc;
mod password;
mod roca;
mod settings;
pub mod throttle;
pub mod totp;
pub mod users_edit;
pub mod users_file;

#[cfg(test)]
pub(crate) mod tampering;
#[cfg(test)]
mod vector_tests;

pub use bearer::{Bearer, BearerError, BearerVerifier};
pub use local::{LocalUser, LocalUsers, verify_password};
pub use oidc::{Answer, Ask, Begun, OidcError, OidcProvider, Pending};
pub use password::Untried;
pub use throttle::{Throttle, Wait};

use crate::access::Timestamp;
use crate::config::{self, Config, ProviderKind};
use crate::diagnostic::{Diagnostic, Source};
use std::path::Path;
use std::sync::Arc;

/// The largest users file that is read.
const MAX_USERS_FILE: u64 = 8 * 1024 * 1024;

/// Who a provider says somebody is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identified {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The stable id at the provider: with `provider`, the identity.
    pub subject: String,
    /// What people and upstreams see: an e-mail address or a user name; printable ASCII.
    pub user: String,
    /// The e-mail address, only where the provider verified it.
    pub email: Option<String>,
    /// The name people call them by.
    pub name: Option<String>,
    /// Raw claim values or local groups.
    pub groups: Vec<String>,
    /// How they proved it (RFC 8176 where the provider does).
    pub amr: Vec<String>,
    /// More than one factor was used.
    pub mfa: bool,
    /// When they proved it; 0 where the provider does not say, so that a rule that asks for a recent
    /// sign-in asks again instead of believing an old one.
    pub auth_time: Timestamp,
}

/// All configured providers; cheap to share.
#[derive(Debug)]
pub struct Providers {
    providers: Vec<Provider>,
    bearer: BearerVerifier,
}

/// One configured provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its unique name.
    pub name: String,
    /// What people read on the sign-in page.
    pub title: String,
    /// What it is.
    pub kind: Kind,
}

/// What a provider is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Users in a file of tiergate's own.
    Local(Arc<LocalUsers>),
    /// An OpenID provider.
    Oidc(Arc<OidcProvider>),
}

impl Providers {
    /// Reads users files, secrets and authorities. An [`OidcProvider`] of `previous` whose
    /// configuration, secret and authorities are unchanged is kept, and its keys with it.
    ///
    /// # Errors
    ///
    /// Every mistake of every provider.
    pub fn load(config: &Config, previous: Option<&Self>) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let mut providers = Vec::new();
        for config::Provider { name, title, kind } in &config.identity.providers {
            let before = previous.and_then(|previous| previous.get(name));
            let kind = match kind {
                ProviderKind::Local { users } => read_users(users).map(|users| Kind::Local(Arc::new(users))),
                ProviderKind::Oidc(oidc) => {
                    let before = before.and_then(|before| match &before.kind {
                        Kind::Oidc(before) => Some(before),
                        Kind::Local(_) => None,
                    });
                    OidcProvider::load(name, oidc, before).map(Kind::Oidc)
                }
            };
            match kind {
                Ok(kind) => {
                    providers.push(Provider { name: name.clone(), title: title.clone(), kind });
                }
                Err(more) => mistakes.extend(more),
            }
        }
        if mistakes.is_empty() { Ok(Self::new(providers)) } else { Err(mistakes) }
    }

    /// Of providers that were made already.
    #[must_use]
    pub fn new(providers: Vec<Provider>) -> Self {
        let bearer = BearerVerifier::new(providers.iter().filter_map(|provider| match &provider.kind {
            Kind::Oidc(oidc) => Some(oidc),
            Kind::Local(_) => None,
        }));
        Self { providers, bearer }
    }

    /// In the order shown to people.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter()
    }

    /// The provider of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// Seconds since the keys of each OpenID provider were received; none of one that was not asked yet.
    pub fn keys_ages(&self, now: Timestamp) -> impl Iterator<Item = i64> {
        self.providers.iter().filter_map(move |provider| match &provider.kind {
            Kind::Oidc(oidc) => oidc.keys_age(now),
            Kind::Local(_) => None,
        })
    }

    /// Verifies bearer tokens of the issuers that have `bearer_audiences`.
    #[must_use]
    pub fn bearer(&self) -> &BearerVerifier {
        &self.bearer
    }
}

/// Reads and parses a users file.
///
/// # Errors
///
/// Every mistake in it.
pub fn read_users(path: &Path) -> Result<LocalUsers, Vec<Diagnostic>> {
    LocalUsers::parse(&read_users_text(path).map_err(|mistake| vec![mistake])?)
}

/// Reads a users file as text, within bounds.
///
/// # Errors
///
/// Why it cannot be read.
pub fn read_users_text(path: &Path) -> Result<Source, Diagnostic> {
    let refuse = |message: String| whole_file("I0101", path, message);
    let length = std::fs::metadata(path)
        .map_err(|error| refuse(format!("cannot read the users file: {error}")))?
        .len();
    if length > MAX_USERS_FILE {
        return Err(refuse(format!("the users file has {length} bytes; at most {MAX_USERS_FILE} are read")));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| refuse(format!("cannot read the users file: {error}")))?;
    Ok(Source { path: path.to_owned(), text })
}

/// A finding about a file as a whole.
fn whole_file(code: &'static str, path: &Path, message: String) -> Diagnostic {
    Diagnostic::error(code, path, 0..0, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_file_that_is_missing_is_named() {
        let mistakes = read_users(Path::new("/nonexistent/users.yaml")).unwrap_err();
        assert_eq!(mistakes.len(), 1);
        assert_eq!(mistakes[0].code, "I0101");
        assert_eq!(mistakes[0].path, Path::new("/nonexistent/users.yaml"));
    }
}
