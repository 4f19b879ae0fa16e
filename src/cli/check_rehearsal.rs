//! What a `tiergate.yaml` says about policies beside the folder that is checked: the shadow, and the
//! groups that reloads protect.

use crate::access::Timestamp;
use crate::config::Config;
use crate::diagnostic::Report;
use crate::policy::{self, Known};
use crate::policy_files::{self, ReadError};
use crate::workbench;
use std::path::Path;

/// Checks what `config`, which is the file `path`, says of other policies than those of the report, and
/// adds it to the report.
///
/// # Errors
///
/// Where the folder of the shadow cannot be read.
pub(super) fn check(
    config: &Config,
    path: &Path,
    known: Known<'_>,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), ReadError> {
    report.findings.extend(config.ended_shadow(path, now));
    // A policy with mistakes has no groups that one could be sure of.
    if config.reload_guard.is_some()
        && let (Some(policy), _) =
            policy::open(&report.sources, Some(known), policy::Parsed::default()).close(&report.sources)
    {
        let groups: Vec<&str> = policy.groups().iter().map(|group| group.name.as_str()).collect();
        report.findings.extend(config.unknown_protected(path, &groups));
    }
    if let Some(shadow) = config.shadow_at(now) {
        let Report { sources, findings, silenced, silenced_in_all } =
            workbench::check(policy_files::read(&shadow.policies)?, Some(known));
        report.sources.extend(sources);
        report.findings.extend(findings);
        report.silenced.extend(silenced);
        report.silenced_in_all += silenced_in_all;
    }
    Ok(())
}
