//! Signing in through a certified OpenID provider (npm `oidc-provider`), on loopback.
//!
//! The library alone, without a proxy; `oidc.rs` signs in through the whole.

#[path = "support/port.rs"]
mod port;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tiergate::config;
use tiergate::diagnostic::Source;
use tiergate::identity::{Answer, Ask, Identified, Kind, OidcError, OidcProvider, Providers};

const REDIRECT: &str = "https://login.localhost/callback";

/// The provider's process; ended when it is dropped.
struct Idp {
    child: Child,
    issuer: String,
    secret: tempfile::NamedTempFile,
}

impl Drop for Idp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start() -> Idp {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc_provider");
    assert!(folder.join("node_modules").exists(), "run `npm ci` in {}", folder.display());
    let port = port::free_port();
    let mut child = Command::new("node")
        .args(["server.js", &port.to_string(), REDIRECT])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("listening")), "the provider did not start");
    // A closed pipe would end it at its next word.
    std::thread::spawn(move || lines.for_each(drop));
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "not a secret: loopback tests only\n").unwrap();
    Idp { child, issuer: format!("http://127.0.0.1:{port}"), secret }
}

fn load(idp: &Idp, previous: Option<&Providers>) -> Providers {
    let text = format!(
        "version: 1
listen: {{ https: 127.0.0.1:8443 }}
tls: {{ certificates: [{{ cert: unused.pem, key: unused.key }}] }}
identity:
  login_host: login.localhost
  providers:
    - name: workforce
      type: oidc
      issuer: {}
      client_id: tiergate
      client_secret: {{ file: {} }}
      mfa_values: [otp]
      step_up_acr: [urn:mfa]
",
        idp.issuer,
        idp.secret.path().display()
    );
    let config = config::resolve(&Source { path: "tiergate.yaml".into(), text }).unwrap();
    Providers::load(&config, previous).unwrap()
}

fn oidc(providers: &Providers) -> Arc<OidcProvider> {
    match &providers.get("workforce").unwrap().kind {
        Kind::Oidc(oidc) => Arc::clone(oidc),
        Kind::Local(_) => panic!("it is an OpenID provider"),
    }
}

/// A browser: follows redirects until one leads back to us, and keeps cookies.
#[derive(Default)]
struct Browser(BTreeMap<String, String>);

impl Browser {
    async fn sign_in(&mut self, url: &str, name: &str) -> Answer {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let mut url = url::Url::parse(url).unwrap();
        url.query_pairs_mut().append_pair("login_hint", name);
        for _ in 0..10 {
            let cookies: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let response = client.get(url.clone()).header("cookie", cookies.join("; ")).send().await.unwrap();
            for cookie in response.headers().get_all("set-cookie") {
                let (name, value) =
                    cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                self.0.insert(name.to_owned(), value.to_owned());
            }
            let status = response.status();
            let Some(location) = response.headers().get("location") else {
                panic!("{url}: {status} {}", response.text().await.unwrap());
            };
            url = url.join(location.to_str().unwrap()).unwrap();
            if url.as_str().starts_with(REDIRECT) {
                let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
                let value = |name: &str| query.get(name).cloned();
                return Answer {
                    state: value("state"),
                    code: value("code"),
                    iss: value("iss"),
                    error: value("error"),
                };
            }
        }
        panic!("redirected for ever");
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

async fn sign_in(
    oidc: &OidcProvider,
    browser: &mut Browser,
    name: &str,
    ask: Ask,
) -> Result<Identified, OidcError> {
    let begun = oidc.begin(REDIRECT, &ask).await?;
    let answer = browser.sign_in(&begun.url, name).await;
    oidc.complete(REDIRECT, &begun.pending, &answer, now()).await
}

#[tokio::test]
#[ignore = "needs Node: make e2e"]
async fn people_sign_in_step_up_and_are_refused_as_a_certified_provider_has_it() {
    let idp = start();
    let providers = load(&idp, None);
    let oidc = oidc(&providers);

    let mut browser = Browser::default();
    let ann = sign_in(&oidc, &mut browser, "ann", Ask::default()).await.unwrap();
    assert_eq!(
        (ann.provider.as_str(), ann.subject.as_str(), ann.user.as_str()),
        ("workforce", "ann", "ann@corp.example")
    );
    assert_eq!(ann.email.as_deref(), Some("ann@corp.example"));
    assert_eq!(ann.name.as_deref(), Some("Ann Example"));
    assert_eq!(ann.groups, ["eng", "staff"]);
    assert!(!ann.mfa);
    assert!((now() - ann.auth_time).abs() < 60, "{}", ann.auth_time);

    let ann = sign_in(&oidc, &mut browser, "ann", Ask { step_up: true, max_age: None }).await.unwrap();
    assert_eq!((ann.mfa, ann.amr.join(" ").as_str()), (true, "pwd otp"));
    let ann = sign_in(&oidc, &mut browser, "ann", Ask { step_up: false, max_age: Some(0) }).await.unwrap();
    assert!((now() - ann.auth_time).abs() < 60, "{}", ann.auth_time);

    let bob = sign_in(&oidc, &mut Browser::default(), "bob", Ask::default()).await.unwrap();
    assert_eq!(
        (bob.user.as_str(), bob.email.as_deref()),
        ("bob", None),
        "an address that is not verified is none"
    );
    let eve = sign_in(&oidc, &mut Browser::default(), "eve", Ask::default()).await.unwrap();
    assert_eq!((eve.user.as_str(), eve.email.as_deref(), eve.groups.len()), ("eve", None, 0));
    let many = sign_in(&oidc, &mut Browser::default(), "many", Ask::default()).await;
    assert!(matches!(many, Err(OidcError::Groups(_))), "{many:?}");

    // The nearest denials of ann's sign-in.
    let begun = oidc.begin(REDIRECT, &Ask::default()).await.unwrap();
    let other = oidc.begin(REDIRECT, &Ask::default()).await.unwrap();
    let answer = browser.sign_in(&begun.url, "ann").await;
    let refused = |answer: Answer| {
        let (oidc, begun) = (&oidc, &begun);
        async move { oidc.complete(REDIRECT, &begun.pending, &answer, now()).await.unwrap_err() }
    };
    assert!(matches!(refused(Answer { iss: None, ..answer.clone() }).await, OidcError::Issuer));
    assert!(matches!(
        refused(Answer { iss: Some("https://evil.example".into()), ..answer.clone() }).await,
        OidcError::Issuer
    ));
    assert!(matches!(refused(Answer { state: None, ..answer.clone() }).await, OidcError::State));
    let swapped = oidc.complete(REDIRECT, &other.pending, &answer, now()).await;
    assert!(matches!(swapped, Err(OidcError::State)), "{swapped:?}");
    oidc.complete(REDIRECT, &begun.pending, &answer, now()).await.unwrap();
    assert!(matches!(refused(answer).await, OidcError::TokenRefused(_)), "a code is good once");

    // New keys are taken at once, as the old ones were asked for more than a minute ago.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.post(format!("{}/_test/rotate", idp.issuer)).send().await.unwrap();
    let begun = oidc.begin(REDIRECT, &Ask::default()).await.unwrap();
    let answer = Browser::default().sign_in(&begun.url, "ann").await;
    oidc.complete(REDIRECT, &begun.pending, &answer, now() + 61).await.unwrap();

    // A reload that changes nothing keeps the provider, and its keys with it.
    assert!(Arc::ptr_eq(&oidc, &self::oidc(&load(&idp, Some(&providers)))));
    std::fs::write(idp.secret.path(), "another").unwrap();
    assert!(!Arc::ptr_eq(&oidc, &self::oidc(&load(&idp, Some(&providers)))));
}
