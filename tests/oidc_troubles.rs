//! Signing in at a provider that is down or late, or that says odd things about people.

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use support::idp::{DISCOVERY, Idp, KEYS, Mood, TOKEN};
use support::upstream::Seen;
use support::visitor::{Answer, SESSION, Visitor, let_in};
use support::wait::until;
use support::{Device, Estate, Recorder};
use url::Url;

async fn estate() -> (Estate, Idp) {
    let (estate, idp) = (Estate::start(), Idp::start().await);
    idp.introduce_to(&estate);
    (estate, idp)
}

/// The answer to the link that leads to the provider, for a browser that wants to see the wiki.
async fn start(browser: &mut Visitor) -> Answer {
    let page = browser.open("wiki", "/headers").await;
    let link = page.link("/oidc/workforce/start").unwrap_or_else(|| panic!("no way there: {page:?}"));
    browser.go(link).await
}

/// What the provider sends the browser back to.
async fn provider_answer(browser: &mut Visitor) -> Url {
    let answer = start(browser).await;
    let there = answer.leads_to().unwrap_or_else(|| panic!("{answer:?}"));
    let back = browser.go(there).await.leads_to().unwrap();
    assert_eq!(back.path(), "/oidc/workforce/callback");
    back
}

/// A page to come back to later, with a way on to the people that tiergate itself knows.
async fn told_to_wait(browser: &mut Visitor, answer: &Answer, what: &str) {
    answer.assert_dressed();
    assert_eq!(answer.status, 503, "{what}: {answer:?}");
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 0), "{what}: {answer:?}");
    assert!(browser.cookie("login", SESSION).is_none(), "{what}");
    let choice = browser.go(answer.link("/sign-in?choose").unwrap()).await;
    assert!(choice.status == 200 && choice.asks_for("password"), "{what}: {choice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_provider_is_down_nobody_new_signs_in_there_and_all_else_goes_on() {
    let (estate, idp) = estate().await;
    let mut ann = Visitor::new(&estate, Device::None);
    let back = provider_answer(&mut ann).await;
    let answer = ann.go(back).await;
    assert_eq!(ann.follow(answer).await.status, 200);
    let ages = estate.metrics();
    assert!(ages.contains("tiergate_evidence_age_seconds{source=\"jwks\"} "), "{ages}");

    let mut late = Visitor::new(&estate, Device::None);
    for mood in [Mood::Broken, Mood::Elsewhere, Mood::Silent] {
        idp.forget_at(&estate);
        idp.mood(DISCOVERY, mood);
        let answer = start(&mut late).await;
        told_to_wait(&mut late, &answer, &format!("{mood:?}")).await;
        assert_eq!(ann.told("wiki", "/headers").await, let_in(), "{mood:?}: whoever is signed in stays so");
    }
    // What was learnt of it before is no reason to send anybody to where nobody is.
    idp.mood(DISCOVERY, Mood::Well);
    idp.forget_at(&estate);
    assert_eq!(start(&mut late).await.status, 302);
    idp.mood(DISCOVERY, Mood::Broken);
    until("it is noticed that the provider is gone", async || start(&mut late).await.status == 503).await;
    let page = late.sign_in(&estate, "wiki", "/headers", "employee@corp.example").await;
    assert_eq!(page.status, 200, "break glass: {page:?}");
    // Nor is anybody kept out longer than that.
    idp.mood(DISCOVERY, Mood::Well);
    let mut bob = Visitor::new(&estate, Device::None);
    until("it is noticed that the provider is back", async || start(&mut bob).await.status == 302).await;
    // Started without the provider, everything else is served.
    drop(idp);
    let _again = support::process::Process::after_crash(&estate).await;
    assert_eq!(ann.told("wiki", "/headers").await, let_in());
    let answer = start(&mut bob).await;
    told_to_wait(&mut bob, &answer, "nothing listens").await;

    let reasons: Vec<Value> = estate.audit().iter().map(|event| event["reason"].clone()).collect();
    assert!(reasons.contains(&json!("provider_unavailable")), "{reasons:?}");
    assert!(!reasons.contains(&json!("provider_failed")), "nobody is said to have been refused: {reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_half_way_signs_nobody_in_and_is_waited_for() {
    let (estate, idp) = estate().await;
    for (part, mood) in [
        (TOKEN, Mood::Broken),
        (TOKEN, Mood::Elsewhere),
        (TOKEN, Mood::Silent),
        (KEYS, Mood::Broken),
        (KEYS, Mood::Elsewhere),
        (KEYS, Mood::Silent),
    ] {
        let what = format!("{part} {mood:?}");
        idp.forget_at(&estate);
        let mut browser = Visitor::new(&estate, Device::None);
        let back = provider_answer(&mut browser).await;
        idp.mood(part, mood);
        let answer = browser.go(back.clone()).await;
        told_to_wait(&mut browser, &answer, &what).await;
        idp.mood(part, Mood::Well);
        let again = browser.go(back).await;
        assert_eq!((again.status, again.sets(SESSION)), (400, None), "{what}: an answer is good once");
        // Started anew, it goes well.
        idp.forget_at(&estate);
        let back = provider_answer(&mut browser).await;
        let answer = browser.go(back).await;
        assert_eq!(browser.follow(answer).await.status, 200, "{what}");
    }
}

/// What the upstream is told of a person, or that the sign-in ends.
#[derive(Debug, PartialEq)]
enum Told {
    User { user: String, email: Option<String>, groups: String },
    Refused,
}

fn user(user: &str, email: Option<&str>, groups: &str) -> Told {
    Told::User { user: user.into(), email: email.map(Into::into), groups: groups.into() }
}

fn told(seen: &Seen) -> Told {
    let header = |name: &str| seen.header(name).map(str::to_owned);
    Told::User {
        user: header("x-tiergate-user").unwrap(),
        email: header("x-tiergate-email"),
        groups: header("x-tiergate-groups").unwrap(),
    }
}

/// The claims of the assertion that the upstream got.
fn assertion(seen: &Seen) -> Value {
    let token = seen.header("x-tiergate-assertion").unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_provider_calls_somebody_reaches_the_upstream_plain_or_not_at_all() {
    let (estate, idp) = estate().await;
    let upstream = Recorder::start().await;
    let address = upstream.address.to_string();
    estate.edit("tiergate.yaml", |config| {
        for (_, each) in config["upstreams"].as_object_mut().unwrap() {
            each["addresses"] = json!([address]);
            each["headers"] = json!({ "X-Who": "{user.name} <{user.email}>" });
        }
    });
    estate.rewrite(
        "policies/groups.yaml",
        "groups:\n",
        "groups:\n  bakers: { any_of: [\"workforce:Bäcker, Müller\"] }\n",
    );
    estate.reload();

    let email = |text: &str| json!({ "email": text, "email_verified": true });
    let long = |n: usize| "x".repeat(n);
    for (claims, want) in [
        (email("ann@corp.example"), user("ann@corp.example", Some("ann@corp.example"), "")),
        // An address that is none is left out, and the person goes by the stable id.
        (email("ann@corp.example\r\nX-Evil: 1"), user("1", None, "")),
        (email("ann@corp.example\0"), user("1", None, "")),
        (email("zo\u{eb}@corp.example"), user("1", None, "")),
        (email("\u{85}ann@corp.example\u{a0}"), user("1", None, "")),
        (email(&format!("ann@{}.example", long(300))), user("1", None, "")),
        (json!({ "preferred_username": "ann" }), user("ann", None, "")),
        (json!({ "preferred_username": "ann\r\nX-Tiergate-Groups: admins" }), user("1", None, "")),
        (json!({ "preferred_username": "\u{85}admin\u{a0}" }), user("1", None, "")),
        (json!({ "preferred_username": "admin@corp.example" }), user("1", None, "")),
        (json!({ "preferred_username": long(128) }), user(&long(128), None, "")),
        (json!({ "preferred_username": long(129) }), user("1", None, "")),
        (json!({ "name": "Zo\u{eb} \u{202e}\r\nX-Evil: 1" }), user("1", None, "")),
        (json!({ "amr": ["pwd\r\nX-Evil: 1", "pwd"] }), user("1", None, "")),
        // The id is encoded, once.
        (json!({ "sub": "auth0|1 2,\"%3" }), user("auth0|1%202%2C%22%253", None, "")),
        (json!({ "sub": long(255) }), user(&long(255), None, "")),
        (json!({ "sub": long(256) }), Told::Refused),
        (json!({ "sub": "zo\u{eb}" }), Told::Refused),
        (json!({ "sub": "1\r\nX-Evil: 1" }), Told::Refused),
        (json!({ "sub": "1\0" }), Told::Refused),
        // Groups are compared as they are; the upstream reads the policy's names for them.
        (json!({ "groups": ["B\u{e4}cker, M\u{fc}ller"] }), user("1", None, "bakers")),
        (json!({ "groups": ["bakers", "\u{202e}", "B\u{e4}cker"] }), user("1", None, "")),
        (json!({ "groups": ["bakers\r\nX-Evil: 1"] }), Told::Refused),
        (json!({ "groups": [long(257)] }), Told::Refused),
    ] {
        let mut browser = Visitor::new(&estate, Device::None);
        idp.claims(claims.clone());
        upstream.clear();
        let back = provider_answer(&mut browser).await;
        let answer = browser.go(back).await;
        let page = browser.follow(answer).await;
        let seen = upstream.requests();
        if want == Told::Refused {
            assert_eq!((page.status, seen.len()), (400, 0), "{claims}: {page:?}");
            assert!(browser.cookie("login", SESSION).is_none(), "{claims}");
            continue;
        }
        assert_eq!((page.status, seen.len()), (200, 1), "{claims}: {page:?}");
        assert_eq!(told(&seen[0]), want, "{claims}");
        let Told::User { user, email, .. } = want else { panic!("{want:?}") };
        let who = format!("{user} <{}>", email.clone().unwrap_or_default());
        assert_eq!(seen[0].header("x-who"), Some(who.as_str()), "{claims}");
        let told = assertion(&seen[0]);
        let subject = claims["sub"].as_str().unwrap_or("1");
        assert_eq!(told["sub"], format!("workforce:{subject}"), "{claims}");
        assert_eq!(told["email"].as_str(), email.as_deref(), "{claims}");
        let amr = if claims["amr"].is_null() { Value::Null } else { json!(["pwd"]) };
        assert_eq!(told["amr"], amr, "{claims}");
        let bytes = upstream.bytes();
        let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n');
        assert!(bytes.iter().all(plain) && seen[0].header("x-evil").is_none(), "{claims}");
        assert_eq!(upstream.complaints(), Vec::<String>::new(), "{claims}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_it_here_and_empties_what_the_services_kept_in_the_browser() {
    let (estate, _idp) = estate().await;
    let token = |page: &Answer| page.input("csrf").unwrap_or_else(|| panic!("no form: {page:?}"));
    for (what, headers) in [
        ("a browser", &[("sec-fetch-site", "same-origin")][..]),
        ("an old browser that hides the origin", &[("origin", "null")]),
        ("curl", &[]),
    ] {
        let mut browser = Visitor::new(&estate, Device::None);
        let back = provider_answer(&mut browser).await;
        let answer = browser.go(back).await;
        assert_eq!(browser.follow(answer).await.status, 200, "{what}");
        let access = browser.open("wiki", "/.tiergate/").await;
        // A page with `no-referrer` would make browsers hide the origin of its form.
        assert_eq!(access.header("referrer-policy"), "same-origin", "{what}");
        let asking = browser.open("wiki", "/.tiergate/logout").await;
        assert_eq!(asking.header("referrer-policy"), "same-origin", "{what}");
        let stolen = browser.cookie("wiki", SESSION).unwrap().to_owned();
        let url = browser.url("wiki", "/.tiergate/logout");

        let forged = browser.ask(reqwest::Method::POST, url.clone()).header("origin", "https://evil.example");
        let refused = browser.send(forged.form(&[("csrf", token(&access))])).await;
        assert_eq!((refused.status, refused.header("clear-site-data")), (403, ""), "{what}");
        let without = browser.ask(reqwest::Method::POST, url.clone()).form(&[("csrf", "x")]);
        assert_eq!(browser.send(without).await.status, 403, "{what}");
        assert_eq!(browser.told("wiki", "/headers").await, let_in(), "{what}");

        let mut request = browser.ask(reqwest::Method::POST, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let left = browser.send(request.form(&[("csrf", token(&access))])).await;
        left.assert_dressed();
        assert_eq!(left.status, 200, "{what}: {left:?}");
        assert_eq!(left.header("clear-site-data"), r#""cache", "storage""#, "{what}");
        assert!(browser.cookie("wiki", SESSION).is_none(), "{what}");
        browser.set_cookie("wiki", SESSION, &stolen);
        assert_eq!(browser.told("wiki", "/headers").await.0, 401, "{what}: a copied cookie is dead");
    }
    // Where there is no form, nobody else needs to learn where the person was.
    let mut nobody = Visitor::signed_in(&estate, Device::None, "employee@corp.example").await;
    let denied = nobody.open("payroll", "/").await;
    assert_eq!((denied.status, denied.header("referrer-policy")), (403, "no-referrer"));
    assert!(!denied.body.contains("<form"), "{denied:?}");
}
