//! The control of each risk source, as it is before anybody changes it, and the record of its changes.

use sea_orm_migration::prelude::*;

use crate::ddl::{keep_for_ever, run};

const TABLES: &str = r#"
CREATE TABLE control (
    source TEXT NOT NULL PRIMARY KEY,
    is_enabled BOOLEAN NOT NULL,
    is_approval_required BOOLEAN NOT NULL,
    risk_levels TEXT NOT NULL,
    approvers TEXT NOT NULL,
    fallback_approvers TEXT NOT NULL,
    decision_timeout BIGINT NOT NULL,
    modified_by TEXT,
    modified_at BIGINT,
    version BIGINT NOT NULL
);

INSERT INTO control (source, is_enabled, is_approval_required, risk_levels, approvers, fallback_approvers,
    decision_timeout, modified_by, modified_at, version)
VALUES
    ('ID_PROTECTION', TRUE, FALSE, '["HIGH"]', '[{"kind":"ROLE","ref":"SECURITY_ADMINISTRATOR"}]',
        '[{"kind":"ROLE","ref":"GLOBAL_ADMINISTRATOR"}]', 1209600, NULL, NULL, 1),
    ('INSIDER_RISK', TRUE, FALSE, '["ELEVATED"]', '[{"kind":"ROLE","ref":"COMPLIANCE_ADMINISTRATOR"}]',
        '[{"kind":"ROLE","ref":"GLOBAL_ADMINISTRATOR"}]', 1209600, NULL, NULL, 1);

CREATE TABLE control_version (
    source TEXT NOT NULL,
    version BIGINT NOT NULL,
    modified_by TEXT,
    modified_at BIGINT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    PRIMARY KEY (source, version)
);
"#;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, TABLES).await?;
        keep_for_ever(
            manager,
            "control_version",
            "EXISTS (SELECT 1 FROM control_version WHERE source = NEW.source AND version = NEW.version)",
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
