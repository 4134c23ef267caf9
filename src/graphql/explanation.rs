//! Explanations: the planner's own account, as somebody may see it.

use async_graphql::{Context, Error, Object, SimpleObject};
use entity::{EvaluationId, RequestId, StageId, StageKind, UserId, evaluation};

use super::loader;
use super::request::{RiskEvaluation, person};
use super::scalar::{DateTime, small};
use super::stage::ApprovalStage;
use super::user::User;
use super::word::{
    ApprovalStageKind, ApproverExclusion, ApproverTier, PlanningMoment, PlanningRule, RiskReadingOrigin, StageCoverage,
};
use crate::domain::explanation::{Excluded, Had, Sight, Step, Tier};
use crate::domain::route::{Evaluation, Route};
use crate::service::ExplanationRow;

/// Why a request goes the way it goes: what the planner found when it planned once.
#[derive(SimpleObject)]
pub struct Explanation {
    /// When in the life of the request.
    moment: PlanningMoment,
    /// When the plan was committed; null in a preview.
    planned_at: Option<DateTime>,
    /// The directory version that people were judged by.
    directory_version: i32,
    /// For each risk source, and each stage of the policy: does it ask for an approval, and why. What concerns risk is absent for a
    /// viewer who is not a risk reader of the request.
    steps: Vec<ExplanationStep>,
}

impl Explanation {
    /// As it was kept; nothing where there is nothing in it that the viewer may see.
    pub fn kept(row: ExplanationRow, sight: &Sight) -> Option<Explanation> {
        let ExplanationRow { row, account } = row;
        let id = |index: &usize| Some((account.evaluations.get(*index).copied()?, account.had.get(*index).copied()));
        let steps: Vec<_> = account
            .steps
            .iter()
            .filter(|step| sight.sees(step))
            .map(|step| ExplanationStep {
                inputs: Inputs::Kept(row.request_id, step.evaluations.iter().filter_map(id).collect()),
                stage: step.stage.and_then(|index| account.stages.get(index).copied()),
                step: step.clone(),
                sight: sight.clone(),
            })
            .collect();
        (!steps.is_empty()).then(|| Explanation {
            moment: row.moment.into(),
            planned_at: Some(DateTime(row.planned_at)),
            directory_version: small(row.directory_version),
            steps,
        })
    }

    /// Of a route that is not gone.
    pub fn planned(route: &Route, directory_version: i64, sight: &Sight) -> Explanation {
        let read = |index: &usize| route.evaluations.get(*index).map(ExplanationInput::planned);
        let steps = route.steps.iter().filter(|step| sight.sees(step)).map(|step| ExplanationStep {
            inputs: Inputs::Planned(step.evaluations.iter().filter_map(read).collect()),
            stage: None,
            step: step.clone(),
            sight: sight.clone(),
        });
        Explanation {
            moment: PlanningMoment::Submission,
            planned_at: None,
            directory_version: small(directory_version),
            steps: steps.collect(),
        }
    }
}

enum Inputs {
    Kept(RequestId, Vec<(EvaluationId, Option<Had>)>),
    Planned(Vec<ExplanationInput>),
}

/// One reading that the planner looked at.
#[derive(Clone, SimpleObject)]
pub struct ExplanationInput {
    /// What it says. Where it said the same as one before, that one, which keeps its own time and origin.
    evaluation: RiskEvaluation,
    /// When this was read: for what a sweep says, when that began.
    read_at: DateTime,
    /// Where it comes from; for a level that could not be had, how that was tried.
    origin: RiskReadingOrigin,
    /// When the source had changed it last, where it says so.
    source_updated_at: Option<DateTime>,
}

impl ExplanationInput {
    fn of(evaluation: RiskEvaluation, had: Had) -> ExplanationInput {
        let Had { read_at, origin, source_updated_at } = had;
        let source_updated_at = source_updated_at.map(DateTime);
        ExplanationInput { evaluation, read_at: DateTime(read_at), origin: origin.into(), source_updated_at }
    }

    /// As it was planned by.
    fn planned(evaluation: &Evaluation) -> ExplanationInput {
        ExplanationInput::of(RiskEvaluation::planned(evaluation.clone()), Had::of(&evaluation.reading))
    }

    /// As it is stored; an account of an earlier time says no more than the row.
    fn kept(row: evaluation::Model, had: Option<Had>) -> ExplanationInput {
        let (read_at, origin, source_updated_at) = (row.evaluated_at, row.origin, row.source_updated_at);
        let own = Had { read_at, origin, source_updated_at };
        ExplanationInput::of(RiskEvaluation::of(row), had.unwrap_or(own))
    }
}

/// What the planner found about one risk source, or one stage of the policy.
pub struct ExplanationStep {
    step: Step,
    inputs: Inputs,
    stage: Option<StageId>,
    sight: Sight,
}

#[Object]
impl ExplanationStep {
    /// The kind of stage that this is about.
    async fn kind(&self) -> ApprovalStageKind {
        self.step.kind.into()
    }

    /// Which of the policy's stages, from 1; null for risk, and where the policy has none.
    async fn policy_stage(&self) -> Option<i32> {
        (self.step.kind == StageKind::Policy && self.step.is_required).then(|| small(self.step.ordinal as i64 + 1))
    }

    /// Does it ask for an approval?
    async fn is_required(&self) -> bool {
        self.step.is_required
    }

    /// By which rule.
    async fn rule(&self) -> PlanningRule {
        self.step.rule.into()
    }

    /// The version of the control, or of the policy, that the rule belongs to.
    async fn rule_version(&self) -> Option<i32> {
        self.step.version.map(small)
    }

    /// What was read, for each person whose risk counts.
    async fn risk_evaluations(&self, ctx: &Context<'_>) -> Result<Vec<RiskEvaluation>, Error> {
        Ok(self.read(ctx).await?.into_iter().map(|input| input.evaluation).collect())
    }

    /// The same, with when and how each was read for this plan.
    async fn inputs(&self, ctx: &Context<'_>) -> Result<Vec<ExplanationInput>, Error> {
        self.read(ctx).await
    }

    /// The stage that it put on the way; null in a preview, where none is required, and while the request waits for a source.
    async fn stage(&self, ctx: &Context<'_>) -> Option<Result<ApprovalStage, Error>> {
        let (Inputs::Kept(request, _), Some(id)) = (&self.inputs, self.stage) else { return None };
        match loader::stages_of_request(ctx, *request).await {
            Ok(rows) => rows.into_iter().find(|row| row.stage.id == id).map(|row| Ok(ApprovalStage::of(row))),
            Err(error) => Some(Err(error)),
        }
    }

    /// Who could decide that stage when it was planned, tier by tier.
    async fn tiers(&self) -> Vec<ExplanationTier> {
        let shown = |tier: &Tier| ExplanationTier { tier: tier.clone(), sight: self.sight.clone() };
        self.step.tiers.iter().map(shown).collect()
    }

    /// Which of them would have been in force: the fallback joins while nobody of the others could decide.
    async fn coverage(&self) -> Option<StageCoverage> {
        self.step.coverage.map(Into::into)
    }

    /// The same for people.
    async fn sentence(&self) -> &str {
        &self.step.sentence
    }
}

impl ExplanationStep {
    async fn read(&self, ctx: &Context<'_>) -> Result<Vec<ExplanationInput>, Error> {
        match &self.inputs {
            Inputs::Planned(read) => Ok(read.clone()),
            Inputs::Kept(_, ids) if ids.is_empty() => Ok(Vec::new()),
            Inputs::Kept(request, ids) => {
                let rows = loader::evaluations_of_request(ctx, *request).await?;
                let had = |row: evaluation::Model| {
                    let (_, had) = ids.iter().find(|(id, _)| *id == row.id)?;
                    Some(ExplanationInput::kept(row, *had))
                };
                Ok(rows.into_iter().filter_map(had).collect())
            }
        }
    }
}

/// Who of one tier could decide a stage when it was planned.
pub struct ExplanationTier {
    tier: Tier,
    sight: Sight,
}

#[Object]
impl ExplanationTier {
    /// The tier.
    async fn tier(&self) -> ApproverTier {
        self.tier.tier.into()
    }

    /// How many people passed every check; null for a viewer who may not see everybody.
    async fn eligible_count(&self) -> Option<i32> {
        self.sight.reads_people.then(|| small(self.tier.able))
    }

    /// How many did not; null for a viewer who may not see everybody.
    async fn excluded_count(&self) -> Option<i32> {
        self.sight.reads_people.then(|| small(self.tier.excluded_count))
    }

    /// Who did not, and why: the first twenty. A viewer who may not see everybody finds requestor and target here, and nobody else.
    async fn excluded(&self) -> Vec<ExcludedApprover> {
        let seen = self.tier.excluded.iter().filter(|excluded| self.sight.sees_person(excluded.user));
        seen.map(|Excluded { user, why }| ExcludedApprover { user: *user, reason: (*why).into() }).collect()
    }
}

/// Somebody of an approver set who could not decide.
pub struct ExcludedApprover {
    user: UserId,
    reason: ApproverExclusion,
}

#[Object]
impl ExcludedApprover {
    /// Who.
    async fn user(&self, ctx: &Context<'_>) -> Result<User, Error> {
        person(ctx, self.user).await
    }

    /// Why not.
    async fn reason(&self) -> ApproverExclusion {
        self.reason
    }
}
