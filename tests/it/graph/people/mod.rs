//! The directory that is followed: whatever Graph tells, and however it fails, the directory ends up as the tenant is.

mod chance;
mod follow;
mod listing;
mod load;
pub mod source;

use std::collections::{BTreeMap, BTreeSet};

use entity::{DirectoryRole, Seconds, group_member, membership, user};
use riskgate::config::GraphConfig;
use riskgate::service::sync::SyncError;
use sea_orm::{EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::support::graph::{FakeGraph, GraphAssignment, GraphGroup, Tenant};
use crate::support::{Database, Options, Person, World};

pub const ADA: u128 = 0xa1;
pub const BEN: u128 = 0xb1;
pub const CLEO: u128 = 0xc1;
pub const DAN: u128 = 0xd1;

/// An object id that can be told by its number.
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0000 + number)
}

/// Graph's id of a role.
pub fn template(role: DirectoryRole) -> Uuid {
    let text = match role {
        DirectoryRole::GlobalAdministrator => "62e90394-69f5-4237-9190-012177145e10",
        DirectoryRole::GlobalReader => "f2ef992c-3afb-46b9-b7cf-a126ee74c451",
        DirectoryRole::IdentityGovernanceAdministrator => "45d8d3c5-c802-45c6-b32a-1d70b5e1e86e",
        DirectoryRole::SecurityAdministrator => "194ae4cb-b126-40b2-bd5b-6091b380977d",
        DirectoryRole::SecurityOperator => "5f2222b1-57c3-48ba-8ad5-d4759f1fde6f",
        DirectoryRole::SecurityReader => "5d6b6bb7-de71-4623-b4af-96380a352509",
        DirectoryRole::ComplianceAdministrator => "17315797-102d-40b4-93e0-432062caca18",
    };
    text.parse().expect("an id")
}

/// Gives a role to a person or a group, for the whole tenant.
pub fn give(tenant: &mut Tenant, role: DirectoryRole, principal: Uuid) {
    tenant.assignments.push(GraphAssignment { role: template(role), principal, scope: "/".to_owned() });
}

/// A group with these members.
pub fn form(tenant: &mut Tenant, group: Uuid, members: &[Uuid]) {
    let members = members.iter().copied().collect();
    tenant.groups.insert(group, GraphGroup { display_name: format!("Group {group}"), members });
}

/// A world without people of its own.
pub fn empty() -> Options {
    Options { demo: false, ..Options::default() }
}

/// A server that follows a Graph of its own; what the tenant holds at first is `begin`'s.
pub async fn follows(world: &mut World, begin: impl FnOnce(&mut Tenant)) -> FakeGraph {
    let graph = FakeGraph::start(&world.clock).await;
    graph.change(begin);
    world.connects(followed(&graph)).await;
    graph
}

/// How a server that follows that Graph is configured.
pub fn followed(graph: &FakeGraph) -> GraphConfig {
    GraphConfig { directory: true, risk: false, ..graph.config() }
}

/// One round, which comes to its end.
#[track_caller]
pub fn synchronizes(world: &World) -> impl Future<Output = usize> {
    let services = world.services().clone();
    async move { services.synchronize().await.expect("the round comes to its end") }
}

/// One round, which does not.
pub async fn fails(world: &World) -> SyncError {
    world.services().synchronize().await.expect_err("the round does not come to its end")
}

/// Somebody of the tenant, signed in.
pub fn person(world: &World, number: u128) -> Person {
    world.holder(world.app().address, entity::UserId(id(number)), "somebody@example.com", Seconds::hours(8_000))
}

/// A directory as it matters: who is there, who is directly where, and who is in which set.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    people: BTreeMap<String, (String, String, bool, Option<String>)>,
    members: BTreeSet<(String, String)>,
    sets: BTreeSet<(String, String, String)>,
}

impl Shape {
    /// Of the tenant.
    pub fn of(tenant: &Tenant) -> Shape {
        let people = tenant.users.iter().map(|(id, user)| {
            let manager = user.manager.map(|id| id.to_string());
            let names = (user.display_name.clone(), user.user_principal_name.clone());
            (id.to_string(), (names.0, names.1, user.is_enabled, manager))
        });
        let mut directly: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for (group, row) in &tenant.groups {
            row.members.iter().for_each(|member| directly.entry(*member).or_default().push(*group));
        }
        let groups_of = |person: Uuid| {
            let (mut found, mut left) = (BTreeSet::new(), vec![person]);
            while let Some(at) = left.pop() {
                left.extend(directly.get(&at).into_iter().flatten().filter(|group| found.insert(**group)));
            }
            found
        };
        let mut sets = BTreeSet::new();
        for (person, user) in &tenant.users {
            let name = person.to_string();
            let mut is_in =
                |kind: &str, subject: String, who: &Uuid| sets.insert((kind.to_owned(), subject, who.to_string()));
            is_in("USER", name.clone(), person);
            let groups = groups_of(*person);
            for group in &groups {
                is_in("GROUP", group.to_string(), person);
            }
            for given in tenant.assignments.iter().filter(|given| given.scope == "/") {
                let holds = given.principal == *person || groups.contains(&given.principal);
                let role = DirectoryRole::ALL.iter().find(|role| template(**role) == given.role);
                if let (true, Some(role)) = (holds, role) {
                    is_in("ROLE", role.to_string(), person);
                }
            }
            let Some(manager) = user.manager.filter(|id| tenant.users.contains_key(id)) else { continue };
            is_in("MANAGER_1", name.clone(), &manager);
            if let Some(above) = tenant.users[&manager].manager.filter(|id| tenant.users.contains_key(id)) {
                is_in("MANAGER_2", name, &above);
            }
        }
        let members = tenant
            .groups
            .iter()
            .flat_map(|(id, group)| group.members.iter().map(|one| (id.to_string(), one.to_string())));
        Shape { people: people.collect(), members: members.collect(), sets }
    }

    fn lines(&self) -> BTreeSet<String> {
        let people = self.people.iter().map(|person| format!("{person:?}"));
        let members = self.members.iter().map(|member| format!("{member:?}"));
        people.chain(members).chain(self.sets.iter().map(|set| format!("{set:?}"))).collect()
    }

    /// Of the database.
    pub async fn stored(world: &World) -> Shape {
        Shape::read(&world.database).await
    }

    /// The same of one without a world around.
    pub async fn read(database: &Database) -> Shape {
        let db = database.connect().await;
        let people = user::Entity::find().filter(user::COLUMN.deleted_at.is_null()).all(&db).await.expect("people");
        let members = group_member::Entity::find().all(&db).await.expect("members");
        let sets = membership::Entity::find().filter(membership::COLUMN.until.is_null()).all(&db).await.expect("sets");
        db.close().await.expect("it closes");
        let person = |row: user::Model| {
            let manager = row.manager_id.map(|id| id.0.to_string());
            (row.id.0.to_string(), (row.display_name, row.user_principal_name, row.is_enabled, manager))
        };
        Shape {
            people: people.into_iter().map(person).collect(),
            members: members.into_iter().map(|row| (row.group_id.0.to_string(), row.member_id)).collect(),
            sets: sets.into_iter().map(|row| (row.kind.to_string(), row.subject, row.user_id.0.to_string())).collect(),
        }
    }
}

/// The directory is as the tenant is.
#[track_caller]
pub fn is_as(world: &World, graph: &FakeGraph) -> impl Future<Output = ()> {
    let tenant = graph.tenant();
    async move {
        let (stored, wanted) = (Shape::stored(world).await.lines(), Shape::of(&tenant).lines());
        let only: Vec<_> = stored.symmetric_difference(&wanted).map(|line| (stored.contains(line), line)).collect();
        assert!(only.is_empty(), "stored (true), or the tenant's (false): {only:#?}");
    }
}

/// The directory's version, and how many events there are.
pub async fn version(world: &World) -> (i64, usize) {
    let db = world.database.connect().await;
    let head = entity::head::Entity::find().one(&db).await.expect("an answer").expect("the head");
    db.close().await.expect("it closes");
    (head.directory_version, usize::try_from(head.position).expect("a position"))
}
