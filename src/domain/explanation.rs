//! Why a request goes the way it goes: the planner's own account of what it found, one step for each risk source and each stage of the
//! policy. It is made while the planner plans ([`super::route`]); nothing else explains.

use entity::{
    ApproverExclusion, ApproverTier, Coverage, EvaluationId, ExplanationId, Origin, PlanningMoment, PlanningRule,
    RequestId, StageId, StageKind, Timestamp, UserId, explanation,
};
use serde::{Deserialize, Serialize};

use super::route::{Reading, Resolved, Route};

/// What the planner found about one risk source, or one stage of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The kind of stage that it is about.
    pub kind: StageKind,
    /// Which of the policy's stages, from 0; 0 for risk.
    pub ordinal: usize,
    /// Does it ask for an approval?
    pub is_required: bool,
    /// By which rule.
    pub rule: PlanningRule,
    /// The version of the control or of the policy that the rule belongs to; nothing where that could not be read.
    pub version: Option<i64>,
    /// What was read: places in [`Route::evaluations`].
    pub evaluations: Vec<usize>,
    /// The stage that it puts on the way: a place in [`Route::stages`].
    pub stage: Option<usize>,
    /// Who could decide that one, tier by tier.
    pub tiers: Vec<Tier>,
    /// And who of those is in force.
    pub coverage: Option<Coverage>,
    /// The same for people.
    pub sentence: String,
}

/// Who of one tier could decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// The tier.
    pub tier: ApproverTier,
    /// How many passed every check.
    pub able: i64,
    /// Some of those who did not.
    pub excluded: Vec<Excluded>,
    /// How many did not.
    pub excluded_count: i64,
}

/// Somebody of an approver set who could not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// Who.
    pub user: UserId,
    /// Why not.
    pub why: ApproverExclusion,
}

impl Step {
    /// One that asks for nothing.
    pub fn without_stage(kind: StageKind, rule: PlanningRule, version: Option<i64>, sentence: String) -> Step {
        Step {
            kind,
            ordinal: 0,
            is_required: false,
            rule,
            version,
            evaluations: Vec::new(),
            stage: None,
            tiers: Vec::new(),
            coverage: None,
            sentence,
        }
    }
}

/// The tiers of a possible stage as they were resolved.
pub fn tiers<'a>(resolved: impl Iterator<Item = &'a Resolved>) -> Vec<Tier> {
    let tier = |set: &Resolved| Tier {
        tier: set.tier,
        able: set.count,
        excluded: set.excluded.clone(),
        excluded_count: set.excluded_count,
    };
    let mut tiers: Vec<Tier> = resolved.map(tier).collect();
    tiers.sort_by_key(|tier| tier.tier);
    tiers
}

/// What a coverage means for who decides, after the reason of the stage.
pub fn who_decides(coverage: Coverage) -> &'static str {
    match coverage {
        Coverage::Primary => "Its approvers decide it.",
        Coverage::Fallback => "None of its approvers could decide it, so its fallback approvers join.",
        Coverage::Nobody => "Nobody could decide it: it waits, and is denied at its deadline.",
    }
}

/// How a reading was had. An earlier one that says the same may stand for it among those of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Had {
    /// When it was read: for what a sweep says, when that began.
    pub read_at: Timestamp,
    /// Where it comes from.
    pub origin: Origin,
    /// When the source changed it last, where it says so.
    pub source_updated_at: Option<Timestamp>,
}

impl Had {
    /// Of a reading.
    pub fn of(reading: &Reading) -> Had {
        let Reading { read_at, origin, source_updated_at, .. } = *reading;
        Had { read_at, origin, source_updated_at }
    }
}

/// The account of one planning as it is stored: its steps, and the ids of the stages and readings that they speak of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The steps.
    pub steps: Vec<Step>,
    /// The stages that were put on the way; none while the request waits for a source.
    pub stages: Vec<StageId>,
    /// The readings.
    pub evaluations: Vec<EvaluationId>,
    /// How each of them was had; accounts of an earlier time do not say.
    #[serde(default)]
    pub had: Vec<Had>,
}

impl Account {
    /// The row of this account.
    pub fn row(&self, request: RequestId, moment: PlanningMoment, directory_version: i64) -> explanation::Model {
        explanation::Model {
            id: ExplanationId::new(),
            request_id: request,
            moment,
            directory_version,
            planned_at: Timestamp::COMMIT,
            // Words, numbers and lists of them: nothing in it can fail to be written.
            content: serde_json::to_string(self).unwrap_or_default(),
        }
    }

    /// The account of a route, its stages and readings under these ids.
    pub fn of(route: &Route, stages: &[StageId], evaluations: &[EvaluationId]) -> Account {
        let laid_out = if route.hold.is_some() { 0 } else { route.stages.len() };
        let stages = stages.iter().copied().take(laid_out).collect();
        let had = route.evaluations.iter().map(|evaluation| Had::of(&evaluation.reading)).collect();
        Account { steps: route.steps.clone(), stages, evaluations: evaluations.to_vec(), had }
    }
}

/// What somebody may see of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Do they read risk in the request?
    pub reads_risk: bool,
    /// May they see everybody, and everybody's risk? Who may not is not told who is in a set of approvers.
    pub reads_people: bool,
    /// Requestor and target, whom everybody sees who sees the request.
    pub parties: [UserId; 2],
}

impl Sight {
    /// Is a step theirs to see?
    pub fn sees(&self, step: &Step) -> bool {
        self.reads_risk || step.kind == StageKind::Policy
    }

    /// Is somebody who could not decide?
    pub fn sees_person(&self, user: UserId) -> bool {
        self.reads_people || self.parties.contains(&user)
    }
}
