//! One reading of one risk source for one person, as routing used it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{EvaluationId, Origin, RequestId, RiskLevel, RiskSource, Timestamp, UserId};

/// One reading.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "evaluation")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EvaluationId,
    /// The request it was made for.
    pub request_id: RequestId,
    /// Its place among the readings of the request.
    pub ordinal: i64,
    /// The source.
    pub source: RiskSource,
    /// Whose risk.
    pub subject_id: UserId,
    /// The level.
    pub level: RiskLevel,
    /// When it was read.
    pub evaluated_at: Timestamp,
    /// The version of the control that was applied.
    pub configuration_version: i64,
    /// Did it ask for a stage?
    pub is_stage_required: bool,
    /// Why, or why not, for people.
    pub reason: String,
    /// Where it comes from.
    pub origin: Origin,
    /// When the source changed it last, where it says so.
    pub source_updated_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("evaluation", key ["id"], versioned false,
    columns [id, request_id, ordinal, source, subject_id, level, evaluated_at, configuration_version,
        is_stage_required, reason, origin, source_updated_at],
    stamp [evaluated_at], stamp_some []);
