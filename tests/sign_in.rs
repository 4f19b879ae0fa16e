//! The way in: the sign-in dance as browsers, scripts, guessers and thieves of links walk it.

mod support;

use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;
use support::raw::Talk;
use support::visitor::{Answer, SESSION, Visitor, let_in, refused};
use support::wait::until;
use support::websocket::WebSocket;
use support::{Device, Estate, Tls};

const EMPLOYEE: &str = "employee@corp.example";
const FINANCE: &str = "finance@corp.example";

#[tokio::test]
async fn signing_in_leads_back_to_the_page_with_a_cookie_for_that_host_alone() {
    let estate = Estate::start();
    let mut browser = Visitor::new(&estate, Device::None);
    // What somebody else put there before must not become the session.
    browser.set_cookie("wiki", SESSION, "fixated");
    browser.set_cookie("login", SESSION, "fixated");

    let asked = browser.go(browser.url("wiki", "/headers?a=b&c=%20")).await;
    asked.assert_dressed();
    assert_eq!(asked.status, 302, "{asked:?}");
    let form = browser.follow(asked).await;
    form.assert_dressed();
    assert_eq!(
        (form.status, form.url.host_str(), form.url.path()),
        (200, Some("login.localhost"), "/sign-in")
    );
    assert!(form.header("content-security-policy").contains("frame-ancestors 'none'"), "{form:?}");
    assert!(
        form.asks_for("user") && form.asks_for("password") && form.asks_for("csrf") && form.asks_for("state")
    );
    assert!(!form.body.contains("<script"), "the pages need no script");

    let password = estate.password(EMPLOYEE).1;
    let sent = browser.submit(&form, &[("user", EMPLOYEE), ("password", &password)]).await;
    sent.assert_dressed();
    assert_eq!(sent.status, 303, "{sent:?}");
    let on_login = sent.sets(SESSION).expect("a session on the login host").to_owned();
    let back = sent.leads_to().unwrap();
    assert_eq!((back.host_str(), back.path()), (Some("wiki.localhost"), "/.tiergate/callback"));
    let called_back = browser.go(back).await;
    called_back.assert_dressed();
    let on_wiki = called_back.sets(SESSION).expect("a session on the wiki").to_owned();
    assert_eq!(called_back.leads_to(), Some(browser.url("wiki", "/headers?a=b&c=%20")), "{called_back:?}");

    for cookie in [&on_login, &on_wiki] {
        let attributes: Vec<String> =
            cookie.split(';').skip(1).map(|it| it.trim().to_ascii_lowercase()).collect();
        for wanted in ["secure", "httponly", "path=/", "samesite=lax"] {
            assert!(attributes.iter().any(|it| it == wanted), "{wanted}: {cookie}");
        }
        assert!(!attributes.iter().any(|it| it.starts_with("domain")), "{cookie}");
        assert!(cookie.len() < 4096, "{}", cookie.len());
        assert!(!cookie.contains("fixated"));
    }
    let value = |cookie: &str| cookie.split(';').next().unwrap().to_owned();
    assert_ne!(value(&on_login), value(&on_wiki));

    let page = browser.follow(called_back).await;
    assert_eq!(page.status, 200);
    let seen = page.json();
    assert_eq!(seen["query"], "a=b&c=%20");
    assert!(!page.body.contains("__Host-tiergate"), "our cookies stay with us: {}", page.body);
    assert!(page.body.contains(EMPLOYEE), "{}", page.body);

    // Signed in is signed in on the next host too, but the tier still counts.
    let denied = browser.open("tickets", "/headers").await;
    denied.assert_dressed();
    assert_eq!((denied.status, denied.url.host_str()), (403, Some("tickets.localhost")), "{denied:?}");
    assert_eq!(browser.told("tickets", "/headers").await, refused(403, "device_required"));
}

#[tokio::test]
async fn an_unknown_user_a_wrong_password_and_a_disabled_account_look_the_same() {
    let estate = Estate::start();
    estate.add_to_user("admin@corp.example", "    disabled: true\n");
    estate.reload();

    let mut browser = Visitor::new(&estate, Device::None);
    let form = browser.open("wiki", "/").await;
    let admin = estate.password("admin@corp.example").1;
    let mut seen = Vec::new();
    for (user, password) in [
        (EMPLOYEE, "wrong"),
        ("nobody@corp.example", "wrong"),
        ("admin@corp.example", admin.as_str()),
        ("", ""),
        (EMPLOYEE, ""),
    ] {
        let answer = browser.submit(&form, &[("user", user), ("password", password)]).await;
        assert_eq!(answer.status, 401, "{user}: {answer:?}");
        assert!(answer.sets(SESSION).is_none(), "{user}");
        answer.assert_dressed();
        assert!(
            password.is_empty() || !answer.body.contains(&format!("\"{password}\"")),
            "passwords are not given back"
        );
        let mut body = answer.body.clone();
        for field in ["csrf", "state", "user"] {
            let value = answer.input(field).unwrap_or_default();
            if !value.is_empty() {
                body = body.replace(&format!("value=\"{value}\""), "value=\"\"");
            }
        }
        // The field that is empty has the focus; that follows from what was typed.
        seen.push((user.is_empty(), body));
    }
    for (_, body) in seen.iter().filter(|(no_user, _)| !no_user) {
        assert_eq!(*body, seen[0].1);
    }

    // The nearest sign-in that works.
    let answer =
        browser.submit(&form, &[("user", EMPLOYEE), ("password", &estate.password(EMPLOYEE).1)]).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    // A form without its token, or from elsewhere, is not looked at.
    let mut browser = Visitor::new(&estate, Device::None);
    let form = browser.open("wiki", "/").await;
    let right =
        [("user".to_owned(), EMPLOYEE.to_owned()), ("password".to_owned(), estate.password(EMPLOYEE).1)];
    let state = ("state".to_owned(), form.input("state").unwrap());
    let csrf = ("csrf".to_owned(), form.input("csrf").unwrap());
    let url = browser.url("login", "/sign-in");
    let own = url.origin().ascii_serialization();
    for (name, fields, origin, site, status) in [
        ("no token", vec![state.clone()], own.as_str(), "same-origin", 403),
        ("wrong token", vec![state.clone(), ("csrf".into(), "x".into())], &own, "same-origin", 403),
        ("other origin", vec![state.clone(), csrf.clone()], "https://evil.example", "cross-site", 403),
        ("sibling", vec![state.clone(), csrf.clone()], "https://wiki.localhost", "same-site", 403),
        ("as it should be", vec![state, csrf], &own, "same-origin", 303),
    ] {
        let request = browser
            .ask(Method::POST, url.clone())
            .header("accept", "text/html")
            .header("origin", origin)
            .header("sec-fetch-site", site)
            .form(&[fields, right.to_vec()].concat());
        let answer = browser.send(request).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        assert_eq!(answer.sets(SESSION).is_some(), status == 303, "{name}");
    }
}

#[tokio::test]
async fn guessing_a_password_is_slowed_down_for_that_name_and_nobody_else() {
    let estate = Estate::start();
    let mut browser = Visitor::new(&estate, Device::None);
    let form = browser.open("wiki", "/").await;
    let mut waits = Vec::new();
    for _ in 0..40 {
        let answer = browser.submit(&form, &[("user", EMPLOYEE), ("password", "guess")]).await;
        match answer.status {
            401 => {}
            429 => {
                let wait: u64 = answer.header("retry-after").parse().unwrap();
                assert!((1..=300).contains(&wait), "{wait}");
                waits.push(wait);
                if wait >= 4 {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(wait)).await;
            }
            other => panic!("{other} {answer:?}"),
        }
    }
    assert!(waits.last().is_some_and(|wait| *wait >= 4), "the waits do not grow: {waits:?}");

    // Even the right password waits, or guessing would go on in between; others do not.
    let right = estate.password(EMPLOYEE).1;
    let answer = browser.submit(&form, &[("user", EMPLOYEE), ("password", &right)]).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.sets(SESSION).is_none());
    let other = Visitor::signed_in(&estate, Device::None, FINANCE).await;
    assert!(other.cookie("wiki", SESSION).is_some());
    let mut later = Visitor::new(&estate, Device::None);
    let form = later.open("wiki", "/").await;
    until("the right password is taken after the wait", async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        later.submit(&form, &[("user", EMPLOYEE), ("password", &right)]).await.status == 303
    })
    .await;
    let events = estate.audit();
    let failed =
        events.iter().filter(|event| event["kind"] == "sign_in" && event["decision"] == "deny").count();
    assert!(failed >= 5, "failed sign-ins are recorded: {failed}");
}

#[tokio::test]
async fn each_kind_of_client_is_told_to_sign_in_in_its_own_way() {
    let estate = Estate::start();
    let mut browser = Visitor::new(&estate, Device::None);
    let url = browser.url("wiki", "/headers");
    for (what, method, headers, status) in [
        ("a browser", Method::GET, &[("accept", "text/html")][..], 302),
        ("a browser's HEAD", Method::HEAD, &[("accept", "text/html")], 302),
        ("a navigation", Method::GET, &[("accept", "*/*"), ("sec-fetch-mode", "navigate")], 302),
        ("curl", Method::GET, &[("accept", "*/*")], 401),
        ("nothing said", Method::GET, &[], 401),
        ("fetch", Method::GET, &[("accept", "*/*"), ("sec-fetch-mode", "cors")], 401),
        ("fetch for html", Method::GET, &[("accept", "text/html"), ("sec-fetch-mode", "cors")], 401),
        ("a picture", Method::GET, &[("accept", "image/*,*/*"), ("sec-fetch-mode", "no-cors")], 401),
        ("XHR", Method::GET, &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], 401),
        ("JSON", Method::GET, &[("accept", "application/json")], 401),
        ("a form", Method::POST, &[("accept", "text/html"), ("sec-fetch-mode", "navigate")], 401),
        ("a PUT", Method::PUT, &[("accept", "text/html")], 401),
        ("an event stream", Method::GET, &[("accept", "text/event-stream")], 401),
    ] {
        let mut request = browser.ask(method.clone(), url.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = browser.send(request).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        answer.assert_dressed();
        if status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}: {answer:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
            assert_eq!(answer.reason(), "not_signed_in", "{what}");
            let problem = answer.json();
            assert_eq!(problem["status"], 401, "{what}");
            assert!(problem["code"].as_str().is_some_and(|code| !code.is_empty()), "{what}");
        }
    }

    // gRPC says it in its own words, on a stream that HTTP calls a success.
    let request = browser
        .ask(Method::POST, browser.url("wiki", "/pkg.Service/Method"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(vec![0, 0, 0, 0, 0]);
    let answer = browser.send(request).await;
    assert_eq!((answer.status, answer.header("grpc-status")), (200, "16"), "{answer:?}");
    assert!(answer.header("content-type").starts_with("application/grpc"), "{answer:?}");

    // A WebSocket handshake is never redirected.
    assert_eq!(WebSocket::open(&estate, Device::None, "wiki.localhost", "a=b").await.err(), Some(401));
}

#[tokio::test]
async fn nobody_is_led_to_another_site() {
    let estate = Estate::start();
    let mut browser = Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
    let long = format!("/{}", "a".repeat(10_240));
    let traps = [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%09/evil.example",
        "/%5cevil.example",
        "https:evil.example",
        "https://evil.example/",
        "https://wiki.localhost.evil.example",
        "https://wiki.localhost@evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "\u{1}https://evil.example",
        "///evil.example",
        "/.//evil.example",
        "http://wiki.localhost/",
        "data:text/html,x",
        &long,
    ];
    let ours = |answer: &Answer, what: &str| {
        if let Some(to) = answer.leads_to() {
            let host = to.host_str().unwrap_or_default();
            assert!(to.scheme() == "https" && host.ends_with(".localhost"), "{what:?} leads to {to}");
            assert_eq!(to.port(), Some(estate.port), "{what:?} leads to {to}");
        }
        assert!(answer.status < 500, "{what:?}: {answer:?}");
    };
    for trap in traps {
        // Whatever is told to the pages of tiergate's own.
        for (host, path) in [
            ("login", "/sign-in"),
            ("login", "/"),
            ("wiki", "/.tiergate/callback"),
            ("wiki", "/.tiergate/logout"),
        ] {
            for field in ["state", "ticket", "rd", "to", "next", "return_to", "redirect_uri"] {
                let mut url = browser.url(host, path);
                url.query_pairs_mut().append_pair(field, trap);
                let answer = browser.go(url).await;
                ours(&answer, &format!("{path} {field}={trap}"));
            }
        }
    }
    assert_eq!(browser.told("wiki", "/headers").await, let_in(), "none of it signs anybody out");

    // What somebody who is not signed in asks for, byte by byte, and where that leads in the end.
    let config = Arc::new(estate.tls(Device::None, Tls::H1));
    for trap in traps {
        let mut talk = Talk::new(estate.try_connect("wiki.localhost", &config).await.unwrap());
        let head = format!(
            "GET {trap} HTTP/1.1\r\nHost: wiki.localhost:{}\r\nAccept: text/html\r\n\r\n",
            estate.port
        );
        // A refusal may close the connection before everything was sent.
        let _ = talk.write(head.as_bytes()).await;
        let Some(answer) = talk.answer("GET").await else { continue };
        assert!(answer.status < 500 && answer.status != 200, "{trap:?}: {answer:?}");
        let Some(location) = answer.header("location") else { continue };
        let mut fresh = Visitor::new(&estate, Device::None);
        fresh.set_cookie("login", SESSION, browser.cookie("login", SESSION).unwrap());
        let named = answer
            .all("set-cookie")
            .into_iter()
            .find_map(|line| line.strip_prefix("__Host-tiergate-browser="));
        if let Some(cookie) = named {
            fresh.set_cookie("wiki", "__Host-tiergate-browser", cookie.split(';').next().unwrap());
        }
        let mut next = fresh.url("wiki", "/").join(location).unwrap();
        for _ in 0..10 {
            assert!(
                next.host_str().is_some_and(|host| host.ends_with(".localhost")),
                "{trap:?} leads to {next}"
            );
            let answer = fresh.go(next).await;
            ours(&answer, trap);
            match answer.leads_to() {
                Some(to) => next = to,
                None => break,
            }
        }
    }
}

#[tokio::test]
async fn many_tabs_sign_in_at_once_and_each_finds_its_page() {
    let estate = Estate::start();
    let mut browser = Visitor::new(&estate, Device::Issued);
    // The first contact of all tabs at the same time: each is given a name for the browser.
    let mut tabs = Vec::new();
    for (host, path) in
        [("wiki", "/headers?1"), ("wiki", "/headers?2"), ("tickets", "/headers?3"), ("payroll", "/headers?4")]
    {
        let mut tab = Visitor::new(&estate, Device::Issued);
        let asked = tab.go(tab.url(host, path)).await;
        tabs.push((host, path, tab, asked));
    }
    let mut forms = Vec::new();
    for (host, path, tab, asked) in &tabs {
        // One browser: the last `Set-Cookie` counts.
        browser.share(tab);
        forms.push((*host, *path, asked.leads_to().unwrap()));
    }
    let mut pages = Vec::new();
    for (host, path, url) in forms {
        let form = browser.go(url).await;
        assert!(form.asks_for("password"), "{form:?}");
        pages.push((host, path, form));
    }
    let password = estate.password(FINANCE).1;
    for (host, path, form) in pages {
        let sent = browser.submit(&form, &[("user", FINANCE), ("password", &password)]).await;
        let page = browser.follow(sent).await;
        let want = browser.url(host, path);
        assert_eq!((page.status, page.url.as_str()), (200, want.as_str()), "{page:?}");
    }
    for host in ["wiki", "tickets", "payroll"] {
        assert_eq!(browser.told(host, "/headers").await, let_in(), "{host}: no tab signed another out");
    }
}

#[tokio::test]
async fn old_foreign_and_spent_links_end_at_a_page_and_give_no_session() {
    let estate = Estate::start();
    let mut browser = Visitor::new(&estate, Device::None);
    let asked = browser.go(browser.url("wiki", "/headers")).await;
    let sign_in = asked.leads_to().unwrap();
    let form = browser.follow(asked).await;
    let sent = browser.submit(&form, &[("user", EMPLOYEE), ("password", &estate.password(EMPLOYEE).1)]).await;
    let ticket = sent.leads_to().unwrap();

    // The ticket in another browser, and before its own has used it.
    let mut thief = Visitor::new(&estate, Device::None);
    let answer = thief.go(ticket.clone()).await;
    assert!(answer.sets(SESSION).is_none(), "{answer:?}");
    let end = thief.follow(answer).await;
    assert!(end.asks_for("password") || end.status >= 400, "{end:?}");
    assert!(thief.cookie("wiki", SESSION).is_none());
    // On another host, and on another device.
    let mut elsewhere = ticket.clone();
    elsewhere.set_host(Some("tickets.localhost")).unwrap();
    let answer = browser.clone().go(elsewhere).await;
    assert!(answer.sets(SESSION).is_none(), "{answer:?}");

    let page = browser.go(ticket.clone()).await;
    let session = page.sets(SESSION).map(str::to_owned);
    assert!(session.is_some() && browser.follow(page).await.status == 200, "its own browser gets in");
    // Twice.
    let mut twice = browser.clone();
    let _ = twice.cookie("wiki", SESSION);
    let again = twice.go(ticket.clone()).await;
    assert!(again.sets(SESSION).is_none(), "a ticket is good once: {again:?}");
    let end = twice.follow(again).await;
    assert!(end.status < 500, "{end:?}");
    assert_eq!(browser.told("wiki", "/headers").await, let_in());

    // The link to the form, used up, from another browser, cut and made up: always a page, at last.
    let garbage = ["", "x", "-", "AAAA", "%00", "../../x"];
    let state = sign_in.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let cut = &state[..state.len() / 2];
    for state in garbage.iter().copied().chain([state.as_str(), cut]) {
        for mut who in [browser.clone(), Visitor::new(&estate, Device::None)] {
            let mut url = who.url("login", "/sign-in");
            url.query_pairs_mut().append_pair("state", state);
            let answer = who.go(url).await;
            let end = who.follow(answer).await;
            assert_eq!(end.status, 200, "{state:?}: {end:?}");
        }
    }
    for ticket in garbage.iter().copied().chain([state.as_str()]) {
        let mut who = Visitor::new(&estate, Device::None);
        let mut url = who.url("wiki", "/.tiergate/callback");
        url.query_pairs_mut().append_pair("ticket", ticket);
        let answer = who.go(url).await;
        assert!(answer.sets(SESSION).is_none(), "{ticket:?}: {answer:?}");
        let end = who.follow(answer).await;
        assert!(end.status < 500 && who.cookie("wiki", SESSION).is_none(), "{ticket:?}: {end:?}");
    }
    // A page left open since before the sign-in of another tab, in a browser that lost its cookies.
    let mut stale = Visitor::new(&estate, Device::None);
    let form = stale.open("wiki", "/headers").await;
    stale.forget("login");
    let answer = stale.submit(&form, &[("user", EMPLOYEE), ("password", &estate.password(EMPLOYEE).1)]).await;
    assert!(answer.asks_for("password") && answer.sets(SESSION).is_none(), "{answer:?}");
    let answer =
        stale.submit(&answer, &[("user", EMPLOYEE), ("password", &estate.password(EMPLOYEE).1)]).await;
    let page = stale.follow(answer).await;
    assert_eq!((page.status, page.url.path()), (200, "/headers"), "the second try leads on: {page:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rush_of_sign_ins_is_nobodys_wrong_password() {
    let estate = Estate::start();
    let password = estate.password(EMPLOYEE).1;
    let mut forms = Vec::new();
    for _ in 0..150 {
        let mut browser = Visitor::new(&estate, Device::None);
        let form = browser.open("wiki", "/").await;
        forms.push((browser, form));
    }
    let all = forms.into_iter().map(|(mut browser, form)| {
        let password = password.clone();
        tokio::spawn(async move {
            let answer = browser.submit(&form, &[("user", EMPLOYEE), ("password", &password)]).await;
            (answer.status, answer.header("retry-after").to_owned())
        })
    });
    let mut seen = std::collections::BTreeMap::new();
    for answer in futures::future::join_all(all).await {
        *seen.entry(answer.unwrap()).or_insert(0) += 1;
    }
    println!("{seen:?}");
    // Whoever is not looked at now may be asked to come back; nobody who is right is called wrong.
    let honest = seen.keys().all(|(status, wait)| *status == 303 || (*status == 503 && !wait.is_empty()));
    assert!(honest, "{seen:?}");
    // And it counts as nobody's failure.
    Visitor::signed_in(&estate, Device::None, EMPLOYEE).await;
}
