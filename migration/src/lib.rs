//! The schema of Riskgate's database: one step a file, in the order of their numbers. A step that was released never
//! changes; it does not know the `entity` crate, which goes on changing.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{
    DatabaseConnection, DbBackend, IsolationLevel, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};

mod ddl;
mod m001_deployment;
mod m002_directory;
mod m003_catalog;
mod m004_control;
mod m005_request;
mod m006_risk;
mod m007_event;
mod m008_application;
mod m009_living;
mod m010_proof;
mod m011_graph;
mod m012_sync;
mod m013_explanation;
mod m014_waiting;

/// Key of the PostgreSQL advisory lock that one migrating program holds: the bytes of "riskmigr".
const LOCK: i64 = i64::from_be_bytes(*b"riskmigr");

/// Every step.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m001_deployment::Migration),
            Box::new(m002_directory::Migration),
            Box::new(m003_catalog::Migration),
            Box::new(m004_control::Migration),
            Box::new(m005_request::Migration),
            Box::new(m006_risk::Migration),
            Box::new(m007_event::Migration),
            Box::new(m008_application::Migration),
            Box::new(m009_living::Migration),
            Box::new(m010_proof::Migration),
            Box::new(m011_graph::Migration),
            Box::new(m012_sync::Migration),
            Box::new(m013_explanation::Migration),
            Box::new(m014_waiting::Migration),
        ]
    }
}

/// How a database compares with the steps that this program knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Nothing is there.
    Empty,
    /// Every step was applied.
    Current,
    /// So many steps are still to be applied.
    Behind(usize),
    /// A newer program was here: it applied this step, which is not known.
    Newer(String),
    /// Tables are there, but none of ours.
    Foreign,
}

/// Compares the database with the steps that this program knows. Reads only.
pub async fn status(db: &DatabaseConnection) -> Result<Status, DbErr> {
    status_on(db).await
}

/// Brings the database up to date, all steps or none. Any number of programs may do so at once: one does it, the others
/// wait and find it done. Refuses a database that is newer, or not ours.
pub async fn migrate(db: &DatabaseConnection) -> Result<(), DbErr> {
    let is_postgres = db.get_database_backend() == DbBackend::Postgres;
    let transaction = db
        .begin_with_options(TransactionOptions {
            // Each statement must see what was committed while this program waited for the lock.
            isolation_level: is_postgres.then_some(IsolationLevel::ReadCommitted),
            sqlite_transaction_mode: (!is_postgres).then_some(SqliteTransactionMode::Immediate),
            ..Default::default()
        })
        .await?;
    match apply(&transaction).await {
        Ok(()) => transaction.commit().await,
        Err(error) => {
            // A transaction that is only dropped would hold the lock until its connection is used again.
            transaction.rollback().await?;
            Err(error)
        }
    }
}

async fn apply(transaction: &sea_orm::DatabaseTransaction) -> Result<(), DbErr> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
    }
    match status_on(transaction).await? {
        Status::Current => Ok(()),
        Status::Empty | Status::Behind(_) => Migrator::up(transaction, None).await,
        Status::Newer(step) => Err(DbErr::Migration(format!("a newer program applied the step {step}"))),
        Status::Foreign => Err(DbErr::Migration("the database holds tables of something else".to_owned())),
    }
}

async fn status_on(db: &impl ConnectionTrait) -> Result<Status, DbErr> {
    let tables = texts(
        db,
        match db.get_database_backend() {
            DbBackend::Postgres => {
                "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"
            }
            _ => r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'",
        },
    )
    .await?;
    let journal = Migrator::migration_table_name().to_string();
    let applied = if tables.contains(&journal) {
        texts(db, &format!("SELECT version FROM {journal} ORDER BY version")).await?
    } else {
        Vec::new()
    };
    let known: Vec<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    if let Some(step) = applied.iter().find(|step| !known.contains(step)) {
        return Ok(Status::Newer(step.clone()));
    }
    Ok(match known.len() - applied.len() {
        0 => Status::Current,
        _ if !applied.is_empty() => Status::Behind(known.len() - applied.len()),
        _ if tables.iter().all(|table| *table == journal) => Status::Empty,
        _ => Status::Foreign,
    })
}

async fn texts(db: &impl ConnectionTrait, query: &str) -> Result<Vec<String>, DbErr> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}
