//! Local users: the embedded default, and break-glass when the identity provider is down.
//!
//! Invariants: names are ASCII lower case and unique; hashes and secrets never leave this module but
//! by verification; an unknown or disabled user costs a try the same as a known one.

use super::password::{self, Hash, MAX_PASSWORD, Untried};
use super::totp::TotpSecret;
use super::users_file;
use crate::access::Timestamp;
use crate::diagnostic::{Diagnostic, Source};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The users of one file.
#[derive(Debug)]
pub struct LocalUsers {
    users: BTreeMap<String, LocalUser>,
    /// What is verified for a name that does not exist: the costliest hash of the file, so that the
    /// time tells nothing.
    decoy: Option<Hash>,
}

/// One local user.
#[derive(Debug)]
pub struct LocalUser {
    /// The name, ASCII lower case.
    pub name: String,
    /// The e-mail address, as the file's author vouches for it.
    pub email: Option<String>,
    /// The name people call them by.
    pub display_name: Option<String>,
    /// The groups, for sources such as `local:staff`.
    pub groups: Vec<String>,
    /// May not sign in.
    pub disabled: bool,
    pub(super) hash: Hash,
    pub(super) totp: Option<TotpSecret>,
}

impl LocalUsers {
    /// Parses `users.yaml`.
    ///
    /// # Errors
    ///
    /// Every mistake in it.
    pub fn parse(source: &Source) -> Result<Self, Vec<Diagnostic>> {
        let users: BTreeMap<String, LocalUser> =
            users_file::parse(source)?.into_iter().map(|user| (user.name.clone(), user)).collect();
        let decoy = users.values().map(|user| &user.hash).max_by_key(|hash| hash.cost()).cloned();
        Ok(Self { users, decoy })
    }

    /// The user of this name, in whatever case it was typed.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&LocalUser> {
        // Names are kept in lower case, so one that is found as it stands is the same in any case.
        self.users.get(name).or_else(|| self.users.get(&name.trim().to_ascii_lowercase()))
    }

    /// All users by name.
    pub fn iter(&self) -> impl Iterator<Item = &LocalUser> {
        self.users.values()
    }
}

impl LocalUser {
    /// Whether a one-time code is asked for.
    #[must_use]
    pub fn has_totp(&self) -> bool {
        self.totp.is_some()
    }

    /// The time step whose code this is. The caller refuses a step that is not later than the last
    /// one it accepted.
    #[must_use]
    pub fn verify_totp(&self, code: &str, now: Timestamp) -> Option<u64> {
        self.totp.as_ref()?.check(code, now)
    }
}

/// The user, where the password is theirs and they are not disabled.
///
/// # Errors
///
/// Where the password was not looked at, so that it counts neither as right nor as wrong.
pub async fn verify_password<'u>(
    users: &'u Arc<LocalUsers>,
    name: &str,
    password: &str,
) -> Result<Option<&'u LocalUser>, Untried> {
    // The length is the asker's own: refusing early tells nothing about the user.
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Ok(None);
    }
    let user = users.get(name);
    let Some(hash) = user.map(|user| &user.hash).or(users.decoy.as_ref()) else { return Ok(None) };
    let right = password::verify(hash.clone(), password).await?;
    Ok(user.filter(|user| right && !user.disabled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use users_file::{NewUser, render};

    fn users() -> Arc<LocalUsers> {
        let ann = NewUser {
            name: "ann@corp.example".to_owned(),
            password: password::hash_password("right").unwrap(),
            email: Some("ann@corp.example".to_owned()),
            display_name: Some("Ann".to_owned()),
            groups: vec!["staff".to_owned()],
            totp: Some("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned()),
            disabled: false,
        };
        let gone =
            NewUser { name: "gone".to_owned(), email: None, disabled: true, totp: None, ..ann.clone() };
        let text = render(&[ann, gone]);
        Arc::new(LocalUsers::parse(&Source { path: "users.yaml".into(), text }).unwrap())
    }

    #[tokio::test]
    async fn only_the_right_password_of_an_active_user_signs_in() {
        let users = users();
        for (name, password, want) in [
            ("ann@corp.example", "right", Some("ann@corp.example")),
            (" Ann@Corp.Example", "right", Some("ann@corp.example")),
            ("ann@corp.example", "Right", None),
            ("ann@corp.example", "", None),
            ("ann@corp.example", "right\0", None),
            ("ann", "right", None),
            ("gone", "right", None),
            ("nobody", "right", None),
            ("", "right", None),
        ] {
            let got = verify_password(&users, name, password).await.unwrap();
            assert_eq!(got.as_ref().map(|user| user.name.as_str()), want, "{name} {password}");
        }
        let long = "x".repeat(MAX_PASSWORD + 1);
        assert!(verify_password(&users, "ann@corp.example", &long).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn nobody_signs_in_to_an_empty_file() {
        let source = Source { path: "users.yaml".into(), text: render(&[]) };
        let users = Arc::new(LocalUsers::parse(&source).unwrap());
        assert!(verify_password(&users, "ann", "right").await.unwrap().is_none());
    }

    #[test]
    fn a_code_is_checked_where_there_is_a_secret() {
        let users = users();
        let ann = users.get("ANN@corp.example").unwrap();
        assert!(ann.has_totp());
        assert_eq!(ann.verify_totp("287082", 59), Some(1));
        assert_eq!(ann.verify_totp("287083", 59), None);
        assert_eq!(users.get("gone").unwrap().verify_totp("287082", 59), None);
        assert!(!format!("{users:?}").contains("argon2id"));
    }
}
