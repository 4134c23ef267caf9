//! Feeding the built-in risk store.

use async_graphql::{ID, InputObject, SimpleObject};

use super::error::UserError;
use super::scalar::DateTime;
use super::user::User;
use super::word::{InsiderRiskLevel, UserRiskLevel};

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
