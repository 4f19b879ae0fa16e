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
            "CERT-21 both kinds",
            ext(san(&[
                other_name_entry(PERMANENT, &permanent("P1")),
                other_name_entry(MODULE, &module(b"H1")),
            ])),
            unnamed,
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
