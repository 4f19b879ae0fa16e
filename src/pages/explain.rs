//! The one table of plain words: what each [`Reason`] means to people.
//!
//! Invariant: every reason has its words, because the match has no `_`. The pages, the problem
//! documents and `docs/reasons.md` all take them from here.

use crate::access::Reason;

/// What a reason means, in plain words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// A heading of a few words.
    pub title: &'static str,
    /// What happened, for the person who asked.
    pub happened: &'static str,
    /// What that person can do.
    pub remedy: &'static str,
    /// Where the security team looks.
    pub security: &'static str,
}

/// What sort of answer a reason is: it chooses the status word and the icon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sort {
    /// Nothing is wrong.
    Fine,
    /// Refused as the rules are.
    Refused,
    /// The user can fix it now, by signing in or proving more.
    Prove,
    /// There is nothing here.
    Nothing,
    /// The request itself cannot be taken.
    Malformed,
    /// It may work later.
    Later,
}

impl Sort {
    /// The words above a page's title.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Fine => "All is well",
            Self::Refused => "Access denied",
            Self::Prove => "Sign-in needed",
            Self::Nothing => "Not found",
            Self::Malformed => "Request refused",
            Self::Later => "Not available now",
        }
    }

    /// The class that colours the status line; the words say the same.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Refused => "refused",
            Self::Prove => "prove",
            Self::Nothing | Self::Malformed => "plain",
            Self::Later => "later",
        }
    }
}

/// What sort of answer this reason is.
pub(super) const fn sort(reason: Reason) -> Sort {
    match reason {
        Reason::Allowed | Reason::OwnPage | Reason::Preflight => Sort::Fine,
        Reason::NoRoute => Sort::Nothing,
        Reason::HostNotCovered
        | Reason::ConnectionWithoutDevice
        | Reason::AmbiguousRequest
        | Reason::MethodRefused
        | Reason::RequestTooLarge
        | Reason::RequestTimeout
        | Reason::ExpectationFailed
        | Reason::ClientAborted => Sort::Malformed,
        Reason::NotSignedIn
        | Reason::SessionExpired
        | Reason::SessionIdle
        | Reason::SessionRevoked
        | Reason::SessionDeviceChanged
        | Reason::MfaRequired
        | Reason::ReauthRequired => Sort::Prove,
        Reason::AccountDisabled
        | Reason::DeniedByRule
        | Reason::DeviceRequired
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
        | Reason::NotAllowed
        | Reason::ServiceNotListed
        | Reason::CrossOrigin => Sort::Refused,
        Reason::RateLimited
        | Reason::EvidenceStale
        | Reason::AuditUnavailable
        | Reason::UpstreamUnavailable
        | Reason::UpstreamTimeout
        | Reason::InternalError => Sort::Later,
    }
}

/// The missing step in a few words, for a list of what is locked: "Locked: …".
#[must_use]
pub const fn step(reason: Reason) -> &'static str {
    match reason {
        Reason::NotSignedIn
        | Reason::SessionExpired
        | Reason::SessionIdle
        | Reason::SessionRevoked
        | Reason::SessionDeviceChanged => "sign in again",
        Reason::MfaRequired => "confirm with a second factor",
        Reason::ReauthRequired => "confirm that it is you",
        Reason::DeviceRequired => "use a company-managed device",
        Reason::DeviceNotIssued => "use a company-issued device",
        Reason::DeviceRevoked => "get a new device certificate: this one was revoked",
        Reason::DeviceExpired => "renew the device certificate",
        Reason::DeviceUnknown => "have this device registered",
        Reason::DeviceInactive => "ask for this device to be released",
        Reason::DeviceNotOwned => "use your own device",
        Reason::PostureStale => "connect this device to the device management",
        Reason::PostureFailed => "bring this device up to date",
        Reason::DeviceAuthorityExpired => "wait: the device authority is out of date",
        Reason::DeviceUntrusted
        | Reason::DeviceUnfit
        | Reason::DeviceNoClientAuth
        | Reason::DeviceNoDigitalSignature
        | Reason::DeviceCriticalExtension
        | Reason::DeviceChainTooLong
        | Reason::DeviceWeakKey
        | Reason::DeviceWeakSignature
        | Reason::DeviceUnnamed
        | Reason::DeviceLifetime
        | Reason::DeviceExtensionMissing => "get a valid device certificate",
        Reason::EvidenceStale => "wait: device checks are out of date",
        Reason::AccountDisabled => "ask for your account to be enabled",
        Reason::NotAllowed | Reason::DeniedByRule | Reason::ServiceNotListed => "not granted to you",
        Reason::RateLimited => "wait a moment",
        Reason::AuditUnavailable
        | Reason::UpstreamUnavailable
        | Reason::UpstreamTimeout
        | Reason::InternalError => "wait: not available now",
        Reason::NoRoute
        | Reason::HostNotCovered
        | Reason::ConnectionWithoutDevice
        | Reason::AmbiguousRequest
        | Reason::MethodRefused
        | Reason::RequestTooLarge
        | Reason::RequestTimeout
        | Reason::ExpectationFailed
        | Reason::CrossOrigin
        | Reason::ClientAborted => "open it anew",
        Reason::Allowed | Reason::OwnPage | Reason::Preflight => "nothing",
    }
}

/// The plain words of a reason.
#[must_use]
pub const fn explain(reason: Reason) -> &'static Explanation {
    super::words::words(reason)
}
