//! An assignment policy: who may ask for a package, and who must approve.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Json, PackageId, PolicyId, PolicyStage, Seconds, SubjectSet, Timestamp};

/// One policy.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "policy")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PolicyId,
    /// The package it is for.
    pub package_id: PackageId,
    /// Name for people.
    pub display_name: String,
    /// May every enabled member of the directory ask?
    pub is_for_everyone: bool,
    /// Otherwise: who may ask (`policy_requestor` has the same, one row an entry).
    pub allowed_requestors: Json<Vec<SubjectSet>>,
    /// May a manager ask for direct reports whom the policy covers?
    pub allow_managers_on_behalf: bool,
    /// Must a request carry a justification?
    pub is_requestor_justification_required: bool,
    /// The approval stages, in order.
    pub stages: Json<Vec<PolicyStage>>,
    /// How long access lasts.
    pub assignment_duration: Option<Seconds>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows by one with every change.
    pub version: i64,
    /// May an application ask for people whom the policy covers?
    pub allow_applications: bool,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("policy", key ["id"], versioned true,
    columns [id, package_id, display_name, is_for_everyone, allowed_requestors, allow_managers_on_behalf,
        is_requestor_justification_required, stages, assignment_duration, created_at, version, allow_applications],
    stamp [created_at], stamp_some []);
