//! `tiergate explain`: one decision, step by step, and what would have to be different.

use super::audit_lines::{self, Line, group_names, text};
use super::policies::{self, CommandError, Format};
use crate::access::{Absent, DeviceTrust, GroupSet, Reason};
use crate::diagnostic::did_you_mean;
use crate::policy::{Given, Policy, ServiceId, Who, request_line};
use crate::text::duration;
use crate::workbench::{Came, Circumstances, Explanation, Hypothetical, elsewhere, explain, implied};
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How old a session may be, and how long unused, where the policy does not say (`sessions` of
/// `tiergate.yaml`, whose defaults these are).
const SESSION_AGE: Duration = Duration::from_hours(12);
const SESSION_IDLE: Duration = Duration::from_mins(30);

/// Explain what is decided of a request: each step, the rule and its place, and the smallest changes
/// that would let it through.
///
/// Exits 0 when it is allowed, 1 when it is denied or challenged, 2 when it cannot be told.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// The folder with the policies
    #[arg(long, value_name = "DIR", default_value = "policies")]
    pub policies: PathBuf,
    /// A user, signed in; the name decides nothing, the groups do
    #[arg(long, conflicts_with = "service")]
    pub user: Option<String>,
    /// The policy's groups that the user is in
    #[arg(long, value_delimiter = ',', conflicts_with = "service")]
    pub groups: Vec<String>,
    /// A service of the policy, or a SPIFFE ID
    #[arg(long)]
    pub service: Option<String>,
    /// How far the device is trusted
    #[arg(long, value_enum, default_value_t = Device::None)]
    pub device: Device,
    /// A second factor was used
    #[arg(long)]
    pub mfa: bool,
    /// Since the user last proved who they are, such as `20m`
    #[arg(long, value_name = "D")]
    pub auth_age: Option<String>,
    /// The client's address; one that no network of the policy has, where it is not said
    #[arg(long, value_name = "IP")]
    pub from: Option<IpAddr>,
    /// Instead of a request: one that was made, by the code of its denial page or its request id
    #[arg(long, value_name = "CODE", requires = "audit", conflicts_with_all = ["method", "url", "user", "groups", "service"])]
    pub request: Option<String>,
    /// The audit log to find it in: a file, or the folder
    #[arg(long, value_name = "PATH")]
    pub audit: Option<PathBuf>,
    /// The method
    #[arg(required_unless_present = "request")]
    pub method: Option<String>,
    /// The address, such as `https://tickets.corp.example/browse/42`
    #[arg(required_unless_present = "request")]
    pub url: Option<String>,
    /// For people, or one JSON document
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// How far a device is trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Device {
    /// No device, or none that is believed.
    None,
    /// Managed.
    Enrolled,
    /// Company-issued.
    Issued,
}

impl From<Device> for DeviceTrust {
    fn from(device: Device) -> Self {
        match device {
            Device::None => Self::None,
            Device::Enrolled => Self::Enrolled,
            Device::Issued => Self::Issued,
        }
    }
}

/// A decision that was made, as its event says.
#[derive(Debug, serde::Serialize)]
struct Recorded {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    decision: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<u64>,
    /// The event says nothing of the user's groups.
    without_groups: bool,
}

/// Runs the command.
#[must_use]
pub fn run(args: &ExplainArgs) -> ExitCode {
    policies::finish(answer(args))
}

fn answer(args: &ExplainArgs) -> Result<(String, u8), CommandError> {
    let mut policy = policies::read(&args.policies)?;
    let (recorded, request) = match (&args.request, &args.audit) {
        (Some(code), Some(audit)) => {
            // A session that was too old or idle was so by some limit: that of the policy, or this one.
            policy = policy.with_session_defaults(SESSION_AGE, SESSION_IDLE);
            let (recorded, request) = made(&policy, code, audit)?;
            (Some(recorded), request)
        }
        _ => (None, asked(&policy, args)?),
    };
    let explanation = explain(&policy, &request);
    let text = match args.format {
        Format::Human => human(&explanation, recorded.as_ref()),
        Format::Json => match &recorded {
            None => policies::json(&explanation)?,
            Some(recorded) => {
                policies::json(&serde_json::json!({ "recorded": recorded, "now": explanation }))?
            }
        },
    };
    Ok((text, u8::from(explanation.decision != "allow")))
}

fn asked(policy: &Policy, args: &ExplainArgs) -> Result<Hypothetical, CommandError> {
    let line =
        format!("{} {}", args.method.as_deref().unwrap_or_default(), args.url.as_deref().unwrap_or_default());
    let (method, host, path) = request_line(&line)
        .map_err(|error| CommandError::Usage(format!("`{line}` is not a request: {error}")))?;
    let auth_age = match &args.auth_age {
        None => Duration::ZERO,
        Some(text) => duration::parse(text)
            .map_err(|error| CommandError::Usage(format!("`{text}` is not a duration: {error}")))?,
    };
    let who = if let Some(name) = &args.service {
        Who::Service(Some(service(policy, name)?))
    } else if args.user.is_some() || !args.groups.is_empty() {
        Who::User { groups: groups(policy, &args.groups)?, mfa: args.mfa, auth_age }
    } else {
        Who::Nobody
    };
    let given = Given { who, device: args.device.into(), from: args.from, time: None };
    Ok(Hypothetical::given(policy, &given, method, &host, &path))
}

fn service(policy: &Policy, name: &str) -> Result<ServiceId, CommandError> {
    let found = policy.services().iter().position(|service| service.name == name || service.spiffe == name);
    found.map(ServiceId).ok_or_else(|| {
        let meant = did_you_mean(name, policy.services().iter().map(|service| service.name.as_str()));
        CommandError::Usage(unknown("service", name, meant))
    })
}

fn groups(policy: &Policy, names: &[String]) -> Result<GroupSet, CommandError> {
    let mut members = Vec::new();
    for name in names {
        let found = policy.groups().iter().position(|group| group.name == *name);
        members.push(found.ok_or_else(|| {
            let meant = did_you_mean(name, policy.groups().iter().map(|group| group.name.as_str()));
            CommandError::Usage(unknown("group", name, meant))
        })?);
    }
    Ok(GroupSet::new(policy.groups().len(), members))
}

fn unknown(word: &str, name: &str, meant: Option<String>) -> String {
    let meant = meant.map_or_else(String::new, |meant| format!("; {meant}"));
    format!("no {word} of these policies is called `{name}`{meant}")
}

/// The request of an event, and what was decided of it.
fn made(
    policy: &Policy,
    code: &str,
    audit: &std::path::Path,
) -> Result<(Recorded, Hypothetical), CommandError> {
    let mut found = None;
    audit_lines::each(&[audit.to_owned()], |line| {
        let names = [text(line.code.as_ref()), text(line.request_id.as_ref())];
        if line.kind.0 == "decision" && names.contains(&Some(code)) {
            found = Some(of_event(policy, line));
        }
    })?;
    found.ok_or_else(|| {
        CommandError::Usage(format!(
            "no decision in `{}` has the code or request id `{code}`",
            audit.display()
        ))
    })
}

/// What the inventory can have against a device that is trusted far enough.
const OUT_OF_ORDER: [Reason; 5] = [
    Reason::DeviceInactive,
    Reason::DeviceUnknown,
    Reason::PostureStale,
    Reason::PostureFailed,
    Reason::DeviceNotOwned,
];

fn of_event(policy: &Policy, line: &Line<'_>) -> (Recorded, Hypothetical) {
    let owned = |it: Option<&audit_lines::Text<'_>>| text(it).map(str::to_owned);
    let reason = text(line.reason.as_ref()).unwrap_or_default();
    let is = |known: Reason| known.code() == reason;
    let names = line.groups.and_then(|groups| group_names(groups.get()));
    let subject = text(line.subject.as_ref());
    let refused_before =
        [Reason::NotSignedIn, Reason::SessionRevoked, Reason::SessionDeviceChanged].into_iter().any(is);
    let who = match subject {
        Some(spiffe) if spiffe.starts_with("spiffe://") => Who::Service(policy.service_by_spiffe(spiffe)),
        Some(_) if !refused_before => {
            let members = policy
                .groups()
                .iter()
                .enumerate()
                .filter(|(_, group)| names.as_ref().is_some_and(|names| names.contains(&group.name)));
            let groups = GroupSet::new(policy.groups().len(), members.map(|(at, _)| at));
            let auth_age = Duration::from_secs(line.auth_age);
            Who::User { groups: implied(policy, &groups), mfa: line.mfa, auth_age }
        }
        Some(_) | None => Who::Nobody,
    };
    let lowered = text(line.device_reason.as_ref())
        .and_then(|code| Reason::ALL.iter().copied().find(|reason| reason.code() == code));
    let absent = if is(Reason::SessionRevoked) {
        Absent::SessionRevoked
    } else if is(Reason::SessionDeviceChanged) {
        Absent::DeviceChanged
    } else if is(Reason::SessionExpired) {
        Absent::SessionExpired
    } else {
        Absent::NotSignedIn
    };
    let recorded = Recorded {
        time: owned(line.time.as_ref()),
        request_id: owned(line.request_id.as_ref()),
        subject: owned(line.subject.as_ref()),
        device: owned(line.device.as_ref()),
        decision: text(line.decision.as_ref()).unwrap_or_default().to_owned(),
        reason: reason.to_owned(),
        rule: owned(line.rule.as_ref()),
        policy: line.policy,
        without_groups: matches!(who, Who::User { .. }) && names.is_none(),
    };
    let request = Hypothetical {
        method: text(line.method.as_ref()).unwrap_or("GET").to_owned(),
        host: text(line.host.as_ref()).unwrap_or_default().to_owned(),
        path: text(line.path.as_ref()).unwrap_or("/").to_owned(),
        who,
        device: line.device_trust,
        client: line.client.unwrap_or_else(|| elsewhere(policy)),
        time: crate::workbench::NOON,
        circumstances: Circumstances {
            absent,
            active: !is(Reason::AccountDisabled),
            idle: is(Reason::SessionIdle),
            expired: is(Reason::SessionExpired),
            address_limited: is(Reason::RateLimited),
            cross_origin: is(Reason::CrossOrigin),
            audit_available: !is(Reason::AuditUnavailable),
            lowered,
            out_of_order: OUT_OF_ORDER.into_iter().find(|reason| is(*reason)),
        },
    };
    (recorded, request)
}

fn human(explanation: &Explanation, recorded: Option<&Recorded>) -> String {
    let mut text = String::new();
    let Explanation {
        request,
        asker,
        decision,
        reason,
        rule,
        resource: _,
        section: _,
        tier: _,
        steps,
        would_be_allowed,
    } = explanation;
    if let Some(recorded) = recorded {
        let Recorded { time, request_id, subject, device, decision, reason, rule, policy, without_groups } =
            recorded;
        let _ = writeln!(text, "recorded  {}", time.as_deref().unwrap_or("at no time"));
        let rows = [
            ("request", request_id.as_deref()),
            ("subject", subject.as_deref()),
            ("device", device.as_deref()),
            ("rule", rule.as_deref()),
        ];
        let _ = writeln!(text, "  {:<9}{decision} ({reason})", "decision");
        for (name, value) in rows {
            if let Some(value) = value {
                let _ = writeln!(text, "  {name:<9}{value}");
            }
        }
        if let Some(policy) = policy {
            let _ = writeln!(text, "  {:<9}generation {policy}", "policy");
        }
        if *without_groups {
            text.push_str(
                "  the event does not say which groups the user was in: decided below as in none\n",
            );
        }
        text.push_str("\nby the policies as they are now:\n\n");
    }
    let _ = writeln!(text, "{request}\n  by {asker}\n");
    let width = steps.iter().map(|line| line.step.len()).max().unwrap_or(0);
    for line in steps {
        let mark = match line.came {
            Came::Passed => "ok",
            Came::Refused => "NO",
            Came::NotReached => "--",
        };
        let rule = line.rule.as_ref().map_or_else(String::new, |rule| format!("  [{rule}]"));
        let _ =
            writeln!(text, "{}", format!("  {mark} {:<width$}  {}{rule}", line.step, line.says).trim_end());
    }
    let by = rule.as_ref().map_or_else(String::new, |rule| format!(" by {rule}"));
    let because = if *decision == "allow" { String::new() } else { format!(" ({reason})") };
    let _ = writeln!(text, "\n{decision}{because}{by}");
    if *decision != "allow" {
        if would_be_allowed.is_empty() {
            text.push_str("no change of the request would be enough: the policy must change\n");
        } else {
            text.push_str("it would be allowed, if the one who asks were to\n");
            for way in would_be_allowed {
                let each: Vec<_> = way.changes.iter().map(ToString::to_string).collect();
                let _ = writeln!(text, "  - {}", each.join(", and "));
            }
        }
    }
    text
}
