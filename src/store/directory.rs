//! The directory: who is signed in, who is in a set, and the whole of it for an import.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use entity::{
    ApproverExclusion, ApproverTier, DirectoryRole, GroupId, StageKind, SubjectKind, Timestamp, UserId, canonical_uuid,
    given_role, group, group_member, membership, role, user,
};
use sea_orm::{FromQueryResult, QueryResult, TryGetable, Value};
use serde_json::json;

use super::risk::at_risk;
use super::sql::{Db, Params, each};
use super::{Read, Store, StoreError};
use crate::domain::explanation::Excluded;
use crate::domain::permission::{Actor, Right, right_to_decide};
use crate::domain::plan::{Place, Subject};
use crate::domain::route::Resolved;

/// One entry of one tier of a stage that may come to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetQuery {
    /// The kind of stage.
    pub stage: StageKind,
    /// Which of the policy's stages, from 0.
    pub ordinal: usize,
    /// The tier.
    pub tier: ApproverTier,
    /// The kind of set.
    pub kind: SubjectKind,
    /// Which one.
    pub subject: String,
}

/// The whole directory, for an import to compare with.
#[derive(Debug, Default)]
pub struct DirectoryState {
    /// Its version.
    pub version: i64,
    /// Everybody, deleted people too.
    pub users: HashMap<UserId, user::Model>,
    /// Who holds what.
    pub roles: Vec<role::Model>,
    /// Who is given what directly.
    pub given_roles: Vec<given_role::Model>,
    /// Every group, deleted ones too.
    pub groups: HashMap<GroupId, group::Model>,
    /// Direct members.
    pub members: Vec<group_member::Model>,
    /// Flattened memberships that hold now, and the version that each began with.
    pub places: HashMap<Place, i64>,
}

/// Person `user_id` (an expression) holds a role that a stage of kind `kind` (an expression) needs.
pub(super) fn holds_role(kind: &str, user_id: &str) -> String {
    let holds = |right: Right| {
        let roles: Vec<_> = right.roles().iter().map(|role| format!("'{role}'")).collect();
        format!(
            "EXISTS (SELECT 1 FROM directory_role dr WHERE dr.user_id = {user_id} AND dr.role IN ({}))",
            roles.join(", ")
        )
    };
    let tests: Vec<_> = StageKind::ALL
        .iter()
        .map(|stage| match right_to_decide(*stage) {
            Some(right) => format!("({kind} = '{stage}' AND {})", holds(right)),
            None => format!("{kind} = '{stage}'"),
        })
        .collect();
    format!("({})", tests.join(" OR "))
}

impl Store {
    /// The enabled, not deleted person of that id, with the roles held now.
    pub async fn actor(&self, user_id: UserId) -> Read<Option<Actor>> {
        let mut params = Params::new(self.db);
        let id = params.add(user_id);
        let text = format!(
            "SELECT dr.role AS role FROM directory_user u LEFT JOIN directory_role dr ON dr.user_id = u.id \
             WHERE u.id = {id} AND u.is_enabled AND u.deleted_at IS NULL"
        );
        let rows = self.all(params.statement(text)).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut roles = Vec::new();
        for row in rows {
            roles.extend(Option::<DirectoryRole>::try_get(&row, "", "role")?);
        }
        roles.sort();
        Ok(Some(Actor::person(user_id, roles)))
    }

    /// The person of that sign-in name who is not deleted.
    pub async fn user_by_principal_name(&self, name: &str) -> Read<Option<user::Model>> {
        let mut params = Params::new(self.db);
        let name = params.add(crate::domain::text::folded(name));
        let text =
            format!("SELECT * FROM directory_user WHERE folded_principal_name = {name} AND deleted_at IS NULL LIMIT 2");
        let mut rows: Vec<user::Model> = self.rows(params.statement(text)).await?;
        Ok(if rows.len() == 1 { rows.pop() } else { None })
    }

    /// Who could decide each of these sets now (enabled, neither requestor nor target, holding the role that the stage needs, not at risk
    /// where the control asks for that), and who of them could not, and why.
    pub async fn resolve(
        &self,
        sets: &[SetQuery],
        requestor: UserId,
        target: UserId,
        now: Timestamp,
    ) -> Read<Vec<Resolved>> {
        if sets.is_empty() {
            return Ok(Vec::new());
        }
        let json: Vec<_> = sets
            .iter()
            .map(|set| {
                json!({ "stage": set.stage, "ordinal": set.ordinal, "tier": set.tier, "kind": set.kind, "subject": set.subject })
            })
            .collect();
        let mut params = Params::new(self.db);
        let list = params.add(Value::from(serde_json::Value::from(json).to_string()));
        let wanted = match self.db {
            Db::Sqlite => format!(
                "SELECT json_extract(value, '$.stage') AS stage, json_extract(value, '$.ordinal') AS ordinal, \
                 json_extract(value, '$.tier') AS tier, json_extract(value, '$.kind') AS kind, \
                 json_extract(value, '$.subject') AS subject FROM json_each({list})"
            ),
            Db::Postgres => format!(
                "SELECT * FROM json_to_recordset(CAST({list} AS json)) AS q(stage text, ordinal bigint, tier text, kind text, subject text)"
            ),
        };
        let (requestor, target) = (params.add(requestor), params.add(target));
        let holds = holds_role("q.stage", "m.user_id");
        let is_at_risk = at_risk("q.stage", "m.user_id", &params.add(now));
        let member = "m.kind = q.kind AND m.subject = q.subject AND m.until IS NULL";
        let member = each(self.db, "membership", "m", member);
        let account = each(self.db, "directory_user", "u", "u.id = m.user_id");
        use ApproverExclusion::{AtRisk, Disabled, NoRole, Requestor, Target};
        let text = format!(
            "SELECT stage, ordinal, tier, user_id, why, total FROM (SELECT x.*, \
             ROW_NUMBER() OVER (PARTITION BY x.stage, x.ordinal, x.tier, x.why IS NULL ORDER BY x.user_id) AS place, \
             COUNT(*) OVER (PARTITION BY x.stage, x.ordinal, x.tier, x.why IS NULL) AS total \
             FROM (SELECT DISTINCT q.stage, q.ordinal, q.tier, m.user_id, \
             CASE WHEN m.user_id = {requestor} THEN '{Requestor}' WHEN m.user_id = {target} THEN '{Target}' \
             WHEN NOT u.is_enabled OR u.deleted_at IS NOT NULL THEN '{Disabled}' \
             WHEN NOT {holds} THEN '{NoRole}' WHEN {is_at_risk} THEN '{AtRisk}' END AS why FROM ({wanted}) q \
             {member} {account}) x) y \
             WHERE place <= CASE WHEN why IS NULL THEN 100 ELSE 20 END ORDER BY stage, ordinal, tier, user_id"
        );
        let mut resolved: Vec<Resolved> = Vec::new();
        for row in self.all(params.statement(text)).await? {
            let kind = StageKind::try_get(&row, "", "stage")?;
            let ordinal = i64::try_get(&row, "", "ordinal")? as usize;
            let tier = ApproverTier::try_get(&row, "", "tier")?;
            let user = UserId::try_get(&row, "", "user_id")?;
            let total = i64::try_get(&row, "", "total")?;
            if !resolved.last().is_some_and(|last| last.kind == kind && last.ordinal == ordinal && last.tier == tier) {
                let (people, excluded) = (Vec::new(), Vec::new());
                resolved.push(Resolved { kind, ordinal, tier, count: 0, people, excluded, excluded_count: 0 });
            }
            let Some(last) = resolved.last_mut() else { continue };
            match Option::<ApproverExclusion>::try_get(&row, "", "why")? {
                None => {
                    last.count = total;
                    last.people.push(user);
                }
                Some(why) => {
                    last.excluded_count = total;
                    last.excluded.push(Excluded { user, why });
                }
            }
        }
        Ok(resolved)
    }

    /// A shortest way from a group down to one that the person is a member of, both ends with it; nothing where there is none (any more:
    /// then the directory's version has moved too).
    pub async fn group_path(&self, group: &str, user: UserId) -> Read<Vec<GroupId>> {
        // Upward from the person: their groups are few, the people of a group may be many.
        let mut below: HashMap<String, Option<String>> = HashMap::new();
        let mut level = vec![user.0.to_string()];
        while !level.is_empty() && !below.contains_key(group) {
            let mut params = Params::new(self.db);
            let any = params.any(&level);
            let text = format!(
                "SELECT group_id, member_id FROM directory_group_member WHERE member_id {any} ORDER BY group_id, member_id"
            );
            let is_first = below.is_empty();
            level.clear();
            for row in self.all(params.statement(text)).await? {
                let above = String::try_get(&row, "", "group_id")?;
                let member = String::try_get(&row, "", "member_id")?;
                if let Entry::Vacant(vacant) = below.entry(above.clone()) {
                    vacant.insert((!is_first).then_some(member));
                    level.push(above);
                }
            }
        }
        let mut path = Vec::new();
        let mut next = below.contains_key(group).then(|| group.to_owned());
        while let Some(at) = next {
            path.push(GroupId(
                canonical_uuid(&at).ok_or_else(|| StoreError::Data(format!("a group has the id {at:?}")))?,
            ));
            next = below.get(&at).cloned().flatten();
        }
        Ok(path)
    }

    /// Which of these people and groups exist (deleted ones do not).
    pub async fn known(&self, users: &[UserId], groups: &[GroupId]) -> Read<(Vec<UserId>, Vec<GroupId>)> {
        let mut params = Params::new(self.db);
        let users = params.any(users.iter().map(|id| id.0.to_string()));
        let groups = params.any(groups.iter().map(|id| id.0.to_string()));
        let text = format!(
            "SELECT 'user' AS what, id FROM directory_user WHERE id {users} AND deleted_at IS NULL \
             UNION ALL SELECT 'group', id FROM directory_group WHERE id {groups} AND deleted_at IS NULL"
        );
        let (mut known_users, mut known_groups) = (Vec::new(), Vec::new());
        for row in self.all(params.statement(text)).await? {
            match String::try_get(&row, "", "what")?.as_str() {
                "user" => known_users.push(UserId::try_get(&row, "", "id")?),
                _ => known_groups.push(GroupId::try_get(&row, "", "id")?),
            }
        }
        Ok((known_users, known_groups))
    }

    /// The directory's version.
    pub async fn directory_version(&self) -> Read<i64> {
        Ok(self.head().await?.directory_version)
    }

    /// Reads the whole directory, for an import to compare with, some thousand rows at a time. The version is read first, so a
    /// change meanwhile shows as a version that moved.
    pub async fn directory_state(&self) -> Read<DirectoryState> {
        let mut state = DirectoryState { version: self.directory_version().await?, ..DirectoryState::default() };
        self.each("directory_user", &["id"], "1 = 1", |row| {
            let row = user::Model::from_query_result(row, "")?;
            state.users.insert(row.id, row);
            Ok(())
        })
        .await?;
        self.each("directory_group", &["id"], "1 = 1", |row| {
            let row = group::Model::from_query_result(row, "")?;
            state.groups.insert(row.id, row);
            Ok(())
        })
        .await?;
        self.each("directory_role", &["user_id", "role"], "1 = 1", |row| {
            state.roles.push(role::Model::from_query_result(row, "")?);
            Ok(())
        })
        .await?;
        self.each("directory_role_assignment", &["role", "principal_id"], "1 = 1", |row| {
            state.given_roles.push(given_role::Model::from_query_result(row, "")?);
            Ok(())
        })
        .await?;
        self.each("directory_group_member", &["group_id", "member_id"], "1 = 1", |row| {
            state.members.push(group_member::Model::from_query_result(row, "")?);
            Ok(())
        })
        .await?;
        self.each("membership", &["kind", "subject", "user_id"], "until IS NULL", |row| {
            let row = membership::Model::from_query_result(row, "")?;
            state.places.insert(place(&row)?, row.since);
            Ok(())
        })
        .await?;
        Ok(state)
    }

    /// Visits every row of a table that `which` holds for, in the order of `key`, which is unique among them.
    async fn each(
        &self,
        table: &str,
        key: &[&str],
        which: &str,
        mut visit: impl FnMut(&QueryResult) -> Read<()>,
    ) -> Read<()> {
        let keys = key.join(", ");
        let mut last: Option<Vec<String>> = None;
        loop {
            let mut params = Params::new(self.db);
            let after = match &last {
                Some(last) => {
                    let last: Vec<_> = last.iter().map(|part| params.add(part.clone())).collect();
                    format!(" AND ({keys}) > ({})", last.join(", "))
                }
                None => String::new(),
            };
            let text = format!("SELECT * FROM {table} WHERE {which}{after} ORDER BY {keys} LIMIT {CHUNK}");
            let rows = self.all(params.statement(text)).await?;
            rows.iter().try_for_each(&mut visit)?;
            let Some(row) = rows.last().filter(|_| rows.len() == CHUNK) else { return Ok(()) };
            last = Some(key.iter().map(|part| Ok(String::try_get(row, "", part)?)).collect::<Read<_>>()?);
        }
    }
}

/// Rows of a large table that are read at a time.
const CHUNK: usize = 5_000;

pub(super) fn place(row: &membership::Model) -> Read<Place> {
    let broken = || StoreError::Data(format!("a membership names {:?}", row.subject));
    let subject = match row.kind {
        SubjectKind::Role => {
            let role = DirectoryRole::ALL.iter().find(|role| role.as_str() == row.subject);
            Subject::Role(*role.ok_or_else(broken)?)
        }
        _ => Subject::Object(canonical_uuid(&row.subject).ok_or_else(broken)?),
    };
    Ok(Place { kind: row.kind, subject, user_id: row.user_id })
}
