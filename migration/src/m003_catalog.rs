//! What people ask for, and by which policy.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const TABLES: &str = r#"
CREATE TABLE catalog (
    id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    description TEXT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX catalog_by_name ON catalog (folded_name, id);

CREATE TABLE package (
    id TEXT NOT NULL PRIMARY KEY,
    catalog_id TEXT NOT NULL REFERENCES catalog (id),
    display_name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    description TEXT,
    is_hidden BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX package_by_name ON package (folded_name, id);
CREATE INDEX package_by_catalog ON package (catalog_id, folded_name, id);

CREATE TABLE policy (
    id TEXT NOT NULL PRIMARY KEY,
    package_id TEXT NOT NULL REFERENCES package (id),
    display_name TEXT NOT NULL,
    is_for_everyone BOOLEAN NOT NULL,
    allowed_requestors TEXT NOT NULL,
    allow_managers_on_behalf BOOLEAN NOT NULL,
    is_requestor_justification_required BOOLEAN NOT NULL,
    stages TEXT NOT NULL,
    assignment_duration BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX policy_by_package ON policy (package_id);

CREATE TABLE policy_requestor (
    policy_id TEXT NOT NULL REFERENCES policy (id),
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (policy_id, kind, subject)
);
CREATE INDEX policy_requestor_by_subject ON policy_requestor (kind, subject);
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
