//! The words of every reason; [`super::explain`] is the way to them.

use super::Explanation;
use crate::access::Reason;

#[expect(clippy::too_many_lines, reason = "a table: one row for each reason")]
pub(super) const fn words(reason: Reason) -> &'static Explanation {
    match reason {
        Reason::Allowed => &Explanation {
            title: "Access granted",
            happened: "You may open this, and your request was passed on.",
            remedy: "Nothing: there is nothing to fix.",
            security: "The audit event names the `allow` or `services` entry in `rule`; without one, the tier alone admitted it.",
        },
        Reason::OwnPage => &Explanation {
            title: "A page of tiergate's own",
            happened: "You were shown a page of the access proxy itself, such as sign-in or the list of what you can open.",
            remedy: "Nothing: there is nothing to fix.",
            security: "Nothing was forwarded. Unusually many of these from one address are worth a look at the sign-in events.",
        },
        Reason::Preflight => &Explanation {
            title: "A browser's check before a request",
            happened: "A web page asked, by way of your browser, whether it may send a request here, and was answered.",
            remedy: "Nothing: browsers do this on their own.",
            security: "The answer comes from the resource's `cors`. If a page is refused, compare its origin with `cors.origins`.",
        },
        Reason::NoRoute => &Explanation {
            title: "There is nothing at this address",
            happened: "No service is published at the address you opened. It may be mistyped, or it may have moved.",
            remedy: "Check the address. If a link brought you here, tell whoever runs the page with the link.",
            security: "No resource has this host and path. Compare `host` and `path` of the audit event with `hosts` and `paths` in `policies/`.",
        },
        Reason::HostNotCovered => &Explanation {
            title: "This connection is for another address",
            happened: "Your browser sent the request over a connection that was opened for a different address.",
            remedy: "Load the page again. If it comes back, close all windows of the browser and open the address once more.",
            security: "The certificate served on this connection does not cover the host asked for. Check `tls.certificates` for the host, and clients that set `Host` by hand.",
        },
        Reason::ConnectionWithoutDevice => &Explanation {
            title: "A fresh connection is needed",
            happened: "This service needs to see your device, and the connection in use was opened for another address without showing it.",
            remedy: "Load the page again: the browser then opens a connection of its own for this address.",
            security: "The authority is not the connection's SNI, and the connection has no client certificate. Expected with certificates for several hosts; frequent repeats point to a client that ignores 421.",
        },
        Reason::AmbiguousRequest => &Explanation {
            title: "The request could be read in two ways",
            happened: "The address or the headers of the request could mean two different things, so it was not passed on.",
            remedy: "Type the address afresh instead of pasting it. If a program sent the request, its author should see this page's code.",
            security: "Something in the bytes is ambiguous, such as encoded slashes, `..`, two lengths or two hosts. Repeats from one client may be probing.",
        },
        Reason::MethodRefused => &Explanation {
            title: "This kind of request is not accepted",
            happened: "The request used a method that is never passed on, such as `CONNECT` or `TRACE`.",
            remedy: "Use the service as its documentation says. A browser does not send such requests on its own.",
            security: "See `method` and `client` of the audit event. Repeats usually are scanners.",
        },
        Reason::RequestTooLarge => &Explanation {
            title: "The request is too large",
            happened: "The address, the headers or what you sent is larger than is accepted here.",
            remedy: "Send less at once. If an ordinary page shows this, delete the cookies of this site and try again.",
            security: "Compare the request with `limits` in `tiergate.yaml`: `max_target_bytes`, `max_headers`, `max_header_bytes`, `max_body_bytes`.",
        },
        Reason::RequestTimeout => &Explanation {
            title: "The request took too long to arrive",
            happened: "Your request did not arrive completely within the time allowed.",
            remedy: "Try again. On a slow or unsteady network, move to a better one.",
            security: "See `limits.header_timeout`, `limits.stall_timeout` and `limits.min_rate`. Many at once from few addresses may be an attack that keeps connections busy.",
        },
        Reason::ExpectationFailed => &Explanation {
            title: "The request expects something that is not offered",
            happened: "The request carried an expectation other than `100-continue`, which no service here fulfils.",
            remedy: "If a program sent the request, remove its `Expect` header.",
            security: "Only `Expect: 100-continue` is understood. See `client` of the audit event for who sends something else.",
        },
        Reason::RateLimited => &Explanation {
            title: "Too many requests",
            happened: "More requests came in a short time than this service accepts.",
            remedy: "Wait a little, then try again. If a script sent them, let it send fewer.",
            security: "A `rate_limit` of the resource was exceeded. `client`, `subject` and `device` of the audit events tell by whom.",
        },
        Reason::NotSignedIn => &Explanation {
            title: "Please sign in",
            happened: "This service is for people who are signed in, and you are not signed in yet.",
            remedy: "Sign in. You come back to the same page.",
            security: "No valid session or credential came with the request. From a script: it needs a service certificate, or should not call this resource.",
        },
        Reason::AccountDisabled => &Explanation {
            title: "Your account is disabled",
            happened: "You proved who you are, but your account is not active.",
            remedy: "Ask for your account to be enabled.",
            security: "The account is disabled or gone: see `disabled` in the users file, or the account at the identity provider.",
        },
        Reason::SessionExpired => &Explanation {
            title: "Your sign-in has expired",
            happened: "You signed in some time ago, and a sign-in lasts only so long here.",
            remedy: "Sign in again. You come back to the same page.",
            security: "The session is older than `sessions.max_age`, or than the `authentication` entry in the policy that applies to this person. Without a session: the bearer token has expired, or does not verify.",
        },
        Reason::SessionIdle => &Explanation {
            title: "You were signed out after a pause",
            happened: "Nothing was opened with your sign-in for a while, so it ended.",
            remedy: "Sign in again. You come back to the same page.",
            security: "The session was unused for longer than `sessions.idle_timeout`, or than the `authentication` entry in the policy that applies.",
        },
        Reason::SessionRevoked => &Explanation {
            title: "You were signed out",
            happened: "Your sign-in was ended, by you in another window or by an administrator.",
            remedy: "Sign in again. If you did not sign out yourself, tell the security team.",
            security: "The session was ended. The audit events of kind `session_end` with the same `session` tell when and by whom.",
        },
        Reason::SessionDeviceChanged => &Explanation {
            title: "Please sign in again on this device",
            happened: "Your sign-in belongs to another device certificate than the one your browser shows now.",
            remedy: "Sign in again. If you did not change the device or its certificate, tell the security team.",
            security: "The cookie is bound to another device key. After a renewed certificate this is expected once; otherwise a cookie may have been copied.",
        },
        Reason::DeniedByRule => &Explanation {
            title: "You may not do this",
            happened: "A rule for this service excludes this request.",
            remedy: "If you need it for your work, ask for access and give the code on this page.",
            security: "A `deny` rule matched: `rule` of the audit event has its file and line.",
        },
        Reason::DeviceRequired => &Explanation {
            title: "A company device is needed",
            happened: "This service opens only on a device that the company manages, and none was recognised.",
            remedy: "Open it on your company device. If you are on one, restart the browser and choose the device certificate when it asks.",
            security: "The connection had no client certificate, or a workload's. If the device should have one, look at its enrolment.",
        },
        Reason::DeviceNotIssued => &Explanation {
            title: "A company-issued device is needed",
            happened: "This service opens only on devices issued by the company. Yours is enrolled, which is enough for many services but not for this one.",
            remedy: "Open it on your company-issued computer. If you have none, ask for one.",
            security: "The certificate's authority grants `enrolled`, and the tier is `high`. Check `device` and the `grants` of its authority in `devices.authorities`.",
        },
        Reason::DeviceRevoked => &Explanation {
            title: "This device is no longer trusted",
            happened: "The certificate of your device was withdrawn. This happens when a device is replaced, or reported lost.",
            remedy: "If you still use this device, ask for it to be set up again.",
            security: "The certificate is on its authority's CRL. If `device` was reported lost or stolen, treat this as its use and look where it came from.",
        },
        Reason::DeviceExpired => &Explanation {
            title: "Your device's certificate is out of date",
            happened: "The certificate of your device has expired, or is not valid yet.",
            remedy: "Connect the device to the company's device management so that it renews its certificate, check the device's clock, then restart the browser.",
            security: "The certificate is outside its dates. Many at once mean that renewal is broken at the authority or the device management.",
        },
        Reason::DeviceUntrusted => &Explanation {
            title: "Your device's certificate is not recognised",
            happened: "Your browser showed a certificate that none of the company's authorities has issued.",
            remedy: "Restart the browser and choose your company's certificate when it asks. If you have none, ask for the device to be set up.",
            security: "The chain ends at no authority in `devices.authorities`, or a signature in it is wrong. After a new authority, check that it is listed.",
        },
        Reason::DeviceUnfit => &Explanation {
            title: "Your device's certificate cannot be used",
            happened: "Your browser showed a certificate that is not made for identifying a device.",
            remedy: "Restart the browser and choose the device certificate when it asks. If there is no other, ask for the device to be set up again.",
            security: "The certificate lacks the `clientAuth` usage, has a weak key or a broken chain, or names no device. Look at the template it was issued from.",
        },
        Reason::DeviceUnknown => &Explanation {
            title: "Your device is not registered",
            happened: "Your device's certificate is in order, but the company's list of devices does not have this device.",
            remedy: "Ask for the device to be registered. If it was set up today, try again in an hour.",
            security: "An authority with `inventory: required`, or a `posture` of the tier, needs a record, and no source has one for `device`. Check that the certificate names the device as the inventory does.",
        },
        Reason::DeviceInactive => &Explanation {
            title: "This device may not be used",
            happened: "This device was reported lost, taken out of service, or set aside to be looked at.",
            remedy: "If it is yours and in your hands, ask for it to be released, and give the code on this page. Otherwise use another device.",
            security: "A source of the inventory says `lost`, `retired` or `quarantined`: `tiergate device show` says which. If it was reported lost or stolen, treat this as its use and look where it came from.",
        },
        Reason::DeviceNotOwned => &Explanation {
            title: "This is somebody else's device",
            happened: "This service opens only on the device that was given to you, and this one was given to somebody else, or to nobody yet.",
            remedy: "Open it on your own company device. If this one is yours now, ask for that to be recorded.",
            security: "The tier's `posture` says `owner: must_match`, and the record's `owner` is neither the user name nor the e-mail address. `tiergate device set ID --owner USER` corrects it.",
        },
        Reason::PostureStale => &Explanation {
            title: "Your device has not reported for too long",
            happened: "The device management has not heard of your device lately, so nobody knows how it is kept.",
            remedy: "Connect the device to the internet, open the company's management app and let it check in, then try again.",
            security: "`last_checkin` of the record is older than `max_checkin_age` of the tier's `posture`, or missing. Many at once mean that the device management or its sync is not working.",
        },
        Reason::PostureFailed => &Explanation {
            title: "Your device needs attention",
            happened: "Your device is not kept as this service asks: its system is too old, or a protection is off.",
            remedy: "Do what is listed, let the device check in with the company's management app, then try again.",
            security: "The record lacks what the tier's `posture` asks: `rule` of the audit event has its place, `tiergate device show` the record.",
        },
        Reason::EvidenceStale => &Explanation {
            title: "Your device cannot be checked now",
            happened: "What is known about devices is too old to rely on. This is not your fault.",
            remedy: "Try again in a few minutes. If it goes on, ask for help and give the code on this page.",
            security: "A CRL of the device's authority is missing or past its `nextUpdate`. See `tiergate_evidence_age_seconds`, and publish a fresh one.",
        },
        Reason::NotAllowed => &Explanation {
            title: "You do not have access to this",
            happened: "This service is open to certain people only, and you are not among them.",
            remedy: "If you need it for your work, ask for access and give the code on this page.",
            security: "No `allow` rule of the resource matched. Compare the person's groups and address with the rules of `resource`.",
        },
        Reason::MfaRequired => &Explanation {
            title: "A second factor is needed",
            happened: "This service asks for more than a password.",
            remedy: "Confirm with your second factor. You come back to the same page.",
            security: "The session has one factor, and the `allow` rule or the `authentication` entry asks for `mfa`. For people of an OpenID provider, check its `amr` and `acr` values.",
        },
        Reason::ReauthRequired => &Explanation {
            title: "Please confirm that it is you",
            happened: "This service asks that you proved who you are only a short while ago.",
            remedy: "Confirm that it is you. You come back to the same page.",
            security: "The sign-in is older than the `max_auth_age` of the `allow` rule.",
        },
        Reason::ServiceNotListed => &Explanation {
            title: "This service account has no access",
            happened: "The request came from a program that may not send this request here.",
            remedy: "If you run the program, ask for it to be admitted and give the code.",
            security: "The resource's `services` lists no entry with this service, method and path. The SPIFFE ID is `subject` of the audit event.",
        },
        Reason::CrossOrigin => &Explanation {
            title: "Another website tried to do this",
            happened: "The request to change something here came from a different website, so it was stopped.",
            remedy: "If you did not expect this, nothing was changed: close the other website. Otherwise do it on the service's own page.",
            security: "An unsafe method or a WebSocket came with a session from an origin that is not in `cors.origins`. If the origin is yours, list it there; if not, it may be an attack on this person.",
        },
        Reason::AuditUnavailable => &Explanation {
            title: "Not available for the moment",
            happened: "Access to this service has to be recorded, and that is not possible just now.",
            remedy: "Try again in a few minutes. If it goes on, ask for help and give the code on this page.",
            security: "The audit log cannot be written, and `audit.on_failure` denies this tier. See the disk of `audit.path` and `tiergate_audit_failures_total`.",
        },
        Reason::UpstreamUnavailable => &Explanation {
            title: "The service does not answer",
            happened: "You have access, but the service itself could not be reached.",
            remedy: "Try again in a few minutes. If it goes on, tell whoever runs the service.",
            security: "No address of the resource's upstream took the request, or the answer broke off. See the log at this time and `tiergate_upstream_requests_total`.",
        },
        Reason::UpstreamTimeout => &Explanation {
            title: "The service takes too long to answer",
            happened: "You have access, but the service itself did not answer in time.",
            remedy: "Try again in a few minutes. What you sent may have been carried out: check before you send it again.",
            security: "The upstream was slower than its `connect_timeout`, `first_byte_timeout` or `idle_timeout`.",
        },
        Reason::ClientAborted => &Explanation {
            title: "The request was broken off",
            happened: "The connection was closed before the answer was complete.",
            remedy: "Load the page again.",
            security: "The client went away. Only the audit log shows this; many at once point to the network or to answers that are too slow.",
        },
        Reason::InternalError => &Explanation {
            title: "Something went wrong here",
            happened: "A fault in the access proxy stopped your request. Nothing was passed on.",
            remedy: "Try again. If it goes on, ask for help and give the code on this page.",
            security: "A fault of tiergate's own: the log at the time of this audit event has the details. Please report it.",
        },
    }
}
