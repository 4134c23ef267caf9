//! Who could decide a pending stage: its primary approvers (with the alternates, once escalated), else its fallback, else
//! nobody. An empty set never means yes: a stage that nobody can decide waits, alerts, and is denied at its deadline.

use entity::{Coverage, StageKind, request, stage};

use super::event::{EventActor, EventKind, NewEvent};
use super::plan::Plan;

/// Whether anybody of each tier passes every check now: in the set, enabled, neither requestor nor target, and holding the role
/// that the stage needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Able {
    /// Of the primary approvers.
    pub primary: bool,
    /// Of the alternates.
    pub alternate: bool,
    /// Of the fallback.
    pub fallback: bool,
}

/// Judges it.
pub fn judge(able: Able, is_escalated: bool) -> Coverage {
    if able.primary || (is_escalated && able.alternate) {
        Coverage::Primary
    } else if able.fallback {
        Coverage::Fallback
    } else {
        Coverage::Nobody
    }
}

/// A pending stage as a change of the directory finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingStage {
    /// The stage.
    pub stage: stage::Model,
    /// Its request.
    pub request: request::Model,
    /// Who could decide it now.
    pub able: Able,
}

/// After a change of the directory: each pending stage whose coverage is another one now, with its events.
pub fn judge_again(pending: Vec<PendingStage>) -> Plan {
    let mut plan = Plan::default();
    for PendingStage { mut stage, request, able } in pending {
        let coverage = judge(able, stage.escalated_at.is_some());
        if stage.coverage == Some(coverage) {
            continue;
        }
        let before = stage.coverage.map(|coverage| coverage.as_str());
        stage.coverage = Some(coverage);
        plan.events.push(
            stage_event(EventKind::StageCoverageChanged, EventActor::System, &stage, &request)
                .with_some("CoverageBefore", before)
                .with("Coverage", coverage.as_str()),
        );
        if coverage == Coverage::Nobody {
            plan.events.push(stage_event(EventKind::StageWithoutApprover, EventActor::System, &stage, &request));
        }
        plan.change_stage(stage);
    }
    plan
}

/// An event about a stage, with what every such event tells.
pub fn stage_event(kind: EventKind, actor: EventActor, stage: &stage::Model, request: &request::Model) -> NewEvent {
    let mut event = NewEvent::new(kind, actor)
        .with("RequestId", request.id.to_string())
        .with("StageId", stage.id.to_string())
        .with("StageKind", stage.kind.as_str());
    event.request_id = Some(request.id);
    event.stage_id = Some(stage.id);
    event.package_id = Some(request.package_id);
    event.is_risk = stage.kind != StageKind::Policy;
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_set_never_means_yes() {
        assert_eq!(judge(Able::default(), false), Coverage::Nobody);
        assert_eq!(judge(Able::default(), true), Coverage::Nobody);
    }

    #[test]
    fn alternates_count_from_escalation_on_and_keep_the_fallback_out() {
        let able = Able { primary: false, alternate: true, fallback: true };
        assert_eq!(judge(able, false), Coverage::Fallback);
        assert_eq!(judge(able, true), Coverage::Primary);
    }
}
