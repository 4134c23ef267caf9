//! An access package: what people ask for.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{CatalogId, PackageId, Timestamp};

/// One access package.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "package")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PackageId,
    /// The catalog it is in.
    pub catalog_id: CatalogId,
    /// Name for people.
    pub display_name: String,
    /// The same with case folded.
    pub folded_name: String,
    /// What it gives.
    pub description: Option<String>,
    /// Left out of lists for those who may only ask for it.
    pub is_hidden: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows by one with every change.
    pub version: i64,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("package", key ["id"], versioned true,
    columns [id, catalog_id, display_name, folded_name, description, is_hidden, created_at, version],
    stamp [created_at], stamp_some []);
