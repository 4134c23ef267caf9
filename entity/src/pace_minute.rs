//! How often somebody outside was asked in one minute. Not written through the log.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// One minute.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "pace_minute")]
pub struct Model {
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Minutes since 1970.
    #[sea_orm(primary_key, auto_increment = false)]
    pub minute: i64,
    /// Questions.
    pub calls: i64,
    /// How many of them were too many.
    pub throttles: i64,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("pace_minute", key ["name", "minute"], versioned false, columns [name, minute, calls, throttles], stamp [],
    stamp_some []);
