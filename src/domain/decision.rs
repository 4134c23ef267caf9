//! Deciding a stage: who may, in which order refusals are told, and what a decision makes of the request.

use entity::{
    ApproverTier, AssignmentId, Coverage, DecisionId, DirectoryRole, EvaluationId, GroupId, Json, Outcome,
    RequestState, RiskLevel, StageKind, StageStatus, SubjectKind, Timestamp, Verdict, decision, request, stage,
};

use super::coverage::stage_event;
use super::event::{EventKind, NewEvent};
use super::living::Again;
use super::permission::{Actor, right_to_decide};
use super::plan::{Guard, Plan};
use super::refusal::{Code, Refusal};
use super::request::{Next, advance, end, request_event};
use super::route::ControlFacts;
use super::text;

/// The entry of a stage's sets in force that names somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its tier.
    pub tier: ApproverTier,
    /// Its kind.
    pub kind: SubjectKind,
    /// Which set.
    pub subject: String,
    /// Where it is a group: the groups from it down to one that the person is a member of.
    pub group_path: Vec<GroupId>,
}

/// What a decision is judged by, read while the directory was at `directory_version` or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The directory version that people were judged by.
    pub directory_version: i64,
    /// The time of the reading; the commit judges the deadline again by its own.
    pub now: Timestamp,
    /// The request.
    pub request: request::Model,
    /// The stage.
    pub stage: stage::Model,
    /// The stages after it that are not decided, in order.
    pub later: Vec<stage::Model>,
    /// Who could decide the first of those, were its turn now.
    pub next_coverage: Option<Coverage>,
    /// The plan made again, without which no last approval is given.
    pub again: Option<Again>,
    /// When the person's roles were asked of whoever gives them; nothing where the directory is our own, as new as its version.
    pub roles_read_at: Option<Timestamp>,
    /// Through which group the person holds the role, where the directory says so.
    pub role_group: Option<GroupId>,
    /// The control of the stage's source as it stands now; nothing for a stage of the policy.
    pub control: Option<ControlFacts>,
    /// The person's own risk in that source, without which nobody approves where the control asks for it.
    pub own_risk: Option<OwnRisk>,
    /// The reading that the person has seen, where they say so.
    pub expected_evaluation: Option<EvaluationId>,
    /// Where they do: every reading of the stage's source in its request.
    pub evaluations: Vec<EvaluationId>,
    /// By which entry the person belongs to the stage's approvers; requestor and target never do.
    pub standing: Option<Standing>,
}

/// Somebody's own risk, as it was read for their decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnRisk {
    /// The level.
    pub level: RiskLevel,
    /// The position of the log at which the reading began.
    pub since: i64,
}

/// What a decision comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// This is to be committed.
    Made(Box<Plan>),
    /// Nothing stands against the approval but that the person's own risk was not read yet.
    NeedsOwnRisk,
    /// Nothing stands against the last approval but that the request was not planned again yet.
    NeedsPlan,
}

/// Ids for what a decision makes.
#[derive(Debug, Clone, Copy)]
pub struct DecisionIds {
    /// The decision.
    pub decision: DecisionId,
    /// The assignment, should this be the last approval.
    pub assignment: AssignmentId,
}

/// Decides, or says why not: the first of NOT_AN_APPROVER, ROLE_REQUIRED, STAGE_NOT_PENDING, INVALID, JUSTIFICATION_REQUIRED; NOT_FOUND and
/// STALE_VERSION of the reading that was seen; APPROVER_AT_RISK. (NOT_FOUND of the stage, for who does not see it, comes before and is the
/// gatherer's.) Somebody's own risk is last: it is read only for who may give this approval otherwise, and only they are told of it.
pub fn decide(
    facts: Facts,
    actor: &Actor,
    verdict: Verdict,
    justification: Option<String>,
    ids: DecisionIds,
) -> Result<Decided, Refusal> {
    let Facts { directory_version, now, request, mut stage, later, next_coverage, again, standing, .. } = facts;
    let decider = actor.user_id().filter(|user| *user != request.requestor_id && *user != request.target_id);
    let Some((user_id, standing)) = decider.zip(standing) else {
        return Err(Refusal::at(Code::NotAnApprover, "stageId", "You are not an approver of this stage."));
    };
    let role = match role_held(stage.kind, actor) {
        Ok(role) => role,
        Err(roles) => {
            let message =
                format!("This stage may be decided only by holders of {roles}, and you hold none of them now.");
            return Err(Refusal::at(Code::RoleRequired, "stageId", message));
        }
    };
    let due_at = match (stage.status, stage.due_at) {
        (StageStatus::Pending, Some(due_at)) if now < due_at => due_at,
        _ => return Err(not_pending(&stage)),
    };
    text::text("justification", justification.as_deref())?;
    if stage.is_justification_required && text::is_blank(justification.as_deref()) {
        return Err(Refusal::at(Code::JustificationRequired, "justification", "This stage needs a justification."));
    }
    let evaluation_id = stage.latest_evaluation_id.or(stage.evaluation_id);
    check_seen(facts.expected_evaluation, evaluation_id, &facts.evaluations)?;
    let mut plan = Plan::default();
    if let Some(control) = facts.control.filter(|_| verdict == Verdict::Approve) {
        plan.guard(Guard::Control(control.source, control.version));
        if control.asks_approvers() {
            let Some(own) = facts.own_risk else { return Ok(Decided::NeedsOwnRisk) };
            if control.selects(own.level) {
                let message = "Your own risk matches the control of this stage, or cannot be read now: you may deny, and not approve.";
                return Err(Refusal::at(Code::ApproverAtRisk, "stageId", message));
            }
            plan.guard(Guard::NoNews(user_id, own.since));
        }
    }
    let next = match (later.first(), again) {
        (Some(next), _) => Some(Next::Stage(Box::new(next.clone()), next_coverage.unwrap_or(Coverage::Nobody))),
        (None, Some(again)) => Some(Next::Delivery(Box::new(again))),
        (None, None) if verdict == Verdict::Approve => return Ok(Decided::NeedsPlan),
        (None, None) => None,
    };

    plan.guard(Guard::Directory(directory_version));
    plan.guard(Guard::Before(due_at));
    let by = actor.named();
    let stage_version = stage.version;
    let (roles_read_at, role_group_id) = (facts.roles_read_at, facts.role_group.filter(|_| role.is_some()));
    stage.status = match verdict {
        Verdict::Approve => StageStatus::Approved,
        Verdict::Deny => StageStatus::Denied,
    };
    stage.completed_at = Some(Timestamp::COMMIT);
    stage.completed_directory_version = Some(directory_version);
    let kind = match verdict {
        Verdict::Approve => EventKind::StageApproved,
        Verdict::Deny => EventKind::StageDenied,
    };
    plan.events.push(
        stage_event(kind, by.clone(), &stage, &request)
            .with("DecisionId", ids.decision.to_string())
            .with("Decision", verdict.as_str())
            .with("ApproverTier", standing.tier.as_str())
            .with("ApproverKind", standing.kind.as_str())
            .with("ApproverSubject", standing.subject.clone())
            .with_some("GroupPath", shown_path(&standing.group_path))
            .with_some("Role", role.map(|role| role.as_str()))
            .with_some("RoleGroup", role_group_id.map(|group| group.to_string()))
            .with("DirectoryVersion", directory_version)
            .with_some("RolesReadAt", roles_read_at)
            .with_some("EvaluationId", evaluation_id.map(|id| id.to_string()))
            .with("StageVersion", stage_version)
            .with_some("Justification", justification.clone()),
    );
    plan.rows.decisions.push(decision::Model {
        id: ids.decision,
        stage_id: stage.id,
        request_id: request.id,
        user_id,
        verdict,
        justification: justification.clone(),
        tier: standing.tier,
        kind: standing.kind,
        subject: standing.subject,
        role,
        directory_version,
        decided_at: Timestamp::COMMIT,
        group_path: Json(standing.group_path),
        role_group_id,
        roles_read_at,
        evaluation_id,
        stage_version: Some(stage_version),
    });
    let stage_kind = stage.kind;
    plan.change_stage(stage);
    match (verdict, next) {
        (Verdict::Approve, Some(next)) => advance(request, next, by, ids.assignment, &mut plan),
        (Verdict::Approve, None) => return Ok(Decided::NeedsPlan),
        (Verdict::Deny, _) => {
            let outcome = match stage_kind {
                StageKind::Policy => Outcome::DeniedByApprover,
                StageKind::IdProtectionRisk | StageKind::InsiderRisk => Outcome::DeniedByRiskApprover,
            };
            let event = request_event(EventKind::RequestDenied, by, &request).with("Outcome", outcome.as_str());
            end(request, later, RequestState::Denied, outcome, directory_version, event, &mut plan);
        }
    }
    Ok(Decided::Made(Box::new(plan)))
}

/// The reading that the person says they have seen is the one that the stage shows.
fn check_seen(
    expected: Option<EvaluationId>,
    shown: Option<EvaluationId>,
    of_stage: &[EvaluationId],
) -> Result<(), Refusal> {
    match expected {
        Some(id) if Some(id) != shown && of_stage.contains(&id) => {
            let message = "The stage shows another reading now.";
            Err(Refusal::at(Code::StaleVersion, "expectedEvaluationId", message))
        }
        Some(id) if Some(id) != shown => Err(Refusal::not_found("expectedEvaluationId", "reading of this stage")),
        _ => Ok(()),
    }
}

fn shown_path(path: &[GroupId]) -> Option<Vec<String>> {
    (!path.is_empty()).then(|| path.iter().map(ToString::to_string).collect())
}

fn not_pending(stage: &stage::Model) -> Refusal {
    let message = match stage.status {
        StageStatus::Waiting => "The turn of this stage has not come.",
        StageStatus::Pending => "The time for a decision on this stage is over.",
        StageStatus::Approved | StageStatus::Denied => "This stage has been decided.",
        StageStatus::TimedOut => "Nobody decided this stage in time.",
        StageStatus::Canceled => "This stage was canceled.",
    };
    Refusal::at(Code::StageNotPending, "stageId", message)
}

/// The role by which the person would decide a stage of this kind, where it needs one and they hold one.
pub fn role_for(kind: StageKind, actor: &Actor) -> Option<DirectoryRole> {
    role_held(kind, actor).ok().flatten()
}

/// The role by which the person may decide a stage of this kind; `None` where it needs none, `Err` with the names where it does
/// and the person holds none.
fn role_held(kind: StageKind, actor: &Actor) -> Result<Option<DirectoryRole>, String> {
    let Some(right) = right_to_decide(kind) else { return Ok(None) };
    match right.roles().iter().find(|role| actor.roles.contains(role)) {
        Some(role) => Ok(Some(*role)),
        None => Err(right.roles().iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")),
    }
}

/// Is a refusal one for want of right, which the log hears of?
pub fn is_told(code: Code) -> bool {
    matches!(code, Code::NotAnApprover | Code::RoleRequired | Code::ApproverAtRisk)
}

/// The event of a decision refused for want of right: NOT_AN_APPROVER, ROLE_REQUIRED and APPROVER_AT_RISK have one, other refusals none.
/// `repeats` is how many the same person had for the same since the last event.
pub fn refused(
    actor: &Actor,
    stage: &stage::Model,
    request: &request::Model,
    code: Code,
    repeats: i64,
) -> Option<NewEvent> {
    is_told(code).then(|| {
        stage_event(EventKind::DecisionRefused, actor.named(), stage, request)
            .with("Code", code.as_str())
            .with("Repeats", repeats)
    })
}
