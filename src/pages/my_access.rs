//! `/.tiergate/`: who I am, how my device is trusted, and what I can reach.

use super::{DeviceView, finish};
use crate::access::{Ownership, Reason, Record, Tier, Timestamp};
use askama::Template;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// What a person can reach, and from which device.
#[derive(Clone, Debug, Template)]
#[template(path = "my_access.html")]
pub struct MyAccess<'a> {
    /// The user name.
    pub user: &'a str,
    /// The e-mail address, where one is known and is not the user name.
    pub email: Option<&'a str>,
    /// The policy's groups that the person is in.
    pub groups: Vec<&'a str>,
    /// The session.
    pub session: SessionView,
    /// The device.
    pub device: DeviceView<'a>,
    /// The authority whose certificate the device showed.
    pub authority: Option<&'a str>,
    /// What the inventory says of it.
    pub record: Option<RecordView<'a>>,
    /// What it lacks, by tier.
    pub lacking: Vec<Lacking>,
    /// Everything that the person could reach.
    pub resources: Vec<Row<'a>>,
    /// The token for signing out.
    pub csrf: &'a str,
}

/// What the inventory says of a device, as its owner may see it.
#[derive(Clone, Debug)]
pub struct RecordView<'a> {
    /// What keeps it from being used at all.
    pub out_of_use: Option<&'static str>,
    /// Whose property it is.
    pub ownership: Option<Ownership>,
    /// Whose hands it is in.
    pub owner: Option<&'a str>,
    /// Its operating system and the version of that.
    pub system: Option<String>,
    /// When the management last heard of it.
    pub last_checkin: Option<Timestamp>,
}

impl<'a> RecordView<'a> {
    /// What may be shown of a record: everything but what somebody noted about it.
    #[must_use]
    pub fn of(record: &'a Record) -> Self {
        let system = record.platform.as_deref().map(|platform| {
            let platform = super::system(platform);
            match &record.os_version {
                Some(version) => format!("{platform} {version}"),
                None => platform.to_owned(),
            }
        });
        Self {
            out_of_use: super::out_of_use(record),
            ownership: record.ownership,
            owner: record.owner.as_deref(),
            system,
            last_checkin: record.last_checkin,
        }
    }

    fn seen(&self) -> Option<String> {
        self.last_checkin.map(instant)
    }
}

/// What a device lacks for a tier that its trust would meet.
#[derive(Clone, Debug)]
pub struct Lacking {
    /// The tier.
    pub tier: Tier,
    /// Why it is refused there.
    pub reason: Reason,
    /// What to do, in whole sentences; empty where the words of the reason say it.
    pub remedies: Vec<String>,
}

impl Lacking {
    fn words(&self) -> &'static super::Explanation {
        super::explain(self.reason)
    }
}

/// When a session began and when it ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionView {
    /// When it began.
    pub started: Timestamp,
    /// When the person last proved who they are.
    pub auth_time: Timestamp,
    /// When it ends however much it is used.
    pub expires: Timestamp,
    /// More than one factor was used.
    pub mfa: bool,
}

/// One resource.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it opens.
    pub url: &'a str,
    /// How sensitive it is.
    pub tier: Tier,
    /// Whether it would open now.
    pub state: RowState<'a>,
}

/// Whether a resource would open now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RowState<'a> {
    /// It would.
    Open,
    /// It would after this step: [`super::step`].
    Locked {
        /// The missing step, in a few words.
        step: &'a str,
    },
}

impl MyAccess<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        finish(Template::render(self))
    }

    /// What the device is good for now.
    fn meaning(&self) -> &'static str {
        let out_of_use = self.record.as_ref().is_some_and(|record| record.out_of_use.is_some());
        match (out_of_use, self.lacking.is_empty()) {
            (true, _) => "Good for nothing now.",
            (false, false) => "Its certificate is enough, but more is asked of it than it has.",
            (false, true) => self.device.meaning(),
        }
    }

    fn summary(&self) -> String {
        let open = self.resources.iter().filter(|row| row.is_open()).count();
        let locked = self.resources.len().saturating_sub(open);
        match (open, locked) {
            (open, 0) => format!("{open} open now."),
            (0, locked) => format!("{locked} locked; each says what is missing."),
            (open, locked) => {
                format!("{open} open now, {locked} locked: each says what is missing.")
            }
        }
    }
}

impl SessionView {
    fn since(self) -> Option<String> {
        (self.started != self.auth_time).then(|| instant(self.started))
    }

    fn proved(self) -> String {
        instant(self.auth_time)
    }

    fn ends(self) -> String {
        instant(self.expires)
    }
}

impl Row<'_> {
    fn is_open(&self) -> bool {
        match self.state {
            RowState::Open => true,
            RowState::Locked { .. } => false,
        }
    }

    fn host(&self) -> &str {
        self.url.strip_prefix("https://").unwrap_or(self.url).trim_end_matches('/')
    }
}

/// A `time` element. Holds digits and fixed words only, so it needs no escaping.
fn instant(at: Timestamp) -> String {
    let people = format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    let Ok(at) = OffsetDateTime::from_unix_timestamp(at) else {
        return "unknown".to_owned();
    };
    match (at.format(&Rfc3339), at.format(people)) {
        (Ok(machine), Ok(people)) => format!("<time datetime=\"{machine}\">{people}</time>"),
        (Err(_), _) | (_, Err(_)) => "unknown".to_owned(),
    }
}
