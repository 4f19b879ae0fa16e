//! `tiergate diff`: what a change of the policy would open and close, for everybody who could ask and for
//! those who did.

use super::audit_lines::{self, group_names, text};
use super::policies::{self, CommandError, Format};
use crate::access::DeviceTrust;
use crate::policy::Policy;
use crate::workbench::{DiffRow, Difference, Kind, Made, Replay, Replayed, diff};
use clap::Args;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

/// So many people are told apart in a shadow's report; more are counted together.
const MOST_PEOPLE: usize = 20_000;
/// So many rows are printed for people; JSON has all that are told apart.
const MOST_PRINTED: usize = 50;

/// Compare two policies: what became reachable and what did not.
///
/// Exits 0 when they are the same to everybody, 1 when they differ, 3 when something became reachable
/// on a resource that is `high` in either, 2 when they cannot be compared.
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The folder with the policies as they are
    #[arg(required_unless_present = "shadow")]
    pub old: Option<PathBuf>,
    /// The folder with the policies as they would be
    #[arg(required_unless_present = "shadow")]
    pub new: Option<PathBuf>,
    /// Decide the requests of these audit logs again: files, or folders of them
    #[arg(long, value_name = "AUDIT", num_args = 1..)]
    pub replay: Vec<PathBuf>,
    /// Instead of two folders: what the shadow policy decided otherwise, from an audit log
    #[arg(long, value_name = "AUDIT", num_args = 1.., conflicts_with_all = ["old", "new", "replay"])]
    pub shadow: Vec<PathBuf>,
    /// For people, or one JSON document
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Runs the command.
#[must_use]
pub fn run(args: &DiffArgs) -> ExitCode {
    let answer = match (&args.old, &args.new) {
        (Some(old), Some(new)) => compare(old, new, args),
        _ => shadow(args),
    };
    policies::finish(answer)
}

fn compare(
    old: &std::path::Path,
    new: &std::path::Path,
    args: &DiffArgs,
) -> Result<(String, u8), CommandError> {
    let (old, new) = (policies::read(old)?, policies::read(new)?);
    let difference = diff(&old, &new);
    let replayed = if args.replay.is_empty() { None } else { Some(replay(&old, &new, &args.replay)?) };
    let opens = difference.opens_high() || replayed.as_ref().is_some_and(|replayed| replayed.opens_high);
    let code = match (opens, difference.is_empty()) {
        (true, _) => 3,
        (false, false) => 1,
        (false, true) => 0,
    };
    let text = match args.format {
        Format::Json => policies::json(&serde_json::json!({
            "rows": difference.rows,
            "settings": difference.settings,
            "replayed": replayed,
        }))?,
        Format::Human => {
            let mut text = human(&difference);
            if let Some(replayed) = &replayed {
                text.push('\n');
                text.push_str(&people(replayed));
            }
            text
        }
    };
    Ok((text, code))
}

fn replay(old: &Policy, new: &Policy, logs: &[PathBuf]) -> Result<Replayed, CommandError> {
    let mut replay = Replay::new(old, new);
    audit_lines::each(logs, |line| {
        // Answered by tiergate itself, or never understood: no policy decides it.
        let own = ["own_page", "preflight", "ambiguous_request", "host_not_covered", "method_refused"];
        let reason = text(line.reason.as_ref()).unwrap_or_default();
        let (Some(method), Some(host), Some(path)) =
            (text(line.method.as_ref()), text(line.host.as_ref()), text(line.path.as_ref()))
        else {
            return;
        };
        if line.kind.0 != "decision" || own.contains(&reason) {
            return;
        }
        let made = Made {
            subject: text(line.subject.as_ref()),
            groups: line.groups.map(serde_json::value::RawValue::get),
            mfa: line.mfa,
            auth_age: line.auth_age,
            device: line.device_trust,
            method,
            host,
            path,
            client: line.client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        replay.add(made, group_names);
    })?;
    Ok(replay.finish())
}

fn human(difference: &Difference) -> String {
    if difference.is_empty() {
        return "the same to everybody\n".to_owned();
    }
    let mut text = String::new();
    for (kind, title) in [(Kind::Gained, "became reachable"), (Kind::Lost, "is no longer reachable")] {
        let rows: Vec<&DiffRow> = difference.rows.iter().filter(|row| row.kind == kind).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{title}:");
        for row in rows {
            text.push_str(&one(row));
        }
        text.push('\n');
    }
    if !difference.settings.is_empty() {
        text.push_str("besides:\n");
        for setting in &difference.settings {
            let _ = writeln!(text, "  {setting}");
        }
        text.push('\n');
    }
    let count = |kind| difference.rows.iter().filter(|row| row.kind == kind).count();
    let _ = writeln!(text, "{} gained, {} lost", count(Kind::Gained), count(Kind::Lost));
    if difference.opens_high() {
        text.push_str("something became reachable on a resource of the high tier\n");
    }
    text
}

fn one(row: &DiffRow) -> String {
    let tier = |tier: Option<crate::access::Tier>| tier.map_or("no resource", crate::access::Tier::as_str);
    let tiers = if row.tier_before == row.tier_after {
        format!("tier {}", tier(row.tier_after))
    } else {
        format!("tier {} -> {}", tier(row.tier_before), tier(row.tier_after))
    };
    let sign = if row.kind == Kind::Gained { '+' } else { '-' };
    let join = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
    let devices = row.devices.iter().map(|trust| DeviceTrust::as_str(*trust)).collect::<Vec<_>>().join(", ");
    let mut conditions = vec![format!("methods {}", join(&row.methods))];
    if !devices.is_empty() {
        conditions.push(format!("device {devices}"));
    }
    if row.from.iter().any(|from| from != "anywhere") {
        conditions.push(format!("from {}", join(&row.from)));
    }
    if row.mfa {
        conditions.push("with a second factor".to_owned());
    }
    let sources =
        if row.sources.is_empty() { String::new() } else { format!(" ({})", row.sources.join(", ")) };
    format!(
        "  {sign} {}{} ({tiers}): {}{sources}\n      {}\n      such as {}: was {}, is {}\n",
        row.resource,
        if row.path == "/" { "" } else { row.path.as_str() },
        row.who,
        conditions.join("; "),
        row.example,
        row.before,
        row.after
    )
}

fn people(replayed: &Replayed) -> String {
    let Replayed { events, same, gained, lost, otherwise, without_groups, in_no_row, opens_high: _, noticed } =
        replayed;
    let mut text = format!(
        "{events} requests decided again: {same} as before, {gained} would become allowed, {lost} would no longer be, {otherwise} refused for another reason\n"
    );
    if *without_groups > 0 {
        let _ = writeln!(
            text,
            "{without_groups} requests of users were left out: their events do not name groups"
        );
    }
    for row in noticed.iter().take(MOST_PRINTED) {
        let sign = if row.gained { '+' } else { '-' };
        let _ = writeln!(
            text,
            "  {sign} {:>7}  {}  {}: was {}, is {}  (such as {})",
            row.requests, row.subject, row.resource, row.before, row.after, row.example
        );
    }
    let unprinted = noticed.len().saturating_sub(MOST_PRINTED);
    if unprinted > 0 {
        let _ = writeln!(text, "  and {unprinted} more rows; --format json has them");
    }
    if *in_no_row > 0 {
        let _ = writeln!(text, "  and {in_no_row} more requests in rows that were too many to tell apart");
    }
    text
}

/// What a shadow policy decided otherwise for one person at one resource.
#[derive(Debug, Serialize)]
struct Warned {
    subject: String,
    resource: String,
    live: String,
    shadow: String,
    reason: String,
    requests: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    last: String,
}

/// What a shadow's log came to.
#[derive(Debug, Default, Serialize)]
struct ShadowReport {
    decided: u64,
    differ: u64,
    in_no_row: u64,
    opens_high: bool,
    /// Whom to warn first comes first: those who would lose something, most requests first.
    people: Vec<Warned>,
}

fn shadow(args: &DiffArgs) -> Result<(String, u8), CommandError> {
    let mut report = ShadowReport::default();
    let mut rows: HashMap<[String; 5], Warned> = HashMap::new();
    audit_lines::each(&args.shadow, |line| {
        let Some(shadow) = &line.shadow else { return };
        report.decided += 1;
        let live = text(line.decision.as_ref()).unwrap_or_default();
        if *live == *shadow.decision.0 {
            return;
        }
        report.differ += 1;
        report.opens_high |= shadow.decision.0 == "allow" && text(line.tier.as_ref()) == Some("high");
        let key = [
            text(line.subject.as_ref()).unwrap_or("nobody signed in"),
            text(line.resource.as_ref()).unwrap_or_default(),
            live,
            shadow.decision.0.as_ref(),
            shadow.reason.0.as_ref(),
        ]
        .map(str::to_owned);
        let last = text(line.time.as_ref()).unwrap_or_default();
        if let Some(row) = rows.get_mut(&key) {
            row.requests += 1;
            last.clone_into(&mut row.last);
        } else if rows.len() < MOST_PEOPLE {
            let [subject, resource, live, decided, reason] = key.clone();
            let rule = text(shadow.rule.as_ref()).map(str::to_owned);
            let row = Warned {
                subject,
                resource,
                live,
                shadow: decided,
                reason,
                requests: 1,
                rule,
                last: last.to_owned(),
            };
            rows.insert(key, row);
        } else {
            report.in_no_row += 1;
        }
    })?;
    report.people = rows.into_values().collect();
    report.people.sort_by(|a, b| {
        let order = |row: &Warned| {
            (row.live != "allow", std::cmp::Reverse(row.requests), row.subject.clone(), row.resource.clone())
        };
        order(a).cmp(&order(b))
    });
    let code = match (report.opens_high, report.differ) {
        (true, _) => 3,
        (false, 0) => 0,
        (false, _) => 1,
    };
    let text = match args.format {
        Format::Json => policies::json(&report)?,
        Format::Human => shadow_text(&report),
    };
    Ok((text, code))
}

fn shadow_text(report: &ShadowReport) -> String {
    let ShadowReport { decided, differ, in_no_row, opens_high: _, people } = report;
    let mut text = format!("{decided} requests decided by the shadow policy too, {differ} otherwise\n");
    for row in people.iter().take(MOST_PRINTED) {
        let sign = if row.shadow == "allow" { '+' } else { '-' };
        let rule = row.rule.as_ref().map_or_else(String::new, |rule| format!(" by {rule}"));
        let _ = writeln!(
            text,
            "  {sign} {:>7}  {}  {}: {} now, {} ({}{rule}) then; last {}",
            row.requests, row.subject, row.resource, row.live, row.shadow, row.reason, row.last
        );
    }
    let unprinted = people.len().saturating_sub(MOST_PRINTED);
    if unprinted > 0 {
        let _ = writeln!(text, "  and {unprinted} more rows; --format json has them");
    }
    if *in_no_row > 0 {
        let _ = writeln!(text, "  and {in_no_row} more requests in rows that were too many to tell apart");
    }
    text
}
