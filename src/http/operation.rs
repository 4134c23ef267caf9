//! One operation, whatever it came over: from a call to what the engine runs, and from there to answers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{Request, ServerError, Variables};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;

use super::answer::{Answer, shortened};
use super::{Door, State};
use crate::graphql::Session;
use crate::telemetry::Metrics;

/// How long a query or a mutation may run.
const EXECUTION_LIMIT: Duration = Duration::from_secs(30);

/// What a client sends, by POST, GET or WebSocket. Members that are not known are ignored, null means absent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call {
    pub query: Option<String>,
    pub operation_name: Option<String>,
    pub variables: Option<Variables>,
    pub extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Call {
    /// Is there neither a document nor the hash of one?
    pub fn is_empty(&self) -> bool {
        self.query.is_none() && !self.names_persisted_query()
    }

    fn names_persisted_query(&self) -> bool {
        self.extensions.as_ref().is_some_and(|extensions| extensions.contains_key("persistedQuery"))
    }
}

/// A document that parses, and which of its operations is asked for.
pub(super) struct Operation {
    request: Request,
    pub kind: OperationType,
}

impl Operation {
    /// Parses the call's document, once.
    ///
    /// # Errors
    /// The answer to it.
    pub fn read(call: Call, metrics: &Metrics) -> Result<Operation, Answer> {
        let Some(query) = call.query else {
            let text = "Persisted queries are not kept here. Send the document.";
            return Err(Answer::refused("PERSISTED_QUERY_NOT_SUPPORTED", text, metrics));
        };
        let document = parse_query(&query).map_err(|fault| {
            let mut error = ServerError::from(fault);
            error.message = shortened(&error.message);
            Answer::refusing(error, "BAD_USER_INPUT", metrics)
        })?;
        let kind = match &document.operations {
            DocumentOperations::Single(operation) => Some(operation.node.ty),
            DocumentOperations::Multiple(operations) => match &call.operation_name {
                Some(name) => operations.get(name.as_str()).map(|operation| operation.node.ty),
                None if operations.len() == 1 => operations.values().next().map(|operation| operation.node.ty),
                None => None,
            },
        };
        let kind = kind.ok_or_else(|| {
            let text = "Several operations are in the document: `operationName` must name one of them.";
            Answer::refused("BAD_USER_INPUT", text, metrics)
        })?;
        let mut request = Request::new(query).variables(call.variables.unwrap_or_default());
        request.operation_name = call.operation_name;
        request.set_parsed_query(document);
        Ok(Operation { request, kind })
    }
}

/// Runs a query or a mutation.
pub(super) async fn execute(state: &State, operation: Operation, session: Session) -> Answer {
    state.metrics.operations.add_one();
    let work = state.schema.execute(operation.request.data(session));
    match tokio::time::timeout(EXECUTION_LIMIT, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(response)) => Answer::of(response, &state.metrics),
        Ok(Err(payload)) => Answer::panicked(payload.as_ref(), &state.metrics),
        // What was handed to the committer is committed all the same: an idempotency key tells on the next try.
        Err(_) => Answer::refused("TIMEOUT", "This took too long. Try again.", &state.metrics),
    }
}

/// What a running operation has to say.
#[derive(Debug)]
pub(super) enum Step {
    /// A result; more may come.
    Next(Answer),
    /// It is refused or broken; nothing more comes.
    Fail(Answer),
    /// It has ended.
    Done,
}

/// Runs an operation of any kind. The next result is only worked on when it is asked for; but a subscription is in force when this
/// returns, so that whoever hears an answer to something sent after it knows that nothing committed from then on is missed.
pub(super) async fn start(door: Arc<Door>, operation: Operation, session: Session) -> BoxStream<'static, Step> {
    let is_subscription = operation.kind == OperationType::Subscription;
    if !is_subscription {
        return stream(door, operation, session);
    }
    match door.state.services.newest().await {
        Ok(position) => stream(door, operation, session.since(position)),
        Err(fault) => {
            tracing::warn!(?fault, "where the log ends could not be found out");
            fail(Answer::unavailable(&door.state.metrics))
        }
    }
}

/// The steps of an operation that has failed before it began.
pub(super) fn fail(answer: Answer) -> BoxStream<'static, Step> {
    stream::once(async { Step::Fail(answer) }).boxed()
}

fn stream(door: Arc<Door>, operation: Operation, session: Session) -> BoxStream<'static, Step> {
    let state = &door.state;
    state.metrics.operations.add_one();
    let is_subscription = operation.kind == OperationType::Subscription;
    let running = is_subscription.then(|| Running::new(&door));
    let responses = state.schema.execute_stream(operation.request.data(session));
    AssertUnwindSafe(responses)
        .catch_unwind()
        .map(move |response| {
            let _running = &running;
            let metrics = &door.state.metrics;
            match response {
                Err(payload) => Step::Fail(Answer::panicked(payload.as_ref(), metrics)),
                Ok(response) => {
                    let answer = Answer::of(response, metrics);
                    let is_end = !answer.has_begun() || (is_subscription && answer.ends_subscription());
                    if is_end { Step::Fail(answer) } else { Step::Next(answer) }
                }
            }
        })
        .chain(stream::once(async { Step::Done }))
        .boxed()
}

/// Counts a running subscription for as long as it lives.
struct Running(Arc<Door>);

impl Running {
    fn new(door: &Arc<Door>) -> Running {
        door.state.metrics.subscriptions.add(1);
        Running(Arc::clone(door))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state.metrics.subscriptions.add(-1);
    }
}
