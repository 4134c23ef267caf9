//! What is due by the clock: deadlines, escalations, ends of assignments. Every instance may do it at the same time, also after a
//! time when none did: each move is guarded by the version that it found, so it happens once.

use entity::{Timestamp, stage};
use futures_util::future::join_all;

use super::{Fault, Services};
use crate::domain::coverage;
use crate::domain::plan::{Plan, Urgency};
use crate::domain::request as moves;

impl Services {
    /// Does everything that is due; returns how many moves this instance made.
    pub async fn run_due(&self) -> Result<usize, Fault> {
        self.end_insider_risk().await?;
        let mut made = 0;
        loop {
            let now = self.clock.now();
            let mut plans = Vec::new();
            for stage in self.store.stages_to_escalate(now).await? {
                // A deadline that has come goes before an escalation that has come too.
                if stage.due_at.is_none_or(|due_at| now < due_at) {
                    plans.extend(self.escalation(stage).await?);
                }
            }
            for stage in self.store.overdue_stages(now).await? {
                plans.extend(self.time_out(stage).await?);
            }
            let waiting = self.store.requests_to_retry(now).await?;
            for plan in join_all(waiting.into_iter().map(|request| self.retry(request))).await {
                plans.push(plan?);
            }
            for assignment in self.store.ended_assignments(now).await? {
                if let Some((request, _)) = self.store.open_request(assignment.request_id).await? {
                    plans.push(moves::expire(assignment, request));
                }
            }
            let committed = join_all(plans.into_iter().map(|plan| self.settle(plan))).await;
            let before = made;
            for outcome in committed {
                made += usize::from(outcome?.is_some());
            }
            // Nothing left, or everything that is left was moved by somebody else just now: the next round sees it anew.
            if made == before {
                return Ok(made);
            }
        }
    }

    /// When something is due next.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.store.next_due().await?)
    }

    /// Where somebody's insider risk has ended by its own time, judges anew who could decide the stages that wait. Twice does no harm.
    async fn end_insider_risk(&self) -> Result<(), Fault> {
        let (mut progress, now) = (self.store.expiry_progress().await?, self.clock.now());
        let Some(risk_ended) = self.store.insider_risk_ended(Timestamp(progress.position), now).await? else {
            return Ok(());
        };
        progress.position = now.0;
        let mut plan = Plan { risk_ended, urgency: Urgency::Background, ..Plan::default() };
        plan.rows.progress.push(progress);
        self.settle(plan).await?;
        Ok(())
    }

    async fn time_out(&self, stage: stage::Model) -> Result<Option<Plan>, Fault> {
        let directory_version = self.store.directory_version().await?;
        let Some((request, undecided)) = self.store.open_request(stage.request_id).await? else { return Ok(None) };
        let later = undecided.into_iter().filter(|other| other.id != stage.id).collect();
        Ok(Some(moves::time_out(request, stage, later, directory_version)))
    }

    async fn escalation(&self, stage: stage::Model) -> Result<Option<Plan>, Fault> {
        let directory_version = self.store.directory_version().await?;
        let Some((request, _)) = self.store.open_request(stage.request_id).await? else { return Ok(None) };
        let able = self.store.undecided_with_able(stage.request_id, None, self.clock.now()).await?;
        let able = able.into_iter().find(|(other, _)| other.id == stage.id).map(|(_, able)| able).unwrap_or_default();
        Ok(Some(moves::escalate(&request, stage, coverage::judge(able, true), directory_version)))
    }
}
