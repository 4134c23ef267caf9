//! A risk source that is asked from outside: where a reading comes from, what the last complete one of everybody was, at what pace it may
//! be asked, and which instance does what only one of them should.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const TABLES: &str = r#"
ALTER TABLE evaluation ADD COLUMN origin TEXT NOT NULL DEFAULT 'REPORT';
ALTER TABLE evaluation ADD COLUMN source_updated_at BIGINT;
ALTER TABLE user_risk ADD COLUMN read_at BIGINT;
ALTER TABLE user_risk ADD COLUMN changed_at BIGINT;

CREATE TABLE risk_sweep (
    source TEXT NOT NULL PRIMARY KEY,
    complete_as_of BIGINT NOT NULL,
    directory_version BIGINT NOT NULL
);

CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);

CREATE TABLE pace (
    name TEXT NOT NULL PRIMARY KEY,
    next_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    succeeded_at BIGINT,
    failed_at BIGINT
);
INSERT INTO pace (name, next_at, not_before, failures) VALUES ('ID_PROTECTION', 0, 0, 0);

CREATE TABLE pace_minute (
    name TEXT NOT NULL,
    minute BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    throttles BIGINT NOT NULL,
    PRIMARY KEY (name, minute)
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
