//! The installation's own row.

use entity::{LogId, Secret, Timestamp, deployment};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::sql::{Db, Params};
use super::{Read, Store, StoreError};

/// Makes the installation's row where there is none yet; several machines may do it at once, the first wins.
pub async fn found(
    db: Db,
    connection: &DatabaseConnection,
    issuer_key: Secret,
    cursor_key: Secret,
    now: Timestamp,
) -> Read<deployment::Model> {
    let mut params = Params::new(db);
    let (log, issuer, cursor, now) =
        (params.add(LogId::new()), params.add(issuer_key), params.add(cursor_key), params.add(now));
    let text = format!(
        "INSERT INTO deployment (id, log_id, generation, issuer_key, cursor_key, is_builtin_issuer, is_demo, created_at) \
         VALUES (1, {log}, 1, {issuer}, {cursor}, FALSE, FALSE, {now}) ON CONFLICT (id) DO NOTHING"
    );
    connection.execute_raw(params.statement(text)).await?;
    let row = connection.query_one_raw(Params::new(db).statement("SELECT * FROM deployment WHERE id = 1")).await?;
    let row = row.ok_or_else(|| StoreError::Data("the installation's row is missing".to_owned()))?;
    Ok(sea_orm::FromQueryResult::from_query_result(&row, "")?)
}

/// Records how the installation is served.
pub async fn mark(db: Db, connection: &DatabaseConnection, is_builtin_issuer: bool, is_demo: bool) -> Read<()> {
    let mut params = Params::new(db);
    let (issuer, demo) = (params.add(is_builtin_issuer), params.add(is_demo));
    let text = format!("UPDATE deployment SET is_builtin_issuer = {issuer}, is_demo = {demo} WHERE id = 1");
    connection.execute_raw(params.statement(text)).await?;
    Ok(())
}

/// Has anybody used this database: is there an event in its log?
pub async fn is_used(db: Db, connection: &DatabaseConnection) -> Read<bool> {
    let statement = Params::new(db).statement("SELECT position FROM head WHERE id = 1 AND position > 0");
    Ok(connection.query_one_raw(statement).await?.is_some())
}

impl Store {
    /// The installation's row.
    pub async fn deployment(&self) -> Read<deployment::Model> {
        let row = self.row(Params::new(self.db).statement("SELECT * FROM deployment WHERE id = 1")).await?;
        row.ok_or_else(|| StoreError::Data("the installation's row is missing".to_owned()))
    }
}
