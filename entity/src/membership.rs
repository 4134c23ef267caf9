//! Who is in which set of people, flattened and with its history: made by every change of the directory from people,
//! groups, managers and roles. Who "is in the set" is one look-up here, now or as of any directory version.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{SubjectKind, UserId};

/// One person is in one set from one directory version on, and until another.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "membership")]
pub struct Model {
    /// The kind of set.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: SubjectKind,
    /// Which one: a person, a group, a role, or the person whose manager is meant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: String,
    /// Who is in it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// First directory version at which this holds.
    #[sea_orm(primary_key, auto_increment = false)]
    pub since: i64,
    /// First directory version at which it holds no more.
    pub until: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("membership", key ["kind", "subject", "user_id", "since"], versioned false,
    columns [kind, subject, user_id, since, until], stamp [], stamp_some []);
