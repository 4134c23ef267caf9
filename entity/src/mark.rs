//! What a listing that is under way has named. At its end what stands and was not named is taken away; then the marks are too.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::MarkKind;

/// One mark.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "directory_mark")]
pub struct Model {
    /// A person, a group, or a member of one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: MarkKind,
    /// Object id of the person or group.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Object id of the member; otherwise empty.
    #[sea_orm(primary_key, auto_increment = false)]
    pub member_id: String,
    /// The listing that named it.
    pub listing: i64,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("directory_mark", key ["kind", "id", "member_id"], versioned false,
    columns [kind, id, member_id, listing], stamp [], stamp_some []);
