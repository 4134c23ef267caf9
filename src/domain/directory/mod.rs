//! A change of the directory that comes piece by piece: what a source tells becomes one [`DirectoryChange`], by reading only what it
//! touches. The rule does no reading itself: [`Planner::ask`] says what it has to know, and [`Planner::hear`] takes the answer.
//!
//! Any order is right: a member, a manager, or the holder of a role who is not known yet is kept as a reference, and comes into the sets
//! when they become known. Rings of groups or managers do no harm. What is told twice changes nothing the second time. The sets end up
//! as if the directory had been loaded whole.
//!
//! A person's place in the sets follows from what stands above the person alone, so news of one member never walks the other members of
//! a group, however many they are.

mod planner;
#[cfg(test)]
mod tests;

use entity::{DirectoryRole, GroupId, Timestamp, UserId, group, user};
use uuid::Uuid;

pub use planner::Planner;

use super::plan::Place;
use super::text;

/// One thing that a source tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A person is there, and so are these properties.
    Person(UserId, PersonNews),
    /// A person is there no more.
    PersonGone(UserId),
    /// A group is there; its name, where that is told.
    Group(GroupId, Option<String>),
    /// A group is there no more.
    GroupGone(GroupId),
    /// Somebody, or a group, is directly in a set, or is no more.
    Link(Link, bool),
}

/// What is told of a person; what is not told stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonNews {
    /// Name for people.
    pub display_name: Option<String>,
    /// Sign-in name.
    pub user_principal_name: Option<String>,
    /// Mail address, or that there is none.
    pub mail: Option<Option<String>>,
    /// May the account be used?
    pub is_enabled: Option<bool>,
    /// The manager, or that there is none.
    pub manager: Option<Option<UserId>>,
}

/// A set that names its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Set {
    /// A group.
    Group(GroupId),
    /// The holders of a role.
    Role(DirectoryRole),
}

/// A set names a person or a group directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The set.
    pub set: Set,
    /// The object id of a person or of a group.
    pub member: Uuid,
}

/// What the planner has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// What the news names.
    Named {
        /// People whose rows are wanted.
        users: Vec<UserId>,
        /// Groups whose rows are wanted.
        groups: Vec<GroupId>,
        /// Which of these links stand?
        links: Vec<Link>,
        /// Groups of which every link is wanted.
        emptied: Vec<GroupId>,
    },
    /// The links of those of these objects that are groups, and which of the members are groups.
    Below(Vec<Uuid>),
    /// The links to these objects, and which of the groups that they lead to are there.
    Above(Vec<Uuid>),
    /// The rows of these people, and their flattened memberships that hold now (not as a manager).
    Places(Vec<UserId>),
    /// Everybody whose manager is one of these.
    Reports(Vec<UserId>),
    /// The rows of these people.
    Users(Vec<UserId>),
    /// The managers that these people have now by the flattened memberships.
    Led(Vec<UserId>),
}

/// An answer; what was not asked for is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// People.
    pub users: Vec<user::Model>,
    /// Groups.
    pub groups: Vec<group::Model>,
    /// Direct links.
    pub links: Vec<Link>,
    /// Ids that are groups: of the members, or of the sets; in an answer to [`Ask::Above`] only groups that are not deleted.
    pub known_groups: Vec<GroupId>,
    /// Flattened memberships, and the version that each began with.
    pub places: Vec<(Place, i64)>,
}

/// What a change holds, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// People new or changed, in their roles too (deleted ones are counted apart).
    pub users_changed: usize,
    /// People marked deleted.
    pub users_deleted: usize,
    /// Groups new or changed, in their members too.
    pub groups_changed: usize,
    /// Groups marked deleted.
    pub groups_deleted: usize,
}

impl PersonNews {
    /// The row of the person with this told of them. Who is told of is there; what was never told is the least that it can be, and
    /// whoever comes back has no manager and may not sign in until that is told again.
    pub(super) fn over(self, id: UserId, before: Option<&user::Model>) -> user::Model {
        let before = match before {
            Some(row) if row.deleted_at.is_some() => user::Model { is_enabled: false, manager_id: None, ..row.clone() },
            Some(row) => row.clone(),
            None => nobody(id),
        };
        let given = |told: Option<String>, stands: String| told.and_then(|name| text::fitted(&name)).unwrap_or(stands);
        let user_principal_name = given(self.user_principal_name, before.user_principal_name);
        let display_name = given(self.display_name, before.display_name);
        user::Model {
            id,
            folded_name: text::folded(&display_name),
            display_name,
            folded_principal_name: text::folded(&user_principal_name),
            user_principal_name,
            mail: match self.mail {
                Some(mail) => mail.as_deref().and_then(text::fitted),
                None => before.mail,
            },
            is_enabled: self.is_enabled.unwrap_or(before.is_enabled),
            manager_id: self.manager.unwrap_or(before.manager_id),
            deleted_at: None,
        }
    }
}

/// Somebody of whom nothing is known: not there, may not sign in, called by the id.
fn nobody(id: UserId) -> user::Model {
    let name = id.0.to_string();
    user::Model {
        id,
        display_name: name.clone(),
        folded_name: name.clone(),
        user_principal_name: name.clone(),
        folded_principal_name: name,
        mail: None,
        is_enabled: false,
        manager_id: None,
        deleted_at: Some(Timestamp::COMMIT),
    }
}
