//! At what pace all instances together ask somebody outside. Not written through the log.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// One who is asked.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "pace")]
pub struct Model {
    /// What it is called.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The next turn.
    pub next_at: Timestamp,
    /// It wants to be left alone until then.
    pub not_before: Timestamp,
    /// How many questions failed one after the other.
    pub failures: i64,
    /// The last answer.
    pub succeeded_at: Option<Timestamp>,
    /// The last question that failed.
    pub failed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("pace", key ["name"], versioned false,
    columns [name, next_at, not_before, failures, succeeded_at, failed_at], stamp [], stamp_some []);
