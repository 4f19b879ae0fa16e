//! Some traffic, to see what is counted and written down.

use super::raw::exchange;
use super::visitor::Visitor;
use super::wait::until;
use super::websocket::WebSocket;
use super::{Device, Estate, Tls};
use reqwest::Method;

const EMPLOYEE: &str = "employee@corp.example";
const FINANCE: &str = "finance@corp.example";

/// A bit of everything: allowed, denied, challenged, malformed, upgraded, over both versions of HTTP.
pub async fn some_of_everything(estate: &Estate) -> Visitor {
    let mut browser = Visitor::signed_in(estate, Device::Issued, FINANCE).await;
    for (host, path) in
        [("tickets", "/headers"), ("payroll", "/headers"), ("wiki", "/status/404"), ("wiki", "/status/503")]
    {
        browser.open(host, path).await;
    }
    let mut stranger = Visitor::new(estate, Device::None);
    assert_eq!(stranger.fetch(Method::GET, "wiki", "/headers").await.status, 401);
    let mut employee = Visitor::signed_in(estate, Device::Enrolled, EMPLOYEE).await;
    assert_eq!(employee.open("payroll", "/headers").await.status, 403);
    let form = stranger.open("wiki", "/").await;
    stranger.submit(&form, &[("user", EMPLOYEE), ("password", "wrong")]).await;
    let cookies = browser.cookie_header("wiki.localhost");
    let mut socket = WebSocket::open(estate, Device::Issued, "wiki.localhost", &cookies).await.unwrap();
    assert!(socket.echoes().await);
    drop(socket);
    let malformed = estate.connect("wiki.localhost", Device::None, Tls::H1).await;
    let answer = exchange(malformed, b"GET /a%2fb HTTP/1.1\r\nHost: wiki.localhost\r\n\r\n", 1).await;
    assert_eq!(answer.status(), 400, "{answer:?}");
    until("the last of it is in the audit log", async || {
        let events = estate.decisions();
        events.iter().any(|event| event["path"] == "/ws")
            && events.iter().any(|event| event["reason"] == "ambiguous_request")
    })
    .await;
    browser
}
