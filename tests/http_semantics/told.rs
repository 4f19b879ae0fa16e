//! What an upstream is told of who asks, and how it can check that.

use crate::support::{Browser, Device, Estate, Tls};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The headers that the demo service saw, each once.
async fn told(estate: &Estate, browser: &Browser, host: &str) -> BTreeMap<String, String> {
    let answer = browser.get(&estate.url(host, "/headers")).await;
    assert_eq!(answer.status(), 200, "{host}");
    let seen: Value = answer.json().await.unwrap();
    let mut headers = BTreeMap::new();
    for pair in seen["headers"].as_array().unwrap() {
        let (name, value) = (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
        assert!(headers.insert(name.clone(), value).is_none(), "{name} twice");
    }
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_is_told_the_plain_facts() {
    let estate = Estate::start();
    for (user, device, host, groups, tier) in [
        ("employee", Device::None, "wiki.localhost", None, "open"),
        ("finance", Device::None, "wiki.localhost", Some("finance"), "open"),
        ("contractor", Device::Revoked, "wiki.localhost", Some("contractors"), "open"),
        ("employee", Device::Enrolled, "tickets.localhost", None, "low"),
        ("admin", Device::Issued, "payroll.localhost", Some("admins"), "high"),
    ] {
        let browser = Browser::signed_in(&estate, device, user, &[host]).await;
        let mark = estate.mark();
        let headers = told(&estate, &browser, host).await;
        let row = format!("{user} {device:?} {host}");
        let get = |name: &str| headers.get(name).map(String::as_str);
        let name = format!("{user}@corp.example");
        assert_eq!(get("x-tiergate-user"), Some(&*name), "{row}");
        assert_eq!(get("x-tiergate-email"), Some(&*name), "{row}");
        assert_eq!(get("x-tiergate-groups").filter(|groups| !groups.is_empty()), groups, "{row}");
        let (id, trust) = match device {
            Device::Enrolled => (Some("enrolled"), "enrolled"),
            Device::Issued => (Some("issued"), "issued"),
            _ => (None, "none"),
        };
        assert_eq!(get("x-tiergate-device-trust"), Some(trust), "{row}");
        assert!(
            device == Device::Revoked || get("x-tiergate-device") == id,
            "{row}: {:?}",
            get("x-tiergate-device")
        );
        assert_eq!(get("x-tiergate-tier"), Some(tier), "{row}");
        assert_eq!(get("x-forwarded-for"), Some("127.0.0.1"), "{row}");
        assert_eq!(get("x-forwarded-proto"), Some("https"), "{row}");
        let authority = format!("{host}:{}", estate.port);
        assert_eq!((get("x-forwarded-host"), get("host")), (Some(&*authority), Some(&*authority)), "{row}");
        let event = &estate.decisions_since(&mark, 1).await[0];
        assert_eq!(get("x-request-id"), event["request_id"].as_str(), "{row}");
        let trace: Vec<_> = get("traceparent").unwrap().split('-').map(str::len).collect();
        assert_eq!(trace, [2, 32, 16, 2], "{row}");
        assert!(get("cookie").is_none(), "{row}");
        let ours = headers.keys().filter(|name| name.starts_with("x-tiergate-")).map(String::as_str);
        let known = ["assertion", "device", "device-trust", "email", "groups", "tier", "user"];
        for name in ours {
            assert!(known.contains(&name.trim_start_matches("x-tiergate-")), "{row}: {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_can_check_the_assertion_with_published_keys() {
    let estate = Estate::start();
    let admin =
        Browser::signed_in(&estate, Device::Issued, "admin", &["payroll.localhost", "wiki.localhost"]).await;
    let mark = estate.mark();
    let headers = told(&estate, &admin, "payroll.localhost").await;
    let event = estate.decisions_since(&mark, 1).await[0].clone();
    let token = &headers["x-tiergate-assertion"];
    // The keys need no sign-in, on any host.
    let nobody = Browser::new(&estate, Device::None, Tls::H2);
    let mut sets = Vec::new();
    for host in ["payroll.localhost", "wiki.localhost", "login.localhost"] {
        let answer = nobody.get(&estate.url(host, "/.tiergate/jwks.json")).await;
        assert_eq!(answer.status(), 200, "{host}");
        sets.push(answer.text().await.unwrap());
    }
    assert!(sets.iter().all(|set| *set == sets[0] && !set.contains("\"d\"")), "one set, and no private key");
    let keys: JwkSet = serde_json::from_str(&sets[0]).unwrap();
    let header = decode_header(token).unwrap();
    assert_eq!(header.alg, Algorithm::ES256);
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
    let validation = |audience: &str| {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[audience]);
        validation.set_issuer(&["https://login.localhost"]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation
    };
    let claims = decode::<Value>(token, &key, &validation("payroll")).unwrap().claims;
    assert!(decode::<Value>(token, &key, &validation("wiki")).is_err(), "for one resource only");
    assert_eq!(claims["email"], "admin@corp.example", "{claims}");
    assert_eq!(claims["groups"], json!(["admins"]), "{claims}");
    assert_eq!(claims["device"], json!({ "id": "issued", "trust": "issued" }), "{claims}");
    assert_eq!((&claims["tier"], &claims["amr"]), (&json!("high"), &json!(["pwd"])), "{claims}");
    let (iat, exp, auth) = (
        claims["iat"].as_i64().unwrap(),
        claims["exp"].as_i64().unwrap(),
        claims["auth_time"].as_i64().unwrap(),
    );
    assert!(exp - iat == 300 && auth <= iat && auth > iat - 120, "{claims}");
    assert!(claims["sid"] == event["session"] && claims["sid"].is_string(), "{claims} {event}");
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 16), "{claims}");
    // Another resource, another audience; a byte changed, no assertion.
    let other = told(&estate, &admin, "wiki.localhost").await;
    let claims = decode::<Value>(&other["x-tiergate-assertion"], &key, &validation("wiki")).unwrap().claims;
    assert_eq!(claims["tier"], "open", "{claims}");
    let mut forged = token.clone();
    forged.replace_range(token.rfind('.').unwrap() + 5..=token.rfind('.').unwrap() + 5, "_");
    assert!(forged == *token || decode::<Value>(&forged, &key, &validation("payroll")).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_named_and_is_nobodys_user() {
    let estate = Estate::start();
    let service = Browser::new(&estate, Device::Service, Tls::H2);
    let headers = told(&estate, &service, "payroll.localhost").await;
    assert!(!headers.contains_key("x-tiergate-email"), "{headers:?}");
    assert!(headers.get("x-tiergate-groups").is_none_or(String::is_empty), "{headers:?}");
    assert_eq!(headers["x-tiergate-user"], "spiffe://corp.example/ns/billing/sa/sync");
    assert_eq!(headers["x-tiergate-device-trust"], "none");
    assert_eq!(headers["x-tiergate-tier"], "high");
    assert!(headers.contains_key("x-tiergate-assertion"));
}
