//! A person's ID Protection risk: as it was reported here, or as the source that is asked from outside said last.

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
    /// When the source was last asked about this person alone.
    pub read_at: Option<Timestamp>,
    /// Since when it is known to be something else than what was read before.
    pub changed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("user_risk", key ["user_id"], versioned false,
    columns [user_id, level, state, detail, last_updated_at, read_at, changed_at], stamp [last_updated_at],
    stamp_some [read_at, changed_at]);
