//! OCSP: what an answer is worth, and what it makes of a device.

use super::Refresher;
use super::answers::{Answers, Entry};
use super::responder::{GOOD, Reply, UNKNOWN, revoked};
use super::wire::{AnswerError, Asked, Status};
use crate::access::{DeviceTrust, Timestamp};
use crate::config::Ocsp;
use crate::device::crl::Revocation;
use crate::device::tests::say;
use crate::device::zoo::{DAY, Estate, Made, NOW, tlv};
use crate::device::{Evidence, KnownChains, TrustStore};
use aws_lc_rs::digest::SHA256;
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn asked(root: &Made) -> Asked {
    let (_, parsed) = x509_parser::parse_x509_certificate(&root.der).unwrap();
    Asked {
        issuer: parsed.subject().as_raw().to_vec(),
        issuer_key: parsed.public_key().raw.to_vec(),
        serial: vec![7],
    }
}

#[test]
fn an_answer_counts_if_the_issuer_or_its_responder_signed_it_about_this_certificate_and_for_now() {
    use AnswerError::{CriticalExtension, Expired, Malformed, NotYet, Other, Signature};
    let root = Made::root("corporate", |_| {});
    let stranger = Made::root("corporate", |_| {});
    let ours = asked(&root);
    let other = |change: fn(&mut Asked)| {
        let mut asked = ours.clone();
        change(&mut asked);
        asked
    };
    let responder = |spoil: fn(&mut rcgen::CertificateParams)| {
        root.leaf("responder", |p| {
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
            spoil(p);
        })
    };
    let good = Ok(Status::Good);
    let mut wrong = Vec::new();
    let mut check = |name: &str, der: &[u8], want: Result<Status, AnswerError>| {
        let got = ours.read(der, NOW).map(|answer| answer.status);
        if got != want {
            wrong.push(format!("{name}: {got:?}, not {want:?}"));
        }
    };
    let critical = tlv(0x30, &[tlv(0x06, &[0x2a, 3]), vec![1, 1, 0xff], tlv(0x04, &[])].concat());
    let harmless = tlv(0x30, &[tlv(0x06, &[0x2a, 3]), tlv(0x04, &[5, 0])].concat());
    let plain = Reply::default;
    for (name, reply, want) in [
        ("good", plain(), good),
        ("revoked", Reply { status: revoked(), ..plain() }, Ok(Status::Revoked)),
        ("unknown", Reply { status: UNKNOWN.to_vec(), ..plain() }, Ok(Status::Unknown)),
        ("a status that is none", Reply { status: vec![0x83, 0], ..plain() }, Err(Malformed)),
        ("good, but it has content", Reply { status: vec![0xa0, 0], ..plain() }, Err(Malformed)),
        ("by SHA-256", Reply { hash: &SHA256, ..plain() }, good),
        ("to its last second", Reply { next: Some(NOW), ..plain() }, good),
        ("over", Reply { next: Some(NOW - 1), ..plain() }, Err(Expired)),
        ("without an end", Reply { next: None, ..plain() }, good),
        ("without an end, a week old", Reply { next: None, this: NOW - 7 * DAY, ..plain() }, good),
        ("without an end, older", Reply { next: None, this: NOW - 7 * DAY - 1, ..plain() }, Err(Expired)),
        ("a clock that is ahead", Reply { this: NOW + 300, produced: NOW + 300, ..plain() }, good),
        ("of the future", Reply { this: NOW + 301, ..plain() }, Err(NotYet)),
        ("made in the future", Reply { produced: NOW + 301, ..plain() }, Err(NotYet)),
        (
            "revoked, and over",
            Reply { status: revoked(), next: Some(NOW - 1), ..plain() },
            Ok(Status::Revoked),
        ),
        (
            "critical extension",
            Reply { extensions: [critical.clone(), vec![]], ..plain() },
            Err(CriticalExtension),
        ),
        (
            "critical extension inside",
            Reply { extensions: [vec![], critical], ..plain() },
            Err(CriticalExtension),
        ),
        ("other extensions", Reply { extensions: [harmless.clone(), harmless], ..plain() }, good),
        (
            "revoked before good",
            Reply { before: vec![Reply { status: revoked(), ..plain() }.single(&ours)], ..plain() },
            Ok(Status::Revoked),
        ),
        (
            "another's before it",
            Reply {
                before: vec![
                    Reply { status: revoked(), ..plain() }.single(&other(|asked| asked.serial = vec![8])),
                ],
                ..plain()
            },
            good,
        ),
    ] {
        check(name, &reply.signed_by(&ours, &root), want);
    }
    check("CERT-25 another serial", &plain().signed_by(&other(|a| a.serial = vec![8]), &root), Err(Other));
    check(
        "CERT-25 another name",
        &plain().signed_by(&other(|a| a.issuer = vec![0x30, 0]), &root),
        Err(Other),
    );
    let key = asked(&stranger).issuer_key;
    let elsewhere = Asked { issuer_key: key, ..ours.clone() };
    check("CERT-25 another issuer's key", &plain().signed_by(&elsewhere, &root), Err(Other));
    check("CERT-25 signed by a stranger", &plain().signed_by(&ours, &stranger), Err(Signature));
    let by = |signer: &Made, shown: &Made| {
        Reply { certificates: vec![shown.der.to_vec()], ..plain() }.signed_by(&ours, signer)
    };
    let delegate = responder(|_| {});
    check("by a responder", &by(&delegate, &delegate), good);
    check("its certificate is not there", &plain().signed_by(&ours, &delegate), Err(Signature));
    let expired = responder(|p| p.not_after = crate::device::zoo::at(NOW - 1));
    check("CERT-25 by an expired one", &by(&expired, &expired), Err(Signature));
    let device = root.leaf("laptop", |_| {});
    check("CERT-25 by a device", &by(&device, &device), Err(Signature));
    let any = responder(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]);
    check("CERT-25 for any purpose", &by(&any, &any), Err(Signature));
    let mute = responder(|p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    check("CERT-25 that may not sign", &by(&mute, &mute), Err(Signature));
    let theirs =
        stranger.leaf("responder", |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning]);
    check("CERT-25 a stranger's responder of the same name", &by(&theirs, &theirs), Err(Signature));
    check("CERT-25 another's certificate", &by(&theirs, &delegate), Err(Signature));
    for (status, name) in [(1, "malformed"), (3, "later"), (6, "unauthorized")] {
        check(name, &tlv(0x30, &[0x0a, 1, status]), Err(AnswerError::Refused(status)));
    }
    check("without an answer", &tlv(0x30, &[0x0a, 1, 0]), Err(Malformed));
    check("nothing", &[], Err(Malformed));
    let whole = plain().signed_by(&ours, &root);
    check("cut", &whole[..whole.len() - 1], Err(Malformed));
    check("bytes behind it", &[&whole[..], &[0]].concat(), Err(Malformed));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_question_is_one_certificate_by_sha_1() {
    let root = Made::root("corporate", |_| {});
    let question = asked(&root).question().unwrap();
    let id = asked(&root).sha1_id().unwrap();
    let reply = Reply::default().single(&asked(&root));
    let written = der::Encode::to_der(&id).unwrap();
    assert!(reply.windows(written.len()).any(|part| part == written), "as the responder writes it");
    assert_eq!(question, tlv(0x30, &tlv(0x30, &tlv(0x30, &tlv(0x30, &written)))));
}

fn estate(root: &Made, grants: DeviceTrust, hard: bool, lists: &[&[u8]]) -> TrustStore {
    let url = Some("http://ocsp.example/".to_owned());
    Estate::new()
        .authority("corporate", grants, &[root], lists)
        .but(|authority| authority.ocsp = Some(Ocsp { hard, url }))
        .trust()
}

/// The certificates that wait to be asked about.
fn wanted(answers: &Answers) -> Vec<Arc<Entry>> {
    let mut taken = answers.taken.lock().unwrap();
    std::iter::from_fn(|| taken.as_mut().unwrap().try_recv().ok()).collect()
}

/// Answers whoever waits; how many did, and whether one has just become revoked.
fn answer(trust: &TrustStore, reply: &Reply, signer: &Made, now: Timestamp) -> (usize, bool) {
    let waiting = wanted(trust.answers());
    let mut fresh = false;
    for entry in &waiting {
        match entry.asked.read(&reply.signed_by(&entry.asked, signer), now) {
            Ok(answer) => fresh |= entry.take(answer, now),
            Err(_) => entry.failed(now),
        }
    }
    (waiting.len(), fresh)
}

#[test]
fn what_a_responder_says_counts_from_the_moment_it_is_known_and_until_it_is_old() {
    let root = Made::root("corporate", |_| {});
    let chain = [root.leaf("laptop", |_| {}).der];
    let issued = "issued laptop corporate";
    let revoked_ = "none device_revoked laptop corporate";
    for (grants, hard, stale) in [
        (DeviceTrust::Issued, false, "enrolled evidence_stale laptop corporate"),
        (DeviceTrust::Issued, true, "none evidence_stale laptop corporate"),
        (DeviceTrust::Enrolled, false, "enrolled laptop corporate"),
        (DeviceTrust::Enrolled, true, "none evidence_stale laptop corporate"),
    ] {
        let trust = estate(&root, grants, hard, &[]);
        let good = if grants == DeviceTrust::Issued { issued } else { "enrolled laptop corporate" };
        let evidence = Evidence::parse(&chain).unwrap();
        let now = |now: Timestamp| say(&evidence.judge(&trust, now));
        assert_eq!(now(NOW), stale, "CERT-25 not known yet");
        assert_eq!(now(NOW), stale);
        assert_eq!(answer(&trust, &Reply::default(), &root, NOW), (1, false), "it is asked for once");
        assert_eq!(now(NOW), good);
        assert_eq!(trust.answers().age(NOW), Some(60));
        assert_eq!(now(NOW + 3600), good, "to its last second");
        assert_eq!(now(NOW + 3601), stale, "CERT-25 over");
        // Its half life has passed, so it waits again; a connection relies on it.
        trust.answers().round(NOW + 3601);
        let later = |status: &[u8]| Reply {
            status: status.to_vec(),
            produced: NOW + 3600,
            this: NOW + 3600,
            next: Some(NOW + 7200),
            ..Reply::default()
        };
        assert_eq!(answer(&trust, &later(GOOD), &root, NOW + 3601), (1, false));
        assert_eq!(now(NOW + 3601), good);
        trust.answers().round(NOW + 3602);
        assert_eq!(wanted(trust.answers()).len(), 0, "not yet again");
        trust.answers().round(NOW + 5401);
        assert_eq!(answer(&trust, &later(&revoked()), &root, NOW + 5401), (1, true), "told at once");
        assert_eq!(now(NOW + 5401), revoked_, "CERT-25 revoked");
        // It is not forgotten because nobody renews it, and it can be taken back.
        assert_eq!(now(NOW + 9 * DAY), revoked_);
        trust.answers().round(NOW + 9 * DAY);
        let back = Reply { this: NOW + 9 * DAY, next: Some(NOW + 10 * DAY), ..Reply::default() };
        assert_eq!(answer(&trust, &back, &root, NOW + 9 * DAY), (1, false));
        assert_eq!(now(NOW + 9 * DAY), good);
        let another = Evidence::parse(&chain).unwrap();
        assert_eq!(say(&another.judge(&trust, NOW + 9 * DAY)), good, "known of every connection");
    }
}

#[test]
fn nobody_asks_about_a_device_that_left_though_its_chain_is_recognised() {
    let root = Made::root("corporate", |_| {});
    let chain = [root.leaf("laptop", |_| {}).der];
    let trust = estate(&root, DeviceTrust::Issued, false, &[]);
    let known = KnownChains::default();
    let connect = || known.evidence(&chain, &trust, NOW).unwrap();
    let (first, _) = connect();
    assert_eq!(answer(&trust, &Reply::default(), &root, NOW), (1, false));
    let (second, judgement) = connect();
    assert_eq!(say(&judgement), "issued laptop corporate");
    assert!(known.knows(chain.iter()));
    drop(first);
    assert_eq!(trust.answers().age(NOW), Some(60), "a connection relies on the answer");
    drop(second);
    assert_eq!(trust.answers().age(NOW), None, "and then none does");
    let (_, judgement) = connect();
    assert_eq!(say(&judgement), "issued laptop corporate");
}

#[test]
fn an_answer_that_does_not_count_changes_nothing_and_is_asked_for_later_each_time() {
    let root = Made::root("corporate", |_| {});
    let stranger = Made::root("corporate", |_| {});
    let trust = estate(&root, DeviceTrust::Issued, false, &[]);
    let evidence = Evidence::parse(&[root.leaf("laptop", |_| {}).der]).unwrap();
    let mut at = NOW;
    for wait in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        assert_eq!(evidence.judge(&trust, at).trust, DeviceTrust::Enrolled);
        trust.answers().round(at);
        let long = Reply { this: NOW, next: Some(NOW + DAY), ..Reply::default() };
        assert_eq!(answer(&trust, &long, &stranger, at), (1, false), "after {}", at - NOW);
        trust.answers().round(at + wait - 1);
        assert_eq!(wanted(trust.answers()).len(), 0, "not before {wait}");
        at += wait;
    }
    trust.answers().round(at);
    let long = Reply { this: NOW, next: Some(NOW + DAY), ..Reply::default() };
    assert_eq!(answer(&trust, &long, &root, at), (1, false));
    assert_eq!(evidence.judge(&trust, at).trust, DeviceTrust::Issued);
    // The responder breaks: what is known goes on until it is over.
    trust.answers().round(at + 3600);
    assert_eq!(answer(&trust, &long, &stranger, at + 3600), (1, false));
    assert_eq!(evidence.judge(&trust, at + 3600).trust, DeviceTrust::Issued);
    // An older answer than the one that is known is none.
    trust.answers().round(at + 3630);
    let older = Reply { status: revoked(), this: NOW - DAY, next: Some(NOW + DAY), ..Reply::default() };
    assert_eq!(answer(&trust, &older, &root, at + 3630), (1, false));
    assert_eq!(evidence.judge(&trust, at + 3630).trust, DeviceTrust::Issued);
}

#[test]
fn lists_and_responders_speak_together_and_the_worse_counts() {
    let root = Made::root("corporate", |_| {});
    let chain = [root.leaf("laptop", |_| {}).der];
    let old = |p: &mut rcgen::CertificateRevocationListParams| {
        (p.this_update, p.next_update) =
            (crate::device::zoo::at(NOW - 9 * DAY), crate::device::zoo::at(NOW - 1));
    };
    let (fresh, revoking, stale) = (root.crl(&[8], |_| {}), root.crl(&[7], |_| {}), root.crl(&[8], old));
    for (list, status, want) in [
        (&fresh, GOOD.to_vec(), "issued laptop corporate"),
        (&revoking, GOOD.to_vec(), "none device_revoked laptop corporate"),
        (&fresh, revoked(), "none device_revoked laptop corporate"),
        (&stale, GOOD.to_vec(), "enrolled evidence_stale laptop corporate"),
        (&stale, revoked(), "none device_revoked laptop corporate"),
        (&fresh, UNKNOWN.to_vec(), "none evidence_stale laptop corporate"),
    ] {
        let trust = estate(&root, DeviceTrust::Issued, true, &[list]);
        let evidence = Evidence::parse(&chain).unwrap();
        let _first = evidence.judge(&trust, NOW);
        answer(&trust, &Reply { status: status.clone(), ..Reply::default() }, &root, NOW);
        assert_eq!(say(&evidence.judge(&trust, NOW)), want, "{status:?}");
    }
}

#[test]
fn whom_a_certificate_names_is_asked_only_once_its_issuer_is_believed() {
    let root = Made::root("corporate", |_| {});
    let stranger = Made::root("stranger", |_| {});
    let access = |url: &str| {
        let entry = [tlv(0x06, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1]), tlv(0x86, url.as_bytes())].concat();
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        rcgen::CustomExtension::from_oid_content(&oid, tlv(0x30, &tlv(0x30, &entry)))
    };
    for (issuer, url, mode, want) in [
        (&root, Some("http://ocsp.example/a"), Some(false), Some("http://ocsp.example/a")),
        (&root, Some("ldap://ocsp.example/a"), Some(false), None),
        (&root, Some("http://user@ocsp.example/"), Some(false), None),
        (&root, None, Some(false), None),
        (&stranger, Some("http://ocsp.example/a"), Some(false), None),
        (&root, Some("http://ocsp.example/a"), None, None),
    ] {
        let trust = Estate::new()
            .authority("corporate", DeviceTrust::Issued, &[&root], &[])
            .but(|authority| authority.ocsp = mode.map(|hard| Ocsp { hard, url: None }))
            .trust();
        let leaf = issuer.leaf("laptop", |p| p.custom_extensions.extend(url.map(access)));
        let _judged = Evidence::parse(&[leaf.der]).unwrap().judge(&trust, NOW);
        let asked = wanted(trust.answers());
        assert_eq!(asked.first().map(|entry| &*entry.url), want, "{url:?} {mode:?}");
    }
}

#[test]
fn what_is_kept_is_bounded_and_what_nobody_relies_on_goes_first() {
    let root = Made::root("corporate", |_| {});
    let answers = Answers::with_most(2);
    let name: Arc<str> = "corporate".into();
    let status =
        |serial: u8| answers.status(&name, "http://a/", Asked { serial: vec![serial], ..asked(&root) }, NOW);
    let (_, first) = status(1);
    let (_, second) = status(2);
    assert!(status(3).1.is_none(), "both are relied on");
    drop(second);
    assert_eq!(wanted(&answers).len(), 2);
    let third = status(3).1.unwrap();
    assert!(first.as_ref().unwrap().holds() && third.holds());
    assert!(status(2).1.is_none(), "it was dropped");
    assert_eq!(status(1).0, Revocation::Stale(crate::device::certificate::Window::ALWAYS));
    drop((first, third));
    drop(wanted(&answers));
    answers.round(NOW);
    assert_eq!(answers.age(NOW), None);
    assert!(status(4).1.is_some() && status(5).1.is_some(), "both are gone");
}

/// A server that answers each connection with the next of these.
async fn serve(replies: Vec<Vec<u8>>) -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ocsp", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        for reply in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let mut length = 0;
            while !request[..length].windows(4).any(|part| part == b"\r\n\r\n")
                || !request[..length].ends_with(&[7])
            {
                length += stream.read(&mut request[length..]).await.unwrap();
            }
            kept.lock().unwrap().push(request[..length].to_vec());
            stream.write_all(&reply).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    (url, seen)
}

fn http(head: &str, body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes(),
        body,
    ]
    .concat()
}

#[tokio::test]
async fn responders_are_asked_beside_the_requests_and_only_an_answer_in_bounds_is_read() {
    const KIND: &str = "content-type: application/ocsp-response";
    let root = Made::root("corporate", |_| {});
    let good = Reply::default().signed_by(&asked(&root), &root);
    let bad = Reply { status: revoked(), ..Reply::default() }.signed_by(&asked(&root), &root);
    for (name, reply, want) in [
        ("good", http(&format!("200 OK\r\n{KIND}"), &good), "issued laptop corporate"),
        ("revoked", http(&format!("200 OK\r\n{KIND}"), &bad), "none device_revoked laptop corporate"),
        ("another type", http("200 OK\r\ncontent-type: text/html", &good), ""),
        ("an error", http(&format!("500 No\r\n{KIND}"), &good), ""),
        ("elsewhere", http(&format!("302 Found\r\nlocation: /other\r\n{KIND}"), &good), ""),
        ("too much", http(&format!("200 OK\r\n{KIND}"), &vec![0x30; 64 * 1024 + 1]), ""),
        ("nothing", Vec::new(), ""),
    ] {
        let (url, seen) = serve(vec![reply]).await;
        let trust = Estate::new()
            .authority("corporate", DeviceTrust::Issued, &[&root], &[])
            .but(|authority| authority.ocsp = Some(Ocsp { hard: true, url: Some(url) }))
            .trust();
        let told = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&told);
        let refresher = Refresher::new(
            Arc::clone(trust.answers()),
            || NOW,
            move || _ = counted.fetch_add(1, Ordering::SeqCst),
        )
        .unwrap();
        let task = tokio::spawn(refresher.run());
        let evidence = Evidence::parse(&[root.leaf("laptop", |_| {}).der]).unwrap();
        let stale = "none evidence_stale laptop corporate";
        assert_eq!(say(&evidence.judge(&trust, NOW)), stale, "{name}");
        // A question that failed is one that is not under way any more and waits.
        let over = || !trust.answers().busy() && !seen.lock().unwrap().is_empty();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !over() {
            assert!(std::time::Instant::now() < deadline, "{name}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let want = if want.is_empty() { stale } else { want };
        assert_eq!(say(&evidence.judge(&trust, NOW)), want, "{name}");
        assert_eq!(told.load(Ordering::SeqCst), usize::from(name == "revoked"), "{name}");
        let request = seen.lock().unwrap()[0].clone();
        assert!(request.starts_with(b"POST /ocsp HTTP/1.1\r\n"), "{}", request.escape_ascii());
        assert!(request.ends_with(&asked(&root).question().unwrap()));
        task.abort();
    }
}
