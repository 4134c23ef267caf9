//! One person's decision on one stage: who, by which right, when. A row of its own, so that a stage can take several.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ApproverTier, DecisionId, DirectoryRole, RequestId, StageId, SubjectKind, Timestamp, UserId, Verdict};

/// One decision.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "decision")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DecisionId,
    /// The stage.
    pub stage_id: StageId,
    /// The request of the stage.
    pub request_id: RequestId,
    /// Who decided.
    pub user_id: UserId,
    /// Yes or no.
    pub verdict: Verdict,
    /// Why.
    pub justification: Option<String>,
    /// The tier that the person belonged to.
    pub tier: ApproverTier,
    /// The kind of entry that named the person.
    pub kind: SubjectKind,
    /// Which one.
    pub subject: String,
    /// The role that a risk stage needed, and the person held.
    pub role: Option<DirectoryRole>,
    /// The directory version that this was judged by.
    pub directory_version: i64,
    /// When.
    pub decided_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("decision", key ["id"], versioned false,
    columns [id, stage_id, request_id, user_id, verdict, justification, tier, kind, subject, role, directory_version, decided_at],
    stamp [decided_at], stamp_some []);
