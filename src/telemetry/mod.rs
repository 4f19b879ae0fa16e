//! What tiergate tells the people who run it: metrics on the admin listener, logs on stderr.
//!
//! Invariant: no label and no log field holds a secret, and no label holds anything that an outsider
//! can multiply. Label values come from enums or from names that somebody configured.

pub mod logs;
pub mod metrics;
mod process;
mod resource;
mod series;

pub use metrics::{
    Active, EvidenceSource, Handshake, HandshakeResult, LoginResult, Metrics, MetricsError, SyncResult,
    TlsVersion,
};
pub use resource::{Decided, ResourceMetrics, UpstreamMetrics};
