//! Chains that were trusted lately: a device that connects again is recognised by the bytes of its chain, which
//! saves parsing it and verifying its signatures once more.
//!
//! INVARIANT: nothing in here is trust. [`Evidence::judge`] asks the trust store of now, its lists and the clock
//! on every request, whoever parsed the chain. That the peer holds the key is proved by its handshake.
//! INVARIANT: only what an authority of some load issued gets in, so that strangers cannot fill it.

use super::certificate::EvidenceError;
use super::evidence::Evidence;
use super::judgement::{Judgement, Presented};
use super::trust_store::TrustStore;
use crate::access::{DeviceTrust, Timestamp};
use aws_lc_rs::digest::{Context, SHA256};
use lru::LruCache;
use rustls::pki_types::CertificateDer;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many chains are kept, those that came last: about 3 KiB each.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);

type Digest = [u8; 32];

/// What is kept. One value a process.
pub struct KnownChains(Mutex<LruCache<Digest, Arc<Evidence>>>);

impl Default for KnownChains {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl KnownChains {
    /// Whether [`Self::evidence`] would know the chain without parsing it.
    pub(super) fn knows<'c>(&self, chain: impl Iterator<Item = &'c CertificateDer<'c>>) -> bool {
        digest(chain).is_some_and(|digest| self.lock().contains(&digest))
    }

    /// What a peer presented, and what that is worth now.
    ///
    /// # Errors
    ///
    /// As [`Evidence::parse`].
    pub fn evidence(
        &self,
        chain: &[CertificateDer<'_>],
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<(Arc<Evidence>, Judgement), EvidenceError> {
        let Some(digest) = digest(chain.iter()) else {
            let evidence = Evidence::parse(chain)?;
            let judgement = evidence.judge(trust, now);
            return Ok((Arc::new(evidence), judgement));
        };
        let known = self.lock().get(&digest).cloned();
        if let Some(evidence) = known {
            let judgement = evidence.judge(trust, now);
            return Ok((evidence, judgement));
        }
        let evidence = Arc::new(Evidence::parse(chain)?);
        let judgement = evidence.judge(trust, now);
        if judgement.trust > DeviceTrust::None || judgement.kind == Presented::Workload {
            self.lock().put(digest, Arc::clone(&evidence));
        }
        Ok((evidence, judgement))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Digest, Arc<Evidence>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for KnownChains {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownChains").field("known", &self.lock().len()).finish()
    }
}

/// The digest of the certificates and of where each of them ends; `None` for a chain that is too long to be
/// trusted.
fn digest<'c>(chain: impl Iterator<Item = &'c CertificateDer<'c>>) -> Option<Digest> {
    let mut context = Context::new(&SHA256);
    for (before, certificate) in chain.enumerate() {
        if before == super::certificate::MAX_CHAIN
            || certificate.len() > super::certificate::MAX_CERTIFICATE_BYTES
        {
            return None;
        }
        context.update(&certificate.len().to_be_bytes());
        context.update(certificate);
    }
    context.finish().as_ref().try_into().ok()
}
