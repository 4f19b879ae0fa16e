//! Every answer of these pages, and the headers that all of them have.

use super::view::{self, Problem, View};
use super::{Call, Visitor};
use crate::pages;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, SET_COOKIE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// An answer that is not written out yet.
pub(super) struct Reply {
    status: StatusCode,
    cookies: Vec<String>,
    retry_after: Option<u64>,
    clear_site_data: bool,
    body: Body,
}

enum Body {
    Page(View),
    To(String),
}

impl Reply {
    fn new(status: StatusCode, body: Body) -> Self {
        Self { status, cookies: Vec::new(), retry_after: None, clear_site_data: false, body }
    }

    pub(super) fn page(status: StatusCode, view: View) -> Self {
        Self::new(status, Body::Page(view))
    }

    pub(super) fn problem(status: StatusCode, problem: Problem) -> Self {
        Self::page(status, View::Problem(problem))
    }

    pub(super) fn with_cookies(mut self, cookies: impl IntoIterator<Item = String>) -> Self {
        self.cookies.extend(cookies);
        self
    }

    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Makes the browser forget what the services of this host kept in it.
    pub(super) fn clear_site_data(mut self) -> Self {
        self.clear_site_data = true;
        self
    }

    pub(super) fn not_found() -> Self {
        let text = "There is nothing at this address.";
        Self::problem(StatusCode::NOT_FOUND, Problem::new("No such page", text, "/"))
    }

    pub(super) fn method_refused() -> Self {
        let text = "This page cannot be used like that.";
        Self::problem(StatusCode::METHOD_NOT_ALLOWED, Problem::new("Not possible", text, "/"))
    }

    pub(super) fn bad_form() -> Self {
        let text = "The form did not arrive whole. Go back and send it once more.";
        Self::problem(StatusCode::BAD_REQUEST, Problem::new("The form was damaged", text, "/"))
    }

    pub(super) fn unavailable() -> Self {
        let text = "This could not be saved just now. Please try again in a minute.";
        Self::problem(StatusCode::SERVICE_UNAVAILABLE, Problem::new("Not available", text, "/"))
            .retry_after(60)
    }
}

impl Call {
    /// Sends the browser on: after a form by 303, so that the form is not sent along.
    pub(super) fn to(&self, location: String) -> Reply {
        let status = if self.method == Method::POST { StatusCode::SEE_OTHER } else { StatusCode::FOUND };
        Reply::new(status, Body::To(location))
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let Self { status, cookies, retry_after, clear_site_data, body } = self;
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            append(&mut headers, SET_COOKIE, &cookie);
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if clear_site_data {
            // Not `"cookies"`: browsers take that for the whole registrable domain, and with it for sites
            // that are none of ours. Our own cookie goes by `Set-Cookie`.
            let value = HeaderValue::from_static(r#""cache", "storage""#);
            headers.insert(HeaderName::from_static("clear-site-data"), value);
        }
        match body {
            Body::To(location) => {
                append(&mut headers, LOCATION, &location);
                (status, headers).into_response()
            }
            Body::Page(view) => {
                append(&mut headers, CONTENT_SECURITY_POLICY, &content_security_policy(&view));
                if view.has_form() {
                    // With `no-referrer`, browsers send `Origin: null` with our own forms.
                    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
                }
                let html = HeaderValue::from_static("text/html; charset=utf-8");
                headers.insert(CONTENT_TYPE, html);
                (status, headers, view::render(&view)).into_response()
            }
        }
    }
}

/// A value that no header can carry is left out: a redirect to nowhere is better than a split one.
fn append(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}

/// Browsers hold the answer to a form to `form-action` as well, so the host that a sign-in leads
/// to is listed there.
fn content_security_policy(view: &View) -> String {
    match view.target().filter(|_| view.has_form()) {
        Some(authority) => pages::csp(&[&format!("https://{authority}")]),
        None => pages::csp(&[]),
    }
}

/// Gives every answer the headers that all of them have, those of the router itself included.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let hsts = request
        .extensions()
        .get::<Visitor>()
        .and_then(|visitor| visitor.snapshot.config.tls.hsts)
        .map(|age| format!("max-age={}", age.as_secs()));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    if let Some(hsts) = hsts {
        append(headers, STRICT_TRANSPORT_SECURITY, &hsts);
    }
    response
}
