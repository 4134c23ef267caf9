//! The directory from somewhere else: who is given a role directly, how far the reading of the source has come, what a listing that is
//! under way has named, and whether the directory comes from files or from a source that is followed.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const TABLES: &str = r#"
CREATE TABLE directory_role_assignment (
    role TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    PRIMARY KEY (role, principal_id)
);
CREATE INDEX directory_role_assignment_by_principal ON directory_role_assignment (principal_id);
INSERT INTO directory_role_assignment (role, principal_id) SELECT role, user_id FROM directory_role;

CREATE TABLE directory_sync (
    stream TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    phase TEXT NOT NULL,
    listing BIGINT NOT NULL,
    listed_at BIGINT,
    link TEXT,
    begun_at BIGINT,
    read_at BIGINT,
    held_back BIGINT,
    is_removal_approved BOOLEAN NOT NULL
);
INSERT INTO directory_sync (stream, version, phase, listing, is_removal_approved)
    VALUES ('USERS', 1, 'NEW', 0, FALSE), ('GROUPS', 1, 'NEW', 0, FALSE), ('ROLES', 1, 'NEW', 0, FALSE);

CREATE TABLE directory_mark (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    member_id TEXT NOT NULL,
    listing BIGINT NOT NULL,
    PRIMARY KEY (kind, id, member_id)
);

ALTER TABLE deployment ADD COLUMN directory_source TEXT;
UPDATE deployment SET directory_source = 'FILE' WHERE EXISTS (SELECT 1 FROM head WHERE directory_version > 0);
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
