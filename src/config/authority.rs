//! Device authorities: whose certificates are believed, how far, and what they must have.

use super::raw;
use super::resolve::Reader;
use super::schema::RESPONDER_RULE;
use crate::access::DeviceTrust;
use crate::text::oid::{OID_RULE, ObjectId};
use crate::text::yaml::{At, Key};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Bytes of a value that an extension must have.
const MAX_VALUE_BYTES: usize = 1024;
/// Bytes of the URL of a responder.
const MAX_URL_BYTES: usize = 2048;

/// An authority whose device certificates are believed, up to a stated trust. The default believes
/// nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Authority {
    /// Its unique name.
    pub name: String,
    /// Its certificates and intermediates, PEM.
    pub ca: Vec<PathBuf>,
    /// The most that one of its certificates is trusted.
    pub grants: DeviceTrust,
    /// Its revocation lists, PEM or DER.
    pub crl: Vec<PathBuf>,
    /// Purposes that a certificate must state beside `clientAuth`.
    pub eku: Vec<ObjectId>,
    /// Extensions that a certificate must have.
    pub require_extension: Vec<RequiredExtension>,
    /// The longest that a certificate may be valid, from `notBefore` to `notAfter`.
    pub max_lifetime: Option<Duration>,
    /// Where in a certificate the device is named.
    pub identity: Identities,
    /// A device that the inventory does not know is not trusted.
    pub must_be_recorded: bool,
    /// How its OCSP responder is asked; `None` where it is not.
    pub ocsp: Option<Ocsp>,
}

/// How an OCSP responder is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ocsp {
    /// Without an answer that counts a device counts as none, not as at most `enrolled`.
    pub hard: bool,
    /// Who is asked; whom the certificate names where `None`.
    pub url: Option<String>,
}

/// An extension that a certificate must have, once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequiredExtension {
    /// Which.
    pub oid: ObjectId,
    /// The text that it must hold; anything where `None`.
    pub value: Option<String>,
}

/// A place in a certificate that can name a device.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum IdentityKind {
    /// `permanentIdentifier` in the subject alternative name (RFC 4043).
    PermanentIdentifier,
    /// The serial number of a `hardwareModuleName` there (RFC 4108 §5).
    HardwareModuleName,
    /// A URI there, other than `spiffe:`.
    Uri,
    /// The serial number in Apple's Managed Device Attestation.
    AppleSerial,
    /// The UDID there.
    AppleUdid,
    /// `serialNumber` of the subject.
    SubjectSerial,
    /// The subject's common name.
    CommonName,
}

impl IdentityKind {
    /// Each with its word, in the order that counts where nothing is configured.
    pub const ALL: [(&'static str, Self); 7] = [
        ("permanent_identifier", Self::PermanentIdentifier),
        ("hardware_module_name", Self::HardwareModuleName),
        ("uri", Self::Uri),
        ("apple_serial", Self::AppleSerial),
        ("apple_udid", Self::AppleUdid),
        ("subject_serial", Self::SubjectSerial),
        ("common_name", Self::CommonName),
    ];
}

/// The places that count, in order: the first that is there names the device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identities(pub Vec<IdentityKind>);

impl Default for Identities {
    fn default() -> Self {
        Self(IdentityKind::ALL.map(|(_, kind)| kind).to_vec())
    }
}

/// Whether a text is the URL of an OCSP responder: in the clear or not, without a name and password.
#[must_use]
pub fn is_responder(text: &str) -> bool {
    let plain =
        text.len() <= MAX_URL_BYTES && !text.contains(|c: char| c <= ' ' || matches!(c, '#' | '@' | '\x7f'));
    let known = text.starts_with("http://") || text.starts_with("https://");
    plain && known && Url::parse(text).is_ok_and(|url| url.has_host())
}

impl Reader<'_> {
    pub(super) fn authorities(&mut self, authorities: Key<Vec<At<raw::Authority>>>) -> Vec<Authority> {
        let list = authorities.0.map_or_else(Vec::new, |list| self.not_empty(list, "authorities"));
        let mut seen = HashMap::new();
        list.into_iter().map(|authority| self.authority(authority, &mut seen)).collect()
    }

    fn authority(
        &mut self,
        authority: At<raw::Authority>,
        seen: &mut HashMap<String, std::ops::Range<usize>>,
    ) -> Authority {
        let At { value, span } = authority;
        // Destructured without `..`: see `raw`.
        let raw::Authority {
            name,
            ca,
            grants,
            crl,
            eku,
            require_extension,
            max_lifetime,
            identity,
            ocsp,
            ocsp_url,
            inventory,
        } = value;
        let name = self.unique_name(name, "an authority", span.clone(), seen);
        if !ca.is_stated() {
            self.error("Y0105", span.clone(), "missing key `ca`", "the authority's certificates, PEM");
        }
        let ca = self.texts(ca, "ca");
        let crl = self.texts(crl, "crl");
        let words = [("issued", DeviceTrust::Issued), ("enrolled", DeviceTrust::Enrolled)];
        let grants =
            self.needed(grants, "grants", span).and_then(|text| self.word(&text, "device trust", &words));
        let eku = self.texts(eku, "eku");
        let recorded = [("required", true), ("optional", false)];
        Authority {
            // What cannot be read is the stricter; the file is refused anyway.
            must_be_recorded: inventory
                .0
                .is_some_and(|text| self.word(&text, "value for `inventory`", &recorded).unwrap_or(true)),
            name,
            ca: self.paths(&ca),
            // What cannot be read grants nothing; the file is refused anyway.
            grants: grants.unwrap_or(DeviceTrust::None),
            crl: self.paths(&crl),
            eku: eku.iter().filter_map(|text| self.object_id(text)).collect(),
            require_extension: self.required_extensions(require_extension),
            max_lifetime: max_lifetime.0.and_then(|text| self.duration(&text)),
            identity: self.identities(identity),
            ocsp: self.ocsp(ocsp, ocsp_url),
        }
    }

    fn ocsp(&mut self, mode: Key<String>, url: Key<String>) -> Option<Ocsp> {
        const MODES: [(&str, Option<bool>); 3] = [("off", None), ("soft", Some(false)), ("hard", Some(true))];
        // What cannot be read is the strictest; the file is refused anyway.
        let hard = mode.0.and_then(|text| self.word(&text, "mode", &MODES).unwrap_or(Some(true)));
        if let Some(text) = &url.0 {
            if !is_responder(&text.value) {
                let message = "not the URL of an OCSP responder";
                self.error("C0111", text.span.clone(), message, RESPONDER_RULE);
            }
            if hard.is_none() {
                self.error(
                    "C0107",
                    text.span.clone(),
                    "nobody asks this responder",
                    "add `ocsp: soft` or `ocsp: hard`",
                );
            }
        }
        hard.map(|hard| Ocsp { hard, url: url.0.map(|text| text.value) })
    }

    fn object_id(&mut self, text: &At<String>) -> Option<ObjectId> {
        let id = text.value.parse().ok();
        if id.is_none() {
            let message = format!("`{}` is not an object identifier", text.value);
            self.error("C0110", text.span.clone(), message, OID_RULE);
        }
        id
    }

    fn required_extensions(&mut self, key: Key<Vec<At<raw::RequiredExtension>>>) -> Vec<RequiredExtension> {
        let list = key.0.map_or_else(Vec::new, |list| self.not_empty(list, "require_extension"));
        list.into_iter().filter_map(|At { value, span }| self.required_extension(value, span)).collect()
    }

    fn required_extension(
        &mut self,
        extension: raw::RequiredExtension,
        span: std::ops::Range<usize>,
    ) -> Option<RequiredExtension> {
        let (oid, value) = match extension {
            raw::RequiredExtension::Any(oid) => (At { value: oid, span }, None),
            raw::RequiredExtension::Holding(raw::ExtensionKeys { oid, value }) => {
                (self.needed(oid, "oid", span)?, value.0)
            }
        };
        let oid = self.object_id(&oid);
        if let Some(value) = value.as_ref().filter(|value| value.value.len() > MAX_VALUE_BYTES) {
            let label = format!("at most {MAX_VALUE_BYTES} bytes");
            self.error("C0106", value.span.clone(), "the value is too long", label);
        }
        Some(RequiredExtension { oid: oid?, value: value.map(|value| value.value) })
    }

    fn identities(&mut self, key: raw::Texts) -> Identities {
        if !key.is_stated() {
            return Identities::default();
        }
        let mut seen = HashMap::new();
        let texts = self.texts(key, "identity");
        let kinds = texts.iter().filter_map(|text| {
            self.once(text, "identity", &mut seen);
            self.word(text, "identity", &IdentityKind::ALL)
        });
        Identities(kinds.collect())
    }
}
