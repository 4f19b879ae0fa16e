//! How a change of policy is rehearsed and guarded: the policy in shadow, and what no reload may do
//! to people who are at work.

use super::at_most::AtMost;
use super::resolve::Reader;
use super::{Config, raw};
use crate::access::Timestamp;
use crate::diagnostic::{Diagnostic, Severity, did_you_mean};
use crate::text::date;
use crate::text::yaml::At;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A policy that decides every request too, and changes nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShadowConfig {
    /// The folder with its files.
    pub policies: PathBuf,
    /// When it ends, Unix seconds, and where that is written.
    pub until: At<Timestamp>,
}

/// What a reload is held to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReloadGuard {
    /// The most active sessions that it may shut out.
    pub most: Option<AtMost>,
    /// Groups of the policy of whom it may shut out nobody.
    pub protect: Vec<At<String>>,
}

impl Reader<'_> {
    pub(super) fn shadow(&mut self, shadow: At<raw::Shadow>) -> Option<ShadowConfig> {
        let raw::Shadow { policies, until } = shadow.value;
        let policies = self.needed(policies, "policies", shadow.span.clone()).map(|text| self.path(&text));
        let until = self.needed(until, "until", shadow.span).and_then(|text| {
            date::parse_end(&text.value)
                .map(|until| text.with(until))
                .map_err(|error| {
                    let message = format!("`{}` is not a day or a time", text.value);
                    self.error("Y0117", text.span.clone(), message, error.to_string());
                })
                .ok()
        });
        Some(ShadowConfig { policies: policies?, until: until? })
    }

    pub(super) fn reload_guard(&mut self, guard: At<raw::ReloadGuard>) -> ReloadGuard {
        let raw::ReloadGuard { max_sessions_denied, protect } = guard.value;
        if !max_sessions_denied.is_stated() && !protect.is_stated() {
            let label = "state `max_sessions_denied`, `protect` or both";
            self.error("Y0105", guard.span, "`reload_guard` guards nothing", label);
        }
        let most = max_sessions_denied.0.and_then(|text| self.at_most(&text, "sessions"));
        let protect = self.texts(protect, "protect");
        let mut seen = HashMap::new();
        for group in &protect {
            self.once(group, "group", &mut seen);
        }
        ReloadGuard { most, protect }
    }
}

impl Config {
    /// The shadow, where it has not ended yet.
    #[must_use]
    pub fn shadow_at(&self, now: Timestamp) -> Option<&ShadowConfig> {
        self.shadow.as_ref().filter(|shadow| now < shadow.until.value)
    }

    /// A warning where the shadow that is configured has ended. `path` is the configuration's own.
    #[must_use]
    pub fn ended_shadow(&self, path: &Path, now: Timestamp) -> Option<Diagnostic> {
        let ShadowConfig { until: At { value, span }, .. } =
            self.shadow.as_ref().filter(|_| self.shadow_at(now).is_none())?;
        let message = format!("the shadow ended at {}", date::show(*value));
        let label = "it is not run and its folder is not read; remove `shadow`, or give it more time";
        Some(Diagnostic::new(Severity::Warning, "C0201", path, span.clone(), message).label(label))
    }

    /// An error for each protected group that none of these policies' groups is.
    #[must_use]
    pub fn unknown_protected(&self, path: &Path, groups: &[&str]) -> Vec<Diagnostic> {
        let protect = self.reload_guard.iter().flat_map(|guard| &guard.protect);
        let unknown = protect.filter(|group| !groups.contains(&group.value.as_str()));
        unknown
            .map(|At { value, span }| {
                let label = did_you_mean(value, groups.iter().copied())
                    .map_or_else(|| "no such group".to_owned(), |meant| format!("no such group; {meant}"));
                let message = format!("unknown group `{value}`");
                Diagnostic::error("C0108", path, span.clone(), message).label(label)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{SMALL, codes, config, said, source};
    use crate::diagnostic::render;

    fn with(line: &str) -> String {
        format!("{SMALL}{line}\n")
    }

    #[test]
    fn a_guard_is_a_share_or_a_number_and_groups() {
        for (line, want) in [
            ("reload_guard: { max_sessions_denied: 5% }", Ok((Some(AtMost::Percent(5)), 0))),
            ("reload_guard: { max_sessions_denied: 0% }", Ok((Some(AtMost::Percent(0)), 0))),
            ("reload_guard: { max_sessions_denied: 100% }", Ok((Some(AtMost::Percent(100)), 0))),
            ("reload_guard: { max_sessions_denied: 20 }", Ok((Some(AtMost::Number(20)), 0))),
            ("reload_guard: { protect: [finance, admins] }", Ok((None, 2))),
            ("reload_guard: { protect: finance }", Ok((None, 1))),
            ("reload_guard: { max_sessions_denied: 101% }", Err("C0109")),
            ("reload_guard: { max_sessions_denied: -1 }", Err("C0109")),
            ("reload_guard: { max_sessions_denied: 5.5% }", Err("C0109")),
            ("reload_guard: { max_sessions_denied: '5 %' }", Err("C0109")),
            ("reload_guard: { max_sessions_denied: '%' }", Err("C0109")),
            ("reload_guard: { max_sessions_denied: many }", Err("C0109")),
            ("reload_guard: { protect: [] }", Err("Y0108")),
            ("reload_guard: { protect: [a, a] }", Err("Y0116")),
            ("reload_guard: {}", Err("Y0105")),
            ("reload_guard: { protects: [a] }", Err("Y0102")),
        ] {
            let text = with(line);
            match want {
                Ok(want) => {
                    let ReloadGuard { most, protect } = config(&text).reload_guard.unwrap();
                    assert_eq!((most, protect.len()), want, "{line}");
                }
                Err(code) => assert_eq!(codes(&text), [code], "{line}"),
            }
        }
    }

    #[test]
    fn a_shadow_has_a_folder_and_an_end() {
        let shadow = config(&with("shadow: { policies: next/, until: 2026-12-01 }")).shadow.unwrap();
        assert_eq!(shadow.policies, PathBuf::from("/etc/tiergate/next/"));
        assert_eq!(date::show(shadow.until.value), "2026-12-02T00:00:00Z");
        for (line, code) in [
            ("shadow: { policies: next }", "Y0105"),
            ("shadow: { until: 2026-12-01 }", "Y0105"),
            ("shadow: { policies: next, until: soon }", "Y0117"),
            ("shadow: { policies: '', until: 2026-12-01 }", "Y0108"),
            ("shadow: { policies: next, until: 2026-12-01, from: 2026-11-01 }", "Y0102"),
        ] {
            assert_eq!(codes(&with(line)), [code], "{line}");
        }
        insta::assert_snapshot!(said(&with("shadow: { policies: next, until: 2026-11-31 }")), @r"
        error[Y0117]: `2026-11-31` is not a day or a time
         --> /etc/tiergate/tiergate.yaml:7:34
          |
        7 | shadow: { policies: next, until: 2026-11-31 }
          |                                  ^^^^^^^^^^ write a day such as `2026-12-01`, or a time such as `2026-12-01T18:00:00Z`
        ");
    }

    #[test]
    fn a_shadow_that_has_ended_is_warned_of_and_one_that_has_not_is_not() {
        let text = with("shadow: { policies: next, until: 2026-12-01 }");
        let (config, source) = (config(&text), source(&text));
        let end = config.shadow.as_ref().unwrap().until.value;
        assert!(config.shadow_at(end - 1).is_some() && config.ended_shadow(&source.path, end - 1).is_none());
        assert!(config.shadow_at(end).is_none());
        let warning = config.ended_shadow(&source.path, end).unwrap();
        insta::assert_snapshot!(render(&warning, &[source], false), @r"
        warning[C0201]: the shadow ended at 2026-12-02T00:00:00Z
         --> /etc/tiergate/tiergate.yaml:7:34
          |
        7 | shadow: { policies: next, until: 2026-12-01 }
          |                                  ^^^^^^^^^^ it is not run and its folder is not read; remove `shadow`, or give it more time
        ");
    }

    #[test]
    fn a_protected_group_that_no_policy_has_is_told_with_what_was_meant() {
        let text = with("reload_guard: { protect: [finance, admin] }");
        let (config, source) = (config(&text), source(&text));
        assert!(config.unknown_protected(&source.path, &["finance", "admin"]).is_empty());
        let found = config.unknown_protected(&source.path, &["finance", "admins"]);
        assert_eq!(found.len(), 1);
        insta::assert_snapshot!(render(&found[0], &[source], false), @r"
        error[C0108]: unknown group `admin`
         --> /etc/tiergate/tiergate.yaml:7:36
          |
        7 | reload_guard: { protect: [finance, admin] }
          |                                    ^^^^^ no such group; did you mean `admins`?
        ");
    }
}
