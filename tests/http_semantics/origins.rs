//! Requests that a page of another origin makes.

use crate::support::{Browser, Device, Estate};
use reqwest::{Method, Response};
use serde_json::json;

const LISTED: &str = "https://board.localhost";

async fn start() -> Estate {
    let estate = Estate::start();
    estate.edit("policies/resources.yaml", |policy| {
        for resource in policy["resources"].as_array_mut().unwrap() {
            let cors = json!({ "origins": [LISTED], "methods": ["GET", "POST"], "headers": ["content-type"], "credentials": true, "max_age": "10m" });
            if resource["name"] == "wiki" {
                resource["cors"] = cors;
            }
        }
    });
    estate.reload();
    estate
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_answered_here_for_listed_origins_only() {
    let estate = start().await;
    let nobody = Browser::new(&estate, Device::None, crate::support::Tls::H2);
    let wiki = estate.url("wiki.localhost", "/upload");
    let preflight = async |url: &str, origin: &str| {
        let request = nobody.request(Method::OPTIONS, url).header("origin", origin);
        request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
            .await
            .unwrap()
    };
    let mark = estate.mark();
    let answer = preflight(&wiki, LISTED).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some(LISTED));
    assert_eq!(header(&answer, "access-control-allow-credentials"), Some("true"));
    assert_eq!(header(&answer, "access-control-allow-methods"), Some("GET, POST"));
    assert_eq!(header(&answer, "access-control-allow-headers"), Some("content-type"));
    assert_eq!(header(&answer, "access-control-max-age"), Some("600"));
    assert!(header(&answer, "vary").is_some_and(|vary| vary.to_ascii_lowercase().contains("origin")));
    assert_eq!(estate.decisions_since(&mark, 1).await[0]["reason"], "preflight");
    let payroll = estate.url("payroll.localhost", "/upload");
    for (url, origin) in [
        (&wiki, "https://evil.test"),
        (&wiki, "null"),
        (&wiki, "https://board.localhost.evil.test"),
        (&wiki, "http://board.localhost"),
        (&payroll, LISTED),
    ] {
        let mark = estate.mark();
        let answer = preflight(url, origin).await;
        assert_eq!(answer.status(), 403, "{url} {origin}");
        assert_eq!(header(&answer, "access-control-allow-origin"), None, "{url} {origin}");
        assert_eq!(estate.decisions_since(&mark, 1).await[0]["reason"], "cross_origin", "{url} {origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_origin_reads_answers_and_ours_too() {
    let estate = start().await;
    let employee = Browser::signed_in(&estate, Device::None, "employee", &["wiki.localhost"]).await;
    let nobody = Browser::new(&estate, Device::None, crate::support::Tls::H2);
    let url = estate.url("wiki.localhost", "/upload");
    for (browser, method, origin, status, readable) in [
        (&employee, Method::GET, LISTED, 200, true),
        (&employee, Method::POST, LISTED, 200, true),
        (&nobody, Method::GET, LISTED, 401, true),
        (&nobody, Method::POST, LISTED, 401, true),
        (&employee, Method::GET, "https://evil.test", 200, false),
        (&employee, Method::POST, "https://evil.test", 403, false),
        (&employee, Method::DELETE, "null", 403, false),
    ] {
        let answer = browser.request(method.clone(), &url).header("origin", origin).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {origin}");
        let allowed = header(&answer, "access-control-allow-origin");
        assert_eq!(allowed, readable.then_some(LISTED), "{method} {origin} {status}");
        let credentials = header(&answer, "access-control-allow-credentials");
        assert_eq!(credentials, readable.then_some("true"), "{method} {origin} {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_site_posts_with_a_session_not_even_a_sibling() {
    let estate = start().await;
    let admin = Browser::signed_in(&estate, Device::Issued, "admin", &["payroll.localhost"]).await;
    let url = estate.url("payroll.localhost", "/upload");
    let own = estate.url("payroll.localhost", "");
    for (name, value, status) in [
        ("origin", estate.url("wiki.localhost", ""), 403),
        ("origin", "https://evil.test".to_owned(), 403),
        ("origin", "null".to_owned(), 403),
        ("origin", "https://payroll.localhost".to_owned(), 403),
        ("sec-fetch-site", "cross-site".to_owned(), 403),
        ("sec-fetch-site", "same-site".to_owned(), 403),
        ("origin", own, 200),
        ("sec-fetch-site", "same-origin".to_owned(), 200),
        ("x-requested-with", "curl".to_owned(), 200),
    ] {
        let mark = estate.mark();
        let answer = admin.request(Method::POST, &url).header(name, &value).body("x").send().await.unwrap();
        assert_eq!(answer.status(), status, "{name}: {value}");
        let reason = if status == 200 { "allowed" } else { "cross_origin" };
        assert_eq!(estate.decisions_since(&mark, 1).await[0]["reason"], reason, "{name}: {value}");
        if status == 403 {
            assert_eq!(header(&answer, "content-type"), Some("application/problem+json"), "{name}: {value}");
        }
    }
}
