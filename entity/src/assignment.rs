//! An assignment: access that somebody has, or had.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{AssignmentId, AssignmentState, PackageId, PolicyId, RequestId, Timestamp, UserId};

/// One assignment.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "assignment")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AssignmentId,
    /// The request that gave it.
    pub request_id: RequestId,
    /// The package.
    pub package_id: PackageId,
    /// The policy.
    pub policy_id: PolicyId,
    /// Who has the access.
    pub target_id: UserId,
    /// Where it stands.
    pub state: AssignmentState,
    /// When it began.
    pub starts_at: Timestamp,
    /// When it ends, or ended.
    pub ends_at: Option<Timestamp>,
    /// Grows by one with every change.
    pub version: i64,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("assignment", key ["id"], versioned true,
    columns [id, request_id, package_id, policy_id, target_id, state, starts_at, ends_at, version],
    stamp [starts_at], stamp_some [ends_at]);
