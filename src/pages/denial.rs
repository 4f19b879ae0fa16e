//! The page that says why a request was not answered, and what to do about it.

use super::explain::{Sort, sort};
use super::posture::is_about_standing;
use super::{Explanation, explain, finish};
use crate::access::{DeviceTrust, Reason, Tier};
use askama::Template;

/// Why a request was refused. [`super::problem`] says the same as JSON.
#[derive(Clone, Debug, Template)]
#[template(path = "denial.html")]
pub struct DenialPage<'a> {
    /// Why.
    pub reason: Reason,
    /// The HTTP status.
    pub status: u16,
    /// What was asked for; `None` where the person should not learn of it.
    pub resource: Option<&'a str>,
    /// How sensitive that is.
    pub tier: Option<Tier>,
    /// Finds the request in the audit log: `7Q4M-XX2K-…`.
    pub code: &'a str,
    /// Who asked.
    pub user: Option<&'a str>,
    /// From which device.
    pub device: DeviceView<'a>,
    /// What the device lacks, in whole sentences: [`super::remedy`].
    pub lacking: Vec<String>,
    /// The button, where one helps.
    pub action: Option<Action<'a>>,
    /// Seconds until it makes sense to try again.
    pub retry_after: Option<u64>,
    /// Where to ask: words, a mail address or an https address.
    pub support: Option<&'a str>,
}

/// A device, as its owner may see it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DeviceView<'a> {
    /// How far it is trusted.
    pub trust: DeviceTrust,
    /// Its identity.
    pub id: Option<&'a str>,
    /// Why it is not trusted further, where something lowered it.
    pub lowered: Option<Reason>,
}

/// A button.
#[derive(Clone, Debug)]
pub enum Action<'a> {
    /// Goes to another page.
    Link {
        /// What it says.
        label: &'a str,
        /// Where it leads.
        href: &'a str,
    },
    /// Posts a form.
    Form {
        /// What it says.
        label: &'a str,
        /// Where it posts to.
        action: &'a str,
        /// Hidden fields: name and value.
        fields: Vec<(&'a str, &'a str)>,
    },
}

/// One line of what was checked.
struct Check {
    label: &'static str,
    value: String,
    note: Option<&'static str>,
    /// Whether it is enough, and the word for it; `None` where it is no condition.
    verdict: Option<(bool, &'static str)>,
}

/// Where to ask, as a link where it is an address.
enum Support<'a> {
    None,
    Text(&'a str),
    Link { text: &'a str, href: String },
}

impl DenialPage<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        finish(Template::render(self))
    }

    fn title(&self) -> &'static str {
        explain(self.reason).title
    }

    fn happened(&self) -> &'static str {
        explain(self.reason).happened
    }

    fn status_words(&self) -> &'static str {
        sort(self.reason).words()
    }

    fn status_class(&self) -> &'static str {
        sort(self.reason).class()
    }

    /// Only a known person has a list of what they can reach.
    fn links_home(&self) -> bool {
        self.user.is_some()
    }

    /// What to do: about the reason, then about the device where that is a second obstacle.
    pub(super) fn remedies(&self) -> Vec<&'static str> {
        let own = explain(self.reason).remedy;
        if is_about_standing(self.reason) {
            return vec![own];
        }
        let device = self.device.lowered.filter(|_| is_about_device(self.reason));
        match device.map(|lowered| explain(lowered).remedy) {
            Some(also) if also != own => vec![also, own],
            Some(_) | None => vec![own],
        }
    }

    /// What was looked at, where that helps: only for a person who is refused something by name.
    fn checks(&self) -> Vec<Check> {
        let concerns_person = match sort(self.reason) {
            Sort::Refused | Sort::Prove => true,
            Sort::Fine | Sort::Nothing | Sort::Malformed => false,
            Sort::Later => self.reason == Reason::EvidenceStale,
        };
        // The request is what is wrong then: neither the person nor the device.
        let concerns_person = concerns_person && self.reason != Reason::CrossOrigin;
        let (true, Some(resource)) = (concerns_person, self.resource) else {
            return Vec::new();
        };
        let asked = Check {
            label: "You asked for",
            value: resource.to_owned(),
            note: self.tier.map(needs),
            verdict: None,
        };
        // Allow rules come after the device, so a person refused for the device is no more than
        // signed in.
        let person = self.user.is_some() && !is_about_person(self.reason);
        let who = Check {
            label: "You are",
            value: self.user.unwrap_or("not signed in").to_owned(),
            note: None,
            // A `deny` rule may be about the method or the network as well: no verdict on anybody.
            verdict: (self.reason != Reason::DeniedByRule)
                .then_some((person, if person { "Signed in" } else { "Not enough" })),
        };
        let enough = self.tier.map(|tier| self.device.trust >= tier.required_trust());
        let met = if is_about_device(self.reason) { Some(false) } else { enough };
        let device = Check {
            label: "This device",
            value: match self.device.id {
                Some(id) => format!("{} ({id})", self.device.title()),
                None => self.device.title().to_owned(),
            },
            note: self.device.why().map(|why| why.title).filter(|_| met != Some(true)),
            verdict: met.map(|met| (met, if met { "Enough" } else { "Not enough" })),
        };
        vec![asked, who, device]
    }

    /// The wait in words.
    fn wait(&self) -> Option<String> {
        self.retry_after.map(|seconds| match seconds {
            0 | 1 => "1 second".to_owned(),
            2..=99 => format!("{seconds} seconds"),
            100..=5400 => format!("{} minutes", seconds.div_ceil(60)),
            _ => format!("{} hours", seconds.div_ceil(3600)),
        })
    }

    fn support(&self) -> Support<'_> {
        let Some(text) = self.support else {
            return Support::None;
        };
        if text.starts_with("https://") && super::href(text) == text {
            Support::Link { text, href: text.to_owned() }
        } else if is_mail_address(text) {
            Support::Link { text, href: format!("mailto:{text}") }
        } else {
            Support::Text(text)
        }
    }
}

impl Check {
    /// The class and the icon of the verdict.
    fn class(&self) -> &'static str {
        match self.verdict {
            Some((true, _)) => "fine",
            Some((false, _)) => "refused",
            None => "plain",
        }
    }
}

impl DeviceView<'_> {
    /// The trust in words.
    pub(super) fn title(&self) -> &'static str {
        match self.trust {
            DeviceTrust::None => "Not a known company device",
            DeviceTrust::Enrolled => "Enrolled device",
            DeviceTrust::Issued => "Company-issued device",
        }
    }

    /// What the trust is good for.
    pub(super) fn meaning(&self) -> &'static str {
        match self.trust {
            DeviceTrust::None => "Good for the open tier only.",
            DeviceTrust::Enrolled => "Good for the open and low tiers.",
            DeviceTrust::Issued => "Good for every tier.",
        }
    }

    /// Why it is not trusted further.
    pub(super) fn why(&self) -> Option<&'static Explanation> {
        self.lowered.map(explain)
    }
}

/// What a tier asks for, in words.
pub(super) const fn needs(tier: Tier) -> &'static str {
    match tier {
        Tier::Open => "Open tier: for people who are signed in, on any device",
        Tier::Low => "Low tier: for people who are signed in, on a company-managed device",
        Tier::High => "High tier: for people who are signed in, on a company-issued device",
    }
}

/// A plain address: nothing in it could add a subject or a second recipient to the link.
fn is_mail_address(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b))
    };
    text.split_once('@').is_some_and(|(name, domain)| plain(name) && plain(domain))
}

const fn is_about_device(reason: Reason) -> bool {
    match reason {
        Reason::DeviceRequired
        | Reason::DeviceNotIssued
        | Reason::DeviceRevoked
        | Reason::DeviceExpired
        | Reason::DeviceUntrusted
        | Reason::DeviceUnfit
        | Reason::DeviceUnknown
        | Reason::DeviceInactive
        | Reason::DeviceNotOwned
        | Reason::PostureStale
        | Reason::PostureFailed
        | Reason::DeviceAuthorityExpired
        | Reason::DeviceNoClientAuth
        | Reason::DeviceNoDigitalSignature
        | Reason::DeviceCriticalExtension
        | Reason::DeviceChainTooLong
        | Reason::DeviceWeakKey
        | Reason::DeviceWeakSignature
        | Reason::DeviceUnnamed
        | Reason::DeviceLifetime
        | Reason::DeviceExtensionMissing
        | Reason::EvidenceStale
        | Reason::ConnectionWithoutDevice => true,
        Reason::Allowed
        | Reason::OwnPage
        | Reason::Preflight
        | Reason::NoRoute
        | Reason::HostNotCovered
        | Reason::AmbiguousRequest
        | Reason::MethodRefused
        | Reason::RequestTooLarge
        | Reason::RequestTimeout
        | Reason::ExpectationFailed
        | Reason::RateLimited
        | Reason::NotSignedIn
        | Reason::AccountDisabled
        | Reason::SessionExpired
        | Reason::SessionIdle
        | Reason::SessionRevoked
        | Reason::SessionDeviceChanged
        | Reason::DeniedByRule
        | Reason::NotAllowed
        | Reason::MfaRequired
        | Reason::ReauthRequired
        | Reason::ServiceNotListed
        | Reason::CrossOrigin
        | Reason::AuditUnavailable
        | Reason::UpstreamUnavailable
        | Reason::UpstreamTimeout
        | Reason::ClientAborted
        | Reason::InternalError => false,
    }
}

/// The person, not the device, is what is lacking.
const fn is_about_person(reason: Reason) -> bool {
    match sort(reason) {
        Sort::Prove => true,
        Sort::Refused => !is_about_device(reason),
        Sort::Fine | Sort::Nothing | Sort::Malformed | Sort::Later => false,
    }
}
