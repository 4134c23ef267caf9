//! Control configurations.

use async_graphql::{Context, Error, ID, InputObject, Interface, MaybeUndefined, Object, SimpleObject};
use entity::{RiskLevel, RiskSource, UserId, control};

use super::error::UserError;
use super::loader;
use super::scalar::{DateTime, Duration, small};
use super::subject::{self, SubjectSet, SubjectSetInput};
use super::user::User;
use super::word::{InsiderRiskLevel, RiskReevaluation, UserRiskLevel, WhenUndetermined};
use crate::domain::control::{Update, id};
use crate::domain::risk;

/// A setting of the whole tenant that changes how requests are routed.
#[derive(Interface, Clone)]
#[graphql(
    field(name = "id", ty = "ID", desc = "Fixed, one for each kind."),
    field(name = "is_enabled", ty = "bool", desc = "Is it in force?"),
    field(name = "version", ty = "i32", desc = "Grows by one with every change; `expectedVersion` takes it back."),
    field(name = "modified_by", ty = "Option<Result<User, Error>>", desc = "Who changed it last."),
    field(name = "modified_at", ty = "Option<DateTime>", desc = "When.")
)]
pub enum ControlConfiguration {
    /// ID Protection.
    IdProtectionRiskApproval(IdProtectionRiskApproval),
    /// Insider risk.
    InsiderRiskApproval(InsiderRiskApproval),
}

impl ControlConfiguration {
    /// As its kind shows it.
    pub fn of(row: control::Model) -> ControlConfiguration {
        match row.source {
            RiskSource::IdProtection => ControlConfiguration::IdProtectionRiskApproval(IdProtectionRiskApproval(row)),
            RiskSource::InsiderRisk => ControlConfiguration::InsiderRiskApproval(InsiderRiskApproval(row)),
        }
    }
}

async fn person(ctx: &Context<'_>, id: Option<UserId>) -> Option<Result<User, Error>> {
    loader::user(ctx, id?).await.map(|row| row.map(User)).transpose()
}

macro_rules! control_object {
    ($(#[$meta:meta])* $name:ident, $level:ident) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name(pub control::Model);

        #[Object]
        impl $name {
            /// Fixed.
            pub async fn id(&self) -> ID {
                id(self.0.source).to_string().into()
            }

            /// Is it in force?
            pub async fn is_enabled(&self) -> bool {
                self.0.is_enabled
            }

            /// Grows by one with every change; `expectedVersion` takes it back.
            pub async fn version(&self) -> i32 {
                small(self.0.version)
            }

            /// Who changed it last.
            pub async fn modified_by(&self, ctx: &Context<'_>) -> Option<Result<User, Error>> {
                person(ctx, self.0.modified_by).await
            }

            /// When.
            pub async fn modified_at(&self) -> Option<DateTime> {
                self.0.modified_at.map(DateTime)
            }

            /// Does it ask for a stage?
            async fn is_approval_required(&self) -> bool {
                self.0.is_approval_required
            }

            /// The levels that ask for one, in rising order.
            async fn risk_levels(&self) -> Vec<$level> {
                self.0.risk_levels.0.iter().copied().filter_map($level::of).collect()
            }

            /// The lowest of them, where all above it are selected too; null for a set with a gap.
            async fn minimum_risk_level(&self) -> Option<$level> {
                risk::minimum(self.0.source, &self.0.risk_levels.0).and_then($level::of)
            }

            /// Who decides.
            pub async fn approvers(&self, ctx: &Context<'_>) -> Result<Vec<SubjectSet>, Error> {
                subject::shown(ctx, &self.0.approvers.0).await
            }

            /// Who joins while nobody of those could decide.
            async fn fallback_approvers(&self, ctx: &Context<'_>) -> Result<Vec<SubjectSet>, Error> {
                subject::shown(ctx, &self.0.fallback_approvers.0).await
            }

            /// How long a stage waits before it is denied; 14 days at most.
            async fn decision_timeout(&self) -> Duration {
                Duration(self.0.decision_timeout)
            }

            /// When it reads its source for a request.
            async fn reevaluation(&self) -> RiskReevaluation {
                self.0.reevaluation.into()
            }

            /// What a reading that cannot be had makes of a request.
            async fn when_undetermined(&self) -> WhenUndetermined {
                self.0.when_undetermined.into()
            }

            /// How long a request waits for the source at most.
            async fn hold_timeout(&self) -> Duration {
                Duration(self.0.hold_timeout)
            }

            /// May nobody approve its stages whose own risk matches it, or cannot be read? They may deny, and do not count as somebody
            /// who could decide.
            async fn refuse_risky_approvers(&self) -> bool {
                self.0.refuse_risky_approvers
            }

            /// Is each approval of its stages proved again before access is delivered? Where who gave it was disabled or deleted since, or
            /// lost the role, the stage is asked for again.
            async fn reprove_before_delivery(&self) -> bool {
                self.0.reprove_before_delivery
            }
        }
    };
}

control_object! {
    /// Puts a stage before those of the policy where ID Protection gives the requestor or the target one of the selected levels.
    /// Untouched, holders of Security Administrator decide it.
    IdProtectionRiskApproval, UserRiskLevel
}
control_object! {
    /// Puts a stage before those of the policy where the requestor or the target has one of the selected levels of insider risk.
    /// Untouched, holders of Compliance Administrator decide it.
    InsiderRiskApproval, InsiderRiskLevel
}

/// An optional field of an update as the rules take it: left out, null, or a value.
fn given<T, U>(field: MaybeUndefined<T>, value: impl FnOnce(T) -> U) -> Option<Option<U>> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(inner) => Some(Some(value(inner))),
    }
}

macro_rules! update_input {
    ($(#[$meta:meta])* $name:ident, $payload:ident, $control:ident, $level:ident) => {
        $(#[$meta])*
        #[derive(InputObject)]
        pub struct $name {
            /// The version that the caller saw; another one now is STALE_VERSION.
            expected_version: MaybeUndefined<i32>,
            /// Put it in force, or out of it.
            is_enabled: MaybeUndefined<bool>,
            /// Ask for a stage, or not.
            is_approval_required: MaybeUndefined<bool>,
            /// Select a level and all above it.
            minimum_risk_level: MaybeUndefined<$level>,
            /// Select these levels.
            risk_levels: MaybeUndefined<Vec<$level>>,
            /// Who shall decide.
            approvers: MaybeUndefined<Vec<SubjectSetInput>>,
            /// Who shall join while nobody of those could.
            fallback_approvers: MaybeUndefined<Vec<SubjectSetInput>>,
            /// How long a stage shall wait: PT1H to P14D.
            decision_timeout: MaybeUndefined<Duration>,
            /// When it shall read its source for a request.
            reevaluation: MaybeUndefined<RiskReevaluation>,
            /// What a reading that cannot be had shall make of a request.
            when_undetermined: MaybeUndefined<WhenUndetermined>,
            /// How long a request shall wait for the source at most: PT1M to P1D.
            hold_timeout: MaybeUndefined<Duration>,
            /// Let nobody approve its stages whose own risk matches it, or anybody.
            refuse_risky_approvers: MaybeUndefined<bool>,
            /// Prove each approval of its stages again before access is delivered, or not.
            reprove_before_delivery: MaybeUndefined<bool>,
        }

        impl $name {
            /// As the rules take it.
            pub fn taken(self) -> Update {
                let levels = |levels: Vec<$level>| levels.into_iter().map(RiskLevel::from).collect();
                Update {
                    expected_version: given(self.expected_version, i64::from),
                    is_enabled: given(self.is_enabled, |value| value),
                    is_approval_required: given(self.is_approval_required, |value| value),
                    minimum_risk_level: given(self.minimum_risk_level, RiskLevel::from),
                    risk_levels: given(self.risk_levels, levels),
                    approvers: given(self.approvers, subject::taken),
                    fallback_approvers: given(self.fallback_approvers, subject::taken),
                    decision_timeout: given(self.decision_timeout, |Duration(span)| span),
                    reevaluation: given(self.reevaluation, entity::Reevaluation::from),
                    when_undetermined: given(self.when_undetermined, entity::WhenUndetermined::from),
                    hold_timeout: given(self.hold_timeout, |Duration(span)| span),
                    refuse_risky_approvers: given(self.refuse_risky_approvers, |value| value),
                    reprove_before_delivery: given(self.reprove_before_delivery, |value| value),
                }
            }
        }

        /// What came of it.
        #[derive(SimpleObject)]
        pub struct $payload {
            /// The control as it is now; null where the update was refused.
            pub control_configuration: Option<$control>,
            /// Accepted, but look at it: a set of levels with a gap.
            pub warnings: Vec<String>,
            /// Why it was refused.
            pub user_errors: Vec<UserError>,
        }
    };
}

update_input! {
    /// Fields left out stay as they are; null is INVALID. Give `minimumRiskLevel` or `riskLevels`, not both.
    UpdateIdProtectionRiskApprovalInput, UpdateIdProtectionRiskApprovalPayload, IdProtectionRiskApproval, UserRiskLevel
}
update_input! {
    /// Fields left out stay as they are; null is INVALID. Give `minimumRiskLevel` or `riskLevels`, not both.
    UpdateInsiderRiskApprovalInput, UpdateInsiderRiskApprovalPayload, InsiderRiskApproval, InsiderRiskLevel
}
