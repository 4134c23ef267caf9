//! Approval stages, and decisions on them.

use async_graphql::{Context, Error, ID, InputObject, Interface, Object, SimpleObject};
use entity::StageStatus;

use super::connection::connection;
use super::error::{UserError, shown};
use super::loader;
use super::proof::DecisionProof;
use super::request::{AccessRequest, RiskEvaluation};
use super::scalar::{DateTime, read_id, small};
use super::session::actor;
use super::subject::{self, SubjectSet};
use super::user::User;
use super::word::{ApprovalStageKind, ApprovalStageStatus, Decision, RiskSource};
use crate::domain::permission::{Right, risk_source};
use crate::service::{Decide, Fault, StageFilter, StageRow};

/// One approval that a request needs.
#[expect(clippy::duplicated_attributes, reason = "two fields of one interface may have one type")]
#[derive(Interface, Clone)]
#[graphql(
    field(name = "id", ty = "ID", desc = "Its id."),
    field(name = "kind", ty = "ApprovalStageKind", desc = "Why it exists."),
    field(name = "position", ty = "i32", desc = "Its place, from 1, among those that the viewer sees."),
    field(name = "status", ty = "ApprovalStageStatus", desc = "Where it stands."),
    field(name = "request", ty = "Result<AccessRequest, Error>", desc = "The request that needs it."),
    field(
        name = "approvers",
        ty = "Option<Result<Vec<SubjectSet>, Error>>",
        desc = "The sets in force; after completion those of that moment. Null is kept for a later setting."
    ),
    field(
        name = "is_assigned_to_viewer",
        ty = "bool",
        desc = "Would a decision of the viewer, with a justification, pass now?"
    ),
    field(name = "pending_since", ty = "Option<DateTime>", desc = "When its turn came."),
    field(
        name = "due_at",
        ty = "Option<DateTime>",
        desc = "When it is denied for want of a decision; null unless pending."
    ),
    field(name = "decided_by", ty = "Option<Result<User, Error>>", desc = "Who made the decision that completed it."),
    field(name = "decided_at", ty = "Option<DateTime>", desc = "When."),
    field(name = "justification", ty = "Option<String>", desc = "Why."),
    field(
        name = "proof",
        ty = "Option<Result<Vec<DecisionProof>, Error>>",
        desc = "How each decision on it was made; null for a viewer who may not read the audit log."
    )
)]
pub enum ApprovalStage {
    /// Because of risk.
    RiskApprovalStage(RiskApprovalStage),
    /// Because of the policy.
    PolicyApprovalStage(PolicyApprovalStage),
}

impl ApprovalStage {
    /// As its kind shows it.
    pub fn of(row: StageRow) -> ApprovalStage {
        match risk_source(row.stage.kind) {
            Some(_) => ApprovalStage::RiskApprovalStage(RiskApprovalStage { row }),
            None => ApprovalStage::PolicyApprovalStage(PolicyApprovalStage { row }),
        }
    }
}

/// An approval that stands before those of the policy because somebody is risky.
#[derive(Clone)]
pub struct RiskApprovalStage {
    row: StageRow,
}

impl RiskApprovalStage {
    /// A stage that comes from a risk source.
    pub fn of(row: StageRow) -> RiskApprovalStage {
        RiskApprovalStage { row }
    }
}

/// An approval that the policy asks for.
#[derive(Clone)]
pub struct PolicyApprovalStage {
    row: StageRow,
}

macro_rules! stage_object {
    ($name:ident { $($extra:tt)* }) => {
        #[Object]
        impl $name {
            /// Its id.
            pub async fn id(&self) -> ID {
                self.row.stage.id.to_string().into()
            }

            /// Why it exists.
            pub async fn kind(&self) -> ApprovalStageKind {
                self.row.stage.kind.into()
            }

            /// Its place, from 1, among those that the viewer sees.
            pub async fn position(&self) -> i32 {
                small(self.row.position)
            }

            /// Where it stands.
            pub async fn status(&self) -> ApprovalStageStatus {
                self.row.stage.status.into()
            }

            /// The request that needs it.
            pub async fn request(&self, ctx: &Context<'_>) -> Result<AccessRequest, Error> {
                let row = loader::request(ctx, self.row.stage.request_id).await?;
                // Seen a moment ago, and not any more: the viewer's rights have changed in between.
                row.map(AccessRequest).ok_or_else(|| shown(Fault::NotFound))
            }

            /// The sets in force; after completion those of that moment. Null is kept for a later setting.
            pub async fn approvers(&self, ctx: &Context<'_>) -> Option<Result<Vec<SubjectSet>, Error>> {
                let sets = match loader::sets_of_stage(ctx, self.row.stage.id).await {
                    Ok(sets) => sets,
                    Err(error) => return Some(Err(error)),
                };
                Some(subject::shown(ctx, &sets).await)
            }

            /// Would a decision of the viewer, with a justification, pass now?
            pub async fn is_assigned_to_viewer(&self) -> bool {
                self.row.is_assigned_to_viewer
            }

            /// When its turn came.
            pub async fn pending_since(&self) -> Option<DateTime> {
                self.row.stage.pending_since.map(DateTime)
            }

            /// When it is denied for want of a decision; null unless pending.
            pub async fn due_at(&self) -> Option<DateTime> {
                let is_pending = self.row.stage.status == StageStatus::Pending;
                self.row.stage.due_at.filter(|_| is_pending).map(DateTime)
            }

            /// Who made the decision that completed it.
            pub async fn decided_by(&self, ctx: &Context<'_>) -> Option<Result<User, Error>> {
                let (user, _, _) = self.row.decision.as_ref()?;
                loader::user(ctx, *user).await.map(|row| row.map(User)).transpose()
            }

            /// When.
            pub async fn decided_at(&self) -> Option<DateTime> {
                self.row.decision.as_ref().map(|(_, at, _)| DateTime(*at))
            }

            /// Why.
            pub async fn justification(&self) -> Option<String> {
                self.row.decision.as_ref().and_then(|(_, _, why)| why.clone())
            }

            /// How each decision on it was made; null for a viewer who may not read the audit log.
            pub async fn proof(&self, ctx: &Context<'_>) -> Option<Result<Vec<DecisionProof>, Error>> {
                match actor(ctx) {
                    Ok(actor) if actor.has(Right::ReadAudit) => {}
                    Ok(_) => return None,
                    Err(error) => return Some(Err(error)),
                }
                let rows = loader::decisions_of_stage(ctx, self.row.stage.id).await;
                Some(rows.map(|rows| rows.into_iter().map(DecisionProof).collect()))
            }

            $($extra)*
        }
    };
}

stage_object! { PolicyApprovalStage {} }
stage_object! { RiskApprovalStage {
    /// The risk source that asks for it.
    async fn source(&self) -> Result<RiskSource, Error> {
        let source = risk_source(self.row.stage.kind).map(RiskSource::from);
        source.ok_or_else(|| shown(Fault::Internal("a stage of a policy was shown as a risk stage".to_owned())))
    }

    /// The reading that put it here: the worst one that matched; one that could not be had is worse than all.
    async fn evaluation(&self, ctx: &Context<'_>) -> Result<RiskEvaluation, Error> {
        let row = loader::evaluation_of_stage(ctx, self.row.stage.id).await?;
        row.map(RiskEvaluation::of).ok_or_else(|| shown(Fault::Internal("a risk stage has no reading".to_owned())))
    }

    /// The stage whose approval counts no more and is asked for again by this one: who gave it was disabled or deleted since, or has lost the
    /// role. Null for any other stage.
    async fn replaces(&self, ctx: &Context<'_>) -> Option<Result<RiskApprovalStage, Error>> {
        loader::stage(ctx, self.row.stage.replaces_stage_id?).await.map(|row| row.map(RiskApprovalStage::of)).transpose()
    }

    /// The worst of the newest readings, where the source was read again while this waited for a decision. An approval covers what
    /// both say.
    async fn latest_evaluation(&self, ctx: &Context<'_>) -> Option<Result<RiskEvaluation, Error>> {
        let id = self.row.stage.latest_evaluation_id?;
        match loader::evaluations_of_request(ctx, self.row.stage.request_id).await {
            Ok(rows) => rows.into_iter().find(|row| row.id == id).map(|row| Ok(RiskEvaluation::of(row))),
            Err(error) => Some(Err(error)),
        }
    }
} }

/// A decision on a stage. A risk stage needs a justification, whatever the decision.
#[derive(InputObject)]
pub struct DecideApprovalStageInput {
    /// Which stage.
    stage_id: ID,
    /// Yes or no.
    decision: Decision,
    /// Why.
    justification: Option<String>,
    /// The reading that the decision is made on: the newest that the stage showed (`latestEvaluation`, else `evaluation`). Where it shows another
    /// one now: STALE_VERSION.
    expected_evaluation_id: Option<ID>,
}

impl DecideApprovalStageInput {
    /// As the use case takes it.
    pub fn taken(self) -> Decide {
        Decide {
            stage: read_id(&self.stage_id),
            verdict: self.decision.into(),
            justification: self.justification,
            expected_evaluation: self.expected_evaluation_id.as_ref().map(read_id),
        }
    }
}

/// What came of a decision.
#[derive(SimpleObject)]
pub struct DecideApprovalStagePayload {
    /// The stage as it is now; null where the decision was refused.
    pub stage: Option<ApprovalStage>,
    /// Its request as it is now; null where the decision was refused.
    pub request: Option<AccessRequest>,
    /// Why it was refused.
    pub user_errors: Vec<UserError>,
}

/// Which stages are wanted.
#[derive(InputObject, Default)]
pub struct ApprovalStageFilter {
    /// Of these kinds; an empty list matches nothing. Risk kinds are for risk readers by role.
    kinds: Option<Vec<ApprovalStageKind>>,
    /// For one package.
    access_package_id: Option<ID>,
    /// Due before this moment.
    due_before: Option<DateTime>,
}

impl ApprovalStageFilter {
    /// As the reading takes it.
    pub fn taken(self) -> StageFilter {
        StageFilter {
            kinds: self.kinds.map(|kinds| kinds.into_iter().map(Into::into).collect()),
            package: self.access_package_id.as_ref().map(read_id),
            due_before: self.due_before.map(|DateTime(at)| at),
            ..StageFilter::default()
        }
    }
}

connection! {
    /// A page of stages.
    ApprovalStageConnection, ApprovalStageEdge, ApprovalStage
}
connection! {
    /// A page of risk stages, oldest first, and where the event log stood when it was read.
    RiskApprovalStageConnection, RiskApprovalStageEdge, RiskApprovalStage,
    /// For `pendingRiskApprovalCreated(after:)`: misses nothing that came after this page, and repeats nothing of it.
    event_cursor
}
