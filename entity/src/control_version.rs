//! Every version that a control configuration ever had: who made it, when, what stood before and after.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{RiskSource, Timestamp, UserId};

/// One change of one control.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "control_version")]
pub struct Model {
    /// The control.
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: RiskSource,
    /// The version that the change made.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i64,
    /// Who.
    pub modified_by: Option<UserId>,
    /// When.
    pub modified_at: Timestamp,
    /// The control before, as canonical JSON.
    pub before: String,
    /// The control after, as canonical JSON.
    pub after: String,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("control_version", key ["source", "version"], versioned false,
    columns [source, version, modified_by, modified_at, before, after], stamp [modified_at], stamp_some []);
