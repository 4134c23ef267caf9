//! A catalog of access packages.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{CatalogId, Timestamp};

/// One catalog.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "catalog")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CatalogId,
    /// Name for people.
    pub display_name: String,
    /// The same with case folded.
    pub folded_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows by one with every change.
    pub version: i64,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("catalog", key ["id"], versioned true,
    columns [id, display_name, folded_name, description, created_at, version], stamp [created_at], stamp_some []);
