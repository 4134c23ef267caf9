//! Where the log ends, and the directory's version: the one row that every commit changes.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// The one row (`id` 1).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "head")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Position of the newest event; 0 in an empty log.
    pub position: i64,
    /// Hash of the newest event (hexadecimal); 64 zeros in an empty log.
    pub hash: String,
    /// Grows by one with every change of the directory.
    pub directory_version: i64,
}

impl ActiveModelBehavior for ActiveModel {}
