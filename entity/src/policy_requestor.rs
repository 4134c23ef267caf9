//! Who may ask under a policy, one row an entry, so that a list of packages can be filtered by right in SQL.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{PolicyId, SubjectKind};

/// One entry.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "policy_requestor")]
pub struct Model {
    /// The policy.
    #[sea_orm(primary_key, auto_increment = false)]
    pub policy_id: PolicyId,
    /// The kind of set.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: SubjectKind,
    /// Which one (see `membership`).
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: String,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("policy_requestor", key ["policy_id", "kind", "subject"], versioned false,
    columns [policy_id, kind, subject], stamp [], stamp_some []);
