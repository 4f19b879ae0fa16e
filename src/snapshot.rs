//! Everything a request is decided with, as one value that is replaced whole or not at all.

#[cfg(test)]
mod for_tests;
mod load;
mod shadow;
mod watched;

pub use load::{LoadError, Loaded, load};
pub use shadow::{Asker, Shadow, Verdict};
pub use watched::Fingerprint;

use crate::access::Timestamp;
use crate::config::Config;
use crate::device::{KnownChains, TrustStore};
use crate::gateway::rate::Limiters;
use crate::gateway::tls::Certificates;
use crate::gateway::upstream::Upstream;
use crate::identity::Providers;
use crate::inventory::Inventory;
use crate::policy::{Parsed, Policy};
use crate::session::Groups;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The snapshot that new requests take.
pub type Shared = Arc<ArcSwap<Snapshot>>;

/// Everything a request is decided with. A request takes one and keeps it to its end.
pub struct Snapshot {
    /// Counts up with every load that succeeded.
    pub generation: u64,
    /// How tiergate runs.
    pub config: Arc<Config>,
    /// What is allowed.
    pub policy: Arc<Policy>,
    /// Its files as they were read, and those of the policy in shadow, for the next load.
    pub parsed: ParsedPolicies,
    /// The policy that is rehearsed beside it.
    pub shadow: Option<Arc<Shadow>>,
    /// Who signs people in.
    pub providers: Arc<Providers>,
    /// Whose certificates are believed.
    pub trust: Arc<TrustStore>,
    /// Whose chains were believed lately. One for the whole process.
    pub chains: Arc<KnownChains>,
    /// What is known of devices. One for the whole process: it changes between loads too.
    pub inventory: Arc<Inventory>,
    /// The server's own certificates.
    pub certificates: Arc<Certificates>,
    /// The settings for new handshakes.
    pub tls: Arc<rustls::ServerConfig>,
    /// The same for the admin listener, which asks for no client certificate.
    pub admin_tls: Arc<rustls::ServerConfig>,
    /// Where requests are forwarded to, by [`crate::policy::Resource::upstream`].
    pub upstreams: Vec<Arc<Upstream>>,
    /// What counts requests against limits; kept while the limits stay the same.
    pub limiters: Arc<Limiters>,
}

/// The files of policies in their form.
#[derive(Clone, Debug, Default)]
pub struct ParsedPolicies {
    /// Of the policy that decides.
    pub running: Parsed,
    /// Of the policy in shadow.
    pub shadow: Parsed,
}

impl Snapshot {
    /// The policy that runs in shadow at this time; one that has ended costs this comparison.
    #[must_use]
    pub fn shadow_at(&self, now: Timestamp) -> Option<&Shadow> {
        self.shadow.as_deref().filter(|shadow| shadow.runs(now))
    }

    /// The groups that these sources (`provider:claim-value`) put a user into.
    #[must_use]
    pub fn groups_of(&self, sources: &[String]) -> Groups {
        Groups::of(sources, &self.policy, self.shadow.as_deref().map(Shadow::policy))
    }
}
