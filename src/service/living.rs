//! Reading risk again for requests that are under way: before access is delivered, and when the log tells of somebody's risk.

use std::collections::VecDeque;

use entity::{EvaluationId, RequestId, RiskSource, Seconds, StageId, UserId, head, request};
use futures_util::future::{join_all, try_join_all};

use super::request::{control_facts, possible_sets, submission_ids};
use super::{ATTEMPTS, Fault, Services};
use crate::domain::living::{self, Again, Approval, Course};
use crate::domain::permission::{right_to_decide, stage_kind};
use crate::domain::plan::{Plan, Urgency};
use crate::domain::request::{self as moves, Submission};
use crate::domain::risk::Lost;
use crate::domain::route::{self, ControlFacts, Facts, Moment, Reading};

/// Requests that are looked at together: one group of commits at most.
const PAGE: usize = 30;
/// People whose requests are gone through in turn.
const TURNS: usize = 1_000;

/// Somebody whose open requests are gone through because the log told of their risk.
struct Walk {
    /// Where it did.
    position: i64,
    user: UserId,
    /// The last request that was looked at.
    after: Option<RequestId>,
}

impl Services {
    /// Plans a request again before its access is delivered, by what the sources say now; `approving` is the stage whose approval is
    /// about to be given. The directory's version was read before.
    pub(super) async fn plan_again(
        &self,
        request: &request::Model,
        approving: StageId,
        directory_version: i64,
    ) -> Result<Again, Fault> {
        let head = head::Model { directory_version, ..self.store.head().await? };
        let found = self.store.courses(&[request.id]).await?.pop();
        let (_, mut course) = found.ok_or_else(|| Fault::Internal(format!("{} is not there", request.id)))?;
        let controls = self.control_facts().await?;
        course.approvals = self.approvals(request.id, &controls).await?;
        let passage = course.passage(Some(approving));
        let asking: Vec<_> = controls
            .iter()
            .filter(|control| control.asks() && Moment::Delivery.asks(control, passage.of(control.source)))
            .map(|control| control.source)
            .collect();
        let readings = self.read_sources(&asking, &parties(request)).await;
        self.plan_by(request, &course, Some(approving), &head, controls, readings).await
    }

    /// What has become of those who approved the stages of risk of a request. Where the copy of the directory is too old to prove anything
    /// by, their roles are asked for; no answer: nothing is decided, and nothing is lost.
    async fn approvals(&self, request: RequestId, controls: &[ControlFacts]) -> Result<Vec<Approval>, Fault> {
        let mut given = self.store.approvals(request).await?;
        let is_proved = |kind| {
            let mut asking = controls.iter().filter(|control| control.asks() && control.reprove_before_delivery);
            asking.any(|control| stage_kind(control.source) == kind)
        };
        let is_account_lost = |lost| matches!(lost, Some(Lost::Deleted | Lost::Disabled));
        let in_doubt = given.iter().filter(|given| is_proved(given.kind) && !is_account_lost(given.approval.lost));
        let mut people: Vec<UserId> = in_doubt.map(|given| given.user).collect();
        people.sort_unstable();
        people.dedup();
        if !people.is_empty() && !self.are_roles_young().await? {
            let asked = people.into_iter().map(async |user| Ok::<_, Fault>((user, self.ask_for_roles(user).await?)));
            for (user, roles) in try_join_all(asked).await? {
                let may = |kind| {
                    right_to_decide(kind).is_none_or(|right| right.roles().iter().any(|role| roles.contains(role)))
                };
                for given in
                    given.iter_mut().filter(|given| given.user == user && !is_account_lost(given.approval.lost))
                {
                    given.approval.lost = (!may(given.kind)).then_some(Lost::Role);
                }
            }
        }
        Ok(given.into_iter().map(|given| given.approval).collect())
    }

    /// Tries again to route a request that waits for a source.
    pub(super) async fn retry(&self, request: request::Model) -> Result<Plan, Fault> {
        let head = self.store.head().await?;
        let course = self.store.courses(&[request.id]).await?.pop().map(|(_, course)| course).unwrap_or_default();
        let stored = stored_facts(&request)?;
        let controls = self.control_facts().await?;
        let asking: Vec<_> = controls.iter().filter(|control| control.asks()).map(|control| control.source).collect();
        let readings = self.read_sources(&asking, &parties(&request)).await;
        let sets = possible_sets(&controls, &stored.policy.stages, request.target_id);
        let approvers = self.store.resolve(&sets, request.requestor_id, request.target_id, self.clock.now()).await?;
        let waited = Seconds((self.clock.now().0 - request.created_at.0).max(0) / 1_000_000);
        let facts =
            Facts { directory_version: head.directory_version, controls, readings, approvers, waited, ..stored };
        let route = route::plan(&facts);
        let facts_json = serde_json::to_string(&facts).map_err(|error| Fault::Internal(error.to_string()))?;
        let submission =
            Submission { justification: None, key: None, key_seen: None, facts_json, since: head.position };
        let ids = submission_ids(request.id, &route);
        Ok(moves::retry(request, &facts, &route, submission, course.evaluations.len() as i64, ids))
    }

    /// Acts on what the log tells of people's risk, until nothing is left to act on; returns how many requests were changed. Everybody's
    /// requests are gone through in turn, some at a time. What is done is kept as a position of the log: after a crash the rest is
    /// done, and what was done already changes nothing.
    pub async fn follow_risk(&self) -> Result<usize, Fault> {
        let mut progress = self.store.risk_progress().await?;
        let mut heard = progress.position;
        let mut walks: VecDeque<Walk> = VecDeque::new();
        let mut changed = 0;
        loop {
            if walks.len() < TURNS {
                for (position, user) in self.store.risk_told_after(heard, TURNS - walks.len()).await? {
                    heard = position;
                    let Some(user) = user else { continue };
                    // A walk that has not begun will find this too.
                    if !walks.iter().any(|walk| walk.user == user && walk.after.is_none()) {
                        walks.push_back(Walk { position, user, after: None });
                    }
                }
            }
            if let Some(mut walk) = walks.pop_front() {
                let (page, count) = self.walk(&walk).await?;
                changed += count;
                if page.len() == PAGE {
                    walk.after = page.last().copied();
                    walks.push_back(walk);
                    continue;
                }
            }
            let done = done(&walks, heard);
            if done > progress.position && (walks.is_empty() || done - progress.position > TURNS as i64) {
                progress.position = done;
                let mut plan = Plan { urgency: Urgency::Background, ..Plan::default() };
                plan.rows.progress.push(progress.clone());
                self.settle(plan).await?;
            }
            if walks.is_empty() && self.store.risk_told_after(heard, 1).await?.is_empty() {
                return Ok(changed);
            }
        }
    }

    /// Looks at the next of somebody's open requests; returns which, and how many it changed.
    async fn walk(&self, walk: &Walk) -> Result<(Vec<RequestId>, usize), Fault> {
        let controls = self.control_facts().await?;
        if !controls.iter().any(ControlFacts::asks_again) {
            return Ok((Vec::new(), 0));
        }
        // Where nothing is inserted before delivery, only a stage of risk has something to show.
        let inserts =
            |control: &ControlFacts| control.asks() && control.reevaluation == entity::Reevaluation::Continuous;
        let is_for_stages = !controls.iter().any(inserts);
        let page = self.store.open_requests_of(walk.user, walk.after, is_for_stages, PAGE).await?;
        let (mut left, mut changed) = (page.clone(), 0);
        for _ in 0..ATTEMPTS {
            let plans = self.reviews(&left).await?;
            left.clear();
            let settled = join_all(plans.into_iter().map(async |(id, plan)| (id, self.settle(plan).await))).await;
            for (id, settled) in settled {
                match settled? {
                    Some(_) => changed += 1,
                    None => left.push(id),
                }
            }
            if left.is_empty() {
                return Ok((page, changed));
            }
        }
        Err(Fault::Conflict)
    }

    /// What is to be done about each of these requests, where something is.
    async fn reviews(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, Plan)>, Fault> {
        let head = self.store.head().await?;
        let controls = self.control_facts().await?;
        let found = self.store.courses(ids).await?;
        let mut people: Vec<UserId> = found.iter().flat_map(|(request, _)| parties(request)).collect();
        people.sort_unstable();
        people.dedup();
        let asking: Vec<_> =
            controls.iter().filter(|control| control.asks_again()).map(|control| control.source).collect();
        let readings = self.read_sources(&asking, &people).await;
        let mut plans = Vec::new();
        let (waiting, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|(request, _)| request.retry_at.is_some());
        // What waits for a source goes its way at once, where that can be read now; otherwise it goes on waiting as it does.
        let tried =
            waiting.into_iter().map(async |(request, _)| Ok::<_, Fault>((request.id, self.retry(request).await?)));
        let goes = |plan: &Plan| plan.rows.requests.iter().all(|request| request.retry_at.is_none());
        plans.extend(try_join_all(tried).await?.into_iter().filter(|(_, plan)| goes(plan)));
        for (request, course) in found {
            let own = parties(&request);
            let readings = readings.iter().filter(|reading| own.contains(&reading.subject)).cloned().collect();
            let again = self.plan_by(&request, &course, None, &head, controls.clone(), readings).await?;
            let id = request.id;
            plans.extend(living::review(request, &course, &again).map(|plan| (id, plan)));
        }
        Ok(plans)
    }

    async fn plan_by(
        &self,
        request: &request::Model,
        course: &Course,
        approving: Option<StageId>,
        head: &head::Model,
        controls: Vec<ControlFacts>,
        readings: Vec<Reading>,
    ) -> Result<Again, Fault> {
        let stored = stored_facts(request)?;
        let stage_ids: Vec<_> = RiskSource::ALL.iter().map(|_| StageId::new()).collect();
        let evaluation_ids: Vec<_> = (0..2 * RiskSource::ALL.len()).map(|_| EvaluationId::new()).collect();
        let mut facts =
            Facts { directory_version: head.directory_version, controls, readings, approvers: Vec::new(), ..stored };
        let plan = |facts: &Facts| {
            Again::plan(facts, course, approving, head.position, stage_ids.clone(), evaluation_ids.clone())
        };
        let again = plan(&facts);
        if again.route.stages.is_empty() {
            return Ok(again);
        }
        // Who could decide is asked only where there is something to decide.
        let sets = possible_sets(&facts.controls, &[], request.target_id);
        facts.approvers = self.store.resolve(&sets, request.requestor_id, request.target_id, self.clock.now()).await?;
        Ok(plan(&facts))
    }

    pub(super) async fn control_facts(&self) -> Result<Vec<ControlFacts>, Fault> {
        Ok(self.store.controls().await?.into_iter().map(control_facts).collect())
    }

    pub(super) async fn read_sources(&self, sources: &[RiskSource], people: &[UserId]) -> Vec<Reading> {
        let readings = sources.iter().map(|source| self.sources.read(*source, people, &self.clock));
        join_all(readings).await.into_iter().flatten().collect()
    }
}

/// Up to where everything that was heard of has been acted on: nothing from the first walk that is not at its end.
fn done(walks: &VecDeque<Walk>, heard: i64) -> i64 {
    walks.iter().map(|walk| walk.position - 1).min().unwrap_or(heard)
}

fn stored_facts(request: &request::Model) -> Result<Facts, Fault> {
    serde_json::from_str(&request.facts)
        .map_err(|error| Fault::Internal(format!("the facts of {} cannot be read: {error}", request.id)))
}

/// Whose risk counts in a request: the requestor's, and the target's where that is somebody else.
fn parties(request: &request::Model) -> Vec<UserId> {
    let mut people = vec![request.requestor_id];
    if request.target_id != request.requestor_id {
        people.push(request.target_id);
    }
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_at_its_end_is_done_again_after_a_crash() {
        let walk = |position| Walk { position, user: UserId::new(), after: None };
        assert_eq!(done(&VecDeque::new(), 9), 9);
        assert_eq!(done(&VecDeque::from([walk(7), walk(4), walk(8)]), 9), 3);
    }
}
