//! Why a request goes the way it goes, as the planner found it, each time that it planned.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const TABLE: &str = r#"
CREATE TABLE explanation (
    id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL REFERENCES request (id),
    moment TEXT NOT NULL,
    directory_version BIGINT NOT NULL,
    planned_at BIGINT NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX explanation_by_request ON explanation (request_id, id);
"#;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, TABLE).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
