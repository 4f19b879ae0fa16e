//! Chains that were trusted lately: a device that connects again is recognised by the bytes of its chain, which
//! saves parsing it and verifying its signatures once more.
//!
//! INVARIANT: nothing in here is trust. [`Evidence::judge`] asks the trust store of now, its lists and the clock
//! on every request, whoever parsed the chain. That the peer holds the key is proved by its handshake.
//! INVARIANT: only what an authority of some load issued gets in, so that strangers cannot fill it, and no more of
//! it than has its bound in number and in bytes.

use super::certificate::EvidenceError;
use super::evidence::{Evidence, Kept};
use super::judgement::{Judgement, Presented};
use super::trust_store::TrustStore;
use crate::access::{DeviceTrust, Timestamp};
use aws_lc_rs::digest::{Context, SHA256};
use lru::LruCache;
use rustls::pki_types::CertificateDer;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many chains are kept, those that came last: about 3 KiB each.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);
/// A longer chain is not kept, bytes: whoever has a certificate may put others of their own behind it.
const MOST_BYTES: usize = 8 * 1024;

type Digest = [u8; 32];

/// What is kept. One value a process.
#[derive(Debug)]
pub struct KnownChains(Mutex<LruCache<Digest, Kept>>);

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
    ) -> Result<(Evidence, Judgement), EvidenceError> {
        let digest = digest(chain.iter());
        let known = digest.and_then(|digest| self.lock().get(&digest).cloned());
        let evidence = known.clone().map_or_else(|| Evidence::parse(chain), |known| Ok(known.into()))?;
        let judgement = evidence.judge(trust, now);
        let trusted = judgement.trust > DeviceTrust::None || judgement.kind == Presented::Workload;
        let kept = evidence.kept();
        if let Some(digest) = digest
            && known.map_or(trusted, |known| !known.is_same(&kept))
        {
            self.lock().put(digest, kept);
        }
        Ok((evidence, judgement))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Digest, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The digest of the certificates and of where each of them ends; `None` for a chain that is not kept.
fn digest<'c>(chain: impl Iterator<Item = &'c CertificateDer<'c>>) -> Option<Digest> {
    let mut context = Context::new(&SHA256);
    let mut bytes = 0_usize;
    for certificate in chain {
        bytes = bytes.saturating_add(certificate.len());
        if bytes > MOST_BYTES {
            return None;
        }
        context.update(&certificate.len().to_be_bytes());
        context.update(certificate);
    }
    context.finish().as_ref().try_into().ok()
}
