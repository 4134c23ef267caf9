//! Feeding risk, and how its sources do.

use async_graphql::{Enum, ID, InputObject, SimpleObject};

use super::error::UserError;
use super::scalar::{DateTime, Duration};
use super::user::User;
use super::word::{InsiderRiskLevel, RiskSource, RiskSourceState, UserRiskLevel};
use crate::service::source::SourceStatus;

/// Where a source keeps people's risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum RiskSourceOrigin {
    /// Here: it is reported to this server.
    BuiltIn,
    /// In Microsoft Entra, which is asked through Microsoft Graph.
    MicrosoftGraph,
}

/// How a risk source does.
#[derive(SimpleObject)]
pub struct RiskSourceStatus {
    /// Which.
    source: RiskSource,
    /// Where it keeps people's risk.
    origin: RiskSourceOrigin,
    /// How it does.
    state: RiskSourceState,
    /// As of when everybody's risk is known: when the last complete sweep began. Null for what is reported here.
    last_success_at: Option<DateTime>,
    /// How long ago that is.
    age: Option<Duration>,
    /// Questions in the last hour, of all instances together.
    requests_in_last_hour: i32,
    /// How many of these were too many for it.
    throttles_in_last_hour: i32,
    /// Open requests with a reading of it that could not be had.
    open_requests_routed_on_undetermined: i32,
}

impl RiskSourceStatus {
    /// As it is shown.
    pub fn of(status: SourceStatus) -> RiskSourceStatus {
        let number = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        RiskSourceStatus {
            source: status.source.into(),
            origin: if status.is_asked { RiskSourceOrigin::MicrosoftGraph } else { RiskSourceOrigin::BuiltIn },
            state: status.state.into(),
            last_success_at: status.last_success_at.map(DateTime),
            age: status.age.map(Duration),
            requests_in_last_hour: number(status.requests),
            throttles_in_last_hour: number(status.throttles),
            open_requests_routed_on_undetermined: number(status.undetermined),
        }
    }
}

/// A person's ID Protection risk, as a detection would report it.
#[derive(InputObject)]
pub struct ReportUserRiskInput {
    /// Whose.
    pub user_id: ID,
    /// The level.
    pub level: UserRiskLevel,
    /// What was detected.
    pub detail: Option<String>,
}

/// What came of a report.
#[derive(SimpleObject)]
pub struct ReportUserRiskPayload {
    /// The person; null where it was refused.
    pub user: Option<User>,
    /// Why it was refused.
    pub user_errors: Vec<UserError>,
}

/// People whose risk an administrator judges.
#[derive(InputObject)]
pub struct UserRiskActionInput {
    /// Who; 100 at most.
    pub user_ids: Vec<ID>,
}

/// What came of it.
#[derive(SimpleObject)]
pub struct UserRiskActionPayload {
    /// The people; null where it was refused.
    pub users: Option<Vec<User>>,
    /// Why it was refused.
    pub user_errors: Vec<UserError>,
}

/// A person's insider risk, as the compliance system reports it.
#[derive(InputObject)]
pub struct ReportInsiderRiskInput {
    /// Whose.
    pub user_id: ID,
    /// The level.
    pub level: InsiderRiskLevel,
    /// When it was seen; left out: now.
    pub observed_at: Option<DateTime>,
    /// From when on it counts no more; left out: never.
    pub expires_at: Option<DateTime>,
    /// The compliance system's own reference.
    pub reference: Option<String>,
}

/// What came of a report.
#[derive(SimpleObject)]
pub struct ReportInsiderRiskPayload {
    /// The person; null where it was refused.
    pub user: Option<User>,
    /// Why it was refused.
    pub user_errors: Vec<UserError>,
}
