//! One operation, whatever it came over: from a call to what the engine runs, and from there to answers.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::executable::OperationType;
use apollo_compiler::response::JsonMap;
use async_graphql::{Response, value};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;

use super::answer::Answer;
use super::rate::Price;
use super::{Door, State};
use crate::auth::Principal;
use crate::graphql::document::{self, Documents, Hash, Refusal};
use crate::graphql::{News, Session, Source};
use crate::service::Fault;

/// How long a query or a mutation may run.
const EXECUTION_LIMIT: Duration = Duration::from_secs(30);

/// How long an operation waits for its user's others.
const TURN_LIMIT: Duration = Duration::from_secs(15);

/// A document longer than this is read away from the threads that serve everybody.
const SMALL: usize = 4 * 1024;

/// What it costs to read a document that has not been seen before: a base, and one for so many bytes.
const READING: u64 = 50;
const BYTES_READ: u64 = 16;

/// What the lines of operations are filtered by in the log.
const LOGGED: &str = "riskgate::operation";

/// Characters of an operation's name that the log shows.
const NAME_SHOWN: usize = 64;

/// What a client sends, by POST, GET or WebSocket. Members that are not known are ignored, null means absent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call {
    pub query: Option<String>,
    pub operation_name: Option<String>,
    pub variables: Option<JsonMap>,
    pub extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Call {
    /// Is there neither a document nor the hash of one?
    pub fn is_empty(&self) -> bool {
        self.query.is_none() && self.persisted_query().is_none()
    }

    /// What reading the document costs where it has not been seen before, whether it is good or not.
    fn fee(&self) -> u64 {
        self.query.as_ref().map_or(0, |query| READING + query.len() as u64 / BYTES_READ)
    }

    /// Takes that from the buckets of `who`, before anything is read.
    ///
    /// # Errors
    /// How long to wait until there is enough.
    pub fn charge(&self, door: &Door, who: &Principal) -> Result<(), Duration> {
        door.rates.take(who, Price { cost: self.fee(), decisions: 0 }, door.state.clock.now())
    }

    /// `"extensions": { "cost": true }` asks for `extensions.cost` in the answer.
    fn asks_for_cost(&self) -> bool {
        let asked = self.extensions.as_ref().and_then(|extensions| extensions.get("cost"));
        asked == Some(&serde_json::Value::Bool(true))
    }

    fn persisted_query(&self) -> Option<&serde_json::Value> {
        self.extensions.as_ref()?.get("persistedQuery")
    }

    fn hash(&self) -> Option<Hash> {
        let text = self.persisted_query()?.get("sha256Hash")?.as_str()?;
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(hash)
    }
}

/// An operation that may run.
pub(super) struct Operation {
    call: document::Call,
    asks_for_cost: bool,
    /// What was taken for reading the document, and was not needed.
    fee: u64,
    /// Whose buckets have paid for it.
    payer: Option<Principal>,
}

impl Operation {
    /// Reads the call: its document, which of its operations is asked for, its variables.
    ///
    /// # Errors
    /// The answer to it.
    pub async fn read(call: Call, state: &State) -> Result<Operation, Answer> {
        let refused = |refusal: Refusal| Answer::refusing(refusal.errors, refusal.code, &state.metrics);
        let (hash, fee, asks_for_cost) = (call.hash(), call.fee(), call.asks_for_cost());
        let (document, is_known) = match call.query {
            Some(query) => find(&state.documents, query, state).await.map_err(refused)?,
            None => {
                let known = hash.filter(|_| state.documents.is_closed()).and_then(|hash| state.documents.known(&hash));
                let known = known.ok_or_else(|| {
                    // These very words: some clients know it by them and not by the code.
                    Answer::refused("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported", &state.metrics)
                })?;
                (known, true)
            }
        };
        let name = call.operation_name.as_deref();
        let call = state.documents.call(document, name, &call.variables.unwrap_or_default()).map_err(refused)?;
        Ok(Operation { call, asks_for_cost, fee: if is_known { fee } else { 0 }, payer: None })
    }

    /// Query, mutation or subscription.
    pub fn kind(&self) -> OperationType {
        self.call.kind()
    }

    /// Takes what it can cost from the buckets of `who`; what it did not cost is given back when it has run.
    ///
    /// # Errors
    /// How long to wait until there is enough.
    pub fn charge(&mut self, door: &Door, who: &Principal) -> Result<(), Duration> {
        door.rates.settle(who, self.fee);
        door.rates.take(who, self.price(), door.state.clock.now())?;
        self.payer = Some(who.clone());
        Ok(())
    }

    /// Tells the log what ran, for whom; never with which variables.
    fn log(&self, subject: &Principal) {
        if !tracing::enabled!(target: LOGGED, tracing::Level::DEBUG) {
            return;
        }
        let subject = match subject {
            Principal::Person(user) => user.to_string(),
            Principal::Application(application) => application.id.to_string(),
        };
        let name: String = self.call.name().unwrap_or("-").chars().take(NAME_SHOWN).collect();
        let (kind, cost, document) = (self.call.kind().name(), self.call.cost(), self.call.document());
        tracing::debug!(target: LOGGED, kind, name, document, cost, subject, "an operation begins");
    }

    fn price(&self) -> Price {
        Price { cost: self.call.cost(), decisions: self.call.decisions() }
    }

    /// Gives back what `answer` was less than expected, and says so where that was asked for.
    fn settle(&self, door: &Door, who: &Principal, answer: &mut Answer) {
        let used = answer.values();
        door.rates.settle(who, self.call.cost().saturating_sub(used));
        if self.asks_for_cost {
            let (rate, left) = door.rates.costs(who, door.state.clock.now());
            let cost = value!({
                "requestedQueryCost": self.call.cost(),
                "actualQueryCost": used,
                "throttleStatus": {
                    "maximumAvailable": rate.burst,
                    "currentlyAvailable": left,
                    "restoreRate": rate.per_minute / 60,
                },
            });
            answer.extensions.insert("cost".to_owned(), cost);
        }
    }
}

async fn find(
    documents: &Arc<Documents>,
    source: String,
    state: &State,
) -> Result<(Arc<document::Document>, bool), Refusal> {
    let found = if source.len() <= SMALL {
        documents.find(&source)
    } else {
        let documents = Arc::clone(documents);
        // A panic in there is a fault of ours like any other.
        tokio::task::spawn_blocking(move || documents.find(&source)).await.unwrap_or_else(|fault| {
            tracing::error!(%fault, "a document could not be read");
            Err(Refusal {
                code: "INTERNAL",
                errors: vec![async_graphql::ServerError::new("Something went wrong.", None)],
            })
        })
    };
    let (document, is_known) = found?;
    match is_known {
        true => state.metrics.documents_known.add_one(),
        false => state.metrics.documents_read.add_one(),
    }
    Ok((document, is_known))
}

/// Runs a query or a mutation.
pub(super) async fn execute(door: &Door, mut operation: Operation, session: Session) -> Answer {
    let payer = operation.payer.take();
    operation.log(&session.actor().principal);
    let turn = match &payer {
        None => None,
        Some(who) => match tokio::time::timeout(TURN_LIMIT, door.turns.wait(who, operation.call.cost())).await {
            Ok(turn) => Some(turn),
            Err(_) => {
                door.rates.settle(who, operation.call.cost());
                return Answer::refused("TIMEOUT", "Too much of yours is under way. Try again.", &door.state.metrics);
            }
        },
    };
    let mut answer = perform(&door.state, &mut operation, session).await;
    drop(turn);
    if let Some(who) = payer {
        operation.settle(door, &who, &mut answer);
    }
    answer
}

async fn perform(state: &State, operation: &mut Operation, session: Session) -> Answer {
    state.metrics.operations.add_one();
    let request = match operation.call.request() {
        Ok(request) => request,
        Err(refusal) => return Answer::refusing(refusal.errors, refusal.code, &state.metrics),
    };
    let work = state.schema.execute(request.data(Arc::new(session)));
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
    /// A result; more may come. A message of a subscription has the cursor to resume after it.
    Next(Answer, Option<String>),
    /// It is refused or broken; nothing more comes.
    Fail(Answer),
    /// It has ended.
    Done,
}

/// Runs an operation of any kind. The next result is only worked on when it is asked for; but a subscription is in force when this
/// returns, so that whoever hears an answer to something sent after it knows that nothing committed from then on is missed.
/// `resume`: the cursor of the last message that arrived, where the transport knows it.
pub(super) async fn start(
    door: Arc<Door>,
    operation: Operation,
    session: Session,
    resume: Option<String>,
) -> BoxStream<'static, Step> {
    if operation.kind() == OperationType::Subscription {
        return Box::pin(follow(door, operation, session, resume)).await;
    }
    let once = async move {
        let answer = execute(&door, operation, session).await;
        if answer.has_begun() { Step::Next(answer, None) } else { Step::Fail(answer) }
    };
    // Nobody asks for more after a failure.
    stream::once(once).chain(stream::once(async { Step::Done })).boxed()
}

/// The steps of an operation that has failed before it began.
pub(super) fn fail(answer: Answer) -> BoxStream<'static, Step> {
    stream::once(async { Step::Fail(answer) }).boxed()
}

/// A subscription in force. The engine is only there while it finds the source, and while it works on a message: an idle subscription
/// is a source, a document that others share, and its variables.
struct Following {
    door: Arc<Door>,
    operation: Operation,
    source: Source,
    session: Arc<Session>,
    has_ended: bool,
}

async fn follow(
    door: Arc<Door>,
    mut operation: Operation,
    session: Session,
    resume: Option<String>,
) -> BoxStream<'static, Step> {
    let state = &door.state;
    state.metrics.operations.add_one();
    operation.log(&session.actor().principal);
    let position = match state.services.newest().await {
        Ok(position) => position,
        Err(fault) => {
            tracing::warn!(?fault, "where the log ends could not be found out");
            return fail(Answer::unavailable(&state.metrics));
        }
    };
    let session = Arc::new(session.following(position, resume));
    match run(state, &mut operation, Arc::clone(&session)).await {
        Err(answer) => return fail(answer),
        Ok(Some(response)) => return fail(Answer::of(response, &state.metrics)),
        Ok(None) => {}
    }
    let Some(source) = session.source() else {
        let fault = Response::from_errors(vec![async_graphql::ServerError::new("a subscription without source", None)]);
        return fail(Answer::of(fault, &state.metrics));
    };
    state.metrics.subscriptions.add(1);
    let following = Following { door, operation, source, session, has_ended: false };
    stream::unfold(following, Following::advance).boxed()
}

impl Following {
    async fn advance(mut self) -> Option<(Step, Following)> {
        if self.has_ended {
            return None;
        }
        let next = AssertUnwindSafe(self.source.next()).catch_unwind().await;
        let step = match next {
            Ok(Some(news)) => Box::pin(self.tell(news)).await,
            Ok(None) => Step::Done,
            Err(payload) => Step::Fail(Answer::panicked(payload.as_ref(), &self.door.state.metrics)),
        };
        self.has_ended = !matches!(step, Step::Next(..));
        Some((step, self))
    }

    async fn tell(&mut self, news: Result<News, Fault>) -> Step {
        let state = &self.door.state;
        let _turn = state.services.turn().await;
        let is_fault = news.is_err();
        let cursor = news.as_ref().ok().map(|news| news.cursor().to_owned());
        let session = Session::telling(news, &self.session);
        match run(state, &mut self.operation, Arc::new(session)).await {
            Err(answer) => Step::Fail(answer),
            Ok(None) => Step::Done,
            Ok(Some(response)) => {
                let answer = Answer::of(response, &state.metrics);
                if is_fault || !answer.has_begun() { Step::Fail(answer) } else { Step::Next(answer, cursor) }
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.door.state.metrics.subscriptions.add(-1);
    }
}

/// The engine's first response to a subscription; none where its field only found the source.
async fn run(state: &State, operation: &mut Operation, session: Arc<Session>) -> Result<Option<Response>, Answer> {
    let metrics = &state.metrics;
    let request =
        operation.call.request().map_err(|refusal| Answer::refusing(refusal.errors, refusal.code, metrics))?;
    let mut responses = state.schema.execute_stream(request.data(session)).boxed();
    let work = AssertUnwindSafe(responses.next()).catch_unwind();
    let panicked = |payload: Box<dyn Any + Send>| Answer::panicked(payload.as_ref(), metrics);
    match tokio::time::timeout(EXECUTION_LIMIT, work).await {
        Ok(response) => response.map_err(panicked),
        Err(_) => Err(Answer::refused("TIMEOUT", "This took too long. Try again.", metrics)),
    }
}
