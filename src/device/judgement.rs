//! What became of the certificate of a connection.

use crate::access::{Device, DeviceTrust, Reason};
use std::sync::Arc;

/// What a certificate turned out to be, and how far it is trusted, at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Judgement {
    /// Whose certificate it is.
    pub kind: Presented,
    /// How far the device is trusted; `none` unless [`Presented::Device`].
    pub trust: DeviceTrust,
    /// Why it is not trusted further, where something lowered it.
    pub lowered: Option<Reason>,
    /// The device's identity, or the workload's SPIFFE ID. Known for a device that is revoked or
    /// expired too, so that the audit log can name it.
    pub id: Option<Arc<str>>,
    /// The authority or trust domain that issued it.
    pub authority: Option<Arc<str>>,
}

/// Whose certificate was presented.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Presented {
    /// Nobody's: none was presented, or none that says anything.
    #[default]
    Nothing,
    /// A device's, of an authority that is believed; possibly revoked, expired or unfit.
    Device,
    /// A workload's; the id is its SPIFFE ID.
    Workload,
}

impl Judgement {
    /// The judgement of a connection without a certificate.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The device as the decision is told of it.
    #[must_use]
    pub fn device(&self) -> Device<'_> {
        match self.kind {
            Presented::Nothing | Presented::Device => {
                Device { trust: self.trust, lowered: self.lowered, id: self.id.as_deref() }
            }
            // A workload is no device, however it is called.
            Presented::Workload => Device::default(),
        }
    }

    /// A certificate that counts as none, and why.
    pub(super) fn refused(lowered: Reason) -> Self {
        Self { lowered: Some(lowered), ..Self::default() }
    }
}
