//! Signing in through a certified OpenID provider (npm `oidc-provider`), by way of the real proxy.

mod support;

use reqwest::Method;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::port::free_port;
use support::process::{Process, admin_get};
use support::visitor::{Answer, SESSION, Visitor};
use support::{Device, Estate};
use url::Url;

/// The provider's process; ended when it is dropped.
struct Idp(Child);

impl Drop for Idp {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Idp {
    fn start(port: u16, redirect: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc_provider");
        assert!(folder.join("node_modules").exists(), "run `npm ci` in {}", folder.display());
        let mut child = Command::new("node")
            .args(["server.js", &port.to_string(), redirect])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("listening")), "the provider did not start");
        // A closed pipe would end it at its next word.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

/// An estate whose people sign in at the provider, or as local users; engineers may read tickets.
fn estate() -> (Estate, Idp) {
    let (estate, port) = (Estate::start(), free_port());
    let idp = Idp::start(port, &estate.url("login.localhost", "/oidc/workforce/callback"));
    estate.put("oidc.secret", "not a secret: loopback tests only\n");
    let workforce = format!(
        "    - {{ name: workforce, title: Corp, type: oidc, issuer: \"http://127.0.0.1:{port}\", client_id: tiergate, \
         client_secret: {{ file: oidc.secret }}, mfa_values: [otp], step_up_acr: [\"urn:mfa\"] }}\n"
    );
    let providers = "  providers:\n";
    estate.rewrite("tiergate.yaml", providers, &format!("{providers}{workforce}"));
    estate.rewrite(
        "policies/groups.yaml",
        "groups:\n",
        "groups:\n  engineers: { any_of: [workforce:eng] }\n",
    );
    let tickets = "hosts: [tickets.localhost]\n    upstream: demo\n";
    estate.rewrite(
        "policies/resources.yaml",
        tickets,
        &format!("{tickets}    allow: [{{ groups: [engineers] }}]\n"),
    );
    let wiki = "hosts: [wiki.localhost]\n    upstream: demo\n";
    let paths = "    paths: [{ prefix: /headers/mfa, allow: [{ mfa: required }] }]\n";
    estate.rewrite("policies/resources.yaml", wiki, &format!("{wiki}{paths}"));
    estate.reload();
    (estate, idp)
}

/// From a page to the provider's own form, as whoever clicks does.
async fn to_the_provider(browser: &mut Visitor, host: &str, path: &str) -> Answer {
    let page = browser.open(host, path).await;
    let link =
        page.link("/oidc/workforce/start").unwrap_or_else(|| panic!("no way to the provider: {page:?}"));
    let answer = browser.go(link).await;
    let form = browser.follow(answer).await;
    assert_eq!(form.url.host_str(), Some("127.0.0.1"), "{form:?}");
    assert!(form.asks_for("login"), "{form:?}");
    form
}

async fn sign_in(browser: &mut Visitor, host: &str, path: &str, name: &str) -> Answer {
    let form = to_the_provider(browser, host, path).await;
    let answer = browser.submit(&form, &[("login", name)]).await;
    browser.follow(answer).await
}

/// The redirect that carries the provider's answer, not followed.
async fn provider_answer(browser: &mut Visitor, name: &str) -> Url {
    let form = to_the_provider(browser, "wiki", "/headers").await;
    let mut answer = browser.submit(&form, &[("login", name)]).await;
    for _ in 0..10 {
        let to = answer.leads_to().unwrap_or_else(|| panic!("{answer:?}"));
        if to.path() == "/oidc/workforce/callback" {
            return to;
        }
        answer = browser.go(to).await;
    }
    panic!("round and round");
}

#[tokio::test]
#[ignore = "needs Node: make e2e"]
async fn the_groups_that_the_provider_states_decide_who_gets_in() {
    let (estate, idp) = estate();
    let mut ann = Visitor::new(&estate, Device::Enrolled);
    let page = sign_in(&mut ann, "wiki", "/headers?a=b", "ann").await;
    assert_eq!((page.status, page.url.query()), (200, Some("a=b")), "{page:?}");
    let headers = page.json()["headers"].to_string();
    assert!(headers.contains("[\"x-tiergate-user\",\"ann@corp.example\"]"), "{headers}");
    assert!(headers.contains("[\"x-tiergate-groups\",\"engineers\"]"), "{headers}");
    assert_eq!(ann.open("tickets", "/headers").await.status, 200);

    // The nearest who does not: no such group, no groups at all, too many, and somebody who calls themselves ann.
    for (name, status) in [("bob", 403), ("eve", 403)] {
        let mut other = Visitor::new(&estate, Device::Enrolled);
        let page = sign_in(&mut other, "tickets", "/headers", name).await;
        assert_eq!(
            (page.status, page.url.host_str()),
            (status, Some("tickets.localhost")),
            "{name}: {page:?}"
        );
        let answer = other.fetch(Method::GET, "tickets", "/headers").await;
        assert_eq!((answer.status, answer.reason().as_str()), (403, "not_allowed"), "{name}");
        let seen = other.open("wiki", "/headers").await;
        assert!(!seen.body.contains("ann@corp.example"), "{name}: {}", seen.body);
    }
    let mut many = Visitor::new(&estate, Device::Enrolled);
    let page = sign_in(&mut many, "wiki", "/headers", "many").await;
    assert!(page.status >= 400 && many.cookie("login", SESSION).is_none(), "{page:?}");

    // A second factor is the provider's to ask for.
    let answer = ann.fetch(Method::GET, "wiki", "/headers/mfa").await;
    assert_eq!((answer.status, answer.reason().as_str()), (401, "mfa_required"));
    let form = ann.open("wiki", "/headers/mfa").await;
    assert!(form.asks_for("login"), "{form:?}");
    let answer = ann.submit(&form, &[("login", "ann")]).await;
    let page = ann.follow(answer).await;
    assert_eq!((page.status, page.url.path()), (200, "/headers/mfa"), "{page:?}");

    // Local users are still there, and each provider's groups are its own.
    let mut local = Visitor::new(&estate, Device::Enrolled);
    let page = local.sign_in(&estate, "tickets", "/headers", "employee@corp.example").await;
    assert_eq!(page.status, 403, "{page:?}");

    // While the provider is away, who is signed in stays so; who is not is told.
    drop(idp);
    assert_eq!(ann.open("tickets", "/headers").await.status, 200);
    let mut late = Visitor::new(&estate, Device::Enrolled);
    let page = late.open("wiki", "/headers").await;
    let answer = late.go(page.link("/oidc/workforce/start").unwrap()).await;
    // It may have been heard of a moment ago; `oidc_troubles` waits until that is over.
    assert!(matches!(answer.status, 302 | 503), "{answer:?}");
    // Started anew without it, nothing is known; it starts all the same.
    let _again = Process::after_crash(&estate).await;
    let page = late.open("wiki", "/headers").await;
    let answer = late.go(page.link("/oidc/workforce/start").unwrap()).await;
    assert!(answer.status == 503 && !answer.header("retry-after").is_empty(), "{answer:?}");
    assert_eq!(
        ann.open("tickets", "/headers").await.status,
        200,
        "who was signed in before the restart stays so"
    );
    assert!(
        late.sign_in(&estate, "wiki", "/headers", "finance@corp.example").await.status == 200,
        "break glass"
    );
    assert!(admin_get(estate.admin, "/readyz").unwrap().starts_with("HTTP/1.1 200"));

    // Nobody vouches any more for people of a provider that was removed.
    let text = estate.read("tiergate.yaml");
    let line = text.lines().find(|line| line.contains("name: workforce")).unwrap();
    estate.rewrite("tiergate.yaml", &format!("{line}\n"), "");
    estate.rewrite("policies/groups.yaml", "any_of: [workforce:eng]", "any_of: [local:eng]");
    estate.reload();
    let answer = ann.fetch(Method::GET, "wiki", "/headers").await;
    assert!(matches!(answer.status, 401 | 403), "{answer:?}");
}

#[tokio::test]
#[ignore = "needs Node: make e2e"]
async fn an_answer_counts_once_in_the_browser_that_asked_and_says_what_was_asked() {
    let (estate, _idp) = estate();
    let refused = async |browser: &mut Visitor, url: Url, what: &str| {
        let answer = browser.go(url).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(answer.sets(SESSION).is_none() && answer.leads_to().is_none(), "{what}: {answer:?}");
    };
    let changed = |url: &Url, name: &str, value: Option<&str>| {
        let mut url = url.clone();
        let pairs: Vec<(String, String)> =
            url.query_pairs().into_owned().filter(|(is, _)| is != name).collect();
        url.query_pairs_mut().clear().extend_pairs(pairs).extend_pairs(value.map(|value| (name, value)));
        url
    };
    for (what, name, value) in [
        ("no state", "state", None),
        ("another state", "state", Some("x")),
        ("no issuer", "iss", None),
        ("another issuer", "iss", Some("https://evil.example")),
        ("no code", "code", None),
        ("another code", "code", Some("x")),
        ("an error", "error", Some("access_denied")),
        ("an error with a script in it", "error", Some("<script>alert(1)</script>")),
    ] {
        let mut browser = Visitor::new(&estate, Device::None);
        let url = provider_answer(&mut browser, "ann").await;
        let url = changed(&url, name, value);
        let answer = browser.go(url.clone()).await;
        assert!(!answer.body.contains("<script>alert"), "{what}: {answer:?}");
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(browser.cookie("login", SESSION).is_none(), "{what}");
    }

    // Somebody else's answer in my browser would sign me in as them.
    let mut attacker = Visitor::new(&estate, Device::None);
    let url = provider_answer(&mut attacker, "eve").await;
    let mut victim = Visitor::new(&estate, Device::None);
    refused(&mut victim, url.clone(), "in a browser that asked nothing").await;
    provider_answer(&mut victim, "ann").await;
    refused(&mut victim, url.clone(), "in a browser that asked something else").await;
    // In its own it counts, once.
    let cookies_before = attacker.clone();
    let answer = attacker.go(url.clone()).await;
    assert!(answer.sets(SESSION).is_some(), "{answer:?}");
    let page = attacker.follow(answer).await;
    assert_eq!(page.status, 200, "{page:?}");
    refused(&mut cookies_before.clone(), url, "once more").await;

    // Two tabs at the provider at once.
    let mut browser = Visitor::new(&estate, Device::None);
    let one = to_the_provider(&mut browser, "wiki", "/headers?1").await;
    let page = browser.open("wiki", "/headers?2").await;
    let answer = browser.go(page.link("/oidc/workforce/start").unwrap()).await;
    let two = browser.follow(answer).await;
    for (form, query) in [(one, "1"), (two, "2")] {
        let answer = browser.submit(&form, &[("login", "ann")]).await;
        let page = browser.follow(answer).await;
        assert_eq!((page.status, page.url.query()), (200, Some(query)), "{page:?}");
    }
}
