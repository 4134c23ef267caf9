//! ID Protection's risk where it is kept elsewhere and may be asked for once a second: sweeps of everybody at risk, questions about one
//! person, and actions on people. What is learnt is written where the built-in store has its risk, and told by the log.
//!
//! What must stay true: no question without a turn, whatever it is for; nothing that is too old, incomplete or not understood counts as
//! no risk; what was read later is never replaced by what was read before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entity::{Origin, RiskLevel, RiskState, Seconds, Timestamp, UserId, user_risk};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use super::feed::{FeedFault, FeedFuture, RiskFeed, Told};
use super::risk::{Observed, ObservedFuture, RiskAction, RiskReader, observed};
use super::{ATTEMPTS, Fault};
use crate::clock::Clock;
use crate::domain::backoff;
use crate::domain::event::{EventActor, EventKind, NewEvent};
use crate::domain::freshness::{self, Fresh, Known};
use crate::domain::plan::{Guard, Plan};
use crate::domain::risk;
use crate::store::{Outcome, Slot, Store, StoreError};

/// What the turns are called.
pub const PACE: &str = "ID_PROTECTION";
/// One question in this time, for the tenant.
const INTERVAL: Seconds = Seconds(1);
/// So long, in microseconds, a question about one person waits for its turn: there must be time left for the answer.
const SINGLE_WAIT: i64 = 1_500_000;
/// So long whoever acts on people does, and a sweep, whose turn comes among the others'.
pub(super) const ACTION_WAIT: i64 = 5_000_000;
pub(super) const SWEEP_WAIT: i64 = 10_000_000;
/// Most people that one action names.
const ACTION_MAX: usize = 60;

/// How it is watched.
#[derive(Debug, Clone, Copy)]
pub struct WatchSettings {
    /// Between two sweeps.
    pub interval: Seconds,
    /// So old what was read may be.
    pub max_age: Seconds,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Unasked {
    /// Every turn in reach is taken.
    NoTurn,
    /// The source's fault.
    Feed(FeedFault),
    /// The database's.
    Store(StoreError),
}

impl From<StoreError> for Unasked {
    fn from(error: StoreError) -> Unasked {
        Unasked::Store(error)
    }
}

impl std::fmt::Display for Unasked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unasked::NoTurn => f.write_str("it may not be asked so often"),
            Unasked::Feed(fault) => f.write_str(fault.why()),
            Unasked::Store(error) => error.fmt(f),
        }
    }
}

impl From<Unasked> for Fault {
    fn from(unasked: Unasked) -> Fault {
        match unasked {
            Unasked::Store(error) => error.into(),
            other => Fault::Unavailable(format!("the risk source: {other}")),
        }
    }
}

type Asking = Shared<BoxFuture<'static, Result<Fresh, String>>>;

/// The source, watched.
#[derive(Clone)]
pub struct Watch(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) feed: Arc<dyn RiskFeed>,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) settings: WatchSettings,
    /// Questions about one person that are under way: whoever needs the answer waits for the same one.
    asking: Mutex<HashMap<UserId, Asking>>,
}

impl RiskReader for Watch {
    fn read(&self, user: UserId) -> ObservedFuture<'_> {
        Box::pin(async move {
            let known = self.0.known(user).await.map_err(|error| error.to_string())?;
            let fresh = match freshness::judge(&known, self.0.clock.now(), self.0.settings.max_age) {
                Some(fresh) => fresh,
                None => self.ask_about(user).await?,
            };
            let Fresh { level, origin, read_at, source_updated_at } = fresh;
            Ok(Observed { level, origin, read_at, source_updated_at })
        })
    }

    fn tries(&self) -> Origin {
        Origin::Single
    }
}

impl Watch {
    /// A source that nothing has been asked of yet.
    pub fn new(feed: Arc<dyn RiskFeed>, store: Store, clock: Clock, settings: WatchSettings) -> Watch {
        Watch(Arc::new(Inner { feed, store, clock, settings, asking: Mutex::default() }))
    }

    /// Asks about one person; everybody who does so at the same time, once. The answer is kept, also where nobody waits for it any more.
    async fn ask_about(&self, user: UserId) -> Result<Fresh, String> {
        let asking = {
            let mut asking = self.0.asking.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = || {
                let watch = self.clone();
                let task = tokio::spawn(async move {
                    let answer = watch.0.single(user).await.map_err(|unasked| unasked.to_string());
                    watch.0.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&user);
                    answer
                });
                // Only a panic or the end of the server takes the answer away.
                async move { task.await.unwrap_or_else(|_| Err("the question was given up".to_owned())) }
                    .boxed()
                    .shared()
            };
            asking.entry(user).or_insert_with(begin).clone()
        };
        asking.await
    }
}

impl Inner {
    pub(super) async fn known(&self, user: UserId) -> Result<Known, StoreError> {
        let known = self.store.risk_known(&[user]).await?.pop();
        Ok(known.map_or(Known { row: None, sweep: None, since: None }, |(_, known)| known))
    }

    /// Asks in its turn. Where what we show had run out, asking again is another turn.
    pub(super) async fn ask<'a, T>(
        &'a self,
        wait: i64,
        question: impl Fn() -> FeedFuture<'a, T>,
    ) -> Result<(Timestamp, T), Unasked> {
        let mut is_renewed = false;
        loop {
            let slot = self.turn(wait).await?;
            let began = self.clock.now();
            let fault = match question().await {
                Ok(answer) => {
                    self.store.turn_went_well(PACE, began).await?;
                    return Ok((began, answer));
                }
                Err(fault) => fault,
            };
            let failures = u32::try_from(slot.failures).unwrap_or(u32::MAX).saturating_add(1);
            let (not_before, is_throttled) = match &fault {
                FeedFault::Busy { wait, is_throttled, .. } => {
                    let luck = uuid::Uuid::new_v4().as_u64_pair().0;
                    (Some(Timestamp(self.clock.now().0 + backoff::wait(failures, *wait, luck))), *is_throttled)
                }
                _ => (None, false),
            };
            self.store.turn_failed(PACE, self.clock.now(), not_before, is_throttled).await?;
            if !matches!(fault, FeedFault::Renewed(_)) || is_renewed {
                return Err(Unasked::Feed(fault));
            }
            is_renewed = true;
        }
    }

    /// Waits for a turn.
    async fn turn(&self, wait: i64) -> Result<Slot, Unasked> {
        let latest = Timestamp(self.clock.now().0 + wait);
        loop {
            let slot = self.store.take_turn(PACE, self.clock.now(), latest, INTERVAL).await?;
            let slot = slot.ok_or(Unasked::NoTurn)?;
            self.clock.until(slot.at).await;
            // A machine that was paused has slept through its turn: the next one is somebody else's.
            if self.clock.now() < slot.at.plus(INTERVAL) {
                return Ok(slot);
            }
        }
    }

    async fn single(&self, user: UserId) -> Result<Fresh, Unasked> {
        // Whoever asked before us may have been answered meanwhile.
        let known = self.known(user).await?;
        if let Some(fresh) = freshness::judge(&known, self.clock.now(), self.settings.max_age) {
            return Ok(fresh);
        }
        let (read_at, told) = self.ask(SINGLE_WAIT, || self.feed.person(user)).await?;
        self.keep(user, told, read_at).await
    }

    /// Keeps what was said of one person; returns what counts, which is something newer where there is something newer.
    pub(super) async fn keep(&self, user: UserId, told: Option<Told>, read_at: Timestamp) -> Result<Fresh, Unasked> {
        for _ in 0..ATTEMPTS {
            let head = self.store.head().await?;
            let known = self.known(user).await?.sane(self.clock.now());
            let swept_at = known.sweep.as_ref().map(|sweep| sweep.complete_as_of);
            let before = known.row.as_ref();
            let is_older = before.and_then(|row| row.read_at).is_some_and(|other| other > read_at)
                || swept_at.is_some_and(|swept_at| swept_at > read_at)
                || before.and_then(|row| row.changed_at).is_some_and(|changed_at| changed_at > read_at);
            if is_older {
                let fresh = freshness::judge(&known, self.clock.now(), self.settings.max_age);
                return fresh.ok_or(Unasked::Feed(FeedFault::Failed("it has changed since it was read".to_owned())));
            }
            let mut row = row_of(user, told.clone(), read_at);
            row.read_at = Some(read_at);
            let mut plan = Plan::default();
            plan.guard(Guard::NoNews(user, head.position));
            if is_news(before, &row) {
                plan.events.push(observation(&row, Origin::Single));
            }
            let fresh = Fresh {
                level: risk::id_protection_level(row.level, row.state),
                origin: Origin::Single,
                read_at,
                source_updated_at: (row.state != RiskState::None).then_some(row.last_updated_at),
            };
            plan.rows.user_risks.push(row);
            if let Outcome::Done(_) = self.store.commit(plan).await? {
                return Ok(fresh);
            }
        }
        Err(Unasked::Feed(FeedFault::Failed("it keeps changing".to_owned())))
    }

    /// Acts on people where their risk is kept, sixty at a time; then the new state is read back, of as many as there are turns for. Of
    /// the others, and of whoever was not changed there yet, it is known that what was read before counts no more.
    pub(super) async fn act(&self, action: RiskAction, people: &[UserId], actor: EventActor) -> Result<(), Fault> {
        for some in people.chunks(ACTION_MAX) {
            self.ask(ACTION_WAIT, || self.feed.act(action, some)).await?;
            self.told_to(action, some, &actor).await?;
        }
        for user in people {
            let Ok((read_at, told)) = self.ask(SINGLE_WAIT, || self.feed.person(*user)).await else { break };
            if self.keep(*user, told, read_at).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// An action was taken in: it is an event, a compromise counts at once, and what was read before does not.
    async fn told_to(&self, action: RiskAction, people: &[UserId], actor: &EventActor) -> Result<(), Fault> {
        let (kind, level, state, detail) = action.outcome();
        for _ in 0..ATTEMPTS {
            let head = self.store.head().await?;
            let rows = self.store.user_risks(people).await?;
            let mut plan = Plan::default();
            for user in people {
                plan.guard(Guard::NoNews(*user, head.position));
                let before = rows.iter().find(|row| row.user_id == *user);
                let mut row = before.cloned().unwrap_or_else(|| row_of(*user, None, Timestamp::COMMIT));
                if action == RiskAction::ConfirmCompromised {
                    (row.level, row.state, row.detail) = (level, state, Some(detail.to_owned()));
                    row.last_updated_at = Timestamp::COMMIT;
                }
                row.changed_at = Some(Timestamp::COMMIT);
                plan.rows.user_risks.push(row);
                let asked = user_risk::Model {
                    level,
                    state,
                    detail: Some(detail.to_owned()),
                    ..row_of(*user, None, Timestamp::COMMIT)
                };
                plan.events.push(observed(kind, actor.clone(), &asked));
            }
            if let Outcome::Done(_) = self.store.commit(plan).await? {
                return Ok(());
            }
        }
        Err(Fault::Conflict)
    }
}

/// What was said of somebody, as it is kept; nothing said is no risk.
pub(super) fn row_of(user: UserId, told: Option<Told>, read_at: Timestamp) -> user_risk::Model {
    let (level, state) = match &told {
        Some(told) => match risk::told(told.level.as_deref(), told.state.as_deref()) {
            // What is being worked out anew may come out as something.
            (level, state) if told.is_processing && risk::id_protection_level(level, state) == RiskLevel::None => {
                (RiskLevel::Undetermined, RiskState::AtRisk)
            }
            said => said,
        },
        None => (RiskLevel::None, RiskState::None),
    };
    let (detail, updated_at) = told.map_or((None, None), |told| (told.detail, told.updated_at));
    let detail = detail.filter(|detail| detail != "none");
    let last_updated_at = updated_at.unwrap_or(read_at);
    user_risk::Model { user_id: user, level, state, detail, last_updated_at, read_at: None, changed_at: None }
}

/// Does it change what is known of the person's risk? Of somebody who was not known, that there is none is nothing new.
pub(super) fn is_news(before: Option<&user_risk::Model>, now: &user_risk::Model) -> bool {
    match before {
        Some(before) => (before.level, before.state, &before.detail) != (now.level, now.state, &now.detail),
        None => risk::id_protection_level(now.level, now.state) != RiskLevel::None,
    }
}

/// The event of it.
pub(super) fn observation(row: &user_risk::Model, origin: Origin) -> NewEvent {
    observed(EventKind::UserRiskObserved, EventActor::System, row).with("Origin", origin.as_str())
}
