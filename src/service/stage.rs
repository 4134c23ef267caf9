//! Deciding a stage.

use std::collections::HashMap;
use std::sync::Mutex;

use entity::{AssignmentId, Coverage, DecisionId, RequestId, Seconds, StageId, Timestamp, Verdict};

use super::{ATTEMPTS, Denied, Done, Fault, Services};
use crate::domain::coverage;
use crate::domain::decision::{self, DecisionIds};
use crate::domain::permission::{Actor, Principal};
use crate::domain::plan::Plan;
use crate::domain::refusal::{Code, Refusal};
use crate::store::StoreError;

/// The same refusal of the same person is told to the log once in this time.
const REFUSAL_PAUSE: Seconds = Seconds(60);
/// Refusals that are remembered; past that the oldest minute is forgotten.
const REFUSALS_MAX: usize = 10_000;

/// Input of [`Services::decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decide {
    /// The stage.
    pub stage: StageId,
    /// Yes or no.
    pub verdict: Verdict,
    /// Why.
    pub justification: Option<String>,
}

/// Who was refused what, where.
type Refused = (Principal, StageId, Code);

/// Which refusals the log has heard of lately, so that nobody can flood it: when it was last told of each, and how many since.
#[derive(Default)]
pub struct RefusalLog(Mutex<HashMap<Refused, (Timestamp, i64)>>);

impl RefusalLog {
    /// Is it time to tell the log? Then how many it was not told of since the last time.
    fn tell(&self, key: Refused, now: Timestamp) -> Option<i64> {
        let mut heard = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if heard.len() >= REFUSALS_MAX {
            heard.retain(|_, (at, _)| now < at.plus(REFUSAL_PAUSE));
        }
        if heard.len() >= REFUSALS_MAX {
            heard.clear();
        }
        match heard.get_mut(&key) {
            Some((at, repeats)) if now < at.plus(REFUSAL_PAUSE) => {
                *repeats += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, (now, 0)).1),
            None => {
                heard.insert(key, (now, 0));
                Some(0)
            }
        }
    }
}

impl Services {
    /// Decides a stage; returns the request it belongs to. The first commit wins: whoever comes later is told that the stage is
    /// not pending.
    pub async fn decide(&self, actor: &Actor, input: Decide) -> Done<RequestId> {
        for _ in 0..ATTEMPTS {
            let Some(rows) = self.store.decision_rows(actor, input.stage).await? else {
                return Err(Refusal::not_found("stageId", "approval stage").into());
            };
            // Roles are read after the directory's version, which the commit asks for again: what was read still stands there.
            let actor = self.actor_now(&actor.principal).await?;
            let next_coverage: Option<Coverage> =
                rows.later.first().map(|(stage, able)| coverage::judge(*able, stage.escalated_at.is_some()));
            let mut facts = decision::Facts {
                directory_version: rows.directory_version,
                now: self.clock.now(),
                request: rows.request.clone(),
                stage: rows.stage.clone(),
                later: rows.later.into_iter().map(|(stage, _)| stage).collect(),
                next_coverage,
                again: None,
                roles_read_at: None,
                role_group: None,
                standing: rows.standing,
            };
            let ids = DecisionIds { decision: DecisionId::new(), assignment: AssignmentId::new() };
            let why = &input.justification;
            let mut decided = decision::decide(facts.clone(), &actor, input.verdict, why.clone(), ids);
            if decided == Ok(None) {
                // Nobody but who may give the last approval has the sources read.
                let again = self.plan_again(&rows.request, rows.stage.id, facts.directory_version).await?;
                facts.again = Some(again);
                decided = decision::decide(facts, &actor, input.verdict, why.clone(), ids);
            }
            match decided {
                Ok(Some(plan)) => {
                    if self.settle(plan).await?.is_some() {
                        return Ok(rows.request.id);
                    }
                }
                Ok(None) => {
                    return Err(Fault::Internal("a decision was not taken although risk was read".to_owned()).into());
                }
                Err(refusal) => {
                    self.audit_refusal(&actor, &rows.stage, &rows.request, refusal.code).await?;
                    return Err(refusal.into());
                }
            }
        }
        Err(Fault::Conflict.into())
    }

    async fn audit_refusal(
        &self,
        actor: &Actor,
        stage: &entity::stage::Model,
        request: &entity::request::Model,
        code: Code,
    ) -> Result<(), Denied> {
        if !matches!(code, Code::NotAnApprover | Code::RoleRequired) {
            return Ok(());
        }
        let Some(repeats) = self.refusals.tell((actor.principal.clone(), stage.id, code), self.clock.now()) else {
            return Ok(());
        };
        let Some(event) = decision::refused(actor, stage, request, code, repeats) else { return Ok(()) };
        let plan = Plan { events: vec![event], ..Plan::default() };
        match self.settle(plan).await? {
            Some(_) => Ok(()),
            None => Err(Fault::from(StoreError::Data("a plan without guards was stale".to_owned())).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_told_once_a_minute_with_a_count() {
        let log = RefusalLog::default();
        let key = (Principal::Person(entity::UserId::new()), StageId::new(), Code::RoleRequired);
        assert_eq!(log.tell(key.clone(), Timestamp(0)), Some(0));
        assert_eq!(log.tell(key.clone(), Timestamp(1)), None);
        assert_eq!(log.tell(key.clone(), Timestamp(59_999_999)), None);
        assert_eq!(log.tell((key.0.clone(), key.1, Code::NotAnApprover), Timestamp(2)), Some(0));
        assert_eq!(log.tell(key, Timestamp(60_000_000)), Some(2));
    }
}
