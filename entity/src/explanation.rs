//! Why a request goes the way it goes: what the planner found while it planned, each time that it did.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ExplanationId, PlanningMoment, RequestId, Timestamp};

/// What one planning found.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "explanation")]
pub struct Model {
    /// Its id; of two of one request the later made is greater.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ExplanationId,
    /// The request.
    pub request_id: RequestId,
    /// When in the life of the request.
    pub moment: PlanningMoment,
    /// The directory version that people were judged by.
    pub directory_version: i64,
    /// When the plan was committed.
    pub planned_at: Timestamp,
    /// The steps, and the stages and readings they speak of, as JSON.
    pub content: String,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("explanation", key ["id"], versioned false,
    columns [id, request_id, moment, directory_version, planned_at, content], stamp [planned_at], stamp_some []);
