//! Loading people, groups, managers and directory roles from a file: the whole picture, or a part of it. One commit; what cannot
//! be right (a reference to nobody, a ring) is refused whole.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entity::{
    DirectoryRole, DirectorySource, GroupId, SubjectKind, Timestamp, UserId, canonical_uuid, given_role, group,
    group_member, role, user,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{ATTEMPTS, Fault, Services};
use crate::domain::event::{EventActor, EventKind, NewEvent};
use crate::domain::plan::{DirectoryChange, Guard, Place, Plan, Subject};
use crate::domain::text;
use crate::store::DirectoryState;

/// A person as the file has them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileUser {
    /// Object id.
    pub id: String,
    /// Name for people.
    pub display_name: String,
    /// Sign-in name.
    pub user_principal_name: String,
    /// Mail address.
    #[serde(default)]
    pub mail: Option<String>,
    /// May the account be used?
    pub is_enabled: bool,
    /// The manager's object id.
    #[serde(default)]
    pub manager_id: Option<String>,
    /// Roles held.
    #[serde(default)]
    pub directory_roles: Vec<DirectoryRole>,
}

/// A group as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileGroup {
    /// Object id.
    pub id: String,
    /// Name for people.
    pub display_name: String,
    /// Object ids of people and groups.
    #[serde(default)]
    pub member_ids: Vec<String>,
}

/// A file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Picture {
    /// People.
    #[serde(default)]
    pub users: Vec<FileUser>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<FileGroup>,
}

/// How a file is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Adds and changes what the file holds, deletes nothing.
    pub partial: bool,
    /// Lets a file delete or disable more than a third of the enabled people.
    pub allow_mass_deletion: bool,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// People new or changed (deleted ones are counted apart).
    pub users_changed: usize,
    /// People marked deleted.
    pub users_deleted: usize,
    /// Groups new or changed.
    pub groups_changed: usize,
    /// Groups marked deleted.
    pub groups_deleted: usize,
    /// Did anything change at all?
    pub is_changed: bool,
}

/// Why a file was not loaded: a line that names the object, or a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportError {
    /// The file cannot be right.
    Refused(String),
    /// The database cannot answer.
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for ImportError {
    fn from(error: E) -> ImportError {
        ImportError::Fault(error.into())
    }
}

/// The directory as it shall be.
#[derive(Default)]
struct Wanted {
    users: BTreeMap<UserId, (user::Model, BTreeSet<DirectoryRole>)>,
    groups: BTreeMap<GroupId, (group::Model, BTreeSet<Uuid>)>,
}

/// Why no file is loaded where Graph is followed.
const FROM_GRAPH: &str = "the directory comes from Microsoft Graph, so no file can be loaded; `riskgate directory source file` \
    hands it over to files";

impl Services {
    /// Loads a picture of the directory in one commit. The same picture twice changes nothing the second time.
    pub async fn import(&self, picture: &Picture, options: ImportOptions) -> Result<Imported, ImportError> {
        for _ in 0..ATTEMPTS {
            if self.store.deployment().await?.directory_source == Some(DirectorySource::Graph) {
                return Err(ImportError::Refused(FROM_GRAPH.to_owned()));
            }
            let state = self.store.directory_state().await?;
            let wanted = wanted(picture, options, &state).map_err(ImportError::Refused)?;
            check_mass_deletion(&state, &wanted, options).map_err(ImportError::Refused)?;
            let (change, imported) = difference(&state, &wanted).map_err(ImportError::Refused)?;
            if !imported.is_changed {
                return Ok(imported);
            }
            let event = NewEvent::new(EventKind::DirectoryImported, EventActor::System)
                .with("DirectoryVersion", state.version + 1)
                .with("IsPartial", options.partial)
                .with("UsersChanged", imported.users_changed as i64)
                .with("UsersDeleted", imported.users_deleted as i64)
                .with("GroupsChanged", imported.groups_changed as i64)
                .with("GroupsDeleted", imported.groups_deleted as i64);
            let mut plan = Plan { directory: Some(Box::new(change)), events: vec![event], ..Plan::default() };
            plan.guard(Guard::Directory(state.version));
            plan.guard(Guard::DirectoryFrom(DirectorySource::File));
            if self.settle(plan).await?.is_some() {
                return Ok(imported);
            }
        }
        Err(Fault::Conflict.into())
    }
}

fn wanted(picture: &Picture, options: ImportOptions, state: &DirectoryState) -> Result<Wanted, String> {
    let mut wanted = if options.partial { standing(state) } else { Wanted::default() };
    let mut seen = HashSet::new();
    for (index, person) in picture.users.iter().enumerate() {
        let at = format!("users[{index}]");
        let id = UserId(uuid(&at, "id", &person.id)?);
        let at = format!("{at} ({})", person.id);
        if !seen.insert(id.0) {
            return Err(format!("{at}: this id stands in the file twice"));
        }
        if state.groups.contains_key(&GroupId(id.0)) {
            return Err(format!("{at}: this id is a group's"));
        }
        let named = |field: &str, value: &str| {
            text::name(field, value).map_err(|refusal| format!("{at}: {field}: {}", refusal.message))
        };
        named("displayName", &person.display_name)?;
        named("userPrincipalName", &person.user_principal_name)?;
        if let Some(mail) = &person.mail {
            named("mail", mail)?;
        }
        let manager_id =
            person.manager_id.as_deref().map(|manager| uuid(&at, "managerId", manager)).transpose()?.map(UserId);
        let row = user::Model {
            id,
            folded_name: text::folded(&person.display_name),
            display_name: person.display_name.clone(),
            folded_principal_name: text::folded(&person.user_principal_name),
            user_principal_name: person.user_principal_name.clone(),
            mail: person.mail.clone(),
            is_enabled: person.is_enabled,
            manager_id,
            deleted_at: None,
        };
        wanted.users.insert(id, (row, person.directory_roles.iter().copied().collect()));
    }
    for (index, group) in picture.groups.iter().enumerate() {
        let at = format!("groups[{index}]");
        let id = GroupId(uuid(&at, "id", &group.id)?);
        let at = format!("{at} ({})", group.id);
        if !seen.insert(id.0) {
            return Err(format!("{at}: this id stands in the file twice"));
        }
        if state.users.contains_key(&UserId(id.0)) {
            return Err(format!("{at}: this id is a person's"));
        }
        text::name("displayName", &group.display_name)
            .map_err(|refusal| format!("{at}: displayName: {}", refusal.message))?;
        let members =
            group.member_ids.iter().map(|member| uuid(&at, "memberIds", member)).collect::<Result<BTreeSet<_>, _>>()?;
        let row = group::Model { id, display_name: group.display_name.clone(), deleted_at: None };
        wanted.groups.insert(id, (row, members));
    }
    check_references(&wanted)?;
    Ok(wanted)
}

fn uuid(at: &str, field: &str, text: &str) -> Result<Uuid, String> {
    canonical_uuid(text).ok_or_else(|| format!("{at}: {field}: {text:?} is not a UUID in lower case with hyphens"))
}

/// What stands now, as the beginning of a partial import.
fn standing(state: &DirectoryState) -> Wanted {
    let mut wanted = Wanted::default();
    for person in state.users.values().filter(|person| person.deleted_at.is_none()) {
        wanted.users.insert(person.id, (person.clone(), BTreeSet::new()));
    }
    for row in &state.roles {
        if let Some((_, roles)) = wanted.users.get_mut(&row.user_id) {
            roles.insert(row.role);
        }
    }
    for group in state.groups.values().filter(|group| group.deleted_at.is_none()) {
        wanted.groups.insert(group.id, (group.clone(), BTreeSet::new()));
    }
    for row in &state.members {
        if let (Some((_, members)), Some(member)) =
            (wanted.groups.get_mut(&row.group_id), canonical_uuid(&row.member_id))
        {
            members.insert(member);
        }
    }
    wanted
}

fn check_references(wanted: &Wanted) -> Result<(), String> {
    for (id, (person, _)) in &wanted.users {
        if let Some(manager) = person.manager_id
            && !wanted.users.contains_key(&manager)
        {
            return Err(format!("user {}: managerId {} is nobody", id.0, manager.0));
        }
    }
    // Everybody has one manager at most: a walk upward either ends, or comes back to somebody it has met.
    let mut is_sound: HashSet<UserId> = HashSet::new();
    for id in wanted.users.keys() {
        let (mut path, mut met, mut next) = (Vec::new(), HashSet::new(), Some(*id));
        while let Some(at) = next.filter(|at| !is_sound.contains(at)) {
            if !met.insert(at) {
                return Err(format!("user {}: managerId leads in a ring", at.0));
            }
            path.push(at);
            next = wanted.users.get(&at).and_then(|(person, _)| person.manager_id);
        }
        is_sound.extend(path);
    }
    for (id, (_, members)) in &wanted.groups {
        for member in members {
            if !wanted.users.contains_key(&UserId(*member)) && !wanted.groups.contains_key(&GroupId(*member)) {
                return Err(format!("group {}: memberIds: {member} is neither a person nor a group", id.0));
            }
        }
    }
    Ok(())
}

/// A file that would delete or disable more than a third of the enabled people is more likely wrong than meant.
fn check_mass_deletion(state: &DirectoryState, wanted: &Wanted, options: ImportOptions) -> Result<(), String> {
    let enabled: Vec<_> =
        state.users.values().filter(|person| person.is_enabled && person.deleted_at.is_none()).collect();
    let lost =
        enabled.iter().filter(|person| !wanted.users.get(&person.id).is_some_and(|(row, _)| row.is_enabled)).count();
    if !options.allow_mass_deletion && lost * 3 > enabled.len() {
        return Err(format!(
            "the file would delete or disable {lost} of {} enabled people; if that is meant, say --allow-mass-deletion",
            enabled.len()
        ));
    }
    Ok(())
}

/// From what stands to what is wanted.
fn difference(state: &DirectoryState, wanted: &Wanted) -> Result<(DirectoryChange, Imported), String> {
    let (mut change, mut imported) = (DirectoryChange::default(), Imported::default());
    for (id, (row, _)) in &wanted.users {
        if state.users.get(id) != Some(row) {
            change.users.push(row.clone());
        }
    }
    // A manager may stand in the same file, so people who are referred to come first.
    order_by_manager(&mut change.users);
    for (id, row) in &state.users {
        if row.deleted_at.is_none() && !wanted.users.contains_key(id) {
            change.users.push(user::Model { deleted_at: Some(Timestamp::COMMIT), ..row.clone() });
            imported.users_deleted += 1;
        }
    }
    for (id, (row, _)) in &wanted.groups {
        if state.groups.get(id) != Some(row) {
            change.groups.push(row.clone());
        }
    }
    for (id, row) in &state.groups {
        if row.deleted_at.is_none() && !wanted.groups.contains_key(id) {
            change.groups.push(group::Model { deleted_at: Some(Timestamp::COMMIT), ..row.clone() });
            imported.groups_deleted += 1;
        }
    }

    let roles: HashSet<(UserId, DirectoryRole)> =
        wanted.users.iter().flat_map(|(id, (_, roles))| roles.iter().map(|role| (*id, *role))).collect();
    let held_roles: HashSet<_> = state.roles.iter().map(|row| (row.user_id, row.role)).collect();
    let role_row = |(user_id, role): &(UserId, DirectoryRole)| role::Model { user_id: *user_id, role: *role };
    change.roles = roles.difference(&held_roles).map(role_row).collect();
    change.lost_roles = held_roles.difference(&roles).map(role_row).collect();
    let given: HashSet<(DirectoryRole, String)> = roles.iter().map(|(id, role)| (*role, id.0.to_string())).collect();
    let held: HashSet<_> = state.given_roles.iter().map(|row| (row.role, row.principal_id.clone())).collect();
    let assignment = |(role, principal_id): &(DirectoryRole, String)| given_role::Model {
        role: *role,
        principal_id: principal_id.clone(),
    };
    change.given_roles = given.difference(&held).map(assignment).collect();
    change.taken_roles = held.difference(&given).map(assignment).collect();

    let members: HashSet<(GroupId, String)> = wanted
        .groups
        .iter()
        .flat_map(|(id, (_, members))| members.iter().map(|member| (*id, member.to_string())))
        .collect();
    let held_members: HashSet<_> = state.members.iter().map(|row| (row.group_id, row.member_id.clone())).collect();
    let member_row = |(group_id, member_id): &(GroupId, String)| group_member::Model {
        group_id: *group_id,
        member_id: member_id.clone(),
    };
    change.members = members.difference(&held_members).map(member_row).collect();
    change.lost_members = held_members.difference(&members).map(member_row).collect();

    // Who has gained or lost a role has changed, also where nothing else has; so has a group with other members.
    let of_roles = change.roles.iter().chain(&change.lost_roles).map(|row| row.user_id);
    let users: HashSet<_> = change.users.iter().map(|row| row.id).chain(of_roles).collect();
    imported.users_changed = users.iter().filter(|id| wanted.users.contains_key(id)).count();
    let of_members = change.members.iter().chain(&change.lost_members).map(|row| row.group_id);
    let groups: HashSet<_> = change.groups.iter().map(|row| row.id).chain(of_members).collect();
    imported.groups_changed = groups.iter().filter(|id| wanted.groups.contains_key(id)).count();

    let places = places(wanted)?;
    change.version = state.version + 1;
    change.ended =
        state.places.iter().filter(|(place, _)| !places.contains(place)).map(|(p, since)| (*p, *since)).collect();
    change.begun = places.into_iter().filter(|place| !state.places.contains_key(place)).collect();
    imported.is_changed = change != DirectoryChange { version: change.version, ..DirectoryChange::default() };
    Ok((change, imported))
}

fn order_by_manager(rows: &mut [user::Model]) {
    let managers: HashMap<UserId, Option<UserId>> = rows.iter().map(|row| (row.id, row.manager_id)).collect();
    let depth = |id: UserId| {
        // There is no ring (checked before), so this ends.
        let (mut depth, mut next) = (0_usize, Some(id));
        while let Some(manager) = next.and_then(|at| managers.get(&at).copied().flatten()) {
            depth += 1;
            next = Some(manager);
        }
        depth
    };
    rows.sort_by_cached_key(|row| (depth(row.id), row.id));
}

/// Everybody's place in every set of people.
fn places(wanted: &Wanted) -> Result<HashSet<Place>, String> {
    let mut places = HashSet::new();
    for (id, (person, roles)) in &wanted.users {
        let object = Subject::Object(id.0);
        places.insert(Place { kind: SubjectKind::User, subject: object, user_id: *id });
        for role in roles {
            places.insert(Place { kind: SubjectKind::Role, subject: Subject::Role(*role), user_id: *id });
        }
        if let Some(manager) = person.manager_id {
            places.insert(Place { kind: SubjectKind::Manager1, subject: object, user_id: manager });
            if let Some(above) = wanted.users.get(&manager).and_then(|(manager, _)| manager.manager_id) {
                places.insert(Place { kind: SubjectKind::Manager2, subject: object, user_id: above });
            }
        }
    }
    let mut flat: HashMap<GroupId, HashSet<UserId>> = HashMap::new();
    for id in wanted.groups.keys() {
        flatten(*id, wanted, &mut flat)?;
    }
    for (id, people) in flat {
        let subject = Subject::Object(id.0);
        places.extend(people.into_iter().map(|user_id| Place { kind: SubjectKind::Group, subject, user_id }));
    }
    Ok(places)
}

/// The people of a group, directly or through groups in it; without recursion, so that no nesting is too deep.
fn flatten(id: GroupId, wanted: &Wanted, flat: &mut HashMap<GroupId, HashSet<UserId>>) -> Result<(), String> {
    let (mut open, mut on_path) = (vec![(id, false)], HashSet::new());
    while let Some((at, is_done)) = open.pop() {
        if flat.contains_key(&at) {
            continue;
        }
        let Some((_, members)) = wanted.groups.get(&at) else { continue };
        let inner = members.iter().map(|member| GroupId(*member)).filter(|member| wanted.groups.contains_key(member));
        if is_done {
            on_path.remove(&at);
            let mut people: HashSet<UserId> = members
                .iter()
                .map(|member| UserId(*member))
                .filter(|member| wanted.users.contains_key(member))
                .collect();
            for group in inner {
                people.extend(flat.get(&group).into_iter().flatten());
            }
            flat.insert(at, people);
        } else {
            on_path.insert(at);
            open.push((at, true));
            for group in inner {
                if on_path.contains(&group) {
                    return Err(format!("group {}: memberIds leads in a ring", group.0));
                }
                open.push((group, false));
            }
        }
    }
    Ok(())
}
