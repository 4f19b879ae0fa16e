//! People, as far as a policy can tell them apart: by the sources that put them into groups.
//!
//! A person is a set of sources (`workforce:eng`, `local:finance`), and any set is possible. Being in a
//! group is having one of its sources; so groups that share sources are never taken for independent.

use crate::access::GroupSet;
use crate::policy::Policy;
use std::collections::BTreeMap;

/// A set of sources, as bits by index.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SourceSet(Vec<u64>);

impl SourceSet {
    fn insert(&mut self, source: usize) {
        let (word, bit) = (source / 64, source % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    fn contains(&self, source: usize) -> bool {
        self.0.get(source / 64).is_some_and(|word| word & (1 << (source % 64)) != 0)
    }

    /// Takes in the sources of another set.
    pub fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Whether both have the same sources.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.outside(other).next().is_none() && other.outside(self).next().is_none()
    }

    /// The sources of this set that are not in the other.
    fn outside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        self.0.iter().enumerate().flat_map(move |(at, word)| {
            let left = word & !other.0.get(at).copied().unwrap_or(0);
            (0..64).filter(move |bit| left & (1 << bit) != 0).map(move |bit| at * 64 + bit)
        })
    }
}

/// The sources of some policies, by index.
#[derive(Debug)]
pub struct Sources {
    index: BTreeMap<String, usize>,
    /// How many groups a source leads into, in all the policies.
    weight: Vec<usize>,
}

impl Sources {
    /// The sources that these policies name.
    pub fn of<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> Self {
        let mut weights: BTreeMap<String, usize> = BTreeMap::new();
        for policy in policies {
            for (source, groups) in policy.sources() {
                *weights.entry(source.to_owned()).or_default() += groups.len();
            }
        }
        let weight = weights.values().copied().collect();
        let index = weights.into_keys().enumerate().map(|(at, source)| (source, at)).collect();
        Self { index, weight }
    }

    fn weight(&self, source: usize) -> usize {
        self.weight.get(source).copied().unwrap_or(usize::MAX)
    }

    /// The names of these sources.
    #[must_use]
    pub fn names(&self, person: &[usize]) -> Vec<String> {
        self.index.iter().filter(|(_, at)| person.contains(at)).map(|(name, _)| name.clone()).collect()
    }

    /// The groups of a policy that somebody with these sources is in.
    #[must_use]
    pub fn groups(&self, policy: &Policy, person: &[usize]) -> GroupSet {
        let names = self.index.iter().filter(|(_, at)| person.contains(at)).map(|(name, _)| name.as_str());
        policy.group_set(names)
    }
}

/// The sources of each group of one policy.
#[derive(Debug)]
pub struct Members {
    of_group: Vec<SourceSet>,
}

impl Members {
    /// The groups of this policy, in terms of `sources`, which has all that it names.
    #[must_use]
    pub fn of(policy: &Policy, sources: &Sources) -> Self {
        let mut of_group = vec![SourceSet::default(); policy.groups().len()];
        for (source, groups) in policy.sources() {
            let Some(at) = sources.index.get(source) else { continue };
            for group in groups {
                if let Some(set) = of_group.get_mut(*group) {
                    set.insert(*at);
                }
            }
        }
        Self { of_group }
    }

    /// Whoever has one of these sources is in one of the groups.
    #[must_use]
    pub fn in_any(&self, groups: &GroupSet) -> SourceSet {
        let mut all = SourceSet::default();
        for set in groups.iter().filter_map(|group| self.of_group.get(group)) {
            all.add(set);
        }
        all
    }
}

/// Everybody who has a source of each set of `within`, and none of `without`.
#[derive(Clone, Debug, Default)]
pub struct People {
    within: Vec<SourceSet>,
    without: SourceSet,
}

impl People {
    /// Everybody.
    #[must_use]
    pub fn anybody() -> Self {
        Self::default()
    }

    /// Those of them who have one of these sources.
    #[must_use]
    pub fn within(mut self, sources: SourceSet) -> Self {
        self.within.push(sources);
        self
    }

    /// Those of them who have none of these sources.
    #[must_use]
    pub fn without(mut self, sources: &SourceSet) -> Self {
        self.without.add(sources);
        self
    }

    /// Those who are among the others too.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        let mut both = self.clone();
        both.within.extend(others.within.iter().cloned());
        both.without.add(&others.without);
        both
    }

    /// Whether there could be such a person. Exact: having more sources never takes anybody out of
    /// `within`, so whoever has every source that is not forbidden is in if anybody is.
    #[must_use]
    pub fn exist(&self) -> bool {
        self.within.iter().all(|set| set.outside(&self.without).next().is_some())
    }

    /// Such a person with few sources, and of those with few groups; `None` where there is none.
    #[must_use]
    pub fn example(&self, sources: &Sources) -> Option<Vec<usize>> {
        let mut person = Vec::new();
        let mut missing: Vec<&SourceSet> = self.within.iter().collect();
        while let Some(next) = missing.first() {
            let best = next.outside(&self.without).max_by_key(|source| {
                let covers = missing.iter().filter(|set| set.contains(*source)).count();
                (covers, std::cmp::Reverse((sources.weight(*source), *source)))
            })?;
            person.push(best);
            missing.retain(|set| !set.contains(best));
        }
        Some(person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::policy;

    #[test]
    fn people_exist_where_no_source_they_need_is_forbidden() {
        let policy = policy(
            "groups:
  eng: { any_of: [idp:eng, idp:sre] }
  sre: { any_of: [idp:sre] }
  fin: { any_of: [idp:fin] }
  all: { any_of: [idp:eng, idp:sre, idp:fin] }
resources: [{ name: r, tier: open, hosts: [r.example], upstream: u, allow: [{ groups: [eng, sre, fin, all] }] }]
",
        );
        let sources = Sources::of([&policy]);
        let members = Members::of(&policy, &sources);
        let set = |names: &[&str]| {
            let at = |name: &&str| policy.groups().iter().position(|group| group.name == **name).unwrap();
            members.in_any(&GroupSet::new(4, names.iter().map(at)))
        };
        let who = |people: &People| {
            people.example(&sources).map(|person| {
                let groups = sources.groups(&policy, &person);
                groups.iter().filter_map(|group| policy.group_name(group)).collect::<Vec<_>>().join("+")
            })
        };
        for (within, without, want) in [
            (vec![], vec![], Some("")),
            (vec![vec!["eng"]], vec![], Some("eng+all")),
            (vec![vec!["eng"]], vec!["sre"], Some("eng+all")),
            (vec![vec!["sre"]], vec!["eng"], None),
            (vec![vec!["sre"], vec!["fin"]], vec![], Some("eng+sre+fin+all")),
            (vec![vec!["all"]], vec!["eng"], Some("fin+all")),
            (vec![vec!["eng", "fin"], vec!["fin", "sre"]], vec![], Some("fin+all")),
            (vec![vec!["fin"]], vec!["all"], None),
        ] {
            let mut people = People::anybody().without(&set(&without));
            for names in &within {
                people = people.within(set(names));
            }
            assert_eq!(who(&people).as_deref(), want, "{within:?} {without:?}");
            assert_eq!(people.exist(), want.is_some(), "{within:?} {without:?}");
        }
    }
}
