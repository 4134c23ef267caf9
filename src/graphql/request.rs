//! Access requests, their readings, and what a request would come to.

use async_graphql::{Context, Error, ID, InputObject, Object, SimpleObject};
use entity::{StageKind, StageStatus, UserId, assignment, evaluation};

use super::application::Application;
use super::catalog::{AccessPackage, AssignmentPolicy};
use super::connection::connection;
use super::error::{UserError, shown};
use super::explanation::Explanation;
use super::loader;
use super::scalar::{DateTime, read_id, small};
use super::session::{actor, services};
use super::stage::ApprovalStage;
use super::subject::{self, SubjectSet};
use super::user::User;
use super::word::{
    AccessRequestOutcome, AccessRequestState, AccessRequestType, ApprovalStageKind, AssignmentState,
    RiskEvaluationLevel, RiskReadingOrigin, RiskSource,
};
use crate::domain::explanation::Sight;
use crate::domain::request::told_outcome;
use crate::domain::route;
use crate::service::{AssignmentFilter as Assignments, Fault, PageInput, Preview, RequestFilter, RequestRow, Submit};

/// A person, for an object that always refers to one.
pub(super) async fn person(ctx: &Context<'_>, id: UserId) -> Result<User, Error> {
    let row = loader::user(ctx, id).await?;
    row.map(User).ok_or_else(|| shown(Fault::Internal("somebody is referred to who was never there".to_owned())))
}

async fn package(ctx: &Context<'_>, id: entity::PackageId) -> Result<AccessPackage, Error> {
    let row = loader::package(ctx, id).await?;
    row.map(AccessPackage)
        .ok_or_else(|| shown(Fault::Internal("a package is referred to that was never there".to_owned())))
}

/// A request for access.
#[derive(Clone)]
pub struct AccessRequest(pub RequestRow);

#[Object]
impl AccessRequest {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.request.id.to_string().into()
    }

    /// Who asked for what.
    async fn request_type(&self) -> AccessRequestType {
        self.0.request.request_type.into()
    }

    /// Where it stands.
    async fn state(&self) -> AccessRequestState {
        self.0.request.state.into()
    }

    /// Why it ended; null while it is open. Who is not a risk reader of the request is not told that risk had a part in it.
    async fn outcome(&self) -> Option<AccessRequestOutcome> {
        Some(told_outcome(self.0.request.outcome?, self.0.reads_risk).into())
    }

    /// What was asked for.
    async fn access_package(&self, ctx: &Context<'_>) -> Result<AccessPackage, Error> {
        package(ctx, self.0.request.package_id).await
    }

    /// The policy that it is routed by.
    async fn policy(&self, ctx: &Context<'_>) -> Result<AssignmentPolicy, Error> {
        let row = loader::policy(ctx, self.0.request.policy_id).await?;
        row.map(AssignmentPolicy).ok_or_else(|| shown(Fault::Internal("a request has no policy".to_owned())))
    }

    /// Who asked; where an application did, the one it asked for.
    async fn requestor(&self, ctx: &Context<'_>) -> Result<User, Error> {
        person(ctx, self.0.request.requestor_id).await
    }

    /// Who gets the access: whoever asked, or the direct report on whose behalf a manager did.
    async fn target(&self, ctx: &Context<'_>) -> Result<User, Error> {
        person(ctx, self.0.request.target_id).await
    }

    /// The application that asked; null where a person did.
    async fn application(&self) -> Option<Application> {
        self.0.request.application.as_deref()?.parse().ok().map(Application)
    }

    /// What whoever asked wrote.
    pub async fn justification(&self) -> Option<&str> {
        self.0.request.justification.as_deref()
    }

    /// When it was submitted.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.request.created_at)
    }

    /// When it ended.
    async fn completed_at(&self) -> Option<DateTime> {
        self.0.request.completed_at.map(DateTime)
    }

    /// In the order in which they must be passed: ID Protection, insider risk, then the policy's own. Risk stages are absent for a
    /// viewer who is not a risk reader of the request.
    async fn stages(&self, ctx: &Context<'_>) -> Result<Vec<ApprovalStage>, Error> {
        Ok(loader::stages_of_request(ctx, self.0.request.id).await?.into_iter().map(ApprovalStage::of).collect())
    }

    /// The pending one; null while a risk stage is pending that the viewer may not know of.
    async fn current_stage(&self, ctx: &Context<'_>) -> Option<Result<ApprovalStage, Error>> {
        match loader::stages_of_request(ctx, self.0.request.id).await {
            Ok(rows) => {
                let pending = rows.into_iter().find(|row| row.stage.status == StageStatus::Pending);
                pending.map(|row| Ok(ApprovalStage::of(row)))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// The access that came of it.
    async fn assignment(&self, ctx: &Context<'_>) -> Option<Result<Assignment, Error>> {
        loader::assignment_of_request(ctx, self.0.request.id).await.map(|row| row.map(Assignment)).transpose()
    }

    /// The readings that routing used; null for a viewer who is not a risk reader of the request. A control that does not ask reads
    /// nothing.
    async fn risk_evaluations(&self, ctx: &Context<'_>) -> Option<Result<Vec<RiskEvaluation>, Error>> {
        if !self.0.reads_risk {
            return None;
        }
        let rows = loader::evaluations_of_request(ctx, self.0.request.id).await;
        Some(rows.map(|rows| rows.into_iter().map(RiskEvaluation::of).collect()))
    }

    /// Why it goes the way it goes: the planner's own account of each time that it planned, in order. A viewer who is not a risk
    /// reader of the request gets the policy's part only.
    async fn explanation(&self, ctx: &Context<'_>) -> Result<Vec<Explanation>, Error> {
        let request = &self.0.request;
        let sight = Sight {
            reads_risk: self.0.reads_risk,
            reads_people: actor(ctx)?.is_risk_reader(),
            parties: [request.requestor_id, request.target_id],
        };
        let rows = loader::explanations_of_request(ctx, request.id).await?;
        Ok(rows.into_iter().filter_map(|row| Explanation::kept(row, &sight)).collect())
    }
}

/// One reading of one risk source for one person, judged.
#[derive(Clone)]
pub struct RiskEvaluation {
    subject_id: UserId,
    shown: Shown,
}

#[derive(Clone, SimpleObject)]
struct Shown {
    /// Its id; null in a preview, which keeps nothing.
    id: Option<ID>,
    /// The source.
    source: RiskSource,
    /// The level, in the source's own words.
    level: RiskEvaluationLevel,
    /// When it was read: for what a sweep says, when that began.
    evaluated_at: DateTime,
    /// Where it comes from; for a level that could not be had, how that was tried.
    origin: RiskReadingOrigin,
    /// When the source changed it last, where it says so.
    source_updated_at: Option<DateTime>,
    /// The version of the control that was applied.
    configuration_version: i32,
    /// Did it ask for a stage?
    is_stage_required: bool,
    /// Why, or why not, for people.
    reason: String,
}

impl RiskEvaluation {
    /// As it is stored.
    pub fn of(row: evaluation::Model) -> RiskEvaluation {
        RiskEvaluation {
            subject_id: row.subject_id,
            shown: Shown {
                id: Some(row.id.to_string().into()),
                source: row.source.into(),
                level: row.level.into(),
                evaluated_at: DateTime(row.evaluated_at),
                origin: row.origin.into(),
                source_updated_at: row.source_updated_at.map(DateTime),
                configuration_version: small(row.configuration_version),
                is_stage_required: row.is_stage_required,
                reason: row.reason,
            },
        }
    }

    /// As it was planned by.
    pub fn planned(evaluation: route::Evaluation) -> RiskEvaluation {
        RiskEvaluation {
            subject_id: evaluation.reading.subject,
            shown: Shown {
                id: None,
                source: evaluation.reading.source.into(),
                level: evaluation.reading.level.into(),
                evaluated_at: DateTime(evaluation.reading.read_at),
                origin: evaluation.reading.origin.into(),
                source_updated_at: evaluation.reading.source_updated_at.map(DateTime),
                configuration_version: small(evaluation.configuration_version),
                is_stage_required: evaluation.is_stage_required,
                reason: evaluation.reason,
            },
        }
    }
}

#[Object]
impl RiskEvaluation {
    /// Whose risk.
    async fn subject(&self, ctx: &Context<'_>) -> Result<User, Error> {
        person(ctx, self.subject_id).await
    }

    #[graphql(flatten)]
    async fn shown(&self) -> Shown {
        self.shown.clone()
    }
}

/// Access that somebody has, or had.
#[derive(Clone)]
pub struct Assignment(pub assignment::Model);

#[Object]
impl Assignment {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The package.
    async fn access_package(&self, ctx: &Context<'_>) -> Result<AccessPackage, Error> {
        package(ctx, self.0.package_id).await
    }

    /// Who has it.
    async fn target(&self, ctx: &Context<'_>) -> Result<User, Error> {
        person(ctx, self.0.target_id).await
    }

    /// Where it stands.
    async fn state(&self) -> AssignmentState {
        self.0.state.into()
    }

    /// When it began.
    async fn starts_at(&self) -> DateTime {
        DateTime(self.0.starts_at)
    }

    /// When it ends, or ended; null: until it is removed.
    async fn ends_at(&self) -> Option<DateTime> {
        self.0.ends_at.map(DateTime)
    }
}

/// A request to be submitted.
#[derive(InputObject)]
pub struct SubmitAccessRequestInput {
    /// The package.
    access_package_id: ID,
    /// Left out: the one policy that fits.
    policy_id: Option<ID>,
    /// Who gets the access; left out: the viewer. Somebody else: a request on behalf.
    target_id: Option<ID>,
    /// Why.
    justification: Option<String>,
    /// The same key with the same input by the same viewer within 24 hours returns the request first made; with other input it is
    /// INVALID. At most 128 characters.
    idempotency_key: Option<String>,
}

impl SubmitAccessRequestInput {
    /// As the use case takes it.
    pub fn taken(self) -> Submit {
        Submit {
            package: read_id(&self.access_package_id),
            policy: self.policy_id.as_ref().map(read_id),
            target: self.target_id.as_ref().map(read_id),
            justification: self.justification,
            idempotency_key: self.idempotency_key,
        }
    }
}

/// What came of a submission.
#[derive(SimpleObject)]
pub struct SubmitAccessRequestPayload {
    /// The request; null where it was refused.
    pub request: Option<AccessRequest>,
    /// Why it was refused.
    pub user_errors: Vec<UserError>,
}

/// A request to be taken back.
#[derive(InputObject)]
pub struct CancelAccessRequestInput {
    /// Which one.
    pub request_id: ID,
    /// Why.
    pub reason: Option<String>,
}

/// What came of it.
#[derive(SimpleObject)]
pub struct CancelAccessRequestPayload {
    /// The request as it is now; null where it was refused.
    pub request: Option<AccessRequest>,
    /// Why it was refused.
    pub user_errors: Vec<UserError>,
}

/// Which requests are wanted.
#[derive(InputObject, Default)]
pub struct AccessRequestFilter {
    /// In one of these states; an empty list matches nothing.
    states: Option<Vec<AccessRequestState>>,
    /// For one package.
    access_package_id: Option<ID>,
    /// By one person.
    requestor_id: Option<ID>,
    /// For one person.
    target_id: Option<ID>,
    /// From this moment on.
    created_after: Option<DateTime>,
    /// Before this moment.
    created_before: Option<DateTime>,
    /// With a risk stage, or without. For risk readers by role.
    has_risk_stage: Option<bool>,
}

impl AccessRequestFilter {
    /// On top of `base`.
    fn on(self, base: RequestFilter) -> RequestFilter {
        RequestFilter {
            states: self.states.map(|states| states.into_iter().map(Into::into).collect()),
            package: self.access_package_id.as_ref().map(read_id),
            requestor: self.requestor_id.as_ref().map(read_id),
            target: self.target_id.as_ref().map(read_id),
            created_after: self.created_after.map(|DateTime(at)| at),
            created_before: self.created_before.map(|DateTime(at)| at),
            has_risk_stage: self.has_risk_stage,
            ..base
        }
    }
}

connection! {
    /// A page of requests, newest first.
    AccessRequestConnection, AccessRequestEdge, AccessRequest
}

impl AccessRequestConnection {
    /// Reads a page of the requests that `filter` wants, on top of `base`.
    pub async fn read(
        ctx: &Context<'_>,
        page: PageInput,
        filter: Option<AccessRequestFilter>,
        base: RequestFilter,
    ) -> Result<AccessRequestConnection, Error> {
        let filter = filter.unwrap_or_default().on(base);
        let listing = services(ctx)?.requests(&*actor(ctx)?, &filter, &page).await;
        Ok(AccessRequestConnection::of(listing.map_err(shown)?, AccessRequest))
    }
}

/// Which assignments are wanted.
#[derive(InputObject, Default)]
pub struct AssignmentFilter {
    /// Of one package.
    access_package_id: Option<ID>,
    /// Of one person.
    target_id: Option<ID>,
    /// In one of these states; an empty list matches nothing.
    states: Option<Vec<AssignmentState>>,
}

connection! {
    /// A page of assignments, newest first.
    AssignmentConnection, AssignmentEdge, Assignment
}

impl AssignmentConnection {
    /// Reads a page of the assignments that `filter` wants; of one person where `target` says so.
    pub async fn read(
        ctx: &Context<'_>,
        page: PageInput,
        filter: Option<AssignmentFilter>,
        target: Option<UserId>,
    ) -> Result<AssignmentConnection, Error> {
        let filter = filter.unwrap_or_default();
        let filter = Assignments {
            package: filter.access_package_id.as_ref().map(read_id),
            target: target.or_else(|| filter.target_id.as_ref().map(read_id)),
            states: filter.states.map(|states| states.into_iter().map(Into::into).collect()),
        };
        let listing = services(ctx)?.assignments(&*actor(ctx)?, &filter, &page).await;
        Ok(AssignmentConnection::of(listing.map_err(shown)?, Assignment))
    }
}

/// What would come of a request if it were submitted now.
#[derive(SimpleObject, Default)]
pub struct AccessRequestPreview {
    /// The stages that it would have; empty where it would be refused.
    pub stages: Vec<PlannedStage>,
    /// The readings that routing would use; null for a viewer who is not a risk reader.
    pub risk_evaluations: Option<Vec<RiskEvaluation>>,
    /// Why it would go that way, as the planner found it; null where it would be refused. A viewer who is not a risk reader gets the
    /// policy's part only.
    pub explanation: Option<Explanation>,
    /// Why it would be refused.
    pub user_errors: Vec<UserError>,
}

impl AccessRequestPreview {
    /// A route as the viewer may see it.
    pub fn of(preview: Preview, reads_risk: bool) -> AccessRequestPreview {
        let Preview { route, directory_version, parties } = preview;
        let sight = Sight { reads_risk, reads_people: reads_risk, parties };
        let explanation = Explanation::planned(&route, directory_version, &sight);
        let stages = route.stages.into_iter().filter(|stage| reads_risk || stage.kind == StageKind::Policy);
        AccessRequestPreview {
            stages: stages.zip(1..).map(|(stage, position)| PlannedStage { stage, position }).collect(),
            risk_evaluations: reads_risk.then(|| route.evaluations.into_iter().map(RiskEvaluation::planned).collect()),
            explanation: Some(explanation),
            user_errors: Vec::new(),
        }
    }
}

/// A stage that a request would have.
pub struct PlannedStage {
    stage: route::PlannedStage,
    position: i32,
}

#[Object]
impl PlannedStage {
    /// Its place, from 1, among those that the viewer sees.
    pub async fn position(&self) -> i32 {
        self.position
    }

    /// Why it would exist.
    pub async fn kind(&self) -> ApprovalStageKind {
        self.stage.kind.into()
    }

    /// The sets that would be in force.
    pub async fn approvers(&self, ctx: &Context<'_>) -> Option<Result<Vec<SubjectSet>, Error>> {
        Some(subject::shown(ctx, &self.stage.in_force()).await)
    }

    /// Why, for people.
    async fn reason(&self) -> &str {
        &self.stage.reason
    }
}
