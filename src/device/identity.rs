//! Which device a certificate names.

use crate::config::IdentityKind;
use crate::text::name::is_device_id;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Any, Class, FromDer, Oid, Sequence, Tag, Utf8String, oid};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_SERIALNUMBER};
use x509_parser::x509::AttributeTypeAndValue;

/// `permanentIdentifier` (RFC 4043), as ACME `device-attest-01` issuers write it.
const PERMANENT_IDENTIFIER: Oid<'static> = oid!(1.3.6.1.5.5.7.8.3);
/// `hardwareModuleName` (RFC 4108 §5).
const HARDWARE_MODULE_NAME: Oid<'static> = oid!(1.3.6.1.5.5.7.8.4);
/// The serial number and the UDID in Apple's Managed Device Attestation.
const APPLE_SERIAL: Oid<'static> = oid!(1.2.840.113635.100.8.9.1);
const APPLE_UDID: Oid<'static> = oid!(1.2.840.113635.100.8.9.2);

/// The certificate names no device, or more than one, or by what cannot be written down safely.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unnamed;

/// What one place says: nothing, one name, or what is none.
pub(super) type Place = Result<Option<String>, Unnamed>;

/// What a certificate calls the device, in every place that can name one. Who issued it decides which
/// of them counts.
#[derive(Debug)]
pub(super) struct DeviceNames {
    permanent_identifier: Place,
    hardware_module_name: Place,
    uri: Place,
    apple_serial: Place,
    apple_udid: Place,
    subject_serial: Place,
    common_name: Place,
}

impl DeviceNames {
    /// Reads every place. One that holds two names or a malformed one is an error of that place.
    pub(super) fn read(certificate: &X509Certificate<'_>) -> Self {
        let names = match certificate.subject_alternative_name() {
            Ok(Some(names)) => Ok(names.value.general_names.as_slice()),
            Ok(None) => Ok(&[][..]),
            Err(_) => Err(Unnamed),
        };
        let extension = |oid: Oid<'_>| {
            let found = certificate.iter_extensions().filter(|extension| extension.oid == oid);
            only(found.map(|extension| text_of(extension.value).map(str::to_owned).ok_or(Unnamed)))
        };
        let attribute = |oid| only(certificate.subject().iter_by_oid(&oid).map(|attribute| text(attribute)));
        Self {
            permanent_identifier: names.and_then(|names| {
                let values = other_names(names, PERMANENT_IDENTIFIER);
                only(values.filter_map(|value| permanent_identifier(value).transpose()))
            }),
            hardware_module_name: names
                .and_then(|names| only(other_names(names, HARDWARE_MODULE_NAME).map(hardware_serial))),
            uri: names.and_then(|names| only(device_uris(names).map(|uri| Ok(uri.to_owned())))),
            apple_serial: extension(APPLE_SERIAL),
            apple_udid: extension(APPLE_UDID),
            subject_serial: attribute(OID_X509_SERIALNUMBER),
            common_name: attribute(OID_X509_COMMON_NAME),
        }
    }

    /// What one place says.
    pub(super) fn at(&self, kind: IdentityKind) -> &Place {
        match kind {
            IdentityKind::PermanentIdentifier => &self.permanent_identifier,
            IdentityKind::HardwareModuleName => &self.hardware_module_name,
            IdentityKind::Uri => &self.uri,
            IdentityKind::AppleSerial => &self.apple_serial,
            IdentityKind::AppleUdid => &self.apple_udid,
            IdentityKind::SubjectSerial => &self.subject_serial,
            IdentityKind::CommonName => &self.common_name,
        }
    }

    /// The name in the first of these places that has one. One that is malformed or double is an error,
    /// not a reason to look further down. Where name constraints bind the path, the subject does not
    /// count: they do not bind it.
    pub(super) fn pick(&self, order: &[IdentityKind], constrained: bool) -> Result<&str, Unnamed> {
        for kind in order {
            let from_subject = matches!(kind, IdentityKind::SubjectSerial | IdentityKind::CommonName);
            if constrained && from_subject {
                continue;
            }
            match self.at(*kind) {
                Ok(None) => {}
                Ok(Some(name)) => return Ok(name),
                Err(unnamed) => return Err(*unnamed),
            }
        }
        Err(Unnamed)
    }
}

fn other_names<'a>(names: &'a [GeneralName<'a>], wanted: Oid<'static>) -> impl Iterator<Item = &'a [u8]> {
    names.iter().filter_map(move |name| {
        let GeneralName::OtherName(kind, value) = name else { return None };
        (*kind == wanted).then_some(*value)
    })
}

/// Schemes are case-insensitive: an id that looks like a workload's is nobody's device.
fn device_uris<'a>(names: &'a [GeneralName<'a>]) -> impl Iterator<Item = &'a str> {
    names.iter().filter_map(|name| {
        let GeneralName::URI(uri) = name else { return None };
        (!is_spiffe(uri)).then_some(*uri)
    })
}

fn is_spiffe(uri: &str) -> bool {
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Result<String, Unnamed> {
    attribute.as_str().map(str::to_owned).map_err(|_| Unnamed)
}

/// The only name, if there is one; two, or one that is not plain text, are an error.
fn only(names: impl Iterator<Item = Result<String, Unnamed>>) -> Place {
    let mut names = names;
    match (names.next().transpose()?, names.next()) {
        (None, _) => Ok(None),
        (Some(text), None) if is_device_id(&text) => Ok(Some(text)),
        (Some(_), _) => Err(Unnamed),
    }
}

/// The text that an extension holds: its whole value, as Apple writes it, or one DER string that is all
/// of it. Nothing is read in two ways: the tags of strings are no plain text.
pub(super) fn text_of(value: &[u8]) -> Option<&str> {
    let inner = match Any::from_der(value) {
        Ok(([], any))
            if any.class() == Class::Universal && !any.header.is_constructed() && is_string(any.tag()) =>
        {
            any.data
        }
        Ok(_) | Err(_) => value,
    };
    std::str::from_utf8(inner).ok().filter(|text| is_device_id(text))
}

fn is_string(tag: Tag) -> bool {
    [Tag::Utf8String, Tag::PrintableString, Tag::Ia5String].contains(&tag)
}

/// `PermanentIdentifier ::= SEQUENCE { identifierValue UTF8String OPTIONAL, assigner OID OPTIONAL }`
fn permanent_identifier(other_name: &[u8]) -> Result<Option<String>, Unnamed> {
    let value = explicit(other_name)?;
    let (rest, sequence) = Sequence::from_der(value).map_err(|_| Unnamed)?;
    end(rest)?;
    let mut fields = sequence.content.as_ref();
    let mut identifier = None;
    if let Ok((rest, value)) = Utf8String::from_der(fields) {
        identifier = Some(value.string());
        fields = rest;
    }
    if !fields.is_empty() {
        let (rest, _assigner) = Oid::from_der(fields).map_err(|_| Unnamed)?;
        end(rest)?;
    }
    Ok(identifier)
}

/// `HardwareModuleName ::= SEQUENCE { hwType OID, hwSerialNum OCTET STRING }`
fn hardware_serial(other_name: &[u8]) -> Result<String, Unnamed> {
    let value = explicit(other_name)?;
    let (rest, sequence) = Sequence::from_der(value).map_err(|_| Unnamed)?;
    end(rest)?;
    let (rest, _kind) = Oid::from_der(sequence.content.as_ref()).map_err(|_| Unnamed)?;
    let (rest, serial) = Any::from_der(rest).map_err(|_| Unnamed)?;
    end(rest)?;
    if serial.tag() != Tag::OctetString {
        return Err(Unnamed);
    }
    // Bytes that are not text are refused, not rewritten: two serials must never read alike.
    String::from_utf8(serial.data.to_vec()).map_err(|_| Unnamed)
}

/// The content of the `[0] EXPLICIT` around an otherName's value, with nothing behind it.
fn explicit(other_name: &[u8]) -> Result<&[u8], Unnamed> {
    let (rest, any) = Any::from_der(other_name).map_err(|_| Unnamed)?;
    end(rest)?;
    if any.class() != Class::ContextSpecific || any.tag() != Tag(0) {
        return Err(Unnamed);
    }
    Ok(any.data)
}

fn end(rest: &[u8]) -> Result<(), Unnamed> {
    if rest.is_empty() { Ok(()) } else { Err(Unnamed) }
}
