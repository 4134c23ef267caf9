//! Whom a rule names.

use async_graphql::{Context, Error, ID, OneofObject, SimpleObject, Union};
use entity::SubjectSet as Set;

use super::loader;
use super::user::{Group, User};
use super::word::DirectoryRole;
use crate::domain::refusal::{Code, Refusal};
use crate::service::Fault;

/// A set of people that a rule names.
#[derive(Union, Clone)]
pub enum SubjectSet {
    /// One person.
    SingleUser(SingleUser),
    /// Everybody in a group.
    GroupMembers(GroupMembers),
    /// A manager of the one who gets the access.
    RequestorManager(RequestorManager),
    /// Everybody who holds a role.
    DirectoryRoleHolders(DirectoryRoleHolders),
}

/// One person.
#[derive(SimpleObject, Clone)]
pub struct SingleUser {
    /// Who.
    user: User,
}

/// Everybody in a group, directly or through groups in it.
#[derive(SimpleObject, Clone)]
pub struct GroupMembers {
    /// Which group.
    group: Group,
}

/// The manager of the one who gets the access (1), or that manager's manager (2).
#[derive(SimpleObject, Clone)]
pub struct RequestorManager {
    /// 1 or 2.
    manager_level: i32,
}

/// Everybody who holds a directory role.
#[derive(SimpleObject, Clone)]
pub struct DirectoryRoleHolders {
    /// Which role.
    role: DirectoryRole,
}

async fn one(ctx: &Context<'_>, set: Set) -> Result<SubjectSet, Error> {
    let gone = || super::error::shown(Fault::Internal("a set names somebody who was never there".to_owned()));
    Ok(match set {
        Set::User(id) => {
            let user = User(loader::user(ctx, id).await?.ok_or_else(gone)?);
            SubjectSet::SingleUser(SingleUser { user })
        }
        Set::Group(id) => {
            let group = Group(loader::group(ctx, id).await?.ok_or_else(gone)?);
            SubjectSet::GroupMembers(GroupMembers { group })
        }
        Set::Manager(level) => SubjectSet::RequestorManager(RequestorManager { manager_level: level.into() }),
        Set::Role(role) => SubjectSet::DirectoryRoleHolders(DirectoryRoleHolders { role: role.into() }),
    })
}

/// Sets as they are shown; the people and groups of all of them are read together.
pub async fn shown(ctx: &Context<'_>, sets: &[Set]) -> Result<Vec<SubjectSet>, Error> {
    futures_util::future::try_join_all(sets.iter().cloned().map(|set| one(ctx, set))).await
}

/// Whom a rule shall name: exactly one field.
#[derive(OneofObject)]
pub enum SubjectSetInput {
    /// One person.
    UserId(ID),
    /// Everybody in a group.
    GroupId(ID),
    /// The manager of the one who gets the access (1), or that manager's manager (2).
    RequestorManagerLevel(i32),
    /// Everybody who holds a role.
    DirectoryRole(DirectoryRole),
}

/// Sets as the rules take them; a refusal names the deepest field, below `field`.
pub fn taken(sets: Vec<SubjectSetInput>, field: &str) -> Result<Vec<Set>, Refusal> {
    let one = |(index, set): (usize, SubjectSetInput)| match set {
        SubjectSetInput::UserId(id) => {
            id.parse().map(Set::User).map_err(|_| Refusal::not_found(&format!("{field}.{index}.userId"), "person"))
        }
        SubjectSetInput::GroupId(id) => {
            id.parse().map(Set::Group).map_err(|_| Refusal::not_found(&format!("{field}.{index}.groupId"), "group"))
        }
        SubjectSetInput::RequestorManagerLevel(level @ 1..=2) => Ok(Set::Manager(if level == 1 { 1 } else { 2 })),
        SubjectSetInput::RequestorManagerLevel(_) => {
            Err(Refusal::at(Code::Invalid, &format!("{field}.{index}.requestorManagerLevel"), "1 or 2."))
        }
        SubjectSetInput::DirectoryRole(role) => Ok(Set::Role(role.into())),
    };
    sets.into_iter().enumerate().map(one).collect()
}
