//! The last complete reading of everybody's risk.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{RiskSource, Timestamp};

/// One source's.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "risk_sweep")]
pub struct Model {
    /// The source.
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: RiskSource,
    /// When it began: what it says was so then, or later.
    pub complete_as_of: Timestamp,
    /// The directory's version then: about who came later it says nothing.
    pub directory_version: i64,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("risk_sweep", key ["source"], versioned false, columns [source, complete_as_of, directory_version], stamp [],
    stamp_some []);
