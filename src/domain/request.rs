//! The moves of a request: submitted, passed from stage to stage, delivered, denied, canceled, timed out. Every move is a plan;
//! the one function that makes an assignment is here ([`deliver`]).

use entity::{
    ApproverTier, AssignmentId, AssignmentState, Coverage, EvaluationId, Outcome, PlanningMoment, RequestId,
    RequestState, RequestType, RiskLevel, Seconds, StageId, StageKind, StageStatus, SubjectSet, Timestamp, UserId,
    assignment, evaluation, idempotency, request, stage, stage_approver,
};

use super::coverage::stage_event;
use super::event::{EventActor, EventKind, NewEvent};
use super::explanation::Account;
use super::living::{self, Again};
use super::permission::risk_source;
use super::plan::{Guard, Plan, Urgency};
use super::route::{Cleared, Evaluation, Facts, PlannedStage, Route};

/// Room between the order keys of two stages, for stages inserted later.
pub(super) const ORDER_STEP: i64 = 1_000_000;

/// Shortest and longest time after which a request that waits for a source is tried again.
const RETRY_MIN: Seconds = Seconds(15);
const RETRY_MAX: Seconds = Seconds::minutes(5);

/// Ids for what a submission makes.
#[derive(Debug, Clone)]
pub struct SubmissionIds {
    /// The request.
    pub request: RequestId,
    /// One for each stage of the route.
    pub stages: Vec<StageId>,
    /// One for each evaluation of the route.
    pub evaluations: Vec<EvaluationId>,
    /// The assignment, should there be nothing to approve.
    pub assignment: AssignmentId,
}

/// What makes a repetition harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose keys it stands among.
    pub owner: UserId,
    /// The key.
    pub key: String,
    /// What it is bound to.
    pub input_hash: String,
}

/// What a submission brings beside its facts.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What the requestor wrote.
    pub justification: Option<String>,
    /// The idempotency key.
    pub key: Option<IdempotencyKey>,
    /// The request that the key stood for when it was looked up (an old one, past its day).
    pub key_seen: Option<RequestId>,
    /// The facts as stored.
    pub facts_json: String,
    /// The position of the log at which its readings began.
    pub since: i64,
}

/// Submits: the request, its stages, its evaluations; delivered at once where nothing is to be approved.
pub fn submit(facts: &Facts, route: &Route, submission: Submission, ids: SubmissionIds) -> Plan {
    let mut plan = Plan::default();
    plan.guard(Guard::Directory(facts.directory_version));
    plan.guard(Guard::Package(facts.package, facts.package_version));
    plan.guard(Guard::Policy(facts.policy.id, facts.policy.version));
    for control in &facts.controls {
        plan.guard(Guard::Control(control.source, control.version));
    }
    plan.guard(Guard::SlotFree(facts.target, facts.package));
    living::guard_readings(route, submission.since, &mut plan);
    let actor = match &facts.application {
        Some(application) => EventActor::Application(application.clone()),
        None => EventActor::Person(facts.requestor),
    };

    let mut request = request::Model {
        id: ids.request,
        request_type: facts.request_type,
        state: match route.hold {
            None if !route.stages.is_empty() => RequestState::PendingApproval,
            _ => RequestState::Submitted,
        },
        outcome: None,
        package_id: facts.package,
        policy_id: facts.policy.id,
        requestor_id: facts.requestor,
        target_id: facts.target,
        application: facts.application.as_ref().map(ToString::to_string),
        justification: submission.justification,
        created_at: Timestamp::COMMIT,
        completed_at: None,
        holds_slot: true,
        has_risk_stage: route.stages.iter().any(|stage| stage.kind != StageKind::Policy),
        assignment_duration: facts.policy.assignment_duration,
        facts: submission.facts_json,
        version: 1,
        retry_at: None,
    };
    if let Some(IdempotencyKey { owner, key, input_hash }) = submission.key {
        plan.guard(Guard::Key(owner, key.clone(), submission.key_seen));
        plan.rows.idempotency.push(idempotency::Model {
            user_id: owner,
            key,
            input_hash,
            request_id: request.id,
            created_at: Timestamp::COMMIT,
        });
    }

    plan.events.push(
        request_event(EventKind::RequestSubmitted, actor.clone(), &request)
            .with("RequestType", request.request_type.as_str())
            .with("State", request.state.as_str())
            .with("RequestorId", request.requestor_id.to_string())
            .with("TargetId", request.target_id.to_string())
            .with("PolicyId", request.policy_id.to_string())
            .with_some("Justification", request.justification.clone())
            .with("IsOnBehalf", request.request_type == RequestType::OnBehalfAdd),
    );
    request = match route.hold {
        Some(left) => {
            record(route, 0, &ids, &request, &mut plan);
            wait(request, facts, left)
        }
        None => lay_out(request, route, 0, &ids, &mut plan),
    };
    explain(route, PlanningMoment::Submission, facts, &ids, &request, &mut plan);
    plan.rows.requests.push(request);
    plan
}

/// Keeps the planner's account of a route.
fn explain(
    route: &Route,
    moment: PlanningMoment,
    facts: &Facts,
    ids: &SubmissionIds,
    request: &request::Model,
    plan: &mut Plan,
) {
    let account = Account::of(route, &ids.stages, &ids.evaluations);
    plan.rows.explanations.push(account.row(request.id, moment, facts.directory_version));
}

/// Tries again to route a request that waits for a source; the facts are those of now, `readings` is how many it has stored.
pub fn retry(
    mut request: request::Model,
    facts: &Facts,
    route: &Route,
    submission: Submission,
    readings: i64,
    ids: SubmissionIds,
) -> Plan {
    let mut plan = Plan { urgency: Urgency::Background, ..Plan::default() };
    plan.guard(Guard::Directory(facts.directory_version));
    for control in &facts.controls {
        plan.guard(Guard::Control(control.source, control.version));
    }
    living::guard_readings(route, submission.since, &mut plan);
    request = match route.hold {
        Some(left) => wait(request, facts, left),
        None => {
            request.retry_at = None;
            request.facts = submission.facts_json;
            request.has_risk_stage = route.stages.iter().any(|stage| stage.kind != StageKind::Policy);
            request.state =
                if route.stages.is_empty() { RequestState::Submitted } else { RequestState::PendingApproval };
            plan.events.push(
                request_event(EventKind::RequestResumed, EventActor::System, &request)
                    .with("State", request.state.as_str()),
            );
            explain(route, PlanningMoment::Resumption, facts, &ids, &request, &mut plan);
            lay_out(request, route, readings, &ids, &mut plan)
        }
    };
    plan.change_request(request);
    plan
}

/// The request waits, and is tried again after a while that grows with its waiting; at the end of its time in any case.
fn wait(mut request: request::Model, facts: &Facts, left: Seconds) -> request::Model {
    let pause = Seconds(facts.waited.0 / 4).clamp(RETRY_MIN, RETRY_MAX);
    request.state = RequestState::Submitted;
    request.has_risk_stage = false;
    request.retry_at = Some(Timestamp::after_commit(pause.min(left)));
    request
}

/// Stores the readings of a route, from the ordinal `first` on.
fn record(route: &Route, first: i64, ids: &SubmissionIds, request: &request::Model, plan: &mut Plan) {
    for (ordinal, (evaluation, id)) in (first..).zip(route.evaluations.iter().zip(&ids.evaluations)) {
        let event = evaluated(evaluation, *id, ordinal, request, plan);
        plan.events.push(event);
    }
}

/// Lays out the way of a request; delivers at once where nothing is to be approved.
fn lay_out(
    mut request: request::Model,
    route: &Route,
    readings: i64,
    ids: &SubmissionIds,
    plan: &mut Plan,
) -> request::Model {
    record(route, readings, ids, &request, plan);
    for (ordinal, (planned, id)) in (1..).zip(route.stages.iter().zip(&ids.stages)) {
        let evaluation_id = planned.evaluation.map(|index| ids.evaluations[index]);
        let mut stage = laid(planned, *id, ordinal * ORDER_STEP, evaluation_id, &request, plan);
        if ordinal == 1 {
            let level = planned.evaluation.map(|index| route.evaluations[index].reading.level);
            open_planned(&mut stage, planned.coverage, level, &request, plan);
        }
        plan.rows.stages.push(stage);
    }
    if let Some(cleared) = route.cleared() {
        request.state = RequestState::Delivering;
        plan.events.push(
            request_event(EventKind::RequestAutoApproved, EventActor::System, &request)
                .with("Reason", route.steps.iter().map(|step| step.sentence.clone()).collect::<Vec<_>>()),
        );
        request = deliver(request, ids.assignment, cleared, plan);
    }
    request
}

/// Stores a reading; returns its event.
pub(super) fn evaluated(
    evaluation: &Evaluation,
    id: EvaluationId,
    ordinal: i64,
    request: &request::Model,
    plan: &mut Plan,
) -> NewEvent {
    let Evaluation { reading, configuration_version, is_stage_required, reason } = evaluation;
    plan.rows.evaluations.push(evaluation::Model {
        id,
        request_id: request.id,
        ordinal,
        source: reading.source,
        subject_id: reading.subject,
        level: reading.level,
        evaluated_at: reading.read_at,
        origin: reading.origin,
        source_updated_at: reading.source_updated_at,
        configuration_version: *configuration_version,
        is_stage_required: *is_stage_required,
        reason: reason.clone(),
    });
    let mut event = request_event(EventKind::RiskEvaluated, EventActor::System, request)
        .with("EvaluationId", id.to_string())
        .with("RiskSource", reading.source.as_str())
        .with("RiskLevel", reading.level.as_str())
        .with("SubjectId", reading.subject.to_string())
        .with("ReadAt", reading.read_at)
        .with("Origin", reading.origin.as_str())
        .with_some("SourceUpdatedAt", reading.source_updated_at)
        .with("ConfigurationVersion", *configuration_version)
        .with("IsStageRequired", *is_stage_required)
        .with("Reason", reason.clone());
    event.is_risk = true;
    event
}

/// A planned stage as a row that waits, with whom it names.
pub(super) fn laid(
    planned: &PlannedStage,
    id: StageId,
    order_key: i64,
    evaluation_id: Option<EvaluationId>,
    request: &request::Model,
    plan: &mut Plan,
) -> stage::Model {
    name_approvers(plan, id, planned, request.target_id);
    stage::Model {
        id,
        request_id: request.id,
        kind: planned.kind,
        order_key,
        status: StageStatus::Waiting,
        decision_timeout: planned.decision_timeout,
        escalate_after: planned.escalate_after,
        is_justification_required: planned.is_justification_required,
        coverage: None,
        pending_since: None,
        due_at: None,
        escalate_at: None,
        escalated_at: None,
        completed_at: None,
        completed_directory_version: None,
        evaluation_id,
        version: 1,
        latest_evaluation_id: None,
        inserted_at: None,
        replaces_stage_id: None,
    }
}

/// The turn of a stage comes that was planned just now: its event tells the level that put it there.
pub(super) fn open_planned(
    stage: &mut stage::Model,
    coverage: Coverage,
    level: Option<RiskLevel>,
    request: &request::Model,
    plan: &mut Plan,
) {
    let events = open(stage, request, coverage, plan);
    plan.events.extend(events.into_iter().map(|event| match level {
        Some(level) => event.with("RiskLevel", level.as_str()),
        None => event,
    }));
}

fn name_approvers(plan: &mut Plan, stage: StageId, planned: &PlannedStage, target: UserId) {
    let tiers: [(ApproverTier, &[SubjectSet]); 3] = [
        (ApproverTier::Primary, &planned.approvers),
        (ApproverTier::Alternate, &planned.escalation_approvers),
        (ApproverTier::Fallback, &planned.fallback_approvers),
    ];
    for (tier, sets) in tiers {
        for (ordinal, set) in sets.iter().enumerate() {
            let (kind, subject) = set.subject(target);
            let row = stage_approver::Model { stage_id: stage, tier, ordinal: ordinal as i64, kind, subject };
            plan.rows.stage_approvers.push(row);
        }
    }
}

/// A stage's turn comes: its clock starts. Returns the events of it: one, and an alert where nobody could decide.
pub(super) fn open(
    stage: &mut stage::Model,
    request: &request::Model,
    coverage: Coverage,
    plan: &mut Plan,
) -> Vec<NewEvent> {
    stage.status = StageStatus::Pending;
    stage.coverage = Some(coverage);
    stage.pending_since = Some(Timestamp::COMMIT);
    stage.due_at = Some(Timestamp::after_commit(stage.decision_timeout));
    stage.escalate_at = stage.escalate_after.map(Timestamp::after_commit);
    let mut events = vec![
        stage_event(EventKind::StagePending, EventActor::System, stage, request)
            .with_some("RiskSource", risk_source(stage.kind).map(|source| source.as_str()))
            .with("Coverage", coverage.as_str())
            .with_some("DueAt", stage.due_at),
    ];
    if coverage == Coverage::Nobody {
        events.push(stage_event(EventKind::StageWithoutApprover, EventActor::System, stage, request));
    }
    // Nothing of a plan may rest on a coverage that the directory has changed since.
    debug_assert!(plan.guards.iter().any(|guard| matches!(guard, Guard::Directory(_))));
    events
}

/// **The one function that makes an assignment.** The request is delivered in the commit that approved it. It takes the word of the
/// planner, and of nobody else, that nothing is left to approve.
fn deliver(mut request: request::Model, id: AssignmentId, _: Cleared, plan: &mut Plan) -> request::Model {
    let ends_at = request.assignment_duration.map(Timestamp::after_commit);
    request.state = RequestState::Delivered;
    request.outcome = Some(Outcome::Delivered);
    request.completed_at = Some(Timestamp::COMMIT);
    plan.rows.assignments.push(assignment::Model {
        id,
        request_id: request.id,
        package_id: request.package_id,
        policy_id: request.policy_id,
        target_id: request.target_id,
        state: AssignmentState::Delivered,
        starts_at: Timestamp::COMMIT,
        ends_at,
        version: 1,
    });
    plan.events.push(
        request_event(EventKind::AssignmentDelivered, EventActor::System, &request)
            .with("AssignmentId", id.to_string())
            .with("TargetId", request.target_id.to_string())
            .with_some("EndsAt", ends_at),
    );
    plan.events.push(request_event(EventKind::RequestDelivered, EventActor::System, &request));
    request
}

/// What follows an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The first undecided stage after it, with who could decide that one.
    Stage(Box<stage::Model>, Coverage),
    /// Nothing is undecided: the plan made again says whether access is delivered.
    Delivery(Box<Again>),
}

/// A stage was approved (it is changed already): the next one's turn comes, or the access is delivered, or what was read just now
/// adds a stage.
pub fn advance(request: request::Model, next: Next, actor: EventActor, assignment: AssignmentId, plan: &mut Plan) {
    match next {
        Next::Stage(mut stage, coverage) => {
            let events = open(&mut stage, &request, coverage, plan);
            plan.events.extend(events);
            plan.guard(Guard::Request(request.id, request.version));
            plan.change_stage(*stage);
        }
        Next::Delivery(again) => {
            again.record(&request, plan);
            match again.route.cleared() {
                Some(cleared) => {
                    let mut request = request;
                    request.state = RequestState::Delivering;
                    plan.events.push(
                        request_event(EventKind::RequestApproved, actor, &request)
                            .with_some("RiskReadAt", again.read_at()),
                    );
                    let request = deliver(request, assignment, cleared, plan);
                    plan.change_request(request);
                }
                None => living::insert(request, None, &again, plan),
            }
        }
    }
}

/// Ends a request that is not delivered: every stage not yet decided is canceled, then the request's own event.
pub fn end(
    mut request: request::Model,
    undecided: Vec<stage::Model>,
    state: RequestState,
    outcome: Outcome,
    directory_version: i64,
    event: NewEvent,
    plan: &mut Plan,
) {
    for mut stage in undecided {
        stage.status = StageStatus::Canceled;
        stage.completed_at = Some(Timestamp::COMMIT);
        stage.completed_directory_version = Some(directory_version);
        plan.events.push(stage_event(EventKind::StageCanceled, event.actor.clone(), &stage, &request));
        plan.change_stage(stage);
    }
    request.state = state;
    request.outcome = Some(outcome);
    request.completed_at = Some(Timestamp::COMMIT);
    request.holds_slot = false;
    request.retry_at = None;
    plan.events.push(event);
    plan.change_request(request);
}

/// Cancels: whoever asked takes it back, or an administrator does.
pub fn cancel(
    request: request::Model,
    undecided: Vec<stage::Model>,
    by: UserId,
    reason: Option<String>,
    directory_version: i64,
) -> Plan {
    let mut plan = Plan::default();
    plan.guard(Guard::Directory(directory_version));
    let outcome =
        if by == request.requestor_id { Outcome::CanceledByRequestor } else { Outcome::CanceledByAdministrator };
    let event = request_event(EventKind::RequestCanceled, EventActor::Person(by), &request)
        .with("Outcome", outcome.as_str())
        .with_some("Reason", reason);
    end(request, undecided, RequestState::Canceled, outcome, directory_version, event, &mut plan);
    plan
}

/// Nobody decided a stage in time: the stage is timed out, the request denied.
pub fn time_out(
    request: request::Model,
    mut stage: stage::Model,
    later: Vec<stage::Model>,
    directory_version: i64,
) -> Plan {
    let mut plan = Plan { urgency: Urgency::Background, ..Plan::default() };
    if let Some(due_at) = stage.due_at {
        plan.guard(Guard::NotBefore(due_at));
    }
    plan.guard(Guard::Directory(directory_version));
    stage.status = StageStatus::TimedOut;
    stage.completed_at = Some(Timestamp::COMMIT);
    stage.completed_directory_version = Some(directory_version);
    let outcome =
        if stage.kind == StageKind::Policy { Outcome::ApprovalTimedOut } else { Outcome::RiskApprovalTimedOut };
    plan.events.push(
        stage_event(EventKind::StageTimedOut, EventActor::System, &stage, &request).with_some("DueAt", stage.due_at),
    );
    plan.change_stage(stage);
    let event =
        request_event(EventKind::RequestTimedOut, EventActor::System, &request).with("Outcome", outcome.as_str());
    end(request, later, RequestState::Denied, outcome, directory_version, event, &mut plan);
    plan
}

/// A stage's alternates join, once; its deadline stays. `coverage` is who could decide with them.
pub fn escalate(request: &request::Model, mut stage: stage::Model, coverage: Coverage, directory_version: i64) -> Plan {
    let mut plan = Plan { urgency: Urgency::Background, ..Plan::default() };
    if let Some(escalate_at) = stage.escalate_at {
        plan.guard(Guard::NotBefore(escalate_at));
    }
    plan.guard(Guard::Directory(directory_version));
    stage.escalated_at = Some(Timestamp::COMMIT);
    stage.coverage = Some(coverage);
    plan.events.push(
        stage_event(EventKind::StageEscalated, EventActor::System, &stage, request).with("Coverage", coverage.as_str()),
    );
    plan.change_stage(stage);
    plan
}

/// An assignment ends on time; its request makes room for another.
pub fn expire(mut assignment: assignment::Model, mut request: request::Model) -> Plan {
    let mut plan = Plan { urgency: Urgency::Background, ..Plan::default() };
    if let Some(ends_at) = assignment.ends_at {
        plan.guard(Guard::NotBefore(ends_at));
    }
    assignment.state = AssignmentState::Expired;
    request.holds_slot = false;
    plan.events.push(
        request_event(EventKind::AssignmentExpired, EventActor::System, &request)
            .with("AssignmentId", assignment.id.to_string())
            .with("TargetId", assignment.target_id.to_string()),
    );
    plan.change_assignment(assignment);
    plan.change_request(request);
    plan
}

/// An event about a request, with what every such event tells.
pub fn request_event(kind: EventKind, actor: EventActor, request: &request::Model) -> NewEvent {
    let mut event = NewEvent::new(kind, actor)
        .with("RequestId", request.id.to_string())
        .with("AccessPackageId", request.package_id.to_string());
    event.request_id = Some(request.id);
    event.package_id = Some(request.package_id);
    event
}

/// May the request still be taken back? While nothing is delivered.
pub fn is_cancelable(state: RequestState) -> bool {
    matches!(state, RequestState::Submitted | RequestState::PendingApproval | RequestState::Scheduled)
}

/// Is the request in a state that nothing leaves?
pub fn is_terminal(state: RequestState) -> bool {
    matches!(state, RequestState::Delivered | RequestState::Denied | RequestState::Canceled)
}

/// Why a request ended, as it is told to somebody who reads risk in it, or does not: then what a risk stage did looks like any
/// stage's doing.
pub fn told_outcome(outcome: Outcome, reads_risk: bool) -> Outcome {
    match outcome {
        Outcome::DeniedByRiskApprover if !reads_risk => Outcome::DeniedByApprover,
        Outcome::RiskApprovalTimedOut if !reads_risk => Outcome::ApprovalTimedOut,
        told => told,
    }
}
