//! The built-in risk store.

use entity::{RiskLevel, RiskSource, RiskState, Timestamp, UserId, insider_risk, risk_sweep, user_risk};
use sea_orm::FromQueryResult;

use super::sql::Params;
use super::{Read, Store};
use crate::domain::freshness::Known;

impl Store {
    /// One person's ID Protection risk.
    pub async fn user_risk(&self, user: UserId) -> Read<Option<user_risk::Model>> {
        let mut params = Params::new(self.db);
        let user = params.add(user);
        self.row(params.statement(format!("SELECT * FROM user_risk WHERE user_id = {user}"))).await
    }

    /// One person's insider risk.
    pub async fn insider_risk(&self, user: UserId) -> Read<Option<insider_risk::Model>> {
        let mut params = Params::new(self.db);
        let user = params.add(user);
        self.row(params.statement(format!("SELECT * FROM insider_risk WHERE user_id = {user}"))).await
    }

    /// What was said of anybody's ID Protection risk.
    pub async fn all_user_risks(&self) -> Read<Vec<user_risk::Model>> {
        self.rows(Params::new(self.db).statement("SELECT * FROM user_risk")).await
    }

    /// The last complete reading of everybody.
    pub async fn risk_sweep(&self, source: RiskSource) -> Read<Option<risk_sweep::Model>> {
        let mut params = Params::new(self.db);
        let source = params.add(source.as_str());
        self.row(params.statement(format!("SELECT * FROM risk_sweep WHERE source = {source}"))).await
    }

    /// What is known of people's ID Protection risk without asking; of those whom the directory knows.
    pub async fn risk_known(&self, users: &[UserId]) -> Read<Vec<(UserId, Known)>> {
        let mut params = Params::new(self.db);
        let any = params.any(users.iter().map(|user| user.0.to_string()));
        let text = format!(
            "SELECT u.id AS id, ur.level, ur.state, ur.detail, ur.last_updated_at, ur.read_at, ur.changed_at, \
             s.complete_as_of, s.directory_version, m.since AS known_since FROM directory_user u \
             LEFT JOIN user_risk ur ON ur.user_id = u.id LEFT JOIN risk_sweep s ON s.source = 'ID_PROTECTION' \
             LEFT JOIN membership m ON m.kind = 'USER' AND m.subject = u.id AND m.user_id = u.id AND m.until IS NULL \
             WHERE u.id {any}"
        );
        let rows: Vec<KnownRow> = self.rows(params.statement(text)).await?;
        Ok(rows.into_iter().map(KnownRow::known).collect())
    }

    /// How many open requests have a reading of this source that could not be had.
    pub async fn undetermined_requests(&self, source: RiskSource) -> Read<i64> {
        let mut params = Params::new(self.db);
        let source = params.add(source.as_str());
        let text = format!(
            "SELECT COUNT(*) AS count FROM request r WHERE r.state IN ('SUBMITTED', 'PENDING_APPROVAL') AND EXISTS \
             (SELECT 1 FROM evaluation e WHERE e.request_id = r.id AND e.source = {source} AND e.level = 'UNDETERMINED')"
        );
        let row = self.one(params.statement(text)).await?;
        row.map_or(Ok(0), |row| Ok(row.try_get("", "count")?))
    }
}

#[derive(FromQueryResult)]
struct KnownRow {
    id: UserId,
    level: Option<RiskLevel>,
    state: Option<RiskState>,
    detail: Option<String>,
    last_updated_at: Option<Timestamp>,
    read_at: Option<Timestamp>,
    changed_at: Option<Timestamp>,
    complete_as_of: Option<Timestamp>,
    directory_version: Option<i64>,
    known_since: Option<i64>,
}

impl KnownRow {
    fn known(self) -> (UserId, Known) {
        let row = match (self.level, self.state, self.last_updated_at) {
            (Some(level), Some(state), Some(last_updated_at)) => Some(user_risk::Model {
                user_id: self.id,
                level,
                state,
                detail: self.detail,
                last_updated_at,
                read_at: self.read_at,
                changed_at: self.changed_at,
            }),
            _ => None,
        };
        let sweep = match (self.complete_as_of, self.directory_version) {
            (Some(complete_as_of), Some(directory_version)) => {
                Some(risk_sweep::Model { source: RiskSource::IdProtection, complete_as_of, directory_version })
            }
            _ => None,
        };
        (self.id, Known { row, sweep, since: self.known_since })
    }
}
