//! Applications that ask for people: which policies let them, and which of them asked.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const COLUMNS: &str = r#"
ALTER TABLE policy ADD COLUMN allow_applications BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE request ADD COLUMN application TEXT;
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
