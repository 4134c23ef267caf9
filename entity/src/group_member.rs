//! Direct members of groups: people and groups, as the directory lists them.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::GroupId;

/// One direct member of one group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "directory_group_member")]
pub struct Model {
    /// The group.
    #[sea_orm(primary_key, auto_increment = false)]
    pub group_id: GroupId,
    /// Object id of a person or of a group.
    #[sea_orm(primary_key, auto_increment = false)]
    pub member_id: String,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("directory_group_member", key ["group_id", "member_id"], versioned false,
    columns [group_id, member_id], stamp [], stamp_some []);
