//! How far along the log some work has come that every event asks for in its turn.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// One kind of work.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "progress")]
pub struct Model {
    /// What it is called.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Everything up to this position is done.
    pub position: i64,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("progress", key ["name"], versioned false, columns [name, position], stamp [], stamp_some []);
