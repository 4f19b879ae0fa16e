//! Why a request was decided as it was: one stable code each.

use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $code:literal,)+) => {
        /// Why a request was decided as it was. Codes are stable; each has a page in the documentation.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code, in `snake_case`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }
        }
    };
}

reasons! {
    /// The resource admits this request.
    Allowed => "allowed",
    /// A page, answer or key set of tiergate's own.
    OwnPage => "own_page",
    /// A CORS preflight, answered from the resource's `cors`.
    Preflight => "preflight",

    /// No resource has this host and path.
    NoRoute => "no_route",
    /// The certificate served on this connection does not cover the host asked for.
    HostNotCovered => "host_not_covered",
    /// The resource needs a device, and this connection was opened for another host without one.
    ConnectionWithoutDevice => "connection_without_device",
    /// Bytes, headers or a path that could mean two things.
    AmbiguousRequest => "ambiguous_request",
    /// A method that is never forwarded.
    MethodRefused => "method_refused",
    /// The request line or the headers are larger than the limits.
    RequestTooLarge => "request_too_large",
    /// The request did not arrive in time or at the least rate.
    RequestTimeout => "request_timeout",
    /// An expectation other than `100-continue`.
    ExpectationFailed => "expectation_failed",
    /// Too many requests from this address, user, device or service.
    RateLimited => "rate_limited",

    /// Nobody is signed in.
    NotSignedIn => "not_signed_in",
    /// The account is disabled or gone.
    AccountDisabled => "account_disabled",
    /// The session is older than it may be.
    SessionExpired => "session_expired",
    /// The session was not used for too long.
    SessionIdle => "session_idle",
    /// The session was ended by sign-out or by an administrator.
    SessionRevoked => "session_revoked",
    /// The session belongs to another device key than the one on this connection.
    SessionDeviceChanged => "session_device_changed",
    /// A `deny` rule matches.
    DeniedByRule => "denied_by_rule",

    /// The tier needs a trusted device, and there is none.
    DeviceRequired => "device_required",
    /// The tier needs a company-issued device, and this one is enrolled only.
    DeviceNotIssued => "device_not_issued",
    /// The device certificate is revoked.
    DeviceRevoked => "device_revoked",
    /// The device certificate is expired or not valid yet.
    DeviceExpired => "device_expired",
    /// The device certificate comes from no authority that is believed.
    DeviceUntrusted => "device_untrusted",
    /// The device certificate is not fit to identify a device.
    DeviceUnfit => "device_unfit",
    /// The inventory has no record of the device, and one is needed.
    DeviceUnknown => "device_unknown",
    /// The inventory says that the device is lost, retired or quarantined.
    DeviceInactive => "device_inactive",
    /// The device is not in the hands of its owner.
    DeviceNotOwned => "device_not_owned",
    /// The device management has not heard of the device for too long.
    PostureStale => "posture_stale",
    /// The device is not kept as the tier asks: its system is too old, or something required does not hold.
    PostureFailed => "posture_failed",
    /// A certificate of the device's authority is expired or not valid yet.
    DeviceAuthorityExpired => "device_authority_expired",
    /// The device certificate is not said to be for `clientAuth`.
    DeviceNoClientAuth => "device_no_client_auth",
    /// The device certificate is not said to be for digital signatures.
    DeviceNoDigitalSignature => "device_no_digital_signature",
    /// The device certificate has a critical extension that is not understood.
    DeviceCriticalExtension => "device_critical_extension",
    /// More certificates were sent than a chain has.
    DeviceChainTooLong => "device_chain_too_long",
    /// The device certificate has a key that is too weak, or of a kind that is not known.
    DeviceWeakKey => "device_weak_key",
    /// The device certificate was signed in a way that is too weak, or not known.
    DeviceWeakSignature => "device_weak_signature",
    /// The device certificate names no device, more than one, or one malformed.
    DeviceUnnamed => "device_unnamed",
    /// The device certificate is valid for longer than its authority may make it.
    DeviceLifetime => "device_lifetime",
    /// The device certificate lacks a purpose or an extension that its authority must write.
    DeviceExtensionMissing => "device_extension_missing",
    /// What would prove the device's state is too old or missing.
    EvidenceStale => "evidence_stale",

    /// No `allow` rule matches.
    NotAllowed => "not_allowed",
    /// Multi-factor authentication is needed.
    MfaRequired => "mfa_required",
    /// The sign-in is older than the resource accepts.
    ReauthRequired => "reauth_required",
    /// The resource does not list this service, method and path.
    ServiceNotListed => "service_not_listed",
    /// An unsafe request with a session cookie from another origin.
    CrossOrigin => "cross_origin",

    /// The audit log cannot be written, and the tier demands it.
    AuditUnavailable => "audit_unavailable",
    /// The upstream cannot be reached or broke off.
    UpstreamUnavailable => "upstream_unavailable",
    /// The upstream did not answer in time.
    UpstreamTimeout => "upstream_timeout",
    /// The client went away before the answer was complete.
    ClientAborted => "client_aborted",
    /// A fault of tiergate's own; nothing was forwarded.
    InternalError => "internal_error",
}

impl Reason {
    /// Whether it is what a tier's posture refuses with.
    #[must_use]
    pub const fn is_about_posture(self) -> bool {
        matches!(self, Self::PostureStale | Self::PostureFailed | Self::DeviceNotOwned)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
