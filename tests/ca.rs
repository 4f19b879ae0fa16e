//! `tiergate ca`: what it makes is what a running tiergate trusts, and trusts no more.

mod support;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use support::Estate;
use support::client::provider;
use support::process::{run, tiergate};
use support::visitor::{Visitor, let_in, refused};
use support::wait::until;

const FINANCE: &str = "finance@corp.example";

fn ca(dir: &Path, arguments: &[&str]) -> Output {
    let dir = dir.display().to_string();
    run(&mut tiergate(&[&["ca"], arguments, &["--dir", &dir]].concat()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The answer of a command that must succeed.
fn answer(dir: &Path, arguments: &[&str]) -> Value {
    let output = ca(dir, &[arguments, &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn openssl(arguments: &[&str]) -> String {
    let output = run(Command::new("openssl").args(arguments));
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn shown(issued: &Value) -> CertifiedKey {
    let file = |what: &str| issued[what].as_str().unwrap().to_owned();
    let chain =
        CertificateDer::pem_file_iter(file("certificate")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
    CertifiedKey::from_der(chain, key, &provider()).unwrap()
}

#[tokio::test]
async fn a_device_gets_in_from_when_it_is_issued_until_it_is_revoked() {
    let estate = Estate::start();
    let dir = estate.at("own");
    let made = answer(&dir, &["init"]);
    let lines: Value = serde_yaml::from_str(made["configuration"].as_str().unwrap()).unwrap();
    // As pasted: the lines that were printed.
    estate.edit("tiergate.yaml", |config| config["devices"] = lines["devices"].clone());
    estate.reload();

    let laptop = answer(&dir, &["issue", "ann-laptop", "--authority", "corporate"]);
    let phone = answer(&dir, &["issue", "ann-phone", "--authority", "mdm"]);
    let mut browsers = Vec::new();
    for (issued, payroll) in [(&laptop, 200), (&phone, 403)] {
        let mut browser = Visitor::showing(&estate, shown(issued));
        let page = browser.sign_in(&estate, "tickets", "/headers", FINANCE).await;
        assert_eq!(page.status, 200, "{page:?}");
        let device = issued["device"].as_str().unwrap();
        assert!(page.body.contains(device), "the upstream is told `{device}`: {}", page.body);
        assert_eq!(browser.open("payroll", "/headers").await.status, payroll, "{device}");
        browsers.push(browser);
    }
    let [laptop_browser, phone_browser] = browsers.as_mut_slice() else { panic!("two browsers") };

    // Who still uses which authority is in the audit log: that is how the end of an old one is known.
    for (device, authority) in [("ann-laptop", "corporate"), ("ann-phone", "mdm")] {
        let events = estate.audit();
        let mut of_device = events.iter().filter(|event| event["device"] == device).peekable();
        assert!(of_device.peek().is_some() && of_device.all(|event| event["device_authority"] == authority));
    }

    let revoked = answer(&dir, &["revoke", "ann-laptop"]);
    assert_eq!((&revoked["serial"], &revoked["revoked_before"]), (&laptop["serial"], &Value::Null));
    // Nobody asks for a reload: the list is watched.
    until("the revoked device is out", async || {
        laptop_browser.told("tickets", "/headers").await == refused(403, "device_revoked")
    })
    .await;
    assert_eq!(
        phone_browser.told("tickets", "/headers").await,
        let_in(),
        "the other authority's device is not"
    );
    let again = answer(&dir, &["revoke", laptop["certificate"].as_str().unwrap()]);
    assert_eq!(again["list"], revoked["list"], "once is enough");
    assert_ne!(again["revoked_before"], Value::Null);

    let renewed = answer(&dir, &["crl", "--days", "3"]);
    assert!(renewed["lists"][0]["number"].as_u64() > revoked["list"]["number"].as_u64(), "{renewed}");
    estate.reload();
    assert_eq!(laptop_browser.told("tickets", "/headers").await, refused(403, "device_revoked"));
    assert_eq!(phone_browser.told("tickets", "/headers").await, let_in());
}

#[tokio::test]
async fn a_device_of_the_demo_is_issued_and_revoked_in_its_folder() {
    let estate = Estate::start();
    let dir = estate.at("certs");
    let password = estate.at("certs/p12-password.txt").display().to_string();
    let spare = answer(&dir, &["issue", "spare", "--authority", "corporate", "--password-file", &password]);
    assert_eq!(spare["p12_password"], Value::Null);
    let mut browser = Visitor::showing(&estate, shown(&spare));
    assert_eq!(browser.sign_in(&estate, "payroll", "/headers", FINANCE).await.status, 200);
    answer(&dir, &["revoke", "spare"]);
    until("it is out", async || browser.told("payroll", "/headers").await.1 == "device_revoked").await;
}

#[tokio::test]
async fn an_authority_is_replaced_without_locking_anyone_out() {
    let estate = Estate::start();
    let made = |name: &str| {
        let dir = estate.at(name);
        answer(&dir, &["init"]);
        answer(&dir, &["issue", &format!("of-{name}"), "--authority", "corporate"])
    };
    let (of_old, of_new) = (made("old"), made("new"));
    let configure = |ca: &[&str], crl: &[&str]| {
        let files = |folders: &[&str], file: &str| -> Vec<String> {
            folders.iter().map(|folder| format!("{folder}/{file}")).collect()
        };
        let (ca, crl) = (files(ca, "corporate-ca.pem"), files(crl, "corporate.crl"));
        let entry = serde_json::json!({ "name": "corporate", "ca": ca, "grants": "issued", "crl": crl });
        estate.edit("tiergate.yaml", |config| config["devices"]["authorities"] = Value::from(vec![entry]));
        estate.try_reload().0
    };
    assert_eq!(configure(&["old"], &["old"]), 200);
    let mut old = Visitor::showing(&estate, shown(&of_old));
    let mut new = Visitor::showing(&estate, shown(&of_new));
    assert_eq!(old.sign_in(&estate, "payroll", "/headers", FINANCE).await.status, 200);
    new.sign_in(&estate, "wiki", "/headers", FINANCE).await;
    new.open("payroll", "/headers").await;

    let untrusted = refused(403, "device_untrusted");
    let enrolled = refused(503, "evidence_stale");
    for (ca, crl, want) in [
        (&["old"][..], &["old"][..], [let_in(), untrusted.clone()]),
        // The new one without its list: nobody says that its devices are not revoked.
        (&["old", "new"], &["old"], [let_in(), enrolled]),
        (&["old", "new"], &["old", "new"], [let_in(), let_in()]),
        (&["new"], &["new"], [untrusted, let_in()]),
    ] {
        assert_eq!(configure(ca, crl), 200, "{ca:?} {crl:?}");
        let told = [old.told("payroll", "/headers").await, new.told("payroll", "/headers").await];
        assert_eq!(told, want, "{ca:?} {crl:?}");
    }
    assert_eq!(configure(&["new"], &["old", "new"]), 422, "a list of nobody's");
    assert_eq!(new.told("payroll", "/headers").await, let_in());
}

#[test]
fn others_read_what_is_made_and_it_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("certs");
    let at = |file: &str| dir.join(file).display().to_string();
    let output = ca(&dir, &["init"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(said.contains("development authority") && said.contains("grants: issued"), "{said}");
    let issued = answer(&dir, &["issue", "ann-laptop", "--authority", "mdm", "--days", "7"]);
    let subject = openssl(&["x509", "-noout", "-subject", "-issuer", "-in", &at("ann-laptop.pem")]);
    assert_eq!(subject.matches("tiergate development, not for production").count(), 2, "{subject}");
    let verify = ["verify", "-purpose", "sslclient", "-crl_check", "-CRLfile", &at("mdm.crl"), "-CAfile"];
    openssl(&[&verify[..], &[&at("mdm-ca.pem"), &at("ann-laptop.pem")]].concat());
    let password = format!("pass:{}", issued["p12_password"].as_str().unwrap());
    let store = openssl(&["pkcs12", "-nodes", "-passin", &password, "-in", &at("ann-laptop.p12")]);
    assert!(store.contains("PRIVATE KEY") && store.matches("BEGIN CERTIFICATE").count() == 2, "{store}");

    answer(&dir, &["revoke", "ann-laptop"]);
    let list = openssl(&["crl", "-noout", "-text", "-in", &at("mdm.crl")]);
    let serial = issued["serial"].as_str().unwrap();
    assert!(list.contains(&serial.to_uppercase()), "{serial}:\n{list}");

    for (arguments, code, says) in [
        (&["init"][..], 1, "is there already"),
        (&["issue", "ann-laptop", "--authority", "mdm"], 1, "`--force` replaces it"),
        (&["issue", "a/b", "--authority", "mdm"], 2, "printable ASCII"),
        (&["revoke", "nobody"], 1, "holds no certificate"),
        (&["revoke"], 2, "<NAME|FILE.pem>"),
    ] {
        let output = ca(&dir, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn commands_at_the_same_time_lose_no_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    answer(dir, &["init"]);
    let serials: Vec<String> = (1..=8).map(|number| format!("{number:02x}")).collect();
    std::thread::scope(|scope| {
        for serial in &serials {
            scope.spawn(move || answer(dir, &["revoke", "--serial", serial, "--authority", "mdm"]));
        }
    });
    let lists = answer(dir, &["crl"]);
    assert_eq!(lists["lists"][1]["entries"], serials.len(), "{lists}");
}
