//! `/api/v1/devices`: what is known of devices, and what the API says of them.
//!
//! Every source of the inventory counts; the API changes what itself says and nothing else. What one answer
//! costs is bounded: a list comes in pages, and an import has a most of lines and bytes.

use super::Admin;
use super::comment::Comment;
use super::problem::{Problem, listed};
use super::serve::Peer;
use crate::access::{DeviceTrust, Record, State as Used};
use crate::inventory::{
    FormError, Interner, Inventory, Lines, MOST_LINE_BYTES, Mistake, Read, Written, from_json_of,
};
use crate::text::name::is_device_id;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Where records are imported.
pub(super) const IMPORT: &str = "/api/v1/devices/import";
/// What stands before an id.
const ONE: &str = "/api/v1/devices/";
/// Devices of a page where the call does not say, and at most.
const PAGE: usize = 100;
const MOST_PAGE: usize = 1000;
/// Devices that are looked at for one page; the next one goes on behind them.
const MOST_LOOKED: usize = 20_000;

/// One import at a time: each may take a lot of memory.
static IMPORTING: Semaphore = Semaphore::const_new(1);

/// What the API can say of devices.
pub trait Devices: Send + Sync {
    /// What is known.
    fn inventory(&self) -> &Inventory;

    /// Has the API say something else of a device. On success it is kept and in force, and requests under
    /// way are being judged by it.
    fn change(&self, id: &str, wish: Wish, by: By) -> BoxFuture<'static, Result<(), NotChanged>>;

    /// Has the API say this of these devices, instead of what it said of them: all of it or none of it. Of
    /// how many something else is known now.
    fn import(&self, records: Vec<Arc<Record>>, by: By) -> BoxFuture<'static, Result<usize, NotChanged>>;
}

/// What the API shall say of a device.
#[derive(Clone, Debug)]
pub enum Wish {
    /// This.
    Whole(Record),
    /// What it says so far, with this merged into it (RFC 7396).
    Patch(Value),
    /// Nothing any more.
    Nothing,
}

/// Who changes something, and why.
#[derive(Clone, Debug, Default)]
pub struct By {
    /// Where the call came from.
    pub client: Option<IpAddr>,
    /// In their own words.
    pub comment: Option<Comment>,
}

/// Why nothing was changed.
#[derive(Clone, Debug)]
pub enum NotChanged {
    /// The API says nothing of this device that could be taken back.
    NotSaid,
    /// The outcome would be no record.
    Form(Vec<FormError>),
    /// The API speaks of as many devices as it may.
    Full,
    /// It cannot be kept.
    NotKept {
        /// It takes something and gives nothing, so that it is in force until the process ends.
        in_force: bool,
    },
}

impl IntoResponse for NotChanged {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::NotSaid => Problem::new(StatusCode::NOT_FOUND, "the API says nothing of this device"),
            Self::Form(errors) => {
                let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "this is not a device's record")
                    .with_diagnostics(told.join("\n"))
            }
            Self::Full => Problem::new(StatusCode::CONFLICT, "the API speaks of as many devices as it may"),
            Self::NotKept { in_force: false } => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "it cannot be kept; nothing was changed")
            }
            Self::NotKept { in_force: true } => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "it is in force but cannot be kept: it ends with the process, so say it again later",
            ),
        };
        problem.into_response()
    }
}

/// The methods of one device.
pub(super) fn one() -> MethodRouter<Arc<Admin>> {
    get(show).put(put).patch(patch).delete(forget)
}

/// The device that a path names, percent-decoded.
pub(super) struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = parts.uri.path().strip_prefix(ONE).unwrap_or_default();
        let id = percent_decode_str(text).decode_utf8().unwrap_or_default();
        if is_device_id(&id) {
            return Ok(Self(id.into_owned()));
        }
        Err(Problem::new(StatusCode::BAD_REQUEST, "the path names no device: 1 to 128 printable characters"))
    }
}

/// Who calls, and what stands behind the path of a change.
pub(super) struct Asked {
    by: By,
    skip_bad_lines: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    reason: Option<String>,
    skip_bad_lines: Option<bool>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let client = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        let asked = Query::<Change>::from_request_parts(parts, state).await;
        let Query(Change { reason, skip_bad_lines }) = asked.map_err(|_| query())?;
        if skip_bad_lines.is_some() && parts.uri.path() != IMPORT {
            return Err(query());
        }
        let comment = reason.map(|reason| reason.parse()).transpose();
        let comment =
            comment.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "a reason has 1 to 500 characters"))?;
        Ok(Self { by: By { client, comment }, skip_bad_lines: skip_bad_lines.unwrap_or(false) })
    }
}

fn query() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "what stands behind the `?` is not known here")
}

/// What a list shall hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    limit: Option<usize>,
    after: Option<String>,
    state: Option<Used>,
    trust: Option<DeviceTrust>,
    owner: Option<String>,
}

impl Wanted {
    fn has(&self, record: &Record) -> bool {
        let owned = |owner: &String| record.owner.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(owner));
        self.state.is_none_or(|state| record.state.unwrap_or(Used::Active) == state)
            && self.trust.is_none_or(|trust| record.ceiling() == trust)
            && self.owner.as_ref().is_none_or(owned)
    }
}

pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let Ok(Query(wanted)) = wanted else { return query().into_response() };
    let limit = wanted.limit.unwrap_or(PAGE);
    if !(1..=MOST_PAGE).contains(&limit) {
        return Problem::new(StatusCode::BAD_REQUEST, "`limit` is 1 to 1000").into_response();
    }
    let (mut found, mut after, mut looked) = (Vec::new(), wanted.after.clone(), 0);
    let next = loop {
        // As many as may be missing: what is looked at and not listed would be looked at again.
        let page = admin.devices.inventory().page(after.as_deref(), MOST_PAGE);
        let whole = page.len() == MOST_PAGE;
        let mut full = false;
        for record in page {
            after = Some(record.id.to_string());
            looked += 1;
            if wanted.has(&record) {
                found.push(record);
                full = found.len() == limit;
            }
            if full {
                break;
            }
        }
        match (full, whole) {
            (true, _) => break after,
            (false, false) => break None,
            (false, true) if looked >= MOST_LOOKED => break after,
            (false, true) => tokio::task::yield_now().await,
        }
    };
    let devices: Vec<_> = found.iter().map(|record| Written(record)).collect();
    axum::Json(json!({ "devices": devices, "next": next })).into_response()
}

/// What is known of a device, and what each source says.
fn shown(inventory: &Inventory, id: &str) -> Value {
    let known = inventory.get(id);
    let said = inventory.said_of(id);
    let sources: serde_json::Map<String, Value> =
        said.iter().map(|(source, record)| (source.as_str().to_owned(), json!(Written(record)))).collect();
    json!({ "device": known.as_deref().map(Written), "sources": sources })
}

async fn show(State(admin): State<Arc<Admin>>, Id(id): Id) -> Response {
    let inventory = admin.devices.inventory();
    if inventory.get(&id).is_none() {
        return Problem::new(StatusCode::NOT_FOUND, "nothing is known of this device").into_response();
    }
    axum::Json(shown(inventory, &id)).into_response()
}

async fn put(State(admin): State<Arc<Admin>>, Id(id): Id, Asked { by, .. }: Asked, body: Bytes) -> Response {
    match from_json_of(&id, &body, &mut Interner::default()) {
        Ok(record) => change(&admin, &id, Wish::Whole(record), by).await,
        Err(errors) => NotChanged::Form(errors).into_response(),
    }
}

async fn patch(
    State(admin): State<Arc<Admin>>,
    Id(id): Id,
    Asked { by, .. }: Asked,
    body: Bytes,
) -> Response {
    match serde_json::from_slice(&body) {
        Ok(patch) => change(&admin, &id, Wish::Patch(patch), by).await,
        Err(_) => Problem::new(StatusCode::BAD_REQUEST, "the body is not JSON").into_response(),
    }
}

async fn forget(State(admin): State<Arc<Admin>>, Id(id): Id, Asked { by, .. }: Asked) -> Response {
    change(&admin, &id, Wish::Nothing, by).await
}

async fn change(admin: &Admin, id: &str, wish: Wish, by: By) -> Response {
    // Its own task: a caller who goes away must not stop a change half way.
    match tokio::spawn(admin.devices.change(id, wish, by)).await {
        Ok(Ok(())) => axum::Json(shown(admin.devices.inventory(), id)).into_response(),
        Ok(Err(error)) => error.into_response(),
        Err(_) => broken_off(),
    }
}

fn broken_off() -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the change broke off").into_response()
}

pub(super) async fn import(
    State(admin): State<Arc<Admin>>,
    Asked { by, skip_bad_lines }: Asked,
    body: Body,
) -> Response {
    let Ok(_one) = IMPORTING.acquire().await else { return broken_off() };
    let Read { records, mistakes, bad_lines } = match received(body).await {
        Ok(read) => read,
        Err(problem) => return problem.into_response(),
    };
    let told = |Mistake { line, span: _, error }: Mistake| (line, error.to_string());
    let mistakes: Vec<_> = mistakes.into_iter().map(told).collect();
    if bad_lines > 0 && !skip_bad_lines {
        let problem =
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "lines have mistakes; nothing was changed");
        return problem.with_mistakes(mistakes, bad_lines).into_response();
    }
    let count = records.len();
    match tokio::spawn(admin.devices.import(records, by)).await {
        Ok(Ok(changed)) => axum::Json(json!({
            "records": count,
            "changed": changed,
            "bad_lines": bad_lines,
            "mistakes": listed(&mistakes),
        }))
        .into_response(),
        Ok(Err(error)) => error.into_response(),
        Err(_) => broken_off(),
    }
}

/// Reads lines as they come.
async fn received(body: Body) -> Result<Read, Problem> {
    let mut lines = Lines::default();
    let mut room = MOST_LINE_BYTES;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
        room = room
            .checked_sub(chunk.len())
            .ok_or_else(|| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "an import has at most 256 MiB"))?;
        lines.feed(&chunk);
        // Parsing does not wait for anything, so others would wait for it.
        tokio::task::yield_now().await;
    }
    Ok(lines.finish())
}
