//! SESS: session cookies that somebody else set, changed or brought along.

use super::scene::{Failures, Scene};
use crate::support::raw::Talk;
use crate::support::{Browser, Device, Tls};

/// Sends each `Cookie` block on one connection; every one must find nobody signed in.
async fn nobody(scene: &Scene, rows: &[(String, String)], failures: &mut Failures) {
    let mut talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
    for (id, lines) in rows {
        let mark = scene.clear();
        let text = scene.fill(format!("GET /open/x HTTP/1.1\r\nHost: {{h}}\r\n{lines}\r\n").as_bytes());
        let status = match talk.write(&text).await {
            Ok(()) => talk.answer("GET").await.map(|answer| answer.status),
            Err(_) => None,
        };
        failures.check(id, status == Some(401), || format!("{status:?}"));
        failures.check(id, scene.upstream.bytes().is_empty(), || "it reached the upstream".into());
        let reasons: Vec<_> =
            scene.decisions(&mark, 1).await.iter().map(|event| event["reason"].clone()).collect();
        failures.check(id, reasons == ["not_signed_in"], || format!("audit {reasons:?}"));
        if status.is_none() || talk.is_closed() {
            talk = Talk::new(scene.estate.connect("app.localhost", Device::None, Tls::H1).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_counts_only_alone_and_under_its_own_name() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let good = scene.employee.cookie("app.localhost").unwrap();
    let value = good.split_once('=').unwrap().1.to_owned();
    let foreign = scene.employee.cookie("mixed.localhost").unwrap();
    let rows = [
        ("SESS-02 evil first", format!("Cookie: __Host-tiergate=evil; {good}\r\n")),
        ("SESS-02 evil last", format!("Cookie: {good}; __Host-tiergate=evil\r\n")),
        ("SESS-02 the same twice", format!("Cookie: {good}; {good}\r\n")),
        ("SESS-02 two lines", format!("Cookie: {good}\r\nCookie: __Host-tiergate=evil\r\n")),
        ("SESS-02 two lines, evil first", format!("Cookie: __Host-tiergate=\r\nCookie: {good}\r\n")),
        ("SESS-02 another host's beside it", format!("Cookie: {foreign}; {good}\r\n")),
        ("SESS-02 upper case", format!("Cookie: __HOST-TIERGATE={value}\r\n")),
        ("SESS-02 another case", format!("Cookie: __host-Tiergate={value}\r\n")),
        ("SESS-02 no prefix", format!("Cookie: tiergate={value}\r\n")),
        ("SESS-02 a space in the name", format!("Cookie: __Host-tiergate ={value}\r\n")),
        ("SESS-02 quoted", format!("Cookie: __Host-tiergate=\"{value}\"\r\n")),
        ("SESS-02 a comma", format!("Cookie: a=1, {good}\r\n")),
        ("SESS-02 another host's", format!("Cookie: {foreign}\r\n")),
        ("SESS-02 an alias of the header", format!("Cookie_: {good}\r\n")),
    ];
    nobody(&scene, &rows.map(|(id, lines)| (id.to_owned(), lines)), &mut failures).await;
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_was_changed_is_none() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let good = scene.employee.cookie("app.localhost").unwrap();
    let value = good.split_once('=').unwrap().1.to_owned();
    let mut rows = Vec::new();
    for at in 0..value.len() {
        let mut bytes = value.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        rows.push((format!("SESS-03 byte {at}"), String::from_utf8(bytes).unwrap()));
    }
    for length in [0, 1, value.len() / 2, value.len() - 4, value.len() - 1] {
        rows.push((format!("SESS-03 cut to {length}"), value[..length].to_owned()));
    }
    rows.push(("SESS-03 longer".to_owned(), format!("{value}AAAA")));
    rows.push(("SESS-03 padded".to_owned(), format!("{value}=")));
    rows.push(("SESS-03 doubled".to_owned(), format!("{value}{value}")));
    // What was sealed for another purpose opens nothing here.
    let mut browser = Browser::new(&scene.estate, Device::None, Tls::H2);
    let page = browser.open(&scene.estate.url("app.localhost", "/open/x")).await;
    let state = page.url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    rows.push(("SESS-03 a state".to_owned(), state));
    for (name, value) in browser.jar("app.localhost").into_iter().chain(browser.jar("login.localhost")) {
        rows.push((format!("SESS-03 the value of {name}"), value));
    }
    let rows: Vec<_> =
        rows.into_iter().map(|(id, value)| (id, format!("Cookie: __Host-tiergate={value}\r\n"))).collect();
    nobody(&scene, &rows, &mut failures).await;
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_another_estate_opens_nothing_here() {
    let (scene, other) = (Scene::start().await, Scene::start().await);
    let mut failures = Failures::default();
    let rows = [(
        "SESS-03 another deployment's".to_owned(),
        format!("Cookie: {}\r\n", other.employee.cookie("app.localhost").unwrap()),
    )];
    nobody(&scene, &rows, &mut failures).await;
    failures.none();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_stays_with_the_device_that_it_was_given_to() {
    let scene = Scene::start().await;
    let mut failures = Failures::default();
    let devices = [Device::None, Device::Enrolled, Device::Issued];
    let mut cookies = Vec::new();
    for device in devices {
        let browser = Browser::signed_in(&scene.estate, device, "employee", &["app.localhost"]).await;
        cookies.push((device, browser.cookie("app.localhost").unwrap()));
    }
    for (owner, cookie) in &cookies {
        for thief in devices {
            let mark = scene.clear();
            let mut talk = Talk::new(scene.estate.connect("app.localhost", thief, Tls::H1).await);
            let text = format!("GET /open/x HTTP/1.1\r\nHost: {{h}}\r\nCookie: {cookie}\r\n\r\n");
            talk.write(&scene.fill(text.as_bytes())).await.unwrap();
            let status = talk.answer("GET").await.map(|answer| answer.status);
            let (want, reason) =
                if *owner == thief { (200, "allowed") } else { (401, "session_device_changed") };
            let row = format!("SESS-09 {owner:?} by {thief:?}");
            failures.check(&row, status == Some(want), || format!("{status:?}, wanted {want}"));
            let reasons: Vec<_> =
                scene.decisions(&mark, 1).await.iter().map(|event| event["reason"].clone()).collect();
            failures.check(&row, reasons == [reason], || format!("audit {reasons:?}"));
            failures.check(&row, scene.upstream.requests().len() == usize::from(*owner == thief), || {
                "upstream".into()
            });
        }
    }
    failures.none();
}
