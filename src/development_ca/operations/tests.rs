use super::*;
use crate::config;
use crate::device::{Evidence, TrustStore};
use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const NOW: Timestamp = 1_800_000_000;
const LIVES: Lives = Lives { authority: 365, list: 30 };

fn name(text: &str) -> DeviceName {
    text.parse().unwrap()
}

fn made(path: &Path) -> Folder {
    let folder = Folder::make(path).unwrap();
    folder.init(LIVES, false, NOW).unwrap();
    folder
}

fn order(name: &DeviceName, authority: DeviceAuthority) -> Order<'_> {
    Order { name, authority, days: 90, password: None, replace: false }
}

fn issue(folder: &Folder, device: &str, authority: DeviceAuthority) -> Issued {
    folder.issue(&order(&name(device), authority), NOW).unwrap()
}

/// What tiergate makes of a device's certificate: its id, how far it is trusted, and why no further.
fn judged(folder: &Folder, device: &str, now: Timestamp) -> String {
    let authorities = DeviceAuthority::ALL.map(|authority| config::Authority {
        name: authority.name().to_owned(),
        ca: vec![folder.at(&format!("{}.pem", authority.file()))],
        grants: authority.grants(),
        crl: vec![folder.at(authority.crl())],
        ..config::Authority::default()
    });
    let trust = TrustStore::load(&authorities, &[], 1).unwrap();
    let pem = folder.read(&format!("{device}.pem")).unwrap().unwrap();
    let chain = [CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    let judgement = Evidence::parse(&chain).unwrap().judge(&trust, now);
    let lowered = judgement.lowered.map_or("", |reason| reason.code());
    format!("{} {} {lowered}", judgement.id.as_deref().unwrap_or("-"), judgement.trust.as_str())
        .trim()
        .to_owned()
}

#[test]
fn a_device_is_trusted_as_its_authority_grants_until_it_is_revoked() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = made(temporary.path());
    let long = "x".repeat(128);
    for (device, authority, want) in [
        ("ann-laptop", DeviceAuthority::Corporate, "ann-laptop issued"),
        ("bob's phone, 2nd", DeviceAuthority::Mdm, "bob's phone, 2nd enrolled"),
        (&long, DeviceAuthority::Corporate, &format!("{long} issued")),
    ] {
        let issued = issue(&folder, device, authority);
        assert_eq!(judged(&folder, device, NOW), want);
        assert_eq!(judged(&folder, device, issued.until + 1).split(' ').next_back(), Some("device_expired"));
        let revoked = folder.revoke(&Revoking::Device(name(device)), 30, NOW).unwrap();
        assert_eq!((revoked.before, revoked.serial), (None, issued.serial), "{device}");
        assert_eq!(judged(&folder, device, NOW), format!("{device} none device_revoked"));
    }
}

#[test]
fn a_list_keeps_what_is_on_it_and_its_number_rises_also_when_the_clock_does_not() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = made(temporary.path());
    let [first, second] = ["a", "b"].map(|device| issue(&folder, device, DeviceAuthority::Corporate).serial);
    let other = issue(&folder, "c", DeviceAuthority::Mdm).serial;
    let list = |authority: DeviceAuthority| {
        let list = RevocationList::read(&folder.read(authority.crl()).unwrap().unwrap()).unwrap();
        let on = [&first, &second, &other].map(|serial| list.since(serial));
        (list.number, on)
    };
    let start = list(DeviceAuthority::Corporate).0;
    let revoked = folder.revoke(&Revoking::Device(name("a")), 30, NOW).unwrap();
    assert_eq!((revoked.list.number, revoked.list.entries), (start + 1, 1));
    let file = Revoking::File(folder.at("b.pem"));
    let revoked = folder.revoke(&file, 30, NOW - 9).unwrap();
    assert_eq!((revoked.list.number, revoked.list.entries), (start + 2, 2), "a clock that was set back");
    // Once more changes nothing, by whichever name.
    let before = folder.read("corporate.crl").unwrap();
    for again in [file, Revoking::Serial(second.clone(), DeviceAuthority::Corporate)] {
        let revoked = folder.revoke(&again, 30, NOW + 5).unwrap();
        assert_eq!((revoked.before, revoked.list.number), (Some(NOW - 9), start + 2), "{again:?}");
    }
    assert_eq!(folder.read("corporate.crl").unwrap(), before);
    // A number that is nowhere in a file is as good.
    let stranger: Serial = "00c0ffee".parse().unwrap();
    folder.revoke(&Revoking::Serial(stranger.clone(), DeviceAuthority::Mdm), 30, NOW).unwrap();
    assert!(
        folder.revoke(&Revoking::Serial(stranger, DeviceAuthority::Mdm), 30, NOW).unwrap().before.is_some()
    );

    let renewed = folder.renew_lists(7, NOW + 1000).unwrap();
    let shown: Vec<_> = renewed.iter().map(|it| (it.authority.name(), it.entries, it.until)).collect();
    let until = NOW + 1000 + 7 * DAY;
    assert_eq!(shown, [("corporate", 2, until), ("mdm", 1, until)]);
    let (number, on) = list(DeviceAuthority::Corporate);
    assert_eq!((number, on), (u64::try_from(NOW).unwrap() + 1000, [Some(NOW), Some(NOW - 9), None]));
    assert_eq!(list(DeviceAuthority::Mdm).1, [None; 3]);
}

#[test]
fn a_list_that_is_lost_is_not_begun_anew() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = made(temporary.path());
    issue(&folder, "a", DeviceAuthority::Corporate);
    folder.revoke(&Revoking::Device(name("a")), 30, NOW).unwrap();
    let list = folder.read("corporate.crl").unwrap().unwrap();
    let other = folder.read("mdm.crl").unwrap().unwrap();
    for wrong in [None, Some(""), Some("garbage"), Some(other.as_str()), Some(&list[..list.len() / 2])] {
        std::fs::remove_file(folder.at("corporate.crl")).unwrap();
        if let Some(text) = wrong {
            folder.write("corporate.crl", text.as_bytes(), Readers::Anybody).unwrap();
        }
        let by_number = Revoking::Serial("01".parse().unwrap(), DeviceAuthority::Corporate);
        assert!(matches!(folder.revoke(&by_number, 30, NOW), Err(CaError::NoList(_))), "{wrong:?}");
        assert!(matches!(folder.renew_lists(30, NOW), Err(CaError::NoList(_))), "{wrong:?}");
        assert_eq!(folder.read("corporate.crl").unwrap().as_deref(), wrong, "left as it was");
        assert_eq!(folder.read("mdm.crl").unwrap().as_ref(), Some(&other), "and so is the other");
        folder.write("corporate.crl", list.as_bytes(), Readers::Anybody).unwrap();
    }
}

#[test]
fn nothing_is_overwritten_unasked_and_what_is_no_development_file_never() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = made(temporary.path());
    let first = issue(&folder, "a", DeviceAuthority::Corporate);
    let kept = |files: &[&str]| files.iter().map(|file| std::fs::read(folder.at(file)).unwrap()).collect();
    let files = ["corporate-ca.pem", "corporate-ca.key", "mdm-ca.pem", "corporate.crl", "a.pem", "a.p12"];
    let before: Vec<Vec<u8>> = kept(&files);
    assert!(matches!(folder.init(LIVES, false, NOW), Err(CaError::Exists(_))));
    let a = name("a");
    let refused = folder.issue(&order(&a, DeviceAuthority::Mdm), NOW).unwrap_err();
    assert!(matches!(refused, CaError::Exists(_)), "{refused}");
    assert_eq!(before, kept(&files) as Vec<Vec<u8>>);

    let replacing = Order { replace: true, ..order(&a, DeviceAuthority::Mdm) };
    let second = folder.issue(&replacing, NOW).unwrap();
    let replaced = Some((first.serial, DeviceAuthority::Corporate));
    assert_eq!(second.replaced, replaced, "which may have to be revoked");
    assert_eq!(judged(&folder, "a", NOW), "a enrolled");
    folder.init(LIVES, true, NOW).unwrap();
    assert_eq!(judged(&folder, "a", NOW), "- none device_untrusted", "new authorities know it no more");
    assert_eq!(folder.issue(&replacing, NOW).unwrap().replaced, None, "nor need it be revoked");

    // Somebody's own certificate, key or list, under a name of ours.
    let own = rcgen::generate_simple_self_signed(["corp.example".to_owned()]).unwrap();
    folder.write("own.pem", own.cert.pem().as_bytes(), Readers::Anybody).unwrap();
    folder.write("lone.key", b"a key", Readers::Owner).unwrap();
    for device in ["own", "lone"].map(name) {
        let replacing = Order { replace: true, ..order(&device, DeviceAuthority::Mdm) };
        assert!(matches!(folder.issue(&replacing, NOW), Err(CaError::Foreign(_))), "{device}");
    }
    folder.write("mdm-ca.pem", own.cert.pem().as_bytes(), Readers::Anybody).unwrap();
    folder.write("mdm-ca.key", own.signing_key.serialize_pem().as_bytes(), Readers::Owner).unwrap();
    assert!(matches!(folder.init(LIVES, true, NOW), Err(CaError::Foreign(_))));
    let b = name("b");
    assert!(matches!(folder.issue(&order(&b, DeviceAuthority::Mdm), NOW), Err(CaError::Foreign(_))));
    folder.write("mdm-ca.pem", b"", Readers::Anybody).unwrap();
    assert!(matches!(folder.issue(&order(&b, DeviceAuthority::Mdm), NOW), Err(CaError::NoAuthority(_))));
    assert!(!folder.has("b.pem") && !folder.has("b.key"));
}

#[test]
fn no_certificate_outlives_its_authority() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = made(temporary.path());
    let a = name("a");
    let issued = folder.issue(&order(&a, DeviceAuthority::Corporate), NOW + 300 * DAY).unwrap();
    assert_eq!(issued.until, NOW + 365 * DAY);
    let late = folder.issue(&order(&name("b"), DeviceAuthority::Corporate), NOW + 365 * DAY);
    assert!(matches!(late, Err(CaError::Ended(_))));
}

#[test]
fn what_another_authority_issued_is_not_revoked_here() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = made(&temporary.path().join("here"));
    let elsewhere = made(&temporary.path().join("there"));
    issue(&elsewhere, "a", DeviceAuthority::Corporate);
    let revoke = |what: &Path| folder.revoke(&Revoking::File(what.to_owned()), 30, NOW);
    assert!(matches!(revoke(&elsewhere.at("a.pem")), Err(CaError::Stranger(_))));
    assert!(matches!(revoke(&elsewhere.at("b.pem")), Err(CaError::NoCertificate(_))));
    assert!(matches!(revoke(&elsewhere.at("corporate.crl")), Err(CaError::NoCertificate(_))));
}

#[test]
fn a_p12_file_opens_with_its_password_and_secrets_are_their_owners_only() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = made(&temporary.path().join("certs"));
    let (a, b) = (name("a"), name("b"));
    let made = folder.issue(&order(&a, DeviceAuthority::Corporate), NOW).unwrap().made_password.unwrap();
    let given = Order { password: Some("correct horse"), ..order(&b, DeviceAuthority::Mdm) };
    assert_eq!(folder.issue(&given, NOW).unwrap().made_password, None);
    for (device, password) in [("a", made.as_str()), ("b", "correct horse")] {
        let data = std::fs::read(folder.at(&format!("{device}.p12"))).unwrap();
        let open = |password: &str| KeyStore::from_pkcs12(&data, password, Pkcs12ImportPolicy::Strict);
        let store = open(password).unwrap();
        let (name, chain) = store.private_key_chain().unwrap();
        assert_eq!((name, chain.certs().len()), (device, 2));
        assert!(open("guess").is_err());
    }
    assert_eq!(std::fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let secret = entry.extension().is_some_and(|kind| kind == "key" || kind == "p12");
        let mode = std::fs::metadata(&entry).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if secret { 0o600 } else { 0o644 }, "{}", entry.display());
        if entry.extension().is_some_and(|kind| kind == "pem") {
            let made = Made::read(&std::fs::read_to_string(&entry).unwrap()).unwrap();
            assert!(made.is_marked, "{}", entry.display());
        }
    }
}
