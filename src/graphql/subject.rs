//! Whom a rule names.

use async_graphql::{Context, Error, ID, OneofObject, SimpleObject, Union};
use entity::SubjectSet as Set;

use super::loader;
use super::scalar::read_id;
use super::user::{Group, User};
use super::word::DirectoryRole;
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

/// Sets as the use cases take them, which check them.
pub fn taken(sets: Vec<SubjectSetInput>) -> Vec<Set> {
    let one = |set| match set {
        SubjectSetInput::UserId(id) => Set::User(read_id(&id)),
        SubjectSetInput::GroupId(id) => Set::Group(read_id(&id)),
        // What is no level at all is none that there is.
        SubjectSetInput::RequestorManagerLevel(level) => Set::Manager(u8::try_from(level).unwrap_or(0)),
        SubjectSetInput::DirectoryRole(role) => Set::Role(role.into()),
    };
    sets.into_iter().map(one).collect()
}
