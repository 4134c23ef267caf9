//! A tenant: plain values that a story changes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphUser {
    pub display_name: String,
    pub user_principal_name: String,
    pub mail: Option<String>,
    pub is_enabled: bool,
    pub manager: Option<Uuid>,
}

/// A group of people and groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphGroup {
    pub display_name: String,
    pub members: BTreeSet<Uuid>,
}

/// A role that somebody, or everybody of a group, holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphAssignment {
    pub role: Uuid,
    pub principal: Uuid,
    /// `/` for the whole tenant.
    pub scope: String,
}

/// Somebody's risk, in Graph's words or in others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphRisk {
    pub level: String,
    pub state: String,
    pub detail: String,
    pub updated_at: String,
    pub is_deleted: bool,
    pub is_processing: bool,
}

impl GraphRisk {
    pub fn new(level: &str, state: &str) -> GraphRisk {
        GraphRisk {
            level: level.to_owned(),
            state: state.to_owned(),
            detail: "none".to_owned(),
            updated_at: "2026-02-01T08:00:00.1234567Z".to_owned(),
            is_deleted: false,
            is_processing: false,
        }
    }
}

/// Everything that Graph knows of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tenant {
    pub users: BTreeMap<Uuid, GraphUser>,
    pub groups: BTreeMap<Uuid, GraphGroup>,
    pub assignments: Vec<GraphAssignment>,
    pub risks: BTreeMap<Uuid, GraphRisk>,
}

impl Tenant {
    /// Somebody new, enabled.
    pub fn hire(&mut self, id: Uuid, name: &str) {
        let user = GraphUser {
            display_name: name.to_owned(),
            user_principal_name: format!("{}@example.com", name.to_lowercase().replace(' ', ".")),
            mail: None,
            is_enabled: true,
            manager: None,
        };
        self.users.insert(id, user);
    }

    /// Somebody's risk from now on.
    pub fn risk(&mut self, id: Uuid, level: &str, state: &str) {
        self.risks.insert(id, GraphRisk::new(level, state));
    }

    /// The groups that somebody is in, directly or through others.
    pub fn groups_of(&self, member: Uuid) -> BTreeSet<Uuid> {
        let mut found = BTreeSet::new();
        let mut left = vec![member];
        while let Some(at) = left.pop() {
            for (id, group) in &self.groups {
                if group.members.contains(&at) && found.insert(*id) {
                    left.push(*id);
                }
            }
        }
        found
    }

    pub(super) fn user(&self, id: Uuid) -> Option<Value> {
        let user = self.users.get(&id)?;
        Some(json!({
            "id": id, "displayName": user.display_name, "userPrincipalName": user.user_principal_name,
            "mail": user.mail, "accountEnabled": user.is_enabled,
        }))
    }

    pub(super) fn member(&self, id: Uuid) -> Value {
        let kind = if self.groups.contains_key(&id) { "group" } else { "user" };
        json!({ "@odata.type": format!("#microsoft.graph.{kind}"), "id": id })
    }
}

pub(super) fn risky(id: Uuid, risk: &GraphRisk) -> Value {
    json!({
        "id": id, "isDeleted": risk.is_deleted, "isProcessing": risk.is_processing, "riskLevel": risk.level,
        "riskState": risk.state, "riskDetail": risk.detail, "riskLastUpdatedDateTime": risk.updated_at,
    })
}

pub(super) fn assignment(assignment: &GraphAssignment) -> Value {
    json!({
        "id": format!("{}-{}", assignment.role.simple(), assignment.principal.simple()),
        "roleDefinitionId": assignment.role, "principalId": assignment.principal, "directoryScopeId": assignment.scope,
    })
}

/// What changed in one object: what a delta query tells of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub is_removed: bool,
    /// Members that joined (true) or left.
    pub members: Vec<(Uuid, bool)>,
    pub is_manager: bool,
}

/// What changed, in order.
pub(super) type Changes = Vec<(Uuid, Change)>;

/// What changed between two states, kind by kind.
pub(super) fn differences(before: &Tenant, after: &Tenant) -> (Changes, Changes) {
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for (id, user) in &after.users {
        let old = before.users.get(id);
        if old != Some(user) {
            let is_manager = old.and_then(|old| old.manager) != user.manager;
            users.push((*id, Change { is_manager, ..Change::default() }));
        }
    }
    for (id, group) in &after.groups {
        let old = before.groups.get(id);
        if old != Some(group) {
            let nobody = BTreeSet::new();
            let had = old.map_or(&nobody, |old| &old.members);
            let joined = group.members.difference(had).map(|member| (*member, true));
            let left = had.difference(&group.members).map(|member| (*member, false));
            groups.push((*id, Change { members: joined.chain(left).collect(), ..Change::default() }));
        }
    }
    // What comes back has nothing of what it had, unless it is told.
    let gone = before.users.keys().filter(|id| !after.users.contains_key(id));
    users.extend(gone.map(|id| (*id, Change { is_removed: true, is_manager: true, members: Vec::new() })));
    for (id, group) in before.groups.iter().filter(|(id, _)| !after.groups.contains_key(id)) {
        let members = group.members.iter().map(|member| (*member, false)).collect();
        groups.push((*id, Change { is_removed: true, members, is_manager: false }));
    }
    (users, groups)
}
