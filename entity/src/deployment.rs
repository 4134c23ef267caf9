//! What one installation is: its marks and its keys. One row.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{DirectorySource, LogId, Secret, Timestamp};

/// The one row (`id` 1).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "deployment")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Which log this is: event cursors of another one are refused.
    pub log_id: LogId,
    /// Raised after a restore or a failover that may have lost events: older cursors are refused.
    pub generation: i64,
    /// Ed25519 private key of the built-in token issuer (PKCS #8, base64).
    pub issuer_key: Secret,
    /// Key of event cursors (32 bytes, base64).
    pub cursor_key: Secret,
    /// Is the built-in issuer on? Recorded by `serve`, so that `token` knows.
    pub is_builtin_issuer: bool,
    /// Does this database hold the demo world?
    pub is_demo: bool,
    /// When the database was made.
    pub created_at: Timestamp,
    /// Where the directory comes from; none while there is none.
    pub directory_source: Option<DirectorySource>,
}

impl ActiveModelBehavior for ActiveModel {}
