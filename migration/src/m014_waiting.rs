//! Somebody's requests that wait for a source, which what the log tells of their risk reaches too.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const INDEXES: &str = r#"
CREATE INDEX request_waiting_by_requestor ON request (requestor_id, id) WHERE retry_at IS NOT NULL;
CREATE INDEX request_waiting_by_target ON request (target_id, id) WHERE retry_at IS NOT NULL;
"#;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, INDEXES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
