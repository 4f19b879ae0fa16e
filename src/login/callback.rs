//! From a ticket to a session cookie on this host.
//!
//! Invariants: a ticket is exchanged once, on the host that it was made for, in the browser that
//! asked for it; whatever else arrives here leads to a page, to where a valid session may go anyway,
//! or, once, to a sign-in of the browser that it arrived in.

use super::browser::Browser;
use super::challenge::sign_in_url;
use super::reply::Reply;
use super::target::{Return, safe_path};
use super::view::Problem;
use super::{Call, Held, LoginEventKind};
use crate::session::{Found, LiveSession, Ticket};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Default, Deserialize)]
pub(super) struct CallbackQuery {
    #[serde(default)]
    ticket: String,
}

/// `GET /.tiergate/callback`
pub(super) async fn callback(call: Call, query: Result<Query<CallbackQuery>, QueryRejection>) -> Reply {
    let CallbackQuery { ticket } = query.map(|Query(query)| query).unwrap_or_default();
    let host = &call.visitor.host;
    let Some(ticket) = Ticket::open(&call.login.sealer(), host, &ticket) else {
        return call.refuse_ticket("/", "This sign-in link is damaged or belongs to another site.");
    };
    let path = safe_path(&ticket.to);
    let browser = Browser::known(call.cookies());
    let asked = |browser: &Browser| verify_slices_are_equal(&browser.hash(host), &ticket.browser).is_ok();
    match browser {
        Some(browser) if asked(&browser) => {}
        Some(browser) if !ticket.again && call.is_current(&ticket) => {
            return call.start_again(&browser, path);
        }
        Some(_) | None => {
            return call.refuse_ticket(
                path,
                "This sign-in was started in another browser, or this browser does not keep cookies. \
                 Please allow cookies for this site and start again.",
            );
        }
    }
    match call.exchange(&ticket) {
        Some(session) => {
            session.touch(call.visitor.now);
            let cookie = call.session_cookie(&session);
            call.to(path.to_owned()).with_cookies([cookie])
        }
        // The back button or a double click: the first time did what was wanted.
        None if matches!(call.held(), Held::Live(_)) => call.to(path.to_owned()),
        None => call.refuse_ticket(path, "This sign-in link was used already or is too old."),
    }
}

impl Call {
    /// The session of a ticket that is good here and now.
    fn exchange(&self, ticket: &Ticket) -> Option<Arc<LiveSession>> {
        if !self.is_current(ticket) {
            return None;
        }
        let Found::Live(session) = self.login.sessions.find(ticket.session()) else { return None };
        self.login.tickets.first_use(ticket.id, self.visitor.now).then_some(session)
    }

    fn is_current(&self, ticket: &Ticket) -> bool {
        ticket.is_fresh(self.visitor.now) && ticket.process == self.login.process
    }

    /// Two tabs that met this host at the same moment were given two names for one browser, and the
    /// later one stayed. Nothing of the ticket is used but its path, to which a link could lead just as
    /// well: the browser signs in by what it has itself on the login host.
    fn start_again(&self, browser: &Browser, path: &str) -> Reply {
        self.event(LoginEventKind::TicketRefused, None, None);
        let target = Return { again: true, ..Return::here(&self.visitor, browser, path) };
        let state = target.seal(&self.login.sealer(), self.login_host());
        self.to(sign_in_url(&self.visitor, &state))
    }

    fn refuse_ticket(&self, path: &str, text: &str) -> Reply {
        self.event(LoginEventKind::TicketRefused, None, None);
        let problem = Problem::new("Please sign in once more", text, path);
        Reply::problem(StatusCode::BAD_REQUEST, problem)
    }
}
