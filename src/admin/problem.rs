//! Errors as problem documents (RFC 9457).

use super::reload::ShutOut;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An error of the admin listener.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: &'static str,
    diagnostics: Option<String>,
    shut_out: Option<ShutOut>,
    /// The mistakes of an import, and how many lines have one.
    mistakes: Option<(Vec<(usize, String)>, usize)>,
}

impl Problem {
    pub(super) const fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail, diagnostics: None, shut_out: None, mistakes: None }
    }

    /// What is wrong with the files, as a person reads it.
    pub(super) fn with_diagnostics(self, diagnostics: String) -> Self {
        Self { diagnostics: Some(diagnostics), ..self }
    }

    /// What is wrong with lines of an import, by number, and how many lines have a mistake in all.
    pub(super) fn with_mistakes(self, mistakes: Vec<(usize, String)>, lines: usize) -> Self {
        Self { mistakes: Some((mistakes, lines)), ..self }
    }

    /// Whom a reload would shut out.
    pub(super) fn with_shut_out(self, shut_out: ShutOut) -> Self {
        Self { shut_out: Some(shut_out), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail, diagnostics, shut_out, mistakes } = self;
        let mut body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("error"),
            "status": status.as_u16(),
            "detail": detail,
        });
        if let Some(object) = body.as_object_mut() {
            object.extend(diagnostics.map(|text| ("diagnostics".to_owned(), text.into())));
            // Strings and numbers only, so this cannot fail.
            let shut_out = shut_out.and_then(|shut_out| serde_json::to_value(shut_out).ok());
            if let Some((mistakes, lines)) = mistakes {
                object.insert("mistakes".to_owned(), listed(&mistakes));
                object.insert("bad_lines".to_owned(), lines.into());
            }
            object.extend(shut_out.map(|shut_out| ("shut_out".to_owned(), shut_out)));
        }
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §15.5.2: a 401 says how to authenticate.
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tiergate\""));
        }
        response
    }
}

/// Mistakes as a list of objects.
pub(super) fn listed(mistakes: &[(usize, String)]) -> serde_json::Value {
    let each = mistakes.iter().map(|(line, message)| serde_json::json!({ "line": line, "message": message }));
    each.collect()
}
