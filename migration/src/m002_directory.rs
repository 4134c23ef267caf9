//! People, groups, roles, and who is in which set of people. No foreign keys: the directory is somebody else's, and may
//! name a manager or a member whom it does not list.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const TABLES: &str = r#"
CREATE TABLE directory_user (
    id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    user_principal_name TEXT NOT NULL,
    folded_principal_name TEXT NOT NULL,
    mail TEXT,
    is_enabled BOOLEAN NOT NULL,
    manager_id TEXT,
    deleted_at BIGINT
);
CREATE INDEX directory_user_by_name ON directory_user (folded_name, id);
CREATE INDEX directory_user_by_principal_name ON directory_user (folded_principal_name);
CREATE INDEX directory_user_by_manager ON directory_user (manager_id);

CREATE TABLE directory_group (
    id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    deleted_at BIGINT
);

CREATE TABLE directory_group_member (
    group_id TEXT NOT NULL,
    member_id TEXT NOT NULL,
    PRIMARY KEY (group_id, member_id)
);
CREATE INDEX directory_group_member_by_member ON directory_group_member (member_id);

CREATE TABLE directory_role (
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (user_id, role)
);
CREATE INDEX directory_role_by_role ON directory_role (role);

CREATE TABLE membership (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    PRIMARY KEY (kind, subject, user_id, since)
);
CREATE INDEX membership_now ON membership (user_id, kind, subject) WHERE until IS NULL;
CREATE INDEX membership_by_user ON membership (user_id, kind, subject, since);
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
