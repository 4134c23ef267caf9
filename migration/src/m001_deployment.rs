//! What one installation is, and where its log ends.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const TABLES: &str = r#"
CREATE TABLE deployment (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    log_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    issuer_key TEXT NOT NULL,
    cursor_key TEXT NOT NULL,
    is_builtin_issuer BOOLEAN NOT NULL,
    is_demo BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL,
    hash TEXT NOT NULL,
    directory_version BIGINT NOT NULL
);

INSERT INTO head (id, position, hash, directory_version)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000', 0);
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
