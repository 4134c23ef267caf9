//! Risk that lives: when a control reads its source, what the newest reading of a stage is, which stages came later, and how far in the
//! log what it tells of risk has been acted on.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const COLUMNS: &str = r#"
ALTER TABLE control ADD COLUMN reevaluation TEXT NOT NULL DEFAULT 'BEFORE_DELIVERY';
ALTER TABLE control ADD COLUMN when_undetermined TEXT NOT NULL DEFAULT 'REQUIRE_STAGE';
ALTER TABLE control ADD COLUMN hold_timeout BIGINT NOT NULL DEFAULT 3600;
ALTER TABLE request ADD COLUMN retry_at BIGINT;
ALTER TABLE stage ADD COLUMN latest_evaluation_id TEXT REFERENCES evaluation (id);
ALTER TABLE stage ADD COLUMN inserted_at BIGINT;

CREATE TABLE progress (
    name TEXT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);
INSERT INTO progress (name, position) SELECT 'RISK', position FROM head;

CREATE INDEX request_to_retry ON request (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX event_of_risk ON event (position) WHERE is_risk AND request_id IS NULL;
CREATE INDEX request_open_by_requestor ON request (requestor_id, id) WHERE state = 'PENDING_APPROVAL';
CREATE INDEX request_open_by_target ON request (target_id, id) WHERE state = 'PENDING_APPROVAL';
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
