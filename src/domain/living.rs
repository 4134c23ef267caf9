//! Risk that lives: a request that is under way is planned again by the readings of now, and what newly asks for a stage gets one.
//! The same source asks again only above what its approvals have covered, so a request gets no more stages of a source than there
//! are levels.

use entity::{
    EvaluationId, RequestState, RiskSource, StageId, StageKind, StageStatus, Timestamp, evaluation, request, stage,
};

use super::coverage::stage_event;
use super::event::{EventActor, EventKind};
use super::permission::risk_source;
use super::plan::{Guard, Plan};
use super::request::{ORDER_STEP, evaluated, laid, open_planned};
use super::route::{self, Evaluation, Facts, Passage, Route};

/// What a request has behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// Every stage, in order.
    pub stages: Vec<stage::Model>,
    /// Every reading, in order.
    pub evaluations: Vec<evaluation::Model>,
}

impl Course {
    /// How far the request has come; `approving` counts as approved.
    pub fn passage(&self, approving: Option<StageId>) -> Passage {
        let mut passage = Passage::default();
        for stage in &self.stages {
            let source = risk_source(stage.kind);
            if matches!(stage.status, StageStatus::Waiting | StageStatus::Pending) && Some(stage.id) != approving {
                passage.undecided += 1;
                if let Some(source) = source {
                    passage.of(source).is_undecided = true;
                }
            } else if let Some(source) = source {
                // Who approves has both before them: the reading that put the stage there, and the newest.
                for id in [stage.evaluation_id, stage.latest_evaluation_id].into_iter().flatten() {
                    if let Some(seen) = self.evaluations.iter().find(|evaluation| evaluation.id == id) {
                        passage.of(source).cover.add(seen.level);
                    }
                }
            }
        }
        passage
    }

    /// The newest reading of the same source and person, where it says the same.
    fn known(&self, read: &Evaluation) -> Option<EvaluationId> {
        let of_same =
            |seen: &&evaluation::Model| seen.source == read.reading.source && seen.subject_id == read.reading.subject;
        let newest = self.evaluations.iter().rev().find(of_same)?;
        let is_same = newest.level == read.reading.level
            && newest.is_stage_required == read.is_stage_required
            && newest.configuration_version == read.configuration_version;
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
    pub fn plan(
        facts: &Facts,
        course: &Course,
        approving: Option<StageId>,
        stage_ids: Vec<StageId>,
        evaluation_ids: Vec<EvaluationId>,
    ) -> Again {
        let route = route::plan_again(facts, course.passage(approving));
        let evaluations = route.evaluations.iter().zip(evaluation_ids);
        let evaluations = evaluations.map(|(read, new)| course.known(read).map_or((new, true), |known| (known, false)));
        Again {
            evaluations: evaluations.collect(),
            route,
            directory_version: facts.directory_version,
            controls: facts.controls.iter().map(|control| (control.source, control.version)).collect(),
            last_key: course.last_key(approving),
            ordinal: course.evaluations.last().map_or(0, |evaluation| evaluation.ordinal + 1),
            stage_ids,
        }
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
        let evaluations = self.route.evaluations.iter().zip(&self.evaluations).filter(|(_, (_, is_new))| *is_new);
        let events: Vec<_> = (self.ordinal..)
            .zip(evaluations)
            .map(|(ordinal, (evaluation, (id, _)))| evaluated(evaluation, *id, ordinal, request, plan))
            .collect();
        plan.events.splice(0..0, events);
    }
}

/// Puts the added stages before the first undecided one, or last. One whose turn had come waits again: its approvers go on seeing the
/// request, and its turn comes once more, with a fresh clock.
pub(super) fn insert(mut request: request::Model, first: Option<stage::Model>, again: &Again, plan: &mut Plan) {
    let count = again.route.stages.len() as i64;
    let step = match &first {
        Some(first) => (first.order_key - again.last_key) / (count + 1),
        None => ORDER_STEP,
    };
    if let Some(mut stage) = first
        && stage.status == StageStatus::Pending
    {
        stage.status = StageStatus::Waiting;
        stage.due_at = None;
        stage.escalate_at = None;
        plan.events.push(stage_event(EventKind::StagePostponed, EventActor::System, &stage, &request));
        plan.change_stage(stage);
    }
    for (place, (planned, id)) in (1..).zip(again.route.stages.iter().zip(&again.stage_ids)) {
        let evaluation_id = planned.evaluation.map(|index| again.evaluations[index].0);
        let level = planned.evaluation.map(|index| again.route.evaluations[index].reading.level);
        let mut stage = laid(planned, *id, again.last_key + place * step, evaluation_id, &request, plan);
        stage.inserted_at = Some(Timestamp::COMMIT);
        plan.events.push(
            stage_event(EventKind::StageInserted, EventActor::System, &stage, &request)
                .with_some("RiskSource", risk_source(stage.kind).map(|source| source.as_str()))
                .with_some("RiskLevel", level.map(|level| level.as_str()))
                .with_some("EvaluationId", evaluation_id.map(|id| id.to_string()))
                .with("Reason", planned.reason.clone()),
        );
        if place == 1 {
            open_planned(&mut stage, planned, &again.route, &request, plan);
        }
        plan.rows.stages.push(stage);
    }
    request.state = RequestState::PendingApproval;
    request.has_risk_stage |= again.route.stages.iter().any(|stage| stage.kind != StageKind::Policy);
    plan.change_request(request);
}
