//! A large company that changes by chance: what the directory should say, beside the database.

use std::collections::BTreeMap;

use entity::{DirectoryRole, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Dice;

const DEMO: &str = include_str!("../../../demo/directory.json");

/// The people and groups of a company as its directory should have them; the demo's own people are among them.
pub struct Company {
    people: BTreeMap<Uuid, Value>,
    groups: BTreeMap<Uuid, Value>,
    /// People whom things happen to more often than to others: some hundred, so that lives cross.
    pub lively: Vec<UserId>,
    /// Groups that some policy names.
    named: Vec<Uuid>,
    touched: Vec<Uuid>,
}

/// What somebody may hold after a change.
const ROLES: &[&[DirectoryRole]] = &[
    &[DirectoryRole::SecurityAdministrator, DirectoryRole::ComplianceAdministrator],
    &[DirectoryRole::SecurityReader],
    &[DirectoryRole::GlobalAdministrator],
];

fn key(row: &Value) -> Uuid {
    row["id"].as_str().and_then(|id| id.parse().ok()).expect("an id")
}

impl Company {
    /// The demo's people, and so many others in a tree of managers, with a group for each fifty and groups of groups.
    pub fn new(size: usize, dice: &mut Dice) -> Company {
        let demo: Value = serde_json::from_str(DEMO).expect("the demo's file");
        let rows =
            |name: &str| demo[name].as_array().expect("rows").iter().map(|row| (key(row), row.clone())).collect();
        let mut company = Company {
            people: rows("users"),
            groups: rows("groups"),
            lively: Vec::new(),
            named: Vec::new(),
            touched: Vec::new(),
        };
        let staff: Vec<_> = company.people.keys().copied().map(UserId).collect();
        let id = |number: usize| Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0100_0000 + number as u128);
        for number in 0..size {
            // One in four hundred may decide about risk.
            let roles: &[DirectoryRole] = if dice.below(400) == 0 {
                &[DirectoryRole::SecurityAdministrator, DirectoryRole::ComplianceAdministrator]
            } else {
                &[]
            };
            let manager = if number == 0 { None } else { Some(id(number / 8)).filter(|_| number / 8 != number) };
            let row = json!({ "id": id(number), "displayName": format!("Colleague {number}"), "mail": null,
                "userPrincipalName": format!("c{number}@example.com"), "isEnabled": true, "managerId": manager, "directoryRoles": roles });
            company.people.insert(id(number), row);
        }
        let group = |number: usize| Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0200_0000 + number as u128);
        let count = size / 50;
        for number in 0..count {
            let mut members: Vec<Uuid> = (0..2).map(|_| id(dice.below(size))).collect();
            members.extend((number + 1 < count && number % 3 == 0).then(|| group(number + 1)));
            members.sort();
            members.dedup();
            let row = json!({ "id": group(number), "displayName": format!("Group {number}"), "memberIds": members });
            company.groups.insert(group(number), row);
        }
        company.lively = (0..200).map(|_| UserId(id(dice.below(size)))).chain(staff).collect();
        company
    }

    /// Everything, as a file.
    pub fn file(&self) -> Value {
        json!({ "users": self.people.values().collect::<Vec<_>>(), "groups": self.groups.values().collect::<Vec<_>>() })
    }

    /// Somebody, any one.
    pub fn anybody(&self, dice: &mut Dice) -> UserId {
        let place = dice.below(self.people.len());
        UserId(*self.people.keys().nth(place).expect("somebody"))
    }

    /// A group, for a policy to name.
    pub fn names_a_group(&mut self, dice: &mut Dice) -> Uuid {
        let all: Vec<_> = self.groups.keys().copied().collect();
        self.named.push(dice.pick(&all));
        self.named[self.named.len() - 1]
    }

    /// A few people come, go, change hands and roles, some of those named among them; a group loses and gains members. Returns what
    /// changed, as a file.
    pub fn changes(&mut self, some: &[UserId], dice: &mut Dice) -> Value {
        self.touched.clear();
        let deciders: Vec<_> = self.people.iter().filter(|(_, row)| row["directoryRoles"] != json!([])).collect();
        let deciders: Vec<_> = deciders.into_iter().map(|(id, _)| UserId(*id)).collect();
        for _ in 0..10 {
            let who = match dice.below(6) {
                0..2 if !some.is_empty() => dice.pick(some),
                0..4 => dice.pick(&deciders),
                _ => dice.pick(&self.lively),
            };
            let manager = self.anybody(dice);
            // What an operator needs to go on stays.
            if matches!(self.upn(who), "ines@example.com" | "otto@example.com" | "ada@example.com") {
                continue;
            }
            let chain = self.chain(manager);
            let Some(row) = self.people.get_mut(&who.0) else { continue };
            match dice.below(5) {
                0 | 1 => row["isEnabled"] = json!(row["isEnabled"] != true),
                2 => row["directoryRoles"] = json!([]),
                3 => row["directoryRoles"] = json!(dice.pick(ROLES)),
                _ if !chain.contains(&who.0) => row["managerId"] = json!(manager.0),
                _ => {}
            }
            self.touched.push(who.0);
        }
        let (group, member) = (dice.pick(&self.named), self.anybody(dice));
        let row = self.groups.get_mut(&group).expect("a group");
        let members = row["memberIds"].as_array_mut().expect("members");
        match dice.below(4) {
            0 | 1 if !members.contains(&json!(member.0)) => members.push(json!(member.0)),
            2 => drop(members.pop()),
            _ => members.clear(),
        }
        let users: Vec<_> = self.touched.iter().map(|id| self.people[id].clone()).collect();
        let mut once: BTreeMap<Uuid, Value> = BTreeMap::new();
        once.extend(users.into_iter().map(|row| (key(&row), row)));
        json!({ "users": once.into_values().collect::<Vec<_>>(), "groups": [self.groups[&group]] })
    }

    /// Somebody and all managers above.
    fn chain(&self, from: UserId) -> Vec<Uuid> {
        let mut chain = vec![from.0];
        while let Some(row) = chain.last().and_then(|last| self.people.get(last)) {
            let Some(above) = row["managerId"].as_str().and_then(|id| id.parse().ok()) else { break };
            if chain.contains(&above) {
                break;
            }
            chain.push(above);
        }
        chain
    }

    /// Somebody's sign-in name.
    pub fn upn(&self, who: UserId) -> &str {
        self.people[&who.0]["userPrincipalName"].as_str().expect("a name")
    }

    /// May the account be used?
    pub fn is_enabled(&self, who: UserId) -> bool {
        self.people[&who.0]["isEnabled"] == true
    }

    /// Does somebody hold a role?
    pub fn holds(&self, who: UserId, role: DirectoryRole) -> bool {
        self.people[&who.0]["directoryRoles"].as_array().is_some_and(|roles| roles.contains(&json!(role)))
    }

    /// Somebody's manager.
    pub fn manager(&self, who: UserId) -> Option<UserId> {
        self.people[&who.0]["managerId"].as_str().and_then(|id| id.parse().ok()).map(UserId)
    }
}
