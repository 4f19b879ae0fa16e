//! What is known now of the user of a session, whatever was true when it began.
//!
//! The gateway and the login host look here, so that neither takes a session that the other refuses.

use crate::access::GroupSet;
use crate::identity::Kind;
use crate::session::LiveSession;
use crate::snapshot::Snapshot;
use std::sync::Arc;

/// What the snapshot knows of the user behind a session.
pub struct KnownUser {
    /// The account may be used.
    pub active: bool,
    /// The policy's groups that the user is in.
    pub groups: Arc<GroupSet>,
}

/// What the snapshot knows of a session's user. A local user is looked up in the file as it is now,
/// so that a change there takes effect on the next request.
#[must_use]
pub fn known(session: &LiveSession, snapshot: &Snapshot) -> KnownUser {
    match snapshot.providers.get(&session.provider).map(|provider| &provider.kind) {
        Some(Kind::Local(users)) => match users.get(&session.subject) {
            Some(user) if !user.disabled => {
                let sources = user.groups.iter().flat_map(|group| {
                    let named = format!("{}:{group}", session.provider);
                    [named, format!("local:{group}")]
                });
                let sources: Vec<String> = sources.collect();
                let groups = Arc::new(snapshot.policy.group_set(sources.iter().map(String::as_str)));
                KnownUser { active: true, groups }
            }
            Some(_) | None => KnownUser { active: false, groups: Arc::default() },
        },
        Some(Kind::Oidc(_)) => {
            KnownUser { active: true, groups: session.group_set(&snapshot.policy, snapshot.generation) }
        }
        // The provider was removed: nobody vouches for this user any more.
        None => KnownUser { active: false, groups: Arc::default() },
    }
}
