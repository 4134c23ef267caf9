//! Random histories of risk, pure: whatever the sources say and whenever they are read, a request never flaps, never stands still, and
//! is never delivered past a reading that nobody approved.

use entity::{
    ApproverTier, AssignmentId, Coverage, DecisionId, DirectoryRole, EvaluationId, Origin, PackageId, PolicyId,
    PolicyStage, Reevaluation, RequestId, RequestState, RequestType, RiskLevel, RiskSource, Row, Seconds, StageId,
    StageStatus, SubjectKind, SubjectSet, Timestamp, UserId, Verdict, WhenUndetermined, request, stage,
};
use proptest::prelude::*;
use riskgate::domain::decision::{self, Decided, DecisionIds, Standing};
use riskgate::domain::living::{Again, Approval, Course, review};
use riskgate::domain::permission::{Actor, Principal, stage_kind};
use riskgate::domain::plan::Plan;
use riskgate::domain::request::{Submission, SubmissionIds, submit};
use riskgate::domain::risk::{Lost, rank, selectable};
use riskgate::domain::route::{ControlFacts, Eligibility, Facts, PolicyFacts, Reading, plan};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A source says something else of the requestor (false) or the target.
    Says(RiskSource, bool, RiskLevel),
    /// What it says reaches us.
    Review,
    /// The pending stage is approved.
    Approve,
    /// One of those who decide leaves, or comes back.
    Moves(usize),
}

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

fn levels(source: RiskSource) -> Vec<RiskLevel> {
    [selectable(source), &[RiskLevel::None, RiskLevel::Undetermined]].concat()
}

fn step() -> impl Strategy<Value = Step> {
    let says = proptest::sample::select(RiskSource::ALL).prop_flat_map(|source| {
        (any::<bool>(), proptest::sample::select(levels(source)))
            .prop_map(move |(is_target, level)| Step::Says(source, is_target, level))
    });
    prop_oneof![4 => says, 2 => Just(Step::Review), 3 => Just(Step::Approve), 1 => (0..2_usize).prop_map(Step::Moves)]
}

fn control(source: RiskSource) -> impl Strategy<Value = ControlFacts> {
    let selected = proptest::sample::subsequence(selectable(source).to_vec(), 1..=3);
    let settings = (selected, proptest::sample::select(Reevaluation::ALL), any::<bool>());
    settings.prop_map(move |(risk_levels, reevaluation, reprove_before_delivery)| ControlFacts {
        source,
        version: 1,
        is_enabled: true,
        is_approval_required: true,
        risk_levels,
        approvers: vec![SubjectSet::Role(DirectoryRole::SecurityAdministrator)],
        fallback_approvers: Vec::new(),
        decision_timeout: Seconds::days(14),
        reevaluation,
        when_undetermined: WhenUndetermined::RequireStage,
        hold_timeout: Seconds::default(),
        refuse_risky_approvers: true,
        reprove_before_delivery,
    })
}

/// A request and what it has behind it, as the database would keep it.
struct Life {
    facts: Facts,
    request: request::Model,
    course: Course,
    assignments: usize,
    /// How often somebody has left.
    left: usize,
    /// Who of those who decide is there.
    is_there: [bool; 2],
    /// Who approved what.
    approved: Vec<(StageId, usize)>,
}

impl Life {
    fn new(controls: Vec<ControlFacts>, policy_stages: usize) -> Life {
        let stage = PolicyStage {
            approvers: vec![SubjectSet::Manager(1)],
            fallback_approvers: Vec::new(),
            escalation_approvers: Vec::new(),
            escalate_after: None,
            decision_timeout: Seconds::days(7),
            is_approver_justification_required: false,
        };
        let read = |source, subject| Reading {
            source,
            subject,
            level: RiskLevel::None,
            read_at: NOW,
            origin: Origin::Report,
            source_updated_at: None,
        };
        let sources = RiskSource::ALL.iter();
        let facts = Facts {
            request_type: RequestType::OnBehalfAdd,
            requestor: user(1),
            target: user(2),
            application: None,
            directory_version: 1,
            package: PackageId(Uuid::from_u128(3)),
            package_version: 1,
            policy: PolicyFacts {
                id: PolicyId(Uuid::from_u128(4)),
                version: 1,
                eligibility: Eligibility::Everyone,
                stages: vec![stage; policy_stages],
                assignment_duration: None,
            },
            controls,
            readings: sources.flat_map(|source| [read(*source, user(1)), read(*source, user(2))]).collect(),
            approvers: Vec::new(),
            waited: Seconds::default(),
        };
        let route = plan(&facts);
        let ids = SubmissionIds {
            request: RequestId::new(),
            stages: route.stages.iter().map(|_| StageId::new()).collect(),
            evaluations: route.evaluations.iter().map(|_| EvaluationId::new()).collect(),
            assignment: AssignmentId::new(),
        };
        let submission =
            Submission { justification: None, key: None, key_seen: None, facts_json: String::new(), since: 0 };
        let made = submit(&facts, &route, submission, ids);
        let request = made.rows.requests[0].clone();
        let mut life = Life {
            facts,
            request,
            course: Course::default(),
            assignments: 0,
            left: 0,
            is_there: [true; 2],
            approved: Vec::new(),
        };
        life.commit(made);
        life
    }

    fn commit(&mut self, plan: Plan) {
        for row in plan.rows.requests {
            self.request = row;
        }
        self.course.evaluations.extend(plan.rows.evaluations);
        for mut row in plan.rows.stages {
            row.stamp(NOW);
            match self.course.stages.iter_mut().find(|stage| stage.id == row.id) {
                Some(stage) => {
                    assert_eq!(row.version, stage.version + 1, "a stage is changed once in a commit");
                    *stage = row;
                }
                None => self.course.stages.push(row),
            }
        }
        self.course.stages.sort_by_key(|stage| stage.order_key);
        self.assignments += plan.rows.assignments.len();
    }

    fn again(&self, approving: Option<StageId>) -> Again {
        let evaluations = (0..4).map(|_| EvaluationId::new()).collect();
        let mut course = self.course.clone();
        if approving.is_some() {
            let approval = |(stage, _): &(StageId, usize)| Approval { stage: *stage, lost: self.lost(*stage) };
            course.approvals = self.approved.iter().map(approval).collect();
        }
        Again::plan(&self.facts, &course, approving, 0, vec![StageId::new(), StageId::new()], evaluations)
    }

    /// What who approved a stage has lost.
    fn lost(&self, stage: StageId) -> Option<Lost> {
        let (_, who) = self.approved.iter().find(|(approved, _)| *approved == stage)?;
        (!self.is_there[*who]).then_some(Lost::Disabled)
    }

    fn pending(&self) -> Option<&stage::Model> {
        self.course.stages.iter().find(|stage| stage.status == StageStatus::Pending)
    }

    fn approve(&mut self) {
        let Some(stage) = self.pending().cloned() else { return };
        let Some(decider) = self.is_there.iter().position(|is_there| *is_there) else { return };
        let decider_id = user(9 + decider as u128);
        let later = self.course.stages.iter().filter(|other| other.order_key > stage.order_key).cloned().collect();
        let actor = Actor {
            principal: Principal::Person(decider_id),
            roles: vec![DirectoryRole::SecurityAdministrator, DirectoryRole::ComplianceAdministrator],
        };
        let mut facts = decision::Facts {
            directory_version: 1,
            now: NOW,
            request: self.request.clone(),
            stage: stage.clone(),
            later,
            next_coverage: Some(Coverage::Primary),
            again: None,
            control: None,
            own_risk: None,
            expected_evaluation: None,
            evaluations: Vec::new(),
            roles_read_at: None,
            role_group: None,
            standing: Some(Standing {
                tier: ApproverTier::Primary,
                kind: SubjectKind::User,
                subject: decider_id.0.to_string(),
                group_path: Vec::new(),
            }),
        };
        let ids = DecisionIds { decision: DecisionId::new(), assignment: AssignmentId::new() };
        let why = Some("Seen.".to_owned());
        let decide = |facts| decision::decide(facts, &actor, Verdict::Approve, why.clone(), ids).expect("he may");
        let mut made = decide(facts.clone());
        if made == Decided::NeedsPlan {
            facts.again = Some(self.again(Some(stage.id)));
            made = decide(facts);
        }
        let Decided::Made(plan) = made else { panic!("a plan made again is enough") };
        self.commit(*plan);
        self.approved.push((stage.id, decider));
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Says(source, is_target, level) => {
                let who = user(if *is_target { 2 } else { 1 });
                let reading = self.facts.readings.iter_mut().find(|r| r.source == *source && r.subject == who);
                reading.expect("a reading of everybody").level = *level;
            }
            Step::Review => {
                if let Some(plan) = review(self.request.clone(), &self.course, &self.again(None)) {
                    self.commit(plan);
                }
                let more = review(self.request.clone(), &self.course, &self.again(None));
                assert_eq!(more, None, "the same readings once more change nothing");
            }
            Step::Approve => self.approve(),
            Step::Moves(who) => {
                self.left += usize::from(self.is_there[*who]);
                self.is_there[*who] = !self.is_there[*who];
            }
        }
        self.check(matches!(step, Step::Review));
    }

    /// The approved stages of a source.
    fn approvals(&self, source: RiskSource) -> impl Iterator<Item = &stage::Model> {
        self.course.stages.iter().filter(move |s| s.kind == stage_kind(source) && s.status == StageStatus::Approved)
    }

    /// The approvals of this source that count no more, and that no approval which counts stands for.
    fn unproved(&self, source: RiskSource) -> usize {
        let key = |id| self.course.stages.iter().find(|stage| stage.id == id).map(|stage| stage.order_key);
        let holds = |stage: &&stage::Model| self.lost(stage.id).is_none();
        let answered = self.approvals(source).filter(holds).filter_map(|stage| key(stage.replaces_stage_id?)).max();
        self.approvals(source).filter(|stage| !holds(stage) && Some(stage.order_key) > answered).count()
    }

    /// The levels that somebody saw who approved a stage of this source; with `is_proved`, only of approvals that count now.
    fn seen(&self, source: RiskSource, is_proved: bool) -> Vec<RiskLevel> {
        let stages = self.approvals(source).filter(|stage| !is_proved || self.lost(stage.id).is_none());
        let ids: Vec<_> = stages.flat_map(|s| [s.evaluation_id, s.latest_evaluation_id]).flatten().collect();
        self.course.evaluations.iter().filter(|e| ids.contains(&e.id)).map(|e| e.level).collect()
    }

    /// What the source says now and nobody has approved, though the control asks for it.
    fn unapproved(&self, control: &ControlFacts, is_proved: bool) -> Vec<RiskLevel> {
        let seen = self.seen(control.source, is_proved);
        let own = self.facts.readings.iter().filter(|reading| reading.source == control.source);
        own.map(|reading| reading.level)
            .filter(|level| match level {
                RiskLevel::Undetermined => !seen.contains(level),
                level => {
                    let known = seen.iter().filter(|seen| **seen != RiskLevel::Undetermined);
                    control.risk_levels.contains(level) && known.map(|seen| rank(*seen)).max() < Some(rank(*level))
                }
            })
            .collect()
    }

    fn check(&self, is_reviewed: bool) {
        let pending = self.course.stages.iter().filter(|stage| stage.status == StageStatus::Pending).count();
        let is_open = self.request.state == RequestState::PendingApproval;
        assert_eq!(pending, usize::from(is_open));
        assert_eq!(self.assignments, usize::from(self.request.state == RequestState::Delivered));
        let undecided = self.course.stages.iter().position(|s| s.status != StageStatus::Approved);
        let is_passed_over =
            undecided.is_some_and(|at| self.course.stages[at..].iter().any(|s| s.status == StageStatus::Approved));
        assert!(!is_passed_over, "no stage is passed over");
        assert!(self.course.stages.windows(2).all(|pair| pair[0].order_key < pair[1].order_key), "one order");
        for control in &self.facts.controls {
            let stages: Vec<_> = self.course.stages.iter().filter(|s| s.kind == stage_kind(control.source)).collect();
            let asked_again = stages.iter().filter(|stage| stage.replaces_stage_id.is_some()).count();
            let most = (asked_again + 1) * (levels(control.source).len() - 1);
            assert!(stages.len() - asked_again <= most, "one stage for each level but NONE, anew for each asked again");
            assert!(asked_again <= self.left, "nothing is asked for again but because somebody left");
            let is_undecided = stages.iter().any(|s| s.status != StageStatus::Approved);
            if is_open && is_reviewed && control.reevaluation == Reevaluation::Continuous {
                assert!(
                    is_undecided || self.unapproved(control, false).is_empty(),
                    "what became known is asked for at once"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_never_flaps_and_is_never_delivered_past_an_unapproved_reading(
        controls in (control(RiskSource::IdProtection), control(RiskSource::InsiderRisk)),
        policy_stages in 1..=2_usize,
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut life = Life::new(vec![controls.0, controls.1], policy_stages);
        let mut delivered = false;
        // Somebody stays to the end; who has left may stay away.
        let ends = std::iter::repeat_n(Step::Approve, 2 * (4 + 1) + policy_stages);
        for step in steps.into_iter().map(Some).chain([None]).chain(ends.map(Some)) {
            let Some(step) = step else {
                life.is_there[1] = true;
                continue;
            };
            life.take(&step);
            if life.request.state == RequestState::Delivered && !delivered {
                delivered = true;
                for control in &life.facts.controls {
                    let is_read = control.reevaluation != Reevaluation::AtSubmission;
                    let missing = life.unapproved(control, control.reprove_before_delivery);
                    prop_assert!(!is_read || missing.is_empty(), "delivered past {missing:?}");
                    let unproved = life.unproved(control.source);
                    prop_assert!(!control.reprove_before_delivery || unproved == 0, "delivered on {unproved} void approvals");
                }
            }
        }
        prop_assert!(delivered, "with nothing but approvals it comes to its end");
    }
}
