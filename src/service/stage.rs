//! Deciding a stage.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use entity::{
    AssignmentId, Coverage, DecisionId, DirectoryRole, EvaluationId, RequestId, RiskLevel, RiskSource, Seconds,
    StageId, StageKind, StageStatus, Timestamp, UserId, Verdict,
};

use super::{ATTEMPTS, Denied, Done, Fault, Services};
use crate::domain::coverage;
use crate::domain::decision::{self, Decided, DecisionIds, OwnRisk, Standing};
use crate::domain::permission::{Actor, Principal, risk_source};
use crate::domain::plan::Plan;
use crate::domain::refusal::{Code, Refusal};
use crate::store::{DecisionRows, StoreError};

/// How long whoever decides waits for their roles to be asked for.
const PATIENCE: Duration = Duration::from_secs(2);
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
    /// The reading that was seen; another one shown now refuses.
    pub expected_evaluation: Option<EvaluationId>,
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
            let Some(rows) = self.store.decision_rows(actor, input.stage, self.clock.now()).await? else {
                return Err(Refusal::not_found("stageId", "approval stage").into());
            };
            // Roles are read after the directory's version, which the commit asks for again: what was read still stands there.
            let actor = self.actor_now(&actor.principal).await?;
            let (actor, standing, roles_read_at) = self.with_roles(actor, &rows).await?;
            let role = actor.user_id().zip(decision::role_for(rows.stage.kind, &actor));
            let role_group = match role {
                Some((user, role)) => self.store.role_group(user, role).await?,
                None => None,
            };
            let next_coverage: Option<Coverage> =
                rows.later.first().map(|(stage, able)| coverage::judge(*able, stage.escalated_at.is_some()));
            let source = risk_source(rows.stage.kind);
            let control = match source {
                Some(source) => self.control_facts().await?.into_iter().find(|control| control.source == source),
                None => None,
            };
            let evaluations = match input.expected_evaluation {
                Some(_) => self.store.evaluations_of(&[rows.request.id]).await?,
                None => Vec::new(),
            };
            let mut facts = decision::Facts {
                directory_version: rows.directory_version,
                now: self.clock.now(),
                request: rows.request.clone(),
                stage: rows.stage.clone(),
                later: rows.later.into_iter().map(|(stage, _)| stage).collect(),
                next_coverage,
                again: None,
                roles_read_at,
                role_group,
                control,
                own_risk: None,
                expected_evaluation: input.expected_evaluation,
                evaluations: evaluations.iter().filter(|row| Some(row.source) == source).map(|row| row.id).collect(),
                standing,
            };
            let ids = DecisionIds { decision: DecisionId::new(), assignment: AssignmentId::new() };
            let why = &input.justification;
            // Nobody but who may give the approval has the sources read: first for themselves, then for the last approval.
            let decided = loop {
                match decision::decide(facts.clone(), &actor, input.verdict, why.clone(), ids) {
                    Ok(Decided::NeedsOwnRisk) if facts.own_risk.is_none() => {
                        facts.own_risk = Some(self.own_risk(&actor, source, rows.position).await);
                    }
                    Ok(Decided::NeedsPlan) if facts.again.is_none() => {
                        let again = self.plan_again(&rows.request, rows.stage.id, facts.directory_version).await?;
                        facts.again = Some(again);
                    }
                    decided => break decided,
                }
            };
            match decided {
                Ok(Decided::Made(plan)) => {
                    if self.settle(*plan).await?.is_some() {
                        return Ok(rows.request.id);
                    }
                }
                Ok(Decided::NeedsOwnRisk | Decided::NeedsPlan) => {
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

    /// Who decides, with roles that are young enough to decide a stage of risk by; by what they belong to the stage's approvers; and
    /// when those roles were read. Where the directory is followed and its copy is too old, they are asked for: what is said counts for
    /// this decision, also for who is in a set that is a role. No answer: nothing is decided.
    async fn with_roles(
        &self,
        actor: Actor,
        rows: &DecisionRows,
    ) -> Result<(Actor, Option<Standing>, Option<Timestamp>), Fault> {
        let standing = rows.standing.clone();
        if self.followed.is_none() {
            return Ok((actor, standing, None));
        }
        let (read_at, now) = (self.directory_read_at().await?, self.clock.now());
        let is_young = self.is_young(read_at);
        // Of a stage that cannot be decided nobody is asked.
        let is_open = rows.stage.status == StageStatus::Pending && rows.stage.due_at.is_some_and(|due_at| now < due_at);
        let Some(user) = actor.user_id().filter(|_| !is_young && is_open && rows.stage.kind != StageKind::Policy)
        else {
            return Ok((actor, standing, read_at));
        };
        let roles = self.ask_for_roles(user).await?;
        let standing = self.store.standing(&actor, rows.stage.id, Some(&roles)).await?;
        Ok((Actor { roles, ..actor }, standing, Some(now)))
    }

    /// May stages of risk be decided by roles that were read then?
    fn is_young(&self, read_at: Option<Timestamp>) -> bool {
        let max_age = self.followed.as_ref().map(|followed| followed.role_max_age);
        max_age.is_none_or(|max_age| read_at.is_some_and(|at| self.clock.now() <= at.plus(max_age)))
    }

    /// The same of those in the copy of the directory; one of our own is as new as its version.
    pub(super) async fn are_roles_young(&self) -> Result<bool, Fault> {
        Ok(self.followed.is_none() || self.is_young(self.directory_read_at().await?))
    }

    /// Asks for somebody's roles where the directory is kept; there is nobody to ask where that is here.
    pub(super) async fn ask_for_roles(&self, user: UserId) -> Result<Vec<DirectoryRole>, Fault> {
        let unknown = |why: String| Err(Fault::RolesUnknown(why));
        let Some(followed) = &self.followed else { return unknown("the directory is not followed".to_owned()) };
        match tokio::time::timeout(PATIENCE, followed.reader.roles_of(user)).await {
            Ok(Ok(roles)) => Ok(roles),
            Ok(Err(error)) => unknown(format!("{error:?}")),
            Err(_) => unknown("the directory's source took too long".to_owned()),
        }
    }

    /// What a source says of somebody who is about to approve a stage of it; what cannot be had is UNDETERMINED.
    async fn own_risk(&self, actor: &Actor, source: Option<RiskSource>, since: i64) -> OwnRisk {
        let readings = match source.zip(actor.user_id()) {
            Some((source, user)) => self.read_sources(&[source], &[user]).await,
            None => Vec::new(),
        };
        OwnRisk { level: readings.first().map_or(RiskLevel::Undetermined, |reading| reading.level), since }
    }

    async fn audit_refusal(
        &self,
        actor: &Actor,
        stage: &entity::stage::Model,
        request: &entity::request::Model,
        code: Code,
    ) -> Result<(), Denied> {
        if !decision::is_told(code) {
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
