//! Which instance does what only one of them should. Not written through the log.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// One kind of work.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "lease")]
pub struct Model {
    /// What it is called.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Which instance.
    pub holder: String,
    /// Until then.
    pub until: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("lease", key ["name"], versioned false, columns [name, holder, until], stamp [], stamp_some []);
