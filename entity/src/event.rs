//! One event of the one log: audit record, source of every subscription. Written once; the database refuses to change it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ActorKind, AuditResult, CommitId, EventId, PackageId, RequestId, StageId, Timestamp};

/// One event.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// Its place in the one order of commits, from 1, without gaps.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    /// Its id.
    pub id: EventId,
    /// The commit that wrote it.
    pub commit_id: CommitId,
    /// The time of that commit.
    pub occurred_at: Timestamp,
    /// Machine name (`docs/events.md`).
    pub kind: String,
    /// The field's own wording.
    pub activity: String,
    /// The audit category.
    pub category: String,
    /// How it ended.
    pub result: AuditResult,
    /// What kind of actor.
    pub actor_kind: ActorKind,
    /// Which one: a person's object id, an application's id; nothing for the system.
    pub actor_id: Option<String>,
    /// The request it is about.
    pub request_id: Option<RequestId>,
    /// The stage it is about.
    pub stage_id: Option<StageId>,
    /// The package it is about.
    pub package_id: Option<PackageId>,
    /// Would it tell of risk? Then only risk readers of the request hear of it.
    pub is_risk: bool,
    /// Everything above and the details as canonical JSON (RFC 8785): what the hash covers.
    pub content: String,
    /// Hash of the event before (hexadecimal); 64 zeros for the first.
    pub previous_hash: String,
    /// SHA-256 over `previous_hash` and `content` (hexadecimal).
    pub hash: String,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("event", key ["position"], versioned false,
    columns [position, id, commit_id, occurred_at, kind, activity, category, result, actor_kind, actor_id, request_id, stage_id,
        package_id, is_risk, content, previous_hash, hash],
    stamp [], stamp_some []);
