//! What an authority demands of the certificates that it issues, beyond what every device's must be.

use super::certificate::{self, Leaf};
use super::identity;
use crate::access::Reason;
use crate::config::RequiredExtension;
use crate::text::oid::ObjectId;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{FromDer, Oid};
use x509_parser::oid_registry::OID_X509_EXT_EXTENDED_KEY_USAGE;

/// What an authority demands of its leaves.
#[derive(Clone, Debug, Default)]
pub(super) struct Demands {
    /// Purposes beside `clientAuth`.
    pub(super) purposes: Vec<ObjectId>,
    pub(super) extensions: Vec<RequiredExtension>,
    /// From `notBefore` to `notAfter`, in seconds.
    pub(super) max_lifetime: Option<i64>,
}

impl Demands {
    /// What of it a leaf does not meet, if anything.
    pub(super) fn unmet(&self, leaf: &Leaf, certificate: &CertificateDer<'_>) -> Option<Reason> {
        let lifetime = leaf.validity.until.saturating_sub(leaf.validity.from);
        if self.max_lifetime.is_some_and(|most| lifetime > most) {
            return Some(Reason::DeviceLifetime);
        }
        if self.purposes.is_empty() && self.extensions.is_empty() {
            return None;
        }
        // Few authorities demand these, so no connection keeps its extensions for them.
        let Ok(parsed) = certificate::parse(certificate) else { return Some(Reason::DeviceUnfit) };
        let met =
            states(&parsed, &self.purposes) && self.extensions.iter().all(|wanted| has(&parsed, wanted));
        (!met).then_some(Reason::DeviceExtensionMissing)
    }
}

/// Whether a certificate states every purpose by its own identifier.
fn states(certificate: &X509Certificate<'_>, purposes: &[ObjectId]) -> bool {
    if purposes.is_empty() {
        return true;
    }
    let Some(value) = only_extension(certificate, &OID_X509_EXT_EXTENDED_KEY_USAGE.to_id_string()) else {
        return false;
    };
    let Ok((rest, stated)) = <Vec<Oid<'_>> as FromDer<'_>>::from_der(value) else { return false };
    let stated = stated.iter().map(Oid::to_id_string).collect::<Vec<_>>();
    rest.is_empty() && purposes.iter().all(|purpose| stated.iter().any(|known| known == purpose.as_str()))
}

fn has(certificate: &X509Certificate<'_>, wanted: &RequiredExtension) -> bool {
    let RequiredExtension { oid, value } = wanted;
    let Some(found) = only_extension(certificate, oid.as_str()) else { return false };
    value.as_ref().is_none_or(|value| identity::text_of(found) == Some(value))
}

/// The value of an extension that is there exactly once.
fn only_extension<'a>(certificate: &'a X509Certificate<'_>, oid: &str) -> Option<&'a [u8]> {
    let mut found = certificate.iter_extensions().filter(|extension| extension.oid.to_id_string() == oid);
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only.value),
        (None | Some(_), _) => None,
    }
}
