//! The fixtures: one denial, and a gallery of every page.

mod denial;
mod every_page;
mod look;
mod style;
mod words;

use super::*;
use crate::access::{DeviceTrust, Ownership, Reason, Tier};

const HOSTILE: &str = "\"'><script src=//evil.example></script>&amp;{{7*7}}";

fn denial(reason: Reason) -> DenialPage<'static> {
    DenialPage {
        reason,
        status: 403,
        resource: Some("payroll"),
        tier: Some(Tier::High),
        code: "7Q4M-XX2K-9TDB-4H1C",
        user: Some("finance@corp.example"),
        device: DeviceView { trust: DeviceTrust::Enrolled, id: Some("enrolled"), lowered: None },
        lacking: Vec::new(),
        action: None,
        retry_after: None,
        support: Some("helpdesk@corp.example"),
    }
}

/// Every page, filled with `text` wherever text can come from outside.
#[expect(clippy::too_many_lines, reason = "a list of pages")]
fn gallery(text: &str) -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = Reason::ALL
        .iter()
        .map(|reason| {
            let page = DenialPage {
                resource: Some(text),
                code: text,
                user: Some(text),
                device: DeviceView {
                    trust: DeviceTrust::None,
                    id: Some(text),
                    lowered: Some(Reason::DeviceExpired),
                },
                lacking: vec![text.to_owned()],
                action: Some(Action::Link { label: text, href: text }),
                support: Some(text),
                retry_after: Some(30),
                ..denial(*reason)
            };
            (format!("denial-{reason}"), page.render())
        })
        .collect();
    let form = Action::Form { label: text, action: text, fields: vec![(text, text)] };
    pages.push((
        "denial-form".into(),
        DenialPage { action: Some(form), ..denial(Reason::NotAllowed) }.render(),
    ));
    let providers = vec![ProviderButton { title: text, href: text }];
    let users = LocalUsersOf { name: text, title: text };
    for (name, error, local) in [
        ("sign-in", None, vec![users]),
        ("sign-in-error", Some(text), vec![users]),
        ("sign-in-several", Some(text), vec![users, users]),
        ("sign-in-elsewhere", None, vec![]),
    ] {
        let page = SignIn {
            target: Some(text),
            csrf: text,
            state: text,
            user: text,
            error,
            providers: providers.clone(),
            local,
        };
        pages.push((name.into(), page.render()));
        pages.push((format!("totp-{name}"), Totp { csrf: text, state: text, pending: text, error }.render()));
        for mode in [StepUpMode::Totp, StepUpMode::Password] {
            let page = StepUp { mode, user: Some(text), csrf: text, state: text, error };
            pages.push((format!("step-up-{mode:?}-{name}"), page.render()));
        }
    }
    pages.push(("signed-in".into(), SignedIn { user: text, csrf: text, note: Some(text) }.render()));
    for (name, just_now) in [("signed-out", true), ("not-signed-in", false)] {
        let page = SignedOut { just_now, sign_in: text };
        pages.push((name.into(), page.render()));
    }
    let logout = LogoutConfirm { user: text, csrf: text };
    pages.push(("logout".into(), logout.render()));
    pages.push(("problem".into(), Problem { title: text, text, link: Some((text, text)) }.render()));
    let row = |state| Row { name: text, url: text, tier: Tier::Low, state };
    let page = MyAccess {
        user: text,
        email: Some(text),
        groups: vec![text, text],
        session: SessionView { started: 0, auth_time: 60, expires: 43_200, mfa: true },
        device: DeviceView { trust: DeviceTrust::None, id: Some(text), lowered: Some(Reason::DeviceRevoked) },
        authority: Some(text),
        record: Some(RecordView {
            out_of_use: Some("out of use"),
            ownership: Some(Ownership::Corporate),
            owner: Some(text),
            system: Some(text.to_owned()),
            last_checkin: Some(60),
        }),
        lacking: vec![
            Lacking { tier: Tier::Low, reason: Reason::PostureFailed, remedies: vec![text.to_owned()] },
            Lacking { tier: Tier::High, reason: Reason::DeviceNotOwned, remedies: Vec::new() },
        ],
        resources: vec![row(RowState::Open), row(RowState::Locked { step: text })],
        csrf: text,
    };
    pages.push(("my-access".into(), page.render()));
    pages
}
