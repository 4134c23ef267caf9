//! A person's ID Protection risk in the built-in store.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{RiskLevel, RiskState, Timestamp, UserId};

/// One person's risk.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "user_risk")]
pub struct Model {
    /// The person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The level.
    pub level: RiskLevel,
    /// The state.
    pub state: RiskState,
    /// What was reported with it.
    pub detail: Option<String>,
    /// When it changed last.
    pub last_updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("user_risk", key ["user_id"], versioned false,
    columns [user_id, level, state, detail, last_updated_at], stamp [last_updated_at], stamp_some []);
