//! Proof of decisions: by which path and on which data somebody decided, which approval a stage replaces, and whether a control refuses
//! approvers who are risky themselves and proves approvals again.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const COLUMNS: &str = r#"
ALTER TABLE decision ADD COLUMN group_path TEXT NOT NULL DEFAULT '[]';
ALTER TABLE decision ADD COLUMN role_group_id TEXT;
ALTER TABLE decision ADD COLUMN roles_read_at BIGINT;
ALTER TABLE decision ADD COLUMN evaluation_id TEXT REFERENCES evaluation (id);
ALTER TABLE decision ADD COLUMN stage_version BIGINT;
ALTER TABLE stage ADD COLUMN replaces_stage_id TEXT REFERENCES stage (id);
ALTER TABLE control ADD COLUMN refuse_risky_approvers BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE control ADD COLUMN reprove_before_delivery BOOLEAN NOT NULL DEFAULT TRUE;

INSERT INTO progress (name, position) VALUES ('INSIDER_RISK_EXPIRY', 0);
CREATE INDEX insider_risk_by_expiry ON insider_risk (expires_at) WHERE expires_at IS NOT NULL;
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
