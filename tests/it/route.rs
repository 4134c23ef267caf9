//! Routing, pure: properties of the one function that plans.

use entity::{
    ApproverTier, Coverage, DirectoryRole, Origin, PackageId, PolicyId, PolicyStage, Reevaluation, RequestType,
    RiskLevel, RiskSource, Seconds, StageKind, SubjectSet, Timestamp, UserId, WhenUndetermined,
};
use proptest::prelude::*;
use riskgate::domain::permission::stage_kind;
use riskgate::domain::risk::{rank, selectable};
use riskgate::domain::route::{
    ControlFacts, Eligibility, Facts, Moment, Passage, PolicyFacts, Reading, Resolved, plan, plan_again,
};
use uuid::Uuid;

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

fn control(source: RiskSource) -> impl Strategy<Value = ControlFacts> {
    let levels = proptest::sample::subsequence(selectable(source).to_vec(), 1..=3);
    (any::<bool>(), any::<bool>(), levels, 1..100_i64).prop_map(
        move |(is_enabled, is_approval_required, risk_levels, version)| ControlFacts {
            source,
            version,
            is_enabled,
            is_approval_required,
            risk_levels,
            approvers: vec![SubjectSet::Role(DirectoryRole::SecurityAdministrator)],
            fallback_approvers: vec![SubjectSet::Role(DirectoryRole::GlobalAdministrator)],
            decision_timeout: Seconds::days(14),
            reevaluation: Reevaluation::BeforeDelivery,
            when_undetermined: WhenUndetermined::RequireStage,
            hold_timeout: Seconds::default(),
            refuse_risky_approvers: true,
            reprove_before_delivery: true,
        },
    )
}

fn reading(source: RiskSource, subject: UserId) -> impl Strategy<Value = Reading> {
    let mut levels = selectable(source).to_vec();
    levels.extend([RiskLevel::None, RiskLevel::Undetermined]);
    proptest::sample::select(levels).prop_map(move |level| Reading {
        source,
        subject,
        level,
        read_at: Timestamp(1),
        origin: Origin::Single,
        source_updated_at: None,
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    let stage = PolicyStage {
        approvers: vec![SubjectSet::Manager(1)],
        fallback_approvers: Vec::new(),
        escalation_approvers: Vec::new(),
        escalate_after: None,
        decision_timeout: Seconds::days(7),
        is_approver_justification_required: false,
    };
    let readings = [RiskSource::IdProtection, RiskSource::InsiderRisk]
        .into_iter()
        .flat_map(|source| [reading(source, user(1)), reading(source, user(2))])
        .collect::<Vec<_>>();
    let resolved = (0..3_i64, proptest::sample::select(ApproverTier::ALL)).prop_map(|(count, tier)| Resolved {
        kind: StageKind::IdProtectionRisk,
        ordinal: 0,
        tier,
        count,
        people: Vec::new(),
        excluded: Vec::new(),
        excluded_count: 0,
    });
    let controls = (control(RiskSource::IdProtection), control(RiskSource::InsiderRisk));
    (controls, readings, 0..=3_usize, any::<bool>(), resolved).prop_map(
        move |(controls, readings, stages, on_behalf, resolved)| Facts {
            request_type: if on_behalf { RequestType::OnBehalfAdd } else { RequestType::UserAdd },
            requestor: user(1),
            target: if on_behalf { user(2) } else { user(1) },
            application: None,
            directory_version: 1,
            package: PackageId(Uuid::from_u128(3)),
            package_version: 1,
            policy: PolicyFacts {
                id: PolicyId(Uuid::from_u128(4)),
                version: 1,
                eligibility: Eligibility::Everyone,
                stages: vec![stage.clone(); stages],
                assignment_duration: None,
            },
            controls: vec![controls.0, controls.1],
            readings,
            approvers: vec![resolved],
            waited: Seconds::default(),
        },
    )
}

/// The kinds of the risk stages of a route.
fn risk_stages(facts: &Facts) -> Vec<StageKind> {
    plan(facts).stages.iter().map(|stage| stage.kind).filter(|kind| *kind != StageKind::Policy).collect()
}

/// The people whose risk is read.
fn people(facts: &Facts) -> Vec<UserId> {
    if facts.target == facts.requestor { vec![facts.requestor] } else { vec![facts.requestor, facts.target] }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn risk_stages_come_first_and_id_protection_before_insider_risk(facts in facts()) {
        let route = plan(&facts);
        let kinds: Vec<_> = route.stages.iter().map(|stage| stage.kind).collect();
        let mut sorted = kinds.clone();
        sorted.sort();
        prop_assert_eq!(&kinds, &sorted);
        prop_assert_eq!(kinds.iter().filter(|kind| **kind == StageKind::Policy).count(), facts.policy.stages.len());
        prop_assert_eq!(kinds.iter().filter(|kind| **kind == StageKind::IdProtectionRisk).count() <= 1, true);
    }

    #[test]
    fn a_stage_is_there_exactly_where_a_reading_matches_or_could_not_be_had(facts in facts()) {
        let found = risk_stages(&facts);
        for control in &facts.controls {
            let of_people = facts.readings.iter().filter(|r| r.source == control.source && people(&facts).contains(&r.subject));
            let matches = of_people.filter(|r| r.level == RiskLevel::Undetermined || control.risk_levels.contains(&r.level)).count() > 0;
            let wanted = control.is_enabled && control.is_approval_required && matches;
            prop_assert_eq!(found.contains(&stage_kind(control.source)), wanted);
        }
    }

    #[test]
    fn every_stage_and_every_absence_has_a_reason_and_a_risk_stage_its_worst_reading(facts in facts()) {
        let route = plan(&facts);
        prop_assert!(route.stages.iter().all(|stage| !stage.reason.is_empty()));
        for kind in StageKind::ALL {
            let stages = route.stages.iter().filter(|stage| stage.kind == *kind).count();
            let steps: Vec<_> = route.steps.iter().filter(|step| step.kind == *kind).collect();
            prop_assert_eq!(steps.iter().filter(|step| step.is_required).count(), stages);
            prop_assert_eq!(steps.len(), stages.max(1));
        }
        for step in &route.steps {
            prop_assert!(!step.sentence.is_empty());
            prop_assert_eq!(step.is_required, step.stage.is_some());
            prop_assert!(step.stage.is_none_or(|index| route.stages[index].kind == step.kind));
            prop_assert_eq!(step.coverage, step.stage.map(|index| route.stages[index].coverage));
        }
        for stage in &route.stages {
            let Some(index) = stage.evaluation else { continue };
            let shown = &route.evaluations[index];
            prop_assert!(shown.is_stage_required);
            let rivals = route.evaluations.iter().filter(|e| e.reading.source == shown.reading.source && e.is_stage_required);
            prop_assert!(rivals.map(|e| rank(e.reading.level)).all(|other| other <= rank(shown.reading.level)));
        }
    }

    #[test]
    fn more_selected_levels_or_a_missing_reading_never_take_a_stage_away(facts in facts(), source in 0..2_usize) {
        let before = risk_stages(&facts);
        let mut wider = facts.clone();
        wider.controls[source].risk_levels = selectable(facts.controls[source].source).to_vec();
        let after = risk_stages(&wider);
        prop_assert!(before.iter().all(|kind| after.contains(kind)));
        let mut blind = facts.clone();
        blind.readings.clear();
        let after = risk_stages(&blind);
        prop_assert!(before.iter().all(|kind| after.contains(kind)));
        let mut unknown = facts;
        unknown.controls.clear();
        prop_assert_eq!(risk_stages(&unknown), [StageKind::IdProtectionRisk, StageKind::InsiderRisk]);
    }

    #[test]
    fn an_empty_set_never_means_more_than_a_full_one(facts in facts()) {
        let mut nobody = facts.clone();
        nobody.approvers.clear();
        let (some, none) = (plan(&facts), plan(&nobody));
        prop_assert_eq!(some.stages.len(), none.stages.len());
        prop_assert!(none.stages.iter().all(|stage| stage.coverage == Coverage::Nobody));
    }

    #[test]
    fn nothing_is_cleared_while_anything_is_left(facts in facts(), undecided in 0..3_usize) {
        let route = plan(&facts);
        prop_assert_eq!(route.cleared().is_some(), route.stages.is_empty() && route.hold.is_none());
        let again = plan_again(&facts, Passage { undecided, ..Passage::default() }, Moment::Delivery);
        prop_assert_eq!(again.cleared().is_some(), again.stages.is_empty() && undecided == 0);
    }

    #[test]
    fn facts_survive_storage_and_make_the_same_route(facts in facts()) {
        let stored = serde_json::to_string(&facts).expect("facts serialise");
        let read: Facts = serde_json::from_str(&stored).expect("facts parse");
        prop_assert_eq!(&read, &facts);
        prop_assert_eq!(serde_json::to_string(&read).expect("facts serialise"), stored);
        let route = plan(&facts);
        prop_assert_eq!(serde_json::to_string(&plan(&read)).expect("routes serialise"), serde_json::to_string(&route).expect("routes serialise"));
    }
}
