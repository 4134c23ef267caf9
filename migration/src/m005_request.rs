//! A request and all that hangs on it. What the clockwork and lists of open work ask for stands in partial indexes, which
//! stay small however long the history grows.

use sea_orm_migration::prelude::*;

use crate::ddl::run;

const TABLES: &str = r#"
CREATE TABLE request (
    id TEXT NOT NULL PRIMARY KEY,
    request_type TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT,
    package_id TEXT NOT NULL REFERENCES package (id),
    policy_id TEXT NOT NULL REFERENCES policy (id),
    requestor_id TEXT NOT NULL REFERENCES directory_user (id),
    target_id TEXT NOT NULL REFERENCES directory_user (id),
    justification TEXT,
    created_at BIGINT NOT NULL,
    completed_at BIGINT,
    holds_slot BOOLEAN NOT NULL,
    has_risk_stage BOOLEAN NOT NULL,
    assignment_duration BIGINT,
    facts TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX request_by_time ON request (created_at, id);
CREATE INDEX request_by_state ON request (state, created_at, id);
CREATE INDEX request_by_requestor ON request (requestor_id, created_at, id);
CREATE INDEX request_by_target ON request (target_id, created_at, id);
CREATE INDEX request_by_package ON request (package_id, created_at, id);
CREATE INDEX request_with_risk ON request (created_at, id) WHERE has_risk_stage;
CREATE UNIQUE INDEX request_slot ON request (target_id, package_id) WHERE holds_slot;

CREATE TABLE evaluation (
    id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL REFERENCES request (id),
    ordinal BIGINT NOT NULL,
    source TEXT NOT NULL,
    subject_id TEXT NOT NULL REFERENCES directory_user (id),
    level TEXT NOT NULL,
    evaluated_at BIGINT NOT NULL,
    configuration_version BIGINT NOT NULL,
    is_stage_required BOOLEAN NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX evaluation_by_request ON evaluation (request_id, ordinal);

CREATE TABLE stage (
    id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL REFERENCES request (id),
    kind TEXT NOT NULL,
    order_key BIGINT NOT NULL,
    status TEXT NOT NULL,
    decision_timeout BIGINT NOT NULL,
    escalate_after BIGINT,
    is_justification_required BOOLEAN NOT NULL,
    coverage TEXT,
    pending_since BIGINT,
    due_at BIGINT,
    escalate_at BIGINT,
    escalated_at BIGINT,
    completed_at BIGINT,
    completed_directory_version BIGINT,
    evaluation_id TEXT REFERENCES evaluation (id),
    version BIGINT NOT NULL
);
CREATE INDEX stage_by_request ON stage (request_id, order_key);
CREATE INDEX stage_pending ON stage (pending_since, id) WHERE status = 'PENDING';
CREATE INDEX stage_pending_risk ON stage (pending_since, id) WHERE status = 'PENDING' AND kind <> 'POLICY';
CREATE INDEX stage_due ON stage (due_at, id) WHERE status = 'PENDING';
CREATE INDEX stage_to_escalate ON stage (escalate_at) WHERE status = 'PENDING' AND escalated_at IS NULL;

CREATE TABLE stage_approver (
    stage_id TEXT NOT NULL REFERENCES stage (id),
    tier TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (stage_id, tier, ordinal)
);
CREATE INDEX stage_approver_by_subject ON stage_approver (kind, subject);

CREATE TABLE decision (
    id TEXT NOT NULL PRIMARY KEY,
    stage_id TEXT NOT NULL REFERENCES stage (id),
    request_id TEXT NOT NULL REFERENCES request (id),
    user_id TEXT NOT NULL REFERENCES directory_user (id),
    verdict TEXT NOT NULL,
    justification TEXT,
    tier TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    role TEXT,
    directory_version BIGINT NOT NULL,
    decided_at BIGINT NOT NULL
);
CREATE INDEX decision_by_stage ON decision (stage_id);

CREATE TABLE assignment (
    id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL REFERENCES request (id),
    package_id TEXT NOT NULL REFERENCES package (id),
    policy_id TEXT NOT NULL REFERENCES policy (id),
    target_id TEXT NOT NULL REFERENCES directory_user (id),
    state TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX assignment_by_request ON assignment (request_id);
CREATE INDEX assignment_by_time ON assignment (starts_at, id);
CREATE INDEX assignment_by_target ON assignment (target_id, starts_at, id);
CREATE INDEX assignment_by_package ON assignment (package_id, starts_at, id);
CREATE INDEX assignment_to_end ON assignment (ends_at) WHERE state = 'DELIVERED';

CREATE TABLE idempotency (
    user_id TEXT NOT NULL,
    key TEXT NOT NULL,
    input_hash TEXT NOT NULL,
    request_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_by_time ON idempotency (created_at);
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
