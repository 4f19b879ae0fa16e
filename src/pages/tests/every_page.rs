//! What must hold of every page, whatever it is filled with.

use super::{HOSTILE, gallery};
use crate::pages::{LocalUsersOf, STYLE, SignIn, SignedOut, csp, href};
use std::collections::BTreeSet;

#[test]
fn hostile_text_is_escaped_on_every_page() {
    for (name, page) in gallery(HOSTILE) {
        assert!(!page.contains("<script"), "{name}");
        assert!(!page.contains("\"'>"), "{name}");
        assert!(!page.contains(HOSTILE), "{name}");
        assert!(!page.contains("49"), "{name}: a template in the text was run");
    }
}

#[test]
fn no_page_asks_another_host_for_anything_or_runs_anything() {
    for (name, page) in gallery("text") {
        for banned in [
            "<script",
            "http://",
            "https://",
            "@import",
            "url(",
            " style=",
            "javascript:",
            // It would overrule the header, which differs where a form has to say where it comes from.
            "name=\"referrer\"",
        ] {
            assert!(!page.contains(banned), "{name} holds `{banned}`");
        }
        assert!(!page.contains(" onload=") && !page.contains(" onclick="), "{name}");
    }
}

#[test]
fn every_page_has_a_language_a_title_one_heading_and_one_main() {
    for (name, page) in gallery("text") {
        assert_eq!(page.matches("<h1").count(), 1, "{name}");
        assert_eq!(page.matches("<main").count(), 1, "{name}");
        assert_eq!(page.matches("<header").count(), 1, "{name}");
        assert_eq!(page.matches("<title>").count(), 1, "{name}");
        assert!(page.contains("<html lang=\"en\">"), "{name}");
        let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|s| s.split('"').next()).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{name}: {ids:?}");
        for reference in ["for=\"", "aria-labelledby=\"", "aria-describedby=\""] {
            for named in page.split(reference).skip(1).filter_map(|s| s.split('"').next()) {
                for id in named.split(' ') {
                    assert!(ids.contains(&id), "{name}: {reference}{id}");
                }
            }
        }
    }
}

#[test]
fn a_form_is_tied_to_its_error_only_when_there_is_one() {
    let page = |error| SignIn {
        target: None,
        csrf: "c",
        state: "s",
        user: "",
        error,
        providers: Vec::new(),
        local: vec![LocalUsersOf { name: "local", title: "Password" }],
    };
    let calm = page(None).render().replace(STYLE, "");
    assert!(!calm.contains("aria-invalid") && !calm.contains("role=\"alert\""));
    let failed = page(Some("The user name or the password is wrong.")).render();
    assert!(failed.contains("aria-describedby=\"error\"") && failed.contains("id=\"error\""));
    assert!(failed.contains("<title>Error: "));
}

#[test]
fn the_form_says_whose_users_it_is_for_and_asks_where_there_are_several() {
    let [staff, partners] = ["staff", "partners"].map(|name| LocalUsersOf { name, title: name });
    let hidden = "<input type=\"hidden\" name=\"provider\" value=\"staff\">";
    let select = "<select id=\"provider\" name=\"provider\"><option value=\"staff\">staff</option>\
                  <option value=\"partners\">partners</option></select>";
    for (local, want) in [(vec![], None), (vec![staff], Some(hidden)), (vec![staff, partners], Some(select))]
    {
        let page = SignIn {
            target: None,
            csrf: "c",
            state: "s",
            user: "",
            error: None,
            providers: Vec::new(),
            local,
        };
        let page = page.render();
        assert_eq!(page.matches("name=\"provider\"").count(), usize::from(want.is_some()));
        assert_eq!(page.contains("<form"), want.is_some());
        assert!(page.contains(want.unwrap_or("There is no way to sign in here")));
    }
}

#[test]
fn whoever_is_signed_out_is_told_so_only_right_after_it_and_can_sign_in() {
    for (just_now, says, says_not) in [
        (true, "You are signed out", "You are not signed in"),
        (false, "You are not signed in", "You are signed out"),
    ] {
        let sign_in = "https://login.localhost/sign-in?choose";
        let page = SignedOut { just_now, sign_in }.render();
        assert!(page.contains(says) && !page.contains(says_not), "{says}");
        assert!(page.contains(&format!("href=\"{sign_in}\"")), "{says}");
    }
}

#[test]
fn a_form_target_is_an_https_origin_or_left_out() {
    for (target, taken) in [
        ("https://tickets.corp.example", true),
        ("https://tickets.localhost:8443", true),
        ("http://tickets.corp.example", false),
        ("https://a; script-src *", false),
        ("https://a.example,b", false),
        ("https://", false),
        ("https://*", false),
        ("https://a@b.example", false),
        ("*", false),
    ] {
        let policy = csp(&[target]);
        assert_eq!(policy.ends_with(&format!("form-action 'self' {target}")), taken, "{target}");
        assert_eq!(policy.ends_with("form-action 'self'"), !taken, "{target}");
    }
}

#[test]
fn a_link_leads_to_this_host_or_by_https_or_mail_and_nowhere_else() {
    for (link, want) in [
        ("/.tiergate/", "/.tiergate/"),
        ("https://wiki.localhost:8443/", "https://wiki.localhost:8443/"),
        ("mailto:help@corp.example", "mailto:help@corp.example"),
        ("//evil.example", "#"),
        ("/\\evil.example", "#"),
        ("/\t/evil.example", "#"),
        ("javascript:alert(1)", "#"),
        ("http://wiki.localhost/", "#"),
        ("data:text/html,x", "#"),
        ("", "#"),
    ] {
        assert_eq!(href(link), want, "{link:?}");
    }
}
