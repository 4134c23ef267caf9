//! One person's decision on one stage: who, by which right, when. A row of its own, so that a stage can take several.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    ApproverTier, DecisionId, DirectoryRole, EvaluationId, GroupId, Json, RequestId, StageId, SubjectKind, Timestamp,
    UserId, Verdict,
};

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
    /// The groups from the named one down to the one that the person is a member of; nothing where no group was named.
    pub group_path: Json<Vec<GroupId>>,
    /// The group through which the role was held; nothing where the person was given it, or the directory does not say.
    pub role_group_id: Option<GroupId>,
    /// When the role was asked of whoever gives it; nothing where the directory is our own, as new as its version.
    pub roles_read_at: Option<Timestamp>,
    /// The newest reading that the stage showed.
    pub evaluation_id: Option<EvaluationId>,
    /// The version of the stage that was decided on; nothing where it was not kept yet.
    pub stage_version: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("decision", key ["id"], versioned false,
    columns [id, stage_id, request_id, user_id, verdict, justification, tier, kind, subject, role, directory_version, decided_at,
        group_path, role_group_id, roles_read_at, evaluation_id, stage_version],
    stamp [decided_at], stamp_some []);
