//! The names of the groups that a user is in, as the audit log has them: whole names, bounded.

use super::Policy;
use crate::access::GroupSet;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// The most names that are kept.
const MOST: usize = 100;
/// The most bytes of all names together.
const MOST_BYTES: usize = 2048;

/// The names of the groups that a user is in, in the policy's order; cheap to clone.
///
/// INVARIANT: at most `MOST` names of `MOST_BYTES` bytes, each of them whole; only
/// [`Policy::group_names`] makes one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GroupNames {
    names: Arc<[String]>,
    cut: bool,
}

impl GroupNames {
    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether the user is in more groups than are named here.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

impl Serialize for GroupNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.names.serialize(serializer)
    }
}

impl Policy {
    /// The names of the groups in a set that this policy made.
    #[must_use]
    pub fn group_names(&self, groups: &GroupSet) -> GroupNames {
        let mut names = groups.iter().filter_map(|group| self.group_name(group)).peekable();
        let (mut kept, mut bytes) = (Vec::new(), 0);
        while let Some(name) = names.next_if(|name| kept.len() < MOST && bytes + name.len() <= MOST_BYTES) {
            bytes += name.len();
            kept.push(name.to_owned());
        }
        GroupNames { names: kept.into(), cut: names.peek().is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::policy;

    /// The names of a user who is in every one of these groups.
    fn of_all(names: &[String]) -> GroupNames {
        let groups: String =
            names.iter().map(|name| format!("  {name}: {{ any_of: [local:x] }}\n")).collect();
        let policy = policy(&format!("groups:\n{groups}"));
        policy.group_names(&policy.group_set(["local:x"]))
    }

    #[test]
    fn whole_names_are_kept_in_the_policys_order_and_what_is_cut_says_so() {
        let numbered = |count: usize, tail: &str| -> Vec<String> {
            (0..count).map(|n| format!("g{:03}{tail}", count - n)).collect()
        };
        let long = "x".repeat(60);
        for (names, kept, cut) in [
            (vec!["staff".to_owned(), "eng".to_owned()], 2, false),
            (numbered(MOST, ""), MOST, false),
            (numbered(MOST + 1, ""), MOST, true),
            (numbered(40, &long), MOST_BYTES / 64, true),
        ] {
            let got = of_all(&names);
            assert!(got.iter().eq(names.iter().take(kept).map(String::as_str)), "{got:?}");
            assert_eq!(got.is_cut(), cut, "{got:?}");
        }
        assert_eq!(
            serde_json::to_string(&of_all(&["b".to_owned(), "a".to_owned()])).unwrap(),
            r#"["b","a"]"#
        );
    }
}
