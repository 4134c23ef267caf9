//! What the guards of a group of plans are judged by: the guarded rows, read once under the log's lock, and changed in memory by
//! each plan that is admitted, so that the next is judged by what it will find.

use std::collections::{HashMap, HashSet};

use entity::{DirectorySource, PackageId, RequestId, Timestamp, UserId};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, TryGetable, Value};
use serde_json::json;

use super::sql::{Db, Params};
use super::{Read, StoreError, log};
use crate::domain::event::NewEvent;
use crate::domain::plan::{Guard, Plan};

/// The guarded rows as they stand.
#[derive(Debug, Default)]
pub struct Live {
    /// Newest position of the log.
    pub position: i64,
    /// Its hash.
    pub hash: String,
    /// The directory's version.
    pub directory_version: i64,
    /// Where the directory comes from; only where a guard asks.
    directory_source: Option<DirectorySource>,
    /// The database server's clock, where it has one of its own.
    pub server_now: Option<Timestamp>,
    versions: HashMap<(Table, String), i64>,
    slots: HashSet<(UserId, PackageId)>,
    keys: HashMap<(UserId, String), RequestId>,
    /// Whose risk the log has told of, and where last; only as far back as a guard asks.
    news: HashMap<UserId, i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Table {
    Control,
    Package,
    Policy,
    Request,
    Stage,
    Assignment,
    Sync,
}

impl Table {
    const ALL: [(Table, &'static str, &'static str); 7] = [
        (Table::Control, "control", "source"),
        (Table::Package, "package", "id"),
        (Table::Policy, "policy", "id"),
        (Table::Request, "request", "id"),
        (Table::Stage, "stage", "id"),
        (Table::Assignment, "assignment", "id"),
        (Table::Sync, "directory_sync", "stream"),
    ];
}

/// The row that a guard is about, and the version it wants.
fn versioned(guard: &Guard) -> Option<(Table, String, i64)> {
    Some(match guard {
        Guard::Control(source, version) => (Table::Control, source.as_str().to_owned(), *version),
        Guard::Package(id, version) => (Table::Package, id.0.to_string(), *version),
        Guard::Policy(id, version) => (Table::Policy, id.0.to_string(), *version),
        Guard::Request(id, version) => (Table::Request, id.0.to_string(), *version),
        Guard::Stage(id, version) => (Table::Stage, id.0.to_string(), *version),
        Guard::Assignment(id, version) => (Table::Assignment, id.0.to_string(), *version),
        Guard::Sync(stream, version) => (Table::Sync, stream.as_str().to_owned(), *version),
        _ => return None,
    })
}

impl Live {
    /// Reads what the guards of these plans need, in one statement.
    pub async fn read(db: Db, transaction: &DatabaseTransaction, plans: &[&Plan]) -> Read<Live> {
        let guards = || plans.iter().flat_map(|plan| &plan.guards);
        let mut params = Params::new(db);
        let server_now = match db {
            Db::Sqlite => "0",
            Db::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)",
        };
        let mut parts = vec![format!(
            "SELECT 'head' AS what, hash AS name, CAST(NULL AS TEXT) AS other, position AS number, directory_version AS second, \
             {server_now} AS third FROM head WHERE id = 1"
        )];
        for (table, name, key) in Table::ALL {
            let ids: HashSet<String> =
                guards().filter_map(versioned).filter(|(t, _, _)| *t == table).map(|(_, id, _)| id).collect();
            if !ids.is_empty() {
                let any = params.any(&ids);
                parts.push(format!("SELECT '{name}', {key}, NULL, version, 0, 0 FROM {name} WHERE {key} {any}"));
            }
        }
        let slots: Vec<(UserId, PackageId)> = guards()
            .filter_map(|guard| match guard {
                Guard::SlotFree(user, package) => Some((*user, *package)),
                _ => None,
            })
            .collect();
        if !slots.is_empty() {
            let users = params.any(slots.iter().map(|(user, _)| user.0.to_string()));
            let packages = params.any(slots.iter().map(|(_, package)| package.0.to_string()));
            parts.push(format!(
                "SELECT 'slot', target_id, package_id, 0, 0, 0 FROM request WHERE holds_slot AND target_id {users} AND package_id {packages}"
            ));
        }
        let keys: Vec<_> = guards()
            .filter_map(|guard| match guard {
                Guard::Key(user, key, _) => Some(json!({ "user_id": user, "key": key })),
                _ => None,
            })
            .collect();
        if !keys.is_empty() {
            let list = params.add(Value::from(serde_json::Value::from(keys).to_string()));
            let wanted = match db {
                Db::Sqlite => format!(
                    "SELECT json_extract(value, '$.user_id') AS user_id, json_extract(value, '$.key') AS key FROM json_each({list})"
                ),
                Db::Postgres => {
                    format!("SELECT * FROM json_to_recordset(CAST({list} AS json)) AS w(user_id text, key text)")
                }
            };
            parts.push(format!(
                "SELECT 'key ' || i.key, i.user_id, i.request_id, 0, 0, 0 FROM idempotency i \
                 JOIN ({wanted}) w ON w.user_id = i.user_id AND w.key = i.key"
            ));
        }
        if guards().any(|guard| matches!(guard, Guard::DirectoryFrom(_))) {
            parts.push("SELECT 'source', directory_source, NULL, 0, 0, 0 FROM deployment WHERE id = 1".to_owned());
        }
        let since = guards().filter_map(|guard| match guard {
            Guard::NoNews(_, position) => Some(*position),
            _ => None,
        });
        if let Some(since) = since.min() {
            let since = params.add(since);
            parts.push(format!(
                "SELECT 'news', content, NULL, position, 0, 0 FROM event WHERE is_risk AND request_id IS NULL AND position > {since}"
            ));
        }
        let mut live = Live::default();
        for row in transaction.query_all_raw(params.statement(parts.join(" UNION ALL "))).await? {
            live.take(db, &row)?;
        }
        if live.hash.is_empty() {
            return Err(StoreError::Data("the head of the log is missing".to_owned()));
        }
        Ok(live)
    }

    fn take(&mut self, db: Db, row: &QueryResult) -> Read<()> {
        let what = String::try_get(row, "", "what")?;
        match what.as_str() {
            "head" => {
                self.hash = String::try_get(row, "", "name")?;
                self.position = i64::try_get(row, "", "number")?;
                self.directory_version = i64::try_get(row, "", "second")?;
                if db == Db::Postgres {
                    self.server_now = Some(Timestamp(i64::try_get(row, "", "third")?));
                }
            }
            "source" => self.directory_source = Option::<DirectorySource>::try_get(row, "", "name")?,
            "slot" => {
                self.slots.insert((UserId::try_get(row, "", "name")?, PackageId::try_get(row, "", "other")?));
            }
            "news" => {
                let content = String::try_get(row, "", "name")?;
                if let Some(user) = log::risk_of(&content) {
                    let position = i64::try_get(row, "", "number")?;
                    let newest = self.news.entry(user).or_default();
                    *newest = position.max(*newest);
                }
            }
            _ => {
                if let Some(key) = what.strip_prefix("key ") {
                    let user = UserId::try_get(row, "", "name")?;
                    self.keys.insert((user, key.to_owned()), RequestId::try_get(row, "", "other")?);
                } else if let Some((table, _, _)) = Table::ALL.iter().find(|(_, name, _)| *name == what) {
                    let id = String::try_get(row, "", "name")?;
                    self.versions.insert((*table, id), i64::try_get(row, "", "number")?);
                }
            }
        }
        Ok(())
    }

    /// Judges one plan; where every guard holds, what it writes is what the next one is judged by.
    pub fn admit(&mut self, plan: &Plan, now: Timestamp) -> Result<(), Guard> {
        for guard in &plan.guards {
            if !self.holds(guard, now) {
                return Err(guard.clone());
            }
        }
        let rows = &plan.rows;
        let mut at = |table, id: String, version| {
            self.versions.insert((table, id), version);
        };
        rows.controls.iter().for_each(|row| at(Table::Control, row.source.as_str().to_owned(), row.version));
        rows.packages.iter().for_each(|row| at(Table::Package, row.id.0.to_string(), row.version));
        rows.policies.iter().for_each(|row| at(Table::Policy, row.id.0.to_string(), row.version));
        rows.requests.iter().for_each(|row| at(Table::Request, row.id.0.to_string(), row.version));
        rows.stages.iter().for_each(|row| at(Table::Stage, row.id.0.to_string(), row.version));
        rows.assignments.iter().for_each(|row| at(Table::Assignment, row.id.0.to_string(), row.version));
        rows.syncs.iter().for_each(|row| at(Table::Sync, row.stream.as_str().to_owned(), row.version));
        for request in &rows.requests {
            let slot = (request.target_id, request.package_id);
            if request.holds_slot {
                self.slots.insert(slot);
            } else {
                self.slots.remove(&slot);
            }
        }
        // Its position is not known yet; it is above every one that a guard can name.
        self.news.extend(plan.events.iter().filter_map(NewEvent::risk_of).map(|user| (user, i64::MAX)));
        for row in &rows.idempotency {
            self.keys.insert((row.user_id, row.key.clone()), row.request_id);
        }
        Ok(())
    }

    fn holds(&self, guard: &Guard, now: Timestamp) -> bool {
        if let Some((table, id, version)) = versioned(guard) {
            return self.versions.get(&(table, id)) == Some(&version);
        }
        match guard {
            Guard::Directory(version) => self.directory_version == *version,
            Guard::DirectoryFrom(source) => self.directory_source.is_none_or(|from| from == *source),
            Guard::SlotFree(user, package) => !self.slots.contains(&(*user, *package)),
            Guard::Key(user, key, seen) => self.keys.get(&(*user, key.clone())).copied() == *seen,
            Guard::NoNews(user, position) => self.news.get(user).is_none_or(|newest| newest <= position),
            Guard::Before(at) => now < *at,
            Guard::NotBefore(at) => now >= *at,
            // The versioned ones were answered above; one that is not known never holds.
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use entity::{RiskSource, control};

    use super::*;
    use crate::domain::event::{EventActor, EventKind};

    fn admit(live: &mut Live, plan: &Plan) -> Result<(), Guard> {
        live.admit(plan, Timestamp(0))
    }

    #[test]
    fn a_plan_is_judged_by_what_those_before_it_in_its_group_write() {
        let (bob, carol) = (UserId::new(), UserId::new());
        let mut told = NewEvent::new(EventKind::UserRiskReported, EventActor::System).with("UserId", bob.to_string());
        told.is_risk = true;
        let mut live = Live { position: 7, ..Live::default() };
        let reads = |user| Plan { guards: vec![Guard::NoNews(user, 7)], ..Plan::default() };
        assert_eq!(admit(&mut live, &reads(bob)), Ok(()));
        assert_eq!(admit(&mut live, &Plan { events: vec![told], ..Plan::default() }), Ok(()));
        assert_eq!(admit(&mut live, &reads(bob)), Err(Guard::NoNews(bob, 7)));
        assert_eq!(admit(&mut live, &reads(carol)), Ok(()));
    }

    #[test]
    fn a_refused_plan_leaves_nothing_for_the_next_to_be_judged_by() {
        let control = |version| Guard::Control(RiskSource::IdProtection, version);
        let mut live = Live::default();
        live.versions.insert((Table::Control, RiskSource::IdProtection.as_str().to_owned()), 1);
        let slot = Guard::SlotFree(UserId::new(), PackageId::new());
        let mut stale = Plan { guards: vec![control(2)], ..Plan::default() };
        stale.rows.controls.push(control::Model { version: 3, ..control_row() });
        assert_eq!(admit(&mut live, &stale), Err(control(2)));
        assert_eq!(admit(&mut live, &Plan { guards: vec![control(1), slot], ..Plan::default() }), Ok(()));
        let mut changes = Plan { guards: vec![control(1)], ..Plan::default() };
        changes.rows.controls.push(control::Model { version: 2, ..control_row() });
        assert_eq!(admit(&mut live, &changes), Ok(()));
        assert_eq!(admit(&mut live, &changes), Err(control(1)));
    }

    fn control_row() -> control::Model {
        control::Model {
            source: RiskSource::IdProtection,
            is_enabled: true,
            is_approval_required: true,
            risk_levels: entity::Json(Vec::new()),
            approvers: entity::Json(Vec::new()),
            fallback_approvers: entity::Json(Vec::new()),
            decision_timeout: entity::Seconds::days(14),
            modified_by: None,
            modified_at: None,
            version: 1,
            reevaluation: entity::Reevaluation::Continuous,
            when_undetermined: entity::WhenUndetermined::RequireStage,
            hold_timeout: entity::Seconds::hours(1),
            refuse_risky_approvers: true,
            reprove_before_delivery: true,
        }
    }
}
