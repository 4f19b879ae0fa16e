//! What a connection presented, judged whenever a request asks.

use super::certificate::{self, EvidenceError, Leaf, MAX_CHAIN, Window};
use super::chain::{Outcome, Path};
use super::crl::Revocation;
use super::judgement::{Judgement, Presented};
use super::ocsp::{Asked, Watch};
use super::trust_store::{Authority, TrustStore};
use crate::access::{DeviceTrust, Reason, Record, Timestamp};
use crate::config::{EvidenceLimits, Freshness};
use crate::inventory::Inventory;
use arc_swap::ArcSwapOption;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use webpki::{EndEntityCert, Error};

/// Intermediates of one name that are tried: a key that rolls over and its cross-certificate need
/// two. Of more, every order would be a path to try, at the expense of the proxy.
const MAX_OF_ONE_NAME: usize = 3;

/// The certificate chain of a connection, parsed once in the handshake.
///
/// It holds no trust. [`Evidence::judge`] computes that, and remembers what verifying the chain
/// came to for as long as neither the trust store nor any date can have changed it.
#[derive(Debug)]
pub struct Evidence {
    chain: Arc<Chain>,
    verdict: ArcSwapOption<Verdict>,
    record: ArcSwapOption<KnownRecord>,
}

/// What was presented, parsed.
#[derive(Debug)]
struct Chain {
    leaf: Leaf,
    certificate: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    /// Why the chain counts as none whatever it leads to, where it does.
    refused: Option<Reason>,
}

/// What outlives a connection: the chain, and what verifying it came to where no responder had a say. One that
/// had would be asked about the device for as long as this is kept, with nobody there to know.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    chain: Arc<Chain>,
    verdict: Option<Arc<Verdict>>,
}

impl Kept {
    /// Whether both are of one chain and of one verification.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same = match (&self.verdict, &other.verdict) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same && Arc::ptr_eq(&self.chain, &other.chain)
    }
}

impl From<Kept> for Evidence {
    fn from(Kept { chain, verdict }: Kept) -> Self {
        Self { chain, verdict: ArcSwapOption::new(verdict), record: ArcSwapOption::empty() }
    }
}

/// What the inventory knew of the device, and when that was.
#[derive(Debug)]
struct KnownRecord {
    epoch: u64,
    id: Arc<str>,
    record: Option<Arc<Record>>,
}

/// What verifying came to, and when that holds.
#[derive(Debug)]
struct Verdict {
    generation: u64,
    window: Window,
    /// What responders had said.
    watches: Vec<Watch>,
    judgement: Judgement,
}

/// What an authority says of a path that leads to it.
struct Issued {
    judgement: Judgement,
    /// By its lists, and by its responder where that was asked.
    revocation: Revocation,
    /// From when to when that is as fresh or as stale as it is now.
    unchanged: Window,
}

impl Evidence {
    /// Parses a chain, leaf first. Of one that is too long only the leaf is looked at: it counts as
    /// none, and whoever sends it pays more for it than tiergate does.
    ///
    /// # Errors
    ///
    /// Where it is empty, or anything that is looked at is too large or no X.509 v3 certificate.
    pub fn parse(chain: &[CertificateDer<'_>]) -> Result<Self, EvidenceError> {
        let (certificate, intermediates) = chain.split_first().ok_or(EvidenceError::Empty)?;
        let refused = (chain.len() > MAX_CHAIN).then_some(Reason::DeviceChainTooLong);
        let intermediates = if refused.is_some() { &[] } else { intermediates };
        let leaf = certificate::leaf(&certificate::parse(certificate)?);
        let mut kept: Vec<CertificateDer<'static>> = Vec::new();
        let mut subjects: Vec<Vec<u8>> = Vec::new();
        for intermediate in intermediates {
            let subject = certificate::parse(intermediate)?.subject().as_raw().to_vec();
            if subjects.iter().filter(|known| **known == subject).count() < MAX_OF_ONE_NAME {
                subjects.push(subject);
                kept.push(intermediate.clone().into_owned());
            }
        }
        let certificate = certificate.clone().into_owned();
        let chain = Arc::new(Chain { leaf, certificate, intermediates: kept, refused });
        Ok(Kept { chain, verdict: None }.into())
    }

    /// What another connection with the same chain may begin with.
    pub(super) fn kept(&self) -> Kept {
        let verdict = self.verdict.load_full().filter(|verdict| verdict.watches.is_empty());
        Kept { chain: Arc::clone(&self.chain), verdict }
    }

    /// SHA-256 of the leaf's `SubjectPublicKeyInfo`: what cookies are bound to.
    #[must_use]
    pub fn key_digest(&self) -> [u8; 32] {
        self.chain.leaf.key_digest
    }

    /// What the inventory knows of the device that this certificate names: looked up when anything in the
    /// inventory has changed since.
    pub(super) fn record(&self, inventory: &Inventory, id: &Arc<str>) -> Option<Arc<Record>> {
        // Before the look: a change that comes in between is then seen next time.
        let epoch = inventory.epoch();
        if let Some(known) = self.record.load().as_ref()
            && known.epoch == epoch
            && known.id == *id
        {
            return known.record.clone();
        }
        let record = inventory.get(id);
        let known = KnownRecord { epoch, id: Arc::clone(id), record: record.clone() };
        self.record.store(Some(Arc::new(known)));
        record
    }

    /// Whose certificate this is and how far it is trusted, at `now`.
    #[must_use]
    pub fn judge(&self, trust: &TrustStore, now: Timestamp) -> Judgement {
        if let Some(verdict) = self.verdict.load().as_ref()
            && verdict.generation == trust.generation()
            && verdict.window.contains(now)
            && verdict.watches.iter().all(Watch::holds)
        {
            return verdict.judgement.clone();
        }
        let mut watches = Vec::new();
        let (judgement, window) = self.verify(trust, now, &mut watches);
        // A verdict for a moment that is gone would only cost: but it is also never wrong.
        let generation = trust.generation();
        let verdict = Verdict { generation, window, watches, judgement: judgement.clone() };
        self.verdict.store(Some(Arc::new(verdict)));
        judgement
    }

    fn verify(&self, trust: &TrustStore, now: Timestamp, watches: &mut Vec<Watch>) -> (Judgement, Window) {
        // What no moment changes.
        if let Some(reason) = self.chain.refused {
            return (Judgement::refused(reason), Window::ALWAYS);
        }
        let leaf = match EndEntityCert::try_from(&self.chain.certificate) {
            Ok(leaf) => leaf,
            Err(Error::UnsupportedCriticalExtension) => {
                return (Judgement::refused(Reason::DeviceCriticalExtension), Window::ALWAYS);
            }
            Err(_) => return (Judgement::refused(Reason::DeviceUnfit), Window::ALWAYS),
        };
        self.workload(trust, &leaf, now).unwrap_or_else(|| self.device(trust, &leaf, now, watches))
    }

    /// What a trust domain says; `None` where none of them issued this. Whatever a trust domain
    /// issued is never a device, also when it is no valid workload.
    fn workload(
        &self,
        trust: &TrustStore,
        leaf: &EndEntityCert<'_>,
        now: Timestamp,
    ) -> Option<(Judgement, Window)> {
        let mut refused = None;
        for domain in &trust.domains {
            match domain.issuers.verify(leaf, &self.chain.intermediates, self.chain.leaf.validity, now) {
                Outcome::Verified(path) => {
                    let id =
                        self.chain.leaf.workload.as_ref().filter(|id| id.trust_domain() == &*domain.name);
                    if let Some(id) = id.filter(|_| self.chain.leaf.fault.is_none()) {
                        let judgement = Judgement {
                            kind: Presented::Workload,
                            id: Some(id.as_str().into()),
                            authority: Some(Arc::clone(&domain.name)),
                            ..Judgement::default()
                        };
                        return Some((judgement, path.window));
                    }
                    let reason = self.chain.leaf.fault.unwrap_or(Reason::DeviceUnfit);
                    refused = Some((reason, Arc::clone(&domain.name)));
                }
                Outcome::Outdated(_) => {
                    refused.get_or_insert((self.outdated_reason(now), Arc::clone(&domain.name)));
                }
                Outcome::Refused { .. } => {}
            }
        }
        let (reason, domain) = refused?;
        let judgement = Judgement { authority: Some(domain), ..Judgement::refused(reason) };
        Some((judgement, Window::at(now)))
    }

    /// What the device authorities say: the least of those that issued this.
    fn device(
        &self,
        trust: &TrustStore,
        leaf: &EndEntityCert<'_>,
        now: Timestamp,
        watches: &mut Vec<Watch>,
    ) -> (Judgement, Window) {
        let mut window = Window::ALWAYS;
        let mut verified: Option<Judgement> = None;
        let mut outdated: Option<Judgement> = None;
        let mut refused = Reason::DeviceUntrusted;
        for authority in &trust.authorities {
            match authority.issuers.verify(leaf, &self.chain.intermediates, self.chain.leaf.validity, now) {
                Outcome::Verified(path) => {
                    let mut ask = || {
                        let (revocation, watch) = self.ask(trust, authority, &path, now)?;
                        watches.extend(watch);
                        Some(revocation)
                    };
                    let issued = self.issued_by(authority, &path, &mut ask, &trust.limits, now);
                    let Issued { judgement, revocation, unchanged } = issued;
                    window = window.and(path.window).and(holds(revocation)).and(unchanged);
                    verified = Some(verified.map_or(judgement.clone(), |other| lower(other, judgement)));
                }
                Outcome::Outdated(path) => {
                    window = window.and(self.outdated_window(now));
                    // Nobody is asked about what is over.
                    let Issued { mut judgement, .. } =
                        self.issued_by(authority, &path, &mut || None, &trust.limits, now);
                    judgement.trust = DeviceTrust::None;
                    if judgement.lowered != Some(Reason::DeviceRevoked) {
                        judgement.lowered = Some(self.outdated_reason(now));
                    }
                    outdated = Some(outdated.map_or(judgement.clone(), |other| lower(other, judgement)));
                }
                Outcome::Refused { reason, timed } => {
                    if timed {
                        window = window.and(Window::at(now));
                    }
                    if refused == Reason::DeviceUntrusted {
                        refused = reason;
                    }
                }
            }
        }
        (verified.or(outdated).unwrap_or_else(|| Judgement::refused(refused)), window)
    }

    /// What the authority that the path leads to says; `ask` asks its responder.
    fn issued_by(
        &self,
        authority: &Authority,
        path: &Path,
        ask: &mut dyn FnMut() -> Option<Revocation>,
        limits: &EvidenceLimits,
        now: Timestamp,
    ) -> Issued {
        let refused = |id, reason| {
            let (kind, authority) = (Presented::Device, Some(Arc::clone(&authority.name)));
            let judgement = Judgement { kind, id, authority, ..Judgement::refused(reason) };
            Issued { judgement, revocation: path.revocation, unchanged: Window::ALWAYS }
        };
        if let Some(fault) = self.chain.leaf.fault {
            return refused(None, fault);
        }
        let Ok(id) = self.chain.leaf.names.pick(&authority.identity, path.constrained) else {
            return refused(None, Reason::DeviceUnnamed);
        };
        let id = Some(Arc::from(id));
        if let Some(unmet) = authority.demands.unmet(&self.chain.leaf, &self.chain.certificate) {
            return refused(id, unmet);
        }
        let answer = ask().unwrap_or(Revocation::Unchecked);
        let revocation = path.revocation.and(answer);
        let (left, unchanged) = left(authority, path.revocation, answer, limits, now);
        let (trust, lowered) = match revocation {
            Revocation::Revoked => (DeviceTrust::None, Some(Reason::DeviceRevoked)),
            Revocation::Unchecked | Revocation::Good(_) | Revocation::Stale(_) if left < authority.grants => {
                (left, Some(Reason::EvidenceStale))
            }
            Revocation::Unchecked | Revocation::Good(_) | Revocation::Stale(_) => (authority.grants, None),
        };
        let kind = Presented::Device;
        let must_be_recorded = authority.must_be_recorded;
        let authority = Some(Arc::clone(&authority.name));
        let judgement = Judgement { kind, trust, lowered, id, authority, must_be_recorded, record: None };
        Issued { judgement, revocation, unchanged }
    }

    /// What the authority's responder said of this certificate; `None` where it has none to be asked.
    fn ask(
        &self,
        trust: &TrustStore,
        authority: &Authority,
        path: &Path,
        now: Timestamp,
    ) -> Option<(Revocation, Option<Watch>)> {
        let ocsp = authority.ocsp.as_ref()?;
        let unknown = (Revocation::Stale(Window::ALWAYS), None);
        let Ok(parsed) = certificate::parse(&self.chain.certificate) else { return Some(unknown) };
        // Whom the certificate names is believed only now that the path was verified.
        let Some(url) = ocsp.url.as_deref().or_else(|| certificate::responder(&parsed)) else {
            return Some(unknown);
        };
        let asked = Asked {
            issuer: parsed.issuer().as_raw().to_vec(),
            issuer_key: path.issuer_key.clone(),
            serial: parsed.raw_serial().to_vec(),
        };
        Some(trust.answers().status(&authority.name, url, asked, now))
    }

    /// Whose dates do not hold, the leaf's or those of an authority that issued it.
    fn outdated_reason(&self, now: Timestamp) -> Reason {
        if self.chain.leaf.validity.contains(now) {
            Reason::DeviceAuthorityExpired
        } else {
            Reason::DeviceExpired
        }
    }

    /// A leaf that is over stays so; anything else could be different in a second.
    fn outdated_window(&self, now: Timestamp) -> Window {
        let over = Window { from: self.chain.leaf.validity.until.saturating_add(1), until: Timestamp::MAX };
        if over.contains(now) { over } else { Window::at(now) }
    }
}

/// The most trust that the age of an authority's lists and of its responder's answer leaves, and from when
/// to when.
fn left(
    authority: &Authority,
    lists: Revocation,
    answer: Revocation,
    limits: &EvidenceLimits,
    now: Timestamp,
) -> (DeviceTrust, Window) {
    let dates = |freshness: &Freshness, since, over| {
        let (from, until) = freshness.unchanged(since, now);
        (freshness.ceiling(since, over, now), Window { from, until })
    };
    let oldest = authority.issuers.crls.iter().map(|crl| crl.fresh.from).min();
    let over = matches!(lists, Revocation::Stale(_));
    let (by_lists, window) =
        oldest.map_or((DeviceTrust::Issued, Window::ALWAYS), |since| dates(&limits.crl, since, over));
    let hard = authority.ocsp.as_ref().is_some_and(|ocsp| ocsp.hard) && !limits.ocsp.allow_stale;
    let (by_answer, also) = match answer {
        Revocation::Stale(_) if hard => (DeviceTrust::None, Window::ALWAYS),
        Revocation::Stale(_) => (limits.ocsp.ceiling(now, true, now), Window::ALWAYS),
        Revocation::Good(fresh) => dates(&limits.ocsp, fresh.from, false),
        Revocation::Unchecked | Revocation::Revoked => (DeviceTrust::Issued, Window::ALWAYS),
    };
    (by_lists.min(by_answer), window.and(also))
}

/// As long as no date of a list or an answer passes.
fn holds(revocation: Revocation) -> Window {
    match revocation {
        Revocation::Good(window) | Revocation::Stale(window) => window,
        Revocation::Unchecked | Revocation::Revoked => Window::ALWAYS,
    }
}

/// The one that trusts less; of equals a revoked one, then the first.
fn lower(first: Judgement, second: Judgement) -> Judgement {
    let rank = |judgement: &Judgement| (judgement.trust, judgement.lowered != Some(Reason::DeviceRevoked));
    if rank(&second) < rank(&first) { second } else { first }
}
