//! What is known now of the user of a session, whatever was true when it began.
//!
//! The gateway and the login host look here, so that neither takes a session that the other refuses.

use crate::identity::{Kind, LocalUser};
use crate::session::{Groups, LiveSession, Person};
use crate::snapshot::Snapshot;
use std::sync::Arc;

/// What the snapshot knows of the user behind a session.
pub struct KnownUser {
    /// The account may be used.
    pub active: bool,
    /// The groups that the user is in.
    pub groups: Arc<Groups>,
    /// Who they are, as the session knows them; nobody for a bearer token, which says it itself.
    pub person: Option<Arc<Person>>,
}

impl KnownUser {
    fn active(groups: Arc<Groups>, session: &LiveSession) -> Self {
        Self { active: true, groups, person: Some(session.person()) }
    }

    fn inactive() -> Self {
        Self { active: false, groups: Arc::default(), person: None }
    }

    /// The user name; empty where the session does not say.
    #[must_use]
    pub fn name(&self) -> &str {
        self.person.as_ref().map_or("", |person| &person.user)
    }

    /// The e-mail address, where one is known.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.person.as_ref()?.email.as_deref()
    }
}

/// What the snapshot knows of a session's user. A local user is looked up in the file as it is now,
/// so that a change there takes effect on the next request. The snapshot is one that requests are
/// decided with, so its generation stands for it.
#[must_use]
pub fn known(session: &LiveSession, snapshot: &Snapshot) -> KnownUser {
    match account(session, snapshot) {
        Some(account) => KnownUser::active(
            session.groups(snapshot.generation, |person| account.groups(session, person, snapshot)),
            session,
        ),
        None => KnownUser::inactive(),
    }
}

/// The same under a snapshot that may never be used, so that nothing of it may be remembered.
#[must_use]
pub fn known_under(session: &LiveSession, candidate: &Snapshot) -> KnownUser {
    match account(session, candidate) {
        Some(account) => {
            KnownUser::active(Arc::new(account.groups(session, &session.person(), candidate)), session)
        }
        None => KnownUser::inactive(),
    }
}

/// An account that may be used.
enum Account<'s> {
    /// What is known of it is in the file.
    Local(&'s LocalUser),
    /// What is known of it was told at sign-in.
    Told,
}

fn account<'s>(session: &LiveSession, snapshot: &'s Snapshot) -> Option<Account<'s>> {
    // Where the provider was removed nobody vouches for this user any more.
    match &snapshot.providers.get(&session.provider)?.kind {
        Kind::Local(users) => users.get(&session.subject).filter(|user| !user.disabled).map(Account::Local),
        Kind::Oidc(_) => Some(Account::Told),
    }
}

impl Account<'_> {
    fn groups(&self, session: &LiveSession, person: &Person, snapshot: &Snapshot) -> Groups {
        let provider = &session.provider;
        let sources: Vec<String> = match self {
            Self::Local(user) => {
                let both = |group| [format!("{provider}:{group}"), format!("local:{group}")];
                user.groups.iter().flat_map(both).collect()
            }
            Self::Told => person.groups.iter().map(|group| format!("{provider}:{group}")).collect(),
        };
        snapshot.groups_of(&sources)
    }
}
