//! All that is known about one request when it is decided.

use super::{DeviceTrust, Reason, Standing};
use crate::policy::{Place, ServiceId};
use std::net::IpAddr;

/// Seconds since the Unix epoch.
pub type Timestamp = i64;

/// The facts of one request, borrowed from the connection, the session and the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Where the canonical host and path lead: [`crate::policy::Policy::locate`].
    pub place: Option<Place<'a>>,
    /// The request method, case-sensitive.
    pub method: &'a str,
    /// The canonical path, without the query.
    pub path: &'a str,
    /// The address of the client, after PROXY protocol from listed balancers.
    pub client: IpAddr,
    /// When the request is decided.
    pub now: Timestamp,
    /// The limit per address of the place was exceeded.
    pub address_limited: bool,
    /// An unsafe method or a WebSocket, with a session cookie, from an origin that is neither the
    /// host's own nor listed in the resource's `cors.origins`.
    pub cross_origin: bool,
    /// The audit log can take this request's event.
    pub audit_available: bool,
    /// Who asks.
    pub subject: Subject<'a>,
    /// From which device.
    pub device: Device<'a>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// Nobody that is known, and why.
    Nobody(Absent),
    /// A person, signed in.
    User(User<'a>),
    /// A workload; `None` where no policy names it.
    Service(Option<ServiceId>),
}

/// Why there is no subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Absent {
    /// No credential was presented, or none that is valid.
    NotSignedIn,
    /// The session was ended.
    SessionRevoked,
    /// The session is too old to be known any more.
    SessionExpired,
    /// The session is bound to another device key.
    DeviceChanged,
}

/// A signed-in person.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// The account is active.
    pub active: bool,
    /// The policy's groups that this user is in: [`crate::policy::Policy::group_set`].
    pub groups: &'a GroupSet,
    /// The session the request came with.
    pub session: Session,
    /// The user name.
    pub name: &'a str,
    /// The e-mail address, where one is known.
    pub email: Option<&'a str>,
}

/// What matters of a session for a decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Session {
    /// When it began.
    pub started: Timestamp,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// When the user last proved who they are.
    pub auth_time: Timestamp,
    /// More than one factor was used.
    pub mfa: bool,
}

/// The device of the request, judged now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Device<'a> {
    /// How far it is trusted.
    pub trust: DeviceTrust,
    /// Why it is not trusted further, where something lowered it.
    pub lowered: Option<Reason>,
    /// Its identity, where the certificate told one.
    pub id: Option<&'a str>,
    /// What the inventory says of it.
    pub standing: Standing<'a>,
}

/// A set of the policy's groups, as bits by the group's index.
///
/// Made by [`crate::policy::Policy::group_set`], and meaningful only with the policy that made it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GroupSet(Box<[u64]>);

impl GroupSet {
    /// A set of the groups with these indices, of `groups` groups in all.
    pub fn new(groups: usize, members: impl IntoIterator<Item = usize>) -> Self {
        let mut words = vec![0_u64; groups.div_ceil(64)];
        for member in members {
            if let Some(word) = words.get_mut(member / 64) {
                *word |= 1 << (member % 64);
            }
        }
        Self(words.into_boxed_slice())
    }

    /// Whether the group with this index is in the set.
    #[must_use]
    pub fn contains(&self, group: usize) -> bool {
        self.0.get(group / 64).is_some_and(|word| word & (1 << (group % 64)) != 0)
    }

    /// Whether the two sets share a group.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    /// Whether every group of the other set is in this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let mut words = other.0.iter().enumerate();
        words.all(|(at, word)| word & !self.0.get(at).copied().unwrap_or(0) == 0)
    }

    /// Whether no group is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many bytes the set takes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of_val(&*self.0)
    }

    /// The indices of the groups in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| at * 64 + bit)
        })
    }
}
