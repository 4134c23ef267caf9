//! Deciding a stage: who may, in which order refusals are told, and what a decision makes of the request.

use entity::{
    ApproverTier, AssignmentId, Coverage, DecisionId, DirectoryRole, GroupId, Json, Outcome, RequestState, StageKind,
    StageStatus, SubjectKind, Timestamp, Verdict, decision, request, stage,
};

use super::coverage::stage_event;
use super::event::{EventKind, NewEvent};
use super::living::Again;
use super::permission::{Actor, right_to_decide};
use super::plan::{Guard, Plan};
use super::refusal::{Code, Refusal};
use super::request::{Next, advance, end, request_event};
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
    /// By which entry the person belongs to the stage's approvers; requestor and target never do.
    pub standing: Option<Standing>,
}

/// Ids for what a decision makes.
#[derive(Debug, Clone, Copy)]
pub struct DecisionIds {
    /// The decision.
    pub decision: DecisionId,
    /// The assignment, should this be the last approval.
    pub assignment: AssignmentId,
}

/// Decides, or says why not: the first of NOT_AN_APPROVER, ROLE_REQUIRED, STAGE_NOT_PENDING, INVALID, JUSTIFICATION_REQUIRED.
/// (NOT_FOUND, for who does not see the stage, comes before and is the gatherer's.)
///
/// `None` where nothing stands against the last approval but that the request was not planned again yet.
pub fn decide(
    facts: Facts,
    actor: &Actor,
    verdict: Verdict,
    justification: Option<String>,
    ids: DecisionIds,
) -> Result<Option<Plan>, Refusal> {
    let Facts { directory_version, now, request, mut stage, later, next_coverage, again, standing, .. } = facts;
    let (roles_read_at, role_group_id) = (facts.roles_read_at, facts.role_group);
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
    let next = match (later.first(), again) {
        (Some(next), _) => Some(Next::Stage(Box::new(next.clone()), next_coverage.unwrap_or(Coverage::Nobody))),
        (None, Some(again)) => Some(Next::Delivery(Box::new(again))),
        (None, None) if verdict == Verdict::Approve => return Ok(None),
        (None, None) => None,
    };

    let mut plan = Plan::default();
    plan.guard(Guard::Directory(directory_version));
    plan.guard(Guard::Before(due_at));
    let by = actor.named();
    let evaluation_id = stage.latest_evaluation_id.or(stage.evaluation_id);
    let stage_version = stage.version;
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
            .with_some("RoleGroup", role_group_id.filter(|_| role.is_some()).map(|group| group.to_string()))
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
        role_group_id: role_group_id.filter(|_| role.is_some()),
        roles_read_at,
        evaluation_id,
        stage_version: Some(stage_version),
    });
    let stage_kind = stage.kind;
    plan.change_stage(stage);
    match (verdict, next) {
        (Verdict::Approve, Some(next)) => advance(request, next, by, ids.assignment, &mut plan),
        (Verdict::Approve, None) => return Ok(None),
        (Verdict::Deny, _) => {
            let outcome = match stage_kind {
                StageKind::Policy => Outcome::DeniedByApprover,
                StageKind::IdProtectionRisk | StageKind::InsiderRisk => Outcome::DeniedByRiskApprover,
            };
            let event = request_event(EventKind::RequestDenied, by, &request).with("Outcome", outcome.as_str());
            end(request, later, RequestState::Denied, outcome, directory_version, event, &mut plan);
        }
    }
    Ok(Some(plan))
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

/// The role by which the person may decide a stage of this kind; `None` where it needs none, `Err` with the names where it does
/// and the person holds none.
fn role_held(kind: StageKind, actor: &Actor) -> Result<Option<DirectoryRole>, String> {
    let Some(right) = right_to_decide(kind) else { return Ok(None) };
    match right.roles().iter().find(|role| actor.roles.contains(role)) {
        Some(role) => Ok(Some(*role)),
        None => Err(right.roles().iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")),
    }
}

/// The event of a decision refused for want of right: NOT_AN_APPROVER and ROLE_REQUIRED have one, other refusals none.
/// `repeats` is how many the same person had for the same since the last event.
pub fn refused(
    actor: &Actor,
    stage: &stage::Model,
    request: &request::Model,
    code: Code,
    repeats: i64,
) -> Option<NewEvent> {
    matches!(code, Code::NotAnApprover | Code::RoleRequired).then(|| {
        stage_event(EventKind::DecisionRefused, actor.named(), stage, request)
            .with("Code", code.as_str())
            .with("Repeats", repeats)
    })
}
