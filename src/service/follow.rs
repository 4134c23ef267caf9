//! Following the log. One follower on each instance hears of every commit (its own at once, another instance's by notice, and
//! both by a poll that needs neither) and wakes those whom it may concern. A subscriber reads what it missed from the log itself,
//! so nothing is kept for it and nothing can be skipped; rights are asked again at every event.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entity::{RequestId, RiskSource, Timestamp, UserId, event};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tracing::warn;

use super::{Fault, Services};
use crate::domain::event::EventKind;
use crate::domain::permission::{Actor, Principal, risk_source};
use crate::domain::request::is_terminal;
use crate::store::{RequestRow, StageRow, Store};

/// How often the head is asked for, whether or not anybody has told of a commit.
const POLL: Duration = Duration::from_millis(250);
/// Events read at a time.
const BATCH: usize = 500;
/// Subscribers that read at a time.
const TURNS: usize = 8;

/// Wakes subscribers of this instance.
pub struct Follower {
    store: Store,
    begin: i64,
    risk: watch::Sender<i64>,
    /// Tells where the log told last of a person's risk.
    told: watch::Sender<i64>,
    requests: Mutex<HashMap<RequestId, watch::Sender<i64>>>,
    /// Whoever reads here is told when the directory changes something about them.
    readers: Mutex<HashMap<UserId, watch::Sender<i64>>>,
    /// Tells nothing: for readers of whom the directory knows nothing.
    nothing: watch::Sender<i64>,
    /// The directory's version when they were told last.
    directory: AtomicI64,
    /// An event wakes thousands at once. They take turns at the database, so that nobody else waits behind all of them, and nobody's
    /// wait for a connection runs out.
    turns: Semaphore,
}

impl Follower {
    /// One that has heard of everything up to now: what comes between this and [`Follower::run`] is followed too.
    pub fn new(store: Store) -> Follower {
        let begin = *store.watch_head().borrow();
        let (risk, _) = watch::channel(0);
        Follower {
            store,
            begin,
            risk,
            told: watch::channel(0).0,
            requests: Mutex::default(),
            readers: Mutex::default(),
            nothing: watch::channel(0).0,
            directory: AtomicI64::new(0),
            turns: Semaphore::new(TURNS),
        }
    }

    /// Follows the log until the server stops.
    pub async fn run(&self) {
        let mut head = self.store.watch_head();
        let mut position = self.begin;
        loop {
            // Only the hurry; an error of it is an end of the server, which ends this task too.
            let _ = tokio::time::timeout(POLL, head.changed()).await;
            head.borrow_and_update();
            match self.advance(position).await {
                Ok(reached) => position = reached,
                Err(fault) => {
                    warn!(?fault, "the log cannot be followed now");
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    async fn advance(&self, mut position: i64) -> Result<i64, Fault> {
        loop {
            let events = self.store.events_after(position, BATCH).await?;
            let Some(last) = events.last() else { return Ok(position) };
            position = last.position;
            self.wake(&events);
            let of_directory = [EventKind::DirectoryImported.as_str(), EventKind::DirectorySynchronized.as_str()];
            if events.iter().any(|event| of_directory.contains(&event.kind.as_str())) {
                self.warn_readers(position).await?;
            }
            // Other parts of this instance learn the head from here where a notice was lost.
            self.store.announce(position);
            if events.len() < BATCH {
                return Ok(position);
            }
        }
    }

    fn wake(&self, events: &[event::Model]) {
        if let Some(event) = events.iter().rev().find(|event| is_risk_pending(event)) {
            self.risk.send_replace(event.position);
        }
        if let Some(event) = events.iter().rev().find(|event| event.is_risk && event.request_id.is_none()) {
            self.told.send_replace(event.position);
        }
        let mut requests = self.requests.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for event in events {
            let Some(id) = event.request_id else { continue };
            let is_forgotten = requests.get(&id).is_some_and(|sender| sender.send(event.position).is_err());
            if is_forgotten {
                requests.remove(&id);
            }
        }
    }

    /// Tells those readers whose account or sets of people have changed since the last time.
    async fn warn_readers(&self, position: i64) -> Result<(), Fault> {
        let version = self.store.head().await?.directory_version;
        let ids: Vec<UserId> = {
            let mut readers = self.readers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            readers.retain(|_, sender| sender.receiver_count() > 0);
            readers.keys().copied().collect()
        };
        // Nothing is known before the first time: then everybody asks again.
        let before = self.directory.swap(version, Ordering::Relaxed);
        let changed = if ids.is_empty() { ids } else { self.store.people_changed(&ids, before).await? };
        let readers = self.readers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for sender in changed.iter().filter_map(|id| readers.get(id)) {
            sender.send_replace(position);
        }
        Ok(())
    }

    /// Of an application the directory tells nothing.
    fn watch_reader(&self, principal: &Principal) -> watch::Receiver<i64> {
        let Principal::Person(user) = principal else { return self.nothing.subscribe() };
        let mut readers = self.readers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        readers.entry(*user).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Where the log told last of a person's risk.
    pub fn watch_told(&self) -> watch::Receiver<i64> {
        self.told.subscribe()
    }

    fn watch_risk(&self) -> watch::Receiver<i64> {
        self.risk.subscribe()
    }

    fn watch_request(&self, id: RequestId) -> watch::Receiver<i64> {
        let mut requests = self.requests.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if requests.len() > 1_000 {
            requests.retain(|_, sender| sender.receiver_count() > 0);
        }
        requests.entry(id).or_insert_with(|| watch::channel(0).0).subscribe()
    }
}

fn is_risk_pending(event: &event::Model) -> bool {
    event.is_risk && event.kind == EventKind::StagePending.as_str()
}

/// A risk stage became pending, for somebody who may decide it.
#[derive(Debug, Clone)]
pub struct PendingRisk {
    /// Who is told, with the rights held at this moment.
    pub actor: Actor,
    /// The event's cursor.
    pub cursor: String,
    /// When it became pending.
    pub occurred_at: Timestamp,
    /// The stage as it is now.
    pub stage: StageRow,
}

/// A request changed, for somebody who sees what changed.
#[derive(Debug, Clone)]
pub struct RequestUpdate {
    /// Who is told, with the rights held at this moment.
    pub actor: Actor,
    /// The cursor of the commit's last event that the reader sees.
    pub cursor: String,
    /// When.
    pub occurred_at: Timestamp,
    /// The request as it is now.
    pub request: RequestRow,
}

/// Where one subscription stands.
struct Reading {
    services: Arc<Services>,
    principal: Principal,
    expires_at: Timestamp,
    position: i64,
    waiting: VecDeque<event::Model>,
    news: watch::Receiver<i64>,
    rights: watch::Receiver<i64>,
}

impl Reading {
    /// Who reads, asked again; nobody any more once the token has ended.
    async fn actor(&self) -> Result<Actor, Fault> {
        if self.services.clock.now() >= self.expires_at {
            return Err(Fault::Unauthenticated);
        }
        self.services.actor_now(&self.principal).await
    }

    /// Waits for news, or for a change of the reader's own rights, which are asked again then. That the token ends meanwhile is the
    /// door's to see; at the next event it is seen here too.
    async fn wait(&mut self) -> Result<(), Fault> {
        // Nothing is kept of the last reading: ten thousand wait like this.
        self.waiting = VecDeque::new();
        let (woken, is_rights) = tokio::select! {
            woken = self.rights.changed() => (woken, true),
            woken = self.news.changed() => (woken, false),
        };
        woken.map_err(|_| Fault::Unavailable("the log is not followed any more".to_owned()))?;
        if is_rights {
            Box::pin(self.actor()).await?;
        }
        Ok(())
    }
}

impl Services {
    fn reading(
        self: &Arc<Self>,
        principal: Principal,
        expires_at: Timestamp,
        since: i64,
        after: Option<&str>,
        news: watch::Receiver<i64>,
    ) -> Result<Reading, Fault> {
        let position = match after {
            Some(cursor) => self.cursors.open(cursor, since)?,
            None => since,
        };
        // Whatever was committed before the news were subscribed to is found by the first reading, which comes after.
        let rights = self.follower.watch_reader(&principal);
        Ok(Reading { services: self.clone(), principal, expires_at, position, waiting: VecDeque::new(), news, rights })
    }

    /// A subscriber's turn to read, held as long as the value; it is waited for as long as it takes.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed; without a permit it would only be less fair.
        self.follower.turns.acquire().await.ok()
    }

    /// Position of the newest event, asked of the database.
    pub async fn newest(&self) -> Result<i64, Fault> {
        Ok(self.store.head_position().await?)
    }

    /// Each time a risk stage becomes pending that the reader may decide: everything missed since `after`, in order, then live.
    /// Without `after`, from `since` on: the position when the subscription was received.
    pub fn follow_pending_risk(
        self: &Arc<Self>,
        principal: Principal,
        expires_at: Timestamp,
        since: i64,
        after: Option<&str>,
        sources: Option<Vec<RiskSource>>,
    ) -> Result<impl Stream<Item = Result<PendingRisk, Fault>> + Send + use<>, Fault> {
        let reading = self.reading(principal, expires_at, since, after, self.follower.watch_risk())?;
        Ok(unfold(Some((reading, sources)), |state| async move {
            let (mut reading, sources) = state?;
            match next_pending_risk(&mut reading, sources.as_deref()).await {
                Ok(item) => Some((Ok(item), Some((reading, sources)))),
                Err(fault) => Some((Err(fault), None)),
            }
        }))
    }

    /// Every change of one request that the reader sees; without `after`, first the request as it is now. Ends after the terminal
    /// change.
    pub async fn follow_request(
        self: &Arc<Self>,
        principal: Principal,
        expires_at: Timestamp,
        id: RequestId,
        after: Option<&str>,
    ) -> Result<impl Stream<Item = Result<RequestUpdate, Fault>> + Send + use<>, Fault> {
        let since = self.newest().await?;
        let reading = self.reading(principal, expires_at, since, after, self.follower.watch_request(id))?;
        let actor = reading.actor().await?;
        let row = visible(self, &actor, id).await?;
        let is_over = is_terminal(row.request.state);
        let first = match after {
            Some(_) => None,
            None => Some(RequestUpdate {
                actor,
                cursor: self.cursors.seal(reading.position),
                occurred_at: self.clock.now(),
                request: row,
            }),
        };
        let is_over = is_over && first.is_some();
        let first = first.map(Box::new);
        Ok(unfold(Some((reading, first, is_over)), move |state| async move {
            let (mut reading, first, is_over) = state?;
            if let Some(first) = first {
                return Some((Ok(*first), (!is_over).then_some((reading, None, false))));
            }
            match next_update(&mut reading, id).await {
                Ok(Some((item, is_over))) => Some((Ok(item), (!is_over).then_some((reading, None, false)))),
                Ok(None) => None,
                Err(fault) => Some((Err(fault), None)),
            }
        }))
    }
}

async fn next_pending_risk(reading: &mut Reading, sources: Option<&[RiskSource]>) -> Result<PendingRisk, Fault> {
    loop {
        reading.news.borrow_and_update();
        // Boxed, for who waits need not keep the room that reading takes.
        if let Some(item) = Box::pin(missed_pending_risk(reading, sources)).await? {
            return Ok(item);
        }
        reading.wait().await?;
    }
}

/// The next one that the log holds; `None` where it has no more.
async fn missed_pending_risk(
    reading: &mut Reading,
    sources: Option<&[RiskSource]>,
) -> Result<Option<PendingRisk>, Fault> {
    let services = reading.services.clone();
    let _turn = services.turn().await;
    loop {
        while let Some(event) = reading.waiting.pop_front() {
            reading.position = event.position;
            let Some(stage_id) = event.stage_id else { continue };
            let actor = reading.actor().await?;
            let now = reading.services.clock.now();
            let Some(stage) = reading.services.store.announced_stage(&actor, stage_id, now).await? else { continue };
            let source = risk_source(stage.stage.kind);
            if sources.is_some_and(|sources| !source.is_some_and(|source| sources.contains(&source))) {
                continue;
            }
            let cursor = reading.services.cursors.seal(event.position);
            return Ok(Some(PendingRisk { actor, cursor, occurred_at: event.occurred_at, stage }));
        }
        let events = reading.services.store.risk_pending_after(reading.position).await?;
        if events.is_empty() {
            return Ok(None);
        }
        reading.waiting = events.into();
    }
}

async fn visible(services: &Services, actor: &Actor, id: RequestId) -> Result<RequestRow, Fault> {
    services.store.visible_requests(actor, &[id]).await?.pop().ok_or(Fault::NotFound)
}

/// The next commit that changed something the reader sees, and whether it ended the request; `None` where it had ended before.
async fn next_update(reading: &mut Reading, id: RequestId) -> Result<Option<(RequestUpdate, bool)>, Fault> {
    loop {
        reading.news.borrow_and_update();
        match Box::pin(missed_update(reading, id)).await? {
            Missed::Update(update, is_over) => return Ok(Some((*update, is_over))),
            Missed::Over => return Ok(None),
            Missed::Nothing => reading.wait().await?,
        }
    }
}

/// What the log holds of a request.
enum Missed {
    /// A commit, and whether it ended the request.
    Update(Box<RequestUpdate>, bool),
    /// The request had ended before.
    Over,
    /// No more so far.
    Nothing,
}

async fn missed_update(reading: &mut Reading, id: RequestId) -> Result<Missed, Fault> {
    let services = reading.services.clone();
    let _turn = services.turn().await;
    loop {
        if reading.waiting.is_empty() {
            let events = reading.services.store.request_events_after(id, reading.position).await?;
            if events.is_empty() {
                let actor = reading.actor().await?;
                let row = visible(&reading.services, &actor, id).await?;
                if !is_terminal(row.request.state) {
                    return Ok(Missed::Nothing);
                }
                // It ended before this position; but it may have ended between the two readings: look once more.
                if reading.services.store.request_events_after(id, reading.position).await?.iter().all(is_afterlife) {
                    return Ok(Missed::Over);
                }
                continue;
            }
            reading.waiting = events.into();
        }
        let Some(first) = reading.waiting.pop_front() else { continue };
        let mut commit = vec![first];
        while reading.waiting.front().is_some_and(|event| event.commit_id == commit[0].commit_id) {
            commit.extend(reading.waiting.pop_front());
        }
        let position = commit.last().map_or(reading.position, |event| event.position);
        let actor = reading.actor().await?;
        let row = visible(&reading.services, &actor, id).await?;
        reading.position = position;
        if commit.iter().all(is_afterlife) {
            // What comes after the end (access that runs out) is the assignment's story.
            return Ok(Missed::Over);
        }
        let is_over = commit.iter().any(is_end);
        let shown = commit.iter().rfind(|event| changes_something(event) && (!event.is_risk || row.reads_risk));
        if let Some(shown) = shown {
            let cursor = reading.services.cursors.seal(shown.position);
            let update = RequestUpdate { actor, cursor, occurred_at: shown.occurred_at, request: row };
            return Ok(Missed::Update(Box::new(update), is_over));
        }
    }
}

/// Does the event tell of a change of the request's own state or of its stages?
fn changes_something(event: &event::Model) -> bool {
    let quiet = [EventKind::DecisionRefused, EventKind::StageWithoutApprover];
    !quiet.iter().any(|kind| kind.as_str() == event.kind)
}

fn is_end(event: &event::Model) -> bool {
    let ends =
        [EventKind::RequestDelivered, EventKind::RequestDenied, EventKind::RequestTimedOut, EventKind::RequestCanceled];
    ends.iter().any(|kind| kind.as_str() == event.kind)
}

fn is_afterlife(event: &event::Model) -> bool {
    event.kind == EventKind::AssignmentExpired.as_str()
}
