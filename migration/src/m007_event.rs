//! The one log. No foreign keys: an event outlives what it tells of.

use sea_orm_migration::prelude::*;

use crate::ddl::{keep_for_ever, run};

const TABLES: &str = r#"
CREATE TABLE event (
    position BIGINT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    activity TEXT NOT NULL,
    category TEXT NOT NULL,
    result TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    request_id TEXT,
    stage_id TEXT,
    package_id TEXT,
    is_risk BOOLEAN NOT NULL,
    content TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE UNIQUE INDEX event_by_id ON event (id);
CREATE INDEX event_by_request ON event (request_id, position);
CREATE INDEX event_by_actor ON event (actor_id, position);
CREATE INDEX event_by_activity ON event (activity, position);
CREATE INDEX event_by_commit ON event (commit_id);
CREATE INDEX event_by_time ON event (occurred_at, position);
CREATE INDEX event_risk_stage_pending ON event (position) WHERE kind = 'STAGE_PENDING' AND is_risk;
"#;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, TABLES).await?;
        keep_for_ever(
            manager,
            "event",
            "EXISTS (SELECT 1 FROM event WHERE position = NEW.position) OR EXISTS (SELECT 1 FROM event WHERE id = NEW.id)",
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
