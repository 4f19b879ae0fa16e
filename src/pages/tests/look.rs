//! Every page with likely content, for people to look at.

use super::words::section;
use super::{denial, gallery};
use crate::access::{DeviceTrust, Ownership, Reason, Tier};
use crate::pages::explain::{Sort, sort};
use crate::pages::{
    Action, DenialPage, DeviceView, Lacking, LocalUsersOf, MyAccess, Problem, ProviderButton, RecordView,
    Row, RowState, SessionView, SignIn, SignedIn, SignedOut, StepUp, StepUpMode, Totp, step,
};

/// `cargo test --lib pages -- --ignored` leaves every page in `target/pages` to be looked at.
#[test]
#[ignore = "writes files for people to look at"]
#[expect(clippy::too_many_lines, reason = "a list of pages")]
fn gallery_for_people() {
    let folder = std::path::Path::new("target/pages");
    std::fs::create_dir_all(folder).unwrap();
    let mut pages = gallery("text");
    for reason in Reason::ALL {
        let action = match sort(*reason) {
            Sort::Refused => Some(Action::Link { label: "See what you can open", href: "/.tiergate/" }),
            Sort::Prove => Some(Action::Link { label: "Sign in", href: "/.tiergate/login" }),
            Sort::Fine | Sort::Nothing | Sort::Malformed | Sort::Later => None,
        };
        let retry_after = (sort(*reason) == Sort::Later).then_some(30);
        let lacking = match reason {
            Reason::PostureFailed => vec![
                "Turn on the firewall.".to_owned(),
                "Update macOS to 14.6 or later: you have 14.2.".to_owned(),
            ],
            Reason::DeviceInactive => vec!["The company's list of devices says that it is lost.".to_owned()],
            _ => Vec::new(),
        };
        let device = DeviceView { trust: DeviceTrust::Issued, id: Some("issued"), lowered: None };
        let device = if lacking.is_empty() { denial(*reason).device } else { device };
        let page = DenialPage { action, retry_after, lacking, device, ..denial(*reason) };
        pages.push((format!("denial-{reason}"), page.render()));
    }
    let sign_in = |error, user, providers, local| SignIn {
        target: Some("payroll.localhost:8443"),
        csrf: "c",
        state: "s",
        user,
        error,
        providers,
        local,
    };
    let workforce = vec![ProviderButton { title: "Workforce", href: "/sign-in/workforce" }];
    let local = vec![LocalUsersOf { name: "local", title: "Password" }];
    let both = vec![
        LocalUsersOf { name: "local", title: "Employees" },
        LocalUsersOf { name: "partners", title: "Partners" },
    ];
    let wrong = Some("The user name or the password is wrong.");
    pages.push(("sign-in".into(), sign_in(None, "", vec![], local.clone()).render()));
    pages.push(("sign-in-several".into(), sign_in(None, "", vec![], both).render()));
    pages.push(("sign-in-both".into(), sign_in(None, "", workforce.clone(), local.clone()).render()));
    pages.push(("sign-in-oidc".into(), sign_in(None, "", workforce, vec![]).render()));
    pages.push(("sign-in-error".into(), sign_in(wrong, "employee", vec![], local).render()));
    let totp = |error| Totp { csrf: "c", state: "s", pending: "p", error };
    pages.push(("totp".into(), totp(None).render()));
    pages.push(("totp-error".into(), totp(Some("The code does not match. Wait for the next one.")).render()));
    for mode in [StepUpMode::Totp, StepUpMode::Password] {
        let page = StepUp { mode, user: Some("employee@corp.example"), csrf: "c", state: "s", error: None };
        pages.push((format!("step-up-{mode:?}"), page.render()));
    }
    for (name, note) in
        [("signed-in", None), ("signed-in-lost", Some("The page you came from is not known any more."))]
    {
        let page = SignedIn { user: "employee@corp.example", csrf: "c", note };
        pages.push((name.into(), page.render()));
    }
    for (name, just_now) in [("signed-out", true), ("not-signed-in", false)] {
        let page = SignedOut { just_now, sign_in: "https://login.localhost:8443/sign-in?choose" };
        pages.push((name.into(), page.render()));
    }
    let problem = Problem {
        title: "This sign-in took too long",
        text: "A sign-in has to be finished within ten minutes. Start again from the page you wanted to open.",
        link: Some(("Start again", "/")),
    };
    pages.push(("problem".into(), problem.render()));
    let row = |name, url, tier, state| Row { name, url, tier, state };
    for (name, trust, id, lowered, authority) in [
        ("my-access", DeviceTrust::Enrolled, Some("enrolled"), None, Some("mdm")),
        (
            "my-access-expired",
            DeviceTrust::None,
            Some("expired"),
            Some(Reason::DeviceExpired),
            Some("corporate"),
        ),
        ("my-access-none", DeviceTrust::None, None, None, None),
        ("my-access-posture", DeviceTrust::Issued, Some("issued"), None, Some("corporate")),
        ("my-access-lost", DeviceTrust::Issued, Some("issued"), None, Some("corporate")),
    ] {
        let tickets = match trust {
            DeviceTrust::None => RowState::Locked { step: step(Reason::DeviceRequired) },
            DeviceTrust::Enrolled | DeviceTrust::Issued => RowState::Open,
        };
        let page = MyAccess {
            user: "finance@corp.example",
            email: None,
            groups: vec!["employees", "finance"],
            session: SessionView {
                started: 1_795_430_000,
                auth_time: 1_795_430_000,
                expires: 1_795_473_200,
                mfa: false,
            },
            device: DeviceView { trust, id, lowered },
            authority,
            record: (trust == DeviceTrust::Issued).then(|| RecordView {
                out_of_use: (name == "my-access-lost")
                    .then_some("The company's list of devices says that it is lost."),
                ownership: Some(Ownership::Corporate),
                owner: Some("finance@corp.example"),
                system: Some("macOS 14.2".to_owned()),
                last_checkin: Some(1_795_420_000),
            }),
            lacking: if name == "my-access-posture" {
                let remedies = ["Turn on the firewall.", "Update macOS to 14.6 or later: you have 14.2."];
                vec![Lacking {
                    tier: Tier::High,
                    reason: Reason::PostureFailed,
                    remedies: remedies.map(str::to_owned).to_vec(),
                }]
            } else {
                Vec::new()
            },
            resources: vec![
                row("wiki", "https://wiki.localhost:8443/", Tier::Open, RowState::Open),
                row("tickets", "https://tickets.localhost:8443/", Tier::Low, tickets),
                row(
                    "payroll",
                    "https://payroll.localhost:8443/",
                    Tier::High,
                    RowState::Locked { step: step(Reason::DeviceNotIssued) },
                ),
            ],
            csrf: "c",
        };
        pages.push((name.into(), page.render()));
    }
    for (name, page) in pages {
        std::fs::write(folder.join(format!("{name}.html")), page).unwrap();
    }
    std::fs::write(
        folder.join("reasons.md"),
        Reason::ALL.iter().map(|reason| section(*reason)).collect::<String>(),
    )
    .unwrap();
}
