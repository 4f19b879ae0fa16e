//! How a device is named, and what an authority's name constraints leave of it.

use super::*;

#[test]
fn names_are_constrained_and_a_constrained_authority_cannot_name_by_subject() {
    let root = Made::root("root", |p| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("corp.example".to_owned())],
            excluded_subtrees: vec![],
        });
    });
    let trust = Estate::new().authority("root", DeviceTrust::Issued, &[&root], &[]).trust();
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    for (name, names, want) in [
        ("CERT-14 outside", vec![dns("evil.example"), uri("urn:device:1")], "nothing device_untrusted"),
        ("CERT-15 only a subject", vec![], "none device_unnamed - root"),
        ("CERT-15 only a subject, a name inside", vec![dns("a.corp.example")], "none device_unnamed - root"),
        ("a name of its own", vec![dns("a.corp.example"), uri("urn:device:1")], "issued urn:device:1 root"),
    ] {
        let leaf = root.leaf("laptop", |p| p.subject_alt_names = names);
        assert_eq!(judge(&trust, &[&leaf.der], NOW), want, "{name}");
    }
}

#[test]
fn a_device_is_named_by_the_first_place_that_names_one_and_never_by_two() {
    let root = Made::root("root", |_| {});
    let trust = Estate::new().authority("root", DeviceTrust::Issued, &[&root], &[]).trust();
    let module = |serial: &[u8]| {
        let mut body = tlv(0x06, &[0x2b, 6, 1]);
        body.extend(tlv(0x04, serial));
        tlv(0x30, &body)
    };
    let cn = |name: &'static str| spoil(move |p| p.distinguished_name.push(DnType::CommonName, name));
    let ext = |extension: CustomExtension| spoil(move |p| p.custom_extensions.push(extension));
    let serial = DnType::CustomDnType(vec![2, 5, 4, 5]);
    let unnamed = "none device_unnamed - root";
    let with = |tail: &[u8]| [permanent("X1"), tail.to_vec()].concat();
    for (name, spoil, want) in [
        ("CN", spoil(|_| {}), "issued cn root"),
        (
            "serialNumber before CN",
            {
                let serial = serial.clone();
                spoil(move |p| p.distinguished_name.push(serial, "S1"))
            },
            "issued S1 root",
        ),
        (
            "URI before subject",
            spoil(|p| p.subject_alt_names = vec![uri("urn:serial:S2")]),
            "issued urn:serial:S2 root",
        ),
        ("two URIs", spoil(|p| p.subject_alt_names = vec![uri("urn:a"), uri("urn:b")]), unnamed),
        (
            "a spiffe URI is no device's name",
            spoil(|p| p.subject_alt_names = vec![uri("spiffe://corp.example/x")]),
            "issued cn root",
        ),
        (
            "nor in capitals",
            spoil(|p| p.subject_alt_names = vec![uri("SPIFFE://corp.example/x")]),
            "issued cn root",
        ),
        ("permanentIdentifier", ext(other_name(PERMANENT, &permanent("P1"))), "issued P1 root"),
        ("CERT-20 empty permanentIdentifier", ext(other_name(PERMANENT, &tlv(0x30, &[]))), "issued cn root"),
        ("hardwareModuleName", ext(other_name(MODULE, &module(b"H1"))), "issued H1 root"),
        ("binary serial", ext(other_name(MODULE, &module(&[0, 1, 0xff]))), unnamed),
        (
            "CERT-21 duplicated",
            ext(san(&[
                other_name_entry(PERMANENT, &permanent("P1")),
                other_name_entry(PERMANENT, &permanent("P1")),
            ])),
            unnamed,
        ),
        (
            "both kinds: the first in order",
            ext(san(&[
                other_name_entry(PERMANENT, &permanent("P1")),
                other_name_entry(MODULE, &module(b"H1")),
            ])),
            "issued P1 root",
        ),
        ("CERT-21 wrong tag", ext(other_name(PERMANENT, &tlv(0x30, &tlv(0x04, b"P1")))), unnamed),
        ("CERT-21 not a sequence", ext(other_name(PERMANENT, &tlv(0x0c, b"P1"))), unnamed),
        ("CERT-21 trailing bytes", ext(other_name(PERMANENT, &with(&[5, 0]))), unnamed),
        ("CERT-21 not UTF-8", ext(other_name(PERMANENT, &tlv(0x30, &tlv(0x0c, &[0xff, 0xfe])))), unnamed),
        ("CERT-21 NUL", ext(other_name(PERMANENT, &permanent("mdm\0corp"))), unnamed),
        ("CERT-21 too long", ext(other_name(PERMANENT, &permanent(&"x".repeat(129)))), unnamed),
        ("as long as may be", ext(other_name(PERMANENT, &permanent("P2xxxxxx"))), "issued P2xxxxxx root"),
        ("CERT-27 NUL", cn("a\0b"), unnamed),
        ("CERT-27 newline", cn("a\nb"), unnamed),
        ("CERT-27 right to left", cn("a\u{202e}b"), unnamed),
        ("CERT-27 space at the end", cn("a "), unnamed),
        ("a space inside", cn("Anna's laptop"), "issued Anna's laptop root"),
        (
            "BMPString",
            spoil(|p| {
                p.distinguished_name.push(DnType::CommonName, DnValue::BmpString("abc".try_into().unwrap()));
            }),
            unnamed,
        ),
    ] {
        let leaf = root.leaf("cn", |p| {
            if want != "issued cn root" && !name.contains("serialNumber") && p.subject_alt_names.is_empty() {
                p.distinguished_name.remove(DnType::CommonName);
            }
            spoil(p);
        });
        assert_eq!(judge(&trust, &[&leaf.der], NOW), want, "{name}");
    }
}

const APPLE_SERIAL: &[u64] = &[1, 2, 840, 113_635, 100, 8, 9, 1];
const APPLE_UDID: &[u64] = &[1, 2, 840, 113_635, 100, 8, 9, 2];

#[test]
fn an_authority_says_where_its_devices_are_named_and_what_is_malformed_there_is_not_looked_past() {
    use crate::config::IdentityKind::{AppleSerial, AppleUdid, CommonName, PermanentIdentifier, Uri};
    let root = Made::root("root", |_| {});
    let ext = CustomExtension::from_oid_content;
    let apple = |oid: &[u64], value: &[u8]| vec![ext(oid, value.to_vec())];
    let unnamed = "none device_unnamed - root";
    for (name, order, extensions, want) in [
        ("its place", vec![CommonName], vec![], "issued cn root"),
        ("not its place", vec![Uri], vec![], unnamed),
        ("Apple, as it writes it", vec![AppleSerial], apple(APPLE_SERIAL, b"C02XK1"), "issued C02XK1 root"),
        ("Apple, UTF8String", vec![AppleSerial], apple(APPLE_SERIAL, &tlv(0x0c, b"C02")), "issued C02 root"),
        (
            "Apple, PrintableString",
            vec![AppleUdid],
            apple(APPLE_UDID, &tlv(0x13, b"00-1")),
            "issued 00-1 root",
        ),
        ("Apple, IA5String", vec![AppleUdid], apple(APPLE_UDID, &tlv(0x16, b"00-1")), "issued 00-1 root"),
        ("the other one", vec![AppleUdid], apple(APPLE_SERIAL, b"C02XK1"), unnamed),
        ("CERT-21 trailing bytes", vec![AppleSerial], apple(APPLE_SERIAL, b"\x0c\x03C02x"), unnamed),
        ("CERT-21 cut", vec![AppleSerial], apple(APPLE_SERIAL, b"\x0c\x04C02"), unnamed),
        ("CERT-21 wrong tag", vec![AppleSerial], apple(APPLE_SERIAL, &tlv(0x04, b"C02")), unnamed),
        ("CERT-21 BMPString", vec![AppleSerial], apple(APPLE_SERIAL, &tlv(0x1e, b"\0C\x002")), unnamed),
        (
            "CERT-21 constructed",
            vec![AppleSerial],
            apple(APPLE_SERIAL, &tlv(0x2c, &tlv(0x0c, b"C02"))),
            unnamed,
        ),
        ("CERT-21 not UTF-8", vec![AppleSerial], apple(APPLE_SERIAL, &[0xff, 0xfe]), unnamed),
        ("CERT-21 NUL", vec![AppleSerial], apple(APPLE_SERIAL, b"C02\0"), unnamed),
        ("CERT-21 empty", vec![AppleSerial, CommonName], apple(APPLE_SERIAL, b""), unnamed),
        ("CERT-21 long", vec![AppleSerial], apple(APPLE_SERIAL, &[b'x'; 8000]), unnamed),
        (
            "a malformed one is not looked past",
            vec![PermanentIdentifier, CommonName],
            vec![other_name(PERMANENT, &permanent("a\0b"))],
            unnamed,
        ),
        (
            "one that is not asked for may be malformed",
            vec![CommonName],
            vec![other_name(PERMANENT, &permanent("a\0b"))],
            "issued cn root",
        ),
    ] {
        let trust = Estate::new()
            .authority("root", DeviceTrust::Issued, &[&root], &[])
            .but(|authority| authority.identity = crate::config::Identities(order))
            .trust();
        let leaf = root.leaf("cn", |p| p.custom_extensions = extensions);
        assert_eq!(judge(&trust, &[&leaf.der], NOW), want, "{name}");
    }
    // Twice the same is unreadable as a whole.
    let trust = Estate::new().authority("root", DeviceTrust::Issued, &[&root], &[]).trust();
    let twice = [apple(APPLE_SERIAL, b"C02"), apple(APPLE_SERIAL, b"C02")].concat();
    let leaf = root.leaf("cn", |p| p.custom_extensions = twice);
    assert_eq!(judge(&trust, &[&leaf.der], NOW), "none device_unfit - root", "CERT-21 duplicated");
}

#[test]
fn an_authority_is_held_to_what_it_must_write() {
    use crate::config::RequiredExtension;
    const CLASS: &[u64] = &[1, 3, 6, 1, 4, 1, 99_999, 1];
    let root = Made::root("root", |_| {});
    let oid = |text: &str| text.parse().unwrap();
    let plain = Estate::new().authority("root", DeviceTrust::Issued, &[&root], &[]);
    let demanding = |value: Option<&str>| {
        let wanted = RequiredExtension { oid: oid("1.3.6.1.4.1.99999.1"), value: value.map(str::to_owned) };
        Estate::new()
            .authority("root", DeviceTrust::Issued, &[&root], &[])
            .but(|authority| authority.require_extension = vec![wanted])
            .trust()
    };
    let class = |value: &[u8]| {
        spoil({
            let value = value.to_vec();
            move |p| p.custom_extensions = vec![CustomExtension::from_oid_content(CLASS, value)]
        })
    };
    let ok = "issued laptop root";
    let missing = "none device_extension_missing laptop root";
    for (name, value, spoil, want) in [
        ("CERT-20 missing", None, spoil(|_| {}), missing),
        ("there", None, class(&[5, 0]), ok),
        ("CERT-20 missing, with a value", Some("corp"), spoil(|_| {}), missing),
        ("the value as it is", Some("corp"), class(b"corp"), ok),
        ("the value as UTF8String", Some("corp"), class(&tlv(0x0c, b"corp")), ok),
        ("another value", Some("corp"), class(b"mdm"), missing),
        ("CERT-21 NUL", Some("corp"), class(b"mdm\0corp"), missing),
        ("CERT-21 more behind it", Some("corp"), class(b"\x0c\x04corpx"), missing),
        ("CERT-21 wrong tag", Some("corp"), class(&tlv(0x04, b"corp")), missing),
        ("CERT-21 not UTF-8", Some("corp"), class(&[0xff]), missing),
        ("CERT-21 long", Some("corp"), class(&[b'c'; 8000]), missing),
        (
            "CERT-21 duplicated",
            Some("corp"),
            spoil(|p| {
                let once = CustomExtension::from_oid_content(CLASS, b"corp".to_vec());
                p.custom_extensions = vec![once.clone(), once];
            }),
            "none device_unfit - root",
        ),
    ] {
        let leaf = root.leaf("laptop", spoil);
        assert_eq!(judge(&demanding(value), &[&leaf.der], NOW), want, "{name}");
    }

    let purposes = plain.but(|authority| {
        authority.eku = vec![oid("1.3.6.1.5.5.7.3.4"), oid("1.3.6.1.4.1.99999.2")];
        authority.max_lifetime = Some(std::time::Duration::from_secs(20 * DAY.unsigned_abs()));
    });
    let trust = purposes.trust();
    let own = || ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 99_999, 2]);
    let mail = || ExtendedKeyUsagePurpose::EmailProtection;
    for (name, more, after, want) in [
        ("both purposes", vec![own(), mail()], NOW + 10 * DAY, ok),
        ("one of them", vec![own()], NOW + 10 * DAY, missing),
        ("any purpose", vec![own(), ExtendedKeyUsagePurpose::Any], NOW + 10 * DAY, missing),
        (
            "CERT-28 a second too long",
            vec![own(), mail()],
            NOW + 10 * DAY + 1,
            "none device_lifetime laptop root",
        ),
        ("CERT-28 ten years", vec![own(), mail()], NOW + 3650 * DAY, "none device_lifetime laptop root"),
    ] {
        let leaf = root.leaf("laptop", |p| {
            p.extended_key_usages.extend(more);
            p.not_after = at(after);
        });
        assert_eq!(judge(&trust, &[&leaf.der], NOW), want, "{name}");
    }
}
