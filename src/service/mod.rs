//! The use cases, one public function each: gather facts, let the rules decide, hand one commit to the store. And the readings,
//! with the rights that they ask for.

mod catalog;
mod clockwork;
mod control;
mod cursor;
mod directory;
pub mod feed;
mod follow;
mod lease;
mod living;
mod read;
mod request;
pub mod risk;
pub mod source;
mod stage;
mod sweep;
pub mod sync;
mod tidy;
pub mod watch;

use std::sync::Arc;

use entity::{Timestamp, UserId};
use tracing::error;

pub use catalog::{CreateCatalog, CreatePackage, CreatePolicy};
pub use cursor::CursorKey;
pub use directory::{FileGroup, FileUser, ImportError, ImportOptions, Imported, Picture};
pub use follow::{Follower, PendingRisk, RequestUpdate};
pub use read::{ExplanationRow, Listing, PageInput};
pub use request::{Preview, Submit};
pub use risk::Sources;
pub use stage::Decide;
pub use sync::Followed;

use crate::clock::Clock;
use crate::domain::permission::{Actor, Principal, Right};
use crate::domain::plan::Plan;
use crate::domain::refusal::Refusal;
use crate::store::log::Verdict;
pub use crate::store::{
    AssignmentFilter, EventFilter, PackageFilter, PolicyRow, RequestFilter, RequestRow, StageFilter, StageRow,
};
use crate::store::{Outcome, Receipt, Store, StoreError};

/// How often a use case gathers and plans anew where what it relied on has moved.
const ATTEMPTS: usize = 4;

/// Why nothing can be answered. Not data of an answer: an error of the operation, with a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The token's person is unknown, disabled or deleted, or the token has ended.
    Unauthenticated,
    /// An administrative right is missing.
    Forbidden,
    /// The input does not mean anything: page arguments, a cursor that does not parse.
    BadInput(String),
    /// The object of a subscription is unknown or invisible.
    NotFound,
    /// The cursor is of another log, of an older generation, or of what this log does not have.
    CursorExpired,
    /// What the use case relied on kept moving.
    Conflict,
    /// More than is allowed.
    LimitExceeded(String),
    /// The database cannot answer now; for the log, never for the caller.
    Unavailable(String),
    /// The roles of whoever decides are too old to go by, and cannot be asked for now; why, for the log.
    RolesUnknown(String),
    /// A fault of the program; for the log, never for the caller.
    Internal(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        match error {
            StoreError::Unavailable(why) => Fault::Unavailable(why),
            StoreError::Data(why) => {
                error!(why, "the database refused a statement");
                Fault::Internal(why)
            }
        }
    }
}

/// Why a use case did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// A person can act on it.
    Refused(Refusal),
    /// Nobody asked well, or the server cannot.
    Fault(Fault),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Denied {
        Denied::Refused(refusal)
    }
}

impl From<Fault> for Denied {
    fn from(fault: Fault) -> Denied {
        Denied::Fault(fault)
    }
}

impl From<StoreError> for Denied {
    fn from(error: StoreError) -> Denied {
        Denied::Fault(error.into())
    }
}

/// What a use case returns.
pub type Done<T> = Result<T, Denied>;

/// Everything that the doors may call.
pub struct Services {
    store: Store,
    clock: Clock,
    sources: Sources,
    cursors: CursorKey,
    follower: Arc<Follower>,
    refusals: stage::RefusalLog,
    /// The directory, where that is kept elsewhere.
    followed: Option<Followed>,
    /// ID Protection's risk, where that is kept elsewhere.
    watch: Option<watch::Watch>,
    /// What this instance is called among the others.
    instance: String,
}

impl Services {
    /// Puts them together.
    pub fn new(store: Store, clock: Clock, sources: Sources, cursors: CursorKey) -> Services {
        let follower = Arc::new(Follower::new(store.clone()));
        let instance = uuid::Uuid::new_v4().to_string();
        let refusals = stage::RefusalLog::default();
        Services { store, clock, sources, cursors, follower, refusals, followed: None, watch: None, instance }
    }

    /// The same with ID Protection's risk kept elsewhere.
    pub fn watching(mut self, feed: Arc<dyn feed::RiskFeed>, settings: watch::WatchSettings) -> Services {
        let watch = watch::Watch::new(feed, self.store.clone(), self.clock.clone(), settings);
        self.sources.id_protection = Arc::new(watch.clone());
        self.watch = Some(watch);
        self
    }

    /// Is ID Protection's risk kept elsewhere?
    pub fn is_watching(&self) -> bool {
        self.watch.is_some()
    }

    /// The same with a directory that is kept elsewhere.
    pub fn following(self, followed: Followed) -> Services {
        Services { followed: Some(followed), ..self }
    }

    /// Is the directory kept elsewhere?
    pub fn is_following(&self) -> bool {
        self.followed.is_some()
    }

    /// Now, by the clock that everything here goes by.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What tells subscribers of the log's growth.
    pub fn follower(&self) -> Arc<Follower> {
        self.follower.clone()
    }

    /// Whom a token names: the enabled, not deleted person of that id, with the roles held now, or an application. Nobody else is
    /// signed in.
    pub async fn actor(&self, principal: &Principal) -> Result<Option<Actor>, Fault> {
        match principal {
            Principal::Person(user) => Ok(self.store.actor(*user).await?),
            Principal::Application(application) => Ok(Some(Actor::application(Arc::clone(application)))),
        }
    }

    /// The same for somebody who was signed in when the work began.
    async fn actor_now(&self, principal: &Principal) -> Result<Actor, Fault> {
        self.actor(principal).await?.ok_or(Fault::Unauthenticated)
    }

    /// Why the directory lets nobody of that id in, for the operator: in words.
    pub async fn why_nobody(&self, user: UserId) -> Result<&'static str, Fault> {
        Ok(match self.store.users_by_id(&[user]).await?.first() {
            None => "the directory has nobody of this object id; import the person, or correct `user_claim`",
            Some(person) if person.deleted_at.is_some() => "the person is deleted in the directory",
            Some(_) => "the person is disabled in the directory",
        })
    }

    /// Can the database be read and written by this instance now? Otherwise one line for people.
    pub async fn readiness(&self) -> Result<(), String> {
        self.store.head().await.map_err(|error| error.to_string())?;
        let skew = self.store.clock_skew();
        if skew.abs() > 2_000_000 {
            return Err(format!("this instance's clock is {:.1} s off the database's", skew as f64 / 1e6));
        }
        self.store.probe().await.map_err(|error| error.to_string())
    }

    /// How many statements reads have sent: what tests count.
    pub fn statements(&self) -> u64 {
        self.store.statements()
    }

    /// Walks the log's hash chain.
    pub async fn verify_log(&self) -> Result<Verdict, Fault> {
        Ok(self.store.verify_log().await?)
    }

    /// How many plans, and in how many groups, this instance has committed since its start.
    pub fn commit_counts(&self) -> (u64, u64) {
        self.store.commit_counts()
    }

    /// Position of the newest event that this instance has heard of.
    pub fn head(&self) -> i64 {
        *self.store.watch_head().borrow()
    }

    /// Exchanges notices of commits with other instances until the connection breaks.
    pub async fn exchange_notices(&self) -> Result<(), Fault> {
        Ok(self.store.exchange_notices().await?)
    }

    /// Takes no more commits, and waits for those under way.
    pub async fn stop(&self) {
        // Somebody else takes over at once; where this fails, once the lease has ended.
        let _ = self.let_go(lease::Work::Directory).await;
        let _ = self.let_go(lease::Work::RiskSweep).await;
        self.store.stop().await;
    }

    /// The person who holds this right; no application has one that only a person can use.
    fn person_with(&self, actor: &Actor, right: Right) -> Result<UserId, Fault> {
        self.require(actor, right)?;
        actor.user_id().ok_or(Fault::Forbidden)
    }

    fn require(&self, actor: &Actor, right: Right) -> Result<(), Fault> {
        if actor.has(right) { Ok(()) } else { Err(Fault::Forbidden) }
    }

    /// Commits; `None` where what the plan relied on has moved.
    async fn settle(&self, plan: Plan) -> Result<Option<Receipt>, Fault> {
        match self.store.commit(plan).await? {
            Outcome::Done(receipt) => Ok(Some(receipt)),
            Outcome::Stale(_) => Ok(None),
        }
    }
}
