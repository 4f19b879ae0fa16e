//! Staying signed in and signing out: what a session is worth, on which device, and for how long.

mod support;

use reqwest::Method;
use std::time::Duration;
use support::pki::{client_params, shown};
use support::process::Process;
use support::raw::Talk;
use support::visitor::{SESSION, Visitor, let_in, refused};
use support::wait::until;
use support::websocket::WebSocket;
use support::{Device, Estate, Tls};
use totp_rs::Builder;

const EMPLOYEE: &str = "employee@corp.example";
const FINANCE: &str = "finance@corp.example";
/// A TOTP secret of these tests.
const TOTP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[tokio::test]
async fn signing_out_ends_it_on_every_host_and_only_a_form_of_ours_does() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    for host in ["tickets", "payroll"] {
        assert_eq!(browser.open(host, "/headers").await.status, 200, "{host}");
    }
    let before = browser.clone();
    let cookies = browser.cookie_header("wiki.localhost");
    let mut socket = WebSocket::open(&estate, Device::Issued, "wiki.localhost", &cookies).await.unwrap();
    assert!(socket.echoes().await);

    // A picture on another site, and forms that are not ours.
    let page = browser.go(browser.url("wiki", "/.tiergate/logout")).await;
    assert_eq!(page.status, 200, "{page:?}");
    page.assert_dressed();
    let csrf = page.input("csrf").expect("the form has a token");
    let url = browser.url("wiki", "/.tiergate/logout");
    let own = url.origin().ascii_serialization();
    for (name, csrf, origin, site) in [
        ("no token", None, own.as_str(), "same-origin"),
        ("wrong token", Some("x"), &own, "same-origin"),
        ("another site", Some(csrf.as_str()), "https://evil.example", "cross-site"),
        ("a sibling", Some(&csrf), "https://tickets.localhost", "same-site"),
    ] {
        let fields: Vec<_> = csrf.map(|csrf| ("csrf", csrf)).into_iter().collect();
        let request = browser
            .ask(Method::POST, url.clone())
            .header("accept", "text/html")
            .header("origin", origin)
            .header("sec-fetch-site", site)
            .form(&fields);
        let answer = browser.send(request).await;
        assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
        assert_eq!(browser.told("wiki", "/headers").await, let_in(), "{name}");
    }

    let done = browser.submit(&page, &[]).await;
    let done = browser.follow(done).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert!(browser.cookie("wiki", SESSION).is_none(), "the browser keeps no cookie");
    socket.ends().await;
    // Whoever kept the cookies has nothing.
    let mut replay = before.clone();
    for host in ["wiki", "tickets", "payroll"] {
        assert_eq!(replay.told(host, "/headers").await, refused(401, "session_revoked"), "{host}");
    }
    let mut replay = before.clone();
    let again = replay.open("payroll", "/headers").await;
    assert_eq!((again.status, again.url.path()), (200, "/sign-in"), "{again:?}");
    let kinds: Vec<String> =
        estate.audit().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.iter().any(|kind| kind == "sign_out"), "{kinds:?}");

    // It stays so after a crash.
    let _again = Process::after_crash(&estate).await;
    let mut replay = before.clone();
    assert_eq!(replay.told("wiki", "/headers").await.0, 401);
}

#[tokio::test]
async fn a_stolen_cookie_opens_nothing_on_another_device_or_host() {
    let estate = Estate::start();
    let mut victim = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    assert_eq!(victim.open("payroll", "/headers").await.status, 200);
    let cookie = |host: &str| victim.cookie(host, SESSION).unwrap().to_owned();

    for (device, from, to, want) in [
        (Device::Issued, "payroll", "payroll", let_in()),
        (Device::Enrolled, "payroll", "payroll", refused(401, "session_device_changed")),
        (Device::None, "payroll", "payroll", refused(401, "session_device_changed")),
        (Device::Revoked, "payroll", "payroll", refused(401, "session_device_changed")),
        (Device::Issued, "wiki", "payroll", refused(401, "not_signed_in")),
        (Device::Issued, "login", "payroll", refused(401, "not_signed_in")),
        (Device::Issued, "wiki", "wiki", let_in()),
        (Device::Issued, "payroll", "wiki", refused(401, "not_signed_in")),
        (Device::Enrolled, "wiki", "wiki", refused(401, "session_device_changed")),
        (Device::None, "wiki", "wiki", refused(401, "session_device_changed")),
    ] {
        let mut thief = Visitor::new(&estate, device);
        thief.set_cookie(to, SESSION, &cookie(from));
        assert_eq!(thief.told(to, "/headers").await, want, "{device:?} {from} → {to}");
        // In a browser it is the start of a sign-in, never a page.
        let page = thief.open(to, "/headers").await;
        let want = if want == let_in() { "/headers" } else { "/sign-in" };
        assert_eq!((page.status, page.url.path()), (200, want), "{device:?} {from} → {to}");
        assert_eq!(page.asks_for("password"), want == "/sign-in", "{device:?} {from} → {to}");
    }

    // A cookie that was made without a device does not work once there is one, nor the other way.
    let open = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let mut gained = Visitor::new(&estate, Device::Issued);
    gained.steal(&open);
    assert_eq!(gained.told("wiki", "/headers").await, refused(401, "session_device_changed"));
    // The person whose own browser gained a device is not asked again: the login host knows them.
    let page = gained.open("wiki", "/headers").await;
    assert_eq!((page.status, page.url.path()), (200, "/headers"), "{page:?}");
    assert_eq!(gained.told("tickets", "/headers").await.0, 401);
    assert_eq!(gained.open("tickets", "/headers").await.status, 200, "the device counts from now on");
    let events = estate.audit();
    assert!(events.iter().any(|event| event["reason"] == "session_device_changed"), "it is recorded");
}

#[tokio::test]
async fn a_cookie_is_bound_to_the_key_and_not_to_the_certificate_or_the_name() {
    let estate = Estate::start();
    let [key, other] = [(); 2].map(|()| rcgen::KeyPair::generate().unwrap());
    let certificate = |authority: &str, key: &rcgen::KeyPair| {
        let leaf = client_params("ann-laptop").signed_by(key, &estate.issuer(authority)).unwrap();
        shown(leaf.der().to_vec(), key)
    };
    let mut owner = Visitor::showing(&estate, certificate("corporate-ca", &key));
    assert_eq!(owner.sign_in(&estate, "payroll", "/headers", FINANCE).await.status, 200);
    for (what, device, want) in [
        ("renewed with the same key", certificate("corporate-ca", &key), let_in()),
        (
            "renewed with a new key",
            certificate("corporate-ca", &other),
            refused(401, "session_device_changed"),
        ),
        ("the same key, not trusted as far", certificate("mdm-ca", &key), refused(403, "device_not_issued")),
        ("the same key, a stranger's authority", certificate("ca", &key), refused(403, "device_untrusted")),
        ("a stranger's of the same name", certificate("ca", &other), refused(401, "session_device_changed")),
    ] {
        let mut browser = Visitor::showing(&estate, device);
        browser.steal(&owner);
        assert_eq!(browser.told("payroll", "/headers").await, want, "{what}");
    }
    // The key makes no difference to a cookie that was made without one.
    let open = Visitor::signed_in(&estate, Device::None, FINANCE).await;
    for (device, want) in [
        (certificate("ca", &other), refused(401, "session_device_changed")),
        (certificate("corporate-ca", &key), refused(401, "session_device_changed")),
    ] {
        let mut browser = Visitor::showing(&estate, device);
        browser.steal(&open);
        assert_eq!(browser.told("wiki", "/headers").await, want);
    }
}

#[tokio::test]
async fn a_cookie_that_comes_twice_or_changed_is_no_session() {
    let estate = Estate::start();
    let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let good = browser.cookie("wiki", SESSION).unwrap().to_owned();
    let own_browser = browser.cookie("wiki", "__Host-tiergate-browser").unwrap_or_default().to_owned();
    let (name, url) = (SESSION, browser.url("wiki", "/headers"));
    let half = good.len() / 2;
    let other_estate = Estate::start();
    let other = Visitor::signed_in(&other_estate, Device::None, EMPLOYEE).await;
    let foreign = other.cookie("wiki", SESSION).unwrap().to_owned();

    for (what, headers, status) in [
        ("as it is", vec![format!("{name}={good}")], 200),
        ("among others", vec![format!("a=b; {name}={good}; c=d")], 200),
        ("others in another header", vec!["a=b".into(), format!("{name}={good}")], 200),
        ("twice, evil first", vec![format!("{name}=evil; {name}={good}")], 401),
        ("twice, evil last", vec![format!("{name}={good}; {name}=evil")], 401),
        ("twice the same", vec![format!("{name}={good}; {name}={good}")], 401),
        ("two headers", vec![format!("{name}=evil"), format!("{name}={good}")], 401),
        ("two headers, evil last", vec![format!("{name}={good}"), format!("{name}=evil")], 401),
        ("an empty one too", vec![format!("{name}=; {name}={good}")], 401),
        ("upper case", vec![format!("__HOST-TIERGATE={good}")], 401),
        ("without the prefix", vec![format!("tiergate={good}")], 401),
        ("quoted", vec![format!("{name}=\"{good}\"")], 401),
        ("cut", vec![format!("{name}={}", &good[..half])], 401),
        ("longer", vec![format!("{name}={good}A")], 401),
        ("padded", vec![format!("{name}={good}==")], 401),
        ("empty", vec![format!("{name}=")], 401),
        ("another deployment's", vec![format!("{name}={foreign}")], 401),
        ("another purpose's", vec![format!("{name}={own_browser}")], 401),
        ("the login host's", vec![format!("{name}={}", browser.cookie("login", SESSION).unwrap())], 401),
    ] {
        let mut asking = browser.clone();
        asking.forget("wiki");
        let mut request = asking.ask(Method::GET, url.clone()).header("accept", "application/json");
        for header in headers {
            request = request.header("cookie", header);
        }
        let answer = asking.send(request).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_eq!(answer.reason(), if status == 200 { "" } else { "not_signed_in" }, "{what}");
    }

    // Each symbol changed, one at a time.
    for at in 0..good.len() {
        let changed = if good.as_bytes()[at] == b'A' { "B" } else { "A" };
        let cookie = format!("{}{changed}{}", &good[..at], &good[at + 1..]);
        let mut asking = browser.clone();
        asking.set_cookie("wiki", SESSION, &cookie);
        assert_eq!(asking.told("wiki", "/headers").await, refused(401, "not_signed_in"), "symbol {at}");
    }
}

#[tokio::test]
async fn a_session_that_ran_out_is_a_new_sign_in_and_loses_no_form() {
    let estate = Estate::start();
    estate.rewrite(
        "policies/groups.yaml",
        "  - { idle_timeout: 30m, max_age: 12h }",
        "  - { idle_timeout: 30m, max_age: 4s }",
    );
    estate.reload();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let socket = WebSocket::open(&estate, Device::None, "wiki.localhost", &cookies).await.unwrap();
    until("the session runs out", async || {
        browser.told("wiki", "/headers").await == refused(401, "session_expired")
    })
    .await;
    socket.ends().await;
    let answer = browser.fetch(Method::POST, "wiki", "/upload").await;
    assert_eq!((answer.status, answer.reason().as_str()), (401, "session_expired"));
    assert!(
        answer.leads_to().is_none() && answer.header("www-authenticate").starts_with("Bearer"),
        "{answer:?}"
    );
    // A navigation gets to the form, and through it to the page.
    let page = browser.sign_in(&estate, "wiki", "/headers?again", EMPLOYEE).await;
    assert_eq!((page.status, page.url.query()), (200, Some("again")), "{page:?}");

    // Idle is told apart, and being busy is not idle.
    estate.rewrite(
        "policies/groups.yaml",
        "idle_timeout: 30m, max_age: 4s",
        "idle_timeout: 2s, max_age: 12h",
    );
    estate.reload();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(browser.told("wiki", "/headers").await, let_in(), "who is busy is not idle");
    }
    // Nothing is asked meanwhile: asking would not be idle.
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    assert_eq!(browser.told("wiki", "/headers").await, refused(401, "session_idle"));
    let page = browser.open("wiki", "/headers").await;
    assert!(page.asks_for("password"), "{page:?}");
}

#[tokio::test]
async fn what_moves_is_use_and_a_stream_that_goes_on_by_itself_is_not() {
    let estate = Estate::start();
    estate.rewrite(
        "policies/groups.yaml",
        "idle_timeout: 30m, max_age: 12h",
        "idle_timeout: 2s, max_age: 12h",
    );
    estate.reload();
    let ask = async |head: &str| {
        let browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
        let cookies = browser.cookie_header("wiki.localhost");
        let mut talk = Talk::new(estate.connect("wiki.localhost", Device::None, Tls::H1).await);
        let head =
            format!("{head} HTTP/1.1\r\nHost: wiki.localhost:{}\r\nCookie: {cookies}\r\n", estate.port);
        talk.write(head.as_bytes()).await.unwrap();
        talk
    };
    let pause = || tokio::time::sleep(Duration::from_millis(500));
    // Each goes on for longer than two pauses that would end the session.
    let mut upload = ask("POST /upload").await;
    upload.write(b"Transfer-Encoding: chunked\r\n\r\n").await.unwrap();
    for _ in 0..12 {
        upload.write(b"5\r\nhello\r\n").await.unwrap();
        pause().await;
    }
    upload.write(b"0\r\n\r\n").await.unwrap();
    let answer = upload.answer("POST").await.unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &seen["bytes"]), (200, &serde_json::json!(60)), "{answer:?}");

    let mut download = ask("GET /bytes/17179869184").await;
    download.write(b"\r\n").await.unwrap();
    assert_eq!(download.head().await.map(|answer| answer.status), Some(200));
    for _ in 0..12 {
        assert!(!download.some_bytes().await.is_empty(), "the download was ended");
        pause().await;
    }

    let mut events = ask("GET /events").await;
    events.write(b"\r\n").await.unwrap();
    assert_eq!(events.head().await.map(|answer| answer.status), Some(200));
    let ended = async { while !events.some_bytes().await.is_empty() {} };
    tokio::time::timeout(support::DEADLINE, ended).await.expect("the stream outlived the session");
    until("it is told why", async || {
        estate.decisions().iter().any(|event| event["path"] == "/events" && event["reason"] == "session_idle")
    })
    .await;
}

#[tokio::test]
async fn a_second_factor_is_asked_for_at_sign_in_and_where_a_page_needs_it() {
    let estate = Estate::start();
    with_path(&estate, "{ prefix: /headers/mfa, allow: [{ mfa: required }] }");
    // Signed in with a password alone.
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let answer = browser.fetch(Method::GET, "wiki", "/headers/mfa").await;
    assert_eq!((answer.status, answer.reason().as_str()), (401, "mfa_required"), "{answer:?}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.contains("insufficient_user_authentication"), "RFC 9470: {challenge}");

    // The user gets an authenticator app, and steps up with it.
    estate.add_to_user(EMPLOYEE, &format!("    totp: {TOTP}\n"));
    estate.reload();
    let page = browser.open("wiki", "/headers/mfa").await;
    assert_eq!((page.status, page.url.path()), (200, "/step-up"), "{page:?}");
    assert!(page.asks_for("code"), "{page:?}");
    let wrong = browser.submit(&page, &[("code", &other_code())]).await;
    assert_eq!(wrong.status, 401, "{wrong:?}");
    assert!(wrong.asks_for("code"));
    assert_eq!(browser.told("wiki", "/headers/mfa").await, refused(401, "mfa_required"));
    let code = code(0);
    let right = browser.submit(&wrong, &[("code", &code)]).await;
    let page = browser.follow(right).await;
    assert_eq!((page.status, page.url.path()), (200, "/headers/mfa"), "{page:?}");
    assert_eq!(browser.told("wiki", "/headers/mfa").await.0, 200);

    // At the next sign-in the code is asked for; one that was used is not good twice.
    let mut next = Visitor::new(&estate, Device::None);
    let form = next.open("wiki", "/headers/mfa").await;
    let password = estate.password(EMPLOYEE).1;
    let second = next.submit(&form, &[("user", EMPLOYEE), ("password", &password)]).await;
    assert_eq!(second.status, 200, "{second:?}");
    assert!(second.asks_for("code") && second.sets(SESSION).is_none(), "{second:?}");
    assert_eq!(next.told("wiki", "/headers").await, refused(401, "not_signed_in"), "half a sign-in is none");
    let replayed = next.submit(&second, &[("code", &code)]).await;
    assert!(replayed.status == 401 && replayed.sets(SESSION).is_none(), "a code is good once: {replayed:?}");
    // What the password proved is no use in another browser.
    let mut other = Visitor::new(&estate, Device::None);
    let _ = other.open("wiki", "/headers").await;
    let answer = other.submit(&second, &[("code", &self::code(30))]).await;
    assert!(answer.sets(SESSION).is_none() && answer.status >= 400, "{answer:?}");
    let done = next.submit(&replayed, &[("code", &self::code(30))]).await;
    let page = next.follow(done).await;
    assert_eq!(
        (page.status, page.url.path()),
        (200, "/headers/mfa"),
        "no step-up after a sign-in with both: {page:?}"
    );
}

#[tokio::test]
async fn a_sign_in_that_is_too_old_for_a_page_is_proved_again() {
    let estate = Estate::start();
    with_path(&estate, "{ prefix: /headers/fresh, allow: [{ max_auth_age: 5s }] }");
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    until("the sign-in is too old", async || {
        browser.told("wiki", "/headers/fresh").await == refused(401, "reauth_required")
    })
    .await;
    let answer = browser.fetch(Method::GET, "wiki", "/headers/fresh").await;
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.contains("insufficient_user_authentication") && challenge.contains("max_age"),
        "{challenge}"
    );
    assert_eq!(browser.told("wiki", "/headers").await, let_in(), "elsewhere it is good enough");

    let form = browser.open("wiki", "/headers/fresh").await;
    assert!(form.asks_for("password"), "{form:?}");
    let wrong = browser.submit(&form, &[("user", EMPLOYEE), ("password", "wrong")]).await;
    assert_eq!(wrong.status, 401);
    let sent =
        browser.submit(&wrong, &[("user", EMPLOYEE), ("password", &estate.password(EMPLOYEE).1)]).await;
    let page = browser.follow(sent).await;
    assert_eq!((page.status, page.url.path()), (200, "/headers/fresh"), "{page:?}");
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once_open_connections_included() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let mut other = Visitor::signed_in(&estate, Device::None, FINANCE).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let mut socket = WebSocket::open(&estate, Device::None, "wiki.localhost", &cookies).await.unwrap();
    let theirs = other.cookie_header("wiki.localhost");
    let mut kept = WebSocket::open(&estate, Device::None, "wiki.localhost", &theirs).await.unwrap();
    assert!(socket.echoes().await && kept.echoes().await);

    estate.add_to_user(EMPLOYEE, "    disabled: true\n");
    // The file is watched: nobody tells tiergate.
    until("the account is refused", async || {
        browser.told("wiki", "/headers").await == refused(403, "account_disabled")
    })
    .await;
    socket.ends().await;
    let page = browser.open("wiki", "/headers").await;
    assert_eq!((page.status, page.url.path()), (403, "/headers"), "a page, and no circle: {page:?}");

    assert_eq!(other.told("wiki", "/headers").await, let_in());
    assert!(kept.echoes().await, "who is not concerned goes on");
    let cut = async || {
        let events = estate.audit();
        events.iter().any(|event| event["path"] == "/ws" && event["reason"] == "account_disabled")
    };
    until("the end of the WebSocket is in the audit log with its reason", cut).await;

    // Enabled again, the session is still theirs.
    estate.rewrite("users.yaml", "    disabled: true\n", "");
    until("the account is let in again", async || browser.told("wiki", "/headers").await == let_in()).await;
}

#[tokio::test]
async fn sessions_outlive_a_crash() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::Issued, FINANCE).await;
    assert_eq!(browser.open("payroll", "/headers").await.status, 200);
    let _again = Process::after_crash(&estate).await;
    for host in ["wiki", "payroll"] {
        assert_eq!(browser.told(host, "/headers").await, let_in(), "{host}");
    }
    // Another host without being asked anything.
    assert_eq!(browser.open("tickets", "/headers").await.status, 200);
}

/// Adds a path to the wiki.
fn with_path(estate: &Estate, path: &str) {
    let wiki = "hosts: [wiki.localhost]\n    upstream: demo\n";
    estate.rewrite("policies/resources.yaml", wiki, &format!("{wiki}    paths:\n      - {path}\n"));
    estate.reload();
}

/// The code that an authenticator app shows so many seconds from now.
fn code(from_now: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(TOTP).unwrap();
    let totp = Builder::new().with_secret(secret).with_account_name("a").build().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    totp.generate(now.saturating_add_signed(from_now)).to_string()
}

/// A code that none of the accepted steps has.
fn other_code() -> String {
    let near: Vec<String> = [-60, -30, 0, 30, 60].map(code).into();
    (0..10).map(|n| format!("{n}{n}{n}{n}{n}{n}")).find(|guess| !near.contains(guess)).unwrap()
}
