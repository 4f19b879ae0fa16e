//! Which device a certificate names.

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

/// The identity of a device, and where in the certificate it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct DeviceId {
    pub(super) text: String,
    /// From the subject, which the name constraints of an authority do not bind.
    pub(super) from_subject: bool,
}

/// The certificate names no device, or more than one, or by what cannot be written down safely.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unnamed;

/// Reads the device's identity: the first of `permanentIdentifier` or `hardwareModuleName`, a URI
/// other than `spiffe:`, the subject's `serialNumber`, the subject's common name. A place that is
/// there but holds two identities or a malformed one is an error, not a reason to look further down.
pub(super) fn device_id(certificate: &X509Certificate<'_>) -> Result<DeviceId, Unnamed> {
    let names = match certificate.subject_alternative_name() {
        Ok(Some(names)) => names.value.general_names.as_slice(),
        Ok(None) => &[],
        Err(_) => return Err(Unnamed),
    };
    let mut attested = Vec::new();
    for name in names {
        let GeneralName::OtherName(kind, value) = name else { continue };
        if *kind == PERMANENT_IDENTIFIER {
            attested.extend(permanent_identifier(value)?);
        } else if *kind == HARDWARE_MODULE_NAME {
            attested.push(hardware_serial(value)?);
        }
    }
    if let Some(id) = only(attested, false)? {
        return Ok(id);
    }
    // Schemes are case-insensitive: an id that looks like a workload's is nobody's device.
    let uris = names.iter().filter_map(|name| {
        let GeneralName::URI(uri) = name else { return None };
        (!is_spiffe(uri)).then(|| (*uri).to_owned())
    });
    if let Some(id) = only(uris.collect(), false)? {
        return Ok(id);
    }
    for attribute in [OID_X509_SERIALNUMBER, OID_X509_COMMON_NAME] {
        let values = certificate.subject().iter_by_oid(&attribute).map(text).collect::<Result<_, _>>()?;
        if let Some(id) = only(values, true)? {
            return Ok(id);
        }
    }
    Err(Unnamed)
}

fn is_spiffe(uri: &str) -> bool {
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Result<String, Unnamed> {
    attribute.as_str().map(str::to_owned).map_err(|_| Unnamed)
}

/// The only candidate, if there is one; two, or one that is not plain text, are an error.
fn only(candidates: Vec<String>, from_subject: bool) -> Result<Option<DeviceId>, Unnamed> {
    let mut candidates = candidates.into_iter();
    match (candidates.next(), candidates.next()) {
        (None, _) => Ok(None),
        (Some(text), None) if is_device_id(&text) => Ok(Some(DeviceId { text, from_subject })),
        (Some(_), _) => Err(Unnamed),
    }
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
