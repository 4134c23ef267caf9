//! What a change of the directory that comes piece by piece has to know, and how far the reading of its source has come.

use entity::{
    DirectoryRole, DirectorySource, GroupId, MarkKind, SyncStream, UserId, canonical_uuid, given_role, mark,
    membership, sync,
};
use sea_orm::{FromQueryResult, QueryResult, TryGetable, Value};
use serde_json::json;
use uuid::Uuid;

use super::directory::place;
use super::page::flag;
use super::sql::{Db, Params};
use super::{Read, Store, StoreError};
use crate::domain::directory::{Ask, Found, Link, Set};

/// Members of groups that are read at a time.
const CHUNK: usize = 5_000;

/// Something that a listing did not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unnamed {
    /// A person.
    User(UserId),
    /// A group.
    Group(GroupId),
    /// A member of a group.
    Member(Link),
}

/// How much a listing left out: of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Not named.
    pub unnamed: i64,
    /// There.
    pub all: i64,
}

impl Store {
    /// Answers what a planner asks.
    pub async fn found(&self, ask: &Ask) -> Read<Found> {
        let mut found = Found::default();
        match ask {
            Ask::Named { users, groups, links, emptied } => {
                found.users = self.users_by_id(users).await?;
                found.groups = self.groups_by_id(groups).await?;
                found.links = self.links_among(links).await?;
                let emptied: Vec<Uuid> = emptied.iter().map(|id| id.0).collect();
                found.links.extend(self.below(&emptied).await?.links);
            }
            Ask::Below(objects) => found = self.below(objects).await?,
            Ask::Above(objects) => found = self.above(objects).await?,
            Ask::Places(people) => {
                found.users = self.users_by_id(people).await?;
                let mut params = Params::new(self.db);
                let any = params.any(people.iter().map(|id| id.0.to_string()));
                let text = format!(
                    "SELECT * FROM membership WHERE user_id {any} AND until IS NULL AND kind IN ('USER', 'GROUP', 'ROLE')"
                );
                found.places = places(&self.all(params.statement(text)).await?)?;
            }
            Ask::Reports(managers) => {
                let mut params = Params::new(self.db);
                let any = params.any(managers.iter().map(|id| id.0.to_string()));
                let text = format!("SELECT * FROM directory_user WHERE manager_id {any}");
                found.users = self.rows(params.statement(text)).await?;
            }
            Ask::Users(people) => found.users = self.users_by_id(people).await?,
            Ask::Led(people) => {
                let mut params = Params::new(self.db);
                let any = params.any(people.iter().map(|id| id.0.to_string()));
                let text = format!(
                    "SELECT * FROM membership WHERE kind IN ('MANAGER_1', 'MANAGER_2') AND subject {any} AND until IS NULL"
                );
                found.places = places(&self.all(params.statement(text)).await?)?;
            }
        }
        Ok(found)
    }

    /// Those of these links that stand.
    async fn links_among(&self, links: &[Link]) -> Read<Vec<Link>> {
        let mut standing = Vec::new();
        for (table, of_roles) in [("directory_group_member", false), ("directory_role_assignment", true)] {
            let wanted: Vec<_> = links.iter().filter(|link| matches!(link.set, Set::Role(_)) == of_roles).collect();
            if wanted.is_empty() {
                continue;
            }
            let list: Vec<_> =
                wanted.iter().map(|link| json!({ "a": named(link.set), "b": link.member.to_string() })).collect();
            let (a, b) = if of_roles { ("role", "principal_id") } else { ("group_id", "member_id") };
            let mut params = Params::new(self.db);
            let list = params.add(Value::from(serde_json::Value::from(list).to_string()));
            let pairs = match self.db {
                Db::Sqlite => format!(
                    "SELECT json_extract(value, '$.a') AS a, json_extract(value, '$.b') AS b FROM json_each({list})"
                ),
                Db::Postgres => format!("SELECT * FROM json_to_recordset(CAST({list} AS json)) AS w(a text, b text)"),
            };
            let text =
                format!("SELECT t.{a} AS a, t.{b} AS b FROM ({pairs}) w JOIN {table} t ON t.{a} = w.a AND t.{b} = w.b");
            for row in self.all(params.statement(text)).await? {
                standing.push(link(&row, of_roles)?);
            }
        }
        Ok(standing)
    }

    /// The members of those of these objects that are groups, some thousand at a time.
    async fn below(&self, objects: &[Uuid]) -> Read<Found> {
        let mut found = Found::default();
        if objects.is_empty() {
            return Ok(found);
        }
        let mut last: Option<(String, String)> = None;
        loop {
            let mut params = Params::new(self.db);
            let any = params.any(objects.iter().map(Uuid::to_string));
            let after = match &last {
                Some((group, member)) => {
                    let (group, member) = (params.add(group.clone()), params.add(member.clone()));
                    format!(" AND (m.group_id, m.member_id) > ({group}, {member})")
                }
                None => String::new(),
            };
            let text = format!(
                "SELECT m.group_id AS a, m.member_id AS b, g.id IS NOT NULL AS is_group FROM directory_group_member m \
                 LEFT JOIN directory_group g ON g.id = m.member_id WHERE m.group_id {any}{after} \
                 ORDER BY m.group_id, m.member_id LIMIT {CHUNK}"
            );
            let rows = self.all(params.statement(text)).await?;
            for row in &rows {
                let link = link(row, false)?;
                if flag(row, "is_group")? {
                    found.known_groups.push(GroupId(link.member));
                }
                found.links.push(link);
            }
            let Some(row) = rows.last().filter(|_| rows.len() == CHUNK) else { return Ok(found) };
            last = Some((String::try_get(row, "", "a")?, String::try_get(row, "", "b")?));
        }
    }

    /// The sets that name these objects directly.
    async fn above(&self, objects: &[Uuid]) -> Read<Found> {
        let mut found = Found::default();
        let mut params = Params::new(self.db);
        let any = params.any(objects.iter().map(Uuid::to_string));
        let text = format!(
            "SELECT m.group_id AS a, m.member_id AS b, (g.id IS NOT NULL AND g.deleted_at IS NULL) AS is_there \
             FROM directory_group_member m LEFT JOIN directory_group g ON g.id = m.group_id WHERE m.member_id {any}"
        );
        for row in self.all(params.statement(text)).await? {
            let link = link(&row, false)?;
            if let (Set::Group(id), true) = (link.set, flag(&row, "is_there")?) {
                found.known_groups.push(id);
            }
            found.links.push(link);
        }
        let mut params = Params::new(self.db);
        let any = params.any(objects.iter().map(Uuid::to_string));
        let text =
            format!("SELECT role AS a, principal_id AS b FROM directory_role_assignment WHERE principal_id {any}");
        for row in self.all(params.statement(text)).await? {
            found.links.push(link(&row, true)?);
        }
        Ok(found)
    }

    /// How far the reading of the directory's source has come, stream by stream.
    pub async fn syncs(&self) -> Read<Vec<sync::Model>> {
        self.rows(Params::new(self.db).statement("SELECT * FROM directory_sync ORDER BY stream")).await
    }

    /// The same of one stream.
    pub async fn sync(&self, stream: SyncStream) -> Read<sync::Model> {
        let row = self.syncs().await?.into_iter().find(|row| row.stream == stream);
        row.ok_or_else(|| StoreError::Data(format!("the state of the stream {stream} is missing")))
    }

    /// Who is given which role directly.
    pub async fn role_assignments(&self) -> Read<Vec<Link>> {
        let rows: Vec<given_role::Model> =
            self.rows(Params::new(self.db).statement("SELECT * FROM directory_role_assignment")).await?;
        rows.into_iter().map(|row| Ok(Link { set: Set::Role(row.role), member: uuid(&row.principal_id)? })).collect()
    }

    /// A group through which somebody holds a role, as the directory has it; none where the role is also theirs directly.
    pub async fn role_group(&self, user: UserId, role: DirectoryRole) -> Read<Option<GroupId>> {
        let mut params = Params::new(self.db);
        let (user, role) = (params.add(user), params.add(role.as_str().to_owned()));
        let text = format!(
            "SELECT m.subject AS subject FROM directory_role_assignment a JOIN membership m ON m.kind = 'GROUP' \
             AND m.subject = a.principal_id AND m.user_id = {user} AND m.until IS NULL WHERE a.role = {role} \
             AND NOT EXISTS (SELECT 1 FROM directory_role_assignment d WHERE d.role = {role} AND d.principal_id = {user}) \
             ORDER BY m.subject LIMIT 1"
        );
        let Some(row) = self.one(params.statement(text)).await? else { return Ok(None) };
        Ok(Some(GroupId(uuid(&String::try_get(&row, "", "subject")?)?)))
    }

    /// Is anything known that a listing of this stream could fail to name?
    pub async fn has_directory(&self, stream: SyncStream) -> Read<bool> {
        let table = if stream == SyncStream::Users { "directory_user" } else { "directory_group" };
        Ok(self.one(Params::new(self.db).statement(format!("SELECT id FROM {table} LIMIT 1"))).await?.is_some())
    }

    /// Where the directory comes from.
    pub async fn directory_source(&self) -> Read<Option<DirectorySource>> {
        Ok(self.deployment().await?.directory_source)
    }

    /// How much of what stands the present listing did not name: enabled people, or groups, or members of groups.
    pub async fn left_out(&self, kind: MarkKind, listing: i64) -> Read<Left> {
        let mut params = Params::new(self.db);
        let (from, unnamed) = unnamed(&mut params, kind, listing);
        let only = if kind == MarkKind::User { " AND x.is_enabled" } else { "" };
        let text = format!(
            "SELECT (SELECT count(*) FROM {from} AND {unnamed}{only}) AS unnamed, (SELECT count(*) FROM {from}{only}) AS total"
        );
        let row = self.one(params.statement(text)).await?;
        let row = row.ok_or_else(|| StoreError::Data("a count answered nothing".to_owned()))?;
        Ok(Left { unnamed: i64::try_get(&row, "", "unnamed")?, all: i64::try_get(&row, "", "total")? })
    }

    /// The next of what the present listing did not name, in order, after `after`.
    pub async fn unnamed(
        &self,
        kind: MarkKind,
        listing: i64,
        after: Option<&Unnamed>,
        count: usize,
    ) -> Read<Vec<Unnamed>> {
        let mut params = Params::new(self.db);
        let (from, unnamed) = unnamed(&mut params, kind, listing);
        let after = match after {
            Some(Unnamed::User(UserId(id)) | Unnamed::Group(GroupId(id))) => {
                format!(" AND x.id > {}", params.add(id.to_string()))
            }
            Some(Unnamed::Member(link)) => {
                let (group, member) = (params.add(named(link.set)), params.add(link.member.to_string()));
                format!(" AND (x.group_id, x.member_id) > ({group}, {member})")
            }
            None => String::new(),
        };
        let (columns, order) = match kind {
            MarkKind::Member => ("x.group_id AS a, x.member_id AS b", "x.group_id, x.member_id"),
            _ => ("x.id AS a, x.id AS b", "x.id"),
        };
        let text = format!("SELECT {columns} FROM {from} AND {unnamed}{after} ORDER BY {order} LIMIT {count}");
        let item = |row: &QueryResult| {
            let link = link(row, false)?;
            Ok(match kind {
                MarkKind::User => Unnamed::User(UserId(link.member)),
                MarkKind::Group => Unnamed::Group(GroupId(link.member)),
                MarkKind::Member => Unnamed::Member(link),
            })
        };
        self.all(params.statement(text)).await?.iter().map(item).collect()
    }

    /// Some of the marks of these kinds.
    pub async fn marks(&self, kinds: &[MarkKind], count: usize) -> Read<Vec<mark::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(kinds.iter().map(|kind| kind.as_str()));
        let text = format!("SELECT * FROM directory_mark WHERE kind {any} ORDER BY kind, id, member_id LIMIT {count}");
        self.rows(params.statement(text)).await
    }
}

/// The rows `x` of a kind that are there, and the test for those that the listing did not name.
fn unnamed(params: &mut Params, kind: MarkKind, listing: i64) -> (&'static str, String) {
    let (from, id, member) = match kind {
        MarkKind::User => ("directory_user x WHERE x.deleted_at IS NULL", "x.id", "''"),
        MarkKind::Group => ("directory_group x WHERE x.deleted_at IS NULL", "x.id", "''"),
        MarkKind::Member => ("directory_group_member x WHERE 1 = 1", "x.group_id", "x.member_id"),
    };
    let listing = params.add(listing);
    let test = format!(
        "NOT EXISTS (SELECT 1 FROM directory_mark k WHERE k.kind = '{kind}' AND k.id = {id} AND k.member_id = {member} \
         AND k.listing = {listing})"
    );
    (from, test)
}

fn named(set: Set) -> String {
    match set {
        Set::Group(id) => id.0.to_string(),
        Set::Role(role) => role.as_str().to_owned(),
    }
}

fn uuid(text: &str) -> Read<Uuid> {
    canonical_uuid(text).ok_or_else(|| StoreError::Data(format!("the directory names {text:?}")))
}

fn link(row: &QueryResult, is_of_role: bool) -> Read<Link> {
    let set = if is_of_role {
        Set::Role(DirectoryRole::try_get(row, "", "a")?)
    } else {
        Set::Group(GroupId(uuid(&String::try_get(row, "", "a")?)?))
    };
    Ok(Link { set, member: uuid(&String::try_get(row, "", "b")?)? })
}

fn places(rows: &[QueryResult]) -> Read<Vec<(crate::domain::plan::Place, i64)>> {
    rows.iter()
        .map(|row| {
            let row = membership::Model::from_query_result(row, "")?;
            Ok((place(&row)?, row.since))
        })
        .collect()
}
