//! How far the reading of the directory's source has come: one row for each stream of it. A row changes in the commit that carries what
//! was read, so after a crash the reading goes on where its last commit stands.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{SyncPhase, SyncStream, Timestamp};

/// One stream.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "directory_sync")]
pub struct Model {
    /// Which one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub stream: SyncStream,
    /// Grows with every change of the row.
    pub version: i64,
    /// What is being done.
    pub phase: SyncPhase,
    /// Number of the present listing, or of the last.
    pub listing: i64,
    /// When that one began.
    pub listed_at: Option<Timestamp>,
    /// Where the source says that the next page stands, in its own words. None: at the beginning.
    pub link: Option<String>,
    /// When the round under way began; none while the stream rests.
    pub begun_at: Option<Timestamp>,
    /// When the newest round that was read completely began: what the source said by then is known.
    pub read_at: Option<Timestamp>,
    /// How many a listing did not name that nobody has taken away, for they are too many.
    pub held_back: Option<i64>,
    /// An operator says that they shall be taken away.
    pub is_removal_approved: bool,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("directory_sync", key ["stream"], versioned true,
    columns [stream, version, phase, listing, listed_at, link, begun_at, read_at, held_back, is_removal_approved],
    stamp [], stamp_some []);
