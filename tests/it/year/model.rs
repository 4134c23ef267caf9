//! What must be so after each step: the invariants of what the step touched, and what the model knows of it.

use entity::{Reevaluation, RequestId, RiskLevel, StageKind, StageStatus, Verdict, control, decision};
use riskgate::domain::permission::{Right, right_to_decide, risk_source, stage_kind};
use riskgate::domain::risk::Cover;
use sea_orm::EntityTrait;

use super::Year;
use crate::support::Snapshot;

impl Year {
    /// The invariants hold in what the log tells of since the last time, and the model agrees with what was decided and delivered.
    pub async fn hold_against_the_model(&mut self) {
        let now = Snapshot::since(&self.db, self.position).await;
        let offences = now.offences();
        assert!(offences.is_empty(), "invariants are broken:\n{}", offences.join("\n"));
        let controls = control::Entity::find().all(&self.db).await.expect("controls");
        let news: Vec<_> = now.events.iter().filter(|event| event.position > self.position).collect();
        let of = |kind: &'static str| {
            news.iter().filter(move |event| event.kind == kind).filter_map(|event| event.request_id)
        };
        for id in of("REQUEST_DELIVERED") {
            let request = now.requests.iter().find(|request| request.id == id).expect("the request");
            let is_at_once = of("REQUEST_AUTO_APPROVED").any(|other| other == id);
            for control in controls.iter().filter(|control| control.is_enabled && control.is_approval_required) {
                if control.reprove_before_delivery {
                    let unproved = self.unproved(&now, id, stage_kind(control.source));
                    assert!(unproved.is_empty(), "{id} was delivered on approvals that count no more: {unproved:#?}");
                }
                if control.reevaluation == Reevaluation::AtSubmission && !is_at_once {
                    continue;
                }
                let cover = cover(&now, id, stage_kind(control.source));
                for who in [request.requestor_id, request.target_id] {
                    let level = self.truth.says(control.source, who).unwrap_or(RiskLevel::Undetermined);
                    let asks = level == RiskLevel::Undetermined || control.risk_levels.0.contains(&level);
                    assert!(
                        !asks || cover.covers(level),
                        "{id} was delivered although {} says {level} of {who}, and no approval has covered that",
                        control.source
                    );
                }
            }
            self.delivered += 1;
        }
        let decided: Vec<&decision::Model> = now.decisions.values().flatten().collect();
        for event in news.iter().filter(|event| ["STAGE_APPROVED", "STAGE_DENIED"].contains(&event.kind.as_str())) {
            let made = decided.iter().find(|decision| Some(decision.stage_id) == event.stage_id).expect("a decision");
            assert!(self.company.is_enabled(made.user_id), "{} decided with a disabled account", made.user_id);
            let role = made.role.is_none_or(|role| self.company.holds(made.user_id, role));
            assert!(role, "{} decided {} without {:?}", made.user_id, made.stage_id, made.role);
            let source = now.stages[&made.request_id].iter().find(|stage| stage.id == made.stage_id);
            let source = source.and_then(|stage| risk_source(stage.kind));
            let Some(control) = controls.iter().find(|control| Some(control.source) == source) else { continue };
            let refuses = control.is_enabled && control.is_approval_required && control.refuse_risky_approvers;
            if made.verdict == Verdict::Approve && refuses {
                let own = self.truth.says(control.source, made.user_id);
                let is_risky = own.is_none_or(|level| control.risk_levels.0.contains(&level));
                assert!(!is_risky, "{} approved {} while at risk: {own:?}", made.user_id, made.stage_id);
            }
        }
        self.position = now.head.position;
    }

    /// Approvals of one kind whose giver could not give them now, and after which nobody has who could.
    fn unproved(&self, now: &Snapshot, request: RequestId, kind: StageKind) -> Vec<decision::Model> {
        let mut unproved = Vec::new();
        let stages = now.stages.get(&request).into_iter().flatten();
        for stage in stages.filter(|stage| stage.kind == kind && stage.status == StageStatus::Approved) {
            let given = &now.decisions[&stage.id][0];
            let is_able = self.company.is_enabled(given.user_id)
                && given.role.is_some_and(|_| {
                    let roles = right_to_decide(kind).map_or(&[][..], Right::roles);
                    roles.iter().any(|role| self.company.holds(given.user_id, *role))
                });
            match is_able {
                true => unproved.clear(),
                false => unproved.push(given.clone()),
            }
        }
        unproved
    }
}

/// What the approvals of one kind have covered in a request.
fn cover(now: &Snapshot, request: RequestId, kind: StageKind) -> Cover {
    let mut cover = Cover::default();
    let stages = now.stages.get(&request).into_iter().flatten();
    for stage in stages.filter(|stage| stage.kind == kind && stage.status == StageStatus::Approved) {
        for id in [stage.evaluation_id, stage.latest_evaluation_id].into_iter().flatten() {
            let seen = now.evaluations[&request].iter().find(|evaluation| evaluation.id == id).expect("a reading");
            cover.add(seen.level);
        }
    }
    cover
}
