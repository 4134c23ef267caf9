//! Which web pages may call: those of listed origins. There are no cookies, so a page that may not call can do no harm with
//! somebody else's rights; this keeps it from reading answers.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::State;

/// The origin of the request, if it is a listed one.
pub(super) fn listed(state: &State, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    state.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// May this request open a WebSocket? One without an origin is not a browser's; our own page counts where it is shown.
pub(super) fn may_open_socket(state: &State, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let is_own_page = || {
        let host = headers.get(HOST)?.as_bytes();
        let origin = origin.to_str().ok()?;
        let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))?;
        Some(place.as_bytes() == host)
    };
    listed(state, headers).is_some() || (state.explorer.is_some() && is_own_page() == Some(true))
}

/// The answer to a browser that asks before it sends.
pub(super) fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Lets the page of `origin` read the answer.
pub(super) fn allow(response: &mut Response, origin: HeaderValue) {
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
}
