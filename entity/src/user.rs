//! A person of the directory. Never erased: somebody who left is marked deleted.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Timestamp, UserId};

/// One person.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "directory_user")]
pub struct Model {
    /// The directory's object id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// Name for people.
    pub display_name: String,
    /// The same with case folded: what lists are ordered and searched by.
    pub folded_name: String,
    /// Sign-in name; for display, never for a right.
    pub user_principal_name: String,
    /// The same with case folded.
    pub folded_principal_name: String,
    /// Mail address.
    pub mail: Option<String>,
    /// May the account be used?
    pub is_enabled: bool,
    /// The manager.
    pub manager_id: Option<UserId>,
    /// When the directory stopped listing the person.
    pub deleted_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("directory_user", key ["id"], versioned false,
    columns [id, display_name, folded_name, user_principal_name, folded_principal_name, mail, is_enabled, manager_id, deleted_at],
    stamp [], stamp_some [deleted_at]);
