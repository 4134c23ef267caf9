//! A person's insider risk in the built-in store.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{RiskLevel, Timestamp, UserId};

/// One person's insider risk.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "insider_risk")]
pub struct Model {
    /// The person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The level.
    pub level: RiskLevel,
    /// When the compliance system saw it.
    pub observed_at: Timestamp,
    /// From when on it counts no more.
    pub expires_at: Option<Timestamp>,
    /// The compliance system's own reference.
    pub reference: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("insider_risk", key ["user_id"], versioned false,
    columns [user_id, level, observed_at, expires_at, reference], stamp [observed_at], stamp_some [expires_at]);
