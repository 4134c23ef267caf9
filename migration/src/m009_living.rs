//! Risk that lives: when a control reads its source, what the newest reading of a stage is, and which stages came later.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const COLUMNS: &str = r#"
ALTER TABLE control ADD COLUMN reevaluation TEXT NOT NULL DEFAULT 'BEFORE_DELIVERY';
ALTER TABLE stage ADD COLUMN latest_evaluation_id TEXT REFERENCES evaluation (id);
ALTER TABLE stage ADD COLUMN inserted_at BIGINT;
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
