//! Users of tiergate's own: who they are once a password or a code was right.

use super::Call;
use crate::access::Timestamp;
use crate::identity::{Identified, Kind, LocalUser, LocalUsers};
use std::sync::Arc;

/// Bytes of a user name.
pub(super) const LONGEST_USER: usize = 256;
/// Bytes of a password.
pub(super) const LONGEST_PASSWORD: usize = 1024;

impl Call {
    /// The local provider with this name, or the first one where no name is given.
    pub(super) fn local(&self, name: &str) -> Option<(&str, &Arc<LocalUsers>)> {
        self.visitor.snapshot.providers.iter().find_map(|provider| match &provider.kind {
            Kind::Local(users) if name.is_empty() || provider.name == name => {
                Some((provider.name.as_str(), users))
            }
            Kind::Local(_) | Kind::Oidc(_) => None,
        })
    }

    /// The user of a local provider, unless gone or disabled.
    pub(super) fn local_user(&self, provider: &str, name: &str) -> Option<&LocalUser> {
        let (_, users) = self.local(provider).filter(|_| !provider.is_empty())?;
        users.get(name).filter(|user| !user.disabled)
    }
}

/// A local user as the rest of tiergate sees users.
pub(super) fn identified(provider: &str, user: &LocalUser, amr: &[&str], auth_time: Timestamp) -> Identified {
    Identified {
        provider: provider.to_owned(),
        subject: user.name.clone(),
        user: user.email.clone().unwrap_or_else(|| user.name.clone()),
        email: user.email.clone(),
        name: user.display_name.clone(),
        groups: user.groups.clone(),
        amr: amr.iter().map(|&method| method.to_owned()).collect(),
        mfa: amr.contains(&"otp"),
        auth_time,
    }
}
