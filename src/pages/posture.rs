//! What a device lacks, and what its owner does about it, in plain words.

use crate::access::{Reason, Record, State};
use crate::policy::Unmet;
use std::time::Duration;

/// What the owner of a device does about something that it lacks; `None` where the words of the reason say
/// it all.
#[must_use]
pub fn remedy(unmet: Unmet<'_>) -> Option<String> {
    let check_in = "Let the device check in with the company's management app";
    Some(match unmet {
        Unmet::NoRecord | Unmet::NotOwner | Unmet::Assumed(_) => return None,
        Unmet::NeverSeen { most } => format!("{check_in}: it must every {}, and never has.", span(most)),
        Unmet::SeenLongAgo { age, most } => {
            format!("{check_in}: it must every {}, and last did {} ago.", span(most), span(age))
        }
        Unmet::Missing { what } => match what {
            "disk_encrypted" => "Turn on disk encryption.".to_owned(),
            "screen_lock" => "Turn on the screen lock.".to_owned(),
            "firewall" => "Turn on the firewall.".to_owned(),
            "passcode" => "Set a passcode.".to_owned(),
            other => format!("Have this put in order: {}.", other.replace(['_', '-', '.'], " ")),
        },
        Unmet::PlatformUnknown => format!("{check_in}: it has not said which system it runs."),
        Unmet::VersionUnknown { platform, need } => {
            let platform = system(platform);
            format!("{check_in}: {platform} {need} or later is needed, and it has not said which it has.")
        }
        Unmet::Outdated { platform, have, need } => {
            format!("Update {} to {need} or later: you have {have}.", system(platform))
        }
    })
}

/// What the inventory says that keeps a device from being used at all.
#[must_use]
pub fn out_of_use(record: &Record) -> Option<&'static str> {
    Some(match record.state? {
        State::Active => return None,
        State::Lost => "The company's list of devices says that it is lost.",
        State::Retired => "The company's list of devices says that it was taken out of service.",
        State::Quarantined => "The company's list of devices says that it is set aside to be looked at.",
    })
}

/// Whether a reason is about how a device stands with the inventory.
pub(super) const fn is_about_standing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::DeviceUnknown
            | Reason::DeviceInactive
            | Reason::DeviceNotOwned
            | Reason::PostureStale
            | Reason::PostureFailed
    )
}

/// An operating system as its maker writes it.
#[must_use]
pub fn system(platform: &str) -> &str {
    match platform {
        "macos" => "macOS",
        "ios" => "iOS",
        "ipados" => "iPadOS",
        "windows" => "Windows",
        "android" => "Android",
        "linux" => "Linux",
        "chromeos" => "ChromeOS",
        other => other,
    }
}

/// A time span in words, rounded down: `3 days`, `hour`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    // Two days are said in hours less well than in days, and one day as 24 hours better.
    let unit = units.into_iter().find(|(unit, _)| seconds >= 2 * unit).unwrap_or((1, "second"));
    let count = seconds / unit.0;
    if count == 1 { unit.1.to_owned() } else { format!("{count} {}s", unit.1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lack_has_its_plain_remedy() {
        let (have, need) = ("14.2".parse().unwrap(), "14.6".parse().unwrap());
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        for (unmet, want) in [
            (
                Unmet::Outdated { platform: "macos", have: &have, need: &need },
                Some("Update macOS to 14.6 or later: you have 14.2."),
            ),
            (
                Unmet::VersionUnknown { platform: "windows", need: &need },
                Some(
                    "Let the device check in with the company's management app: Windows 14.6 or later is needed, and it has not said which it has.",
                ),
            ),
            (
                Unmet::SeenLongAgo { age: 3 * day + hour, most: day },
                Some(
                    "Let the device check in with the company's management app: it must every 24 hours, and last did 3 days ago.",
                ),
            ),
            (
                Unmet::NeverSeen { most: hour },
                Some(
                    "Let the device check in with the company's management app: it must every 60 minutes, and never has.",
                ),
            ),
            (Unmet::Missing { what: "disk_encrypted" }, Some("Turn on disk encryption.")),
            (Unmet::Missing { what: "system_integrity" }, Some("Have this put in order: system integrity.")),
            (Unmet::NoRecord, None),
            (Unmet::NotOwner, None),
        ] {
            assert_eq!(remedy(unmet).as_deref(), want);
        }
    }
}
