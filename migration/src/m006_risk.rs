//! The built-in store of risk. No foreign keys: risk may be told of somebody whom the directory does not list yet.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const TABLES: &str = r#"
CREATE TABLE user_risk (
    user_id TEXT NOT NULL PRIMARY KEY,
    level TEXT NOT NULL,
    state TEXT NOT NULL,
    detail TEXT,
    last_updated_at BIGINT NOT NULL
);

CREATE TABLE insider_risk (
    user_id TEXT NOT NULL PRIMARY KEY,
    level TEXT NOT NULL,
    observed_at BIGINT NOT NULL,
    expires_at BIGINT,
    reference TEXT
);
"#;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, TABLES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
