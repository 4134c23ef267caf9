//! What was submitted under which idempotency key.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{RequestId, Timestamp, UserId};

/// One key of one person.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "idempotency")]
pub struct Model {
    /// Who used it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// SHA-256 of the input (hexadecimal).
    pub input_hash: String,
    /// The request first made.
    pub request_id: RequestId,
    /// When.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("idempotency", key ["user_id", "key"], versioned false,
    columns [user_id, key, input_hash, request_id, created_at], stamp [created_at], stamp_some []);
