//! From news to a change, asking for what it has to know.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entity::{GroupId, SubjectKind, Timestamp, UserId, given_role, group, group_member, role, user};
use uuid::Uuid;

use super::{Ask, Counts, Found, Link, News, Set, nobody};
use crate::domain::plan::{DirectoryChange, Place, Subject};
use crate::domain::text;

/// People, or groups, that are worked on together.
const CHUNK: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Named,
    Below,
    Places,
    Above,
    Reports,
    ReportsOfReports,
    Managers,
    Led,
    Done,
}

/// Makes a change out of news.
#[derive(Debug)]
pub struct Planner {
    news: Vec<News>,
    phase: Phase,
    change: DirectoryChange,
    people: HashMap<UserId, user::Model>,
    groups: HashMap<GroupId, group::Model>,
    /// Links that begin, by whom they name.
    added: HashMap<Uuid, Vec<Set>>,
    removed: HashSet<Link>,
    /// Whose places in groups and roles may change, and which of them are still to be worked on.
    touched: HashSet<Uuid>,
    left: Vec<Uuid>,
    /// Possible groups whose members are touched too.
    frontier: Vec<Uuid>,
    /// Whose managers may change, and which of them are still to be worked on.
    led: BTreeSet<UserId>,
    led_left: Vec<UserId>,
    /// The people of the present chunk, and what stands for them now.
    chunk: Vec<UserId>,
    standing: HashMap<UserId, user::Model>,
    places: HashMap<Place, i64>,
    /// Which sets name an object directly, after the change; groups that are there.
    above: HashMap<Uuid, Vec<Set>>,
    alive: HashSet<GroupId>,
}

impl Planner {
    /// For news in the order in which they were told, over the directory at a version.
    pub fn new(version: i64, news: Vec<News>) -> Planner {
        Planner {
            news,
            phase: Phase::Named,
            change: DirectoryChange { version: version + 1, ..DirectoryChange::default() },
            people: HashMap::new(),
            groups: HashMap::new(),
            added: HashMap::new(),
            removed: HashSet::new(),
            touched: HashSet::new(),
            left: Vec::new(),
            frontier: Vec::new(),
            led: BTreeSet::new(),
            led_left: Vec::new(),
            chunk: Vec::new(),
            standing: HashMap::new(),
            places: HashMap::new(),
            above: HashMap::new(),
            alive: HashSet::new(),
        }
    }

    /// What has to be known next; `None`: nothing more, the change is made.
    pub fn ask(&mut self) -> Option<Ask> {
        loop {
            match self.phase {
                Phase::Named => return Some(self.named()),
                Phase::Below => {
                    let objects = take(&mut self.frontier);
                    if !objects.is_empty() {
                        return Some(Ask::Below(objects));
                    }
                    self.left = self.touched.drain().collect();
                    self.left.sort_unstable_by(|a, b| b.cmp(a));
                    self.phase = Phase::Places;
                }
                Phase::Places => {
                    self.chunk = take(&mut self.left).into_iter().map(UserId).collect();
                    if !self.chunk.is_empty() {
                        return Some(Ask::Places(self.chunk.clone()));
                    }
                    self.phase = Phase::Reports;
                }
                Phase::Above => {
                    let unknown = self.unknown_above();
                    if !unknown.is_empty() {
                        return Some(Ask::Above(unknown));
                    }
                    self.place_chunk();
                    self.phase = Phase::Places;
                }
                Phase::Reports | Phase::ReportsOfReports if self.led.is_empty() => self.phase = Phase::Done,
                Phase::Reports | Phase::ReportsOfReports => {
                    return Some(Ask::Reports(self.led.iter().copied().collect()));
                }
                Phase::Managers => {
                    if self.chunk.is_empty() {
                        self.chunk = take(&mut self.led_left);
                        self.standing.clear();
                    }
                    if self.chunk.is_empty() {
                        self.phase = Phase::Done;
                        continue;
                    }
                    let unknown = self.unknown_managers();
                    if !unknown.is_empty() {
                        return Some(Ask::Users(unknown));
                    }
                    self.phase = Phase::Led;
                }
                Phase::Led => return Some(Ask::Led(self.chunk.clone())),
                Phase::Done => return None,
            }
        }
    }

    /// Takes the answer to what was asked last.
    pub fn hear(&mut self, found: Found) {
        match self.phase {
            Phase::Named => {
                self.fold(found);
                self.phase = Phase::Below;
            }
            Phase::Below => self.go_below(found),
            Phase::Places => {
                self.standing = found.users.into_iter().map(|row| (row.id, row)).collect();
                self.places = found.places.into_iter().collect();
                self.above.retain(|object, _| self.alive.contains(&GroupId(*object)));
                self.phase = Phase::Above;
            }
            Phase::Above => self.go_above(found),
            Phase::Reports => {
                self.led.extend(found.users.iter().map(|row| row.id));
                self.phase = Phase::ReportsOfReports;
            }
            Phase::ReportsOfReports => {
                self.led.extend(found.users.iter().map(|row| row.id));
                self.led_left = self.led.iter().rev().copied().collect();
                self.chunk.clear();
                self.phase = Phase::Managers;
            }
            Phase::Managers => {
                for row in found.users {
                    self.standing.insert(row.id, row);
                }
            }
            Phase::Led => {
                self.places = found.places.into_iter().collect();
                self.lead_chunk();
                self.phase = Phase::Managers;
            }
            Phase::Done => {}
        }
    }

    /// The change, where there is one.
    pub fn finish(mut self) -> Option<(DirectoryChange, Counts)> {
        let change = &mut self.change;
        if *change == (DirectoryChange { version: change.version, ..DirectoryChange::default() }) {
            return None;
        }
        for (place, _) in &change.ended {
            if let Subject::Role(role) = place.subject {
                change.lost_roles.push(role::Model { user_id: place.user_id, role });
            }
        }
        for place in &change.begun {
            if let Subject::Role(role) = place.subject {
                change.roles.push(role::Model { user_id: place.user_id, role });
            }
        }
        let (gone, there): (Vec<_>, Vec<_>) = change.users.iter().partition(|row| row.deleted_at.is_some());
        let gone: HashSet<_> = gone.iter().map(|row| row.id).collect();
        let of_roles = change.roles.iter().chain(&change.lost_roles).map(|row| row.user_id);
        let users: HashSet<_> =
            there.iter().map(|row| row.id).chain(of_roles.filter(|id| !gone.contains(id))).collect();
        let (gone_groups, there): (Vec<_>, Vec<_>) = change.groups.iter().partition(|row| row.deleted_at.is_some());
        let gone_groups: HashSet<_> = gone_groups.iter().map(|row| row.id).collect();
        let of_members = change.members.iter().chain(&change.lost_members).map(|row| row.group_id);
        let groups: HashSet<_> =
            there.iter().map(|row| row.id).chain(of_members.filter(|id| !gone_groups.contains(id))).collect();
        let counts = Counts {
            users_changed: users.len(),
            users_deleted: gone.len(),
            groups_changed: groups.len(),
            groups_deleted: gone_groups.len(),
        };
        Some((self.change, counts))
    }

    fn named(&self) -> Ask {
        let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
        let (mut links, mut emptied) = (BTreeSet::new(), BTreeSet::new());
        for news in &self.news {
            match news {
                News::Person(id, _) | News::PersonGone(id) => {
                    users.insert(*id);
                }
                News::Group(id, _) => {
                    groups.insert(*id);
                }
                News::GroupGone(id) => {
                    groups.insert(*id);
                    emptied.insert(*id);
                }
                News::Link(link, _) => {
                    links.insert(*link);
                    if let Set::Group(id) = link.set {
                        groups.insert(id);
                    }
                }
            }
        }
        Ask::Named {
            users: users.into_iter().collect(),
            groups: groups.into_iter().collect(),
            links: links.into_iter().collect(),
            emptied: emptied.into_iter().collect(),
        }
    }

    /// The news over what stands: rows and links that change, and what they touch.
    fn fold(&mut self, found: Found) {
        let users: HashMap<UserId, user::Model> = found.users.into_iter().map(|row| (row.id, row)).collect();
        let groups: HashMap<GroupId, group::Model> = found.groups.into_iter().map(|row| (row.id, row)).collect();
        let stand: HashSet<Link> = found.links.into_iter().collect();
        let mut of_group: HashMap<GroupId, Vec<Link>> = HashMap::new();
        for link in &stand {
            if let Set::Group(group) = link.set {
                of_group.entry(group).or_default().push(*link);
            }
        }
        let mut people: BTreeMap<UserId, user::Model> = BTreeMap::new();
        let mut named: BTreeMap<GroupId, group::Model> = BTreeMap::new();
        let mut links: BTreeMap<Link, bool> = BTreeMap::new();
        for news in std::mem::take(&mut self.news) {
            match news {
                News::Person(id, told) => {
                    let row = people.get(&id).or(users.get(&id));
                    let row = told.over(id, row);
                    people.insert(id, row);
                }
                News::PersonGone(id) => {
                    if let Some(row) = people.get(&id).or(users.get(&id)).filter(|row| row.deleted_at.is_none()) {
                        people.insert(id, user::Model { deleted_at: Some(Timestamp::COMMIT), ..row.clone() });
                    }
                }
                News::Group(id, name) => {
                    let before = named.get(&id).or(groups.get(&id)).map(|row| row.display_name.clone());
                    let display_name = name.and_then(|name| text::fitted(&name)).or(before);
                    let display_name = display_name.unwrap_or_else(|| id.0.to_string());
                    named.insert(id, group::Model { id, display_name, deleted_at: None });
                }
                News::GroupGone(id) => {
                    if let Some(row) = named.get(&id).or(groups.get(&id)).filter(|row| row.deleted_at.is_none()) {
                        named.insert(id, group::Model { deleted_at: Some(Timestamp::COMMIT), ..row.clone() });
                    }
                    links
                        .iter_mut()
                        .filter(|(link, _)| link.set == Set::Group(id))
                        .for_each(|(_, is_in)| *is_in = false);
                    links.extend(of_group.get(&id).into_iter().flatten().map(|link| (*link, false)));
                }
                News::Link(link, is_in) => {
                    links.insert(link, is_in);
                }
            }
        }
        for (id, mut row) in people {
            let before = users.get(&id);
            let (was, is) = (before.is_some_and(|row| row.deleted_at.is_none()), row.deleted_at.is_none());
            // Who came and went in the same news has been gone since they went first.
            row.deleted_at = row.deleted_at.map(|at| before.and_then(|row| row.deleted_at).unwrap_or(at));
            if before == Some(&row) {
                continue;
            }
            if was != is {
                self.touch(id.0);
            }
            if was != is || before.map(|row| row.manager_id) != Some(row.manager_id) {
                self.led.insert(id);
            }
            self.change.users.push(row.clone());
            self.people.insert(id, row);
        }
        self.alive = groups.values().filter(|row| row.deleted_at.is_none()).map(|row| row.id).collect();
        for (id, mut row) in named {
            let before = groups.get(&id);
            let (was, is) = (self.alive.contains(&id), row.deleted_at.is_none());
            row.deleted_at = row.deleted_at.map(|at| before.and_then(|row| row.deleted_at).unwrap_or(at));
            if before == Some(&row) {
                continue;
            }
            if was != is {
                self.touch(id.0);
            }
            if is {
                self.alive.insert(id)
            } else {
                self.alive.remove(&id)
            };
            self.change.groups.push(row.clone());
            self.groups.insert(id, row);
        }
        for (link, is_in) in links {
            if stand.contains(&link) == is_in {
                continue;
            }
            self.touch(link.member);
            if is_in {
                self.added.entry(link.member).or_default().push(link.set);
            } else {
                self.removed.insert(link);
            }
            let member = link.member.to_string();
            match link.set {
                Set::Group(group_id) => {
                    let row = group_member::Model { group_id, member_id: member };
                    if is_in { self.change.members.push(row) } else { self.change.lost_members.push(row) }
                }
                Set::Role(role) => {
                    let row = given_role::Model { role, principal_id: member };
                    if is_in { self.change.given_roles.push(row) } else { self.change.taken_roles.push(row) }
                }
            }
        }
    }

    /// The places of whoever this is, or of whoever is in it, may change.
    fn touch(&mut self, object: Uuid) {
        if self.touched.insert(object) {
            self.frontier.push(object);
        }
    }

    fn go_below(&mut self, found: Found) {
        let groups: HashSet<GroupId> = found.known_groups.into_iter().collect();
        for link in found.links {
            let member = GroupId(link.member);
            // Whoever a link that begins leads to was touched with it.
            if self.touched.insert(member.0) && (groups.contains(&member) || self.groups.contains_key(&member)) {
                self.frontier.push(member.0);
            }
        }
    }

    /// Objects of the chunk, or groups above it, of which it is not known yet what is above them.
    fn unknown_above(&self) -> Vec<Uuid> {
        let (mut unknown, mut met) = (Vec::new(), HashSet::new());
        let mut open: Vec<Uuid> = self.chunk.iter().map(|id| id.0).collect();
        while let Some(object) = open.pop() {
            if !met.insert(object) {
                continue;
            }
            match self.above.get(&object) {
                None => unknown.push(object),
                Some(sets) => open.extend(sets.iter().filter_map(|set| match set {
                    Set::Group(id) => self.alive.contains(id).then_some(id.0),
                    Set::Role(_) => None,
                })),
            }
        }
        unknown.sort_unstable();
        unknown
    }

    fn go_above(&mut self, found: Found) {
        for object in self.unknown_above() {
            let sets = self.added.get(&object).cloned().unwrap_or_default();
            self.above.insert(object, sets);
        }
        self.alive.extend(found.known_groups.into_iter().filter(|id| !self.groups.contains_key(id)));
        for link in found.links {
            if !self.removed.contains(&link)
                && let Some(sets) = self.above.get_mut(&link.member)
            {
                sets.push(link.set);
            }
        }
    }

    /// The places of the people of the chunk, as they shall be, against those that they have.
    fn place_chunk(&mut self) {
        let mut wanted: HashSet<Place> = HashSet::new();
        for id in std::mem::take(&mut self.chunk) {
            let row = self.people.get(&id).or(self.standing.get(&id));
            if row.is_none_or(|row| row.deleted_at.is_some()) {
                continue;
            }
            wanted.insert(Place { kind: SubjectKind::User, subject: Subject::Object(id.0), user_id: id });
            let (mut met, mut open) = (HashSet::from([id.0]), vec![id.0]);
            while let Some(object) = open.pop() {
                for set in self.above.get(&object).into_iter().flatten() {
                    match set {
                        Set::Role(role) => {
                            let subject = Subject::Role(*role);
                            wanted.insert(Place { kind: SubjectKind::Role, subject, user_id: id });
                        }
                        Set::Group(group) if self.alive.contains(group) && met.insert(group.0) => {
                            let subject = Subject::Object(group.0);
                            wanted.insert(Place { kind: SubjectKind::Group, subject, user_id: id });
                            open.push(group.0);
                        }
                        Set::Group(_) => {}
                    }
                }
            }
        }
        self.compare(wanted);
    }

    fn row(&self, id: UserId) -> Option<&user::Model> {
        self.people.get(&id).or(self.standing.get(&id)).filter(|row| row.deleted_at.is_none())
    }

    /// People of whom a row is wanted to say who leads the chunk, and whose row was not asked for yet. Whoever was asked for and is not
    /// there is remembered as somebody deleted.
    fn unknown_managers(&mut self) -> Vec<UserId> {
        let mut wanted: BTreeSet<UserId> = self.chunk.iter().copied().collect();
        for _ in 0..2 {
            let above: Vec<_> = wanted.iter().filter_map(|id| self.row(*id).and_then(|row| row.manager_id)).collect();
            wanted.extend(above);
        }
        let is_known = |id: &UserId| self.people.contains_key(id) || self.standing.contains_key(id);
        let unknown: Vec<UserId> = wanted.into_iter().filter(|id| !is_known(id)).collect();
        for id in &unknown {
            self.standing.insert(*id, nobody(*id));
        }
        unknown
    }

    fn lead_chunk(&mut self) {
        let mut wanted: HashSet<Place> = HashSet::new();
        for id in std::mem::take(&mut self.chunk) {
            let Some(manager) = self.row(id).and_then(|row| row.manager_id).and_then(|manager| self.row(manager))
            else {
                continue;
            };
            let subject = Subject::Object(id.0);
            wanted.insert(Place { kind: SubjectKind::Manager1, subject, user_id: manager.id });
            if let Some(above) = manager.manager_id.and_then(|above| self.row(above)) {
                wanted.insert(Place { kind: SubjectKind::Manager2, subject, user_id: above.id });
            }
        }
        self.compare(wanted);
    }

    fn compare(&mut self, wanted: HashSet<Place>) {
        let stand = std::mem::take(&mut self.places);
        self.change.begun.extend(wanted.iter().filter(|place| !stand.contains_key(place)));
        self.change.ended.extend(stand.into_iter().filter(|(place, _)| !wanted.contains(place)));
    }
}

/// The last of them, as many as are worked on together.
fn take<T>(from: &mut Vec<T>) -> Vec<T> {
    from.split_off(from.len().saturating_sub(CHUNK))
}
