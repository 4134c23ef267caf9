//! An access request.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Outcome, PackageId, PolicyId, RequestId, RequestState, RequestType, Seconds, Timestamp, UserId};

/// One request.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "request")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RequestId,
    /// Who asked for what.
    pub request_type: RequestType,
    /// Where it stands.
    pub state: RequestState,
    /// Why it ended.
    pub outcome: Option<Outcome>,
    /// The package asked for.
    pub package_id: PackageId,
    /// The policy it was routed by.
    pub policy_id: PolicyId,
    /// Who asked; where an application did, the one it asked for.
    pub requestor_id: UserId,
    /// Who gets the access.
    pub target_id: UserId,
    /// What the requestor wrote.
    pub justification: Option<String>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Does it keep other requests for the same target and package away? While it is open, and while its assignment lasts.
    pub holds_slot: bool,
    /// Has it a risk stage?
    pub has_risk_stage: bool,
    /// How long the access will last, by the policy at submission.
    pub assignment_duration: Option<Seconds>,
    /// The facts that routing used, as JSON: the route can be made again from them.
    pub facts: String,
    /// Grows by one with every change.
    pub version: i64,
    /// The application that asked: its issuer and its client id.
    pub application: Option<String>,
    /// When its risk is read again, while it waits for a source before it is routed.
    pub retry_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("request", key ["id"], versioned true,
    columns [id, request_type, state, outcome, package_id, policy_id, requestor_id, target_id, justification, created_at,
        completed_at, holds_slot, has_risk_stage, assignment_duration, facts, version, application, retry_at],
    stamp [created_at], stamp_some [completed_at, retry_at]);
