use super::*;
use crate::access::Timestamp;
use crate::identity::Identified;
use crate::state::State;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = 1_800_000_000;
const HOUR: Duration = Duration::from_hours(1);

fn who(subject: &str) -> Identified {
    Identified {
        provider: "workforce".into(),
        subject: subject.into(),
        user: format!("{subject}@corp.example"),
        email: None,
        name: None,
        groups: vec!["eng".into(), "on call".into()],
        amr: vec!["pwd".into()],
        mfa: false,
        auth_time: NOW,
    }
}

async fn sessions(dir: &std::path::Path) -> Sessions {
    let state = Arc::new(State::open(dir).await.unwrap());
    Sessions::open(state, HOUR, NOW).await.unwrap()
}

#[test]
fn a_sealed_text_opens_for_its_purpose_and_context_only() {
    let sealer = Sealer::new(&[[1; 32]]);
    let text = sealer.seal(Purpose::Session, "wiki.corp.example", b"hello");
    let open = |purpose, host, text: &str| sealer.open(purpose, host, text);
    assert_eq!(open(Purpose::Session, "wiki.corp.example", &text).unwrap(), b"hello");
    assert_eq!(open(Purpose::Session, "payroll.corp.example", &text), None, "another host");
    for purpose in [Purpose::State, Purpose::Ticket, Purpose::Csrf, Purpose::Oidc, Purpose::TotpPending] {
        assert_eq!(open(purpose, "wiki.corp.example", &text), None, "{purpose:?}");
    }
    assert_eq!(Sealer::new(&[[2; 32]]).open(Purpose::Session, "wiki.corp.example", &text), None);
    assert_eq!(Sealer::new(&[]).open(Purpose::Session, "wiki.corp.example", ""), None);
    assert_ne!(text, sealer.seal(Purpose::Session, "wiki.corp.example", b"hello"), "no nonce");
}

#[test]
fn every_changed_byte_and_every_truncation_of_a_cookie_is_refused() {
    let sealer = Sealer::new(&[[1; 32]]);
    let cookie = SessionCookie { session: SessionId([7; 16]), device: Some([9; 32]), issued: NOW };
    let text = cookie.seal(&sealer, "h");
    assert_eq!(SessionCookie::open(&sealer, "h", &text), Some(cookie));
    assert!(text.len() < 200);
    for at in 0..text.len() {
        for other in ['A', 'b', '-', '.', '=', '\u{0}'] {
            let mut changed: Vec<char> = text.chars().collect();
            if changed[at] != other {
                changed[at] = other;
                let changed: String = changed.into_iter().collect();
                assert_eq!(SessionCookie::open(&sealer, "h", &changed), None, "{at} {other:?}");
            }
        }
        assert_eq!(SessionCookie::open(&sealer, "h", text.get(..at).unwrap()), None, "cut at {at}");
    }
}

#[test]
fn a_rotated_key_opens_and_a_dropped_one_does_not() {
    let old = Sealer::new(&[[1; 32]]).seal(Purpose::Session, "h", b"x");
    assert!(Sealer::new(&[[2; 32], [1; 32]]).open(Purpose::Session, "h", &old).is_some());
    assert!(Sealer::new(&[[2; 32]]).open(Purpose::Session, "h", &old).is_none());
    let new = Sealer::new(&[[2; 32], [1; 32]]).seal(Purpose::Session, "h", b"x");
    assert!(Sealer::new(&[[2; 32]]).open(Purpose::Session, "h", &new).is_some());
}

#[test]
fn a_cookie_is_of_its_device_or_of_none() {
    let cookie = |device| SessionCookie { session: SessionId([7; 16]), device, issued: NOW };
    for (bound, shown, same) in [
        (None, None, true),
        (Some([1; 32]), Some([1; 32]), true),
        (Some([1; 32]), Some([2; 32]), false),
        (Some([1; 32]), None, false),
        (None, Some([1; 32]), false),
    ] {
        assert_eq!(cookie(bound).is_of_device(shown.as_ref()), same, "{bound:?} {shown:?}");
    }
}

#[test]
fn a_cookie_that_arrives_twice_counts_as_none() {
    for (headers, want) in [
        (&["__Host-tiergate=a"][..], Some("a")),
        (&["theirs=\u{fc}; __Host-tiergate=a"], Some("a")),
        (&["__Host-tiergate=\u{fc}; __Host-tiergate=a"], None),
        (&["x=1; __Host-tiergate=a; y=2"], Some("a")),
        (&["x=1", "__Host-tiergate=a"], Some("a")),
        (&["__Host-tiergate=a; __Host-tiergate=a"], None),
        (&["__Host-tiergate=evil; __Host-tiergate=a"], None),
        (&["__Host-tiergate=evil", "__Host-tiergate=a"], None),
        (&["__HOST-TIERGATE=a"], None),
        (&["__Host-tiergate-browser=a"], None),
        (&["__Host-tiergate"], None),
        (&[], None),
    ] {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(COOKIE, HeaderValue::from_bytes(header.as_bytes()).unwrap());
        }
        assert_eq!(Cookies::read(&map).get(SESSION_COOKIE), want, "{headers:?}");
    }
}

#[test]
fn cookies_have_every_attribute_that_keeps_them_here() {
    for cookie in [set_cookie(SESSION_COOKIE, "v", None), clear_cookie(SESSION_COOKIE)] {
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(cookie.split("; ").any(|part| part == attribute), "{cookie} {attribute}");
        }
        assert!(!cookie.contains("Domain"));
    }
}

#[test]
fn a_ticket_is_used_once_and_the_memory_of_it_is_bounded() {
    let used = UsedOnce::new(60, 2);
    assert!(used.first_use([1; 16], NOW));
    assert!(!used.first_use([1; 16], NOW + 60), "still good, and used");
    assert!(used.first_use([2; 16], NOW));
    assert!(!used.first_use([3; 16], NOW), "full: refused");
    assert!(used.first_use([3; 16], NOW + 61));
    let used = UsedOnce::forgetting_the_oldest(60, 2);
    for name in [1, 2, 3] {
        assert!(used.first_use([name; 16], NOW));
    }
    assert!(!used.first_use([2; 16], NOW) && used.first_use([1; 16], NOW));
}

#[test]
fn a_ticket_is_fresh_for_a_minute() {
    let ticket = Ticket::issue(SessionId([1; 16]), [2; 32], [3; 16], "/", NOW).unwrap();
    for (after, fresh) in [(-1, false), (0, true), (60, true), (61, false)] {
        assert_eq!(ticket.is_fresh(NOW + after), fresh, "{after}");
    }
}

#[tokio::test]
async fn an_ended_session_is_dead_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let all = sessions(dir.path()).await;
    let (kept, ended) = (all.begin(&who("a"), NOW).await.unwrap(), all.begin(&who("a"), NOW).await.unwrap());
    assert_ne!(kept.id, ended.id);
    assert!(all.end(ended.id).await.unwrap());
    assert!(ended.ended().is_cancelled() && !kept.ended().is_cancelled());
    assert!(!all.end(ended.id).await.unwrap(), "ended already");
    assert!(matches!(all.reauthenticated(&ended, &who("a")).await, Err(SessionError::Ended)));
    for all in [all, sessions(dir.path()).await] {
        assert!(matches!(all.find(ended.id), Found::Ended));
        assert!(matches!(all.find(kept.id), Found::Live(_)));
        assert!(matches!(all.find(SessionId([0; 16])), Found::Unknown));
        assert_eq!(all.active(), 1);
    }
}

#[tokio::test]
async fn a_session_survives_a_restart_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let all = sessions(dir.path()).await;
    let session = all.begin(&who("a"), NOW).await.unwrap();
    let mut again = who("a");
    (again.mfa, again.auth_time, again.groups) = (true, NOW + 50, vec!["eng".into()]);
    all.reauthenticated(&session, &again).await.unwrap();
    session.touch(NOW + 60);
    session.touch(NOW + 55);
    all.flush(NOW + 61).await.unwrap();
    let reopened = sessions(dir.path()).await;
    let Found::Live(read) = reopened.find(session.id) else { panic!("gone") };
    assert_eq!(read.facts(), session.facts());
    assert_eq!((read.last_seen(), read.facts().mfa), (NOW + 60, true));
    assert_eq!(read.person(), session.person());
    assert_eq!(read.person().groups, ["eng"]);
}

#[tokio::test]
async fn a_session_expires_and_a_clock_that_goes_back_does_not_revive_it() {
    let dir = tempfile::tempdir().unwrap();
    let all = sessions(dir.path()).await;
    let session = all.begin(&who("a"), NOW).await.unwrap();
    let ended = all.begin(&who("a"), NOW).await.unwrap();
    all.end(ended.id).await.unwrap();
    all.flush(NOW + 3600).await.unwrap();
    assert!(matches!(all.find(session.id), Found::Live(_)));
    assert!(matches!(all.find(ended.id), Found::Ended));
    all.flush(NOW + 3601).await.unwrap();
    assert!(session.ended().is_cancelled(), "open connections must hear of it");
    all.flush(NOW).await.unwrap();
    for all in [all, sessions(dir.path()).await] {
        assert!(matches!(all.find(session.id), Found::Unknown));
        assert!(matches!(all.find(ended.id), Found::Unknown));
    }
}

#[tokio::test]
async fn one_user_has_a_hundred_sessions_and_the_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let all = sessions(dir.path()).await;
    let other = all.begin(&who("other"), NOW).await.unwrap();
    let mut mine = Vec::new();
    for _ in 0..101 {
        mine.push(all.begin(&who("me"), NOW).await.unwrap());
    }
    assert!(mine[0].ended().is_cancelled());
    assert!(!mine[1].ended().is_cancelled() && !other.ended().is_cancelled());
    assert_eq!(all.active(), 101);
    assert_eq!(all.end_of_user("workforce", "me").await.unwrap(), 100);
    assert!(mine.iter().all(|session| session.ended().is_cancelled()));
    assert_eq!(all.active(), 1);
}

#[tokio::test]
async fn an_end_that_cannot_be_written_is_in_force_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(dir.path()).await.unwrap());
    let all = Sessions::open(Arc::clone(&state), HOUR, NOW).await.unwrap();
    let session = all.begin(&who("a"), NOW).await.unwrap();
    state.close().await;
    assert!(all.end(session.id).await.is_err());
    assert!(session.ended().is_cancelled());
    assert!(matches!(all.find(session.id), Found::Ended));
    assert!(all.begin(&who("a"), NOW).await.is_err(), "no session that is not kept");
    assert_eq!(all.active(), 0);
}

#[tokio::test]
async fn a_user_with_too_many_groups_is_refused_rather_than_cut() {
    let dir = tempfile::tempdir().unwrap();
    let all = sessions(dir.path()).await;
    let mut many = who("a");
    many.groups = (0..10_000).map(|at| format!("g{at}")).collect();
    assert!(all.begin(&many, NOW).await.is_ok());
    many.groups.push("one more".into());
    assert!(matches!(all.begin(&many, NOW).await, Err(SessionError::TooLarge(_))));
}

#[test]
fn a_session_id_is_read_as_it_is_written() {
    let id = SessionId([0xab; 16]);
    assert_eq!(id.to_string().parse(), Ok(id));
    for bad in ["", "ab", "+babababababababababababababababa", &"é".repeat(16)] {
        assert!(bad.parse::<SessionId>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_cookie_header_panics_or_yields_a_cookie_that_is_there_twice(
        parts in proptest::collection::vec("(__Host-tiergate)?[=; a-z\u{e9}]{0,4}", 0..5)
    ) {
        let mut headers = HeaderMap::new();
        let text = parts.join(";");
        headers.append(COOKIE, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        let ours = text.split(';').filter(|pair| pair.trim().starts_with("__Host-tiergate=")).count();
        if ours != 1 {
            prop_assert_eq!(Cookies::read(&headers).get(SESSION_COOKIE), None);
        }
    }

    #[test]
    fn no_text_opens_that_was_not_sealed(text in "\\PC{0,200}") {
        let sealer = Sealer::new(&[[1; 32]]);
        prop_assert_eq!(sealer.open(Purpose::Session, "h", &text), None);
        prop_assert_eq!(SessionCookie::open(&sealer, "h", &text), None);
        prop_assert!(Ticket::open(&sealer, "h", &text).is_none());
    }
}
