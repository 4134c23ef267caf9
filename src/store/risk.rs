//! The built-in risk store.

use entity::{RiskLevel, RiskSource, RiskState, Timestamp, UserId, insider_risk, user_risk};
use sea_orm::TryGetable;

use super::directory::holds_role;
use super::sql::Params;
use super::{Read, Store};
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
}
