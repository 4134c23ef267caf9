//! A group of the directory. Never erased: one that is gone is marked deleted.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{GroupId, Timestamp};

/// One group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "directory_group")]
pub struct Model {
    /// The directory's object id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: GroupId,
    /// Name for people.
    pub display_name: String,
    /// When the directory stopped listing the group.
    pub deleted_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("directory_group", key ["id"], versioned false,
    columns [id, display_name, deleted_at], stamp [], stamp_some [deleted_at]);
