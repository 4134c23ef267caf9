//! GraphQL over server-sent events, in distinct connections: one operation a response. The single-connection mode is left out.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::accept::Form;
use super::answer::Answer;
use super::operation::{self, Operation, Step};
use super::share::Share;
use super::{Door, until};
use crate::auth::{Claims, Principal};
use crate::graphql::Session;

/// Between two signs of life: proxies cut what is silent for longer.
const BEAT: Duration = Duration::from_secs(12);

const COMMENT: &[u8] = b":\n\n";

/// The data line is empty but there: browsers drop an event without one.
const COMPLETE: &str = "event: complete\ndata:\n\n";

/// The response to an operation that was refused before it began.
pub(super) fn refuse(answer: Answer) -> Response {
    respond(Body::from(next(&answer, None) + COMPLETE))
}

/// The response that carries an operation until it ends, the token ends, or the process does. In the last case no `complete` is sent: the
/// operation is not over, and the client connects again.
pub(super) async fn stream(
    door: Arc<Door>,
    operation: Operation,
    session: Session,
    claims: Claims,
    resume: Option<String>,
    share: Share<Principal>,
) -> Response {
    let feed = Feed {
        steps: operation::start(Arc::clone(&door), operation, session, resume).await,
        stop: Box::pin({
            let shutdown = door.shutdown.clone();
            async move { shutdown.requested().await }
        }),
        expiry: Box::pin({
            let clock = door.state.clock.clone();
            async move { until(&clock, claims.expires_at).await }
        }),
        has_ended: false,
        _share: share,
        door,
    };
    let opening = stream::once(async { Bytes::from_static(COMMENT) });
    let events = opening.chain(stream::unfold(feed, Feed::advance));
    respond(Body::from_stream(events.map(Ok::<_, Infallible>)))
}

fn respond(body: Body) -> Response {
    // Some proxies gather a response before they pass it on, unless told not to.
    let buffering = ("x-accel-buffering", HeaderValue::from_static("no"));
    ([(CONTENT_TYPE.as_str(), Form::Events.content_type()), buffering], body).into_response()
}

/// The event's id is the cursor: what connects again says it by `Last-Event-ID`.
fn next(answer: &Answer, cursor: Option<&str>) -> String {
    let id = cursor.map(|cursor| format!("id: {cursor}\n")).unwrap_or_default();
    match serde_json::to_string(answer) {
        Ok(json) => format!("event: next\n{id}data: {json}\n\n"),
        Err(fault) => {
            tracing::error!(%fault, "an answer could not be written");
            String::new()
        }
    }
}

/// A running operation on its way into the response. It is only asked for more when the last piece has been taken.
struct Feed {
    door: Arc<Door>,
    steps: BoxStream<'static, Step>,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    expiry: Pin<Box<dyn Future<Output = ()> + Send>>,
    has_ended: bool,
    _share: Share<Principal>,
}

impl Feed {
    async fn advance(mut self) -> Option<(Bytes, Feed)> {
        if self.has_ended {
            return None;
        }
        let text = tokio::select! {
            biased;
            () = &mut self.stop => return None,
            () = &mut self.expiry => self.last(next(&Answer::unauthenticated(&self.door.state.metrics), None)),
            step = self.steps.next() => match step {
                Some(Step::Next(answer, cursor)) => next(&answer, cursor.as_deref()),
                Some(Step::Fail(answer)) => self.last(next(&answer, None)),
                Some(Step::Done) | None => self.last(String::new()),
            },
            () = tokio::time::sleep(BEAT) => return Some((Bytes::from_static(COMMENT), self)),
        };
        Some((Bytes::from(text), self))
    }

    fn last(&mut self, text: String) -> String {
        self.has_ended = true;
        text + COMPLETE
    }
}
