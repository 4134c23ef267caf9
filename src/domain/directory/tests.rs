//! The planner against a directory loaded whole: whatever is told, in whatever pieces, the sets are the same.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entity::{DirectoryRole, GroupId, SubjectKind, Timestamp, UserId, group, user};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Ask, Counts, Found, Link, News, PersonNews, Planner, Set};
use crate::domain::plan::{DirectoryChange, Place, Subject};

/// A directory in memory: what the store answers and writes.
#[derive(Debug, Clone, Default, PartialEq)]
struct Directory {
    version: i64,
    users: BTreeMap<UserId, user::Model>,
    groups: BTreeMap<GroupId, group::Model>,
    links: BTreeSet<Link>,
    roles: BTreeSet<(UserId, DirectoryRole)>,
    places: BTreeMap<(String, String, UserId), (Place, i64)>,
    /// How many links and places were handed out.
    read: usize,
}

fn key(place: &Place) -> (String, String, UserId) {
    (place.kind.to_string(), format!("{:?}", place.subject), place.user_id)
}

impl Directory {
    fn answer(&mut self, ask: Ask) -> Found {
        let found = self.find(ask);
        self.read += found.links.len() + found.places.len();
        found
    }

    fn find(&self, ask: Ask) -> Found {
        let mut found = Found::default();
        let users = |ids: &[UserId]| ids.iter().filter_map(|id| self.users.get(id).cloned()).collect();
        let places = |test: &dyn Fn(&Place) -> bool| self.places.values().filter(|(p, _)| test(p)).copied().collect();
        match ask {
            Ask::Named { users: people, groups, links, emptied } => {
                found.users = users(&people);
                found.groups = groups.iter().filter_map(|id| self.groups.get(id).cloned()).collect();
                let is_wanted =
                    |link: &&Link| links.contains(link) || emptied.iter().any(|group| link.set == Set::Group(*group));
                found.links = self.links.iter().filter(is_wanted).copied().collect();
            }
            Ask::Below(objects) => {
                let is_below = |link: &&Link| matches!(link.set, Set::Group(id) if objects.contains(&id.0));
                found.links = self.links.iter().filter(is_below).copied().collect();
                let members = found.links.iter().map(|link| GroupId(link.member));
                found.known_groups = members.filter(|id| self.groups.contains_key(id)).collect();
            }
            Ask::Above(objects) => {
                found.links = self.links.iter().filter(|link| objects.contains(&link.member)).copied().collect();
                let groups = found.links.iter().filter_map(|link| match link.set {
                    Set::Group(id) => Some(id),
                    Set::Role(_) => None,
                });
                let is_there = |id: &GroupId| self.groups.get(id).is_some_and(|row| row.deleted_at.is_none());
                found.known_groups = groups.filter(is_there).collect();
            }
            Ask::Places(people) => {
                found.users = users(&people);
                let is_own = |place: &Place| {
                    people.contains(&place.user_id)
                        && !matches!(place.kind, SubjectKind::Manager1 | SubjectKind::Manager2)
                };
                found.places = places(&is_own);
            }
            Ask::Reports(managers) => {
                let reports = |row: &&user::Model| row.manager_id.is_some_and(|manager| managers.contains(&manager));
                found.users = self.users.values().filter(reports).cloned().collect();
            }
            Ask::Users(people) => found.users = users(&people),
            Ask::Led(people) => {
                let leads = |place: &Place| {
                    matches!(place.kind, SubjectKind::Manager1 | SubjectKind::Manager2)
                        && people.iter().any(|id| place.subject == Subject::Object(id.0))
                };
                found.places = places(&leads);
            }
        }
        found
    }

    /// Plans and writes; what is planned must fit what stands.
    fn hear(&mut self, news: Vec<News>) -> Option<(DirectoryChange, Counts)> {
        let mut planner = Planner::new(self.version, news);
        while let Some(ask) = planner.ask() {
            planner.hear(self.answer(ask));
        }
        let done = planner.finish()?;
        let change = &done.0;
        assert_eq!(change.version, self.version + 1);
        self.version = change.version;
        for row in &change.users {
            assert_ne!(self.users.insert(row.id, row.clone()).as_ref(), Some(row), "nothing is written that stands");
        }
        for row in &change.groups {
            assert_ne!(self.groups.insert(row.id, row.clone()).as_ref(), Some(row));
        }
        let member = |set, member: &str| Link { set, member: member.parse().expect("an id") };
        for row in &change.lost_members {
            assert!(self.links.remove(&member(Set::Group(row.group_id), &row.member_id)));
        }
        for row in &change.taken_roles {
            assert!(self.links.remove(&member(Set::Role(row.role), &row.principal_id)));
        }
        for row in &change.members {
            assert!(self.links.insert(member(Set::Group(row.group_id), &row.member_id)));
        }
        for row in &change.given_roles {
            assert!(self.links.insert(member(Set::Role(row.role), &row.principal_id)));
        }
        for row in &change.lost_roles {
            assert!(self.roles.remove(&(row.user_id, row.role)));
        }
        for row in &change.roles {
            assert!(self.roles.insert((row.user_id, row.role)));
        }
        for (place, since) in &change.ended {
            assert_eq!(self.places.remove(&key(place)), Some((*place, *since)), "only what holds can end");
        }
        for place in &change.begun {
            assert_eq!(self.places.insert(key(place), (*place, change.version)), None, "what holds does not begin");
        }
        Some(done)
    }

    fn held(&self) -> HashSet<Place> {
        self.places.values().map(|(place, _)| *place).collect()
    }

    /// The sets, flattened from the whole: downward from each set, with a list of what was met.
    fn flattened(&self) -> HashSet<Place> {
        let there = |id: Uuid| self.users.get(&UserId(id)).filter(|row| row.deleted_at.is_none());
        let mut places = HashSet::new();
        let mut below: HashMap<Set, Vec<Uuid>> = HashMap::new();
        for link in &self.links {
            below.entry(link.set).or_default().push(link.member);
        }
        let groups = self.groups.values().filter(|row| row.deleted_at.is_none()).map(|row| Set::Group(row.id));
        for set in groups.chain(DirectoryRole::ALL.iter().map(|role| Set::Role(*role))) {
            let (kind, subject) = match set {
                Set::Group(id) => (SubjectKind::Group, Subject::Object(id.0)),
                Set::Role(role) => (SubjectKind::Role, Subject::Role(role)),
            };
            let (mut open, mut met) = (vec![set], HashSet::from([set]));
            while let Some(at) = open.pop() {
                for member in below.get(&at).into_iter().flatten() {
                    if there(*member).is_some() {
                        places.insert(Place { kind, subject, user_id: UserId(*member) });
                    }
                    let inner = Set::Group(GroupId(*member));
                    let is_there = self.groups.get(&GroupId(*member)).is_some_and(|row| row.deleted_at.is_none());
                    if is_there && met.insert(inner) {
                        open.push(inner);
                    }
                }
            }
        }
        for row in self.users.values().filter(|row| row.deleted_at.is_none()) {
            let subject = Subject::Object(row.id.0);
            places.insert(Place { kind: SubjectKind::User, subject, user_id: row.id });
            let Some(manager) = row.manager_id.and_then(|manager| there(manager.0)) else { continue };
            places.insert(Place { kind: SubjectKind::Manager1, subject, user_id: manager.id });
            if let Some(above) = manager.manager_id.and_then(|above| there(above.0)) {
                places.insert(Place { kind: SubjectKind::Manager2, subject, user_id: above.id });
            }
        }
        places
    }
}

fn person(number: u128) -> UserId {
    UserId(Uuid::from_u128(number + 1))
}

fn group(number: u128) -> GroupId {
    GroupId(Uuid::from_u128(0x1000 + number))
}

fn employee(number: u128, manager: Option<u128>) -> News {
    let told = PersonNews {
        display_name: Some(format!("Person {number}")),
        user_principal_name: Some(format!("person{number}@example.com")),
        mail: Some(None),
        is_enabled: Some(true),
        manager: Some(manager.map(person)),
    };
    News::Person(person(number), told)
}

fn joins(set: Set, member: Uuid) -> News {
    News::Link(Link { set, member }, true)
}

/// Anything that can be told of nine people and six groups, sensible or not.
fn news() -> impl Strategy<Value = News> {
    let (people, groups) = (0..9_u128, 0..6_u128);
    let role = prop_oneof![Just(DirectoryRole::SecurityAdministrator), Just(DirectoryRole::SecurityReader)];
    let set =
        prop_oneof![4 => groups.clone().prop_map(|number| Set::Group(group(number))), 1 => role.prop_map(Set::Role)];
    let member = prop_oneof![
        2 => people.clone().prop_map(|number| person(number).0),
        1 => groups.clone().prop_map(|number| group(number).0),
    ];
    let manager = proptest::option::of(people.clone());
    let part = (people.clone(), proptest::option::of(proptest::option::of(people.clone())), any::<Option<bool>>());
    prop_oneof![
        4 => (people.clone(), manager).prop_map(|(number, manager)| employee(number, manager)),
        2 => part.prop_map(|(number, manager, is_enabled)| {
            let manager = manager.map(|manager| manager.map(person));
            News::Person(person(number), PersonNews { manager, is_enabled, ..PersonNews::default() })
        }),
        1 => people.prop_map(|number| News::PersonGone(person(number))),
        2 => groups.clone().prop_map(|number| News::Group(group(number), Some(format!("Group {number}")))),
        1 => groups.prop_map(|number| News::GroupGone(group(number))),
        9 => (set, member, prop::bool::weighted(0.7)).prop_map(|(set, member, is_in)| News::Link(Link { set, member }, is_in)),
    ]
}

/// The rows and links that are left, without what only their history knows.
fn left(directory: &Directory) -> (Vec<user::Model>, Vec<group::Model>, BTreeSet<Link>) {
    let people = directory.users.values().filter(|row| row.deleted_at.is_none()).cloned().collect();
    let groups = directory.groups.values().filter(|row| row.deleted_at.is_none()).cloned().collect();
    (people, groups, directory.links.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_pieces_the_sets_are_those_of_the_whole(told in proptest::collection::vec(news(), 0..60), sizes in proptest::collection::vec(1..12_usize, 60)) {
        let mut directory = Directory::default();
        let (mut rest, mut sizes) = (told.as_slice(), sizes.into_iter());
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(sizes.next().expect("a size").min(rest.len()));
            directory.hear(batch.to_vec());
            prop_assert_eq!(directory.held(), directory.flattened());
            let roles: BTreeSet<_> = directory.held().iter().filter_map(|place| match place.subject {
                Subject::Role(role) => Some((place.user_id, role)),
                Subject::Object(_) => None,
            }).collect();
            prop_assert_eq!(&directory.roles, &roles);
            // A page that comes again changes nothing, provided that it does not contradict itself.
            let mut again = directory.clone();
            let second = again.hear(batch.to_vec()).map(|_| again.clone());
            if let Some(second) = second {
                prop_assert_eq!(left(&second), left(&directory), "what is there is the same all the same");
            }
            rest = after;
        }
        let mut whole = Directory::default();
        whole.hear(told);
        prop_assert_eq!(left(&whole), left(&directory));
        prop_assert_eq!(whole.held(), directory.held());
    }

    #[test]
    fn what_contradicts_nothing_comes_in_any_order_and_twice(
        managers in proptest::collection::vec(proptest::option::of(0..9_u128), 9),
        links in proptest::collection::btree_set((0..7_usize, 0..15_usize), 0..40),
        order in Just((0..200_usize).collect::<Vec<_>>()).prop_shuffle(),
        size in 1..9_usize,
    ) {
        let mut told: Vec<News> = managers.iter().enumerate().map(|(number, manager)| employee(number as u128, *manager)).collect();
        told.extend((0..6).map(|number| News::Group(group(number), Some(format!("Group {number}")))));
        told.extend(links.iter().map(|(set, member)| {
            let set = if *set < 6 { Set::Group(group(*set as u128)) } else { Set::Role(DirectoryRole::GlobalReader) };
            joins(set, if *member < 9 { person(*member as u128).0 } else { group(*member as u128 - 9).0 })
        }));
        let mut whole = Directory::default();
        whole.hear(told.clone());
        let shuffled: Vec<News> = order.iter().filter_map(|index| told.get(*index).cloned()).collect();
        prop_assert_eq!(shuffled.len(), told.len());
        let mut pieces = Directory::default();
        for batch in shuffled.chunks(size) {
            pieces.hear(batch.to_vec());
        }
        prop_assert_eq!(left(&pieces), left(&whole));
        prop_assert_eq!(pieces.held(), whole.held());
        for batch in shuffled.chunks(size) {
            prop_assert_eq!(pieces.hear(batch.to_vec()), None, "what is known already changes nothing");
        }
    }
}

#[test]
fn one_member_more_of_a_very_large_group_reads_one_persons_places() {
    let mut directory = Directory::default();
    let everybody = Set::Group(group(0));
    let mut told: Vec<News> = (0..3_000).map(|number| employee(number + 0x10_0000, None)).collect();
    told.extend([News::Group(group(0), None), News::Group(group(1), None), joins(Set::Group(group(1)), group(0).0)]);
    told.extend((0..3_000).map(|number| joins(everybody, person(number + 0x10_0000).0)));
    directory.hear(told);
    assert_eq!(directory.held().len(), 9_000);
    directory.read = 0;
    let (change, counts) = directory.hear(vec![employee(7, None), joins(everybody, person(7).0)]).expect("a change");
    assert_eq!((change.begun.len(), change.ended.len()), (3, 0), "themselves, the group, and the group around it");
    assert_eq!(counts, Counts { users_changed: 1, groups_changed: 1, ..Counts::default() });
    assert!(directory.read < 10, "{} links and places were read", directory.read);
    let gone = Link { set: everybody, member: person(7).0 };
    let (change, _) = directory.hear(vec![News::Link(gone, false)]).expect("a change");
    assert_eq!((change.begun.len(), change.ended.len()), (0, 2));
    assert!(directory.read < 20, "{} links and places were read", directory.read);
}

#[test]
fn what_is_not_told_stays_and_whoever_was_never_described_may_not_sign_in() {
    let mut directory = Directory::default();
    directory.hear(vec![employee(1, Some(2)), employee(2, None)]);
    let part = PersonNews { is_enabled: Some(false), ..PersonNews::default() };
    directory.hear(vec![News::Person(person(1), part)]);
    let row = &directory.users[&person(1)];
    assert_eq!((row.display_name.as_str(), row.manager_id, row.is_enabled), ("Person 1", Some(person(2)), false));
    directory.hear(vec![News::Person(person(3), PersonNews::default())]);
    assert!(!directory.users[&person(3)].is_enabled);
    let (change, counts) = directory.hear(vec![News::PersonGone(person(2))]).expect("a change");
    assert_eq!(change.users[0].deleted_at, Some(Timestamp::COMMIT));
    assert_eq!(counts, Counts { users_deleted: 1, ..Counts::default() });
    assert_eq!(directory.users[&person(1)].manager_id, Some(person(2)), "the reference waits for them to come back");
    assert!(directory.hear(vec![News::PersonGone(person(2)), News::PersonGone(person(77))]).is_none());
}
