//! One approval stage of a request. Its rules are copied at submission; who is in its sets is always live.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Coverage, EvaluationId, RequestId, Seconds, StageId, StageKind, StageStatus, Timestamp};

/// One stage.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "stage")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: StageId,
    /// The request it belongs to.
    pub request_id: RequestId,
    /// Why it exists.
    pub kind: StageKind,
    /// Stages are passed in rising order; gaps leave room for one that is inserted later.
    pub order_key: i64,
    /// Where it stands.
    pub status: StageStatus,
    /// How long it waits from its turn until it is denied.
    pub decision_timeout: Seconds,
    /// How long from its turn until its alternates join.
    pub escalate_after: Option<Seconds>,
    /// Must a decision carry a justification?
    pub is_justification_required: bool,
    /// Who could decide it, since its turn came.
    pub coverage: Option<Coverage>,
    /// When its turn came.
    pub pending_since: Option<Timestamp>,
    /// When it is denied for want of a decision; kept after completion.
    pub due_at: Option<Timestamp>,
    /// When its alternates join.
    pub escalate_at: Option<Timestamp>,
    /// When they did.
    pub escalated_at: Option<Timestamp>,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// The directory version at completion: who was in its sets then.
    pub completed_directory_version: Option<i64>,
    /// The reading that put a risk stage here.
    pub evaluation_id: Option<EvaluationId>,
    /// Grows by one with every change.
    pub version: i64,
    /// The newest reading of a risk stage's source while it waited for a decision; nothing while that is the first.
    pub latest_evaluation_id: Option<EvaluationId>,
    /// When it was inserted; nothing for a stage of the route planned at submission.
    pub inserted_at: Option<Timestamp>,
    /// The newest stage of the same source whose approval is void, which this asks for again, and for those before it.
    pub replaces_stage_id: Option<StageId>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("stage", key ["id"], versioned true,
    columns [id, request_id, kind, order_key, status, decision_timeout, escalate_after, is_justification_required, coverage,
        pending_since, due_at, escalate_at, escalated_at, completed_at, completed_directory_version, evaluation_id, version,
        latest_evaluation_id, inserted_at, replaces_stage_id],
    stamp [], stamp_some [pending_since, due_at, escalate_at, escalated_at, completed_at, inserted_at]);
