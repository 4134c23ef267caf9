//! Risk that lives: a request that is under way is planned again by the readings of now, and what newly asks for a stage gets one.
//! The same source asks again only above what its approvals have covered, so a request gets no more stages of a source than there
//! are levels.

use entity::{
    EvaluationId, PlanningMoment, RequestState, RiskSource, StageId, StageKind, StageStatus, Timestamp, evaluation,
    request, stage,
};

use super::coverage::stage_event;
use super::event::{EventActor, EventKind};
use super::explanation::Account;
use super::permission::risk_source;
use super::plan::{Guard, Plan, Urgency};
use super::request::{ORDER_STEP, evaluated, laid, open_planned};
use super::risk::{self, Lost, Void};
use super::route::{self, Evaluation, Facts, Moment, Passage, Route};

/// What a request has behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// Every stage, in order.
    pub stages: Vec<stage::Model>,
    /// Every reading, in order.
    pub evaluations: Vec<evaluation::Model>,
    /// Before delivery: what has become of who approved stages of risk.
    pub approvals: Vec<Approval>,
}

/// What has become of who approved a stage of risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// The stage.
    pub stage: StageId,
    /// What they have lost since, without which the approval counts no more.
    pub lost: Option<Lost>,
}

impl Course {
    /// The stages that nobody has decided yet, in order.
    fn undecided(&self) -> impl Iterator<Item = &stage::Model> {
        self.stages.iter().filter(|stage| matches!(stage.status, StageStatus::Waiting | StageStatus::Pending))
    }

    /// How far the request has come; `approving` counts as approved.
    pub fn passage(&self, approving: Option<StageId>) -> Passage {
        let mut passage = Passage::default();
        for stage in &self.stages {
            let source = risk_source(stage.kind);
            if matches!(stage.status, StageStatus::Waiting | StageStatus::Pending) && Some(stage.id) != approving {
                passage.undecided += 1;
                if let Some(source) = source {
                    passage.of_mut(source).is_undecided = true;
                }
            } else if let Some(source) = source {
                let is_void = self.lost(stage).is_some();
                for seen in self.seen(stage) {
                    passage.of_mut(source).cover.add(seen.level);
                    if !is_void {
                        passage.of_mut(source).proved.add(seen.level);
                    }
                }
            }
        }
        for source in RiskSource::ALL {
            passage.of_mut(*source).void = self.void(*source, approving);
        }
        passage
    }

    /// What who approves a stage has before them: the reading that put it there, and the newest.
    fn seen<'a>(&'a self, stage: &'a stage::Model) -> impl Iterator<Item = &'a evaluation::Model> {
        let shown = [stage.evaluation_id, stage.latest_evaluation_id];
        shown.into_iter().flatten().filter_map(|id| self.evaluations.iter().find(|evaluation| evaluation.id == id))
    }

    /// What who approved this stage has lost since.
    fn lost(&self, stage: &stage::Model) -> Option<Lost> {
        self.approvals.iter().find(|approval| approval.stage == stage.id)?.lost
    }

    /// The newest approval of a source that counts no more. An approval of the stage that asked for it again, and that counts, stands for it
    /// and for those before it.
    fn void(&self, source: RiskSource, approving: Option<StageId>) -> Option<Void> {
        let approved = || {
            self.stages.iter().filter(move |stage| {
                let is_approved = stage.status == StageStatus::Approved || Some(stage.id) == approving;
                is_approved && risk_source(stage.kind) == Some(source)
            })
        };
        let replaced =
            approved().filter(|stage| self.lost(stage).is_none()).filter_map(|stage| stage.replaces_stage_id);
        let key = |id| self.stages.iter().find(|stage| stage.id == id).map(|stage| stage.order_key);
        let answered = replaced.filter_map(key).max();
        let void: Vec<_> = approved()
            .filter(|stage| Some(stage.order_key) > answered)
            .filter_map(|stage| self.lost(stage).map(|lost| (stage, lost)))
            .collect();
        let (newest, lost) = *void.last()?;
        let worst = void.iter().flat_map(|(stage, _)| self.seen(stage)).max_by_key(|seen| risk::rank(seen.level));
        Some(Void { stage: newest.id, lost, seen: worst.map(|seen| (seen.id, seen.level)) })
    }

    /// The newest reading of the same source and person, where it says the same.
    fn known(&self, read: &Evaluation) -> Option<EvaluationId> {
        let of_same =
            |seen: &&evaluation::Model| seen.source == read.reading.source && seen.subject_id == read.reading.subject;
        let newest = self.evaluations.iter().rev().find(of_same)?;
        let is_same = newest.level == read.reading.level && newest.is_stage_required == read.is_stage_required;
        is_same.then_some(newest.id)
    }

    /// The order key of the last stage that is decided, or is `approving`.
    fn last_key(&self, approving: Option<StageId>) -> i64 {
        let decided = self.stages.iter().filter(|stage| {
            !matches!(stage.status, StageStatus::Waiting | StageStatus::Pending) || Some(stage.id) == approving
        });
        decided.map(|stage| stage.order_key).max().unwrap_or(0)
    }
}

/// A request, planned again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// What is added to its way.
    pub route: Route,
    moment: PlanningMoment,
    passage: Passage,
    since: i64,
    directory_version: i64,
    controls: Vec<(RiskSource, i64)>,
    last_key: i64,
    ordinal: i64,
    stage_ids: Vec<StageId>,
    /// The id of each reading, and whether it says something new.
    evaluations: Vec<(EvaluationId, bool)>,
}

impl Again {
    /// Plans again by these facts; the ids are for what comes of it: one for each reading, one for each source.
    ///
    /// `approving` is a stage whose approval is about to be given: then nothing is left but to deliver. `since` is the position of the
    /// log at which the readings began; what it tells of these people's risk later makes the plan stale.
    pub fn plan(
        facts: &Facts,
        course: &Course,
        approving: Option<StageId>,
        since: i64,
        stage_ids: Vec<StageId>,
        evaluation_ids: Vec<EvaluationId>,
    ) -> Again {
        let moment = if approving.is_some() { Moment::Delivery } else { Moment::Waiting };
        let passage = course.passage(approving);
        let route = route::plan_again(facts, passage, moment);
        let evaluations = route.evaluations.iter().zip(evaluation_ids);
        let evaluations = evaluations.map(|(read, new)| course.known(read).map_or((new, true), |known| (known, false)));
        Again {
            evaluations: evaluations.collect(),
            route,
            moment: match moment {
                Moment::Delivery => PlanningMoment::Delivery,
                Moment::Waiting => PlanningMoment::RiskChange,
            },
            passage,
            since,
            directory_version: facts.directory_version,
            controls: facts.controls.iter().map(|control| (control.source, control.version)).collect(),
            last_key: course.last_key(approving),
            ordinal: course.evaluations.last().map_or(0, |evaluation| evaluation.ordinal + 1),
            stage_ids,
        }
    }

    /// The id of the reading of a source that an undecided stage of it shows: the worst of those that ask for one, else the worst of
    /// all; the requestor's before the target's.
    fn shown(&self, source: RiskSource) -> Option<EvaluationId> {
        let cover = self.passage.of(source).proved;
        let of_source =
            self.route.evaluations.iter().zip(&self.evaluations).filter(|(e, _)| e.reading.source == source);
        let rank = |read: &Evaluation| {
            let level = read.reading.level;
            std::cmp::Reverse((read.is_stage_required && !cover.covers(level), risk::rank(level)))
        };
        of_source.min_by_key(|(read, _)| rank(read)).map(|(_, (id, _))| *id)
    }

    /// When the oldest of its readings was made; nothing where no source was read.
    pub(super) fn read_at(&self) -> Option<Timestamp> {
        self.route.evaluations.iter().map(|evaluation| evaluation.reading.read_at).min()
    }

    /// Relies on what this was planned from, and keeps each reading that says something new. Those were made before anything that the
    /// plan tells of.
    pub(super) fn record(&self, request: &request::Model, plan: &mut Plan) {
        plan.guard(Guard::Directory(self.directory_version));
        for (source, version) in &self.controls {
            plan.guard(Guard::Control(*source, *version));
        }
        guard_readings(&self.route, self.since, plan);
        let evaluations = self.route.evaluations.iter().zip(&self.evaluations).filter(|(_, (_, is_new))| *is_new);
        let events: Vec<_> = (self.ordinal..)
            .zip(evaluations)
            .map(|(ordinal, (evaluation, (id, _)))| evaluated(evaluation, *id, ordinal, request, plan))
            .collect();
        plan.events.splice(0..0, events);
        let evaluations: Vec<_> = self.evaluations.iter().map(|(id, _)| *id).collect();
        let account = Account::of(&self.route, &self.stage_ids, &evaluations);
        plan.rows.explanations.push(account.row(request.id, self.moment, self.directory_version));
    }
}

/// What was read still stands: the log has told nothing of these people's risk since.
pub(super) fn guard_readings(route: &Route, since: i64, plan: &mut Plan) {
    for evaluation in &route.evaluations {
        plan.guard(Guard::NoNews(evaluation.reading.subject, since));
    }
}

/// What became known of somebody's risk while a request of theirs waits: each undecided stage of risk shows the newest reading, and
/// what newly asks for a stage gets one. Nothing where there is nothing new.
pub fn review(request: request::Model, course: &Course, again: &Again) -> Option<Plan> {
    if request.state != RequestState::PendingApproval {
        return None;
    }
    let mut plan = Plan { urgency: Urgency::Background, ..Plan::default() };
    let mut undecided: Vec<stage::Model> = course.undecided().cloned().collect();
    for stage in &mut undecided {
        let Some(source) = risk_source(stage.kind) else { continue };
        let newest = again.shown(source);
        if newest.is_some() && newest != stage.latest_evaluation_id.or(stage.evaluation_id) {
            stage.latest_evaluation_id = newest;
        }
    }
    let is_news = again.evaluations.iter().any(|(_, is_new)| *is_new);
    if !is_news && again.route.stages.is_empty() && course.undecided().eq(&undecided) {
        return None;
    }
    again.record(&request, &mut plan);
    if again.route.stages.is_empty() {
        // One that has ended meanwhile has nothing to show any more.
        plan.guard(Guard::Request(request.id, request.version));
    } else {
        insert(request, undecided.first_mut(), again, &mut plan);
    }
    for (before, stage) in course.undecided().zip(undecided) {
        if *before != stage {
            plan.change_stage(stage);
        }
    }
    Some(plan)
}

/// Puts the added stages before the first undecided one, or last. One whose turn had come waits again: its approvers go on seeing the
/// request, and its turn comes once more, with a fresh clock.
/// (Storing that one is left to the caller.)
pub(super) fn insert(mut request: request::Model, first: Option<&mut stage::Model>, again: &Again, plan: &mut Plan) {
    let count = again.route.stages.len() as i64;
    let step = match &first {
        Some(first) => (first.order_key - again.last_key) / (count + 1),
        None => ORDER_STEP,
    };
    if let Some(stage) = first
        && stage.status == StageStatus::Pending
    {
        stage.status = StageStatus::Waiting;
        stage.due_at = None;
        stage.escalate_at = None;
        plan.events.push(stage_event(EventKind::StagePostponed, EventActor::System, stage, &request));
    }
    for (place, (planned, id)) in (1..).zip(again.route.stages.iter().zip(&again.stage_ids)) {
        let read = planned.evaluation.map(|index| {
            let (id, _) = again.evaluations[index];
            (id, again.route.evaluations[index].reading.level)
        });
        // Who is asked for an approval again has before them what it was given on, and what is read now.
        let first = planned.replaces.and_then(|void| void.seen).or(read);
        let evaluation_id = first.map(|(id, _)| id);
        let level = read.or(first).map(|(_, level)| level);
        let mut stage = laid(planned, *id, again.last_key + place * step, evaluation_id, &request, plan);
        stage.inserted_at = Some(Timestamp::COMMIT);
        if let Some(void) = planned.replaces {
            stage.replaces_stage_id = Some(void.stage);
            let newest = risk_source(stage.kind).and_then(|source| again.shown(source));
            stage.latest_evaluation_id = newest.filter(|newest| Some(*newest) != evaluation_id);
        }
        plan.events.push(
            stage_event(EventKind::StageInserted, EventActor::System, &stage, &request)
                .with_some("RiskSource", risk_source(stage.kind).map(|source| source.as_str()))
                .with_some("RiskLevel", level.map(|level| level.as_str()))
                .with_some("EvaluationId", evaluation_id.map(|id| id.to_string()))
                .with_some("ReplacesStageId", planned.replaces.map(|void| void.stage.to_string()))
                .with("Reason", planned.reason.clone()),
        );
        if place == 1 {
            open_planned(&mut stage, planned.coverage, level, &request, plan);
        }
        plan.rows.stages.push(stage);
    }
    request.state = RequestState::PendingApproval;
    request.has_risk_stage |= again.route.stages.iter().any(|stage| stage.kind != StageKind::Policy);
    plan.change_request(request);
}
