//! What became of the certificate of a connection.

use crate::access::{Device, DeviceTrust, Reason, Record, Standing};
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
    /// The authority demands that the inventory knows the device.
    pub must_be_recorded: bool,
    /// What the inventory knows of the device.
    pub record: Option<Arc<Record>>,
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
                let standing = self.record.as_deref().map_or(Standing::Unrecorded, Standing::Recorded);
                Device { trust: self.trust, lowered: self.lowered, id: self.id.as_deref(), standing }
            }
            // A workload is no device, however it is called.
            Presented::Workload => Device::default(),
        }
    }

    /// The same, with what the inventory knows of the device: it can lower the trust and never raise it.
    #[must_use]
    pub fn recorded(mut self, record: Option<Arc<Record>>) -> Self {
        if let Some(ceiling) =
            record.as_ref().map(|record| record.ceiling()).filter(|most| *most < self.trust)
        {
            self.trust = ceiling;
            self.lowered = Some(match ceiling {
                DeviceTrust::None => Reason::DeviceRequired,
                DeviceTrust::Enrolled | DeviceTrust::Issued => Reason::DeviceNotIssued,
            });
        }
        if record.is_none() && self.must_be_recorded && self.trust > DeviceTrust::None {
            self.trust = DeviceTrust::None;
            self.lowered = Some(Reason::DeviceUnknown);
        }
        self.record = record;
        self
    }

    /// The same, where what would prove the device's state is so old that it leaves only this trust.
    #[must_use]
    pub fn aged(mut self, ceiling: DeviceTrust) -> Self {
        if ceiling < self.trust {
            self.trust = ceiling;
            self.lowered = Some(Reason::EvidenceStale);
        }
        self
    }

    /// A certificate that counts as none, and why.
    pub(super) fn refused(lowered: Reason) -> Self {
        Self { lowered: Some(lowered), ..Self::default() }
    }
}
