//! Microsoft Graph as a source: where a reading comes from.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const COLUMNS: &str = r#"
ALTER TABLE evaluation ADD COLUMN origin TEXT NOT NULL DEFAULT 'REPORT';
ALTER TABLE evaluation ADD COLUMN source_updated_at BIGINT;
"#;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, COLUMNS).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
