//! SQL: the only floor that knows the database. Reads have connections of their own; every write goes through one committer
//! ([`commit`]), whose transactions form the one order of the log.

mod access;
mod audit;
mod catalog;
mod commit;
mod connect;
mod control;
pub mod deployment;
mod directory;
mod judge;
mod lease;
pub mod log;
pub mod page;
mod pool;
mod request;
mod risk;
mod sql;
mod stage;
mod sync;
mod user;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, QueryResult, Statement};
use tokio::sync::watch;

use pool::Pool;

pub use audit::EventFilter;
pub use catalog::{Offer, PackageFilter, PolicyRow};
pub use commit::{Outcome, Receipt};
pub use connect::{ConnectError, Role, Target};
pub use directory::{DirectoryState, SetQuery};
pub use lease::{Pace, Slot};
pub use page::{Cursor, Key, Page, PageArgs};
pub use request::{AssignmentFilter, RequestFilter, RequestRow};
pub use sql::Db;
pub use stage::{DecisionRows, StageFilter, StageRow, kinds_of};
pub use sync::{Left, Unnamed};
pub use user::{NAME_ORDER, UserFilter};

/// Why the database did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// Out of reach, overloaded, full, or in the middle of a restart: try again later.
    Unavailable(String),
    /// It refused what the program sent: a fault of the program.
    Data(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Unavailable(why) => write!(f, "the database is not available: {why}"),
            StoreError::Data(why) => write!(f, "the database refused: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> StoreError {
        sql::classify(error)
    }
}

/// What every read returns.
pub type Read<T> = Result<T, StoreError>;

/// One installation's database.
#[derive(Clone)]
pub struct Store {
    db: Db,
    reads: Arc<Pool>,
    follow: Arc<Pool>,
    aside: Arc<Pool>,
    committer: commit::Handle,
    head: watch::Sender<i64>,
    statements: Arc<AtomicU64>,
}

impl Store {
    /// Which kind of database.
    pub fn db(&self) -> Db {
        self.db
    }

    /// How many statements reads have sent since the start: what tests count.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    async fn all(&self, statement: Statement) -> Read<Vec<QueryResult>> {
        let mut tries = sql::TRIES;
        loop {
            let lease = self.reads.lease();
            let asked = lease.connection.query_all_raw(statement.clone());
            // Put aside, so that whoever waits between two readings (ten thousand subscribers do) does not keep room for one.
            match Box::pin(self.reads.answer(&lease, pool::LIMIT, asked)).await? {
                // A reading may be sent again: the connection was cut since it was used last.
                Err(error) if tries > 1 && sql::is_cut(&error) => tries -= 1,
                answer => return Ok(answer?),
            }
        }
    }

    async fn one(&self, statement: Statement) -> Read<Option<QueryResult>> {
        Ok(self.all(statement).await?.into_iter().next())
    }

    async fn rows<T: FromQueryResult>(&self, statement: Statement) -> Read<Vec<T>> {
        self.all(statement).await?.iter().map(|row| Ok(T::from_query_result(row, "")?)).collect()
    }

    async fn row<T: FromQueryResult>(&self, statement: Statement) -> Read<Option<T>> {
        self.one(statement).await?.as_ref().map(|row| Ok(T::from_query_result(row, "")?)).transpose()
    }

    /// The highest position of the log that this instance has heard of, and each later one.
    pub fn watch_head(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// Tells this instance's listeners that the log has grown.
    pub fn announce(&self, position: i64) {
        announce(&self.head, position);
    }

    /// Can this instance commit now?
    pub async fn probe(&self) -> Read<()> {
        self.committer.probe().await
    }
}

fn announce(head: &watch::Sender<i64>, position: i64) {
    head.send_if_modified(|known| {
        let is_news = position > *known;
        *known = position.max(*known);
        is_news
    });
}
