//! How the risk sources do.

use entity::{RiskLevel, RiskSource, Seconds, Timestamp, UserId, user_risk};

use super::watch::PACE;
use super::{Fault, Services};
use crate::domain::freshness;
use crate::domain::permission::{Actor, Right};

/// The span that questions are counted over.
const HOUR: Seconds = Seconds::hours(1);

/// How a source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// What it said last is young enough to count.
    Ok,
    /// It is too old.
    Stale,
    /// It wants to be left alone for a while.
    Throttled,
    /// The last question to it failed.
    Failing,
    /// It was never read as a whole.
    NeverRead,
}

/// One source, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceStatus {
    /// Which.
    pub source: RiskSource,
    /// Is it kept elsewhere and asked, rather than told to this server?
    pub is_asked: bool,
    /// How it does.
    pub state: SourceState,
    /// As of when everybody's risk is known.
    pub last_success_at: Option<Timestamp>,
    /// How long ago that is.
    pub age: Option<Seconds>,
    /// Questions in the last hour, of all instances.
    pub requests: i64,
    /// How many of these were too many for it.
    pub throttles: i64,
    /// Open requests with a reading of it that could not be had.
    pub undetermined: i64,
}

/// Somebody's ID Protection risk, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRisk {
    /// Whose.
    pub user_id: UserId,
    /// What was said last; nothing is no risk.
    pub row: Option<user_risk::Model>,
    /// Is it a level that counts now?
    pub is_determined: bool,
}

impl Services {
    /// How each source does, for those who govern or read risk.
    pub async fn risk_sources(&self, actor: &Actor) -> Result<Vec<SourceStatus>, Fault> {
        if !actor.has(Right::ReadRisk) && !actor.has(Right::UpdateControls) {
            return Err(Fault::Forbidden);
        }
        self.source_statuses().await
    }

    /// The same for the operator.
    pub async fn source_statuses(&self) -> Result<Vec<SourceStatus>, Fault> {
        let mut statuses = Vec::with_capacity(RiskSource::ALL.len());
        for source in RiskSource::ALL {
            let undetermined = self.store.undetermined_requests(*source).await?;
            let mut status = SourceStatus {
                source: *source,
                is_asked: false,
                state: SourceState::Ok,
                last_success_at: None,
                age: None,
                requests: 0,
                throttles: 0,
                undetermined,
            };
            if let Some(watch) = self.watch.as_ref().filter(|_| *source == RiskSource::IdProtection) {
                let now = self.clock.now();
                let pace = self.store.pace(PACE, now.minus(HOUR)).await?;
                status.is_asked = true;
                status.last_success_at = self.last_sweep().await?.map(|sweep| sweep.complete_as_of);
                status.age = status.last_success_at.map(|at| Seconds((now.0 - at.0).max(0) / 1_000_000));
                (status.requests, status.throttles) = (pace.calls, pace.throttles);
                let max_age = watch.0.settings.max_age;
                status.state = if pace.is_at_rest(now) {
                    SourceState::Throttled
                } else if pace.failed_at.is_some_and(|failed| pace.succeeded_at.is_none_or(|well| well < failed)) {
                    SourceState::Failing
                } else {
                    match status.age {
                        None => SourceState::NeverRead,
                        Some(age) if age > max_age => SourceState::Stale,
                        Some(_) => SourceState::Ok,
                    }
                };
            }
            statuses.push(status);
        }
        Ok(statuses)
    }

    /// People's ID Protection risk, to be shown.
    pub async fn shown_risks(&self, ids: &[UserId]) -> Result<Vec<ShownRisk>, Fault> {
        let Some(watch) = &self.watch else {
            let rows = self.store.user_risks(ids).await?;
            let shown = |row: user_risk::Model| ShownRisk { user_id: row.user_id, row: Some(row), is_determined: true };
            return Ok(rows.into_iter().map(shown).collect());
        };
        let now = self.clock.now();
        let known = self.store.risk_known(ids).await?;
        let shown = known.into_iter().map(|(user_id, known)| {
            let fresh = freshness::judge(&known, now, watch.0.settings.max_age);
            let is_determined = fresh.is_some_and(|fresh| fresh.level != RiskLevel::Undetermined);
            ShownRisk { user_id, row: known.row, is_determined }
        });
        Ok(shown.collect())
    }
}
