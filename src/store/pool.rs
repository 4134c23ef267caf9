//! Connections that can be given up. One whose other end has vanished says nothing: whoever waits for its answer waits for ever, and so
//! does the pool that tests it before it is used again. So what is sent has a limit, and a pool that let one run out is given up as a
//! whole for a new one. An embedded database is no wire, and has no limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::sync::watch;
use tracing::warn;

use super::connect::{ConnectError, Role, Target};
use super::sql::Db;
use super::{Read, StoreError};

/// For one reading: the server itself ends what takes ten seconds.
pub(super) const LIMIT: Duration = Duration::from_secs(12);

/// The connections for one purpose.
pub(super) struct Pool {
    target: Target,
    size: u32,
    role: Role,
    statements: Arc<AtomicU64>,
    current: watch::Sender<Lease>,
}

/// The connections as they are now.
#[derive(Clone)]
pub(super) struct Lease {
    generation: u64,
    pub(super) connection: DatabaseConnection,
}

impl Pool {
    /// Opens a pool; `statements` counts what is sent on it.
    pub(super) async fn open(
        target: &Target,
        size: u32,
        role: Role,
        statements: Arc<AtomicU64>,
    ) -> Result<Pool, ConnectError> {
        let connection = target.connect(size, role).await?;
        Ok(Pool::of(target, size, role, statements, connection))
    }

    /// The same, opened when it is first needed.
    pub(super) async fn prepare(target: &Target, size: u32, role: Role) -> Result<Pool, ConnectError> {
        let connection = target.prepare(size, role).await?;
        Ok(Pool::of(target, size, role, Arc::default(), connection))
    }

    fn of(target: &Target, size: u32, role: Role, statements: Arc<AtomicU64>, connection: DatabaseConnection) -> Pool {
        let (current, _) = watch::channel(Lease { generation: 0, connection: counted(connection, &statements) });
        Pool { target: target.clone(), size, role, statements, current }
    }

    /// To send something on.
    pub(super) fn lease(&self) -> Lease {
        self.current.borrow().clone()
    }

    /// Waits until these connections have been given up.
    pub(super) async fn given_up(&self, lease: &Lease) {
        // Cannot fail: `self` keeps the sender.
        let _ = self.current.subscribe().wait_for(|current| current.generation != lease.generation).await;
    }

    /// What the database answers to `work`, sent on `lease`, within a limit; after it the connections are given up.
    pub(super) async fn answer<T>(&self, lease: &Lease, limit: Duration, work: impl Future<Output = T>) -> Read<T> {
        if self.target.db == Db::Sqlite {
            return Ok(work.await);
        }
        match tokio::time::timeout(limit, work).await {
            Ok(answer) => Ok(answer),
            Err(_) => {
                self.give_up(lease).await;
                Err(StoreError::Unavailable("the database did not answer in time".to_owned()))
            }
        }
    }

    async fn give_up(&self, lease: &Lease) {
        let fresh = match self.target.prepare(self.size, self.role).await {
            Ok(fresh) => counted(fresh, &self.statements),
            Err(error) => return warn!(%error, "dead connections are kept"),
        };
        self.current.send_if_modified(|current| {
            let is_first = current.generation == lease.generation;
            if is_first {
                warn!("the database did not answer in time; its connections are given up");
                *current = Lease { generation: lease.generation + 1, connection: fresh };
            }
            is_first
        });
    }
}

fn counted(mut connection: DatabaseConnection, statements: &Arc<AtomicU64>) -> DatabaseConnection {
    let statements = statements.clone();
    connection.set_metric_callback(move |_| {
        statements.fetch_add(1, Ordering::Relaxed);
    });
    connection
}
