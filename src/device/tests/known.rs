//! Chains that are recognised are judged like those that are not.

use super::*;

fn judged(known: &KnownChains, chain: &[CertificateDer<'static>], trust: &TrustStore) -> (Evidence, String) {
    let (evidence, judgement) = known.evidence(chain, trust, NOW).unwrap();
    (evidence, say(&judgement))
}

#[test]
fn a_device_that_comes_again_is_recognised_and_judged_anew() {
    let root = Made::root("corporate", |_| {});
    let laptop = root.leaf("laptop", |p| p.serial_number = Some(SerialNumber::from(7)));
    let chain = [laptop.der.clone()];
    let estate = |crl: &[u8]| Estate::new().authority("corporate", DeviceTrust::Issued, &[&root], &[crl]);
    let nobody = estate(&root.crl(&[], |_| {})).load(1).unwrap();

    let known = KnownChains::default();
    let (first, said) = judged(&known, &chain, &nobody);
    assert_eq!(said, "issued laptop corporate");
    let (second, said) = judged(&known, &chain, &nobody);
    assert_eq!(said, "issued laptop corporate");
    assert!(first.kept().is_same(&second.kept()), "nothing was parsed or verified again");
    assert!(known.knows(chain.iter()));

    let revoked = estate(&root.crl(&[7], |_| {})).load(2).unwrap();
    let (third, said) = judged(&known, &chain, &revoked);
    assert!(!first.kept().is_same(&third.kept()), "by new lists it is verified anew");
    assert_eq!(said, "none device_revoked laptop corporate");
    let (fourth, said) = judged(&known, &chain, &revoked);
    assert!(third.kept().is_same(&fourth.kept()) && said.starts_with("none device_revoked"), "and once");
    let stranger = Made::root("corporate", |_| {});
    let replaced =
        Estate::new().authority("corporate", DeviceTrust::Issued, &[&stranger], &[]).load(3).unwrap();
    assert_eq!(judged(&known, &chain, &replaced).1, "nothing device_untrusted");
    let later = known.evidence(&chain, &nobody, NOW + 10 * 365 * DAY).unwrap().1;
    assert_eq!(say(&later), "none device_expired laptop corporate");
}

#[test]
fn only_what_was_trusted_is_kept_and_only_for_these_very_bytes() {
    let (root, stranger) = (Made::root("corporate", |_| {}), Made::root("stranger", |_| {}));
    let between = root.intermediate("between", |_| {});
    let trust = Estate::new().authority("corporate", DeviceTrust::Issued, &[&root], &[]).trust();
    let known = KnownChains::default();
    let leaf = between.leaf("laptop", |_| {}).der;
    let whole = [leaf.clone(), between.der.clone()];
    for (what, chain) in [
        ("of a stranger", vec![stranger.leaf("laptop", |_| {}).der]),
        ("without its issuer", vec![leaf.clone()]),
        ("too long", [whole.as_slice(), &vec![between.der.clone(); 7]].concat()),
    ] {
        let said = judged(&known, &chain, &trust).1;
        assert!(said.starts_with("nothing") && !known.knows(chain.iter()), "{what}: {said}");
    }
    let large = |n: u8| {
        let name = String::from_utf8(vec![b'a' + n; 3000]).unwrap();
        stranger.intermediate(&name, |_| {}).der
    };
    let padded = [whole.as_slice(), &[large(0), large(1), large(2)]].concat();
    assert_eq!(judged(&known, &padded, &trust).1, "issued laptop corporate");
    assert!(!known.knows(padded.iter()), "what somebody put behind their chain has no room");
    assert_eq!(judged(&known, &whole, &trust).1, "issued laptop corporate");
    assert!(known.knows(whole.iter()) && !known.knows(std::iter::once(&leaf)));
    let glued = [CertificateDer::from([leaf.as_ref(), between.der.as_ref()].concat())];
    assert!(!known.knows(glued.iter()), "where one certificate ends is part of what is known");
    assert!(known.evidence(&glued, &trust, NOW).is_err());
}
