//! One pull against a device management that answers in every way.

use super::super::pull::{Pages, PullError, Pulled, pull};
use super::config;
use super::mdm::{Mdm, json, tagged};
use crate::config::SyncConfig;
use crate::diagnostic::causes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const NOW: i64 = 1_795_593_600;
const TOKEN: &str = "a-token-that-nobody-may-see";

/// A device management and how it is asked, with its token in a file.
struct Estate {
    mdm: Mdm,
    folder: tempfile::TempDir,
}

impl Estate {
    async fn new(answer: impl Fn(&super::mdm::Asked) -> Response + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        Self { mdm: Mdm::start(answer).await, folder }
    }

    fn config(&self, keys: &str) -> Arc<SyncConfig> {
        let token = self.folder.path().join("token");
        let url = self.mdm.url(if keys.contains("preset") { "" } else { "/devices" });
        config(&format!("url: '{url}', token: {{ file: '{}' }}, {keys}", token.display()))
    }
}

/// The list is the answer, or is linked.
const LINKED: &str = "items: /devices, next: /next, map: { id: /id, state: /state }";

fn ids(pulled: &Pulled) -> Vec<&str> {
    let mut ids: Vec<&str> = pulled.records.iter().map(|record| &*record.id).collect();
    ids.sort_unstable();
    ids
}

async fn once(config: &Arc<SyncConfig>) -> Result<Pulled, PullError> {
    pull(config, &Pages::default(), NOW).await
}

fn devices(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({ "id": id })).collect()
}

#[tokio::test]
async fn pages_are_followed_by_link_to_the_last() {
    let estate = Estate::new(|asked| match asked.target.as_str() {
        "/devices" => json(&json!({ "devices": devices(&["a", "b"]), "next": "/devices?after=b" })),
        "/devices?after=b" => json(&json!({ "devices": devices(&["c"]), "next": "devices?after=c" })),
        "/devices?after=c" => json(&json!({ "devices": devices(&["d"]), "next": null })),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let pulled = once(&estate.config(LINKED)).await.unwrap();
    assert_eq!(ids(&pulled), ["a", "b", "c", "d"]);
    let asked = estate.mdm.asked();
    assert_eq!(asked.len(), 3);
    for one in asked {
        assert_eq!(one.header(header::AUTHORIZATION), format!("Bearer {TOKEN}"));
        assert_eq!(one.header(header::ACCEPT), "application/json");
    }
}

#[tokio::test]
async fn numbered_pages_are_asked_for_until_there_are_no_more() {
    let fleet = |asked: &super::mdm::Asked| {
        let page =
            |serials: &[&str]| serials.iter().map(|it| json!({"hardware_serial": it})).collect::<Value>();
        json(&json!({ "hosts": match asked.target.rsplit_once("page=").unwrap().1 {
            "0" => page(&["a", "b"]),
            "1" => page(&["c"]),
            _ => page(&[]),
        }}))
    };
    let estate = Estate::new(fleet).await;
    let pulled = once(&estate.config("preset: fleet")).await.unwrap();
    assert_eq!(ids(&pulled), ["a", "b", "c"]);
    let base = "/api/v1/fleet/hosts?order_key=id&order_direction=asc&per_page=500&page=";
    assert_eq!(estate.mdm.targets(), ["0", "1", "2"].map(|page| format!("{base}{page}")));
}

#[tokio::test]
async fn a_list_that_says_how_long_it_is_must_be_that_long() {
    for (pages, want) in [
        (vec![(3, vec!["a", "b"]), (3, vec!["c"])], Ok(3)),
        (vec![(1, vec!["a"])], Ok(1)),
        (vec![(0, vec![])], Ok(0)),
        (
            vec![(3, vec!["a", "b"]), (4, vec!["c"]), (4, vec!["d"])],
            Err("the list changed while it was read"),
        ),
        (vec![(3, vec!["a", "b"]), (3, vec![])], Err("the list changed while it was read")),
        (vec![(1, vec!["a", "b"])], Err("the list changed while it was read")),
    ] {
        let shown = format!("{pages:?}");
        let estate = Estate::new(move |asked| {
            let page: usize = asked.target.rsplit_once("page=").unwrap().1.parse().unwrap();
            let (total, serials) = &pages[page];
            let list: Value = serials.iter().map(|it| json!({"hardware": {"serialNumber": it}})).collect();
            json(&json!({ "totalCount": total, "results": list }))
        })
        .await;
        let got = once(&estate.config("preset: jamf")).await;
        let got = got.map(|pulled| pulled.records.len()).map_err(|error| error.to_string());
        assert_eq!(got, want.map_err(str::to_owned), "{shown}");
    }
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again_page_by_page() {
    let estate = Estate::new(|asked| match asked.target.as_str() {
        "/devices" => tagged(asked, "\"1\"", &json!({ "devices": devices(&["a"]), "next": "/two" })),
        _ => tagged(asked, "\"2\"", &json!({ "devices": devices(&["b"]) })),
    })
    .await;
    let config = estate.config(LINKED);
    let first = once(&config).await.unwrap();
    estate.mdm.asked();
    let second = pull(&config, &first.pages, NOW).await.unwrap();
    assert_eq!(ids(&second), ["a", "b"]);
    let tags: Vec<String> =
        estate.mdm.asked().iter().map(|asked| asked.header(header::IF_NONE_MATCH).to_owned()).collect();
    assert_eq!(tags, ["\"1\"", "\"2\""]);
    // The first page is as it was, and the second is not: it is that page that counts.
    estate.mdm.answer_with(|asked| match asked.target.as_str() {
        "/devices" => tagged(asked, "\"1\"", &json!({})),
        _ => json(&json!({ "devices": [{ "id": "b", "state": "lost" }] })),
    });
    let third = pull(&config, &second.pages, NOW).await.unwrap();
    let lost = third.records.iter().find(|record| &*record.id == "b").unwrap();
    assert!(!lost.is_active() && ids(&third) == ["a", "b"]);
    // One that has no tag is not taken as unchanged.
    estate.mdm.answer_with(|_| StatusCode::NOT_MODIFIED.into_response());
    assert!(matches!(once(&config).await, Err(PullError::Refused { status: 304, .. })));
}

#[tokio::test]
async fn what_is_no_whole_list_is_none() {
    let broken = |second: fn() -> Response| {
        move |asked: &super::mdm::Asked| match asked.target.as_str() {
            "/devices" => json(&json!({ "devices": devices(&["a"]), "next": "/two" })),
            _ => second(),
        }
    };
    type Second = fn() -> Response;
    let cases: [(Second, &str); 15] = [
        (|| StatusCode::UNAUTHORIZED.into_response(), "the answer has status 401"),
        (|| StatusCode::FORBIDDEN.into_response(), "the answer has status 403"),
        (|| StatusCode::INTERNAL_SERVER_ERROR.into_response(), "the answer has status 500"),
        (
            || StatusCode::NO_CONTENT.into_response(),
            "a page cannot be had: the answer is not the JSON that was expected",
        ),
        (
            || (StatusCode::FOUND, [(header::LOCATION, "/devices")]).into_response(),
            "the answer has status 302",
        ),
        (|| "<html>".into_response(), "a page cannot be had: the answer is not the JSON that was expected"),
        (
            || {
                ([(header::CONTENT_TYPE, "application/json")], r#"{"devices": [{"id": "b"}, {"#)
                    .into_response()
            },
            "a page cannot be had: the answer is not the JSON that was expected",
        ),
        (
            || ([(header::CONTENT_TYPE, "application/json")], " ".repeat(9 << 20)).into_response(),
            "a page cannot be had: the answer has more than 8388608 bytes",
        ),
        (|| json(&json!({ "error": "no" })), "there is no list where `items` says"),
        (|| json(&json!({ "devices": { "id": "b" } })), "there is no list where `items` says"),
        (
            || json(&json!({ "devices": [], "next": "https://evil.example/devices" })),
            "the next page is not an address of the same origin",
        ),
        (
            || json(&json!({ "devices": [], "next": "http://127.0.0.1:1/devices" })),
            "the next page is not an address of the same origin",
        ),
        (
            || json(&json!({ "devices": [], "next": "file:///etc/passwd" })),
            "the next page is not an address of the same origin",
        ),
        (|| json(&json!({ "devices": [], "next": 7 })), "the next page is not an address of the same origin"),
        (
            || json(&json!({ "devices": [], "next": "/devices" })),
            "the pages lead in a circle, or are more than 10000",
        ),
    ];
    for (second, want) in cases {
        let estate = Estate::new(broken(second)).await;
        let error = once(&estate.config(LINKED)).await.unwrap_err();
        assert_eq!(causes(&error), want);
        assert!(!format!("{error:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn a_service_that_wants_to_be_left_alone_says_for_how_long() {
    for (status, wait, want) in [
        (StatusCode::TOO_MANY_REQUESTS, Some("120"), Some(Duration::from_mins(2))),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Some("Wed, 25 Nov 2026 08:00:30 GMT"),
            Some(Duration::from_secs(30)),
        ),
        (StatusCode::TOO_MANY_REQUESTS, None, None),
        (StatusCode::TOO_MANY_REQUESTS, Some("later"), None),
    ] {
        let estate = Estate::new(move |_| {
            let mut answer = status.into_response();
            answer.headers_mut().extend(wait.map(|wait| (header::RETRY_AFTER, wait.parse().unwrap())));
            answer
        })
        .await;
        assert_eq!(once(&estate.config(LINKED)).await.unwrap_err().wait(), want, "{wait:?}");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_service_that_says_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let config = config(&format!(
        "url: 'http://{}/', token: {{ file: '{}' }}, timeout: 50ms, map: {{ id: /id }}",
        listener.local_addr().unwrap(),
        token.display()
    ));
    let error = once(&config).await.unwrap_err();
    assert!(
        causes(&error).starts_with("a page cannot be had: there was no answer, or it broke off"),
        "{error}"
    );
    // The token is read at each pull.
    std::fs::remove_file(token).unwrap();
    let error = causes(&once(&config).await.unwrap_err());
    assert!(error.starts_with("the token or the client secret cannot be had: it cannot be read"), "{error}");
}

#[tokio::test]
async fn a_token_is_asked_for_and_asked_for_again_when_it_ends() {
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let estate = Estate::new(move |asked| match asked.target.as_str() {
        "/oauth2/token" => {
            let number = count.fetch_add(1, Ordering::Relaxed);
            json(&json!({ "access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 60 }))
        }
        "/devices" => json(&json!({ "devices": devices(&["a"]), "next": "/two" })),
        // The first token has ended here.
        _ if asked.header(header::AUTHORIZATION) == "Bearer token-0" => StatusCode::UNAUTHORIZED.into_response(),
        _ => json(&json!({ "devices": devices(&["b"]) })),
    })
    .await;
    let secret = estate.folder.path().join("token");
    let keys = |scope: &str| {
        format!(
            "url: '{}', client_credentials: {{ token_url: '{}', client_id: tiergate, client_secret: {{ file: '{}' }}{scope} }}, {LINKED}",
            estate.mdm.url("/devices"),
            estate.mdm.url("/oauth2/token"),
            secret.display()
        )
    };
    let pulled = once(&config(&keys(", scope: 'https://graph.example/.default'"))).await.unwrap();
    assert_eq!((ids(&pulled), given.load(Ordering::Relaxed)), (vec!["a", "b"], 2));
    let asked = estate.mdm.asked();
    let form = format!(
        "grant_type=client_credentials&client_id=tiergate&client_secret={TOKEN}&scope=https%3A%2F%2Fgraph.example%2F.default"
    );
    assert_eq!((asked[0].method.as_str(), asked[0].body.as_str()), ("POST", form.as_str()));
    let elsewhere = asked.iter().filter(|asked| asked.target != "/oauth2/token");
    assert!(elsewhere.clone().all(|asked| !format!("{asked:?}").contains(TOKEN)));
    for (answer, want) in [
        (StatusCode::BAD_REQUEST.into_response(), "no token was given out: the answer has status 400"),
        (
            json(&json!({ "token": "x" })),
            "no token was given out: the answer is not the JSON that was expected",
        ),
        (json(&json!({ "access_token": "a\nb" })), "the token is not one that can be sent"),
    ] {
        let answer = std::sync::Mutex::new(Some(answer));
        estate.mdm.answer_with(move |_| answer.lock().unwrap().take().unwrap());
        assert_eq!(causes(&once(&config(&keys(""))).await.unwrap_err()), want);
    }
}

#[tokio::test]
async fn of_several_entries_of_one_device_the_most_restrictive_counts() {
    let estate = Estate::new(|_| {
        json(&json!([
            { "id": "a", "seen": "2026-11-25T08:00:00Z", "ok": true, "state": "active" },
            { "id": "a", "seen": "2026-01-01T08:00:00Z", "ok": false, "state": "retired" },
            { "id": "b" },
        ]))
    })
    .await;
    let keys = "map: { id: /id, last_checkin: /seen, state: /state, posture: { ok: /ok } }";
    let pulled = once(&estate.config(keys)).await.unwrap();
    assert_eq!((ids(&pulled), pulled.twice), (vec!["a", "b"], 1));
    let both = pulled.records.iter().find(|record| &*record.id == "a").unwrap();
    assert!(!both.is_active() && both.posture.as_ref().unwrap().holds("ok"));
    assert_eq!(both.last_checkin, Some(NOW));
}
