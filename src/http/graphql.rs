//! GraphQL over HTTP: POST and GET on `/graphql`, and the way to the WebSocket and the event stream from there.
//!
//! A request is judged in a fixed order, the cheap before the dear: method, `Accept`, token, headers of the body, the body, the document.
//! Nothing of a body is read for somebody who is nobody.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::executable::OperationType;
use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequestParts, Query, Request, State, WebSocketUpgrade};
use axum::http::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, UPGRADE,
    WWW_AUTHENTICATE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;

use super::accept::{Accepted, Form, negotiate};
use super::answer::{Answer, seconds};
use super::crowd::Guest;
use super::listen::Caller;
use super::operation::{self, Call, Operation};
use super::share::{Full, Share};
use super::{Door, SMALL, cors, sse, ws};
use crate::auth::{self, Claims, Denied, Principal};
use crate::graphql::Session;

/// What an answer holds until the client has taken it: an extension of the response.
#[derive(Clone)]
pub(super) struct Weight(#[expect(dead_code, reason = "lives to be counted")] Arc<Share<Principal>>);

/// Why a request is not an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Method,
    Mutation,
    Form,
    Events,
    Unauthenticated,
    Unavailable,
    ContentType,
    ContentEncoding,
    TooLarge,
    TooSlow,
    /// Too much was asked for; there is more again after so long.
    TooMuch(Duration),
    /// Too many failed authentications.
    TooManyFailures(Duration),
    /// So much of one user is under way that there must be an end first.
    Busy,
    /// The same of all.
    Crowded,
    Batch,
    Malformed,
    NoQuery,
    Origin,
    Upgrade,
}

impl Refusal {
    fn told(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        const BAD: &str = "BAD_USER_INPUT";
        const LIMIT: &str = "LIMIT_EXCEEDED";
        match self {
            Refusal::Method => (S::METHOD_NOT_ALLOWED, BAD, "Only GET and POST are served here."),
            Refusal::Mutation => (S::METHOD_NOT_ALLOWED, BAD, "A mutation must be sent by POST."),
            Refusal::Form => {
                let text = "Accept application/json, application/graphql-response+json or text/event-stream.";
                (S::NOT_ACCEPTABLE, BAD, text)
            }
            Refusal::Events => {
                (S::NOT_ACCEPTABLE, BAD, "A subscription needs a WebSocket, or `Accept: text/event-stream`.")
            }
            Refusal::Unauthenticated => (S::UNAUTHORIZED, "UNAUTHENTICATED", "A valid bearer token is needed."),
            Refusal::Unavailable => {
                (S::SERVICE_UNAVAILABLE, "UNAVAILABLE", "The service is not available now. Try again.")
            }
            Refusal::ContentType => (S::UNSUPPORTED_MEDIA_TYPE, BAD, "The body must be application/json in UTF-8."),
            Refusal::ContentEncoding => (S::UNSUPPORTED_MEDIA_TYPE, BAD, "The body must not be compressed."),
            Refusal::TooLarge => (S::PAYLOAD_TOO_LARGE, LIMIT, "The body is too large."),
            Refusal::TooSlow => (S::REQUEST_TIMEOUT, BAD, "The body did not arrive in time."),
            Refusal::TooMuch(_) => (S::TOO_MANY_REQUESTS, LIMIT, "You have asked for too much. Wait, then try again."),
            Refusal::TooManyFailures(_) => (
                S::TOO_MANY_REQUESTS,
                LIMIT,
                "Too many requests from your address had no valid token. Wait, then try again.",
            ),
            Refusal::Busy => {
                (S::TOO_MANY_REQUESTS, LIMIT, "Too much of yours is under way: end a stream, or wait for an answer.")
            }
            Refusal::Crowded => (S::SERVICE_UNAVAILABLE, "UNAVAILABLE", "There is no room now. Try again."),
            Refusal::Batch => (S::BAD_REQUEST, BAD, "Batches are not taken: send one operation."),
            Refusal::Malformed => {
                let text = "The request is no JSON object with `query`, `operationName`, `variables` and `extensions` of their types.";
                (S::BAD_REQUEST, BAD, text)
            }
            Refusal::NoQuery => (S::BAD_REQUEST, BAD, "`query` is missing."),
            Refusal::Origin => (S::FORBIDDEN, "FORBIDDEN", "Pages of this origin may not open a WebSocket."),
            Refusal::Upgrade => (S::BAD_REQUEST, BAD, "The WebSocket handshake is not complete."),
        }
    }

    fn answered(self, door: &Door, form: Form) -> Response {
        let (status, code, message) = self.told();
        let mut response = respond(status, form, &Answer::refused(code, message, &door.state.metrics));
        let (name, value) = match self {
            Refusal::Method => (ALLOW, HeaderValue::from_static("GET, POST")),
            Refusal::Mutation => (ALLOW, HeaderValue::from_static("POST")),
            Refusal::Unauthenticated => (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Refusal::Unavailable | Refusal::Busy | Refusal::Crowded => (RETRY_AFTER, HeaderValue::from_static("1")),
            Refusal::TooMuch(wait) | Refusal::TooManyFailures(wait) => (RETRY_AFTER, seconds(wait).into()),
            _ => return response,
        };
        response.headers_mut().insert(name, value);
        response
    }
}

/// Every request on `/graphql`.
pub(super) async fn handle(
    State(door): State<Arc<Door>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    door.state.metrics.requests.add_one();
    let (mut parts, body) = request.into_parts();
    let client = door.state.proxies.client(caller.peer, &parts.headers);
    let origin = cors::listed(&door.state, &parts.headers);
    let mut response = if is_upgrade(&parts) {
        upgrade(&door, &mut parts, caller.guest, client).await
    } else if parts.method == Method::OPTIONS && origin.is_some() {
        cors::preflight()
    } else {
        call(&door, parts, body, client).await
    };
    if let Some(origin) = origin {
        cors::allow(&mut response, origin);
    }
    response
}

/// There is nothing at this path.
pub(super) async fn nowhere(State(door): State<Arc<Door>>) -> Response {
    let answer =
        Answer::refused("BAD_USER_INPUT", "There is nothing here; the API is at /graphql.", &door.state.metrics);
    respond(StatusCode::NOT_FOUND, Form::Json, &answer)
}

/// There is something at this path, but not for this method. (`Allow` is added by the router.)
pub(super) async fn wrong_method(State(door): State<Arc<Door>>) -> Response {
    let answer = Answer::refused("BAD_USER_INPUT", "This method is not served here.", &door.state.metrics);
    respond(StatusCode::METHOD_NOT_ALLOWED, Form::Json, &answer)
}

fn is_upgrade(parts: &Parts) -> bool {
    let names = |header, word: &str| {
        let lines = parts.headers.get_all(header).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
    };
    parts.method == Method::GET && names(UPGRADE, "websocket") && names(CONNECTION, "upgrade")
}

async fn upgrade(door: &Arc<Door>, parts: &mut Parts, guest: Arc<Guest>, client: IpAddr) -> Response {
    if !cors::may_open_socket(&door.state, &parts.headers) {
        return Refusal::Origin.answered(door, Form::Json);
    }
    match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => ws::accept(Arc::clone(door), upgrade, guest, client),
        Err(_) => Refusal::Upgrade.answered(door, Form::Json),
    }
}

async fn call(door: &Arc<Door>, parts: Parts, body: Body, client: IpAddr) -> Response {
    if parts.method != Method::GET && parts.method != Method::POST {
        return Refusal::Method.answered(door, Form::Json);
    }
    let Some(accepted) = negotiate(&parts.headers) else { return Refusal::Form.answered(door, Form::Json) };
    match run(door, parts, body, accepted).await {
        Ok(response) => response,
        Err(Refusal::Unauthenticated) => {
            // Judged after the token, not before: whoever has a good one is not kept out by a neighbour who has none.
            let refusal = door.fail(client).map_or_else(Refusal::TooManyFailures, |()| Refusal::Unauthenticated);
            refusal.answered(door, accepted.plain())
        }
        Err(refusal) => refusal.answered(door, accepted.plain()),
    }
}

async fn run(door: &Arc<Door>, parts: Parts, body: Body, accepted: Accepted) -> Result<Response, Refusal> {
    let (session, claims) = admit(door, &parts.headers).await?;
    let is_get = parts.method == Method::GET;
    // What an EventSource says when it connects again.
    let resume = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let resume = resume.filter(|cursor| !cursor.is_empty());
    let call =
        if is_get { from_query(&parts)? } else { from_body(door, &parts.headers, body, &claims.principal).await? };
    if call.is_empty() {
        return Err(Refusal::NoQuery);
    }
    call.charge(door, &claims.principal).map_err(Refusal::TooMuch)?;
    let mut operation = match Operation::read(call, &door.state).await {
        Ok(operation) => operation,
        Err(answer) if accepted.best == Form::Events => return Ok(sse::refuse(answer)),
        Err(answer) => return Ok(respond(status(&answer, accepted.best), accepted.best, &answer)),
    };
    match operation.kind() {
        OperationType::Mutation if is_get => return Err(Refusal::Mutation),
        OperationType::Subscription if !accepted.takes_events => return Err(Refusal::Events),
        _ => operation.charge(door, &claims.principal).map_err(Refusal::TooMuch)?,
    }
    if operation.kind() == OperationType::Subscription || accepted.best == Form::Events {
        let mut share = door.streams.open(&claims.principal);
        share.grow(1).map_err(|_| Refusal::Busy)?;
        return Ok(sse::stream(Arc::clone(door), operation, session, claims, resume, share).await);
    }
    let is_query = operation.kind() == OperationType::Query;
    let answer = Box::pin(operation::execute(door, operation, session)).await;
    let mut response = respond(status(&answer, accepted.best), accepted.best, &answer);
    let size = usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX);
    if size > SMALL {
        let mut share = door.answers.open(&claims.principal);
        // What a mutation has done is told all the same.
        if share.grow(size).is_err() && is_query {
            return Err(Refusal::Busy);
        }
        response.extensions_mut().insert(Weight(Arc::new(share)));
    }
    Ok(response)
}

/// Who the `Authorization` header names.
async fn admit(door: &Door, headers: &HeaderMap) -> Result<(Session, Claims), Refusal> {
    let state = &door.state;
    let now = state.clock.now();
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(auth::bearer).ok_or(Refusal::Unauthenticated)?;
    match state.verifier.enter(&state.services, token, now).await {
        Ok((actor, claims)) => Ok((Session::new(actor, claims.expires_at), claims)),
        Err(Denied::Token(_) | Denied::Nobody) => Err(Refusal::Unauthenticated),
        Err(Denied::Unjudged | Denied::Fault(_)) => Err(Refusal::Unavailable),
    }
}

/// The parameters of a GET, all of them text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

fn from_query(parts: &Parts) -> Result<Call, Refusal> {
    fn json<T: for<'a> Deserialize<'a>>(text: Option<String>) -> Result<Option<T>, Refusal> {
        given(text).map_or(Ok(None), |text| serde_json::from_str(&text).map_err(|_| Refusal::Malformed))
    }
    /// An empty parameter is one that was not given.
    fn given(text: Option<String>) -> Option<String> {
        text.filter(|text| !text.is_empty())
    }
    let Query(parameters) = Query::<Parameters>::try_from_uri(&parts.uri).map_err(|_| Refusal::Malformed)?;
    Ok(Call {
        query: given(parameters.query),
        operation_name: given(parameters.operation_name),
        variables: json(parameters.variables)?,
        extensions: json(parameters.extensions)?,
    })
}

async fn from_body(door: &Door, headers: &HeaderMap, body: Body, user: &Principal) -> Result<Call, Refusal> {
    if !is_json(headers) {
        return Err(Refusal::ContentType);
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::ContentEncoding);
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let limit = door.state.limits.message_bytes;
    let length = match length.map(usize::try_from) {
        None => None,
        Some(Ok(length)) if length <= limit => Some(length),
        Some(_) => return Err(Refusal::TooLarge),
    };
    let bytes = tokio::time::timeout(door.state.limits.body, gather(door, body, length, user))
        .await
        .map_err(|_| Refusal::TooSlow)??;
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        // serde would also take the members of an object from an array.
        Some(b'[') => Err(Refusal::Batch),
        Some(b'{') => serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed),
        _ => Err(Refusal::Malformed),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(text) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let mut parts = text.split(';').map(str::trim);
    let is_utf8 = |part: &str| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) && parts.all(is_utf8)
}

/// `length`: what the head says that it has.
async fn gather(door: &Door, body: Body, length: Option<usize>, user: &Principal) -> Result<Vec<u8>, Refusal> {
    let mut share = door.bodies.open(user);
    let mut hold = |more| {
        share.grow(more).map_err(|full| match full {
            Full::Own => Refusal::Busy,
            Full::All => Refusal::Crowded,
        })
    };
    let mut bytes = Vec::new();
    if let Some(length) = length {
        // Asked for at once, so that nothing is read of what there is no room for.
        if length > SMALL {
            hold(length)?;
        }
        bytes.reserve_exact(length);
    }
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk: Bytes = chunk.map_err(|_| Refusal::Malformed)?;
        let total = bytes.len() + chunk.len();
        if total > door.state.limits.message_bytes {
            return Err(Refusal::TooLarge);
        }
        if length.is_none() && total > SMALL {
            hold(chunk.len())?;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// `application/json` says whether the request arrived, the other form whether execution began.
fn status(answer: &Answer, form: Form) -> StatusCode {
    match answer.refusal() {
        None => StatusCode::OK,
        // Never the client's fault, so not to be taken for an answer in any form.
        Some("INTERNAL") => StatusCode::INTERNAL_SERVER_ERROR,
        Some(_) if form != Form::GraphQl => StatusCode::OK,
        Some("FORBIDDEN") => StatusCode::FORBIDDEN,
        Some("UNAVAILABLE" | "TIMEOUT") => StatusCode::SERVICE_UNAVAILABLE,
        Some(_) => StatusCode::BAD_REQUEST,
    }
}

fn respond(status: StatusCode, form: Form, answer: &Answer) -> Response {
    match serde_json::to_vec(answer) {
        Ok(body) => (status, [(CONTENT_TYPE, form.content_type())], body).into_response(),
        Err(fault) => {
            tracing::error!(%fault, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
