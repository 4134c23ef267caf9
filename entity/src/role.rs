//! Who holds which directory role.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{DirectoryRole, UserId};

/// One person holds one role.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "directory_role")]
pub struct Model {
    /// The holder.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The role.
    #[sea_orm(primary_key, auto_increment = false)]
    pub role: DirectoryRole,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("directory_role", key ["user_id", "role"], versioned false,
    columns [user_id, role], stamp [], stamp_some []);
