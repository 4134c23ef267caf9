//! Who is given which directory role directly: a person, or a group whose members hold it. Who holds a role follows from these
//! ([`crate::role`]).

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::DirectoryRole;

/// One role is given to one person or group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "directory_role_assignment")]
pub struct Model {
    /// The role.
    #[sea_orm(primary_key, auto_increment = false)]
    pub role: DirectoryRole,
    /// Object id of a person or of a group.
    #[sea_orm(primary_key, auto_increment = false)]
    pub principal_id: String,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("directory_role_assignment", key ["role", "principal_id"], versioned false,
    columns [role, principal_id], stamp [], stamp_some []);
