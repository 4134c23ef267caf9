//! The built-in risk store.

use entity::{RiskLevel, RiskSource, RiskState, Timestamp, UserId, insider_risk, risk_sweep, user_risk};
use sea_orm::{FromQueryResult, TryGetable};

use super::directory::holds_role;
use super::sql::Params;
use super::{Read, Store};
use crate::domain::freshness::Known;
use crate::domain::permission::stage_kind;

/// A stage of kind `kind` is of a control that refuses risky approvers, and the person `user_id` is one by what is stored at `now` (all
/// expressions): the SQL of [`crate::domain::risk`].
pub(super) fn at_risk(kind: &str, user_id: &str, now: &str) -> String {
    let of = |source: RiskSource, table: &str, means: String| {
        format!(
            "({kind} = '{}' AND EXISTS (SELECT 1 FROM {table} ri CROSS JOIN control c WHERE ri.user_id = {user_id} \
             AND c.source = '{source}' AND c.is_enabled AND c.is_approval_required AND c.refuse_risky_approvers AND {means}))",
            stage_kind(source)
        )
    };
    // The selected levels are stored as a list of JSON.
    let selected = |level: String| format!("c.risk_levels LIKE '%\"' || {level} || '\"%'");
    let (at_risk, compromised, high) = (RiskState::AtRisk, RiskState::ConfirmedCompromised, RiskLevel::High);
    let unknown = format!("ri.level = '{}'", RiskLevel::Undetermined);
    let user = format!(
        "({unknown} OR (ri.state = '{at_risk}' AND {}) OR (ri.state = '{compromised}' AND {}))",
        selected("ri.level".to_owned()),
        selected(format!("'{high}'"))
    );
    let insider = format!(
        "(ri.expires_at IS NULL OR ri.expires_at > {now}) AND ({unknown} OR {})",
        selected("ri.level".to_owned())
    );
    format!(
        "({} OR {})",
        of(RiskSource::IdProtection, "user_risk", user),
        of(RiskSource::InsiderRisk, "insider_risk", insider)
    )
}

impl Store {
    /// One person's ID Protection risk.
    pub async fn user_risk(&self, user: UserId) -> Read<Option<user_risk::Model>> {
        let mut params = Params::new(self.db);
        let user = params.add(user);
        self.row(params.statement(format!("SELECT * FROM user_risk WHERE user_id = {user}"))).await
    }

    /// Did anybody's insider risk end between these moments? Then who of them may decide such a stage by role.
    pub async fn insider_risk_ended(&self, after: Timestamp, until: Timestamp) -> Read<Option<Vec<UserId>>> {
        let ended = |params: &mut Params| {
            format!("ri.expires_at > {} AND ri.expires_at <= {}", params.add(after), params.add(until))
        };
        let mut params = Params::new(self.db);
        let text = format!("SELECT ri.user_id FROM insider_risk ri WHERE {} LIMIT 1", ended(&mut params));
        if self.one(params.statement(text)).await?.is_none() {
            return Ok(None);
        }
        let mut params = Params::new(self.db);
        let text = format!(
            "SELECT ri.user_id FROM insider_risk ri WHERE {} AND {}",
            ended(&mut params),
            holds_role(&format!("'{}'", stage_kind(RiskSource::InsiderRisk)), "ri.user_id")
        );
        let rows = self.all(params.statement(text)).await?;
        Ok(Some(rows.iter().map(|row| Ok(UserId::try_get(row, "", "user_id")?)).collect::<Read<_>>()?))
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
            "SELECT COUNT(*) AS count FROM request r WHERE r.state IN ('SUBMITTED', 'PENDING_APPROVAL') AND 0 < \
             (SELECT count(*) FROM evaluation e WHERE e.request_id = r.id AND e.source = {source} AND e.level = 'UNDETERMINED')"
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
