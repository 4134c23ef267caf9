//! Whom a stage names, tier by tier.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ApproverTier, StageId, SubjectKind};

/// One entry of one tier.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "stage_approver")]
pub struct Model {
    /// The stage.
    #[sea_orm(primary_key, auto_increment = false)]
    pub stage_id: StageId,
    /// The tier.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tier: ApproverTier,
    /// Its place among the entries of the tier, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub ordinal: i64,
    /// The kind of set.
    pub kind: SubjectKind,
    /// Which one (see `membership`).
    pub subject: String,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("stage_approver", key ["stage_id", "tier", "ordinal"], versioned false,
    columns [stage_id, tier, ordinal, kind, subject], stamp [], stamp_some []);
