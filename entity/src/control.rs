//! A control configuration: when a risky person's request gets an extra stage, and who decides it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Json, Reevaluation, RiskLevel, RiskSource, Seconds, SubjectSet, Timestamp, UserId, WhenUndetermined};

/// The control of one risk source.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "control")]
pub struct Model {
    /// The risk source it listens to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: RiskSource,
    /// Is it in force?
    pub is_enabled: bool,
    /// Does it ask for a stage?
    pub is_approval_required: bool,
    /// The levels that ask for one, in rising order.
    pub risk_levels: Json<Vec<RiskLevel>>,
    /// Who decides.
    pub approvers: Json<Vec<SubjectSet>>,
    /// Who joins while nobody of those could.
    pub fallback_approvers: Json<Vec<SubjectSet>>,
    /// How long a stage waits before it is denied.
    pub decision_timeout: Seconds,
    /// Who changed it last.
    pub modified_by: Option<UserId>,
    /// When.
    pub modified_at: Option<Timestamp>,
    /// Grows by one with every change.
    pub version: i64,
    /// When it reads its source.
    pub reevaluation: Reevaluation,
    /// What a reading that could not be had makes of a request.
    pub when_undetermined: WhenUndetermined,
    /// How long a request waits for the source at most.
    pub hold_timeout: Seconds,
    /// May nobody approve its stages whose own risk matches it?
    pub refuse_risky_approvers: bool,
    /// Are approvals of its stages proved again before access is delivered?
    pub reprove_before_delivery: bool,
}

impl ActiveModelBehavior for ActiveModel {}

crate::row!("control", key ["source"], versioned true,
    columns [source, is_enabled, is_approval_required, risk_levels, approvers, fallback_approvers, decision_timeout,
        modified_by, modified_at, version, reevaluation, when_undetermined, hold_timeout,
        refuse_risky_approvers, reprove_before_delivery],
    stamp [], stamp_some [modified_at]);
