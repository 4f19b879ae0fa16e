//! The groups that a user is in under one snapshot, worked out once for all of its requests.

use crate::access::GroupSet;
use crate::policy::{GroupNames, Policy};

/// The groups that a user is in, under the policy and the shadow of one snapshot.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Groups {
    /// The policy's groups.
    pub set: GroupSet,
    /// Their names, for the audit log.
    pub names: GroupNames,
    /// The groups of the policy that runs in shadow, where one does.
    pub shadow: Option<GroupSet>,
}

impl Groups {
    /// The groups that these sources (`provider:claim-value`) put a user into.
    #[must_use]
    pub fn of(sources: &[String], policy: &Policy, shadow: Option<&Policy>) -> Self {
        let set_of = |policy: &Policy| policy.group_set(sources.iter().map(String::as_str));
        let set = set_of(policy);
        Self { names: policy.group_names(&set), shadow: shadow.map(set_of), set }
    }
}
