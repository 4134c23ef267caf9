//! Opening a database: what a URL names, how its connections are set up, whether it is ours.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sea_orm::sqlx::pool::PoolConnectionMetadata;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use tokio::sync::watch;

use super::pool::{LIMIT, Pool};
use super::sql::Db;
use super::{Store, StoreError, commit};
use crate::clock::Clock;

/// So long a connection may rest before it is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(1);
/// So long it may take to say so: one for each of a pool fits into the wait for a connection.
const PING_LIMIT: Duration = Duration::from_millis(500);

/// A database, as its URL names it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its kind.
    pub db: Db,
    url: String,
    /// The file of an embedded database.
    pub file: Option<PathBuf>,
    /// A temporary folder that is removed with the last copy of this value.
    _temporary: Option<Arc<tempfile::TempDir>>,
    /// Largest size of an embedded database, in pages of 4 KiB.
    pub max_pages: Option<u32>,
}

/// Why a database cannot be used; one line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError(pub String);

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConnectError {}

impl Target {
    /// Reads a URL: `sqlite://FILE`, `sqlite::memory:` (a temporary file) or `postgres://…`.
    pub fn parse(url: &str) -> Result<Target, ConnectError> {
        if url == "sqlite::memory:" {
            let folder = tempfile::Builder::new()
                .prefix("riskgate-")
                .tempdir()
                .map_err(|error| ConnectError(format!("no temporary folder can be made: {error}")))?;
            let file = folder.path().join("riskgate.db");
            return Ok(Target {
                db: Db::Sqlite,
                url: format!("sqlite://{}", file.display()),
                file: Some(file),
                _temporary: Some(Arc::new(folder)),
                max_pages: None,
            });
        }
        if let Some(path) = url.strip_prefix("sqlite://") {
            let path = path.split('?').next().unwrap_or_default();
            if path.is_empty() {
                return Err(ConnectError("database-url: sqlite:// needs a file".to_owned()));
            }
            let file = Some(PathBuf::from(path));
            return Ok(Target { db: Db::Sqlite, url: url.to_owned(), file, _temporary: None, max_pages: None });
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let url = url.to_owned();
            return Ok(Target { db: Db::Postgres, url, file: None, _temporary: None, max_pages: None });
        }
        Err(ConnectError("database-url: expected sqlite://FILE, sqlite::memory: or postgres://…".to_owned()))
    }

    /// The database as it may be printed: without a password.
    pub fn shown(&self) -> String {
        match &self.file {
            Some(file) => file.display().to_string(),
            None => match self.url.split_once('@') {
                Some((_, place)) => format!("postgres://{place}"),
                None => self.url.clone(),
            },
        }
    }

    /// One connection, or a pool of `size`; the first is opened at once, the others when they are needed.
    pub async fn connect(&self, size: u32, role: Role) -> Result<DatabaseConnection, ConnectError> {
        self.reach(size, role, false).await
    }

    /// The same with a database that may be out of reach: all are opened when they are needed.
    pub(super) async fn prepare(&self, size: u32, role: Role) -> Result<DatabaseConnection, ConnectError> {
        self.reach(size, role, true).await
    }

    async fn reach(&self, size: u32, role: Role, is_lazy: bool) -> Result<DatabaseConnection, ConnectError> {
        let mut options = ConnectOptions::new(self.url.clone());
        options
            .max_connections(size)
            .min_connections(0)
            .connect_lazy(is_lazy)
            .acquire_timeout(Duration::from_secs(5))
            .connect_timeout(Duration::from_secs(3))
            // Not at each statement: see `is_there` below.
            .test_before_acquire(false)
            .sqlx_logging(false);
        match self.db {
            Db::Sqlite => {
                let may_create = role == Role::Create;
                let max_pages = self.max_pages;
                options.max_lifetime(None).idle_timeout(None::<Duration>);
                options.map_sqlx_sqlite_opts(move |sqlite| {
                    let sqlite = sqlite
                        .create_if_missing(may_create)
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        .foreign_keys(true)
                        .busy_timeout(Duration::from_secs(10))
                        .pragma("recursive_triggers", "ON");
                    match (role, max_pages) {
                        (Role::Read, _) => sqlite.pragma("query_only", "ON"),
                        (_, Some(pages)) => sqlite.pragma("max_page_count", pages.to_string()),
                        _ => sqlite,
                    }
                });
            }
            Db::Postgres => {
                options.set_application_name("riskgate").idle_timeout(Duration::from_secs(600));
                options.map_sqlx_postgres_before_acquire(|connection, about| Box::pin(is_there(connection, about)));
                // Statements here run for a few milliseconds; compiling one takes hundreds. And a plan that was made while a table was
                // small outlives that: what has an index is looked up by it from the first row on, or a list would read the whole of a
                // table that has grown for each of its rows.
                options
                    .map_sqlx_postgres_opts(|postgres| postgres.options([("jit", "off"), ("enable_seqscan", "off")]));
                if role == Role::Read {
                    options.statement_timeout(Duration::from_secs(10));
                }
            }
        }
        Database::connect(options)
            .await
            .map_err(|error| ConnectError(format!("the database {} cannot be opened: {error}", self.shown())))
    }
}

/// Is a connection still there? One in steady use is not asked. One that says nothing is gone: another is tried in the same wait.
async fn is_there(connection: &mut PgConnection, about: PoolConnectionMetadata) -> Result<bool, sqlx::Error> {
    if about.idle_for < IDLE {
        return Ok(true);
    }
    match tokio::time::timeout(PING_LIMIT, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reading only.
    Read,
    /// Writing; the database exists.
    Write,
    /// Writing; an embedded database that does not exist is made.
    Create,
}

impl Store {
    /// Opens a database that is ours and up to date.
    pub async fn open(target: &Target, clock: Clock, readers: u32) -> Result<Store, ConnectError> {
        let statements = Arc::new(AtomicU64::new(0));
        let reads = Pool::open(target, readers, Role::Read, statements.clone()).await?;
        // One for the poll, one for the notices that come in, one for those that go out.
        let follow = Pool::open(target, 3, Role::Read, Arc::default()).await?;
        let write = Pool::open(target, 1, Role::Write, Arc::default()).await?;
        // For what is no part of the log; whoever never needs it has no connection for it.
        let aside = Pool::prepare(target, 1, Role::Write).await?;
        let (reads, follow, aside) = (Arc::new(reads), Arc::new(follow), Arc::new(aside));
        let (head, _) = watch::channel(0);
        let committer = commit::start(target.db, write, clock, head.clone());
        let store = Store { db: target.db, reads, follow, aside, committer, head, statements };
        let position = store.head_position().await.map_err(|error: StoreError| ConnectError(error.to_string()))?;
        store.announce(position);
        Ok(store)
    }

    /// Commits a plan, whole or not at all.
    pub async fn commit(&self, plan: crate::domain::plan::Plan) -> super::Read<commit::Outcome> {
        self.committer.commit(plan).await
    }

    /// Takes no more commits, and waits for those under way.
    pub async fn stop(&self) {
        self.committer.stop().await;
    }

    /// How far this instance's clock was off the database server's at the last commit, in microseconds.
    pub fn clock_skew(&self) -> i64 {
        self.committer.skew()
    }

    /// How many plans, and in how many groups, this instance has committed since its start.
    pub fn commit_counts(&self) -> (u64, u64) {
        self.committer.counts()
    }

    /// On PostgreSQL: hears of other instances' commits, and tells them of ours. Both only hurry what a poll guarantees. Runs until
    /// the connection breaks.
    pub async fn exchange_notices(&self) -> super::Read<()> {
        use sea_orm::sqlx::postgres::PgListener;
        if self.db != Db::Postgres {
            return std::future::pending().await;
        }
        let broken = |error: sea_orm::sqlx::Error| StoreError::Unavailable(error.to_string());
        let lease = self.follow.lease();
        let listening = async {
            let mut listener = PgListener::connect_with(lease.connection.get_postgres_connection_pool()).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        let mut listener = self.follow.answer(&lease, LIMIT, listening).await?.map_err(broken)?;
        let mut head = self.watch_head();
        head.mark_unchanged();
        loop {
            tokio::select! {
                // Then the listener's is as dead as the others.
                () = self.follow.given_up(&lease) => return Ok(()),
                notice = listener.recv() => {
                    if let Ok(position) = notice.map_err(broken)?.payload().parse() {
                        self.announce(position);
                        // What came from outside need not be told outside.
                        head.mark_unchanged();
                    }
                }
                changed = head.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let position = *head.borrow_and_update();
                    let text = format!("NOTIFY {CHANNEL}, '{position}'");
                    let sent = sea_orm::ConnectionTrait::execute_unprepared(&lease.connection, &text);
                    self.follow.answer(&lease, LIMIT, sent).await??;
                }
            }
        }
    }
}

/// Where instances tell each other that the log has grown.
const CHANNEL: &str = "riskgate_log";
