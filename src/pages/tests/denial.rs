//! The denial page and the problem document.

use super::denial;
use crate::access::{DeviceTrust, Reason};
use crate::pages::{Action, DenialPage, DeviceView, STYLE, explain, problem};

#[test]
fn the_checks_show_what_is_missing_and_only_to_those_refused_something_by_name() {
    for (reason, user, trust, want) in [
        (Reason::DeviceNotIssued, Some("a"), DeviceTrust::Enrolled, "person fine, device not"),
        (Reason::DeviceRequired, Some("a"), DeviceTrust::None, "person fine, device not"),
        (Reason::NotAllowed, Some("a"), DeviceTrust::Issued, "person not, device fine"),
        (Reason::MfaRequired, Some("a"), DeviceTrust::Issued, "person not, device fine"),
        (Reason::DeniedByRule, Some("a"), DeviceTrust::Issued, "device fine"),
        (Reason::CrossOrigin, Some("a"), DeviceTrust::Issued, "nothing"),
        (Reason::NotSignedIn, None, DeviceTrust::None, "person not, device not"),
        (Reason::EvidenceStale, Some("a"), DeviceTrust::None, "person fine, device not"),
        (Reason::NoRoute, Some("a"), DeviceTrust::Issued, "nothing"),
        (Reason::AmbiguousRequest, Some("a"), DeviceTrust::Issued, "nothing"),
        (Reason::UpstreamTimeout, Some("a"), DeviceTrust::Issued, "nothing"),
    ] {
        let device = DeviceView { trust, id: None, lowered: None };
        let page = DenialPage { user, device, ..denial(reason) }.render();
        let verdicts: Vec<&str> = page
            .split("class=\"verdict ")
            .skip(1)
            .map(|part| if part.starts_with("fine") { "fine" } else { "not" })
            .collect();
        let got = match verdicts.as_slice() {
            [] => "nothing".to_owned(),
            [device] => format!("device {device}"),
            [person, device] => format!("person {person}, device {device}"),
            other => format!("{other:?}"),
        };
        assert_eq!(got, want, "{reason}");
    }
}

#[test]
fn a_page_without_a_resource_tells_nothing_of_one() {
    let page = DenialPage { resource: None, tier: None, ..denial(Reason::DeviceRequired) }.render();
    assert!(!page.contains("payroll") && !page.contains("High tier"));
    assert!(page.contains("A company device is needed") && page.contains("7Q4M-XX2K-9TDB-4H1C"));
}

#[test]
fn what_is_wrong_with_the_device_is_told_beside_what_the_service_needs() {
    let device =
        DeviceView { trust: DeviceTrust::None, id: Some("expired"), lowered: Some(Reason::DeviceExpired) };
    let [expired, required, not_allowed] =
        [Reason::DeviceExpired, Reason::DeviceRequired, Reason::NotAllowed].map(|r| explain(r).remedy);
    for (reason, want) in [
        (Reason::DeviceRequired, vec![expired, required]),
        (Reason::DeviceExpired, vec![expired]),
        (Reason::NotAllowed, vec![not_allowed]),
    ] {
        assert_eq!(DenialPage { device, ..denial(reason) }.remedies(), want, "{reason}");
    }
}

#[test]
fn what_a_device_lacks_is_told_one_by_one() {
    let lacking =
        vec!["Turn on the firewall.".to_owned(), "Update macOS to 14.6 or later: you have 14.2.".to_owned()];
    let page = DenialPage { lacking: lacking.clone(), ..denial(Reason::PostureFailed) };
    let html = page.render();
    for lack in &lacking {
        assert!(html.contains(&format!("<li>{lack}</li>")), "{lack}");
    }
    assert_eq!(problem(&page, None)["lacking"], serde_json::json!(lacking));
}

#[test]
fn a_place_to_ask_becomes_a_link_only_where_it_is_an_address() {
    for (support, want) in [
        (Some("helpdesk@corp.example"), "Ask <a href=\"mailto:helpdesk@corp.example\">"),
        (Some("https://help.corp.example/"), "Ask <a href=\"https://help.corp.example/\">"),
        (Some("the desk on floor 2"), "Ask the desk on floor 2 and"),
        (Some("a@b.example?bcc=c@d.example"), "Ask a@b.example?bcc=c@d.example and"),
        (None, "Ask your IT help desk and"),
    ] {
        let page = DenialPage { support, ..denial(Reason::NotAllowed) }.render();
        assert!(page.contains(want), "{support:?}");
    }
}

#[test]
fn the_denial_page_reads_as_it_should() {
    let page = DenialPage {
        action: Some(Action::Link { label: "See what you can open", href: "/.tiergate/" }),
        ..denial(Reason::DeviceNotIssued)
    };
    insta::assert_snapshot!("denial", page.render().replace(STYLE, ""));
}

#[test]
fn the_problem_document_reads_as_it_should() {
    let device = DeviceView { lowered: Some(Reason::DeviceExpired), ..DeviceView::default() };
    let page = DenialPage { device, retry_after: Some(7), ..denial(Reason::DeviceRequired) };
    let full = problem(&page, None);
    let signed_out = DenialPage {
        status: 401,
        resource: None,
        tier: None,
        user: None,
        device: DeviceView::default(),
        support: None,
        ..denial(Reason::NotSignedIn)
    };
    let bare = problem(&signed_out, Some("https://login.localhost:8443/"));
    insta::assert_snapshot!("problem", format!("{full:#}\n{bare:#}"));
}
