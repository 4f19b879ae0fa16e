//! `/.tiergate/`: who I am, how my device is trusted, and what I can reach.

use super::{DeviceView, finish};
use crate::access::{Tier, Timestamp};
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
    /// Everything that the person could reach.
    pub resources: Vec<Row<'a>>,
    /// The token for signing out.
    pub csrf: &'a str,
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
