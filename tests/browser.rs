//! The whole as a person meets it: Chromium, a client certificate from its store, forms and pages.

mod support;

use support::Estate;
use support::chromium::Chromium;
use support::estate::poll;

const FINANCE: &str = "finance@corp.example";

async fn sign_in(browser: &mut Chromium, estate: &Estate, host: &str) {
    let url = estate.url(host, "/some/page?a=b");
    browser.open(&url).await;
    assert!(browser.text("location.href").await.starts_with(&estate.url("login.localhost", "/sign-in")));
    browser.picture("sign-in", false).await;
    let (user, password) = estate.password(FINANCE);
    browser.send_form(&[("user", &user), ("password", "wrong")]).await;
    assert!(
        browser.text("document.title").await.contains("Error"),
        "a wrong password is said in the title too"
    );
    browser.picture("sign-in-wrong", false).await;
    browser.send_form(&[("user", &user), ("password", &password)]).await;
    assert_eq!(browser.text("location.href").await, url, "back to where the person wanted to go");
}

/// Nothing was blocked, nothing failed, and nothing was asked of anybody else.
fn is_quiet(browser: &Chromium) {
    // The status of a page that denies is an error to the browser.
    let complaints: Vec<_> = browser
        .complaints
        .iter()
        .filter(|text| !text.contains("status of 40") && !text.contains("favicon"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let foreign: Vec<_> = browser
        .requests
        .iter()
        .filter(|url| !url.contains(".localhost:") && !url.starts_with("data:") && !url.starts_with("about:"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[tokio::test]
#[ignore = "needs Chromium and libnss3-tools: make e2e"]
async fn a_person_is_denied_on_the_wrong_device_told_why_and_gets_in_on_the_right_one() {
    let estate = Estate::start();

    let mut enrolled = Chromium::start(&estate, Some("enrolled")).await;
    sign_in(&mut enrolled, &estate, "wiki.localhost").await;
    assert!(enrolled.text("document.body.innerText").await.contains(FINANCE));
    enrolled.picture("wiki", false).await;
    enrolled.open(&estate.url("tickets.localhost", "/")).await;
    assert!(
        enrolled.text("document.body.innerText").await.contains("enrolled"),
        "the tier low admits this device"
    );

    let payroll = estate.url("payroll.localhost", "/");
    enrolled.open(&payroll).await;
    assert_eq!(enrolled.text("location.href").await, payroll);
    let page = enrolled.text("document.body.innerText").await;
    assert_eq!(
        enrolled.text("document.querySelector('h1').innerText").await,
        "A company-issued device is needed",
        "{page}"
    );
    assert!(page.contains("Open it on your company-issued computer"), "what to do: {page}");
    for seen in [FINANCE, "enrolled", "payroll"] {
        assert!(page.to_lowercase().contains(seen), "what was checked: {seen}: {page}");
    }
    let code = enrolled.text("document.querySelector('.code code').innerText").await;
    assert_eq!(code.len(), 19, "{code}");
    let event = poll("the code is in the audit log", || {
        estate.decisions().into_iter().find(|event| event["code"] == code)
    })
    .await;
    assert_eq!(
        (&event["reason"], &event["device"], &event["subject"]),
        (&"device_not_issued".into(), &"enrolled".into(), &FINANCE.into())
    );
    enrolled.picture("denied", false).await;
    enrolled.picture("denied-dark", true).await;

    // What this person can reach from here, and what stands in the way of the rest.
    enrolled.open(&estate.url("wiki.localhost", "/.tiergate/")).await;
    let page = enrolled.text("document.body.innerText").await;
    for seen in [FINANCE, "wiki", "tickets", "payroll", "enrolled"] {
        assert!(page.to_lowercase().contains(seen), "{seen}: {page}");
    }
    enrolled.picture("my-access", false).await;
    is_quiet(&enrolled);
    drop(enrolled);

    let mut issued = Chromium::start(&estate, Some("issued")).await;
    sign_in(&mut issued, &estate, "payroll.localhost").await;
    let page = issued.text("document.body.innerText").await;
    assert!(page.contains(FINANCE) && page.contains("issued"), "{page}");
    issued.picture("payroll", false).await;

    // A page's own script may ask its own host, and a sibling that lists it; nothing else.
    let fetched = |url: String| {
        format!("fetch({url:?}, {{ credentials: 'include' }}).then(r => r.status, e => 'blocked')")
    };
    issued.open(&estate.url("wiki.localhost", "/")).await;
    assert_eq!(issued.text(&fetched("/headers".into())).await, "200");
    let sibling = estate.url("payroll.localhost", "/headers");
    assert_eq!(issued.text(&fetched(sibling)).await, "blocked");
    issued.complaints.clear();

    // Signing out ends it everywhere.
    issued.open(&estate.url("wiki.localhost", "/.tiergate/logout")).await;
    issued.picture("sign-out", false).await;
    issued.send_form(&[]).await;
    assert!(issued.text("document.body.innerText").await.contains("signed out"));
    issued.open(&payroll).await;
    assert!(issued.text("location.href").await.starts_with(&estate.url("login.localhost", "/sign-in")));
    is_quiet(&issued);
}

#[tokio::test]
#[ignore = "needs Chromium and libnss3-tools: make e2e"]
async fn a_browser_without_a_certificate_reaches_the_open_tier_and_is_told_what_the_others_need() {
    let estate = Estate::start();
    let mut browser = Chromium::start(&estate, None).await;
    sign_in(&mut browser, &estate, "wiki.localhost").await;
    // The browser may use one connection for both hosts: it must not go round in circles.
    for host in ["tickets.localhost", "payroll.localhost"] {
        let url = estate.url(host, "/");
        browser.open(&url).await;
        assert_eq!(browser.text("location.href").await, url);
        let title = browser.text("document.querySelector('h1').innerText").await;
        assert_eq!(title, "A company device is needed", "{host}");
    }
    browser.picture("denied-without-device", false).await;
    browser.open(&estate.url("wiki.localhost", "/")).await;
    assert!(browser.text("document.body.innerText").await.contains(FINANCE));
    is_quiet(&browser);
}
